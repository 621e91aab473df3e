/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The way from entry.S to guest_main().
 *
 * spec: PVM booting sequence
 */
#include "boot.h"

#include "check.h"
#include "console.h"
#include "event.h"
#include "interrupt.h"
#include "memory.h"
#include "paging.h"
#include "user.h"

struct cpu cpus[MAX_CPUS];
const struct boot_params *boot_params;

static u8 stacks[MAX_CPUS][CPU_STACK_SIZE] __attribute__((aligned(4096)));

/* The three steps of detection, in this order. spec: C-126, C-127, C-128, C-129 */
static const char *why_not_pvm(void)
{
	struct cpuid c;

	if (!(read_flags() & FLAG_IF))
		return "EFLAGS.IF is 0";
	if ((read_cs() & 3) != 3)
		return "CPL is not 3";
	c = pvm_cpuid(PVM_CPUID_SIGNATURE, 0);
	if (c.ebx != PVM_CPUID_KVM_EBX || c.ecx != PVM_CPUID_KVM_ECX || c.edx != PVM_CPUID_KVM_EDX)
		return "no KVM signature in CPUID";
	if (c.eax < PVM_CPUID_VENDOR_FEATURES)
		return "no vendor leaf in CPUID";
	c = pvm_cpuid(PVM_CPUID_VENDOR_FEATURES, 0);
	if (c.ebx != PVM_CPUID_VENDOR_EBX && c.ebx != PVM_CPUID_VENDOR_EBX_DEPLOYED)
		return "the vendor leaf is not PVM's";
	return NULL;
}

const char *command_line(void)
{
	if (!boot_params->cmd_line_ptr)
		return "";
	return phys_to_virt(boot_params->cmd_line_ptr);
}

void cpu_prepare(struct cpu *cpu)
{
	cpu->self = cpu;
	cpu->index = (u32)(cpu - cpus);
	cpu->stack_top = (u64)stacks[cpu->index] + CPU_STACK_SIZE;
}

void cpu_init(struct cpu *cpu)
{
	guest_assert(hc_wrmsr(MSR_GS_BASE, (u64)cpu) == 0);
	guest_assert(hc_wrmsr(MSR_KERNEL_GS_BASE, (u64)cpu) == 0);
	guest_assert(hc_wrmsr(MSR_PVM_VCPU_STRUCT, virt_to_phys(&cpu->pvcs)) == 0);
	event_init_cpu();
	cpu->apic_id = apic_id();
	apic_init_cpu();
}

/* The selectors of supervisor mode are in any frame of dual CR3, and MSR_STAR has
 * them from the start. */
static void learn_selectors(void)
{
	u64 star = hc_rdmsr(MSR_STAR);

	supervisor_cs = star >> 32;
	supervisor_ss = supervisor_cs + 8;
	guest_assert(TRY("ud2") == VEC_UD);
	guest_assert(SINGLE_CR3 || (trap.frame.hw.cs == supervisor_cs &&
				    trap.frame.hw.ss == supervisor_ss));
	star = (u64)user32_cs() << 48 | (u64)supervisor_cs << 32;
	guest_assert(hc_wrmsr(MSR_STAR, star) == 0);
}

noreturn void guest_start(u64 boot_params_pa)
{
	const char *why = why_not_pvm();

	console_init();
	if (why) {
		printf("This guest needs a PVM hypervisor: %s.\n", why);
		guest_exit(1);
	}
	boot_params = phys_to_virt(boot_params_pa);
	memory_init(boot_params);
	cpu_prepare(&cpus[0]);
	cpu_init(&cpus[0]);
	learn_selectors();
	paging_init();
	space_load(&boot_space, true);
	guest_main();
	guest_finish();
}
