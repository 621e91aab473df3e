/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The seam between the core and a guest ABI. Everything that one guest ABI means is in
 * libpvm/abi/NAME/: its shared structures with their widths, how events enter and leave
 * the supervisor, its hypercalls, its MSRs, its CPUID leaves, its part of a snapshot and
 * its direct switches. The core (vcpu/, events/, hypercall/, exit/, mmu/, switcher/)
 * calls struct pvm_abi_ops and never asks for the name of an ABI.
 *
 * A new ABI is a folder with a struct pvm_abi_ops, a number in enum pvm_abi, and a row in
 * list.h.
 */
#ifndef PVM_ABI_SEAM_H
#define PVM_ABI_SEAM_H

#include <pvm/hypercall.h>
#include <pvm/mmu.h>
#include <pvm/state.h>

#include "abi/list.h"

/* May a hypercall be answered inside pvm_switcher_run()? */
enum pvm_serve {
	PVM_SERVE_NOT = 0,	/* no: the host offers events, or does something else, before the
				 * guest goes on */
	PVM_SERVE_ANY,		/* yes, whatever it changes in the vCPU */
	PVM_SERVE_RESULT,	/* yes, and quickly: of the registers in struct pvm_vcpu it changes RAX
				 * alone, segments and their bases, and what state_gen counts */
};

/* A hypercall: everything that is known of it. Rows of an ABI count up from its base. */
struct pvm_hypercall_row {
	const char *name;
	enum pvm_action (*handler)(struct pvm_vcpu *vcpu);
	enum pvm_serve serve;
};

/*
 * An operation must be there unless it says what NULL means; pvm_vm_config_check() refuses an
 * ABI without. What an ABI cannot do for its guest it answers with pvm_event_shutdown() and
 * the reason.
 */
struct pvm_abi_ops {
	const char *name;		/* for people: "dual-cr3" */

	/* ----------------------------------------------------------------
	 * Life of what it keeps in pvm_vm::abi_data and pvm_vcpu::abi_data. NULL: nothing. The
	 * two that can fail sleep, and answer PVM_OK, PVM_EINVAL (the host lacks an operation
	 * that this ABI needs, or it has no such vCPU) or PVM_ENOMEM, with nothing left behind.
	 */
	int (*vm_init)(struct pvm_vm *vm);
	void (*vm_destroy)(struct pvm_vm *vm);
	int (*vcpu_init)(struct pvm_vcpu *vcpu);
	void (*vcpu_destroy)(struct pvm_vcpu *vcpu);
	void (*vcpu_reset)(struct pvm_vcpu *vcpu);
	/* Before each entry, when the exit is handled: what has come for the guest beside what
	 * pvm_host_ops::events names. PVM_ACT_RESUME, PVM_ACT_HALT: it waits; or as deliver() but
	 * for what that keeps: PVM_ACT_RETRY with nothing changed. NULL: nothing. */
	enum pvm_action (*entry)(struct pvm_vcpu *vcpu);

	/* ----------------------------------------------------------------
	 * SYSCALL and hypercalls.
	 */
	/* NULL: no SYSCALL is a return. */
	enum pvm_syscall_class (*classify)(const struct pvm_vcpu *vcpu);
	/* All that pvm_handle_syscall() does. */
	enum pvm_action (*syscall)(struct pvm_vcpu *vcpu);
	/* The three of it that are the engine's API: see pvm/events.h. NULL: PVM_ENOSYS there. */
	enum pvm_action (*user_syscall)(struct pvm_vcpu *vcpu);
	enum pvm_action (*return_user)(struct pvm_vcpu *vcpu);
	enum pvm_action (*return_supervisor)(struct pvm_vcpu *vcpu);
	/* An executor has gone from one mode to the other as the first two do: what is the ABI's of
	 * that, beside registers. NULL: none may. */
	void (*switched)(struct pvm_vcpu *vcpu);
	const struct pvm_hypercall_row *hypercalls;
	uint32_t hypercall_count;
	uint64_t hypercall_mask;	/* the table has rows for all numbers that it lets through */
	uint64_t hypercall_base;	/* the number of hypercalls[0]; rows without a handler are gaps */
	uint32_t hypercall_numbers;	/* from there on, that are the ABI's, with or without a row;
					 * all others are the host's */

	/* ----------------------------------------------------------------
	 * Events.
	 */

	/* Deliver a vector event that happens now, or say why not; ends a halt and masks
	 * NMIs as its rules are. Never 8 (#DF). PVM_ACT_RESUME, _SHUTDOWN, _HALT (it waits until
	 * the guest lets it in), or what pvm_event_keep() answers, with nothing changed. */
	enum pvm_action (*deliver)(struct pvm_vcpu *vcpu, uint8_t vector, uint32_t error_code);
	/* Is rip, in supervisor mode, one of the entry points of events? NULL: never. */
	bool (*at_event_entry)(const struct pvm_vcpu *vcpu);
	/* The interrupt flag of supervisor mode. Without its shared structure: 0. */
	bool (*interrupt_flag)(const struct pvm_vcpu *vcpu);
	/* NULL: only the guest changes it. */
	void (*set_interrupt_flag)(struct pvm_vcpu *vcpu, bool enabled);
	/* Tell the guest whether an interrupt waits for its flag. NULL: it is not told. */
	void (*set_interrupt_waits)(struct pvm_vcpu *vcpu, bool waits);
	/* Where the guest reads that, for callers that look often: a word and the bit in it,
	 * which stay as long as pvm_vcpu::state_gen does. NULL, or no operation: nowhere. */
	const volatile uint64_t *(*interrupt_waits)(const struct pvm_vcpu *vcpu, uint64_t *bit);

	/* May INT @vector be executed in the vCPU's mode, other than INT3? NULL: vector 0x80 only. */
	bool (*software_gate)(const struct pvm_vcpu *vcpu, uint8_t vector);

	/* ----------------------------------------------------------------
	 * Registers.
	 */

	/* The structure that pvm_pvcs_attach() attaches: bytes, at most a page, and a power of
	 * two. It never crosses a page. Size 0: the ABI has none. */
	uint32_t pvcs_size, pvcs_align;
	/* The ABI's own MSRs: one range around all of them, with none of x86's in it. As
	 * pvm_msr_read() and _write(); PVM_ENOENT for one in the range that is the host's.
	 * NULL if msr_count is 0. */
	uint32_t msr_base, msr_count;
	int (*msr_read)(const struct pvm_vcpu *vcpu, uint32_t index, uint64_t *value);
	int (*msr_write)(struct pvm_vcpu *vcpu, uint32_t index, uint64_t value);
	/* Bits of CR4 that are always set for the guest, given a host like @config's; the
	 * CPUID features that go with them are shown. NULL: none. */
	uint64_t (*cr4_fixed)(const struct pvm_vm_config *config);
	bool has_no_tables;	/* its guests never load GDTR or IDTR: nothing is found there */
	bool has_xen_cpuid;	/* PVM_XEN_CPUID_BYTES are CPUID, in either mode */
	/* Bits that the guest may not have, whatever pvm_vm_config::guest_cr4 says. */
	uint64_t cr4_hidden;
	/* CPUID leaves 0x40000000 to the highest of the ABI's own. NULL, and 0: it has none. */
	void (*cpuid)(const struct pvm_vm_config *config, uint32_t leaf, uint32_t highest,
		      uint32_t out[4]);
	uint32_t cpuid_highest;
	/* The name of a field of a snapshot that this ABI does not allow, or NULL. No
	 * operation: it allows all that the core does. */
	const char *(*judge)(const struct pvm_vm_config *config, const struct pvm_vcpu_state *state);

	/* ----------------------------------------------------------------
	 * The MMU's one question: which root tables with which roles belong to a vCPU in a
	 * mode? The table of the mode it is in is CR3.
	 */
	uint64_t (*other_cr3)(const struct pvm_vcpu *vcpu);	/* of the other mode */
	union pvm_mmu_role root_role[2];	/* by user_mode: bits to add to a root's role */
	/* Nobody but the vCPU's own thread uses its PVCS from here on, until pvcs_moved(). Any thread; may
	 * sleep. NULL: nobody ever does. */
	void (*pvcs_leaves)(struct pvm_vcpu *vcpu);
	void (*pvcs_moved)(struct pvm_vcpu *vcpu);	/* its page is another one, or none; may be NULL */
	bool no_ports;		/* its machine has no I/O ports: all read as ones, without the host */
	bool has_ldt;		/* pvm_vcpu::ldt is what its guests have loaded; else they have none */
	bool last_slot;		/* slot 511 of a 4-level root may be the guest's */
	/* The supervisor may write a frame that it has marked as a table (pvm_mmu_mark_table()) through
	 * an entry of level 1 without W. */
	bool writes_tables;
	/* The CPU does nothing for its guests that makes translations go without an exit: what an access of
	 * the engine's was allowed is so until it is told. */
	bool flushes_are_seen;
};

/* Those of an ABI; NULL: not built. registry.c */
const struct pvm_abi_ops *pvm_abi_find(enum pvm_abi abi);

#define PVM_DECLARE_ABI(number, folder) extern const struct pvm_abi_ops pvm_abi_##folder;
PVM_ABI_LIST(PVM_DECLARE_ABI)
#undef PVM_DECLARE_ABI

#endif /* PVM_ABI_SEAM_H */
