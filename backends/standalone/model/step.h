/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * What a guest does between two exits, without its instructions: one access,
 * a SYSCALL, an exception, a decoded instruction. Each function changes the
 * vCPU as the CPU would and says whether the guest has stopped, in the words
 * of monitor.h. It must never call the engine: the loop that runs the vCPU does.
 */
#ifndef MODEL_STEP_H
#define MODEL_STEP_H

#include "../monitor.h"
#include "cpu.h"

enum model_step {
	MODEL_STEP_DONE,	/* it happened, the guest goes on */
	MODEL_STEP_EXIT,	/* the guest stopped: exit is filled */
};

/* One attempt at an access under @root. MODEL_STEP_EXIT: a fault,
 * PVM_EXIT_KICK when the root has died (load it again), or PVM_EXIT_FAILED
 * when the shadow tables are broken. */
enum model_step model_step_access(struct model_cpu *cpu, struct pvm_vcpu *vcpu, pvm_hpa_t root,
				  uint64_t gva, enum model_kind kind, unsigned size, uint64_t *value,
				  struct pvm_guest_exit *exit);

/* SYSCALL at vcpu->rip. */
void model_step_syscall(struct pvm_vcpu *vcpu, struct pvm_guest_exit *exit);

/* INT 0x80 at vcpu->rip. */
void model_step_int80(struct pvm_vcpu *vcpu, struct pvm_guest_exit *exit);

/* An exception; #PF wants exit->gva set afterwards, #DB vcpu->dr6. */
void model_step_exception(uint8_t vector, uint32_t error_code, struct pvm_guest_exit *exit);

/* An instruction that raises @vector, decoded. */
void model_step_insn(const struct pvm_insn *insn, uint8_t vector, struct pvm_guest_exit *exit);

/* Where a vCPU is, for telling later whether an event has been delivered. */
struct model_place {
	bool user_mode;
	bool locked;		/* single CR3: PVCS::event_vector is; an event changes no RSP there */
	uint64_t rip, rsp;
};

/* An event as the guest's handler finds it. */
struct model_event {
	uint8_t vector;
	uint32_t error_code;	/* 0 for vectors without one */
	uint64_t cr2;		/* PVCS::cr2 */
	uint64_t rip;		/* where it happened */
	bool user;		/* from user mode */
};

struct model_place model_place(const struct pvm_vcpu *vcpu);

/**
 * model_event_find - has an event been delivered since @before?
 * Reads what the guest's handler would read: the PVCS, or the frame on the
 * stack. False as well when the vCPU is at no event entry.
 */
bool model_event_find(struct pvm_vcpu *vcpu, const struct model_place *before,
		      struct model_event *event);

#endif /* MODEL_STEP_H */
