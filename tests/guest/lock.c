/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Single CR3's lock, the high byte of event_vector: who sets it, who clears it,
 * and what an NMI does that finds it held. An event that finds it held in
 * supervisor mode ends the VM: tests/hostile has those.
 *
 * docs/decisions/110-single-cr3.md
 */
#include "guest.h"

#define VECTOR 0x52

static u32 nmis, ticks;
static struct frame seen;

USER_CODE(user_syscall_only, "	syscall\n	ud2\n");
USER_CODE(user_ud, "	ud2\n");

static bool on_nmi(struct frame *frame)
{
	nmis++;
	seen = *frame;
	return true;
}

static bool on_tick(struct frame *frame)
{
	(void)frame;
	ticks++;
	apic_eoi();
	return true;
}

static void send_nmi(void)
{
	apic_send_nmi(this_cpu()->apic_id);
}

static u8 lock_now(void)
{
	return pvcs()->event_vector >> 8;
}

/* spec: SC-015, SC-016, SC-017 */
static void user_mode(void)
{
	struct user u;

	run_user(&u, user_syscall_only, 0);
	check_eq(u.lock, LOCK_STD, "user mode with the lock: EVENT_RETURN_USER and SYSCALL leave it");
	run_user(&u, user_ud, 0);
	check(user_left_by_vector(&u, VEC_UD), "user mode with the lock: an exception is delivered");
	check_eq(u.lock, LOCK_STD, "and STD is set, as before");
	user_init(&u, user_syscall_only, user_stack_top(), 0);
	u.unlocked = true;
	user_run(&u);
	check_eq(u.lock, 0, "user mode without the lock: SYSCALL does not take it");
	user_init(&u, user_ud, user_stack_top(), 0);
	u.unlocked = true;
	user_run(&u);
	check_eq(u.lock, LOCK_STD, "user mode without the lock: an exception does");
}

/* spec: SC-016 */
static void kept_in_supervisor_mode(void)
{
	volatile struct guest_pvcs *p = pvcs();
	u64 rip = 0x123456789000, flags = p->event_flags;
	u8 lock;

	nmis = 0;
	pvcs_lock();
	p->rip = rip;
	p->event_vector = PVM_SC_VECTOR_STD | 0x77;
	send_nmi();
	send_nmi();
	delay_us(200);
	lock = lock_now();
	check_eq(nmis, 0, "locked: an NMI is not delivered");
	check_eq(lock, LOCK_STD | LOCK_NMI, "locked: its bit is set, beside STD");
	check(p->rip == rip && (p->event_vector & 0xff) == 0x77 && p->event_flags == flags,
	      "locked: and nothing else changes");
	check_eq(hc_rdmsr(MSR_LSTAR), (u64)syscall_entry, "locked: hypercalls work");
	check_eq(pvcs_unlock(), LOCK_STD | LOCK_NMI, "a guest that unlocks finds the bit");
	delay_us(200);
	check_eq(nmis, 0, "which is then its own to look at");
	send_nmi();
	wait_for(&nmis, 1, 5000);
	check_eq(nmis, 1, "unlocked: the next NMI is delivered");
}

/* spec: SC-016, SC-018 */
static void injected_by_return_to_user(void)
{
	struct user u;

	nmis = 0;
	pvcs_lock();
	send_nmi();
	send_nmi();
	user_init(&u, user_syscall_only, user_stack_top(), 0x5a5a);
	user_run_once(&u);
	check(user_left_by_vector(&u, VEC_NMI), "EVENT_RETURN_USER delivers a kept NMI");
	check_eq(u.rip, (u64)user_syscall_only, "before user mode's first instruction");
	check(u.rdi == 0x5a5a && u.rsp == user_stack_top() - 8, "with its registers");
	check_eq(u.lock, LOCK_STD, "and the NMI's bit is gone");
	user_run_once(&u);
	check_eq(u.left_by, LEFT_BY_SYSCALL, "two of them are one");
	check_eq(nmis, 0, "none came in supervisor mode");
}

static bool lock_and_send(struct frame *frame)
{
	pvcs_lock();
	send_nmi();
	frame->hw.rip += 2;
	return true;
}

/* spec: SC-016, SC-020, SC-021 */
static void injected_by_return_to_supervisor(void)
{
	extern char lock_after_ud[];

	nmis = 0;
	return_by_hypervisor = true;
	on_event(VEC_UD, lock_and_send);
	__asm__ volatile("ud2\n.globl lock_after_ud\nlock_after_ud: nop" ::: "memory");
	on_event(VEC_UD, NULL);
	return_by_hypervisor = false;
	check_eq(nmis, 1, "EVENT_RETURN_SUPERVISOR delivers a kept NMI");
	check_eq(seen.hw.rip, (u64)lock_after_ud, "at the instruction that it returns to");
	check_eq(lock_at_event, LOCK_STD, "with STD, and without its own bit");
	check_eq(lock_now(), 0, "and the lock is free afterwards");
}

/* The guest's own return: the library looks at the bit when it unlocks. */
static void seen_to_by_the_guest(void)
{
	struct user u;

	nmis = 0;
	user_init(&u, user_syscall_only, user_stack_top(), 0);
	u.unlocked = true;
	user_run_once(&u);
	pvcs_lock();
	send_nmi();
	event_unlocked(pvcs_unlock(), NULL);
	check_eq(nmis, 1, "a guest can see to a kept NMI by itself");
}

/* spec: SC-016 */
static void interrupts(void)
{
	irq_disable();
	ticks = 0;
	pvcs_lock();
	apic_send_self(VECTOR);
	delay_us(200);
	check(irq_pending() && lock_now() == LOCK_STD, "locked, IF clear: an interrupt only sets IP");
	pvcs_unlock();
	irq_enable();
	check_eq(ticks, 1, "unlocked, IF set: it is delivered");
	irq_disable();
}

void guest_main(void)
{
	on_event(VEC_NMI, on_nmi);
	on_event(VECTOR, on_tick);
	user_mode();
	kept_in_supervisor_mode();
	injected_by_return_to_user();
	injected_by_return_to_supervisor();
	seen_to_by_the_guest();
	interrupts();
}
