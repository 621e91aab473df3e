/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The PVM interrupt flag and the local APIC (x2APIC, by MSRs). Owns the
 * protocol for IF and IP in the PVCS; the handlers are event.c's.
 *
 * spec: PVCS::event_flags
 */
#ifndef GUEST_INTERRUPT_H
#define GUEST_INTERRUPT_H

#include "cpu.h"
#include "insn.h"
#include "types.h"

/* Clear IF: a plain store, no trap. */
static inline void irq_disable(void)
{
	__asm__ volatile("andq %0, %%gs:%c1" : : "i"(~PVM_EVENT_FLAGS_IF), "i"(CPU_PVCS) : "memory", "cc");
}

/* Set IF, and tell the hypervisor if something came in while it was clear. */
static inline void irq_enable(void)
{
	__asm__ volatile("orq %0, %%gs:%c1" : : "i"(PVM_EVENT_FLAGS_IF), "i"(CPU_PVCS) : "memory", "cc");
	if (pvcs()->event_flags & PVM_EVENT_FLAGS_IP)
		hc_irq_win();
}

static inline bool irq_enabled(void)
{
	return pvcs()->event_flags & PVM_EVENT_FLAGS_IF;
}

static inline bool irq_pending(void)
{
	return pvcs()->event_flags & PVM_EVENT_FLAGS_IP;
}

static inline u64 irq_save(void)
{
	u64 enabled = irq_enabled();

	irq_disable();
	return enabled;
}

static inline void irq_restore(u64 enabled)
{
	if (enabled)
		irq_enable();
}

/* ICR delivery modes and shorthands. */
#define ICR_FIXED	(0 << 8)
#define ICR_NMI		(4 << 8)
#define ICR_LOGICAL	(1 << 11)
#define ICR_ASSERT	(1 << 14)
#define ICR_SELF	(1 << 18)
#define ICR_ALL		(2 << 18)
#define ICR_OTHERS	(3 << 18)

#define SPURIOUS_VECTOR	0xff

#define TIMER_ONE_SHOT	(0 << 17)
#define TIMER_PERIODIC	(1 << 17)
#define TIMER_DEADLINE	(2 << 17)
#define TIMER_MASKED	(1 << 16)
#define TIMER_DIV_1	0xb
#define TIMER_DIV_16	0x3

/* Software-enables the running CPU's APIC. */
void apic_init_cpu(void);
u32 apic_id(void);
void apic_eoi(void);
/* @vector 32..255 to the CPU with this APIC id. */
void apic_send(u32 apic_id, u32 vector);
void apic_send_self(u32 vector);
void apic_send_nmi(u32 apic_id);

/* Frequencies from CPUID 0x40000010, or a sane guess. */
u64 tsc_khz(void);
u64 apic_timer_khz(void);
/* Busy-waits. */
void delay_us(u64 us);
/* Busy-waits until *p reaches n; false after @timeout_ms. */
bool wait_for(const u32 *p, u32 n, u64 timeout_ms);

#endif /* GUEST_INTERRUPT_H */
