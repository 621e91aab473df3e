/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * What a stub process, the zygote that clones it and the monitor agree on:
 * addresses, file descriptors, and the layout of the pages they share.
 *
 * Owns numbers and layouts only; included from assembly, from the freestanding
 * zygote and from the monitor. Never a place for code.
 *
 * Trust: the guest runs inside the stub and can jump anywhere in its text. It
 * can not write the control page; it can write every byte of the shared pages.
 */
#ifndef NATIVE_PROTOCOL_H
#define NATIVE_PROTOCOL_H

/*
 * The guest may have anything below STUB_REGION. The stub's pages lie more
 * than 4 GiB above it, because the seccomp filter compares the high halves of
 * addresses: an mmap() that starts below the region and is shorter than 4 GiB
 * can not reach them.
 */
#define STUB_REGION		0x7ffe00000000
#define STUB_REGION_END		0x7ffffffff000
#define STUB_TEXT		0x7fff80000000
#define STUB_TEXT_SIZE		0x1000
#define STUB_CONTROL		0x7fff80001000	/* read-only in the stub */
#define STUB_SHARED		0x7fff80002000	/* read-write */
#define STUB_SHARED_SIZE	0x9000
/* Room for STUB_FRAMES frames of a CPU with AVX-512 and protection keys: the
 * guest's, and one for each signal that has the handler, in case all
 * are sent at once. One that finds no room kills the stub. */
#define STUB_ALTSTACK		(STUB_SHARED + 0x1000)
#define STUB_ALTSTACK_SIZE	0x8000
#define STUB_FRAMES		8
/* Where the zygote moves the vdso before it unmaps it: the kernel keeps the
 * address, and lets 32-bit SYSCALL and SYSENTER "return" there. Intel's IRET
 * drops the upper half of that: the rest must lie where no guest has a page. */
#define STUB_VDSO_GRAVE		0x7fff00000000
#define STUB_VDSO_GRAVE_SIZE	0x100000

/* Distances of the pages from the text: all code addresses by RIP. */
#define STUB_CONTROL_OFFSET	0x1000
#define STUB_SHARED_OFFSET	0x2000

/* One stub's pages in the arena file: control, then shared. */
#define STUB_SLOT_SIZE		0xa000

/* File descriptors of the zygote ... */
#define ZYGOTE_FD_SOCKET	3	/* requests and answers */
#define ZYGOTE_FD_ARENA		4	/* the pages of all stubs */
#define STUB_FD_GUEST		5	/* guest memory: all that a stub may map */
#define ZYGOTE_FD_IMAGE		6	/* the zygote's own ELF file: the stub's text */
/* ... and, beside STUB_FD_GUEST, of a stub. */
#define STUB_FD_GO		10	/* an eventfd: the monitor says go */
#define STUB_FD_STOP		11	/* a pipe: the stub says that it has stopped */

/* The signal that ends a stub's run; SIGUSR1. */
#define STUB_SIGNAL_KICK	10

/*
 * The control page. Offsets for assembly; struct stub_control below.
 */
#define CONTROL_TURN		0	/* number of the run: what a stop message carries */
#define CONTROL_FRAME		8	/* rsp for rt_sigreturn */
#define CONTROL_FS_BASE		16
#define CONTROL_GS_BASE		24
#define CONTROL_DS		32
#define CONTROL_ES		34
#define CONTROL_FS		36
#define CONTROL_GS		38
#define CONTROL_COUNT		40	/* commands to execute before the guest */
#define CONTROL_ENTER		44	/* how to go on then */
#define CONTROL_XSTATE		48	/* address for XRSTOR, and its mask */
#define CONTROL_XFEATURES	56
#define CONTROL_RFLAGS		64
#define CONTROL_RIP		72
#define CONTROL_GPR		80	/* in encoding order */
#define CONTROL_COMMANDS	256
#define CONTROL_COMMAND_SHIFT	6
#define STUB_COMMANDS		60

#define ENTER_NOT		0	/* stop again */
#define ENTER_SIGRETURN		1	/* from the frame; RFLAGS has what that leaves alone */
#define ENTER_DIRECT		2	/* from the control page, with no system call */

/* A command: a system call, its number and six arguments. */
#define COMMAND_NR		0
#define COMMAND_ARG0		8
#define COMMAND_ARG1		16
#define COMMAND_ARG2		24
#define COMMAND_ARG3		32
#define COMMAND_ARG4		40
#define COMMAND_ARG5		48

/*
 * The first shared page. Offsets for assembly; struct stub_record below.
 */
#define RECORD_GO		0	/* what was read from STUB_FD_GO */
#define RECORD_FRAME		8	/* rsp at the start of the signal handler */
#define RECORD_FS_BASE		16
#define RECORD_GS_BASE		24
#define RECORD_DS		32	/* selectors, one per 4 bytes */
#define RECORD_ES		36
#define RECORD_FS		40
#define RECORD_GS		44
#define RECORD_REASON		48
#define RECORD_COMMAND		52	/* STOP_COMMAND: which one failed */
#define RECORD_RESULT		56	/* STOP_COMMAND: -errno */
#define RECORD_KICKED		64	/* a kick came while the stub waited */

#define STOP_SIGNAL		1	/* a signal ended the run: see the frame */
#define STOP_COMMAND		2	/* a command failed; the guest has not run */
#define STOP_COMMANDS_DONE	3	/* ENTER_NOT; all commands succeeded */
#define STOP_KICKED		4	/* a kick came before the guest could run */

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

struct stub_control {
	uint64_t turn;
	uint64_t frame;
	uint64_t fs_base, gs_base;
	uint16_t ds, es, fs, gs;
	uint32_t count;
	uint32_t enter;
	uint64_t xstate, xfeatures;
	uint64_t rflags, rip;
	uint64_t gpr[16];
	uint64_t reserved[6];
	struct stub_command commands[STUB_COMMANDS];
};

struct stub_record {
	uint64_t go;
	uint64_t frame;
	uint64_t fs_base, gs_base;
	uint32_t ds, es, fs, gs;
	uint32_t reason;
	uint32_t command;
	int64_t result;
	uint32_t kicked;
};

/* Zygote requests: struct zygote_request with the stub's two descriptors. The
 * answer is an int32_t: the stub's pid, or -errno. */
struct zygote_request {
	uint32_t slot;		/* of the arena */
	int32_t monitor;	/* the monitor's pid, which must still be the parent */
	uint32_t pkeys;		/* protection keys to allocate: 1..n */
};

/* Exit status of a stub that could not be set up: STUB_EXIT + stage. */
#define STUB_EXIT	100
enum stub_stage {
	STAGE_PARENT,		/* the monitor was gone already */
	STAGE_MAP,
	STAGE_FDS,
	STAGE_SIGNALS,
	STAGE_PKEYS,
	STAGE_NO_NEW_PRIVS,
	STAGE_SECCOMP,
	STAGE_DISPATCH,
	STAGES
};

_Static_assert(offsetof(struct stub_control, frame) == CONTROL_FRAME, "CONTROL_FRAME");
_Static_assert(offsetof(struct stub_control, fs_base) == CONTROL_FS_BASE, "CONTROL_FS_BASE");
_Static_assert(offsetof(struct stub_control, gs_base) == CONTROL_GS_BASE, "CONTROL_GS_BASE");
_Static_assert(offsetof(struct stub_control, ds) == CONTROL_DS, "CONTROL_DS");
_Static_assert(offsetof(struct stub_control, gs) == CONTROL_GS, "CONTROL_GS");
_Static_assert(offsetof(struct stub_control, count) == CONTROL_COUNT, "CONTROL_COUNT");
_Static_assert(offsetof(struct stub_control, enter) == CONTROL_ENTER, "CONTROL_ENTER");
_Static_assert(offsetof(struct stub_control, xstate) == CONTROL_XSTATE, "CONTROL_XSTATE");
_Static_assert(offsetof(struct stub_control, xfeatures) == CONTROL_XFEATURES, "CONTROL_XFEATURES");
_Static_assert(offsetof(struct stub_control, rflags) == CONTROL_RFLAGS, "CONTROL_RFLAGS");
_Static_assert(offsetof(struct stub_control, rip) == CONTROL_RIP, "CONTROL_RIP");
_Static_assert(offsetof(struct stub_control, gpr) == CONTROL_GPR, "CONTROL_GPR");
_Static_assert(offsetof(struct stub_control, commands) == CONTROL_COMMANDS, "CONTROL_COMMANDS");
_Static_assert(sizeof(struct stub_command) == 1 << CONTROL_COMMAND_SHIFT, "CONTROL_COMMAND_SHIFT");
_Static_assert(offsetof(struct stub_command, arg[5]) == COMMAND_ARG5, "COMMAND_ARG5");
_Static_assert(sizeof(struct stub_control) == 4096, "the control page");
_Static_assert(offsetof(struct stub_record, frame) == RECORD_FRAME, "RECORD_FRAME");
_Static_assert(offsetof(struct stub_record, gs_base) == RECORD_GS_BASE, "RECORD_GS_BASE");
_Static_assert(offsetof(struct stub_record, gs) == RECORD_GS, "RECORD_GS");
_Static_assert(offsetof(struct stub_record, reason) == RECORD_REASON, "RECORD_REASON");
_Static_assert(offsetof(struct stub_record, command) == RECORD_COMMAND, "RECORD_COMMAND");
_Static_assert(offsetof(struct stub_record, result) == RECORD_RESULT, "RECORD_RESULT");
_Static_assert(offsetof(struct stub_record, kicked) == RECORD_KICKED, "RECORD_KICKED");

#endif /* __ASSEMBLER__ */
#endif /* NATIVE_PROTOCOL_H */
