/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Several CPUs: all start, each interrupts each, NMIs arrive, a lock holds,
 * user mode runs everywhere at once, and a page-table change on one CPU is
 * seen on all after a flush by IPI.
 */
#include "guest.h"

#define IPI_VECTOR	0x30	/* + index of the sender */
#define ALL_VECTOR	0xa1
#define FLUSH_VECTOR	0xb1
#define DATA		USER_BASE
#define OLD		0x1111ul
#define NEW		0x2222ul
#define ROUNDS		2000
#define USER_CALLS	200
#define TIMEOUT_MS	120000		/* only a hang reaches it, however busy the machine is */

enum phase { IDLE, LOCKING, CALLING, READING, USER_MODE, DONE };

static u32 cpu_count, phase, arrived[DONE + 1];
static u32 ipis[MAX_CPUS][MAX_CPUS], broadcasts[MAX_CPUS], nmis[MAX_CPUS], flushed;
static struct spinlock lock;
static u64 counter;		/* under lock */
static u64 last_read[MAX_CPUS], wrong_reads;
static u32 user_calls[MAX_CPUS];
static user_data u8 stacks[MAX_CPUS][4096] __attribute__((aligned(16)));

USER_CODE(user_loop,
	  "1:	syscall\n"
	  "	decq	%rdi\n"
	  "	jnz	1b\n"
	  "	ud2\n");

static bool on_ipi(struct frame *frame)
{
	atomic_add(&ipis[this_cpu()->index][frame->hw.vector - IPI_VECTOR], 1);
	apic_eoi();
	return true;
}

static bool on_all(struct frame *frame)
{
	(void)frame;
	atomic_add(&broadcasts[this_cpu()->index], 1);
	apic_eoi();
	return true;
}

static bool on_nmi(struct frame *frame)
{
	(void)frame;
	atomic_add(&nmis[this_cpu()->index], 1);
	return true;
}

static bool on_flush(struct frame *frame)
{
	(void)frame;
	hc_invlpg(DATA);
	apic_eoi();
	atomic_add(&flushed, 1);
	return true;
}

static void count_under_lock(void)
{
	for (int i = 0; i < ROUNDS; i++) {
		spin_lock(&lock);
		write_once(counter, read_once(counter) + 1);
		spin_unlock(&lock);
	}
}

static void call_everyone(void)
{
	u32 me = this_cpu()->index;

	for (u32 i = 0; i < cpu_count; i++)
		if (i != me)
			apic_send(cpus[i].apic_id, IPI_VECTOR + me);
}

/* Reads DATA until the phase is over; @last_read follows. */
static void read_data(void)
{
	u32 me = this_cpu()->index;

	while (atomic_read(&phase) == READING) {
		u64 value = read_once(*(u64 *)DATA);

		if (value != OLD && value != NEW)
			__atomic_add_fetch(&wrong_reads, 1, __ATOMIC_SEQ_CST);
		__atomic_store_n(&last_read[me], value, __ATOMIC_SEQ_CST);
	}
}

static void user_mode(void)
{
	u32 me = this_cpu()->index;
	struct user u;

	user_init(&u, user_loop, (u64)stacks[me] + sizeof(stacks[me]), USER_CALLS);
	while (user_run(&u) == LEFT_BY_SYSCALL)
		user_calls[me]++;
}

static void work(u32 now)
{
	if (now == LOCKING)
		count_under_lock();
	else if (now == CALLING)
		call_everyone();
	else if (now == READING)
		read_data();
	else if (now == USER_MODE)
		user_mode();
	atomic_add(&arrived[now], 1);
}

/* What an AP runs: each phase once, with interrupts on. */
static void ap_work(void)
{
	u32 done = IDLE;

	irq_enable();
	while (done != DONE) {
		u32 now = atomic_read(&phase);

		if (now != done)
			work(now);
		else
			cpu_relax();
		done = now;
	}
}

/* Start a phase on all; the boot CPU does its part as well. */
static bool run_phase(u32 now)
{
	atomic_set(&phase, now);
	work(now);
	return wait_for(&arrived[now], cpu_count, TIMEOUT_MS);
}

static void ipis_each_to_each(void)
{
	bool all = true;

	check(run_phase(CALLING), "all CPUs have sent their IPIs");
	for (u32 to = 0; to < cpu_count; to++)
		for (u32 from = 0; from < cpu_count; from++)
			if (to != from)
				all &= wait_for(&ipis[to][from], 1, TIMEOUT_MS) && ipis[to][from] == 1;
	check(all, "each CPU got one IPI from each other");
	hc_wrmsr(MSR_X2APIC_ICR, ICR_OTHERS | ICR_ASSERT | ICR_FIXED | ALL_VECTOR);
	all = true;
	for (u32 i = 1; i < cpu_count; i++)
		all &= wait_for(&broadcasts[i], 1, TIMEOUT_MS);
	check(all && broadcasts[0] == 0, "an IPI to all but oneself reaches all but oneself");
}

static void nmi_to_each(void)
{
	bool all = true;

	for (u32 i = 1; i < cpu_count; i++) {
		apic_send_nmi(cpus[i].apic_id);
		all &= wait_for(&nmis[i], 1, TIMEOUT_MS) && nmis[i] == 1;
	}
	check(all && nmis[0] == 0, "an NMI reaches each CPU, and only that");
}

static bool everyone_reads(u64 value)
{
	u64 end = rdtsc() + TIMEOUT_MS * tsc_khz();

	for (u32 i = 1; i < cpu_count; i++)
		while (__atomic_load_n(&last_read[i], __ATOMIC_SEQ_CST) != value)
			if (rdtsc() > end)
				return false;
	return true;
}

static void shootdown(u64 new_page)
{
	u64 *pte = user_pte(&boot_space, DATA);
	bool all = true;

	atomic_set(&phase, READING);
	check(everyone_reads(OLD), "all CPUs read through the old entry");
	write_once(*pte, new_page | PTE_USER_RW);
	hc_invlpg(DATA);
	for (u32 i = 1; i < cpu_count; i++)
		apic_send(cpus[i].apic_id, FLUSH_VECTOR);
	check(wait_for(&flushed, cpu_count - 1, TIMEOUT_MS), "all CPUs have flushed");
	for (u32 i = 1; i < cpu_count; i++)	/* from here on every read must be new */
		__atomic_store_n(&last_read[i], 0, __ATOMIC_SEQ_CST);
	check(everyone_reads(NEW), "all CPUs read through the new entry");
	for (int round = 0; round < 100; round++)
		for (u32 i = 1; i < cpu_count; i++)
			all &= __atomic_load_n(&last_read[i], __ATOMIC_SEQ_CST) == NEW;
	check(all && wrong_reads == 0, "and never again through the old one");
	check_eq(*(u64 *)DATA, NEW, "the CPU that changed it, too");
	atomic_set(&phase, IDLE);
	wait_for(&arrived[READING], cpu_count - 1, TIMEOUT_MS);
}

void guest_main(void)
{
	u64 old_page = page_alloc(), new_page = page_alloc();
	u32 expected = smp_count();
	bool all = true;

	*(u64 *)phys_to_virt(old_page) = OLD;
	*(u64 *)phys_to_virt(new_page) = NEW;
	map_user(&boot_space, DATA, old_page, PTE_USER_RW);
	for (u32 i = 0; i < MAX_CPUS; i++)
		on_event((u8)(IPI_VECTOR + i), on_ipi);
	on_event(ALL_VECTOR, on_all);
	on_event(FLUSH_VECTOR, on_flush);
	on_event(VEC_NMI, on_nmi);

	cpu_count = smp_start(ap_work);
	if (cpu_count == 1) {
		skip("everything: there is only one CPU");
		return;
	}
	check_eq(cpu_count, expected, "all CPUs of the MADT start");
	for (u32 i = 0; i < cpu_count; i++)
		for (u32 j = 0; j < i; j++)
			all &= cpus[i].apic_id != cpus[j].apic_id;
	check(all, "each has an APIC id of its own");

	irq_enable();
	check(run_phase(LOCKING), "all CPUs count under a lock");
	check_eq(counter, (u64)cpu_count * ROUNDS, "and no count is lost");
	ipis_each_to_each();
	nmi_to_each();
	shootdown(new_page);
	check(run_phase(USER_MODE), "user mode runs on all CPUs at once");
	for (u32 i = 0; i < cpu_count; i++)
		all &= user_calls[i] == USER_CALLS;
	check(all, "and each system call comes to its own CPU");
	atomic_set(&phase, DONE);
	check(wait_for(&arrived[DONE], cpu_count - 1, TIMEOUT_MS), "all CPUs come to an end");
}
