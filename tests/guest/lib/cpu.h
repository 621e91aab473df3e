/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * What each CPU has for itself, found through its GS base: the PVCS, an event
 * stack, its number. Owned by boot.c.
 */
#ifndef GUEST_CPU_H
#define GUEST_CPU_H

#include "abi.h"
#include "layout.h"
#include "types.h"

#define MAX_CPUS 64
#define CPU_STACK_SIZE (16 * KiB)

struct cpu {
	struct guest_pvcs pvcs;
	struct cpu *self;
	u64 stack_top;
	u64 supervisor_rsp, user_rsp, entry_rsp, entry_rcx, entry_r11;	/* event_single.h */
	u32 apic_id;
	u32 index;		/* 0 boots, the others as smp.c starts them */
	u32 online;
	void (*run)(void);	/* an AP's work, smp.c */
} __attribute__((aligned(256)));

_Static_assert(offsetof(struct cpu, pvcs) == CPU_PVCS, "layout.h");
_Static_assert(offsetof(struct cpu, self) == CPU_SELF, "layout.h");
_Static_assert(offsetof(struct cpu, stack_top) == CPU_STACK_TOP, "layout.h");
_Static_assert(offsetof(struct cpu, supervisor_rsp) == CPU_SUPERVISOR_RSP, "layout.h");
_Static_assert(offsetof(struct cpu, user_rsp) == CPU_USER_RSP, "layout.h");
_Static_assert(offsetof(struct cpu, entry_rsp) == CPU_ENTRY_RSP, "layout.h");
_Static_assert(offsetof(struct cpu, entry_rcx) == CPU_ENTRY_RCX, "layout.h");
_Static_assert(offsetof(struct cpu, entry_r11) == CPU_ENTRY_R11, "layout.h");
_Static_assert(sizeof(struct cpu) == 256, "a PVCS must not cross a page");

extern struct cpu cpus[MAX_CPUS];

static inline struct cpu *this_cpu(void)
{
	struct cpu *cpu;

	__asm__ volatile("movq %%gs:%c1, %0" : "=r"(cpu) : "i"(CPU_SELF));
	return cpu;
}

/* The running CPU's PVCS. */
static inline volatile struct guest_pvcs *pvcs(void)
{
	return &this_cpu()->pvcs;
}

/*
 * Single CR3's lock, the high byte of event_vector. While it is held no event may
 * come in supervisor mode, and an NMI only leaves its bit. Taken before the PVCS is
 * filled, given back after it was read; the bits that were there are returned.
 */
#define LOCK_STD	(PVM_SC_VECTOR_STD >> 8)
#define LOCK_NMI	(PVM_SC_VECTOR_NMI >> 8)

static inline void pvcs_lock(void)
{
	__asm__ volatile("lock orb %0, %%gs:%c1" : : "i"(LOCK_STD),
			 "i"(CPU_PVCS + OF_PVCS(EVENT_VECTOR) + 1) : "memory", "cc");
}

static inline u8 pvcs_unlock(void)
{
	u8 bits = 0;

	__asm__ volatile("xchgb %0, %%gs:%c1" : "+q"(bits)
			 : "i"(CPU_PVCS + OF_PVCS(EVENT_VECTOR) + 1) : "memory");
	return bits;
}

#endif /* GUEST_CPU_H */
