/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The guest's ELF file: what it says, whether it can be run, and its segments
 * in guest memory. The file is bad input until proven otherwise: every error is
 * one line that names the file and the thing.
 *
 * Freestanding: where the bytes come from is the caller's (read). Needs memcmp()
 * and vsnprintf() from the program that links it.
 */
#ifndef FIRMWARE_ELF_FILE_H
#define FIRMWARE_ELF_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ELF_FILE_MAX_SEGMENTS 64
#define ELF_FILE_MAX_NOTES 1024	/* of any owner: more are refused */
#define ELF_FILE_SCRIPT_SECTION ".pvm.script"	/* accesses for the model executor */

struct elf_file_segment {
	uint64_t vaddr, paddr;
	uint64_t offset, file_size;	/* bytes in the file */
	uint64_t memory_size;		/* bytes in memory; the rest is zero */
	bool read, write, exec;
};

struct elf_file {
	/* The caller's, before elf_file_parse(). */
	const char *path;		/* its name in messages */
	uint64_t size;			/* bytes */
	void *source;
	/* Fill @buffer with @length bytes at @offset, all within size. NULL, or what went wrong. */
	const char *(*read)(void *source, void *buffer, uint64_t length, uint64_t offset);

	/* What the file says. */
	uint64_t entry;			/* e_entry */
	uint64_t start;			/* gpa to enter: e_entry, or where its segment is loaded */
	bool upper_half;		/* a segment's p_vaddr is in the upper half */
	bool has_script;
	bool has_abi;			/* it has a note that says which ABI it wants */
	uint32_t abi;			/* that note's number, whatever it is: guest_abi.h */
	/* Of a kernel that can be started as a Xen PV guest: its notes of that name. */
	struct {
		bool has_entry, has_virt_base, has_init_p2m;
		uint64_t entry;			/* linear address */
		uint64_t virt_base;		/* linear address of gpa 0 */
		uint64_t init_p2m;		/* where it wants the list of its frames */
		uint64_t hypercall_page;	/* linear address of a page for calls; 0: it has none */
	} xen;
	unsigned segment_count;
	struct elf_file_segment segments[ELF_FILE_MAX_SEGMENTS]; /* PT_LOAD of memory_size > 0 */
};

/**
 * elf_file_parse - read and check the headers of a guest's file.
 * @elf: path, size, source and read are set, the rest is zero.
 * Returns 0, or -1 with one line in @why: empty, truncated, not ELF, 32-bit, another
 * machine, dynamic, overlapping segments, entry outside every executable segment, notes
 * that run over their segment's end, a PVM_ELFNOTE_ABI that is not one number.
 */
int elf_file_parse(struct elf_file *elf, char *why, size_t why_size);

/**
 * elf_file_check_memory - do the segments fit into the guest's memory?
 * @memory_size: bytes.
 * Returns 0, or -1 with one line in @why: a segment outside memory, or over the
 * boot data (BOOT_AREA_START..BOOT_AREA_END).
 */
int elf_file_check_memory(const struct elf_file *elf, uint64_t memory_size, char *why,
			  size_t why_size);

/**
 * elf_file_load - copy the segments to their p_paddr.
 * @memory, @size: guest memory; elf_file_check_memory() must have passed for @size.
 * Returns 0, or -1 with one line in @why.
 */
int elf_file_load(const struct elf_file *elf, uint8_t *memory, uint64_t size, char *why,
		  size_t why_size);

#endif /* FIRMWARE_ELF_FILE_H */
