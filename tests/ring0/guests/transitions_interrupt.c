/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Kinds of interrupts and NMIs: the timer's, those that the CPU sends itself, and those that
 * wait for the return to user mode. Owns their handlers and VECTOR.
 */
#include "transitions_kinds.h"

#define VECTOR 0x71
#define TIMER_NS 2000
#define SPIN_LIMIT 0x40000000u

static u32 interrupts;

/* Until an interrupt ends it; RDX at most that many times. */
USER_CODE(user_spin, "1:	decl %edx\n	jnz 1b\n	ud2\n");
PROBE(probe_spin, "771: cmpl $0, (%rdi); je 771b");
PROBE(probe_nop, "nop");

static bool count_interrupt(struct frame *frame)
{
	(void)frame;
	interrupts++;
	apic_eoi();
	return true;
}

void interrupt_init(void)
{
	on_event(VEC_NMI, count_interrupt);
	on_event(VECTOR, count_interrupt);
}

static void start_timer(void)
{
	interrupts = 0;
	hc_wrmsr(MSR_X2APIC_TIMER_DIV, TIMER_DIV_1);
	hc_wrmsr(MSR_X2APIC_LVT_TIMER, TIMER_ONE_SHOT | VECTOR);
	hc_wrmsr(MSR_X2APIC_TIMER_INIT, apic_timer_khz() * TIMER_NS / 1000000 + 1);
}

bool interrupt_user(void)
{
	struct user u, before;

	user_prepare(&u, user_spin, PATTERN(5));
	u.rdx = SPIN_LIMIT;
	before = u;
	start_timer();
	user_run_once(&u);
	before.rdx = u.rdx;
	apic_eoi();
	/* RF in the flags that an interrupt saves is the CPU's affair: a real one sets it within a
	 * repeated string instruction, QEMU since 8.2 for every interrupt. */
	return user_left_by_vector(&u, VECTOR) && u.rcx == before.rcx && u.r11 == before.r11 &&
	       user_is_whole(&u, &before, u.rip, u.rflags & ~FLAG_RF);
}

bool interrupt_supervisor(void)
{
	struct probe p;

	probe_prepare(&p);
	p.in.rdi = (u64)&interrupts;
	start_timer();
	irq_enable();
	probe_spin(&p);
	irq_disable();
	p.in.rflags = p.out.rflags;
	return interrupts == 1 && probe_is_whole(&p);
}

/* An event is pending while the guest returns to user mode. */
bool interrupt_pending(void)
{
	struct user u;
	bool ok;

	apic_send_self(VECTOR);
	user_prepare(&u, user_syscall_only, PATTERN(5));
	user_for_sysret(&u);
	ok = irq_pending() && user_event(&u, VECTOR, user_syscall_only, FLAGS);
	apic_eoi();
	__asm__ volatile(".globl interrupt_over\ninterrupt_over:\n\tnop");	/* for cost.py */
	return ok;
}

bool nmi_self(void)
{
	struct probe p;

	interrupts = 0;
	apic_send_nmi(cpus[0].apic_id);
	probe_prepare(&p);
	probe_nop(&p);
	return interrupts == 1 && probe_is_whole(&p);
}

#if SINGLE_CR3
bool return_user_nmi(void)
{
	struct user u;

	pvcs_lock();
	apic_send_nmi(cpus[0].apic_id);
	user_prepare(&u, user_syscall_only, PATTERN(5));
	user_for_sysret(&u);
	return user_event(&u, VEC_NMI, user_syscall_only, FLAGS);
}
#endif
