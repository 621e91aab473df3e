/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Makes ELF files, good and bad, byte by byte: the same ones each time.
 * Starts from a good one with two segments; a test then breaks one thing.
 */
#ifndef TESTS_ELF_BUILDER_H
#define TESTS_ELF_BUILDER_H

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ELF_BUILDER_PHDRS	70
#define ELF_BUILDER_CODE	0x1000000ull	/* address of the first segment, executable */
#define ELF_BUILDER_DATA	0x1002000ull	/* of the second */
#define ELF_BUILDER_OFFSET	0x2000ull	/* of the first segment in the file */
#define ELF_BUILDER_NOTES	0x3200ull	/* of the notes in the file */
#define ELF_BUILDER_NOTE_SPACE	0x200
#define ELF_BUILDER_CODE_BYTE	0x90
#define ELF_BUILDER_DATA_BYTE	0xda

struct elf_builder {
	Elf64_Ehdr header;
	Elf64_Phdr phdr[ELF_BUILDER_PHDRS];
	bool script;		/* add a section .pvm.script */
	uint8_t notes[ELF_BUILDER_NOTE_SPACE];
	size_t size;		/* cut the file to this many bytes; ~0: leave it whole */
};

/* A file that can be run: code (4 KiB) and data (256 bytes in the file, 8 KiB in memory). */
void elf_builder_init(struct elf_builder *elf);

/* Append a note to phdr[2], which becomes a PT_NOTE and counts; aligned to @align. */
void elf_builder_add_note(struct elf_builder *elf, size_t align, const char *name, uint32_t type,
			  const void *descriptor, uint32_t size);
/* The note that asks for @abi. */
void elf_builder_note(struct elf_builder *elf, uint32_t abi);

/* A new, empty file for one: its name in @path. False with errno set when there is none. */
#define ELF_BUILDER_PATH 64
bool elf_builder_file(char path[ELF_BUILDER_PATH]);

/* Write it to @path; false with errno set when that fails. */
bool elf_builder_write(const struct elf_builder *elf, const char *path);

#endif /* TESTS_ELF_BUILDER_H */
