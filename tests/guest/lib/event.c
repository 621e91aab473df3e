/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The C side of events in supervisor mode: find the handler, or the TRY()
 * that asked for the exception, or end the guest with its registers.
 */
#include "event.h"

#include "check.h"
#include "console.h"
#include "cpu.h"
#include "insn.h"
#include "interrupt.h"

struct trap trap = { .vector = NO_TRAP };
u16 supervisor_cs, supervisor_ss;
bool return_by_hypervisor;
u8 lock_at_event;

static event_handler handlers[256];

struct ex_entry {
	u64 insn, next;
};
extern const struct ex_entry ex_table_start[], ex_table_end[];

event_handler on_event(u8 vector, event_handler handler)
{
	event_handler old = handlers[vector];

	handlers[vector] = handler;
	return old;
}

/* A trap's RIP is after the instruction, a fault's is at it. */
static bool is_trap(u32 vector)
{
	return vector == VEC_BP || vector == VEC_OF || vector == VEC_DB || vector >= 32;
}

static bool fix_up(struct frame *frame)
{
	u32 vector = frame->hw.vector;

	if (vector == VEC_GP && frame->hw.rip == (u64)retu_syscall) {
		frame->hw.rip = (u64)user_return_refused;
		if (SINGLE_CR3)
			frame->hw.rsp = this_cpu()->supervisor_rsp;
		return true;
	}
	for (const struct ex_entry *ex = ex_table_start; ex < ex_table_end; ex++) {
		if (frame->hw.rip != ex->insn && !(is_trap(vector) && frame->hw.rip == ex->next))
			continue;
		trap.errcode = frame->hw.errcode;
		trap.rip = frame->hw.rip;
		trap.cr2 = vector == VEC_PF ? pvcs()->cr2 : 0;
		trap.insn = ex->insn;
		trap.next = ex->next;
		trap.frame_at = (u64)&frame->hw;
		trap.frame = *frame;
		write_once(trap.vector, (int)vector);
		frame->hw.rip = ex->next;
		frame->hw.rflags &= ~(u64)FLAG_RF;
		return true;
	}
	return false;
}

void supervisor_exception(struct frame *frame)
{
	event_handler handler = frame->hw.vector < 32 ? handlers[frame->hw.vector] : NULL;

	if (handler && handler(frame))
		return;
	if (!fix_up(frame))
		die(frame, "exception in supervisor mode");
}

void supervisor_interrupt(struct frame *frame)
{
	event_handler handler = frame->hw.vector < 256 ? handlers[frame->hw.vector] : NULL;

	if (handler && handler(frame))
		return;
	if (frame->hw.vector != VEC_SYSCALL32 || !fix_up(frame))
		die(frame, "interrupt without a handler");
}

void event_unlocked(u8 lock, const struct frame *frame)
{
	struct frame nmi = frame ? *frame : (struct frame){ .hw.rip = (u64)user_return_refused };

	if (!(lock & LOCK_NMI))
		return;
	nmi.hw.vector = VEC_NMI;
	nmi.hw.errcode = 0;
	supervisor_exception(&nmi);
}

bool supervisor_event(struct frame *frame, u8 lock)
{
	u32 vector = frame->hw.vector;

	lock_at_event = lock;
	event_unlocked(lock, frame);
	if (vector < 32)
		supervisor_exception(frame);
	else
		supervisor_interrupt(frame);
	irq_disable();
	if (return_by_hypervisor || vector == VEC_NMI || frame->hw.rflags & (FLAG_RF | FLAG_TF))
		return true;
	if (frame->hw.rflags & FLAG_IF) {
		if (irq_pending())	/* taken when this frame is off the stack */
			return true;
		irq_enable();
	}
	return false;
}

noreturn void die(const struct frame *frame, const char *why)
{
	const struct pvm_supervisor_frame *hw = &frame->hw;

	printf("%s: vector %u, error code %#x, cr2 %#lx\n", why, hw->vector, hw->errcode, pvcs()->cr2);
	printf("rip %#016lx rsp %#016lx flags %#lx\n", hw->rip, hw->rsp, hw->rflags);
	printf("rax %#016lx rbx %#016lx rcx %#016lx rdx %#016lx\n", frame->rax, frame->rbx, hw->rcx,
	       frame->rdx);
	printf("rsi %#016lx rdi %#016lx rbp %#016lx r8  %#016lx\n", frame->rsi, frame->rdi, frame->rbp,
	       frame->r8);
	guest_exit(1);
}

void event_init_cpu(void)
{
	guest_assert(hc_wrmsr(MSR_PVM_EVENT_ENTRY, (u64)event_entry) == 0);
	guest_assert(hc_wrmsr(MSR_PVM_RETU_RIP, (u64)retu_syscall) == 0);
	guest_assert(hc_wrmsr(MSR_PVM_RETS_RIP, (u64)rets_syscall) == 0);
	guest_assert(hc_wrmsr(MSR_LSTAR, (u64)syscall_entry) == 0);
	if (!SINGLE_CR3)
		guest_assert(hc_wrmsr(MSR_PVM_SUPERVISOR_REDZONE, 0) == 0);
}
