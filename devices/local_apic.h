/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Local APICs in x2APIC mode and the bus between them: priorities, EOI, IPIs,
 * NMIs and the timer (one-shot, periodic, TSC-deadline), reached by RDMSR and
 * WRMSR. Intel SDM vol. 3, chapter 10.
 *
 * Freestanding; time, locking and waking come from the host's callbacks. Knows
 * nothing of vCPUs: the host moves a vector from here to the CPU with
 * local_apic_pending() and local_apic_accept().
 *
 * Not there, by choice: xAPIC (memory-mapped) mode, level-triggered
 * interrupts, and what INIT, start-up and SMI messages would do: they are
 * accepted and have no effect (APs start by the ACPI mailbox).
 */
#ifndef DEVICES_LOCAL_APIC_H
#define DEVICES_LOCAL_APIC_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* MSR numbers. SDM vol. 3, table 10-6 */
#define APIC_MSR_FIRST		0x800
#define APIC_MSR_LAST		0x8ff
#define APIC_MSR_ID		0x802
#define APIC_MSR_VERSION	0x803
#define APIC_MSR_TPR		0x808
#define APIC_MSR_PPR		0x80a
#define APIC_MSR_EOI		0x80b
#define APIC_MSR_LDR		0x80d
#define APIC_MSR_SVR		0x80f
#define APIC_MSR_ISR		0x810	/* eight of each */
#define APIC_MSR_TMR		0x818
#define APIC_MSR_IRR		0x820
#define APIC_MSR_ESR		0x828
#define APIC_MSR_ICR		0x830
#define APIC_MSR_LVT_TIMER	0x832
#define APIC_MSR_LVT_THERMAL	0x833
#define APIC_MSR_LVT_PERF	0x834
#define APIC_MSR_LVT_LINT0	0x835
#define APIC_MSR_LVT_LINT1	0x836
#define APIC_MSR_LVT_ERROR	0x837
#define APIC_MSR_INITIAL_COUNT	0x838
#define APIC_MSR_CURRENT_COUNT	0x839
#define APIC_MSR_DIVIDE		0x83e
#define APIC_MSR_SELF_IPI	0x83f
#define APIC_MSR_TSC_DEADLINE	0x6e0

#define APIC_SVR_ENABLE		(1u << 8)
#define APIC_LVT_MASKED		(1u << 16)
#define APIC_LVT_TIMER_SHIFT	17
#define APIC_TIMER_ONE_SHOT	0u
#define APIC_TIMER_PERIODIC	1u
#define APIC_TIMER_TSC_DEADLINE	2u
#define APIC_ICR_MODE_SHIFT	8
#define APIC_MODE_FIXED		0u
#define APIC_MODE_LOWEST	1u
#define APIC_MODE_SMI		2u
#define APIC_MODE_NMI		4u
#define APIC_MODE_INIT		5u
#define APIC_MODE_STARTUP	6u
#define APIC_ICR_LOGICAL	(1u << 11)
#define APIC_ICR_SHORTHAND_SHIFT 18
#define APIC_SHORTHAND_NONE	0u
#define APIC_SHORTHAND_SELF	1u
#define APIC_SHORTHAND_ALL	2u
#define APIC_SHORTHAND_OTHERS	3u
#define APIC_BROADCAST		0xffffffffu
#define APIC_ESR_SEND_VECTOR	(1u << 5)
#define APIC_ESR_RECEIVE_VECTOR	(1u << 6)

#define APIC_VERSION		0x00050014u	/* version 0x14, LVT entries 0..5 */
#define APIC_LVT_ENTRIES	6
#define APIC_TIMER_HZ		1000000000ull	/* before the divider */
#define APIC_TIMER_MIN_PERIOD	50000ull	/* ns: shorter periods are stretched */
#define APIC_NEVER		UINT64_MAX

struct local_apic;

struct local_apic_ops {
	/* Monotonic time, nanoseconds. */
	uint64_t (*now)(void *host);
	/* The time, as now() counts, when the TSC gets to @tsc; in the past for a past value. */
	uint64_t (*tsc_time)(void *host, uint64_t tsc);
	/* One lock for the whole bus. The other callbacks run under it. */
	void (*lock)(void *host);
	void (*unlock)(void *host);
	/* Something became pending in the APIC @id: make its CPU look. */
	void (*kick)(void *host, uint32_t id);
	/* Call local_apic_bus_tick() at @time (ns; APIC_NEVER: not at all). */
	void (*set_timer)(void *host, uint64_t time);
};

/* All the APICs of a machine, ids 0..count-1. */
struct local_apic_bus {
	const struct local_apic_ops *ops;
	void *host;
	struct local_apic *apics;
	uint32_t count;
	uint64_t timer;			/* what set_timer() was last called with */
};

struct local_apic {
	struct local_apic_bus *bus;
	uint32_t id;
	atomic_bool attention;		/* an NMI or a bit of irr is there: read without the lock */
	bool nmi;
	uint32_t irr[8], isr[8];
	uint32_t tpr, svr;
	uint32_t esr, esr_next;		/* visible; collected since the last write to ESR */
	uint64_t icr;
	uint32_t lvt[APIC_LVT_ENTRIES];	/* from APIC_MSR_LVT_TIMER */
	uint32_t initial_count, divide;
	uint64_t tsc_deadline;		/* as written; 0: not armed */
	uint64_t expires;		/* ns; APIC_NEVER: the timer stands still */
};

/**
 * local_apic_bus_init - make a machine's APICs, in reset state.
 * @apics: @count of them, overwritten; must outlive the bus.
 * @ops, @host: must outlive it too.
 */
void local_apic_bus_init(struct local_apic_bus *bus, struct local_apic *apics, uint32_t count,
			 const struct local_apic_ops *ops, void *host);

/**
 * local_apic_read, local_apic_write - RDMSR and WRMSR of APIC_MSR_FIRST ..
 * APIC_MSR_LAST and of APIC_MSR_TSC_DEADLINE, by the APIC's own CPU.
 * Return false where the instruction raises #GP: no such register, a register
 * of the other direction, a reserved bit.
 */
bool local_apic_read(struct local_apic *apic, uint32_t msr, uint64_t *value);
bool local_apic_write(struct local_apic *apic, uint32_t msr, uint64_t value);

/* Is it worth asking the two functions below? Takes no lock. */
bool local_apic_attention(const struct local_apic *apic);

/* The vector to deliver now (16..255), or -1. Does not change anything. */
int local_apic_pending(struct local_apic *apic);

/* The CPU takes the @vector that local_apic_pending() said: in service until EOI. */
void local_apic_accept(struct local_apic *apic, uint8_t vector);

/* Takes a pending NMI: true once for each time there was one. */
bool local_apic_take_nmi(struct local_apic *apic);

/*
 * The two as pvm_host_ops::events and ::event_taken want them: what waits, as PVM_WAITS_*
 * bits with the interrupt's vector, for a CPU with this CR8; and what was taken.
 */
uint32_t local_apic_waits(struct local_apic *apic, uint64_t cr8, uint8_t *vector);
void local_apic_taken(struct local_apic *apic, uint32_t waits, uint8_t vector);

/* A device of the host raises an edge-triggered interrupt. */
void local_apic_raise(struct local_apic *apic, uint8_t vector);

/* CR8, which is bits 7:4 of TPR. @cr8: 0..15. */
uint64_t local_apic_get_cr8(struct local_apic *apic);
void local_apic_set_cr8(struct local_apic *apic, uint64_t cr8);

/* The time told to set_timer() has come (or not yet: harmless). */
void local_apic_bus_tick(struct local_apic_bus *bus);

#endif /* DEVICES_LOCAL_APIC_H */
