/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The start of day of a Xen PV kernel: what lies in its memory, and what its first vCPU's registers
 * are, before its first instruction. From gpa 0 on, and from the kernel's base of linear addresses:
 *
 *	the kernel, where its file says
 *	start_info, a page for a xenstore, a page for a console
 *	page tables: the root, then one for each 512 GiB, 1 GiB and 2 MiB, read-only
 *	a stack of one page
 *	what is left to the end of 4 MiB, half a MiB of it at least, mapped as well
 *
 * and then, not mapped there, the initial RAM disk, and the list of frames with tables of its own.
 *
 * Freestanding: needs memcpy() and memset() from the program that links it. Guest memory is a plain
 * stretch of bytes, gpa 0 first. Writes nothing else.
 */
#ifndef FIRMWARE_XEN_START_H
#define FIRMWARE_XEN_START_H

#include <pvm/xen.h>

#include "elf_file.h"

struct xen_start {
	/* The caller's. */
	uint8_t *memory;
	uint64_t pages;			/* of memory from gpa 0 on */
	const struct elf_file *kernel;	/* parsed; its segments are loaded here */
	const void *initrd;		/* NULL: none */
	uint64_t initrd_size;		/* bytes */
	const char *command_line;	/* NULL: none */
	uint64_t shared_info;		/* gpa, beyond the pages */
	uint32_t console_port, store_port;	/* 0: there is none */

	/* What comes of it. */
	uint64_t rip, rsp, rsi, cr3;
	uint64_t console, store;	/* gpa of their pages */
	uint64_t used;			/* gpa after all that was written */
};

/**
 * xen_start_check - can a kernel be started so, whatever the memory?
 * Returns 0, or -1 with one line in @why.
 */
int xen_start_check(const struct elf_file *kernel, char *why, size_t why_size);

/**
 * xen_start_write - load the kernel and lay out the rest.
 * Returns 0, or -1 with one line in @why: not a kernel that can be started so, too little
 * memory, a command line that is too long.
 */
int xen_start_write(struct xen_start *start, char *why, size_t why_size);

#endif /* FIRMWARE_XEN_START_H */
