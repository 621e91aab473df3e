/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Hardware constants of x86-64, each written once (Intel SDM vol. 3 unless
 * said otherwise). Owns nothing but numbers; usable from assembly.
 * Prefixed, so that it lives beside an operating system's own headers.
 */
#ifndef PVM_X86_H
#define PVM_X86_H

#include <pvm/abi.h>	/* PVM_UL, PVM_ULL */

/* General registers in instruction-encoding order: indices of pvm_vcpu::gpr. */
#define PVM_RAX 0
#define PVM_RCX 1
#define PVM_RDX 2
#define PVM_RBX 3
#define PVM_RSP 4
#define PVM_RBP 5
#define PVM_RSI 6
#define PVM_RDI 7
#define PVM_R8  8
#define PVM_R9  9
#define PVM_R10 10
#define PVM_R11 11
#define PVM_R12 12
#define PVM_R13 13
#define PVM_R14 14
#define PVM_R15 15
#define PVM_GPR_COUNT 16

/* Segment registers in instruction-encoding order: indices of pvm_vcpu::seg. */
#define PVM_ES 0
#define PVM_CS 1
#define PVM_SS 2
#define PVM_DS 3
#define PVM_FS 4
#define PVM_GS 5
#define PVM_SEG_COUNT 6

/* RFLAGS, SDM vol. 1, 3.4.3 */
#define PVM_RFLAGS_CF		(PVM_UL(1) << 0)
#define PVM_RFLAGS_FIXED	(PVM_UL(1) << 1)
#define PVM_RFLAGS_PF		(PVM_UL(1) << 2)
#define PVM_RFLAGS_AF		(PVM_UL(1) << 4)
#define PVM_RFLAGS_ZF		(PVM_UL(1) << 6)
#define PVM_RFLAGS_SF		(PVM_UL(1) << 7)
#define PVM_RFLAGS_TF		(PVM_UL(1) << 8)
#define PVM_RFLAGS_IF		(PVM_UL(1) << 9)
#define PVM_RFLAGS_DF		(PVM_UL(1) << 10)
#define PVM_RFLAGS_OF		(PVM_UL(1) << 11)
#define PVM_RFLAGS_IOPL		(PVM_UL(3) << 12)
#define PVM_RFLAGS_NT		(PVM_UL(1) << 14)
#define PVM_RFLAGS_RF		(PVM_UL(1) << 16)
#define PVM_RFLAGS_VM		(PVM_UL(1) << 17)
#define PVM_RFLAGS_AC		(PVM_UL(1) << 18)
#define PVM_RFLAGS_VIF		(PVM_UL(1) << 19)
#define PVM_RFLAGS_VIP		(PVM_UL(1) << 20)
#define PVM_RFLAGS_ID		(PVM_UL(1) << 21)
/* The bits that a guest may have set at all; the rest is reserved or S2's. */
#define PVM_RFLAGS_GUEST	(PVM_RFLAGS_CF | PVM_RFLAGS_PF | PVM_RFLAGS_AF | PVM_RFLAGS_ZF | \
				 PVM_RFLAGS_SF | PVM_RFLAGS_TF | PVM_RFLAGS_DF | PVM_RFLAGS_OF | \
				 PVM_RFLAGS_NT | PVM_RFLAGS_RF | PVM_RFLAGS_AC | PVM_RFLAGS_ID)

/* Exception vectors, SDM vol. 3, table 6-1 */
#define PVM_VEC_DE 0
#define PVM_VEC_DB 1
#define PVM_VEC_NMI 2
#define PVM_VEC_BP 3
#define PVM_VEC_OF 4
#define PVM_VEC_BR 5
#define PVM_VEC_UD 6
#define PVM_VEC_NM 7
#define PVM_VEC_DF 8
#define PVM_VEC_TS 10
#define PVM_VEC_NP 11
#define PVM_VEC_SS 12
#define PVM_VEC_GP 13
#define PVM_VEC_PF 14
#define PVM_VEC_MF 16
#define PVM_VEC_AC 17
#define PVM_VEC_MC 18
#define PVM_VEC_XM 19
#define PVM_VEC_CP 21
#define PVM_VEC_EXCEPTIONS 32	/* vectors below are exceptions */
#define PVM_VEC_SYSCALL32 0x80

/* #PF error code, SDM vol. 3, 4.7 */
#define PVM_PF_P	(1u << 0)
#define PVM_PF_W	(1u << 1)
#define PVM_PF_U	(1u << 2)
#define PVM_PF_RSVD	(1u << 3)
#define PVM_PF_I	(1u << 4)
#define PVM_PF_PK	(1u << 5)

/* Control registers, SDM vol. 3, 2.5 */
#define PVM_CR0_PE	(PVM_UL(1) << 0)
#define PVM_CR0_MP	(PVM_UL(1) << 1)
#define PVM_CR0_EM	(PVM_UL(1) << 2)
#define PVM_CR0_TS	(PVM_UL(1) << 3)
#define PVM_CR0_ET	(PVM_UL(1) << 4)
#define PVM_CR0_NE	(PVM_UL(1) << 5)
#define PVM_CR0_WP	(PVM_UL(1) << 16)
#define PVM_CR0_AM	(PVM_UL(1) << 18)
#define PVM_CR0_NW	(PVM_UL(1) << 29)
#define PVM_CR0_CD	(PVM_UL(1) << 30)
#define PVM_CR0_PG	(PVM_UL(1) << 31)

#define PVM_CR4_VME		(PVM_UL(1) << 0)
#define PVM_CR4_PVI		(PVM_UL(1) << 1)
#define PVM_CR4_TSD		(PVM_UL(1) << 2)
#define PVM_CR4_DE		(PVM_UL(1) << 3)
#define PVM_CR4_PSE		(PVM_UL(1) << 4)
#define PVM_CR4_PAE		(PVM_UL(1) << 5)
#define PVM_CR4_MCE		(PVM_UL(1) << 6)
#define PVM_CR4_PGE		(PVM_UL(1) << 7)
#define PVM_CR4_PCE		(PVM_UL(1) << 8)
#define PVM_CR4_OSFXSR		(PVM_UL(1) << 9)
#define PVM_CR4_OSXMMEXCPT	(PVM_UL(1) << 10)
#define PVM_CR4_UMIP		(PVM_UL(1) << 11)
#define PVM_CR4_LA57		(PVM_UL(1) << 12)
#define PVM_CR4_FSGSBASE	(PVM_UL(1) << 16)
#define PVM_CR4_PCIDE		(PVM_UL(1) << 17)
#define PVM_CR4_OSXSAVE		(PVM_UL(1) << 18)
#define PVM_CR4_SMEP		(PVM_UL(1) << 20)
#define PVM_CR4_SMAP		(PVM_UL(1) << 21)
#define PVM_CR4_PKE		(PVM_UL(1) << 22)
#define PVM_CR4_CET		(PVM_UL(1) << 23)
#define PVM_CR4_PKS		(PVM_UL(1) << 24)

#define PVM_CR3_PCID_MASK	PVM_ULL(0xfff)		/* with CR4.PCIDE */
#define PVM_CR3_NOFLUSH		(PVM_ULL(1) << 63)	/* with CR4.PCIDE, on a write */
#define PVM_CR3_ADDR_MASK	PVM_ULL(0x000ffffffffff000)

#define PVM_EFER_SCE	(PVM_UL(1) << 0)
#define PVM_EFER_LME	(PVM_UL(1) << 8)
#define PVM_EFER_LMA	(PVM_UL(1) << 10)
#define PVM_EFER_NXE	(PVM_UL(1) << 11)

/* Debug registers, SDM vol. 3, 17.2 */
#define PVM_DR6_FIXED	PVM_UL(0xffff0ff0)
#define PVM_DR6_BP_MASK	PVM_UL(0xf)
#define PVM_DR6_BD	(PVM_UL(1) << 13)
#define PVM_DR6_BS	(PVM_UL(1) << 14)
#define PVM_DR6_BT	(PVM_UL(1) << 15)
#define PVM_DR7_FIXED	(PVM_UL(1) << 10)
#define PVM_DR7_GD	(PVM_UL(1) << 13)
#define PVM_DR7_ENABLE(n)	(PVM_UL(3) << (2 * (n)))
#define PVM_DR7_RW_LEN(n)	(PVM_UL(0xf) << (16 + 4 * (n)))

/* Page-table entries, SDM vol. 3, 4.5 */
#define PVM_PTE_P	(PVM_ULL(1) << 0)
#define PVM_PTE_W	(PVM_ULL(1) << 1)
#define PVM_PTE_U	(PVM_ULL(1) << 2)
#define PVM_PTE_PWT	(PVM_ULL(1) << 3)
#define PVM_PTE_PCD	(PVM_ULL(1) << 4)
#define PVM_PTE_A	(PVM_ULL(1) << 5)
#define PVM_PTE_D	(PVM_ULL(1) << 6)
#define PVM_PTE_PS	(PVM_ULL(1) << 7)	/* levels 2 and 3: maps a large page */
#define PVM_PTE_PAT	(PVM_ULL(1) << 7)	/* level 1 */
#define PVM_PTE_G	(PVM_ULL(1) << 8)
#define PVM_PTE_PAT_LARGE (PVM_ULL(1) << 12)	/* levels 2 and 3 with PS */
#define PVM_PTE_PK_SHIFT 59
#define PVM_PTE_PK_MASK	(PVM_ULL(0xf) << PVM_PTE_PK_SHIFT)
#define PVM_PTE_NX	(PVM_ULL(1) << 63)
#define PVM_PTE_ADDR_MASK PVM_ULL(0x000ffffffffff000)

#define PVM_PAGE_SHIFT	12
#define PVM_PAGE_SIZE	(PVM_UL(1) << PVM_PAGE_SHIFT)
#define PVM_PTES_PER_TABLE 512
/* Paging levels as numbers: 1 = PT, 2 = PD, 3 = PDPT, 4 = PML4, 5 = PML5. */
#define PVM_LEVEL_SHIFT(level)	(PVM_PAGE_SHIFT + 9 * ((level) - 1))
#define PVM_LEVEL_SIZE(level)	(PVM_ULL(1) << PVM_LEVEL_SHIFT(level))
#define PVM_LEVEL_INDEX(addr, level) (((addr) >> PVM_LEVEL_SHIFT(level)) & 0x1ff)

/* MSRs that the engine knows, SDM vol. 4 */
#define PVM_MSR_IA32_TSC		0x10
#define PVM_MSR_IA32_APIC_BASE		0x1b
#define PVM_MSR_IA32_SYSENTER_CS	0x174
#define PVM_MSR_IA32_SYSENTER_ESP	0x175
#define PVM_MSR_IA32_SYSENTER_EIP	0x176
#define PVM_MSR_IA32_PAT		0x277
#define PVM_MSR_IA32_TSC_DEADLINE	0x6e0
#define PVM_MSR_IA32_PKRS		0x6e1
#define PVM_MSR_X2APIC_BASE		0x800
#define PVM_MSR_X2APIC_LAST		0x8ff
#define PVM_MSR_IA32_XSS		0xda0
#define PVM_MSR_EFER			0xc0000080
#define PVM_MSR_STAR			0xc0000081
#define PVM_MSR_LSTAR			0xc0000082
#define PVM_MSR_CSTAR			0xc0000083
#define PVM_MSR_SYSCALL_MASK		0xc0000084
#define PVM_MSR_FS_BASE			0xc0000100
#define PVM_MSR_GS_BASE			0xc0000101
#define PVM_MSR_KERNEL_GS_BASE		0xc0000102
#define PVM_MSR_TSC_AUX			0xc0000103

#endif /* PVM_X86_H */
