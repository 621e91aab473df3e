/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Single instructions and PVM hypercalls as C functions. Owns no state. What
 * may raise an exception that a guest wants to see is tried with TRY() of
 * event.h instead.
 */
#ifndef GUEST_INSN_H
#define GUEST_INSN_H

#include "abi.h"
#include "types.h"
#include "x86.h"

static inline void outb(u16 port, u8 value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline void outl(u16 port, u32 value)
{
	__asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port));
}

static inline u8 inb(u16 port)
{
	u8 value;

	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static inline u64 rdtsc(void)
{
	u32 low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return low | (u64)high << 32;
}

static inline void cpu_relax(void)
{
	__asm__ volatile("pause");
}

struct cpuid {
	u32 eax, ebx, ecx, edx;
};

/* The instruction as the CPU executes it: usually the host's values. */
static inline struct cpuid cpuid(u32 leaf, u32 subleaf)
{
	struct cpuid c;

	__asm__ volatile("cpuid" : "=a"(c.eax), "=b"(c.ebx), "=c"(c.ecx), "=d"(c.edx)
			 : "a"(leaf), "c"(subleaf));
	return c;
}

/* spec: PVM_SYNTHETIC_CPUID: always the hypervisor's values. */
static inline struct cpuid pvm_cpuid(u32 leaf, u32 subleaf)
{
	struct cpuid c;

	__asm__ volatile(".byte 0x0f, 0x01, 0x3c, 0x25, 0x50, 0x56, 0x4d, 0xff, 0x0f, 0xa2"
			 : "=a"(c.eax), "=b"(c.ebx), "=c"(c.ecx), "=d"(c.edx)
			 : "a"(leaf), "c"(subleaf));
	return c;
}

/* What PUSHF shows: the underlying RFLAGS. */
static inline u64 read_flags(void)
{
	u64 flags;

	__asm__ volatile("pushfq; popq %0" : "=r"(flags));
	return flags;
}

static inline u16 read_cs(void)
{
	u16 sel;

	__asm__ volatile("mov %%cs, %0" : "=r"(sel));
	return sel;
}

static inline u16 read_ss(void)
{
	u16 sel;

	__asm__ volatile("mov %%ss, %0" : "=r"(sel));
	return sel;
}

static inline u64 read_gsbase(void)
{
	u64 base;

	__asm__ volatile("rdgsbase %0" : "=r"(base));
	return base;
}

static inline u64 read_fsbase(void)
{
	u64 base;

	__asm__ volatile("rdfsbase %0" : "=r"(base));
	return base;
}

#define read_reg(name) ({ u64 v_; __asm__ volatile("mov %%" #name ", %0" : "=r"(v_)); v_; })
#define write_reg(name, v) __asm__ volatile("mov %0, %%" #name : : "r"((u64)(v)) : "memory")

/* The instructions; HC_RDMSR and HC_WRMSR are below. */
static inline u64 rdmsr(u32 index)
{
	u32 low, high;

	__asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(index));
	return low | (u64)high << 32;
}

static inline void wrmsr(u32 index, u64 value)
{
	__asm__ volatile("wrmsr" : : "c"(index), "a"((u32)value), "d"((u32)(value >> 32)) : "memory");
}

/*
 * Arguments in RBX, RCX, RDX, RSI; SYSCALL destroys RCX and R11, so that R10
 * stands for RCX. spec: HYPERCALL be issued in supervisor software
 */
static inline u64 hypercall(u64 nr, u64 a0, u64 a1, u64 a2, u64 a3)
{
	register u64 r10 __asm__("r10") = a1;

	__asm__ volatile("syscall" : "+a"(nr), "+r"(r10) : "b"(a0), "d"(a2), "S"(a3)
			 : "rcx", "r11", "memory");
	return nr;
}

/* @user_pgd: not an argument of single CR3, which ignores it. */
static inline u64 hc_load_pgtbl(u64 flags, u64 supervisor_pgd, u64 user_pgd)
{
	return hypercall(PVM_HC_LOAD_PGTBL, flags, supervisor_pgd, user_pgd, 0);
}

static inline void hc_irq_win(void)
{
	hypercall(PVM_HC_IRQ_WIN, 0, 0, 0, 0);
}

static inline void hc_irq_hlt(void)
{
	hypercall(PVM_HC_IRQ_HLT, 0, 0, 0, 0);
}

static inline void hc_tlb_flush(void)
{
	hypercall(PVM_HC_TLB_FLUSH, 0, 0, 0, 0);
}

static inline void hc_tlb_flush_current(void)
{
	hypercall(PVM_HC_TLB_FLUSH_CURRENT, 0, 0, 0, 0);
}

static inline void hc_invlpg(u64 addr)
{
	hypercall(PVM_HC_TLB_INVLPG, addr, 0, 0, 0);
}

static inline u64 hc_load_gs(u16 sel)
{
	return hypercall(PVM_HC_LOAD_GS, sel, 0, 0, 0);
}

static inline u64 hc_rdmsr(u32 index)
{
	return hypercall(PVM_HC_RDMSR, index, 0, 0, 0);
}

static inline s64 hc_wrmsr(u32 index, u64 value)
{
	return (s64)hypercall(PVM_HC_WRMSR, index, value, 0, 0);
}

static inline u64 hc_load_tls(u64 entry0, u64 entry1, u64 entry2)
{
	return hypercall(PVM_HC_LOAD_TLS, entry0, entry1, entry2, 0);
}

#endif /* GUEST_INSN_H */
