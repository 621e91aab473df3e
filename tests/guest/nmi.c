/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * NMIs: delivered whatever IF is, masked until one of the two returns, and at
 * most one pending.
 *
 * spec: NMI shadow mask
 */
#include "guest.h"

static u32 nmis;
static bool (*in_handler)(struct frame *frame);
static struct frame seen;

USER_CODE(user_syscall_only, "	syscall\n	ud2\n");

static bool on_nmi(struct frame *frame)
{
	nmis++;
	seen = *frame;
	return in_handler ? in_handler(frame) : true;
}

static void send_nmi(void)
{
	apic_send_nmi(this_cpu()->apic_id);
}

/* Sends one with @handler's work done in the first handler only. */
static void nmi_with(bool (*handler)(struct frame *frame))
{
	nmis = 0;
	in_handler = handler;
	send_nmi();
	wait_for(&nmis, 1, 5000);
	in_handler = NULL;
}

static u32 nmis_before_return;

static bool send_two(struct frame *frame)
{
	(void)frame;
	in_handler = NULL;
	send_nmi();
	send_nmi();
	delay_us(200);
	nmis_before_return = nmis;
	return true;
}

static bool hypercalls_only(struct frame *frame)
{
	(void)frame;
	in_handler = NULL;
	send_nmi();
	hc_irq_win();
	hc_tlb_flush_current();
	hc_rdmsr(MSR_LSTAR);
	delay_us(200);
	nmis_before_return = nmis;
	return true;
}

static bool nested_return(struct frame *frame)
{
	(void)frame;
	in_handler = NULL;
	send_nmi();
	return_by_hypervisor = true;
	TRY("ud2");	/* its handler ends with EVENT_RETURN_SUPERVISOR */
	return_by_hypervisor = false;
	nmis_before_return = nmis;
	return true;
}

/* Single CR3: the handler of the exception returns without the hypervisor. */
static bool nested_return_of_its_own(struct frame *frame)
{
	(void)frame;
	in_handler = NULL;
	send_nmi();
	TRY("ud2");
	delay_us(200);
	nmis_before_return = nmis;
	return true;
}

static struct user user;

static bool return_to_user(struct frame *frame)
{
	(void)frame;
	in_handler = NULL;
	send_nmi();
	user_init(&user, user_syscall_only, user_stack_top(), 0);
	user_run_once(&user);
	return true;
}

static void delivery(void)
{
	irq_disable();
	nmi_with(NULL);
	check_eq(nmis, 1, "IF clear: an NMI is delivered");
	check_eq(seen.hw.vector, VEC_NMI, DUAL_OR_SINGLE("its vector is 2, in the frame on the stack",
						  "its vector is 2, in PVCS::event_vector"));
	check_eq(seen.hw.errcode, 0, "without an error code");
	check(!(seen.hw.rflags & FLAG_IF), "the saved RFLAGS has IF clear");
	check_eq(seen.entry_rcx, (u64)event_entry + ENTRY_SUPERVISOR_EXCEPTION,
		 DUAL_OR_SINGLE("it enters at MSR_PVM_EVENT_ENTRY+256",
				"it enters at MSR_PVM_EVENT_ENTRY+512"));
	check(!irq_pending(), "an NMI does not set IP");
	irq_enable();
	nmi_with(NULL);
	check_eq(nmis, 1, "IF set: an NMI is delivered");
	check(seen.hw.rflags & FLAG_IF, "the saved RFLAGS has IF set");
	check(irq_enabled(), "and IF is set again after the return");
	irq_disable();
}

/* spec: C-047, C-048 */
static void masking(void)
{
	nmi_with(send_two);
	check_eq(nmis_before_return, 1, "in the handler no second NMI is delivered");
	check_eq(nmis, 2, "after EVENT_RETURN_SUPERVISOR one is, of two that were sent");
	nmi_with(NULL);
	check_eq(nmis, 1, "and none is left over");
	nmi_with(hypercalls_only);
	check_eq(nmis_before_return, 1, "hypercalls do not unmask");
	check_eq(nmis, 2, "the return does");
	nmi_with(nested_return);
	check_eq(nmis_before_return, 2, "the return from an exception in the handler unmasks");
	if (SINGLE_CR3) {	/* spec: SC-019 */
		nmi_with(nested_return_of_its_own);
		check_eq(nmis_before_return, 1, "a return that needs no hypervisor does not");
		check_eq(nmis, 2, "the handler's own does");
	}
	nmi_with(return_to_user);
	check(user_left_by_vector(&user, VEC_NMI), "EVENT_RETURN_USER unmasks: user mode gets the NMI");
	check_eq(user.rip, (u64)user_syscall_only, "before its first instruction");
	nmi_with(NULL);
	check_eq(nmis, 1, "and NMIs come again");
}

void guest_main(void)
{
	on_event(VEC_NMI, on_nmi);
	delivery();
	masking();
}
