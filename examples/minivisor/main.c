/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The program: options, then the guest on as many CPUs as it gets.
 *
 *	smp=N		vCPUs; all CPUs if not given
 *	memory=MiB	of the guest; 128
 *	abi=NAME	a guest ABI (libpvm/abi/list.h); what the guest's ELF note says if not given
 *	la57=0, pke=0, pcid=0	do not use what the CPU has; la57=1: insist on it
 *	inhibit		every mode switch of the guest comes out (PVM_INHIBIT_HOST)
 *	storm=HZ	an interrupt on every CPU that often
 *	nmi		with storm: NMIs, too
 *	stats		when the guest exits, count what happened, on COM2
 */
#include "minivisor.h"

#include "apic.h"
#include "memory.h"
#include "options.h"
#include "print.h"
#include "smp.h"
#include "vm.h"

static const char *const names[] = {
	"smp", "memory", "abi", "la57", "pke", "pcid", "inhibit", "storm", "nmi", "stats", NULL,
};

static uint32_t ready;		/* CPUs with an area */
static bool go;			/* the VM is made */

static void run(struct cpu *cpu)
{
	uint64_t storm = option_number("storm", 0);

	host_init_cpu(cpu);
	__atomic_fetch_add(&ready, 1, __ATOMIC_RELEASE);
	while (!__atomic_load_n(&go, __ATOMIC_ACQUIRE))
		cpu_relax();
	if (storm)
		apic_timer_periodic((uint32_t)storm);
	if (cpu->index < vm.vcpu_count)
		run_vcpu(cpu);
	for (;;)
		irq_wait();
}

void minivisor_main(void)
{
	uint64_t vcpus, i;

	options_check(names);
	vcpus = option_number("smp", cpu_count);
	if (!vcpus || vcpus > cpu_count)
		fail("smp=%lu: there are %u CPUs", vcpus, cpu_count);
	host_init();
	smp_start(run);
	host_init_cpu(&cpus[0]);
	while (__atomic_load_n(&ready, __ATOMIC_ACQUIRE) < cpu_count - 1)
		cpu_relax();
	vm_create((uint32_t)vcpus, option_number("memory", 128) << 20, boot.guest_command_line);
	for (i = 0; option_number("inhibit", 0) && i < vcpus; i++)
		vm.vcpu[i].switcher.inhibit = PVM_INHIBIT_HOST;
	run_init(option_number("nmi", 0));
	__atomic_store_n(&go, true, __ATOMIC_RELEASE);
	if (option_number("storm", 0))
		apic_timer_periodic((uint32_t)option_number("storm", 0));
	run_vcpu(&cpus[0]);
}
