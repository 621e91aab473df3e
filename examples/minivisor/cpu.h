/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * A physical CPU: its instructions as functions, and what each one has for
 * itself (found through GS). Set up by cpu.c.
 */
#ifndef MINIVISOR_CPU_H
#define MINIVISOR_CPU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <pvm/x86.h>

#include "layout.h"

#define MAX_CPUS	16
#define CPU_STACK_SIZE	16384
#define IST_STACK_SIZE	8192

struct tss {
	uint32_t reserved0;
	uint64_t rsp[3], reserved1, ist[7], reserved2;
	uint16_t reserved3, iomap;
} __attribute__((packed));

struct vm_vcpu;
struct pvm_switcher_cpu;

struct cpu {
	struct cpu *self;		/* at GS:0 */
	uint32_t index, apic_id;
	bool online;
	uint64_t nmis, timer_ticks, kicks;
	uint64_t timer_deadline;	/* ns: when the one-shot timer is to fire; ~0: never */
	struct vm_vcpu *vcpu;		/* that it runs, or NULL */
	struct pvm_switcher_cpu *switcher;
	void *area;			/* the switcher's, PVM_SWITCHER_AREA_SIZE */
	uint64_t gdt[GDT_ENTRIES] __attribute__((aligned(64)));
	struct tss tss __attribute__((aligned(64)));
	uint8_t stack[CPU_STACK_SIZE] __attribute__((aligned(64)));
	uint8_t ist_stack[3][IST_STACK_SIZE] __attribute__((aligned(64)));
};

/* [0] is the boot CPU. cpu_count: found in the machine; all are online after smp_start(). */
extern struct cpu cpus[MAX_CPUS];
extern uint32_t cpu_count;

/* What the CPUs have, and use: set once by cpu_detect(). */
struct cpu_features {
	bool la57, pke, pcid, invpcid, smep, smap, umip, xsave, page1g;
	uint64_t xcr0;
	uint8_t maxphyaddr;
};
extern struct cpu_features cpu_features;

/* Read CPUID; says what is missing and ends if the CPU will not do. @pke, @pcid: use them. */
void cpu_detect(bool pke, bool pcid);
/* On the CPU itself: GDT, TSS, IDT, GS, CR0, CR4, EFER, XCR0. */
void cpu_init(struct cpu *cpu);

static inline struct cpu *this_cpu(void)
{
	struct cpu *cpu;

	__asm__ volatile("mov %%gs:0, %0" : "=r"(cpu));
	return cpu;
}

/* ------------------------------------------------------------------------
 * Instructions.
 */

static inline void outb(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint8_t inb(uint16_t port)
{
	uint8_t value;

	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static inline void cpuid(uint32_t leaf, uint32_t subleaf, uint32_t out[4])
{
	__asm__ volatile("cpuid" : "=a"(out[0]), "=b"(out[1]), "=c"(out[2]), "=d"(out[3])
			 : "a"(leaf), "c"(subleaf));
}

static inline uint64_t rdmsr(uint32_t index)
{
	uint32_t low, high;

	__asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(index));
	return (uint64_t)high << 32 | low;
}

static inline void wrmsr(uint32_t index, uint64_t value)
{
	__asm__ volatile("wrmsr" : : "a"((uint32_t)value), "d"((uint32_t)(value >> 32)), "c"(index)
			 : "memory");
}

static inline uint64_t rdtsc(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return (uint64_t)high << 32 | low;
}

#define CPU_CR(n)								\
	static inline uint64_t read_cr##n(void)					\
	{									\
		uint64_t value;							\
										\
		__asm__ volatile("mov %%cr" #n ", %0" : "=r"(value));		\
		return value;							\
	}									\
	static inline void write_cr##n(uint64_t value)				\
	{									\
		__asm__ volatile("mov %0, %%cr" #n : : "r"(value) : "memory");	\
	}
CPU_CR(0)
CPU_CR(2)
CPU_CR(3)
CPU_CR(4)

static inline void xsetbv(uint64_t value)
{
	__asm__ volatile("xsetbv" : : "a"((uint32_t)value), "d"((uint32_t)(value >> 32)), "c"(0));
}

static inline void invlpg(const void *va)
{
	__asm__ volatile("invlpg (%0)" : : "r"(va) : "memory");
}

static inline void cpu_relax(void)
{
	__asm__ volatile("pause" : : : "memory");
}

static inline void irq_disable(void)
{
	__asm__ volatile("cli" : : : "memory");
}

/* Let those interrupts in that wait; off again after it. */
static inline void irq_window(void)
{
	__asm__ volatile("sti; nop; cli" : : : "memory");
}

/* Until an interrupt has been handled; off before and after. */
static inline void irq_wait(void)
{
	__asm__ volatile("sti; hlt; cli" : : : "memory");
}

/* ------------------------------------------------------------------------
 * A lock. Interrupts are off wherever one is taken.
 */

struct spinlock {
	uint32_t next, owner;	/* tickets */
};

static inline void spin_lock(struct spinlock *lock)
{
	uint32_t ticket = __atomic_fetch_add(&lock->next, 1, __ATOMIC_RELAXED);

	while (__atomic_load_n(&lock->owner, __ATOMIC_ACQUIRE) != ticket)
		cpu_relax();
}

static inline void spin_unlock(struct spinlock *lock)
{
	__atomic_store_n(&lock->owner, lock->owner + 1, __ATOMIC_RELEASE);
}

#endif /* MINIVISOR_CPU_H */
