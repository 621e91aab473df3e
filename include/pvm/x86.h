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
#define PVM_VEC_APIC_FIRST 16	/* the lowest vector that a local APIC takes */
#define PVM_VEC_SYSCALL32 0x80

/* Error code of #GP, #TS, #NP with a selector, SDM vol. 3, 6.13 */
#define PVM_ERROR_IDT		(1u << 1)	/* the index is of the IDT */
#define PVM_ERROR_INDEX_SHIFT	3

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
#define PVM_CR4_VMXE		(PVM_UL(1) << 13)
#define PVM_CR4_SMXE		(PVM_UL(1) << 14)
#define PVM_CR4_FSGSBASE	(PVM_UL(1) << 16)
#define PVM_CR4_PCIDE		(PVM_UL(1) << 17)
#define PVM_CR4_OSXSAVE		(PVM_UL(1) << 18)
#define PVM_CR4_KL		(PVM_UL(1) << 19)
#define PVM_CR4_SMEP		(PVM_UL(1) << 20)
#define PVM_CR4_SMAP		(PVM_UL(1) << 21)
#define PVM_CR4_PKE		(PVM_UL(1) << 22)
#define PVM_CR4_CET		(PVM_UL(1) << 23)
#define PVM_CR4_PKS		(PVM_UL(1) << 24)
#define PVM_CR4_UINTR		(PVM_UL(1) << 25)
#define PVM_CR4_LASS		(PVM_UL(1) << 27)
#define PVM_CR4_LAM_SUP		(PVM_UL(1) << 28)
#define PVM_CR4_FRED		(PVM_ULL(1) << 32)	/* FRED specification, 2.1 */

#define PVM_CR8_TPR	PVM_UL(0xf)

#define PVM_CR3_PCID_MASK	PVM_ULL(0xfff)		/* with CR4.PCIDE */
#define PVM_CR3_NOFLUSH		(PVM_ULL(1) << 63)	/* with CR4.PCIDE, on a write */
#define PVM_CR3_ADDR_MASK	PVM_ULL(0x000ffffffffff000)

#define PVM_EFER_SCE	(PVM_UL(1) << 0)
#define PVM_EFER_LME	(PVM_UL(1) << 8)
#define PVM_EFER_LMA	(PVM_UL(1) << 10)
#define PVM_EFER_NXE	(PVM_UL(1) << 11)
#define PVM_EFER_UAIE	(PVM_UL(1) << 20)	/* AMD64 APM vol. 2, 5.10 */
#define PVM_EFER_AIBRSE	(PVM_UL(1) << 21)	/* AMD64 APM vol. 2, 3.1.7 */

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
#define PVM_DR7_RW(n)	(PVM_UL(3) << (16 + 4 * (n)))	/* 0: on execution */

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

/* Instructions, SDM vol. 2 */
#define PVM_INSN_MAX_LENGTH	15	/* bytes */
#define PVM_SYSCALL_LENGTH	2	/* bytes */

/* INVPCID, SDM vol. 2: types */
#define PVM_INVPCID_ADDRESS	0
#define PVM_INVPCID_CONTEXT	1
#define PVM_INVPCID_ALL_GLOBAL	2
#define PVM_INVPCID_ALL		3

/* MSRs that the engine knows, SDM vol. 4 */
#define PVM_MSR_IA32_TSC		0x10
#define PVM_MSR_IA32_APIC_BASE		0x1b
#define PVM_MSR_IA32_SPEC_CTRL		0x48
#define PVM_MSR_IA32_PRED_CMD		0x49
#define PVM_MSR_IA32_BIOS_SIGN_ID	0x8b	/* the microcode's revision */
#define PVM_MSR_IA32_ARCH_CAPABILITIES	0x10a
#define PVM_MSR_IA32_FLUSH_CMD		0x10b
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

/* What those of them say that steer speculation, SDM vol. 4, table 2-2 */
#define PVM_SPEC_CTRL_IBRS		(PVM_UL(1) << 0)
#define PVM_SPEC_CTRL_BHI_DIS_S		(PVM_UL(1) << 10)
#define PVM_PRED_CMD_IBPB		(PVM_UL(1) << 0)
#define PVM_FLUSH_CMD_L1D		(PVM_UL(1) << 0)
#define PVM_ARCH_CAP_RDCL_NO		(PVM_UL(1) << 0)
#define PVM_ARCH_CAP_IBRS_ALL		(PVM_UL(1) << 1)
#define PVM_ARCH_CAP_SKIP_L1DFL_VMENTRY	(PVM_UL(1) << 3)
#define PVM_ARCH_CAP_MDS_NO		(PVM_UL(1) << 5)
#define PVM_ARCH_CAP_TAA_NO		(PVM_UL(1) << 8)
#define PVM_ARCH_CAP_SBDR_SSDP_NO	(PVM_UL(1) << 13)
#define PVM_ARCH_CAP_FBSDP_NO		(PVM_UL(1) << 14)
#define PVM_ARCH_CAP_PSDP_NO		(PVM_UL(1) << 15)
#define PVM_ARCH_CAP_FB_CLEAR		(PVM_UL(1) << 17)
#define PVM_ARCH_CAP_BHI_NO		(PVM_UL(1) << 20)
#define PVM_ARCH_CAP_RFDS_NO		(PVM_UL(1) << 27)
#define PVM_ARCH_CAP_RFDS_CLEAR		(PVM_UL(1) << 28)

/* Segment selectors and descriptors, SDM vol. 3, 3.4.2 and 3.4.5 */
#define PVM_SEL_RPL		3
#define PVM_SEL_LDT		4
#define PVM_SEL_INDEX(sel)	((unsigned)(sel) >> 3)
#define PVM_DESC_LIMIT		PVM_ULL(0x000f00000000ffff)
#define PVM_DESC_ACCESSED	(PVM_ULL(1) << 40)
#define PVM_DESC_RW		(PVM_ULL(1) << 41)	/* data: writable; code: readable */
#define PVM_DESC_LDT		(PVM_ULL(2) << 40)	/* the type of one, without PVM_DESC_S */
#define PVM_DESC_CODE		(PVM_ULL(1) << 43)
#define PVM_DESC_S		(PVM_ULL(1) << 44)	/* code or data, no system segment */
#define PVM_DESC_DPL3		(PVM_ULL(3) << 45)
#define PVM_DESC_P		(PVM_ULL(1) << 47)
#define PVM_DESC_L		(PVM_ULL(1) << 53)
#define PVM_DESC_DB		(PVM_ULL(1) << 54)	/* 32-bit */
#define PVM_DESC_BASE(desc)	(((desc) >> 16 & 0xffffff) | (desc) >> 56 << 24)

/* IA32_STAR, SDM vol. 3, 5.8.8: selectors, and what is added to them */
#define PVM_STAR_SYSCALL_SHIFT	32
#define PVM_STAR_SYSCALL_SS	8
#define PVM_STAR_SYSRET_SHIFT	48
#define PVM_STAR_SYSRET_SS	8
#define PVM_STAR_SYSRET_CS64	16

/* IA32_PAT at power-up, SDM vol. 3, table 12-12 */
#define PVM_PAT_RESET		PVM_ULL(0x0007040600070406)

/*
 * CPUID leaves, and those feature bits that a guest may see, SDM vol. 2,
 * CPUID; AMD64 APM vol. 3, appendix E.
 */
#define PVM_CPUID_LEAF_VENDOR		0x0
#define PVM_CPUID_LEAF_BASIC		0x1	/* family, model, features */
#define PVM_CPUID_LEAF_CACHE_TLB	0x2
#define PVM_CPUID_LEAF_CACHES		0x4
#define PVM_CPUID_LEAF_POWER		0x6
#define PVM_CPUID_LEAF_FEATURES		0x7
#define PVM_CPUID_LEAF_TOPOLOGY		0xb
#define PVM_CPUID_LEAF_XSTATE		0xd
#define PVM_CPUID_LEAF_TSC		0x15
#define PVM_CPUID_LEAF_FREQUENCY	0x16
#define PVM_CPUID_LEAF_TOPOLOGY2	0x1f
#define PVM_CPUID_LEAF_EXTENDED		0x80000000	/* the highest of them */
#define PVM_CPUID_LEAF_EXT_FEATURES	0x80000001
#define PVM_CPUID_LEAF_BRAND		0x80000002	/* and the next two */
#define PVM_CPUID_LEAF_L1		0x80000005
#define PVM_CPUID_LEAF_L2		0x80000006
#define PVM_CPUID_LEAF_EXT_POWER	0x80000007
#define PVM_CPUID_LEAF_ADDRESS		0x80000008
#define PVM_CPUID_LEAF_TLB_1G		0x80000019
#define PVM_CPUID_LEAF_PERF_HINTS	0x8000001a
#define PVM_CPUID_LEAF_AMD_CACHES	0x8000001d
#define PVM_CPUID_LEAF_AMD_TOPOLOGY	0x8000001e
#define PVM_CPUID_LEAF_EXT_FEATURES2	0x80000021
#define PVM_CPUID_HYPERVISOR_FIRST	0x40000000
#define PVM_CPUID_HYPERVISOR_LAST	0x400000ff

#define PVM_CPUID_1_ECX_SSE3		(1u << 0)
#define PVM_CPUID_1_ECX_PCLMULQDQ	(1u << 1)
#define PVM_CPUID_1_ECX_SSSE3		(1u << 9)
#define PVM_CPUID_1_ECX_FMA		(1u << 12)
#define PVM_CPUID_1_ECX_CX16		(1u << 13)
#define PVM_CPUID_1_ECX_PCID		(1u << 17)
#define PVM_CPUID_1_ECX_SSE4_1		(1u << 19)
#define PVM_CPUID_1_ECX_SSE4_2		(1u << 20)
#define PVM_CPUID_1_ECX_X2APIC		(1u << 21)
#define PVM_CPUID_1_ECX_MOVBE		(1u << 22)
#define PVM_CPUID_1_ECX_POPCNT		(1u << 23)
#define PVM_CPUID_1_ECX_TSC_DEADLINE	(1u << 24)
#define PVM_CPUID_1_ECX_AES		(1u << 25)
#define PVM_CPUID_1_ECX_XSAVE		(1u << 26)
#define PVM_CPUID_1_ECX_OSXSAVE		(1u << 27)
#define PVM_CPUID_1_ECX_AVX		(1u << 28)
#define PVM_CPUID_1_ECX_F16C		(1u << 29)
#define PVM_CPUID_1_ECX_RDRAND		(1u << 30)
#define PVM_CPUID_1_ECX_HYPERVISOR	(1u << 31)

#define PVM_CPUID_1_EDX_FPU		(1u << 0)
#define PVM_CPUID_1_EDX_DE		(1u << 2)
#define PVM_CPUID_1_EDX_PSE		(1u << 3)
#define PVM_CPUID_1_EDX_TSC		(1u << 4)
#define PVM_CPUID_1_EDX_MSR		(1u << 5)
#define PVM_CPUID_1_EDX_PAE		(1u << 6)
#define PVM_CPUID_1_EDX_CX8		(1u << 8)
#define PVM_CPUID_1_EDX_APIC		(1u << 9)
#define PVM_CPUID_1_EDX_PGE		(1u << 13)
#define PVM_CPUID_1_EDX_CMOV		(1u << 15)
#define PVM_CPUID_1_EDX_PAT		(1u << 16)
#define PVM_CPUID_1_EDX_PSE36		(1u << 17)
#define PVM_CPUID_1_EDX_CLFSH		(1u << 19)
#define PVM_CPUID_1_EDX_MMX		(1u << 23)
#define PVM_CPUID_1_EDX_FXSR		(1u << 24)
#define PVM_CPUID_1_EDX_SSE		(1u << 25)
#define PVM_CPUID_1_EDX_SSE2		(1u << 26)
#define PVM_CPUID_1_EDX_SS		(1u << 27)

#define PVM_CPUID_7_EBX_FSGSBASE	(1u << 0)
#define PVM_CPUID_7_EBX_BMI1		(1u << 3)
#define PVM_CPUID_7_EBX_HLE		(1u << 4)
#define PVM_CPUID_7_EBX_AVX2		(1u << 5)
#define PVM_CPUID_7_EBX_FDP_EXCPTN_ONLY	(1u << 6)
#define PVM_CPUID_7_EBX_SMEP		(1u << 7)
#define PVM_CPUID_7_EBX_BMI2		(1u << 8)
#define PVM_CPUID_7_EBX_ERMS		(1u << 9)
#define PVM_CPUID_7_EBX_INVPCID		(1u << 10)
#define PVM_CPUID_7_EBX_RTM		(1u << 11)
#define PVM_CPUID_7_EBX_FCS_FDS		(1u << 13)
#define PVM_CPUID_7_EBX_AVX512F		(1u << 16)
#define PVM_CPUID_7_EBX_AVX512DQ	(1u << 17)
#define PVM_CPUID_7_EBX_RDSEED		(1u << 18)
#define PVM_CPUID_7_EBX_ADX		(1u << 19)
#define PVM_CPUID_7_EBX_AVX512_IFMA	(1u << 21)
#define PVM_CPUID_7_EBX_CLFLUSHOPT	(1u << 23)
#define PVM_CPUID_7_EBX_CLWB		(1u << 24)
#define PVM_CPUID_7_EBX_AVX512PF	(1u << 26)
#define PVM_CPUID_7_EBX_AVX512ER	(1u << 27)
#define PVM_CPUID_7_EBX_AVX512CD	(1u << 28)
#define PVM_CPUID_7_EBX_SHA		(1u << 29)
#define PVM_CPUID_7_EBX_AVX512BW	(1u << 30)
#define PVM_CPUID_7_EBX_AVX512VL	(1u << 31)

#define PVM_CPUID_7_ECX_PREFETCHWT1	(1u << 0)
#define PVM_CPUID_7_ECX_AVX512_VBMI	(1u << 1)
#define PVM_CPUID_7_ECX_UMIP		(1u << 2)
#define PVM_CPUID_7_ECX_PKU		(1u << 3)
#define PVM_CPUID_7_ECX_OSPKE		(1u << 4)
#define PVM_CPUID_7_ECX_AVX512_VBMI2	(1u << 6)
#define PVM_CPUID_7_ECX_GFNI		(1u << 8)
#define PVM_CPUID_7_ECX_VAES		(1u << 9)
#define PVM_CPUID_7_ECX_VPCLMULQDQ	(1u << 10)
#define PVM_CPUID_7_ECX_AVX512_VNNI	(1u << 11)
#define PVM_CPUID_7_ECX_AVX512_BITALG	(1u << 12)
#define PVM_CPUID_7_ECX_AVX512_VPOPCNTDQ	(1u << 14)
#define PVM_CPUID_7_ECX_LA57		(1u << 16)
#define PVM_CPUID_7_ECX_CLDEMOTE	(1u << 25)
#define PVM_CPUID_7_ECX_MOVDIRI		(1u << 27)
#define PVM_CPUID_7_ECX_MOVDIR64B	(1u << 28)
#define PVM_CPUID_7_ECX_PKS		(1u << 31)

#define PVM_CPUID_7_EDX_AVX512_4VNNIW	(1u << 2)
#define PVM_CPUID_7_EDX_AVX512_4FMAPS	(1u << 3)
#define PVM_CPUID_7_EDX_FSRM		(1u << 4)
#define PVM_CPUID_7_EDX_AVX512_VP2INTERSECT	(1u << 8)
#define PVM_CPUID_7_EDX_MD_CLEAR	(1u << 10)
#define PVM_CPUID_7_EDX_RTM_ALWAYS_ABORT	(1u << 11)
#define PVM_CPUID_7_EDX_SERIALIZE	(1u << 14)
#define PVM_CPUID_7_EDX_TSXLDTRK	(1u << 16)
#define PVM_CPUID_7_EDX_AVX512_FP16	(1u << 23)
#define PVM_CPUID_7_EDX_SPEC_CTRL	(1u << 26)	/* IBRS and IBPB */
#define PVM_CPUID_7_EDX_L1D_FLUSH	(1u << 28)
#define PVM_CPUID_7_EDX_ARCH_CAPABILITIES	(1u << 29)

#define PVM_CPUID_7_1_EAX_SHA512	(1u << 0)
#define PVM_CPUID_7_1_EAX_SM3		(1u << 1)
#define PVM_CPUID_7_1_EAX_SM4		(1u << 2)
#define PVM_CPUID_7_1_EAX_RAO_INT	(1u << 3)
#define PVM_CPUID_7_1_EAX_AVX_VNNI	(1u << 4)
#define PVM_CPUID_7_1_EAX_AVX512_BF16	(1u << 5)
#define PVM_CPUID_7_1_EAX_CMPCCXADD	(1u << 7)
#define PVM_CPUID_7_1_EAX_FZRM		(1u << 10)
#define PVM_CPUID_7_1_EAX_FSRS		(1u << 11)
#define PVM_CPUID_7_1_EAX_FSRCS		(1u << 12)
#define PVM_CPUID_7_1_EAX_AVX_IFMA	(1u << 23)

#define PVM_CPUID_7_1_EDX_AVX_VNNI_INT8	(1u << 4)
#define PVM_CPUID_7_1_EDX_AVX_NE_CONVERT	(1u << 5)
#define PVM_CPUID_7_1_EDX_AVX_VNNI_INT16	(1u << 10)
#define PVM_CPUID_7_1_EDX_PREFETCHI	(1u << 14)

#define PVM_CPUID_7_2_EDX_BHI_CTRL	(1u << 4)

#define PVM_CPUID_D_1_EAX_XSAVEOPT	(1u << 0)
#define PVM_CPUID_D_1_EAX_XSAVEC	(1u << 1)
#define PVM_CPUID_D_1_EAX_XGETBV1	(1u << 2)

#define PVM_CPUID_81_ECX_LAHF		(1u << 0)
#define PVM_CPUID_81_ECX_ABM		(1u << 5)
#define PVM_CPUID_81_ECX_SSE4A		(1u << 6)
#define PVM_CPUID_81_ECX_MISALIGNSSE	(1u << 7)
#define PVM_CPUID_81_ECX_PREFETCHW	(1u << 8)
#define PVM_CPUID_81_ECX_XOP		(1u << 11)
#define PVM_CPUID_81_ECX_FMA4		(1u << 16)
#define PVM_CPUID_81_ECX_TBM		(1u << 21)

#define PVM_CPUID_81_EDX_SYSCALL	(1u << 11)
#define PVM_CPUID_81_EDX_NX		(1u << 20)
#define PVM_CPUID_81_EDX_MMXEXT		(1u << 22)
#define PVM_CPUID_81_EDX_PDPE1GB	(1u << 26)
#define PVM_CPUID_81_EDX_LM		(1u << 29)
#define PVM_CPUID_81_EDX_3DNOWEXT	(1u << 30)
#define PVM_CPUID_81_EDX_3DNOW		(1u << 31)

#define PVM_CPUID_88_EBX_CLZERO		(1u << 0)
#define PVM_CPUID_88_EBX_XSAVEERPTR	(1u << 2)
#define PVM_CPUID_88_EBX_IBPB		(1u << 12)
#define PVM_CPUID_88_EBX_IBRS		(1u << 14)
#define PVM_CPUID_88_EBX_IBRS_ALWAYS_ON	(1u << 16)	/* wants to be set once, not toggled */
#define PVM_CPUID_88_EBX_BTC_NO		(1u << 29)	/* no branch type confusion (Retbleed) */

#define PVM_CPUID_21_EAX_NO_NESTED_DATA_BP	(1u << 0)
#define PVM_CPUID_21_EAX_LFENCE_RDTSC	(1u << 2)
#define PVM_CPUID_21_EAX_NULL_SEL_CLR_BASE	(1u << 6)
#define PVM_CPUID_21_EAX_AUTO_IBRS	(1u << 8)
#define PVM_CPUID_21_EAX_IBPB_BRTYPE	(1u << 28)	/* IBPB flushes what returns are predicted by, too */
#define PVM_CPUID_21_EAX_SRSO_NO	(1u << 29)
#define PVM_CPUID_21_EAX_SRSO_USER_KERNEL_NO	(1u << 30)
#define PVM_CPUID_21_ECX_TSA_SQ_NO	(1u << 1)
#define PVM_CPUID_21_ECX_TSA_L1_NO	(1u << 2)

/* CPUID 0 EBX: the first four letters of the vendor */
#define PVM_CPUID_0_EBX_INTEL		0x756e6547u	/* Genu */
#define PVM_CPUID_0_EBX_AMD		0x68747541u	/* Auth */
#define PVM_CPUID_0_EBX_HYGON		0x6f677948u	/* Hygo */

/* CPUID 1 EAX: family, of which the upper part counts only if the lower is 15 */
#define PVM_CPUID_1_EAX_FAMILY(eax) \
	(((eax) >> 8 & 0xf) + (((eax) >> 8 & 0xf) == 0xf ? (eax) >> 20 & 0xff : 0))
#define PVM_CPUID_1_EBX_APIC_ID_SHIFT	24
#define PVM_CPUID_4_EAX_TYPE		0x1fu		/* 0: no more caches */
#define PVM_CPUID_4_EAX_SHARING		0xffffc000u	/* threads and cores that share a cache */
#define PVM_CPUID_6_EAX_ARAT		(1u << 2)
#define PVM_CPUID_B_ECX_SMT		(1u << 8)
#define PVM_CPUID_B_ECX_CORE		(2u << 8)
#define PVM_CPUID_D_ECX_SUPERVISOR	(1u << 0)	/* a component of IA32_XSS */
#define PVM_CPUID_D_ECX_ALIGN64		(1u << 1)	/* in the compacted format */
#define PVM_CPUID_87_EDX_INVARIANT_TSC	(1u << 8)

/* XCR0, SDM vol. 1, 13.3, and the fixed part of the XSAVE area, 13.4 */
#define PVM_XCR0_X87		(1u << 0)
#define PVM_XCR0_SSE		(1u << 1)
#define PVM_XCR0_AVX		(1u << 2)
#define PVM_XCR0_AVX512		(7u << 5)
#define PVM_XCR0_PKRU		(1u << 9)
#define PVM_XSAVE_LEGACY_SIZE	576		/* bytes: legacy region and header */

#endif /* PVM_X86_H */
