/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The shadow MMU: page tables that the CPU walks, made from the guest's.
 *
 * Owned by libpvm/mmu/. A VM has one MMU, which all its vCPUs share; a shadow
 * page is known by (gfn, level, role). Calls take the host's MMU lock themselves,
 * where they need it: never call with it held. Calls for one vCPU come one at a
 * time; calls for several, and those for the VM, in any order. Calls with a
 * pvm_sleep argument do not sleep under PVM_NO_SLEEP and say PVM_EAGAIN (or
 * PVM_FAULT_WOULD_BLOCK) instead, with nothing changed.
 *
 * spec: Paging
 */
#ifndef PVM_MMU_H
#define PVM_MMU_H

#include <pvm/vcpu.h>

/*
 * What changes the meaning of a shadow page made from one guest table, beside
 * the table itself. Two shadow pages of one gfn with different roles are
 * different pages.
 */
union pvm_mmu_role {
	uint32_t word;
	struct {
		uint32_t level : 3;		/* 1..5 */
		uint32_t guest_levels : 3;	/* depth of the guest's paging: 4 or 5; 0: direct,
						 * below a large page */
		uint32_t direct : 1;		/* no guest table: splinters a large page, or the
						 * extra top level of a 5-level host (M5) */
		uint32_t us : 1;		/* the guest's U/S bits count, as on x86 */
		uint32_t user_root : 1;		/* belongs to a root of user mode: with us, it holds
						 * what the guest's tables allow there (M3) */
		uint32_t user_path : 1;		/* with us: U at every level above, so that the
						 * entries' own U says whose a page is */
		uint32_t nx : 1;		/* EFER.NXE */
		uint32_t pke : 1;		/* CR4.PKE (without it there is no PKS either) */
		uint32_t key : 4;		/* direct, below a large page: its protection key */
		uint32_t last_slot : 1;		/* level 4, below the last slot of a 5-level root:
						 * other addresses are legal there (M7) */
		uint32_t range : 14;		/* pages where the legal ranges bound the slots:
						 * 1: the VM's widest, else the vCPU's id + 2 */
	};
};

/* Answers of the fault handler. */
enum pvm_fault {
	PVM_FAULT_FIXED,	/* the shadow tables now allow the access (or did already) */
	PVM_FAULT_INJECT,	/* the guest's own tables refuse: deliver #PF (or #GP: vector) */
	PVM_FAULT_MMIO,		/* the guest's tables allow it, but there is no memory there */
	PVM_FAULT_WOULD_BLOCK,	/* PVM_NO_SLEEP: call again with PVM_MAY_SLEEP; else the host's
				 * gfn_to_frame() did not want to wait. The guest notices nothing */
	PVM_FAULT_ERROR,	/* the host failed: error */
};

struct pvm_fault_result {
	enum pvm_fault kind;
	uint8_t vector;		/* INJECT: PVM_VEC_PF, or PVM_VEC_GP for a non-canonical address */
	uint32_t error_code;	/* INJECT: the architectural code */
	pvm_gpa_t gpa;		/* FIXED, MMIO. PVM_INVALID_ADDR: none, as it is
				 * M2P, or as the host is taking back a guest table */
	int error;		/* ERROR: enum pvm_error */
};

/**
 * pvm_mmu_fault - the CPU refused an access by the guest.
 * @gva: CR2. @error_code: the CPU's (PVM_PF_*): its W, I and PK bits say what
 * the access was; its U bit is always set underneath and says nothing.
 *
 * The error code to inject is made from the guest's tables, with U set iff the
 * vCPU is in user mode. Sets the guest's accessed and dirty bits as the CPU
 * would. spec: Paging
 */
PVM_API struct pvm_fault_result pvm_mmu_fault(struct pvm_vcpu *vcpu, pvm_gva_t gva,
					      uint32_t error_code, enum pvm_sleep sleep);

/* ------------------------------------------------------------------------
 * Roots.
 */

/**
 * pvm_mmu_load - the shadow root to run the vCPU on now.
 * @root: hpa for the underlying CR3 of the mode the vCPU is in.
 *
 * Makes the root from CR3 if there is none, has the host's depth (M5), holds
 * nothing but guest memory and the switcher's slot (M2, S6). Call it before
 * every entry: any engine call may have put another root in its place.
 * Returns PVM_OK, PVM_ENOMEM, PVM_EAGAIN (also under PVM_MAY_SLEEP, while CR3's table
 * cannot be read without sleeping), or PVM_EFAULT: CR3 points outside guest memory (the
 * caller shuts the VM down with PVM_SHUTDOWN_BAD_CR3).
 */
PVM_API int pvm_mmu_load(struct pvm_vcpu *vcpu, pvm_hpa_t *root, enum pvm_sleep sleep);

/**
 * pvm_mmu_other_root - the shadow root of the mode that the vCPU is not in, made from the
 * root table that its guest ABI has for that mode.
 *
 * For a host that lets the guest change its mode by itself. Never makes one: where
 * there is none yet, the mode's first entry through pvm_mmu_load() does.
 * Returns its hpa, or PVM_INVALID_ADDR.
 */
PVM_API pvm_hpa_t pvm_mmu_other_root(struct pvm_vcpu *vcpu);

/* What else but the table the supervisor's root of this vCPU is made for, the user's going
 * with it: as long as this is the same, a pair of tables has the same roots. */
PVM_API uint64_t pvm_mmu_root_role(const struct pvm_vcpu *vcpu);

/* CR3, the other mode's root table or CR4.LA57 has a new value: forget the roots, keep
 * their translations. */
PVM_API void pvm_mmu_new_cr3(struct pvm_vcpu *vcpu);

/* ------------------------------------------------------------------------
 * Flushes, by tag: the root table's address. spec: TLB
 */

/* PVM_HC_TLB_FLUSH: every translation of this vCPU. */
PVM_API void pvm_mmu_flush_all(struct pvm_vcpu *vcpu);
/* PVM_HC_TLB_FLUSH_CURRENT: those of the root tables of both modes. */
PVM_API void pvm_mmu_flush_current(struct pvm_vcpu *vcpu);
/* Those of one root table (a CR3 value; PCID bits are ignored). */
PVM_API void pvm_mmu_flush_cr3(struct pvm_vcpu *vcpu, uint64_t cr3);
/* PVM_HC_TLB_INVLPG: those of one address, under the root tables of both modes. */
PVM_API void pvm_mmu_invlpg(struct pvm_vcpu *vcpu, pvm_gva_t gva);

/* ------------------------------------------------------------------------
 * The guest's memory by linear address, with the guest's own rights.
 */

/* Kinds of access, as bits. */
#define PVM_ACCESS_READ		0u
#define PVM_ACCESS_WRITE	PVM_PF_W
#define PVM_ACCESS_EXEC		PVM_PF_I

/**
 * pvm_mmu_translate - walk the guest's tables as the CPU would.
 * @access: PVM_ACCESS_*; @set_ad: set accessed and dirty bits on the way.
 * @result: kind FIXED with gpa; INJECT with vector and error code; WOULD_BLOCK, as
 * pvm_mmu_read().
 * Returns true when the access is allowed.
 */
PVM_API bool pvm_mmu_translate(struct pvm_vcpu *vcpu, pvm_gva_t gva, uint32_t access, bool set_ad,
			       struct pvm_fault_result *result);

/**
 * pvm_mmu_read, pvm_mmu_write - copy to or from the guest's linear memory in
 * the vCPU's current mode, page by page; writes set A and D, and a write to a
 * guest page table is noticed as a guest's own write would be.
 * @fault: on PVM_EFAULT, what to inject (kind INJECT), or kind MMIO when the
 * tables allow it and no memory (or, to write, read-only memory) is at gpa: its
 * vector and error code are then those of a page that is not present.
 * @fault_gva: the faulting address.
 * Returns PVM_OK or PVM_EFAULT; PVM_EAGAIN with kind WOULD_BLOCK: the memory, or a table
 * on the way to it, is the guest's, but the host would have to sleep before it can be touched.
 * These calls never do: pvm_handle_exit() does between two attempts. A write that fails in
 * its second page has written nothing.
 */
PVM_API int pvm_mmu_read(struct pvm_vcpu *vcpu, pvm_gva_t gva, void *buf, size_t len, uint32_t access,
			 struct pvm_fault_result *fault, pvm_gva_t *fault_gva);
PVM_API int pvm_mmu_write(struct pvm_vcpu *vcpu, pvm_gva_t gva, const void *buf, size_t len,
			  struct pvm_fault_result *fault, pvm_gva_t *fault_gva);

/* Bytes by guest-physical address, within one page. PVM_OK; PVM_EINVAL: they cross its end;
 * PVM_EFAULT: no memory is there; PVM_EAGAIN as pvm_mmu_read(). */
PVM_API int pvm_mmu_read_gpa(struct pvm_vcpu *vcpu, pvm_gpa_t gpa, void *buf, size_t len);
/* Could the engine write there? PVM_OK; PVM_EFAULT: no memory, or read-only memory; PVM_EAGAIN. */
PVM_API int pvm_mmu_probe_gpa(struct pvm_vcpu *vcpu, pvm_gpa_t gpa);

/* ------------------------------------------------------------------------
 * What a guest tells of its page tables by hypercall, where its ABI has these. libpvm/mmu/tables.c
 */

/**
 * pvm_mmu_write_entry - write eight bytes of the guest's memory, which may be an entry of its tables.
 * @gpa: a multiple of 8. @keep_ad: accessed and dirty bits that are set there stay.
 * What shadow tables have from an entry that gives less now goes from them; TLBs keep it until a flush.
 * Returns PVM_OK, PVM_EINVAL (@gpa), PVM_EFAULT (no memory, or read-only memory), PVM_EAGAIN as
 * pvm_mmu_read().
 */
PVM_API int pvm_mmu_write_entry(struct pvm_vcpu *vcpu, pvm_gpa_t gpa, uint64_t value, bool keep_ad);
/* Where the entry of level 1 for @gva is, under the table of the mode it is in. PVM_OK; PVM_EINVAL: there is
 * no table of level 1 for it; PVM_EAGAIN. */
PVM_API int pvm_mmu_find_entry(struct pvm_vcpu *vcpu, pvm_gva_t gva, pvm_gpa_t *gpa);
/* The frame is a page table, or no longer: the supervisor may then write it through entries
 * without W. May sleep. PVM_OK, PVM_EINVAL, PVM_EFAULT, PVM_EAGAIN, PVM_ENOMEM. */
PVM_API int pvm_mmu_mark_table(struct pvm_vcpu *vcpu, pvm_gfn_t gfn, bool table);

/* ------------------------------------------------------------------------
 * The host changes memory. spec-independent; M10
 */

/**
 * pvm_mmu_invalidate_begin, pvm_mmu_invalidate_end - the host changes what backs
 * [gfn, gfn+count): a Linux host calls them from the two halves of its mmu notifier.
 *
 * When begin returns, nothing of the range is reachable. Until as many ends as begins
 * were called, whatever gfn_to_frame() says of the range is not installed: faults there
 * answer FIXED, and the guest runs into them again. What it said before an end is not
 * installed after it. So the host may change its own tables anywhere in between, and
 * gfn_to_frame() may say old and new things meanwhile. Pairs nest and overlap; an end
 * has the range of its begin. Both give the lock up on the way (M12), and begin, as all here that are
 * told PVM_MAY_SLEEP, offers the CPU there: pvm_host_ops::yield.
 */
PVM_API void pvm_mmu_invalidate_begin(struct pvm_vm *vm, pvm_gfn_t gfn, uint64_t count,
				      enum pvm_sleep sleep);
PVM_API void pvm_mmu_invalidate_end(struct pvm_vm *vm, pvm_gfn_t gfn, uint64_t count);
/* The host has taken [gfn, gfn+count) back, gfn_to_frame() says so already:
 * unreachable when this returns. */
PVM_API void pvm_mmu_unmap_gfns(struct pvm_vm *vm, pvm_gfn_t gfn, uint64_t count, enum pvm_sleep sleep);
/* The same for writes only (dirty logging). */
PVM_API void pvm_mmu_write_protect_gfns(struct pvm_vm *vm, pvm_gfn_t gfn, uint64_t count,
					enum pvm_sleep sleep);
/* Test and clear the accessed bits of what maps [gfn, gfn+count), for reclaim. Returns
 * how many pages of memory were accessed, of whatever size. Flushes nothing: a use
 * through a translation that a TLB holds is not seen. An executor that does not walk
 * the tables as a CPU does has to set the bits itself, or pages look unused. */
PVM_API uint64_t pvm_mmu_age_gfns(struct pvm_vm *vm, pvm_gfn_t gfn, uint64_t count);
/* The same, and the bits stay as they are. */
PVM_API uint64_t pvm_mmu_accessed_gfns(struct pvm_vm *vm, pvm_gfn_t gfn, uint64_t count);
/* The backend (a device, the monitor) wrote into guest memory: if a guest page
 * table was there, its shadow is out of date. */
PVM_API void pvm_mmu_host_wrote(struct pvm_vm *vm, pvm_gfn_t gfn, enum pvm_sleep sleep);

/* Drop shadow pages until at most @target are left. Returns how many are. */
PVM_API uint32_t pvm_mmu_shrink(struct pvm_vm *vm, uint32_t target, enum pvm_sleep sleep);

/* ------------------------------------------------------------------------
 * Looking in, for executors without a hardware walker and for tests.
 */

/* A leaf of the shadow tables. */
struct pvm_shadow_leaf {
	uint64_t entry;		/* as the CPU would read it, with the rights of all levels combined:
				 * W cleared or NX set where an upper level says so */
	uint8_t level;		/* 1..3 */
	pvm_hpa_t pa;		/* of the 4 KiB frame that @gva falls in */
};

/**
 * pvm_mmu_shadow_walk - what the CPU finds for @gva under @root.
 * Returns false when an entry on the way is not present.
 */
PVM_API bool pvm_mmu_shadow_walk(struct pvm_vm *vm, pvm_hpa_t root, pvm_gva_t gva,
				 struct pvm_shadow_leaf *leaf);

struct pvm_mmu_stats {
	uint32_t shadow_pages;		/* in use now */
	uint32_t rmap_entries;		/* leaf entries now */
	uint64_t faults, fills, injected, flushes, unsyncs, resyncs, zaps;
};
PVM_API void pvm_mmu_get_stats(struct pvm_vm *vm, struct pvm_mmu_stats *stats);

/**
 * pvm_mmu_check - walk everything the MMU holds and check M1 to M5, M7 to M9
 * and the reverse maps against it. For tests and debugging; slow.
 * Returns NULL when all is well, else a static sentence that names the rule.
 */
PVM_API const char *pvm_mmu_check(struct pvm_vm *vm);

#endif /* PVM_MMU_H */
