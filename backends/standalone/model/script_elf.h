/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Finding the script in a guest's ELF file. Owns the reading of one section;
 * the file's segments are the loader's. Untrusted input. */
#ifndef MODEL_SCRIPT_ELF_H
#define MODEL_SCRIPT_ELF_H

#include <stddef.h>

#define SCRIPT_SECTION ".pvm.script"

/* The section's text, malloc'ed and NUL-terminated; NULL with one line in @why. */
char *script_elf_read(const char *path, char *why, size_t why_size);

#endif /* MODEL_SCRIPT_ELF_H */
