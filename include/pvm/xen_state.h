/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * What a VM of PVM_ABI_XEN_PV has beyond memory and struct pvm_vcpu_state, on paper: for snapshots.
 *
 * Owned by libpvm/abi/xen_pv/state.c. Fixed layout: 64-bit little-endian words only, no padding, the version
 * first. A field is never reused; new ones come last and raise the version.
 *
 * The order of a restore: the VM with its vCPUs, and guest memory; the registers of each vCPU;
 * pvm_xen_vm_restore(); pvm_xen_vcpu_restore() of each; pvm_xen_tables_restore(); pvm_xen_bind_port() for
 * each end that the host has again. Then the vCPUs may run.
 */
#ifndef PVM_XEN_STATE_H
#define PVM_XEN_STATE_H

#include <pvm/xen.h>

#define PVM_XEN_STATE_VERSION 1

/* A port in one word: enum pvm_xen_port_state, virtual interrupt << 8, vCPU << 16. */
#define PVM_XEN_STATE_VIRQ_SHIFT	8
#define PVM_XEN_STATE_VCPU_SHIFT	16

struct pvm_xen_vm_state {
	uint64_t version;		/* PVM_XEN_STATE_VERSION */
	uint64_t size;			/* sizeof(struct pvm_xen_vm_state), bytes */
	uint64_t now;			/* system time, ns: pvm_host_ops::clock goes on from there */
	uint64_t port[PVM_XEN_PORTS_MAX];
};

/* What a vCPU that was started, and has not run, starts with. */
struct pvm_xen_start_state {
	uint64_t gpr[PVM_GPR_COUNT];	/* encoding order */
	uint64_t rip, rflags, cr3, user_cr3;
	uint64_t fs_base, gs_base, user_gs_base, kernel_sp;
};

#define PVM_XEN_STATE_VECTORS 256

struct pvm_xen_vcpu_state {
	uint64_t version;		/* PVM_XEN_STATE_VERSION */
	uint64_t size;			/* sizeof(struct pvm_xen_vcpu_state), bytes */
	uint64_t life;			/* 0: has no context, 2: has one, 3: down, 4: is to start, 5: up */
	uint64_t wait;			/* 0: for nothing, 1: for an event, 2: for a port that it polls */
	uint64_t woken, timer_fired;	/* 0 or 1 */
	uint64_t poll_count;		/* ports: of one, poll_port is its number */
	uint64_t poll_port;
	uint64_t deadline[2];		/* of its timer, of a poll: ns of system time, or PVM_NO_DEADLINE */

	uint64_t other_cr3;		/* of the mode that it is not in */
	uint64_t kernel_sp;
	uint64_t gdt_frame, gdt_entries;
	uint64_t trap[PVM_XEN_STATE_VECTORS];		/* addresses; 0: none */
	uint64_t trap_flags[PVM_XEN_STATE_VECTORS];	/* PVM_XEN_TRAP_* */
	uint64_t callback[PVM_XEN_CALLBACKS];		/* addresses; 0: none */
	uint64_t callback_masks[PVM_XEN_CALLBACKS];	/* 0 or 1 */

	uint64_t info_now;		/* gpa of its vcpu_info; 0: it has not run */
	uint64_t info;			/* gpa of the one that it has registered; 0: none */
	uint64_t time_area, runstate_area;	/* linear addresses; 0: none */
	uint64_t time_area_gpa;		/* 0: not known */
	uint64_t runstate, runstate_entry_time, runstate_time[4];
	uint64_t virq_port[PVM_XEN_VIRQS];	/* 0: none */
	struct pvm_xen_start_state start;
	uint64_t ldt, ldt_entries;	/* linear address of its LDT; 0 entries: none */
};

/**
 * pvm_xen_vm_save, pvm_xen_vcpu_save - write the state down.
 * @state: overwritten whole. Never fail. No vCPU of the VM may be running, as for pvm_vcpu_save().
 */
PVM_API void pvm_xen_vm_save(struct pvm_vm *vm, struct pvm_xen_vm_state *state);
PVM_API void pvm_xen_vcpu_save(struct pvm_vcpu *vcpu, struct pvm_xen_vcpu_state *state);

/**
 * pvm_xen_vm_restore, pvm_xen_vcpu_restore - take a state over.
 * @state: untrusted: every field is checked, as if the guest said it.
 * @field: on failure, the name of the field at fault (a static string).
 *
 * All vCPUs have been made and none has run. A port that led to the host leads nowhere until the host
 * binds it again. Returns PVM_OK, or with everything as it was PVM_EINVAL or PVM_EBUSY: one has run.
 */
PVM_API int pvm_xen_vm_restore(struct pvm_vm *vm, const struct pvm_xen_vm_state *state, const char **field);
PVM_API int pvm_xen_vcpu_restore(struct pvm_vcpu *vcpu, const struct pvm_xen_vcpu_state *state,
				 const char **field);

/**
 * pvm_xen_tables_save, pvm_xen_tables_restore - which frames the guest has pinned as page tables.
 * @vcpu: any of the VM. @first: the first frame, a multiple of 64. @words: a bit for each frame from there
 * on, @count words.
 *
 * No vCPU may be running. The latter only adds to what is pinned, and returns PVM_OK, PVM_EINVAL (no guest
 * has such a frame), PVM_EFAULT (it is not memory), PVM_EAGAIN (the host has it not now) or PVM_ENOMEM, with
 * what came before it done.
 */
PVM_API void pvm_xen_tables_save(const struct pvm_vcpu *vcpu, pvm_gfn_t first, uint64_t *words,
				 uint32_t count);
PVM_API int pvm_xen_tables_restore(struct pvm_vcpu *vcpu, pvm_gfn_t first, const uint64_t *words,
				   uint32_t count);

#endif /* PVM_XEN_STATE_H */
