/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * What each CPU has for itself, found through its GS base: the PVCS, an event
 * stack, its number. Owned by boot.c.
 */
#ifndef GUEST_CPU_H
#define GUEST_CPU_H

#include <pvm/abi.h>

#include "layout.h"
#include "types.h"

#define MAX_CPUS 8
#define CPU_STACK_SIZE (16 * KiB)

struct cpu {
	struct pvm_vcpu_struct pvcs;
	struct cpu *self;
	u64 stack_top;
	u32 apic_id;
	u32 index;		/* 0 boots, the others as smp.c starts them */
	u32 online;
	void (*run)(void);	/* an AP's work, smp.c */
} __attribute__((aligned(256)));

_Static_assert(offsetof(struct cpu, pvcs) == CPU_PVCS, "layout.h");
_Static_assert(offsetof(struct cpu, self) == CPU_SELF, "layout.h");
_Static_assert(offsetof(struct cpu, stack_top) == CPU_STACK_TOP, "layout.h");
_Static_assert(sizeof(struct cpu) == 256, "a PVCS must not cross a page");

extern struct cpu cpus[MAX_CPUS];

static inline struct cpu *this_cpu(void)
{
	struct cpu *cpu;

	__asm__ volatile("movq %%gs:%c1, %0" : "=r"(cpu) : "i"(CPU_SELF));
	return cpu;
}

/* The running CPU's PVCS. */
static inline volatile struct pvm_vcpu_struct *pvcs(void)
{
	return &this_cpu()->pvcs;
}

#endif /* GUEST_CPU_H */
