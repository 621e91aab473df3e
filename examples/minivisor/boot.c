/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* From boot.S to minivisor_main(): the machine set up, all of it but the other CPUs. */
#include "minivisor.h"

#include "apic.h"
#include "cpu.h"
#include "memory.h"
#include "options.h"
#include "print.h"
#include "smp.h"
#include "trap.h"

#define MSR_MCG_STATUS	0x17a

void boot_main(void);

/* All CPUs' together, for those who look from outside: tests/ring0/harness. */
volatile uint64_t minivisor_nmis, minivisor_machine_checks, minivisor_kicks;

static void count(volatile uint64_t *counter)
{
	__atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
}

static void on_nmi(struct trap_frame *frame)
{
	(void)frame;
	this_cpu()->nmis++;
	count(&minivisor_nmis);
}

/* There is no memory to give up for one: what can go on goes on. SDM vol. 3, 15.10.4 */
static void on_machine_check(struct trap_frame *frame)
{
	if (!(rdmsr(MSR_MCG_STATUS) & 1))	/* RIPV */
		fail("CPU %u: machine check at rip 0x%lx", this_cpu()->index, frame->rip);
	count(&minivisor_machine_checks);
	wrmsr(MSR_MCG_STATUS, 0);
}

static void on_kick(struct trap_frame *frame)
{
	(void)frame;
	this_cpu()->kicks++;
	count(&minivisor_kicks);
	apic_eoi();
}

static void on_timer(struct trap_frame *frame)
{
	(void)frame;
	this_cpu()->timer_ticks++;
	apic_eoi();
}

static void on_spurious(struct trap_frame *frame)
{
	(void)frame;
}

static void mask_pic(void)
{
	outb(0x21, 0xff);
	outb(0xa1, 0xff);
}

void boot_main(void)
{
	print_init();
	memory_read_boot_info();
	cpu_detect(option_number("pke", 1), option_number("pcid", 1));
	if (option_number("la57", 0) && !cpu_features.la57)
		fail("la57=1, but the CPU has no 5-level paging");
	memory_init();
	mask_pic();
	trap_set(PVM_VEC_NMI, on_nmi);
	trap_set(PVM_VEC_MC, on_machine_check);
	trap_set(VECTOR_TIMER, on_timer);
	trap_set(VECTOR_KICK, on_kick);
	trap_set(VECTOR_SPURIOUS, on_spurious);
	cpu_init(&cpus[0]);
	apic_init_cpu();
	clock_init();
	smp_find();
	print("minivisor: %u CPUs, %u-level paging%s%s%s%s%s, TSC %u kHz\n", cpu_count,
	      cpu_features.la57 ? 5 : 4, cpu_features.pke ? ", PKE" : "",
	      cpu_features.pcid ? ", PCIDE" : "", cpu_features.smep ? ", SMEP" : "",
	      cpu_features.smap ? ", SMAP" : "", cpu_features.umip ? ", UMIP" : "", tsc_khz);
	minivisor_main();
	fail("nothing left to do");
}
