/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The constants of x86 that guests use (Intel SDM). The guests' own, so that
 * they share nothing with the hypervisor under test but the ABI. Usable from
 * assembly.
 */
#ifndef GUEST_X86_H
#define GUEST_X86_H

#ifdef __ASSEMBLER__
#define BIT(n) (1 << (n))
#else
#define BIT(n) (1ul << (n))
#endif

/* RFLAGS */
#define FLAG_CF		(1 << 0)
#define FLAG_FIXED	(1 << 1)
#define FLAG_PF		(1 << 2)
#define FLAG_AF		(1 << 4)
#define FLAG_ZF		(1 << 6)
#define FLAG_SF		(1 << 7)
#define FLAG_TF		(1 << 8)
#define FLAG_IF		(1 << 9)
#define FLAG_DF		(1 << 10)
#define FLAG_OF		(1 << 11)
#define FLAG_IOPL	(3 << 12)
#define FLAG_NT		(1 << 14)
#define FLAG_RF		(1 << 16)
#define FLAG_VM		(1 << 17)
#define FLAG_AC		(1 << 18)
#define FLAG_VIF	(1 << 19)
#define FLAG_VIP	(1 << 20)
#define FLAG_ID		(1 << 21)
#define FLAG_ARITH	(FLAG_CF | FLAG_PF | FLAG_AF | FLAG_ZF | FLAG_SF | FLAG_OF)

/* Exceptions */
#define VEC_DE 0
#define VEC_DB 1
#define VEC_NMI 2
#define VEC_BP 3
#define VEC_OF 4
#define VEC_BR 5
#define VEC_UD 6
#define VEC_NP 11
#define VEC_SS 12
#define VEC_GP 13
#define VEC_PF 14
#define VEC_MF 16
#define VEC_AC 17
#define VEC_XM 19
#define VEC_SYSCALL32 0x80

/* #PF error code */
#define PF_P	(1 << 0)
#define PF_W	(1 << 1)
#define PF_U	(1 << 2)
#define PF_RSVD	(1 << 3)
#define PF_I	(1 << 4)
#define PF_PK	(1 << 5)

/* Page-table entries */
#define PTE_P	BIT(0)
#define PTE_W	BIT(1)
#define PTE_U	BIT(2)
#define PTE_A	BIT(5)
#define PTE_D	BIT(6)
#define PTE_PS	BIT(7)
#define PTE_G	BIT(8)
#define PTE_RSVD_51 BIT(51)	/* reserved where physical addresses have fewer than 52 bits */
#define PTE_PKEY(k) ((u64)(k) << 59)
#define PTE_NX	BIT(63)
#define PTE_ADDR 0x000ffffffffff000ul
#define PAGE_SIZE 4096ul

/* CR0, CR4, EFER */
#define CR0_PE		BIT(0)
#define CR0_MP		BIT(1)
#define CR0_EM		BIT(2)
#define CR0_TS		BIT(3)
#define CR0_ET		BIT(4)
#define CR0_NE		BIT(5)
#define CR0_WP		BIT(16)
#define CR0_AM		BIT(18)
#define CR0_NW		BIT(29)
#define CR0_CD		BIT(30)
#define CR0_PG		BIT(31)
#define CR4_VME		BIT(0)
#define CR4_PVI		BIT(1)
#define CR4_PAE		BIT(5)
#define CR4_OSFXSR	BIT(9)
#define CR4_UMIP	BIT(11)
#define CR4_LA57	BIT(12)
#define CR4_FSGSBASE	BIT(16)
#define CR4_PCIDE	BIT(17)
#define CR4_SMEP	BIT(20)
#define CR4_SMAP	BIT(21)
#define CR4_PKE		BIT(22)
#define CR4_PKS		BIT(24)
#define EFER_SCE	BIT(0)
#define EFER_LME	BIT(8)
#define EFER_LMA	BIT(10)
#define EFER_NX		BIT(11)

/* Debug registers */
#define DR6_FIXED	0xffff0ff0ul
#define DR6_BS		BIT(14)
#define DR7_FIXED	BIT(10)
#define DR7_GD		BIT(13)
#define DR7_LOCAL(n)	(1ul << (2 * (n)))
#define DR7_GLOBAL(n)	(2ul << (2 * (n)))
#define DR7_EXECUTE	0ul
#define DR7_WRITE	1ul
#define DR7_ACCESS	3ul
#define DR7_TYPE(n, rw, len) (((rw) | (((len) == 8 ? 2ul : (len) - 1ul) << 2)) << (16 + 4 * (n)))

/* MSRs */
#define MSR_TSC			0x10
#define MSR_APIC_BASE		0x1b
#define MSR_SYSENTER_CS		0x174
#define MSR_SYSENTER_ESP	0x175
#define MSR_SYSENTER_EIP	0x176
#define MSR_PAT			0x277
#define MSR_TSC_DEADLINE	0x6e0
#define MSR_PKRS		0x6e1
#define MSR_X2APIC_ID		0x802
#define MSR_X2APIC_VERSION	0x803
#define MSR_X2APIC_TPR		0x808
#define MSR_X2APIC_EOI		0x80b
#define MSR_X2APIC_SVR		0x80f
#define MSR_X2APIC_ISR		0x810
#define MSR_X2APIC_IRR		0x820
#define MSR_X2APIC_ICR		0x830
#define MSR_X2APIC_LVT_TIMER	0x832
#define MSR_X2APIC_TIMER_INIT	0x838
#define MSR_X2APIC_TIMER_CUR	0x839
#define MSR_X2APIC_TIMER_DIV	0x83e
#define MSR_X2APIC_SELF_IPI	0x83f
#define MSR_XSS			0xda0
#define MSR_EFER		0xc0000080
#define MSR_STAR		0xc0000081
#define MSR_LSTAR		0xc0000082
#define MSR_CSTAR		0xc0000083
#define MSR_SYSCALL_MASK	0xc0000084
#define MSR_FS_BASE		0xc0000100
#define MSR_GS_BASE		0xc0000101
#define MSR_KERNEL_GS_BASE	0xc0000102
#define MSR_TSC_AUX		0xc0000103

#endif /* GUEST_X86_H */
