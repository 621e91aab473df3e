/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * What a guest asks for: SYSCALL and its classifier, the PVM hypercalls, and
 * the privileged instructions that trap and are emulated.
 *
 * Owned by libpvm/hypercall/. Instructions arrive decoded (struct pvm_insn):
 * the decoder is the backend's, outside the freestanding core.
 */
#ifndef PVM_HYPERCALL_H
#define PVM_HYPERCALL_H

#include <pvm/vcpu.h>

/* What a SYSCALL of the guest is. */
enum pvm_syscall_class {
	PVM_SYSCALL_USER,		/* from user mode */
	PVM_SYSCALL_RETURN_USER,	/* supervisor, at MSR_PVM_RETU_RIP */
	PVM_SYSCALL_RETURN_SUPERVISOR,	/* supervisor, at MSR_PVM_RETS_RIP */
	PVM_SYSCALL_PVM_HYPERCALL,	/* supervisor, RAX one of PVM's 256 numbers */
	PVM_SYSCALL_OTHER_HYPERCALL,	/* supervisor, any other RAX */
};

/**
 * pvm_syscall_classify - what does the SYSCALL that just trapped mean?
 * @vcpu: rip is the address after the SYSCALL instruction (2 bytes).
 * RETU wins where both MSRs hold the same address. A value of 0 in either MSR
 * matches no SYSCALL.
 */
PVM_API enum pvm_syscall_class pvm_syscall_classify(const struct pvm_vcpu *vcpu);

/**
 * pvm_handle_syscall - the guest executed SYSCALL.
 * @vcpu: as the CPU left it: rip after the instruction, RCX = rip, R11 =
 * rflags (the backend sets these two if its way of trapping did not).
 * A number in PVM's block that is no hypercall gets -KVM_ENOSYS at once.
 *
 * Returns what to do next; PVM_ACT_HYPERCALL and PVM_ACT_RDMSR/WRMSR want a
 * completion. spec: User SYSCALL event .. Hypercall event in supervisor mode
 */
PVM_API enum pvm_action pvm_handle_syscall(struct pvm_vcpu *vcpu);

/* Finish PVM_ACT_HYPERCALL: RAX = @result. An unknown number gets -KVM_ENOSYS.
 * Returns what to do next: PVM_ACT_RESUME, or PVM_ACT_SHUTDOWN where RIP ran
 * out of the address space and the #GP for that could not be delivered. */
PVM_API enum pvm_action pvm_complete_hypercall(struct pvm_vcpu *vcpu, uint64_t result);

/* Finish PVM_ACT_RDMSR and _WRMSR. @ok false: no such MSR or a bad value (the
 * instruction raises #GP; HC_RDMSR gives 0, HC_WRMSR -EINVAL). */
PVM_API enum pvm_action pvm_complete_rdmsr(struct pvm_vcpu *vcpu, bool ok, uint64_t value);
PVM_API enum pvm_action pvm_complete_wrmsr(struct pvm_vcpu *vcpu, bool ok);

/* Finish PVM_ACT_IO. @value: what IN read (its low request.io.size bytes count).
 * A repeated string instruction stays where it is until its last element: it
 * traps again for the next. Returns as pvm_handle_insn(). */
PVM_API enum pvm_action pvm_complete_io(struct pvm_vcpu *vcpu, uint32_t value);

/* ------------------------------------------------------------------------
 * Instructions that trap.
 */

enum pvm_insn_op {
	PVM_INSN_UNKNOWN = 0,		/* nothing the engine emulates: the exception stands */
	PVM_INSN_SYNTHETIC_CPUID,	/* the ten bytes of PVM_SYNTHETIC_CPUID */
	PVM_INSN_XEN_CPUID,		/* the seven bytes of PVM_XEN_CPUID; else they begin with UD2 */
	PVM_INSN_CPUID,			/* only where the host lets CPUID fault */
	PVM_INSN_RDMSR,
	PVM_INSN_WRMSR,
	PVM_INSN_IN,			/* size, port or DX */
	PVM_INSN_OUT,
	PVM_INSN_INS,			/* string I/O: rep, size, address size */
	PVM_INSN_OUTS,
	PVM_INSN_HLT,
	PVM_INSN_CLI,
	PVM_INSN_STI,
	PVM_INSN_INVLPG,		/* address */
	PVM_INSN_INVPCID,		/* reg: type, address: descriptor */
	PVM_INSN_MOV_TO_CR,		/* reg, creg */
	PVM_INSN_MOV_FROM_CR,
	PVM_INSN_MOV_TO_DR,
	PVM_INSN_MOV_FROM_DR,
	PVM_INSN_CLTS,
	PVM_INSN_LMSW,			/* reg or memory, 16 bits */
	PVM_INSN_LGDT,			/* address of limit and base */
	PVM_INSN_LIDT,
	PVM_INSN_LLDT,			/* reg or memory, 16 bits */
	PVM_INSN_LTR,
	PVM_INSN_SGDT,			/* these five fault only under UMIP */
	PVM_INSN_SIDT,
	PVM_INSN_SLDT,
	PVM_INSN_STR,
	PVM_INSN_SMSW,
	PVM_INSN_INT,			/* value: the vector of INT n (not INT3) */
	PVM_INSN_WBINVD,		/* also INVD: no effect */
	PVM_INSN_XSETBV,
	PVM_INSN_RDPMC,
	PVM_INSN_SWAPGS,		/* the rest: not allowed or without replacement */
	PVM_INSN_SYSRET,
	PVM_INSN_SYSEXIT,
	PVM_INSN_SYSENTER,
	PVM_INSN_STAC,
	PVM_INSN_CLAC,
	PVM_INSN_SYSCALL32,		/* SYSCALL from 32-bit code: MSR_CSTAR is ignored */
	PVM_INSN_OPS
};

/* A decoded instruction at vcpu->rip. */
struct pvm_insn {
	enum pvm_insn_op op;
	uint8_t length;			/* bytes, 1..15 */
	uint8_t reg;			/* general register operand, 0..15 */
	uint8_t creg;			/* control or debug register number, 0..15 */
	uint8_t size;			/* operand size in bytes: 1, 2, 4, 8 */
	uint8_t address_size;		/* bytes: 4 or 8 (string I/O) */
	bool rep;			/* string I/O */
	bool port_is_dx;
	bool memory;			/* the operand is in memory at address, else reg */
	uint16_t port;			/* the immediate port */
	uint64_t address;		/* effective linear address of the memory operand */
	uint64_t value;			/* immediate */
};

/**
 * pvm_handle_insn - emulate the instruction that raised #GP or #UD.
 * @insn: decoded by the backend at vcpu->rip.
 * @vector, @error_code: the exception the CPU raised, delivered where the
 * guest may not execute the instruction (always in user mode, but for the
 * synthetic CPUID and CPUID).
 *
 * Returns what to do next; PVM_ACT_IO, _RDMSR, _WRMSR want a completion, which
 * also steps over the instruction.
 * spec: X86 Instructions with changed behavior, PVM Synthetic Instructions
 */
PVM_API enum pvm_action pvm_handle_insn(struct pvm_vcpu *vcpu, const struct pvm_insn *insn,
					uint8_t vector, uint32_t error_code);

/* Names for people. */
/* "LOAD_PGTBL"; NULL: not a hypercall of that ABI. */
PVM_API const char *pvm_hypercall_name(enum pvm_abi abi, uint64_t nr);
PVM_API const char *pvm_insn_name(enum pvm_insn_op op);

#endif /* PVM_HYPERCALL_H */
