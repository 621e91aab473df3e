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
 *
 * Stubs come in pairs: one for supervisor mode, one for user mode. They can hand the vCPU
 * over to each other (stub.S, handover.c). The supervisor's stub reads the user's shared pages,
 * and writes the pages "handed", which the user's stub reads.
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
#define STUB_HANDED		0x7fff80004000	/* read-only: what a supervisor hands to its user */
#define STUB_HANDED_SIZE	0x3000
#define STUB_SHARED		0x7fff80007000	/* read-write */
#define STUB_SHARED_SIZE	0x9000
/* SS_AUTODISARM: stub.S says why. */
#define STUB_ALTSTACK		(STUB_SHARED + 0x1000)
#define STUB_ALTSTACK_FLAGS	0x80000000
#define STUB_ALTSTACK_SIZE	0x8000
/* In the supervisor's stub alone: the user's pages, and the PVCS. */
#define STUB_PEER_HANDED	0x7fff80010000	/* read-write */
#define STUB_PEER_SHARED	0x7fff80013000	/* read-only */
#define STUB_PVCS		0x7fff8001c000	/* read-write, once the mapper was told where it is */
#define STUB_PVCS_SIZE		0x1000
/* Where the zygote moves the vdso before it unmaps it: the kernel keeps the
 * address, and lets 32-bit SYSCALL and SYSENTER "return" there. Intel's IRET
 * drops the upper half of that: the rest must lie where no guest has a page. */
#define STUB_VDSO_GRAVE		0x7fff00000000
#define STUB_VDSO_GRAVE_SIZE	0x100000

/* Distances of the pages from the text: all code addresses by RIP. */
#define STUB_CONTROL_OFFSET	0x1000
#define STUB_HANDED_OFFSET	0x4000
#define STUB_SHARED_OFFSET	0x7000

/* One stub's pages in the arena file: control, handed, shared. */
#define SLOT_HANDED		0x3000
#define SLOT_SHARED		0x6000
#define STUB_SLOT_SIZE		0xf000

/* File descriptors of the zygote ... */
#define ZYGOTE_FD_SOCKET	3	/* requests and answers */
#define ZYGOTE_FD_ARENA		4	/* the pages of all stubs */
#define STUB_FD_GUEST		5	/* guest memory: all that a mapper may map */
#define ZYGOTE_FD_IMAGE		6	/* the zygote's own ELF file: the stub's text */
/* ... of a stub's first thread ... */
#define STUB_FD_GO		10	/* an eventfd: the monitor, or the mapper, says go */
#define STUB_FD_STOP		11	/* a pipe to the monitor */
#define STUB_FD_PEER		12	/* the go of the other stub of the pair */
/* ... and of its mapper, beside the first two and STUB_FD_GUEST. */
#define STUB_FD_ORDER		12	/* an eventfd: the monitor says that there are commands */

/* What a go adds to its eventfd. In the upper half of what is read: the monitor says so. */
#define GO_BY_MONITOR		0x100000000
#define GO_BY_PEER		1
#define GO_QUERY		0x1000000000000	/* say that you wait: all else that was said is void */
#define GO_QUERY_BIT		0x10000		/* in the upper half */

/* The signal that ends a stub's run; SIGUSR1. */
#define STUB_SIGNAL_KICK	10

/*
 * The guest's registers, to be loaded. Offsets for assembly; struct stub_registers below.
 */
#define REGISTERS_FLAGS		0	/* RFLAGS of the way in: no NT, which IRET refuses */
#define REGISTERS_IRET		8	/* rip, cs, rflags, rsp, ss */
#define REGISTERS_GPR		48	/* in encoding order */
#define REGISTERS_FS_BASE	176
#define REGISTERS_GS_BASE	184
#define REGISTERS_DS		192
#define REGISTERS_ES		194
#define REGISTERS_FS		196
#define REGISTERS_GS		198
#define REGISTERS_PKRU		200	/* for who is handed over to */

/*
 * The control page. struct stub_control below.
 */
#define CONTROL_TURN		0	/* number of the run: what a stop message carries */
#define CONTROL_REGISTERS	8
#define CONTROL_COUNT		216	/* commands for the mapper */
#define CONTROL_THEN		220	/* what it does after them */
#define CONTROL_ENTER		224	/* how the guest's thread goes on */
#define CONTROL_HANDOVER	228	/* may it go on without the monitor? */
#define CONTROL_XFEATURES	232	/* mask for XRSTOR */
#define CONTROL_HANDED_XFEATURES 240	/* the same without PKRU */
#define CONTROL_HANDED_XSTATE	248	/* address of what XRSTOR loads after a hand-over */
#define CONTROL_HAS_PKRU	256
#define CONTROL_REST		312	/* what a message says that answers GO_QUERY */
#define CONTROL_ORDER		320	/* its number; with ORDER_SETTLE no commands, but MESSAGE_SETTLED */
#define ORDER_SETTLE		0x8000000000000000
#define CONTROL_COMMANDS	512
#define CONTROL_COMMAND_SHIFT	6
#define STUB_COMMANDS		56
#define CONTROL_XSTATE		4096	/* the page behind: what XRSTOR loads */
#define CONTROL_XSTATE_SIZE	8192

#define THEN_GO			0	/* let the guest's thread go */
#define THEN_TELL		1	/* tell the monitor */

#define ENTER_IRET		0	/* by IRET, from the control page */
#define ENTER_TRACED		1	/* by INT3: a tracer sets what IRET would */
#define ENTER_BIRTH		2	/* never in the control page: the first stop, before any guest */

#define HANDOVER_NOT		0
#define HANDOVER_SUPERVISOR	1	/* this is the supervisor's stub: EVENT_RETURN_USER */
#define HANDOVER_USER		2	/* this is the user's: system calls */

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
#define MESSAGE_REST		0x2000000000000000	/* + a number: it waits; the answer to GO_QUERY */
#define MESSAGE_ERRNO_MAX	133	/* EHWPOISON */
#define MESSAGE_SETTLED		0x4000000000010000	/* the mapper's: no earlier order leads to a go */

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
#define RECORD_REGISTERS	96	/* of the supervisor's, after a hand-over */

#define STOP_SIGNAL		1	/* a signal ended the run: see the frame */
#define STOP_KICKED		2	/* a signal came before the guest could run */
#define STOP_BAD_PEER		3	/* handed over by a user's stub that honest code did not leave so */

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

struct stub_registers {
	uint64_t flags;
	struct stub_iret iret;
	uint64_t gpr[16];
	uint64_t fs_base, gs_base;
	uint16_t ds, es, fs, gs;
	uint32_t pkru, reserved;
};

struct stub_control {
	uint64_t turn;
	struct stub_registers registers;
	uint32_t count;
	uint32_t then;
	uint32_t enter;
	uint32_t handover;
	uint64_t xfeatures;
	uint64_t handed_xfeatures;
	uint64_t handed_xstate;
	uint32_t has_pkru;
	/* handover.c's. Addresses are the stub's. */
	uint32_t pkru_offset;		/* in the extended state */
	uint64_t peer_frame;		/* where the user's stub has its signal frame */
	uint64_t pvcs;
	uint64_t entry;			/* MSR_LSTAR */
	uint64_t return_next;		/* the address after EVENT_RETURN_USER's SYSCALL */
	uint32_t supervisor_pkru;
	uint32_t xstate_size;		/* bytes */
	uint32_t mxcsr_mask;
	uint16_t user_cs, user_ds;
	uint64_t rest;
	uint64_t order;
	uint64_t reserved[23];
	struct stub_command commands[STUB_COMMANDS];
	uint8_t xstate[CONTROL_XSTATE_SIZE];
};

struct stub_handed {
	struct stub_registers registers;
	uint8_t reserved[CONTROL_XSTATE - sizeof(struct stub_registers)];
	uint8_t xstate[CONTROL_XSTATE_SIZE];
};

struct stub_record {
	uint64_t go, order;
	uint64_t frame;
	uint64_t fs_base, gs_base;
	uint32_t ds, es, fs, gs;
	uint32_t reason;
	int32_t mapper;
	/* The supervisor's stub: of the run. */
	uint64_t calls, returns;	/* hand-overs to it, and by it */
	uint64_t kernel_gs_base, supervisor_rsp;
	struct stub_registers registers;
};

/* The kernel's struct rt_sigframe for 64-bit handlers, with its ucontext and
 * the part of siginfo that is of use. */
struct sigframe {
	uint64_t restorer;
	uint64_t flags, link;
	uint64_t stack_sp;
	uint32_t stack_flags, pad0;
	uint64_t stack_size;
	uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
	uint64_t rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, rflags;
	uint16_t cs, gs, fs, ss;
	uint64_t error_code, vector, old_mask, cr2;
	uint64_t xstate;	/* address of the extended state, or 0 */
	uint64_t reserved[8];
	uint64_t mask;
	struct {
		int32_t number, error, code, pad;
		uint64_t address;	/* SIGSEGV ...: si_addr; SIGSYS: si_call_addr */
		int32_t nr;		/* SIGSYS */
		uint32_t arch;		/* SIGSYS: AUDIT_ARCH_* */
		uint8_t rest[96];
	} info;
};

/* Zygote requests: struct zygote_request with the stub's four descriptors: go,
 * stop, order, peer. The answer is an int32_t: the stub's pid, or -errno. */
struct zygote_request {
	uint32_t slot;		/* of the arena: even for a supervisor's stub; its peer's is the next */
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
	STAGE_REQUEST,		/* the zygote: it can take none */
	STAGES
};

_Static_assert(offsetof(struct stub_registers, flags) == REGISTERS_FLAGS, "REGISTERS_FLAGS");
_Static_assert(offsetof(struct stub_registers, iret) == REGISTERS_IRET, "REGISTERS_IRET");
_Static_assert(offsetof(struct stub_registers, gpr) == REGISTERS_GPR, "REGISTERS_GPR");
_Static_assert(offsetof(struct stub_registers, fs_base) == REGISTERS_FS_BASE, "REGISTERS_FS_BASE");
_Static_assert(offsetof(struct stub_registers, gs_base) == REGISTERS_GS_BASE, "REGISTERS_GS_BASE");
_Static_assert(offsetof(struct stub_registers, ds) == REGISTERS_DS, "REGISTERS_DS");
_Static_assert(offsetof(struct stub_registers, gs) == REGISTERS_GS, "REGISTERS_GS");
_Static_assert(offsetof(struct stub_registers, pkru) == REGISTERS_PKRU, "REGISTERS_PKRU");
_Static_assert(offsetof(struct stub_control, registers) == CONTROL_REGISTERS, "CONTROL_REGISTERS");
_Static_assert(offsetof(struct stub_control, count) == CONTROL_COUNT, "CONTROL_COUNT");
_Static_assert(offsetof(struct stub_control, then) == CONTROL_THEN, "CONTROL_THEN");
_Static_assert(offsetof(struct stub_control, enter) == CONTROL_ENTER, "CONTROL_ENTER");
_Static_assert(offsetof(struct stub_control, handover) == CONTROL_HANDOVER, "CONTROL_HANDOVER");
_Static_assert(offsetof(struct stub_control, xfeatures) == CONTROL_XFEATURES, "CONTROL_XFEATURES");
_Static_assert(offsetof(struct stub_control, handed_xfeatures) == CONTROL_HANDED_XFEATURES, "CONTROL_HANDED_XFEATURES");
_Static_assert(offsetof(struct stub_control, handed_xstate) == CONTROL_HANDED_XSTATE, "CONTROL_HANDED_XSTATE");
_Static_assert(offsetof(struct stub_control, has_pkru) == CONTROL_HAS_PKRU, "CONTROL_HAS_PKRU");
_Static_assert(offsetof(struct stub_control, rest) == CONTROL_REST, "CONTROL_REST");
_Static_assert(offsetof(struct stub_control, order) == CONTROL_ORDER, "CONTROL_ORDER");
_Static_assert(offsetof(struct stub_control, commands) == CONTROL_COMMANDS, "CONTROL_COMMANDS");
_Static_assert(offsetof(struct stub_control, xstate) == CONTROL_XSTATE, "CONTROL_XSTATE");
_Static_assert(sizeof(struct stub_command) == 1 << CONTROL_COMMAND_SHIFT, "CONTROL_COMMAND_SHIFT");
_Static_assert(offsetof(struct stub_command, arg[5]) == COMMAND_ARG5, "COMMAND_ARG5");
_Static_assert(sizeof(struct stub_control) == STUB_CONTROL_SIZE, "the control pages");
_Static_assert(sizeof(struct stub_handed) == STUB_HANDED_SIZE, "the pages handed");
_Static_assert(offsetof(struct stub_handed, xstate) == CONTROL_XSTATE, "the same place in both");
_Static_assert(SLOT_SHARED + STUB_SHARED_SIZE == STUB_SLOT_SIZE, "a slot");
_Static_assert(offsetof(struct stub_record, order) == RECORD_ORDER, "RECORD_ORDER");
_Static_assert(offsetof(struct stub_record, frame) == RECORD_FRAME, "RECORD_FRAME");
_Static_assert(offsetof(struct stub_record, gs_base) == RECORD_GS_BASE, "RECORD_GS_BASE");
_Static_assert(offsetof(struct stub_record, gs) == RECORD_GS, "RECORD_GS");
_Static_assert(offsetof(struct stub_record, reason) == RECORD_REASON, "RECORD_REASON");
_Static_assert(offsetof(struct stub_record, mapper) == RECORD_MAPPER, "RECORD_MAPPER");
_Static_assert(offsetof(struct stub_record, registers) == RECORD_REGISTERS, "RECORD_REGISTERS");
_Static_assert(offsetof(struct sigframe, r8) == 48, "ucontext");
_Static_assert(offsetof(struct sigframe, info) == 312, "siginfo");
_Static_assert(offsetof(struct sigframe, rip) == SIGFRAME_RIP, "SIGFRAME_RIP");
_Static_assert(offsetof(struct sigframe, info.code) == SIGFRAME_CODE, "SIGFRAME_CODE");
_Static_assert(sizeof(((struct sigframe *)0)->info) == 128, "siginfo");

#endif /* !__ASSEMBLER__ */
#endif /* NATIVE_PROTOCOL_H */
