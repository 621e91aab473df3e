/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The guest ABIs by name and number: what people write on a command line, and what
 * a guest's ELF note says. Knows nothing of what they mean.
 *
 * Freestanding. Needs memcmp(), strlen() and snprintf() from the program that links it.
 */
#ifndef FIRMWARE_GUEST_ABI_H
#define FIRMWARE_GUEST_ABI_H

#include <stdbool.h>
#include <stddef.h>

#include <pvm/vcpu.h>

#include "elf_file.h"

#define GUEST_ABI_LIST_MAX 128

/* All names, "dual-cr3 single-cr3", for messages. Returns @buffer. */
const char *guest_abi_list(char *buffer, size_t size);

/* NULL: no guest can ask for an ABI of this number. @number: enum pvm_abi, or anything. */
const char *guest_abi_name(uint32_t number);

/* The ABI called @name, of @length characters; false if there is none. */
bool guest_abi_by_name(const char *name, size_t length, enum pvm_abi *abi);

/**
 * guest_abi_of_file - what a parsed file asks for: its note's ABI, or dual CR3.
 * Returns 0, or -1 with one line in @why that names the unknown number.
 */
int guest_abi_of_file(const struct elf_file *elf, enum pvm_abi *abi, char *why, size_t why_size);

#endif /* FIRMWARE_GUEST_ABI_H */
