/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The hand-over of a vCPU between the two stubs of a pair, in the stub's text: what the engine
 * does at a user's system call and at EVENT_RETURN_USER, to the byte, where both are plain.
 * Whatever is not is a stop for the monitor, with nothing changed.
 *
 * Runs in the guest's threads, as part of the signal handler, with signals blocked. Nothing of
 * the user's stub is believed but as registers of the user's own; a user program can call the
 * functions here with any registers, in its own stub, where there is nothing to find.
 *
 * The numbers are those of dual CR3. spec: User SYSCALL event, EVENT_RETURN_USER, PVCS
 */
#include <linux/audit.h>
#include <stdbool.h>

#include <pvm/abi.h>
#include <pvm/x86.h>

#include "protocol.h"

#define SIGNAL_SYS		31
#define SYS_DISPATCH		2	/* siginfo's code: Syscall User Dispatch */
#define MXCSR			24	/* FXSAVE area, SDM vol. 1, 10.5.1 */
#define XSTATE_BV		512	/* XSAVE header, 13.4.2 */
#define XSAVE_HEADER_END	576
#define XFEATURE_PKRU		(1ull << 9)
#define PKRU_KEY0_DENIED	1u
#define USER_END		(1ull << 47)

#define CONTROL ((const struct stub_control *)STUB_CONTROL)
#define RECORD ((struct stub_record *)STUB_SHARED)
#define PEER_RECORD ((const struct stub_record *)STUB_PEER_SHARED)
#define PEER_HANDED ((struct stub_handed *)STUB_PEER_HANDED)

int stub_hand_over(const struct sigframe *frame);
int stub_take_over(void);

#define FIELD(type, at) (*(volatile type *)(CONTROL->pvcs + (at)))	/* M6: each access is one */

static inline uint64_t canonical(uint64_t address)
{
	return (uint64_t)((int64_t)(address << 16) >> 16);
}

/* S2 */
static inline uint64_t sane(uint64_t rflags)
{
	return (rflags & PVM_RFLAGS_GUEST) | PVM_RFLAGS_IF | PVM_RFLAGS_FIXED;
}

/* As nearly all programs have them: others are for the monitor to judge. */
static inline bool segments_are_plain(const struct stub_record *record)
{
	return (record->ds == 0 || record->ds == CONTROL->user_ds) &&
	       (record->es == 0 || record->es == CONTROL->user_ds) && !(record->fs | record->gs);
}

/* What XRSTOR does not refuse. */
static inline bool xstate_is_good(const uint8_t *x)
{
	const uint64_t *header = (const uint64_t *)(const void *)(x + XSTATE_BV);
	uint64_t reserved = 0;
	unsigned i;

	for (i = 1; i < (XSAVE_HEADER_END - XSTATE_BV) / 8; i++)
		reserved |= header[i];
	return !reserved && !(header[0] & ~CONTROL->xfeatures) &&
	       !(*(const uint32_t *)(const void *)(x + MXCSR) & ~CONTROL->mxcsr_mask);
}

static inline uint32_t pkru_of(const uint8_t *x)
{
	if (!(*(const uint64_t *)(const void *)(x + XSTATE_BV) & XFEATURE_PKRU))
		return 0;
	return *(const uint32_t *)(const void *)(x + CONTROL->pkru_offset);
}

/* All but rcx, r11 and rsp. */
static inline void take_registers(struct stub_registers *to, const struct sigframe *frame,
				  const struct stub_record *record)
{
	to->flags = PVM_RFLAGS_FIXED;
	to->gpr[PVM_RAX] = frame->rax;
	to->gpr[PVM_RDX] = frame->rdx;
	to->gpr[PVM_RBX] = frame->rbx;
	to->gpr[PVM_RBP] = frame->rbp;
	to->gpr[PVM_RSI] = frame->rsi;
	to->gpr[PVM_RDI] = frame->rdi;
	to->gpr[PVM_R8] = frame->r8;
	to->gpr[PVM_R9] = frame->r9;
	to->gpr[PVM_R10] = frame->r10;
	to->gpr[PVM_R12] = frame->r12;
	to->gpr[PVM_R13] = frame->r13;
	to->gpr[PVM_R14] = frame->r14;
	to->gpr[PVM_R15] = frame->r15;
	to->fs_base = canonical(record->fs_base);
	to->ds = (uint16_t)record->ds;
	to->es = (uint16_t)record->es;
	to->fs = to->gs = 0;
}

static inline void go_to(struct stub_registers *to, uint64_t rip, uint64_t rflags, uint64_t rsp)
{
	to->gpr[PVM_RSP] = rsp;
	to->iret.rip = rip;
	to->iret.cs = CONTROL->user_cs;
	to->iret.rflags = rflags;
	to->iret.rsp = rsp;
	to->iret.ss = CONTROL->user_ds;
}

/* EVENT_RETURN_USER, in the supervisor's stub. abi/pvm/syscall.h, pvm_dialect_return_user() */
static inline int return_user(const struct sigframe *frame)
{
	struct stub_registers *to = &PEER_HANDED->registers;
	const void *from = (const void *)frame->xstate;
	uint64_t rip, count = CONTROL->xstate_size / 8;
	void *x = PEER_HANDED->xstate;
	uint32_t pkru;

	if (FIELD(uint64_t, PVCS_EVENT_FLAGS) & PVM_EVENT_FLAGS_IP)
		return false;
	if (FIELD(uint16_t, PVCS_USER_CS) != CONTROL->user_cs ||
	    FIELD(uint16_t, PVCS_USER_SS) != CONTROL->user_ds)	/* S4 */
		return false;
	rip = FIELD(uint64_t, PVCS_RIP);
	pkru = FIELD(uint32_t, PVCS_PKRU);
	if (rip >= USER_END || (CONTROL->has_pkru && (pkru & PKRU_KEY0_DENIED)) ||	/* S1 */
	    !xstate_is_good(from))
		return false;
	__asm__ volatile("rep movsq" : "+D"(x), "+S"(from), "+c"(count) : : "memory");
	if (CONTROL->has_pkru) {	/* S11: the supervisor's is not the user's to see */
		*(uint32_t *)(void *)(PEER_HANDED->xstate + CONTROL->pkru_offset) = pkru;
		*(uint64_t *)(void *)(PEER_HANDED->xstate + XSTATE_BV) |= XFEATURE_PKRU;
	}
	take_registers(to, frame, RECORD);
	go_to(to, rip, sane(FIELD(uint32_t, PVCS_EFLAGS)), FIELD(uint64_t, PVCS_RSP));
	to->gpr[PVM_RCX] = FIELD(uint64_t, PVCS_RCX);
	to->gpr[PVM_R11] = FIELD(uint64_t, PVCS_R11);
	to->gs_base = canonical(FIELD(uint64_t, PVCS_USER_GSBASE));
	to->pkru = pkru;
	RECORD->kernel_gs_base = canonical(RECORD->gs_base);
	RECORD->supervisor_rsp = frame->rsp;
	RECORD->returns++;
	return true;
}

/* May the other stub go on, with what is in the frame and the record? */
int stub_hand_over(const struct sigframe *frame)
{
	if (frame->info.number != SIGNAL_SYS || frame->info.code != SYS_DISPATCH ||
	    frame->info.arch != AUDIT_ARCH_X86_64 || frame->cs != CONTROL->user_cs ||
	    !segments_are_plain(RECORD))
		return false;
	if (CONTROL->handover == HANDOVER_USER)
		return true;
	return frame->rip == CONTROL->return_next && return_user(frame);
}

/* A user's system call, in the supervisor's stub. abi/pvm/mode.h, pvm_mode_enter_supervisor().
 * False: no honest user's stub hands over so. */
int stub_take_over(void)
{
	const struct sigframe *user = (const struct sigframe *)CONTROL->peer_frame;
	const uint8_t *x = (const uint8_t *)CONTROL->handed_xstate;
	struct stub_registers *to = &RECORD->registers;
	uint64_t rip, rflags;

	if (!xstate_is_good(x) || !segments_are_plain(PEER_RECORD))
		return false;
	rip = canonical(user->rip);
	rflags = sane(user->rflags);
	FIELD(uint16_t, PVCS_USER_CS) = CONTROL->user_cs;
	FIELD(uint16_t, PVCS_USER_SS) = CONTROL->user_ds;
	FIELD(uint64_t, PVCS_USER_GSBASE) = canonical(PEER_RECORD->gs_base);
	FIELD(uint32_t, PVCS_EFLAGS) = (uint32_t)rflags;
	FIELD(uint64_t, PVCS_RIP) = rip;
	FIELD(uint64_t, PVCS_RCX) = rip;
	FIELD(uint64_t, PVCS_R11) = rflags;
	FIELD(uint64_t, PVCS_RSP) = user->rsp;
	if (CONTROL->has_pkru)	/* S11 */
		FIELD(uint32_t, PVCS_PKRU) = pkru_of(x);
	take_registers(to, user, PEER_RECORD);
	go_to(to, CONTROL->entry, PVM_RFLAGS_IF | PVM_RFLAGS_FIXED, RECORD->supervisor_rsp);
	to->gpr[PVM_RCX] = CONTROL->entry;
	to->gpr[PVM_R11] = PVM_RFLAGS_IF | PVM_RFLAGS_FIXED;
	to->gs_base = RECORD->kernel_gs_base;
	to->pkru = CONTROL->supervisor_pkru;
	RECORD->calls++;
	return true;
}
