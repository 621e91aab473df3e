/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * What a stub process, the zygote that clones it and the monitor agree on:
 * addresses, file descriptors, and the layout of the pages they share.
 *
 * Owns numbers and layouts only; included from assembly, from the freestanding
 * zygote and from the monitor. Never a place for code.
 *
 * Trust: a stub has two threads. The guest runs in the first and can jump
 * anywhere in the text; it can not write the control pages; it can write every byte
 * of the shared pages. The mapper never runs guest code and takes nothing from the
 * shared pages.
 */
#ifndef NATIVE_PROTOCOL_H
#define NATIVE_PROTOCOL_H

/*
 * The guest may have anything below STUB_REGION. The stub's pages lie more
 * than 4 GiB above it, because the mapper's filter compares the high halves of
 * addresses: an mmap() that starts below the region and is shorter than 4 GiB
 * can not reach them.
 */
#define STUB_REGION		0x7ffe00000000
#define STUB_REGION_END		0x7ffffffff000
#define STUB_TEXT		0x7fff80000000
#define STUB_TEXT_SIZE		0x1000
#define STUB_CONTROL		0x7fff80001000	/* read-only in the stub */
#define STUB_CONTROL_SIZE	0x3000		/* the control page, the extended state */
#define STUB_SHARED		0x7fff80004000	/* read-write */
#define STUB_SHARED_SIZE	0x9000
/* SS_AUTODISARM: stub.S says why. */
#define STUB_ALTSTACK		(STUB_SHARED + 0x1000)
#define STUB_ALTSTACK_FLAGS	0x80000000
#define STUB_ALTSTACK_SIZE	0x8000
/* Where the zygote moves the vdso before it unmaps it: the kernel keeps the
 * address, and lets 32-bit SYSCALL and SYSENTER "return" there. Intel's IRET
 * drops the upper half of that: the rest must lie where no guest has a page. */
#define STUB_VDSO_GRAVE		0x7fff00000000
#define STUB_VDSO_GRAVE_SIZE	0x100000

/* Distances of the pages from the text: all code addresses by RIP. */
#define STUB_CONTROL_OFFSET	0x1000
#define STUB_SHARED_OFFSET	0x4000

/* One stub's pages in the arena file: control, then shared. */
#define STUB_SLOT_SIZE		0xc000

/* File descriptors of the zygote ... */
#define ZYGOTE_FD_SOCKET	3	/* requests and answers */
#define ZYGOTE_FD_ARENA		4	/* the pages of all stubs */
#define STUB_FD_GUEST		5	/* guest memory: all that a mapper may map */
#define ZYGOTE_FD_IMAGE		6	/* the zygote's own ELF file: the stub's text */
/* ... of a stub's first thread ... */
#define STUB_FD_GO		10	/* an eventfd: the monitor, or the mapper, says go */
#define STUB_FD_STOP		11	/* a pipe to the monitor */
/* ... and of its mapper, beside both and STUB_FD_GUEST. */
#define STUB_FD_ORDER		12	/* an eventfd: the monitor says that there are commands */

/* The signal that ends a stub's run; SIGUSR1. */
#define STUB_SIGNAL_KICK	10

/*
 * The control page. Offsets for assembly; struct stub_control below.
 */
#define CONTROL_TURN		0	/* number of the run: what a stop message carries */
#define CONTROL_FS_BASE		8
#define CONTROL_GS_BASE		16
#define CONTROL_DS		24
#define CONTROL_ES		26
#define CONTROL_FS		28
#define CONTROL_GS		30
#define CONTROL_COUNT		32	/* commands for the mapper */
#define CONTROL_THEN		36	/* what it does after them */
#define CONTROL_ENTER		40	/* how the guest's thread goes on */
#define CONTROL_XFEATURES	48	/* mask for XRSTOR */
#define CONTROL_FLAGS		56	/* RFLAGS of the way in: no NT, which IRET refuses */
#define CONTROL_IRET		64	/* rip, cs, rflags, rsp, ss */
#define CONTROL_GPR		104	/* in encoding order */
#define CONTROL_COMMANDS	256
#define CONTROL_COMMAND_SHIFT	6
#define STUB_COMMANDS		60
#define CONTROL_XSTATE		4096	/* the page behind: what XRSTOR loads */
#define CONTROL_XSTATE_SIZE	8192

#define THEN_GO			0	/* let the guest's thread go */
#define THEN_TELL		1	/* tell the monitor */

#define ENTER_IRET		0	/* by IRET, from the control page */
#define ENTER_TRACED		1	/* by INT3: a tracer sets what IRET would */

/* A command: a system call, its number and six arguments. */
#define COMMAND_NR		0
#define COMMAND_ARG0		8
#define COMMAND_ARG1		16
#define COMMAND_ARG2		24
#define COMMAND_ARG3		32
#define COMMAND_ARG4		40
#define COMMAND_ARG5		48

/*
 * A message in the stop pipe, of 8 bytes: the number of the run that is over, or,
 * from the mapper, MESSAGE_MAPPER + errno, 0 when all commands succeeded.
 */
#define MESSAGE_MAPPER		0x4000000000000000
#define MESSAGE_ERRNO_MAX	200

/*
 * The first shared page. Offsets for assembly; struct stub_record below.
 */
#define RECORD_GO		0	/* what was read from STUB_FD_GO: of no meaning */
#define RECORD_ORDER		8	/* and from STUB_FD_ORDER */
#define RECORD_FRAME		16	/* rsp at the start of the signal handler */
#define RECORD_FS_BASE		24
#define RECORD_GS_BASE		32
#define RECORD_DS		40	/* selectors, one per 4 bytes */
#define RECORD_ES		44
#define RECORD_FS		48
#define RECORD_GS		52
#define RECORD_REASON		56
#define RECORD_MAPPER		60	/* the mapper's thread id; there before the first stop only */

#define STOP_SIGNAL		1	/* a signal ended the run: see the frame */
#define STOP_KICKED		2	/* a signal came before the guest could run */

/* Offsets into the signal frame; struct sigframe in frame.h. */
#define SIGFRAME_RIP		176
#define SIGFRAME_CODE		320	/* siginfo's si_code */

#ifndef __ASSEMBLER__

#include <stddef.h>
#include <stdint.h>

struct stub_command {
	uint64_t nr;
	uint64_t arg[6];
	uint64_t reserved;
};

struct stub_iret {
	uint64_t rip, cs, rflags, rsp, ss;
};

struct stub_control {
	uint64_t turn;
	uint64_t fs_base, gs_base;
	uint16_t ds, es, fs, gs;
	uint32_t count;
	uint32_t then;
	uint64_t enter;
	uint64_t xfeatures;
	uint64_t flags;
	struct stub_iret iret;
	uint64_t gpr[16];
	uint64_t reserved[3];
	struct stub_command commands[STUB_COMMANDS];
	uint8_t xstate[CONTROL_XSTATE_SIZE];
};

struct stub_record {
	uint64_t go, order;
	uint64_t frame;
	uint64_t fs_base, gs_base;
	uint32_t ds, es, fs, gs;
	uint32_t reason;
	int32_t mapper;
};

/* Zygote requests: struct zygote_request with the stub's three descriptors: go,
 * stop, order. The answer is an int32_t: the stub's pid, or -errno. */
struct zygote_request {
	uint32_t slot;		/* of the arena */
	int32_t monitor;	/* the monitor's pid, which must still be the parent */
	uint32_t pkeys;		/* protection keys to allocate: 1..n */
};

/* Exit status of a stub, or the zygote, that could not be set up: STUB_EXIT + stage. */
#define STUB_EXIT	100
enum stub_stage {
	STAGE_PARENT,		/* the monitor was gone already */
	STAGE_MAP,
	STAGE_FDS,
	STAGE_SIGNALS,
	STAGE_PKEYS,
	STAGE_NO_NEW_PRIVS,
	STAGE_MAPPER,
	STAGE_SECCOMP,
	STAGE_DISPATCH,
	STAGE_ROOM,		/* the zygote: what the kernel has mapped can not go */
	STAGES
};

_Static_assert(offsetof(struct stub_control, fs_base) == CONTROL_FS_BASE, "CONTROL_FS_BASE");
_Static_assert(offsetof(struct stub_control, gs_base) == CONTROL_GS_BASE, "CONTROL_GS_BASE");
_Static_assert(offsetof(struct stub_control, ds) == CONTROL_DS, "CONTROL_DS");
_Static_assert(offsetof(struct stub_control, gs) == CONTROL_GS, "CONTROL_GS");
_Static_assert(offsetof(struct stub_control, count) == CONTROL_COUNT, "CONTROL_COUNT");
_Static_assert(offsetof(struct stub_control, then) == CONTROL_THEN, "CONTROL_THEN");
_Static_assert(offsetof(struct stub_control, enter) == CONTROL_ENTER, "CONTROL_ENTER");
_Static_assert(offsetof(struct stub_control, xfeatures) == CONTROL_XFEATURES, "CONTROL_XFEATURES");
_Static_assert(offsetof(struct stub_control, flags) == CONTROL_FLAGS, "CONTROL_FLAGS");
_Static_assert(offsetof(struct stub_control, iret) == CONTROL_IRET, "CONTROL_IRET");
_Static_assert(offsetof(struct stub_control, gpr) == CONTROL_GPR, "CONTROL_GPR");
_Static_assert(offsetof(struct stub_control, commands) == CONTROL_COMMANDS, "CONTROL_COMMANDS");
_Static_assert(offsetof(struct stub_control, xstate) == CONTROL_XSTATE, "CONTROL_XSTATE");
_Static_assert(sizeof(struct stub_command) == 1 << CONTROL_COMMAND_SHIFT, "CONTROL_COMMAND_SHIFT");
_Static_assert(offsetof(struct stub_command, arg[5]) == COMMAND_ARG5, "COMMAND_ARG5");
_Static_assert(sizeof(struct stub_control) == STUB_CONTROL_SIZE, "the control pages");
_Static_assert(offsetof(struct stub_record, order) == RECORD_ORDER, "RECORD_ORDER");
_Static_assert(offsetof(struct stub_record, frame) == RECORD_FRAME, "RECORD_FRAME");
_Static_assert(offsetof(struct stub_record, gs_base) == RECORD_GS_BASE, "RECORD_GS_BASE");
_Static_assert(offsetof(struct stub_record, gs) == RECORD_GS, "RECORD_GS");
_Static_assert(offsetof(struct stub_record, reason) == RECORD_REASON, "RECORD_REASON");
_Static_assert(offsetof(struct stub_record, mapper) == RECORD_MAPPER, "RECORD_MAPPER");

#endif /* !__ASSEMBLER__ */
#endif /* NATIVE_PROTOCOL_H */
