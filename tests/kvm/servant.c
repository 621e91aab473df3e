/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* The guest of servant.h, in both dialects. */
#include "guest.h"

#include "servant.h"

#define LARGE_BASE	(USER_BASE + (1ul << 39))
#define SPREAD_BASE	(USER_BASE + (1ul << 40))
#define FAR_BASE	(USER_BASE + (3ul << 39))

/* ORDER_KICK: the second CPU is to halt, does so, and has gone on. */
enum rest { REST_NONE, REST_WANTED, REST_HALTED, REST_OVER };

#define A_WHILE		(1u << 16)
#define LONG		(1u << 24)

_Static_assert(MAX_CPUS <= SERVANT_CPUS, "servant_box has a row for each");

static struct servant_box box;
static volatile u64 irqs;

static bool on_irq(struct frame *frame)
{
	(void)frame;
	irqs = irqs + 1;
	apic_eoi();
	return true;
}

static bool on_higher(struct frame *frame)
{
	u64 i, before;

	(void)frame;
	for (i = 0; box.order == ORDER_MASKED && i < box.count; i++)
		apic_send_self(SERVANT_VECTOR);
	before = irqs;
	if (box.order == ORDER_END) {
		apic_send_self(SERVANT_VECTOR);
		irq_enable();
	}
	box.result = irqs == before;
	apic_eoi();
	box.result = box.result && irqs == before + 1;
	irq_disable();
	return true;
}

static void nest_irqs(void)
{
	irq_disable();
	apic_send_self(SERVANT_HIGHER);
	irq_enable();
	irq_disable();
}

static void late_deadline(void)
{
	u64 before = irqs;

	irq_enable();
	hc_wrmsr(MSR_X2APIC_LVT_TIMER, TIMER_DEADLINE | SERVANT_VECTOR);
	hc_wrmsr(MSR_TSC_DEADLINE, 1);
	box.result = irqs == before + 1;
	irq_disable();
}

static void wait_for_irqs(void)
{
	irq_disable();
	while (irqs < box.count) {
		hc_irq_hlt();
		irq_disable();
	}
	box.result = irqs;
}

static volatile u64 *word_of(u64 gpa, bool large)
{
	return (volatile u64 *)((large ? LARGE_BASE : USER_BASE) + gpa);
}

static void map_region(void)
{
	u64 offset;

	map_user_range(&boot_space, USER_BASE + REGION, REGION, REGION_SIZE, PTE_USER_RW);
	for (offset = 0; offset < REGION_SIZE; offset += 2 * MiB)
		map_user_large(&boot_space, LARGE_BASE + REGION + offset, REGION + offset, 2, PTE_USER_RW);
}

static void write_pages(void)
{
	u64 i;

	for (i = 0; i < box.count; i++)
		*word_of(box.gpa + i * PAGE_SIZE, box.large) = box.value + i * box.step;
}

static void check_pages(void)
{
	u64 i, found;

	box.result = 0;
	for (i = 0; i < box.count; i++) {
		found = *word_of(box.gpa + i * PAGE_SIZE, box.large);
		if (found != box.value + i * box.step && !box.result++)
			box.wrong = found;
	}
}

/* A table for each address. */
static void spread(void)
{
	static u64 mapped;
	u64 i;

	for (; mapped < box.count; mapped++)
		map_user(&boot_space, SPREAD_BASE + mapped * 2 * MiB, box.gpa, PTE_USER_RW);
	box.result = 0;
	for (i = 0; i < box.count; i++)
		box.result += *(volatile u64 *)(SPREAD_BASE + i * 2 * MiB) != box.value;
}

static void far_page(void)
{
	volatile u64 *word = (volatile u64 *)FAR_BASE;

	map_user(&boot_space, FAR_BASE, box.gpa, PTE_USER_RW);
	hc_invlpg(FAR_BASE);
	box.result = *word;
	*word = box.value;
}

static bool rest_is(enum rest rest)
{
	return __atomic_load_n(&box.rest, __ATOMIC_ACQUIRE) == rest;
}

static void rest_becomes(enum rest rest)
{
	__atomic_store_n(&box.rest, rest, __ATOMIC_RELEASE);
}

/* As long as the second CPU is at @rest, but not without end. */
static void wait_at(enum rest rest, u32 turns)
{
	for (; turns && rest_is(rest); turns--)
		cpu_relax();
}

static void kick(void)
{
	bool sleeps;

	rest_becomes(REST_WANTED);
	wait_at(REST_WANTED, LONG);
	wait_at(REST_HALTED, A_WHILE);
	sleeps = rest_is(REST_HALTED);
	hypercall(box.gpa, 0, box.count, 0, 0);
	wait_at(REST_HALTED, LONG);
	box.result = sleeps && rest_is(REST_OVER);
	if (!box.result)	/* so that it can be stopped */
		apic_send((u32)box.count, SERVANT_VECTOR);
}

static void rest(void)
{
	rest_becomes(REST_HALTED);
	hc_irq_hlt();
	irq_disable();
	rest_becomes(REST_OVER);
}

/* Adds to its own word of each page, which it alone changes. */
static void hammer(void)
{
	unsigned cpu = this_cpu()->index, p;
	volatile u64 *stop = (volatile u64 *)&box.stop;

	while (!*stop) {
		if (cpu == 1 && rest_is(REST_WANTED))
			rest();
		for (p = 0; p < HAMMER_PAGES; p++) {
			volatile u64 *word = word_of(REGION + p * PAGE_SIZE, false) + HAMMER_WORD * cpu;

			if (*word != box.added[cpu][p])
				__atomic_fetch_add(&box.lost, 1, __ATOMIC_RELAXED);
			*word = ++box.added[cpu][p];
		}
	}
	__atomic_fetch_add(&box.stopped, 1, __ATOMIC_RELEASE);
}

static void stop(void)
{
	__atomic_store_n(&box.stop, 1, __ATOMIC_RELEASE);
	while (__atomic_load_n(&box.stopped, __ATOMIC_ACQUIRE) != smp_count() - 1)
		cpu_relax();
	box.result = box.lost;
}

/* Only a guest that has been in user mode has its hypercalls answered in the switcher. */
USER_CODE(user_nothing, "	syscall\n	ud2\n");

static void visit_user_mode(void)
{
	struct user user;

	user_init(&user, user_nothing, user_stack_top(), 0);
	user_run_once(&user);
}

void guest_main(void)
{
	on_event(SERVANT_VECTOR, on_irq);
	on_event(SERVANT_HIGHER, on_higher);
	map_region();
	visit_user_mode();
	for (;;) {
		outl(SERVANT_PORT, (u32)virt_to_phys(&box));
		__asm__ volatile("" : : "r"(&box) : "memory");	/* the order came meanwhile */
		switch (box.order) {
		case ORDER_WRITE:
			write_pages();
			break;
		case ORDER_CHECK:
			check_pages();
			break;
		case ORDER_SPREAD:
			spread();
			break;
		case ORDER_FAR:
			far_page();
			break;
		case ORDER_IRQS:
			wait_for_irqs();
			break;
		case ORDER_OUT:
			if (box.count == 1)
				outb((u16)box.gpa, (u8)box.value);
			else
				outl((u16)box.gpa, (u32)box.value);
			break;
		case ORDER_WRMSR:
			box.result = (u64)hc_wrmsr((u32)box.gpa, box.value);
			break;
		case ORDER_END:
		case ORDER_MASKED:
			nest_irqs();
			break;
		case ORDER_LATE:
			late_deadline();
			break;
		case ORDER_HYPERCALL:
			box.result = hypercall(box.gpa, box.count, box.value, box.step, box.large);
			break;
		case ORDER_KICK:
			kick();
			break;
		case ORDER_START:
			box.result = smp_start(hammer);
			break;
		case ORDER_STOP:
			stop();
			break;
		default:
			guest_exit(1);
		}
	}
}
