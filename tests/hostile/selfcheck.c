/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Is the host whole? Linked into minivisor with the linker's --wrap: each world
 * switch is held to what pvm/switcher.h promises to leave as it was, and at the
 * end, whatever the guest did, the CPU is given back and everything that the
 * switcher and the MMU hold is looked at. One line on COM2 says that all is well.
 */
#include <pvm/mmu.h>

#include "cpu.h"
#include "print.h"
#include "switcher/area.h"
#include "vm.h"

/* Of RFLAGS: not the arithmetic flags, which a call may change. */
#define RFLAGS_KEPT	(PVM_RFLAGS_TF | PVM_RFLAGS_IF | PVM_RFLAGS_DF | PVM_RFLAGS_IOPL | PVM_RFLAGS_NT | \
			 PVM_RFLAGS_AC)
#define KEPT		16
#define LENT		8

static const uint32_t lent_msrs[] = { 0xc0000081, 0xc0000082, 0xc0000083, 0xc0000084, 0x174 };

struct table {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed));

/* Per CPU, before it was the switcher's first; and its tables' sum, when they were made. */
static uint64_t lent[MAX_CPUS][LENT], tables[MAX_CPUS];
static uint64_t runs;

void __real_pvm_switcher_run(struct pvm_switcher_cpu *cpu, struct pvm_switcher_vcpu *svcpu,
			     pvm_hpa_t root, struct pvm_switcher_exit *exit);
void __real_pvm_switcher_load(struct pvm_switcher_cpu *cpu);
__attribute__((noreturn)) void __real_machine_exit(uint8_t status);
void __wrap_pvm_switcher_run(struct pvm_switcher_cpu *cpu, struct pvm_switcher_vcpu *svcpu,
			     pvm_hpa_t root, struct pvm_switcher_exit *exit);
void __wrap_pvm_switcher_load(struct pvm_switcher_cpu *cpu);
__attribute__((noreturn)) void __wrap_machine_exit(uint8_t status);

#define READ(type, insn) ({ type v_; __asm__ volatile(insn : "=r"(v_)); v_; })

/* What stays as it was over pvm_switcher_run(). */
static void read_kept(uint64_t kept[KEPT])
{
	struct table idtr;
	uint32_t pkru = 0;

	__asm__ volatile("sidt %0" : "=m"(idtr));
	if (cpu_features.pke)
		__asm__ volatile("rdpkru" : "=a"(pkru) : "c"(0) : "rdx");
	kept[0] = READ(uint64_t, "pushfq; popq %0") & RFLAGS_KEPT;
	kept[1] = read_cr0();
	kept[2] = read_cr3();
	kept[3] = read_cr4();
	kept[4] = READ(uint64_t, "mov %%dr7, %0");
	kept[5] = READ(uint64_t, "mov %%dr0, %0") ^ READ(uint64_t, "mov %%dr1, %0") ^
		  READ(uint64_t, "mov %%dr2, %0") ^ READ(uint64_t, "mov %%dr3, %0");
	kept[6] = READ(uint64_t, "rdfsbase %0");
	kept[7] = READ(uint64_t, "rdgsbase %0");
	kept[8] = rdmsr(PVM_MSR_KERNEL_GS_BASE);
	kept[9] = rdmsr(PVM_MSR_EFER);
	kept[10] = idtr.base;
	kept[11] = idtr.limit;
	kept[12] = READ(uint16_t, "mov %%ds, %0") | (uint64_t)READ(uint16_t, "mov %%es, %0") << 16 |
		   (uint64_t)READ(uint16_t, "mov %%fs, %0") << 32 |
		   (uint64_t)READ(uint16_t, "mov %%gs, %0") << 48;
	kept[13] = READ(uint16_t, "mov %%ss, %0") | (uint64_t)READ(uint16_t, "mov %%cs, %0") << 16;
	kept[14] = pkru;
	kept[15] = 0;
	if (cpu_features.xsave) {
		uint32_t xcr0;

		__asm__ volatile("xgetbv" : "=a"(xcr0) : "c"(0) : "rdx");
		kept[15] = xcr0;
	}
}

/* What pvm_switcher_unload() gives back. */
static void read_lent(uint64_t state[LENT])
{
	struct table gdtr;

	__asm__ volatile("sgdt %0" : "=m"(gdtr));
	state[0] = gdtr.base;
	state[1] = gdtr.limit;
	state[2] = READ(uint16_t, "str %0") | (uint64_t)READ(uint16_t, "sldt %0") << 16;
	for (unsigned i = 0; i < sizeof(lent_msrs) / sizeof(lent_msrs[0]); i++)
		state[3 + i] = rdmsr(lent_msrs[i]);
}

/* The IDT, and the TSS, where the stacks of handlers are. */
static uint64_t sum_tables(const struct pvm_switcher_cpu *cpu)
{
	const uint8_t *idt = (const uint8_t *)cpu->idt, *tss = (const uint8_t *)&cpu->tss;
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < sizeof(cpu->idt); i++)
		sum = sum * 31 + idt[i];
	for (i = 0; i < sizeof(cpu->tss); i++)
		sum = sum * 31 + tss[i];
	return sum;
}

void __wrap_pvm_switcher_load(struct pvm_switcher_cpu *cpu)
{
	if (!cpu->is_loaded) {
		read_lent(lent[cpu->id]);
		tables[cpu->id] = sum_tables(cpu);
	}
	__real_pvm_switcher_load(cpu);
}

void __wrap_pvm_switcher_run(struct pvm_switcher_cpu *cpu, struct pvm_switcher_vcpu *svcpu,
			     pvm_hpa_t root, struct pvm_switcher_exit *exit)
{
	uint64_t before[KEPT], after[KEPT];
	unsigned i;

	read_kept(before);
	__real_pvm_switcher_run(cpu, svcpu, root, exit);
	read_kept(after);
	for (i = 0; i < KEPT; i++)
		if (before[i] != after[i])
			fail("self check: item %u was 0x%lx and is 0x%lx after a run", i, before[i], after[i]);
	if (cpu->running || cpu->signal != HOST_SIGNAL)
		fail("self check: CPU %u is still in the guest", cpu->id);
	__atomic_fetch_add(&runs, 1, __ATOMIC_RELAXED);
}

/* No two CPUs at once: the first one ends the machine. */
void __wrap_machine_exit(uint8_t status)
{
	struct pvm_switcher_cpu *cpu = this_cpu()->switcher;
	uint64_t state[LENT];
	const char *rule;
	unsigned i;

	if (!cpu || !cpu->is_loaded)
		fail("self check: nothing has run");
	if (sum_tables(cpu) != tables[cpu->id])
		fail("self check: the switcher's IDT or TSS has changed");
	pvm_switcher_unload(cpu);
	read_lent(state);
	for (i = 0; i < LENT; i++)
		if (state[i] != lent[cpu->id][i])
			fail("self check: item %u was 0x%lx before the guest and is 0x%lx", i,
			     lent[cpu->id][i], state[i]);
	rule = pvm_mmu_check(&vm.pvm);
	if (rule)
		fail("self check: %s", rule);
	print("minivisor: self check: the host is whole after %lu runs\n", runs);
	__real_machine_exit(status);
}
