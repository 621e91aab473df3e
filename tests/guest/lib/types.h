/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The words that every guest file uses: integer names and small helpers.
 * Owns no state and knows nothing of PVM.
 */
#ifndef GUEST_TYPES_H
#define GUEST_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int64_t s64;

#define KiB 1024ul
#define MiB (1024ul * KiB)
#define GiB (1024ul * MiB)

#define array_size(a) (sizeof(a) / sizeof((a)[0]))
#define align_up(x, a) (((x) + (a) - 1) & ~((u64)(a) - 1))
#define align_down(x, a) ((x) & ~((u64)(a) - 1))
#define barrier() __asm__ volatile("" ::: "memory")
#define read_once(x) (*(const volatile __typeof__(x) *)&(x))
#define write_once(x, v) (*(volatile __typeof__(x) *)&(x) = (v))
#define noinline __attribute__((noinline))
#define noreturn __attribute__((noreturn))

void *memcpy(void *to, const void *from, size_t n);
void *memmove(void *to, const void *from, size_t n);
void *memset(void *to, int byte, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);
bool str_contains(const char *s, const char *word);

#endif /* GUEST_TYPES_H */
