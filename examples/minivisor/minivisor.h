/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * minivisor-lib: a machine brought up. The program that links it defines minivisor_main();
 * the rest is in the other headers here.
 */
#ifndef MINIVISOR_H
#define MINIVISOR_H

/*
 * The program. On the boot CPU: on minivisor's page tables, with its GDT, IDT, APIC
 * and clock, interrupts off; the other CPUs are known (cpu_count) and wait for
 * smp_start(). Must not return; machine_exit() ends the machine.
 */
void minivisor_main(void);

#endif /* MINIVISOR_H */
