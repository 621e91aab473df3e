/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The PVM guest ABI: every number that a guest and a hypervisor must agree on.
 *
 * Owns nothing but numbers. Include it from C, from assembly (.S), and from
 * guest kernels: it needs no other header of libpvm. The prose is in the PVM
 * specification; section names of it are cited as "spec: ...".
 *
 * Three dialects exist (enum pvm_abi). Unprefixed names are those of
 * PVM_ABI_DUAL_CR3, the specification's; PVM_SC_ and PVM_LH_ names are those
 * of the two later dialects where they differ.
 */
#ifndef PVM_ABI_H
#define PVM_ABI_H

#ifdef __ASSEMBLER__
#define PVM_UL(x) x
#define PVM_ULL(x) x
#else
#define PVM_UL(x) x##ul
#define PVM_ULL(x) x##ull
#endif

/* ------------------------------------------------------------------------
 * MSRs. spec: PVM MSRs
 */
#define MSR_PVM_LINEAR_ADDRESS_RANGE	0x4b564df0
#define MSR_PVM_VCPU_STRUCT		0x4b564df1	/* gpa of the PVCS; also "VCPU_CTRL_STRUCT" */
#define MSR_PVM_SUPERVISOR_RSP		0x4b564df2
#define MSR_PVM_SUPERVISOR_REDZONE	0x4b564df3
#define MSR_PVM_EVENT_ENTRY		0x4b564df4
#define MSR_PVM_RETU_RIP		0x4b564df5
#define MSR_PVM_RETS_RIP		0x4b564df6
#define MSR_PVM_SWITCH_CR3		0x4b564df7
#define PVM_MSR_BASE			0x4b564df0
#define PVM_MSR_LAST			0x4b564dff

/* ------------------------------------------------------------------------
 * Hypercalls: SYSCALL in supervisor mode, RAX = number, arguments in
 * RBX, R10 (stands for RCX), RDX, RSI; result in RAX.
 * spec: Hypercall event in supervisor mode
 */
#define PVM_HC_BASE			0x17088200
#define PVM_HC_COUNT			256		/* numbers reserved for PVM */
#define PVM_HC_LOAD_PGTBL		(PVM_HC_BASE + 0)
#define PVM_HC_IRQ_WIN			(PVM_HC_BASE + 1)
#define PVM_HC_IRQ_HLT			(PVM_HC_BASE + 2)
#define PVM_HC_IRQ_HALT			PVM_HC_IRQ_HLT
#define PVM_HC_TLB_FLUSH		(PVM_HC_BASE + 3)
#define PVM_HC_TLB_FLUSH_CURRENT	(PVM_HC_BASE + 4)
#define PVM_HC_TLB_INVLPG		(PVM_HC_BASE + 5)
#define PVM_HC_LOAD_GS			(PVM_HC_BASE + 6)
#define PVM_HC_RDMSR			(PVM_HC_BASE + 7)
#define PVM_HC_WRMSR			(PVM_HC_BASE + 8)
#define PVM_HC_LOAD_TLS			(PVM_HC_BASE + 9)

#define PVM_LOAD_PGTBL_FLUSH		(1 << 0)
#define PVM_LOAD_PGTBL_LA57		(1 << 1)

/* Result of an unknown hypercall (Linux: KVM_ENOSYS) and of a bad WRMSR. */
#define PVM_KVM_ENOSYS			1000
#define PVM_HC_EINVAL			22

/* ------------------------------------------------------------------------
 * PVCS, struct pvm_vcpu_struct. spec: MSR_PVM_VCPU_CTRL_STRUCT
 */
#define PVCS_EVENT_FLAGS		0
#define PVCS_EVENT_ERRCODE		8
#define PVCS_EVENT_VECTOR		12
#define PVCS_CR2			16
#define PVCS_USER_CS			64
#define PVCS_USER_SS			66
#define PVCS_USER_GSBASE		80
#define PVCS_EFLAGS			88
#define PVCS_PKRU			92
#define PVCS_RIP			96
#define PVCS_RSP			104
#define PVCS_RCX			112
#define PVCS_R11			120
#define PVCS_SIZE			128

#define PVM_EVENT_FLAGS_IP_BIT		8
#define PVM_EVENT_FLAGS_IF_BIT		9
#define PVM_EVENT_FLAGS_IP		(PVM_UL(1) << PVM_EVENT_FLAGS_IP_BIT)
#define PVM_EVENT_FLAGS_IF		(PVM_UL(1) << PVM_EVENT_FLAGS_IF_BIT)

/* ------------------------------------------------------------------------
 * Event entry points, as offsets from MSR_PVM_EVENT_ENTRY.
 */
#define PVM_ENTRY_USER			0	/* vector events from user mode */
#define PVM_ENTRY_SUPERVISOR_EXCEPTION	256	/* vector < 32 from supervisor mode */
#define PVM_ENTRY_SUPERVISOR_INTERRUPT	512	/* vector >= 32 from supervisor mode */

/* The frame that an event with vector < 32 leaves on the supervisor's stack. */
#define PVM_FRAME_ERRCODE		0	/* u32 */
#define PVM_FRAME_VECTOR		4	/* u32 */
#define PVM_FRAME_RIP			8
#define PVM_FRAME_CS			16
#define PVM_FRAME_RFLAGS		24
#define PVM_FRAME_RSP			32
#define PVM_FRAME_SS			40
#define PVM_FRAME_RCX			48
#define PVM_FRAME_R11			56
#define PVM_FRAME_SIZE			64

/* ------------------------------------------------------------------------
 * MSR_PVM_LINEAR_ADDRESS_RANGE. Each index is 9 bits with bit 8 set; the
 * seven bits above each are ones.
 */
#define PVM_RANGE_PML4_START_SHIFT	0
#define PVM_RANGE_PML4_END_SHIFT	16
#define PVM_RANGE_PML5_START_SHIFT	32
#define PVM_RANGE_PML5_END_SHIFT	48
#define PVM_RANGE_INDEX_MASK		0x1ff
#define PVM_RANGE_FIXED_BITS		PVM_ULL(0xff00ff00ff00ff00)
#define PVM_RANGE_INDEX_NONE		0x1ff	/* start and end of a range that is not there */

/* ------------------------------------------------------------------------
 * CPUID. spec: KVM and PVM specific CPUID leafs
 */
#define PVM_CPUID_SIGNATURE		0x40000000
#define PVM_CPUID_FEATURES		0x40000001
#define PVM_CPUID_VENDOR_FEATURES	0x40000002
#define PVM_CPUID_KVM_EBX		0x4b4d564b	/* "KVMK" */
#define PVM_CPUID_KVM_ECX		0x564b4d56	/* "VMKV" */
#define PVM_CPUID_KVM_EDX		0x0000004d	/* "M\0\0\0" */
#define PVM_CPUID_VENDOR_EBX		0x006d7670	/* "pvm": the specification's */
#define PVM_CPUID_VENDOR_EBX_DEPLOYED	0x004d5650	/* "PVM": what deployed guests compare with */

/* invlpg 0xffffffffff4d5650; cpuid. spec: PVM_SYNTHETIC_CPUID */
#define PVM_SYNTHETIC_CPUID_BYTES	0x0f, 0x01, 0x3c, 0x25, 0x50, 0x56, 0x4d, 0xff, 0x0f, 0xa2
#define PVM_SYNTHETIC_CPUID_LEN		10
#define PVM_SYNTHETIC_CPUID_ADDR	PVM_ULL(0xffffffffff4d5650)

/* ------------------------------------------------------------------------
 * How a guest's ELF file says which dialect it is written for: a note with this name
 * and type, whose descriptor is one 32-bit enum pvm_abi. No note: PVM_ABI_DUAL_CR3.
 */
#define PVM_ELFNOTE_NAME		"PVM"
#define PVM_ELFNOTE_ABI			1

/* ------------------------------------------------------------------------
 * PVM_ABI_SINGLE_CR3, where it differs.
 */
#define PVM_SC_PVCS_EVENT_FLAGS		0
#define PVM_SC_PVCS_CR2			8
#define PVM_SC_PVCS_USER_CS		64
#define PVM_SC_PVCS_USER_SS		66
#define PVM_SC_PVCS_EVENT_ERRCODE	68	/* u16 */
#define PVM_SC_PVCS_EVENT_VECTOR	70	/* u16 */
#define PVM_SC_PVCS_USER_GSBASE		72
#define PVM_SC_PVCS_EFLAGS		80
#define PVM_SC_PVCS_PKRU		84
#define PVM_SC_PVCS_RIP			88
#define PVM_SC_PVCS_RCX			96
#define PVM_SC_PVCS_R11			104
#define PVM_SC_VECTOR_STD		(1 << 8)
#define PVM_SC_VECTOR_NMI		(1 << 9)
#define PVM_SC_VECTOR_MCE		(1 << 10)
#define PVM_SC_VECTOR_LOCK		0xff00		/* any of these: the PVCS is in use */
#define PVM_SC_ENTRY_USER		0
#define PVM_SC_ENTRY_SUPERVISOR		512

/* ------------------------------------------------------------------------
 * PVM_ABI_LOWER_HALF, where it differs again.
 */
#define MSR_PVM_LH_VCPU_STRUCT		0x4b564d20
#define MSR_PVM_LH_EVENT_ENTRY		0x4b564d21
#define MSR_PVM_LH_RETU_RIP		0x4b564d22
#define MSR_PVM_LH_FEATURES_ENABLED	0x4b564d23
#define PVM_LH_EVENT_FLAGS_IF_BIT	9
#define PVM_LH_EVENT_FLAGS_IP_BIT	32
#define PVM_LH_CPUID_SIGNATURE		0x40000200
#define PVM_LH_CPUID_FEATURES		0x40000201
#define PVM_LH_CPUID_EBX		0x504d5650	/* "PVMP" */
#define PVM_LH_CPUID_ECX		0x56504d56	/* "VMPV" */
#define PVM_LH_CPUID_EDX		0x0000004d	/* "M\0\0\0" */
#define PVM_LH_ABI_VERSION		1
#define PVM_LH_FEATURE_DIRECT_PF	(1 << 0)

#ifndef __ASSEMBLER__

#ifdef __KERNEL__
#include <linux/types.h>
#else
#include <stddef.h>
#include <stdint.h>
#endif

#ifdef __cplusplus
extern "C" {
#define PVM_ABI_ASSERT(cond) static_assert(cond, #cond)
#else
#define PVM_ABI_ASSERT(cond) _Static_assert(cond, #cond)
#endif

/*
 * The PVM vCPU control structure, shared between guest supervisor and
 * hypervisor. The guest may write any byte at any time.
 * spec: MSR_PVM_VCPU_CTRL_STRUCT
 */
struct pvm_vcpu_struct {
	uint64_t event_flags;
	uint32_t event_errcode;
	uint32_t event_vector;
	uint64_t cr2;
	uint64_t reserved0[5];

	uint16_t user_cs, user_ss;
	uint32_t reserved1;
	uint64_t reserved2;
	uint64_t user_gsbase;
	uint32_t eflags;
	uint32_t pkru;
	uint64_t rip;
	uint64_t rsp;
	uint64_t rcx;
	uint64_t r11;
};

PVM_ABI_ASSERT(offsetof(struct pvm_vcpu_struct, event_flags) == PVCS_EVENT_FLAGS);
PVM_ABI_ASSERT(offsetof(struct pvm_vcpu_struct, event_errcode) == PVCS_EVENT_ERRCODE);
PVM_ABI_ASSERT(offsetof(struct pvm_vcpu_struct, event_vector) == PVCS_EVENT_VECTOR);
PVM_ABI_ASSERT(offsetof(struct pvm_vcpu_struct, cr2) == PVCS_CR2);
PVM_ABI_ASSERT(offsetof(struct pvm_vcpu_struct, reserved0) == 24);
PVM_ABI_ASSERT(offsetof(struct pvm_vcpu_struct, user_cs) == PVCS_USER_CS);
PVM_ABI_ASSERT(offsetof(struct pvm_vcpu_struct, user_ss) == PVCS_USER_SS);
PVM_ABI_ASSERT(offsetof(struct pvm_vcpu_struct, reserved1) == 68);
PVM_ABI_ASSERT(offsetof(struct pvm_vcpu_struct, reserved2) == 72);
PVM_ABI_ASSERT(offsetof(struct pvm_vcpu_struct, user_gsbase) == PVCS_USER_GSBASE);
PVM_ABI_ASSERT(offsetof(struct pvm_vcpu_struct, eflags) == PVCS_EFLAGS);
PVM_ABI_ASSERT(offsetof(struct pvm_vcpu_struct, pkru) == PVCS_PKRU);
PVM_ABI_ASSERT(offsetof(struct pvm_vcpu_struct, rip) == PVCS_RIP);
PVM_ABI_ASSERT(offsetof(struct pvm_vcpu_struct, rsp) == PVCS_RSP);
PVM_ABI_ASSERT(offsetof(struct pvm_vcpu_struct, rcx) == PVCS_RCX);
PVM_ABI_ASSERT(offsetof(struct pvm_vcpu_struct, r11) == PVCS_R11);
PVM_ABI_ASSERT(sizeof(struct pvm_vcpu_struct) == PVCS_SIZE);

/*
 * What delivery of a vector below 32 pushes on the supervisor's stack, lowest
 * address first; what EVENT_RETURN_SUPERVISOR takes back from it.
 * spec: Vector events in supervisor mode
 */
struct pvm_supervisor_frame {
	uint32_t errcode;
	uint32_t vector;
	uint64_t rip;
	uint64_t cs;
	uint64_t rflags;
	uint64_t rsp;
	uint64_t ss;
	uint64_t rcx;
	uint64_t r11;
};

PVM_ABI_ASSERT(offsetof(struct pvm_supervisor_frame, errcode) == PVM_FRAME_ERRCODE);
PVM_ABI_ASSERT(offsetof(struct pvm_supervisor_frame, vector) == PVM_FRAME_VECTOR);
PVM_ABI_ASSERT(offsetof(struct pvm_supervisor_frame, rip) == PVM_FRAME_RIP);
PVM_ABI_ASSERT(offsetof(struct pvm_supervisor_frame, cs) == PVM_FRAME_CS);
PVM_ABI_ASSERT(offsetof(struct pvm_supervisor_frame, rflags) == PVM_FRAME_RFLAGS);
PVM_ABI_ASSERT(offsetof(struct pvm_supervisor_frame, rsp) == PVM_FRAME_RSP);
PVM_ABI_ASSERT(offsetof(struct pvm_supervisor_frame, ss) == PVM_FRAME_SS);
PVM_ABI_ASSERT(offsetof(struct pvm_supervisor_frame, rcx) == PVM_FRAME_RCX);
PVM_ABI_ASSERT(offsetof(struct pvm_supervisor_frame, r11) == PVM_FRAME_R11);
PVM_ABI_ASSERT(sizeof(struct pvm_supervisor_frame) == PVM_FRAME_SIZE);

/* PVM_ABI_SINGLE_CR3's PVCS. RSP is not in it: events do not change RSP. */
struct pvm_sc_vcpu_struct {
	uint64_t event_flags;
	uint64_t cr2;
	uint64_t reserved0[6];
	uint16_t user_cs, user_ss;
	uint16_t event_errcode, event_vector;
	uint64_t user_gsbase;
	uint32_t eflags;
	uint32_t pkru;
	uint64_t rip;
	uint64_t rcx;
	uint64_t r11;
	uint64_t reserved1[2];
};

PVM_ABI_ASSERT(offsetof(struct pvm_sc_vcpu_struct, cr2) == PVM_SC_PVCS_CR2);
PVM_ABI_ASSERT(offsetof(struct pvm_sc_vcpu_struct, user_cs) == PVM_SC_PVCS_USER_CS);
PVM_ABI_ASSERT(offsetof(struct pvm_sc_vcpu_struct, user_ss) == PVM_SC_PVCS_USER_SS);
PVM_ABI_ASSERT(offsetof(struct pvm_sc_vcpu_struct, event_errcode) == PVM_SC_PVCS_EVENT_ERRCODE);
PVM_ABI_ASSERT(offsetof(struct pvm_sc_vcpu_struct, event_vector) == PVM_SC_PVCS_EVENT_VECTOR);
PVM_ABI_ASSERT(offsetof(struct pvm_sc_vcpu_struct, user_gsbase) == PVM_SC_PVCS_USER_GSBASE);
PVM_ABI_ASSERT(offsetof(struct pvm_sc_vcpu_struct, eflags) == PVM_SC_PVCS_EFLAGS);
PVM_ABI_ASSERT(offsetof(struct pvm_sc_vcpu_struct, pkru) == PVM_SC_PVCS_PKRU);
PVM_ABI_ASSERT(offsetof(struct pvm_sc_vcpu_struct, rip) == PVM_SC_PVCS_RIP);
PVM_ABI_ASSERT(offsetof(struct pvm_sc_vcpu_struct, rcx) == PVM_SC_PVCS_RCX);
PVM_ABI_ASSERT(offsetof(struct pvm_sc_vcpu_struct, r11) == PVM_SC_PVCS_R11);
PVM_ABI_ASSERT(sizeof(struct pvm_sc_vcpu_struct) == PVCS_SIZE);

#ifdef __cplusplus
}
#endif
#endif /* !__ASSEMBLER__ */
#endif /* PVM_ABI_H */
