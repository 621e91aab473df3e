/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The machine's own local APICs (memory-mapped) and its time. Not to be confused
 * with the guest's, which are devices/local_apic.
 */
#ifndef MINIVISOR_APIC_H
#define MINIVISOR_APIC_H

#include <stdint.h>

/* Measure the TSC and the APIC timer against the PIT. Boot CPU, once. */
void clock_init(void);
extern uint32_t tsc_khz;

/* Nanoseconds since clock_init(); the time when the TSC gets to @tsc (now for the past). */
uint64_t clock_now(void);
uint64_t clock_tsc_time(uint64_t tsc);

/* This CPU's APIC on, everything masked. */
void apic_init_cpu(void);
uint32_t apic_id(void);
void apic_eoi(void);

/* Interrupts to other CPUs, by index. */
void apic_kick(uint32_t cpu);
void apic_nmi(uint32_t cpu);
/* INIT, then start-up at the page @vector. */
void apic_start(uint32_t apic_id, uint8_t vector);

/* This CPU's timer: VECTOR_TIMER once at @time (ns; ~0: never), or for ever @hz times a
 * second (apic_timer_at() is then ignored). */
void apic_timer_at(uint64_t time);
void apic_timer_periodic(uint32_t hz);

#endif /* MINIVISOR_APIC_H */
