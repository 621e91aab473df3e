/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The APIC timer in its three modes, in supervisor and in user mode. Lower
 * bounds of times are strict; upper ones are not checked, hosts are busy.
 */
#include "guest.h"

#define VECTOR 0x71

static u32 ticks;

static bool on_tick(struct frame *frame)
{
	(void)frame;
	ticks++;
	apic_eoi();
	return true;
}

USER_CODE(user_wait,
	  "1:	movl	(%rdi), %eax\n"
	  "	cmpl	$0, %eax\n"
	  "	je	1b\n"
	  "	syscall\n"
	  "	ud2\n");

static u64 ticks_of_us(u64 us)
{
	return us * apic_timer_khz() / 1000;
}

static void start(u32 mode, u64 us)
{
	ticks = 0;
	hc_wrmsr(MSR_X2APIC_TIMER_DIV, TIMER_DIV_1);
	hc_wrmsr(MSR_X2APIC_LVT_TIMER, mode | VECTOR);
	hc_wrmsr(MSR_X2APIC_TIMER_INIT, ticks_of_us(us));
}

static void stop(void)
{
	hc_wrmsr(MSR_X2APIC_TIMER_INIT, 0);
	hc_wrmsr(MSR_X2APIC_LVT_TIMER, TIMER_MASKED | VECTOR);
	irq_enable();	/* drain what is pending */
	delay_us(1000);
}

static void one_shot(void)
{
	u64 before = rdtsc();

	start(TIMER_ONE_SHOT, 3000);
	check(wait_for(&ticks, 1, 5000), "one-shot: it fires");
	check((rdtsc() - before) * 1000 / tsc_khz() >= 2900, "one-shot: not too early");
	delay_us(8000);
	check_eq(ticks, 1, "one-shot: once");
	check_eq(hc_rdmsr(MSR_X2APIC_TIMER_CUR), 0, "one-shot: the count is 0 afterwards");
}

static void counting(void)
{
	u64 first, second;

	start(TIMER_ONE_SHOT | TIMER_MASKED, 1000000);
	first = hc_rdmsr(MSR_X2APIC_TIMER_CUR);
	delay_us(1000);
	second = hc_rdmsr(MSR_X2APIC_TIMER_CUR);
	check(first > second && first <= ticks_of_us(1000000), "the current count goes down");
	check(first - second >= ticks_of_us(900), "by the frequency that CPUID says");
	check_eq(hc_rdmsr(MSR_X2APIC_TIMER_INIT), ticks_of_us(1000000), "the initial count reads back");
	stop();
	check_eq(hc_rdmsr(MSR_X2APIC_TIMER_CUR), 0, "an initial count of 0 stops it");
}

static void masked(void)
{
	start(TIMER_ONE_SHOT | TIMER_MASKED, 500);
	delay_us(3000);
	check_eq(ticks, 0, "masked: no interrupt");
	stop();
}

static void divided(void)
{
	u64 before;

	ticks = 0;
	hc_wrmsr(MSR_X2APIC_TIMER_DIV, TIMER_DIV_16);
	hc_wrmsr(MSR_X2APIC_LVT_TIMER, TIMER_ONE_SHOT | VECTOR);
	before = rdtsc();
	hc_wrmsr(MSR_X2APIC_TIMER_INIT, ticks_of_us(500));
	check(wait_for(&ticks, 1, 5000), "divided by 16: it fires");
	check((rdtsc() - before) * 1000 / tsc_khz() >= 16 * 500 - 200, "divided by 16: 16 times later");
	stop();
}

static void periodic(void)
{
	u64 before = rdtsc();
	u32 seen;

	start(TIMER_PERIODIC, 2000);
	check(wait_for(&ticks, 5, 5000), "periodic: it fires again and again");
	check((rdtsc() - before) * 1000 / tsc_khz() >= 5 * 2000 - 200, "periodic: at its period");
	stop();
	seen = ticks;
	delay_us(5000);
	check_eq(ticks, seen, "periodic: an initial count of 0 ends it");
}

static void deadline(void)
{
	u64 at;

	if (!(pvm_cpuid(1, 0).ecx & (1 << 24))) {
		skip("TSC deadline: CPUID does not offer it");
		return;
	}
	ticks = 0;
	hc_wrmsr(MSR_X2APIC_LVT_TIMER, TIMER_DEADLINE | VECTOR);
	at = rdtsc() + 100000 * tsc_khz();
	check_eq(hc_wrmsr(MSR_TSC_DEADLINE, at), 0, "TSC deadline: written");
	check_eq(hc_rdmsr(MSR_TSC_DEADLINE), at, "TSC deadline: reads back while armed");
	at = rdtsc() + 3 * tsc_khz();
	hc_wrmsr(MSR_TSC_DEADLINE, at);
	check(wait_for(&ticks, 1, 5000), "TSC deadline: it fires");
	check(rdtsc() >= at, "TSC deadline: not too early");
	check_eq(hc_rdmsr(MSR_TSC_DEADLINE), 0, "TSC deadline: reads 0 once it fired");
	hc_wrmsr(MSR_TSC_DEADLINE, 1);
	check(wait_for(&ticks, 2, 5000), "TSC deadline: one in the past fires at once");
	ticks = 0;
	hc_wrmsr(MSR_TSC_DEADLINE, rdtsc() + 100 * tsc_khz());
	hc_wrmsr(MSR_TSC_DEADLINE, 0);
	delay_us(120000);
	check_eq(ticks, 0, "TSC deadline: 0 disarms it");
	stop();
}

/* A user program that only ends when the timer interrupted it. */
static user_data u32 user_flag;

static bool on_tick_for_user(struct frame *frame)
{
	user_flag = (frame->hw.cs & 3) == 3;
	return on_tick(frame);
}

static void in_user_mode(void)
{
	struct user u;

	on_event(VECTOR, on_tick_for_user);
	irq_disable();
	start(TIMER_PERIODIC, 1000);
	run_user(&u, user_wait, (u64)&user_flag);
	check_eq(u.left_by, LEFT_BY_SYSCALL, "user mode is interrupted and goes on");
	check(ticks >= 1, "by the timer");
	stop();
	on_event(VECTOR, on_tick);
}

void guest_main(void)
{
	on_event(VECTOR, on_tick);
	irq_enable();
	one_shot();
	counting();
	masked();
	divided();
	periodic();
	deadline();
	in_user_mode();
}
