/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The interrupt flag and the pending flag in the PVCS, IRQ_WIN, STI and CLI,
 * and the two ways to sleep.
 *
 * spec: PVCS::event_flags; PVM_HC_IRQ_WIN; PVM_HC_IRQ_HLT
 */
#include "guest.h"

#define VECTOR_A 0x51
#define VECTOR_B 0x61

static u32 count_a, count_b;
static u8 order[8];
static u32 orders;

static bool on_a(struct frame *frame)
{
	(void)frame;
	count_a++;
	order[orders++ % sizeof(order)] = VECTOR_A;
	apic_eoi();
	return true;
}

static bool on_b(struct frame *frame)
{
	(void)frame;
	count_b++;
	order[orders++ % sizeof(order)] = VECTOR_B;
	apic_eoi();
	return true;
}

USER_CODE(user_spin,
	  "1:	movl	count_seen(%rip), %eax\n"
	  "	testl	%eax, %eax\n"
	  "	jz	1b\n"
	  "	syscall\n"
	  "	ud2\n");

/* spec: C-050, C-054, C-055, C-056, C-221 */
static void pending_while_clear(void)
{
	irq_disable();
	apic_send_self(VECTOR_A);
	delay_us(100);
	check_eq(count_a, 0, "IF clear: no interrupt is delivered");
	check(irq_pending(), "IF clear: IP is set");
	pvcs()->event_flags |= PVM_EVENT_FLAGS_IF;
	hc_irq_win();
	check_eq(count_a, 1, "IRQ_WIN delivers it");
	check(!irq_pending(), "IRQ_WIN clears IP");
	check(irq_enabled(), "IF is set after the handler has returned");
	hc_irq_win();
	check_eq(count_a, 1, "IRQ_WIN with nothing pending delivers nothing");
}

static void immediate_when_set(void)
{
	u32 before = count_a;

	irq_enable();
	apic_send_self(VECTOR_A);
	check(wait_for(&count_a, before + 1, 5000), "IF set: an interrupt is delivered at once");
	check(!irq_pending(), "IF set: IP stays clear");
}

/* spec: C-032 */
static void sti_and_cli(void)
{
	u32 before = count_a;

	__asm__ volatile("cli" ::: "memory");
	check(!irq_enabled(), "CLI clears IF in the PVCS");
	apic_send_self(VECTOR_A);
	check_eq(count_a, before, "after CLI nothing is delivered");
	__asm__ volatile("sti; nop" ::: "memory");
	check_eq(count_a, before + 1, "STI delivers what was pending");
	check(irq_enabled(), "STI sets IF in the PVCS");
	check(!irq_pending(), "and IP is clear");
}

static void priorities(void)
{
	u32 before = count_b;

	irq_disable();
	orders = 0;
	apic_send_self(VECTOR_A);
	apic_send_self(VECTOR_B);
	apic_send_self(VECTOR_A);	/* the second of a kind is merged */
	irq_enable();
	check_eq(count_b, before + 1, "two vectors pending: both are delivered");
	check(orders == 2 && order[0] == VECTOR_B && order[1] == VECTOR_A, "the higher vector first");
}

static u32 deepest, depth;

static bool on_a_reenabling(struct frame *frame)
{
	(void)frame;
	depth++;
	if (depth > deepest)
		deepest = depth;
	if (depth == 1) {
		apic_send_self(VECTOR_B);
		irq_enable();
		irq_disable();
	}
	depth--;
	apic_eoi();
	return true;
}

static void interrupt_in_a_handler(void)
{
	u32 before = count_b;

	on_event(VECTOR_A, on_a_reenabling);
	irq_enable();
	apic_send_self(VECTOR_A);
	check(wait_for(&count_b, before + 1, 5000), "a handler that sets IF is interrupted");
	check(irq_enabled(), "and IF is set again at the end");
	on_event(VECTOR_A, on_a);
}

/* spec: C-033, C-051 */
static void always_in_user_mode(void)
{
	struct user u;

	irq_disable();
	count_a = 0;
	apic_send_self(VECTOR_A);
	user_init(&u, user_spin, user_stack_top(), 0);
	user_run_once(&u);
	check(user_left_by_vector(&u, VECTOR_A), "IF clear: user mode is interrupted all the same");
	check(!irq_pending(), "EVENT_RETURN_USER clears IP");
	apic_eoi();
}

/* spec: C-222 */
static void hypercall_halt(void)
{
	u32 before = count_a;

	irq_disable();
	apic_send_self(VECTOR_A);
	hc_irq_hlt();
	check_eq(count_a, before + 1, "IRQ_HLT with an interrupt pending: delivered, no sleep");
	check(irq_enabled(), "IRQ_HLT sets IF");
	check(!irq_pending(), "IRQ_HLT clears IP");
}

/* Ticks for good: one that comes before the sleep must not be the last. */
static void start_timer(u64 period_us)
{
	hc_wrmsr(MSR_X2APIC_TIMER_DIV, TIMER_DIV_1);
	hc_wrmsr(MSR_X2APIC_LVT_TIMER, TIMER_PERIODIC | VECTOR_A);
	hc_wrmsr(MSR_X2APIC_TIMER_INIT, period_us * apic_timer_khz() / 1000);
}

static void sleeping(void)
{
	u32 before = count_a;
	u64 start = rdtsc();

	irq_disable();
	start_timer(20000);
	hc_irq_hlt();
	check(count_a > before, "IRQ_HLT sleeps until the timer");
	check(rdtsc() - start > 15 * tsc_khz(), "and not shorter than it takes");
	before = count_a;
	__asm__ volatile("hlt" ::: "memory");
	check(count_a > before, "HLT with IF set sleeps until the timer");
	hc_wrmsr(MSR_X2APIC_TIMER_INIT, 0);
}

user_data u32 count_seen;

void guest_main(void)
{
	on_event(VECTOR_A, on_a);
	on_event(VECTOR_B, on_b);
	pending_while_clear();
	immediate_when_set();
	sti_and_cli();
	priorities();
	interrupt_in_a_handler();
	always_in_user_mode();
	hypercall_halt();
	sleeping();
}
