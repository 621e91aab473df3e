/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* A CPU's tables and control registers. All CPUs are set alike. */
#include "cpu.h"

#include "print.h"
#include "trap.h"

#define CPU_EFER	(PVM_EFER_SCE | PVM_EFER_LME | PVM_EFER_NXE)
#define CPU_CR0		(PVM_CR0_PE | PVM_CR0_MP | PVM_CR0_ET | PVM_CR0_NE | PVM_CR0_WP | PVM_CR0_AM | \
			 PVM_CR0_PG)
#define CPU_CR4		(PVM_CR4_PAE | PVM_CR4_MCE | PVM_CR4_OSFXSR | PVM_CR4_OSXMMEXCPT | \
			 PVM_CR4_FSGSBASE)
#define EBX7_SMEP	(1u << 7)
#define EBX7_SMAP	(1u << 20)

#define DESC_KERNEL_CS	0x00af9b000000ffffull
#define DESC_KERNEL_DS	0x00cf93000000ffffull
#define DESC_USER32_CS	0x00cffb000000ffffull
#define DESC_USER_DS	0x00cff3000000ffffull
#define DESC_USER_CS	0x00affb000000ffffull
#define DESC_CPUNODE	0x0040f50000000000ull	/* limit: the CPU's number */
#define DESC_TSS	0x0000890000000000ull

struct cpu cpus[MAX_CPUS];
uint32_t cpu_count = 1;
struct cpu_features cpu_features;

void cpu_detect(bool pke, bool pcid)
{
	struct cpu_features *f = &cpu_features;
	uint32_t leaf1[4], leaf7[4] = { 0 }, leafd[4] = { 0 }, ext1[4], ext8[4];

	cpuid(1, 0, leaf1);
	cpuid(7, 0, leaf7);
	cpuid(PVM_CPUID_LEAF_EXT_FEATURES, 0, ext1);
	cpuid(PVM_CPUID_LEAF_ADDRESS, 0, ext8);
	if (!(leaf7[1] & PVM_CPUID_7_EBX_FSGSBASE))
		fail("the CPU has no FSGSBASE");
	if (!(ext1[3] & PVM_CPUID_81_EDX_NX))
		fail("the CPU has no NX");
	f->la57 = read_cr4() & PVM_CR4_LA57;
	f->pke = pke && leaf7[2] & PVM_CPUID_7_ECX_PKU;
	f->pcid = pcid && leaf1[2] & PVM_CPUID_1_ECX_PCID;
	f->invpcid = leaf7[1] & PVM_CPUID_7_EBX_INVPCID;
	f->smep = leaf7[1] & EBX7_SMEP;
	f->smap = leaf7[1] & EBX7_SMAP;
	f->umip = leaf7[2] & PVM_CPUID_7_ECX_UMIP;
	f->xsave = leaf1[2] & PVM_CPUID_1_ECX_XSAVE;
	f->page1g = ext1[3] & PVM_CPUID_81_EDX_PDPE1GB;
	f->maxphyaddr = ext8[0] & 0xff;
	if (f->xsave) {
		cpuid(PVM_CPUID_LEAF_XSTATE, 0, leafd);
		f->xcr0 = leafd[0] & (PVM_XCR0_X87 | PVM_XCR0_SSE | PVM_XCR0_AVX | PVM_XCR0_AVX512 |
				      (f->pke ? PVM_XCR0_PKRU : 0));
	}
}

static uint64_t wanted_cr4(void)
{
	const struct cpu_features *f = &cpu_features;

	return CPU_CR4 | (f->la57 ? PVM_CR4_LA57 : 0) | (f->pke ? PVM_CR4_PKE : 0) |
	       (f->pcid ? PVM_CR4_PCIDE : 0) | (f->smep ? PVM_CR4_SMEP : 0) |
	       (f->smap ? PVM_CR4_SMAP : 0) | (f->umip ? PVM_CR4_UMIP : 0) |
	       (f->xsave ? PVM_CR4_OSXSAVE : 0);
}

static void load_tables(struct cpu *cpu)
{
	struct {
		uint16_t limit;
		const void *base;
	} __attribute__((packed)) gdtr = { sizeof(cpu->gdt) - 1, cpu->gdt };
	uint64_t tss = (uint64_t)&cpu->tss;
	unsigned i;

	for (i = 0; i < 3; i++)
		cpu->tss.ist[i] = (uint64_t)cpu->ist_stack[i + 1 - IST_NMI] + IST_STACK_SIZE;
	cpu->tss.iomap = sizeof(cpu->tss);
	cpu->gdt[PVM_SEL_INDEX(BOOT_CS32)] = 0x00cf9b000000ffffull;
	cpu->gdt[PVM_SEL_INDEX(KERNEL_CS)] = DESC_KERNEL_CS;
	cpu->gdt[PVM_SEL_INDEX(KERNEL_DS)] = DESC_KERNEL_DS;
	cpu->gdt[PVM_SEL_INDEX(USER32_CS)] = DESC_USER32_CS;
	cpu->gdt[PVM_SEL_INDEX(USER_DS)] = DESC_USER_DS;
	cpu->gdt[PVM_SEL_INDEX(USER_CS)] = DESC_USER_CS;
	cpu->gdt[PVM_SEL_INDEX(CPUNODE_SEL)] = DESC_CPUNODE | cpu->index;
	cpu->gdt[PVM_SEL_INDEX(TSS_SEL)] = DESC_TSS | (sizeof(cpu->tss) - 1) | (tss & 0xffffff) << 16 |
					   (tss >> 24 & 0xff) << 56;
	cpu->gdt[PVM_SEL_INDEX(TSS_SEL) + 1] = tss >> 32;
	__asm__ volatile("lgdt %0\n\t"
			 "push %1\n\t"
			 "lea 1f(%%rip), %%rax\n\t"
			 "push %%rax\n\t"
			 "lretq\n"
			 "1:	mov %3, %%ds\n\t"
			 "mov %3, %%es\n\t"
			 "mov %2, %%ss\n\t"
			 "mov %3, %%fs\n\t"
			 "mov %3, %%gs\n\t"
			 "ltr %w4"
			 : : "m"(gdtr), "i"(KERNEL_CS), "r"(KERNEL_DS), "r"(0), "r"(TSS_SEL)
			 : "rax", "memory");
}

void cpu_init(struct cpu *cpu)
{
	cpu->self = cpu;
	cpu->timer_deadline = ~0ull;
	load_tables(cpu);
	wrmsr(PVM_MSR_GS_BASE, (uint64_t)cpu);
	wrmsr(PVM_MSR_FS_BASE, 0);
	wrmsr(PVM_MSR_KERNEL_GS_BASE, 0);
	trap_init_cpu();
	wrmsr(PVM_MSR_EFER, CPU_EFER | PVM_EFER_LMA);
	write_cr0(CPU_CR0);
	write_cr4(wanted_cr4());
	if (cpu_features.xsave)
		xsetbv(cpu_features.xcr0);
	__asm__ volatile("fninit");
	if (cpu_features.pke)
		__asm__ volatile("wrpkru" : : "a"(0), "c"(0), "d"(0));
}
