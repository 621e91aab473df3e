/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* The guest's ELF file as a file of this system: the reader of firmware/elf_file.h. */
#ifndef STANDALONE_ELF_OPEN_H
#define STANDALONE_ELF_OPEN_H

#include "elf_file.h"

/**
 * elf_file_open - open a guest's file, read and check its headers.
 * @path: kept, not copied.
 * Returns 0 with @elf filled (elf_file_close() it), or -1 with one line in @why:
 * no such file, no regular file, or as elf_file_parse().
 */
int elf_file_open(struct elf_file *elf, const char *path, char *why, size_t why_size);
void elf_file_close(struct elf_file *elf);

#endif /* STANDALONE_ELF_OPEN_H */
