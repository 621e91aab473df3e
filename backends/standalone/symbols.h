/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * What a guest's ELF file says about its code: function names, and the table
 * that finds the unwind information of an address. Or the System.map of a kernel.
 *
 * Owns a copy of the file. The file is untrusted: every offset in it is
 * checked, and a file without symbols is as good as none.
 */
#ifndef STANDALONE_SYMBOLS_H
#define STANDALONE_SYMBOLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct symbols;

/* One function's unwind information, both as offsets from symbols_eh_frame(). */
struct symbols_fde {
	int32_t start;		/* of the function */
	int32_t fde;		/* of its frame description entry */
};

/**
 * symbols_open - read the symbols of a static ELF64 file for x86-64, or a System.map, which has names only.
 * Returns NULL if it is neither or cannot be read; symbols_close(NULL) is fine.
 */
struct symbols *symbols_open(const char *path);
void symbols_close(struct symbols *symbols);

/**
 * symbols_find - the function that holds an address.
 * @offset: of the address in the function, bytes.
 * Returns its name, valid until symbols_close(), or NULL.
 */
const char *symbols_find(const struct symbols *symbols, uint64_t address, uint64_t *offset);

/**
 * symbols_eh_frame - the section .eh_frame.
 * @address: where it is in the guest. Returns its bytes, or NULL.
 */
const uint8_t *symbols_eh_frame(const struct symbols *symbols, uint64_t *address, size_t *size);

/* The table of functions with unwind information, sorted by start. */
const struct symbols_fde *symbols_fdes(const struct symbols *symbols, size_t *count);

#endif /* STANDALONE_SYMBOLS_H */
