/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* The other CPUs: how many there are, and how they start. */
#ifndef MINIVISOR_SMP_H
#define MINIVISOR_SMP_H

/* Fill cpus[] and cpu_count from the machine's ACPI tables. */
void smp_find(void);

/* Bring all CPUs of cpus[] up; each then calls @main with interrupts off, set up like
 * the boot CPU. Returns when all are online. */
struct cpu;
void smp_start(void (*main)(struct cpu *cpu));

#endif /* MINIVISOR_SMP_H */
