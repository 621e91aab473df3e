/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Two serial lines and the ways out. The guest's console is COM1 and nothing else
 * goes there; what minivisor has to say goes to COM2.
 */
#ifndef MINIVISOR_PRINT_H
#define MINIVISOR_PRINT_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#define PRINTF(a, b) __attribute__((format(printf, a, b)))

/* Statuses that are ours; the guest's go out as they are. */
#define EXIT_GUEST_DIED	64
#define EXIT_FAILED	65

void print_init(void);

/* printf() to COM2: %c %s %d %u %x %zu %p with l, ll, a width and 0. */
void print(const char *format, ...) PRINTF(1, 2);
int snprintf(char *to, size_t size, const char *format, ...) PRINTF(3, 4);
int vsnprintf(char *to, size_t size, const char *format, va_list args) PRINTF(3, 0);

/* The guest's console. */
void guest_putc(uint8_t byte);

/* End the machine with @status: QEMU's isa-debug-exit, Bochs' port 0x8900. */
__attribute__((noreturn)) void machine_exit(uint8_t status);

/* One line, and out with EXIT_FAILED. */
__attribute__((noreturn)) void fail(const char *format, ...) PRINTF(1, 2);

#endif /* MINIVISOR_PRINT_H */
