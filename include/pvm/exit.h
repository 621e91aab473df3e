/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Exits: everything between "the guest stopped" and "run it again on this root, or
 * carry out this action first". One call for every host.
 *
 * Owned by libpvm/exit/. A host says what stopped the guest, has its instruction
 * decoder and its interrupt controller asked through struct pvm_host_ops, and does
 * what comes back:
 *
 *	struct pvm_guest_exit exit = { .kind = PVM_EXIT_KICK };
 *
 *	for (;;) {
 *		switch (pvm_handle_exit(vcpu, &exit, &root, PVM_MAY_SLEEP)) {
 *		case PVM_ACT_RESUME:
 *			run_guest(vcpu, root, &exit);
 *			break;
 *		case PVM_ACT_IO:
 *			pvm_exit_is_action(&exit, pvm_complete_io(vcpu, in_or_out(vcpu)));
 *			break;
 *		case PVM_ACT_RETRY:
 *			break;
 *		...
 *		}
 *	}
 */
#ifndef PVM_EXIT_H
#define PVM_EXIT_H

#include <pvm/hypercall.h>
#include <pvm/vcpu.h>

/* What stopped the guest. Registers are in struct pvm_vcpu, as its comment says. */
enum pvm_exit_kind {
	PVM_EXIT_KICK = 0,	/* nothing: a kick, a flush, or the guest has not run yet */
	PVM_EXIT_SYSCALL,	/* SYSCALL in 64-bit code; rip after it, rcx = rip, r11 = rflags */
	PVM_EXIT_SYSCALL32,	/* SYSCALL or SYSENTER in 32-bit code; rip at it; insn.op, or
				 * PVM_INSN_UNKNOWN where it is to be read and decoded */
	PVM_EXIT_EXCEPTION,	/* vector 0..31, error_code; #PF: gva, #DB: dr6 of the vCPU */
	PVM_EXIT_SOFTWARE,	/* INT3, INTO, INT 0x80 or INT 4 by an open gate: vector; rip after it */
	PVM_EXIT_INSN,		/* an instruction that is decoded already, insn; it raised vector,
				 * error_code; rip at it */
	PVM_EXIT_INTERRUPT,	/* an interrupt of the host's: vector; its handler has run or will */
	PVM_EXIT_ACTION,	/* the engine was called already: action is what it answered */
	PVM_EXIT_DEAD,		/* what ran the guest is gone, and its registers with it: message */
	PVM_EXIT_FAILED,	/* the host cannot run the guest: message */
	PVM_EXIT_KINDS
};

struct pvm_guest_exit {
	enum pvm_exit_kind kind;
	uint8_t vector;
	uint32_t error_code;
	pvm_gva_t gva;			/* #PF: the CPU's CR2; the guest's only if the fault is, too */
	enum pvm_action action;		/* PVM_EXIT_ACTION */
	struct pvm_insn insn;		/* PVM_EXIT_INSN, PVM_EXIT_SYSCALL32 */
	const char *message;		/* PVM_EXIT_DEAD, _FAILED: one line, the host's memory */
};

/* An action is carried out, and its completion answered @action: go on with that. */
static inline void pvm_exit_is_action(struct pvm_guest_exit *exit, enum pvm_action action)
{
	exit->kind = PVM_EXIT_ACTION;
	exit->action = action;
}

/**
 * pvm_handle_exit - handle what stopped the guest, and get it ready to run again.
 * @exit: in: what stopped it; out: PVM_EXIT_KICK once that is handled, so that the
 *        next call goes on from there. Unhandled only under PVM_ACT_RETRY with PVM_NO_SLEEP.
 *        What ends in PVM_ACT_RETRY with PVM_MAY_SLEEP, or in PVM_ACT_ERROR for want of the
 *        host's memory, has not happened: the guest comes to it again. But what a port has
 *        answered waits.
 * @root: the shadow root to run on, when the answer is PVM_ACT_RESUME.
 * @sleep: PVM_NO_SLEEP: answer PVM_ACT_RETRY rather than sleep; call again with the
 *         same @exit and PVM_MAY_SLEEP. With that the answer PVM_ACT_RETRY means that the
 *         host did not wait for memory, or memory did not come in many attempts.
 *
 * In this order: the exit is handled; events that pvm_host_ops::events names are
 * delivered, or remembered for the guest; the root of the mode is found or made. Where
 * the host has no memory, shadow pages are given back and the guest tries again (M11).
 *
 * Returns PVM_ACT_RESUME: run it on @root. PVM_ACT_HALT: it waits for an event; call
 * again with PVM_EXIT_KICK when one may have come. PVM_ACT_HYPERCALL, _RDMSR, _WRMSR,
 * _IO: see there; hand the completion's answer back by pvm_exit_is_action().
 * PVM_ACT_MMIO, PVM_ACT_SHUTDOWN: the host decides; nothing was changed since.
 * PVM_ACT_ERROR: request.error.code; PVM_ENOMEM: shadow memory is too small for one
 * instruction of this guest; PVM_EFAULT, PVM_ENOMEM: what pvm_host_ops::gfn_to_frame() said;
 * PVM_EINVAL: @exit makes no sense, or is DEAD or FAILED.
 * Takes the MMU lock, several times. spec: Events and Mode Changing
 */
PVM_API enum pvm_action pvm_handle_exit(struct pvm_vcpu *vcpu, struct pvm_guest_exit *exit,
					pvm_hpa_t *root, enum pvm_sleep sleep);

/**
 * pvm_handle_page_fault - pvm_mmu_fault(), and delivery of what it injects.
 * Part of pvm_handle_exit(), for hosts that answer a fault in a place of their own.
 * Returns PVM_ACT_RESUME, _MMIO, _SHUTDOWN, _RETRY, _ERROR.
 */
PVM_API enum pvm_action pvm_handle_page_fault(struct pvm_vcpu *vcpu, pvm_gva_t gva,
					      uint32_t error_code, enum pvm_sleep sleep);

/* "SYSCALL", "exception", ...: static, never NULL. */
PVM_API const char *pvm_exit_name(enum pvm_exit_kind kind);

#endif /* PVM_EXIT_H */
