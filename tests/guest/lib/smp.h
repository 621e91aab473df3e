/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The other CPUs: found in the MADT, started through the multiprocessor wakeup
 * mailbox (ACPI 6.4, 5.2.12.19). Owns the handshake with ap_start.
 */
#ifndef GUEST_SMP_H
#define GUEST_SMP_H

#include "cpu.h"

/* CPUs in the MADT, the running one included. */
u32 smp_count(void);

/*
 * Start all the others, each with @run, on boot_space's tables, interrupts
 * off. Returns how many CPUs are online. An AP whose @run returns sleeps.
 */
u32 smp_start(void (*run)(void));

/* Called by entry.S on the new CPU. */
noreturn void ap_main(struct cpu *cpu);

#endif /* GUEST_SMP_H */
