/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* The program: options, then the guest. */
#include "minivisor.h"

#include "apic.h"
#include "cpu.h"
#include "memory.h"
#include "options.h"
#include "print.h"
#include "smp.h"

static void idle(struct cpu *cpu)
{
	print("minivisor: CPU %u is up\n", cpu->index);
	apic_timer_at(clock_now() + 1000000);
	while (!cpu->timer_ticks || !cpu->nmis)
		irq_wait();
	print("minivisor: CPU %u had %lu NMIs, %lu ticks\n", cpu->index, cpu->nmis, cpu->timer_ticks);
	for (;;)
		irq_wait();
}

void minivisor_main(void)
{
	uint32_t i;

	smp_start(idle);
	for (i = 1; i < cpu_count; i++)
		apic_nmi(i);
	apic_timer_at(clock_now() + 50000000);
	while (!cpus[0].timer_ticks)
		irq_wait();
	fail("built without libpvm/switcher");
}
