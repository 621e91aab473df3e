/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* xAPIC registers (SDM vol. 3, 10.4), and the PIT as the one clock of known speed. */
#include "apic.h"

#include "cpu.h"
#include "memory.h"
#include "print.h"
#include "trap.h"

#define APIC_PHYS	0xfee00000ull
#define APIC_ID		0x020
#define APIC_TPR	0x080
#define APIC_EOI	0x0b0
#define APIC_SVR	0x0f0
#define APIC_ICR	0x300
#define APIC_ICR_HIGH	0x310
#define APIC_LVT_TIMER	0x320
#define APIC_LVT_LINT0	0x350
#define APIC_LVT_LINT1	0x360
#define APIC_LVT_ERROR	0x370
#define APIC_INITIAL	0x380
#define APIC_CURRENT	0x390
#define APIC_DIVIDE	0x3e0

#define SVR_ENABLE	(1u << 8)
#define LVT_MASKED	(1u << 16)
#define LVT_PERIODIC	(1u << 17)
#define DIVIDE_BY_1	0xbu
#define ICR_NMI		(4u << 8)
#define ICR_INIT	(5u << 8)
#define ICR_STARTUP	(6u << 8)
#define ICR_ASSERT	(1u << 14)
#define ICR_PENDING	(1u << 12)

#define PIT_HZ		1193182ull
#define PIT_CHANNEL2	0x42
#define PIT_COMMAND	0x43
#define PIT_GATE	0x61
#define PIT_TICKS	(PIT_HZ / 500)	/* 2 ms */
#define MEASURE_MAX	50
#define NS_PER_S	1000000000ull
#define INIT_DELAY_NS	10000000ull
#define STARTUP_DELAY_NS 200000ull

uint32_t tsc_khz;
static uint64_t tsc_start;
static uint64_t timer_hz;		/* APIC timer ticks */
static uint32_t storm_hz;

static volatile uint32_t *apic_register(unsigned offset)
{
	return phys_to_virt(APIC_PHYS + offset);
}

static uint32_t apic_read(unsigned offset)
{
	return *apic_register(offset);
}

static void apic_write(unsigned offset, uint32_t value)
{
	*apic_register(offset) = value;
}

uint32_t apic_id(void)
{
	return apic_read(APIC_ID) >> 24;
}

void apic_eoi(void)
{
	apic_write(APIC_EOI, 0);
}

void apic_init_cpu(void)
{
	apic_write(APIC_SVR, SVR_ENABLE | VECTOR_SPURIOUS);
	apic_write(APIC_TPR, 0);
	apic_write(APIC_LVT_LINT0, LVT_MASKED);
	apic_write(APIC_LVT_LINT1, LVT_MASKED);
	apic_write(APIC_LVT_ERROR, LVT_MASKED);
	apic_write(APIC_DIVIDE, DIVIDE_BY_1);
	apic_write(APIC_LVT_TIMER, VECTOR_TIMER);
	apic_write(APIC_INITIAL, 0);
}

static void send(uint32_t id, uint32_t command)
{
	apic_write(APIC_ICR_HIGH, id << 24);
	apic_write(APIC_ICR, command);
	while (apic_read(APIC_ICR) & ICR_PENDING)
		cpu_relax();
}

void apic_kick(uint32_t cpu)
{
	send(cpus[cpu].apic_id, VECTOR_KICK);
}

void apic_nmi(uint32_t cpu)
{
	send(cpus[cpu].apic_id, ICR_NMI);
}

static void delay(uint64_t ns)
{
	uint64_t until = clock_now() + ns;

	while (clock_now() < until)
		cpu_relax();
}

void apic_start(uint32_t id, uint8_t vector)
{
	send(id, ICR_INIT | ICR_ASSERT);
	delay(INIT_DELAY_NS);
	send(id, ICR_STARTUP | vector);
	delay(STARTUP_DELAY_NS);
}

/* ------------------------------------------------------------------------
 * Time.
 */

/* Count TSC and APIC timer ticks while the PIT counts PIT_TICKS. They begin before it does
 * and end after it: being interrupted makes a measurement too long, never too short. */
static void measure(uint64_t *tsc, uint64_t *timer)
{
	outb(PIT_GATE, (inb(PIT_GATE) & 0xfc) | 1);	/* gate on, speaker off */
	outb(PIT_COMMAND, 0xb0);			/* channel 2, mode 0, both bytes */
	outb(PIT_CHANNEL2, PIT_TICKS & 0xff);
	apic_write(APIC_INITIAL, ~0u);
	*tsc = rdtsc();
	outb(PIT_CHANNEL2, PIT_TICKS >> 8);		/* starts it */
	while (!(inb(PIT_GATE) & 0x20))
		;
	*tsc = rdtsc() - *tsc;
	*timer = ~0u - apic_read(APIC_CURRENT);
	apic_write(APIC_INITIAL, 0);
}

/* The least counts, once it has been measured twice (to 1 in 256). */
void clock_init(void)
{
	uint64_t best_tsc = ~0ull, best_timer = ~0ull, tsc, timer;
	bool again = false;
	int i;

	apic_write(APIC_LVT_TIMER, LVT_MASKED | VECTOR_TIMER);
	for (i = 0; i < MEASURE_MAX && !again; i++) {
		measure(&tsc, &timer);
		again = i && tsc - tsc / 256 < best_tsc && best_tsc - best_tsc / 256 < tsc;
		best_tsc = tsc < best_tsc ? tsc : best_tsc;
		best_timer = timer < best_timer ? timer : best_timer;
	}
	apic_write(APIC_LVT_TIMER, VECTOR_TIMER);
	tsc_khz = (uint32_t)(best_tsc * PIT_HZ / PIT_TICKS / 1000);
	timer_hz = best_timer * PIT_HZ / PIT_TICKS;
	if (!tsc_khz || !timer_hz)
		fail("TSC or APIC timer stand still");
	tsc_start = rdtsc();
}

/* @value * @numerator / @denominator without overflow in between. */
static uint64_t scale(uint64_t value, uint64_t numerator, uint64_t denominator)
{
	return value / denominator * numerator + value % denominator * numerator / denominator;
}

uint64_t clock_now(void)
{
	return scale(rdtsc() - tsc_start, 1000000, tsc_khz);
}

uint64_t clock_tsc_time(uint64_t tsc)
{
	uint64_t now = rdtsc(), time = clock_now();

	return tsc <= now ? time : time + scale(tsc - now, 1000000, tsc_khz);
}

void apic_timer_at(uint64_t time)
{
	struct cpu *cpu = this_cpu();
	uint64_t now, ticks;

	cpu->timer_deadline = time;
	if (storm_hz)
		return;
	if (time == ~0ull) {
		apic_write(APIC_INITIAL, 0);
		return;
	}
	now = clock_now();
	ticks = time > now ? scale(time - now, timer_hz, NS_PER_S) + 1 : 1;
	apic_write(APIC_INITIAL, ticks < ~0u ? (uint32_t)ticks : ~0u);
}

void apic_timer_periodic(uint32_t hz)
{
	storm_hz = hz;
	apic_write(APIC_LVT_TIMER, LVT_PERIODIC | VECTOR_TIMER);
	apic_write(APIC_INITIAL, (uint32_t)(timer_hz / hz));
}
