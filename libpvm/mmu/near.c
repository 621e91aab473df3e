/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The common page fault: at an entry of the table that the last fill of this mode was in. The path
 * of that fill is this one's as long as no link between shadow pages has gone or changed, and the guest's
 * upper entries are what they were: they are compared where they were found, because neither
 * has the host moved its memory since. So of a walk only its last step is left.
 *
 * All is done inside (lock.h), beside other vCPUs, or alone where there are none. What is not
 * simple is left to fault.c: an entry that refuses for another reason than not being present,
 * a shadow entry that is in use, a frame that is a table, memory that is not at hand.
 *
 * spec: Paging
 */
#include "near.h"

#include "entry.h"
#include "fill.h"
#include "internal.h"
#include "lock.h"
#include "page.h"
#include "root.h"
#include "walk.h"

/* An entry that a vCPU is about to fill: not present, and not empty. */
#define ENTRY_BUSY (1ull << 9)

static void mark_used(const struct pvm_mmu *mmu, struct pvm_shadow_page *table)
{
	if (PVM_READ_ONCE(table->used) != mmu->use_clock)
		PVM_WRITE_ONCE(table->used, mmu->use_clock);
}

void pvm_near_remember(const struct pvm_fill *fill)
{
	const struct pvm_mmu *mmu = fill->vcpu->vm->mmu;
	struct pvm_vcpu_path *path = &fill->vcpu->mmu.path[fill->vcpu->user_mode];
	const struct pvm_guest_walk *walk = &fill->walk;
	uint64_t every = ~0ull, some = 0;
	unsigned level;

	path->root = NULL;
	if (fill->target != 1 || walk->level != 1)
		return;
	path->upper = walk->top - 1;
	for (level = 2; level <= walk->top; level++) {
		every &= walk->entry[level];
		some |= walk->entry[level];
		path->entry[level - 2] = walk->entry[level];
		path->at[level - 2] = walk->at[level];
	}
	path->writable = every & PVM_PTE_W;
	path->user = every & PVM_PTE_U;
	path->executable = !(some & PVM_PTE_NX);
	path->leaves = walk->at[1] - PVM_LEVEL_INDEX(walk->gva.v, 1);
	path->region = walk->gva.v >> PVM_LEVEL_SHIFT(2);
	path->links_gen = mmu->links_gen;
	path->frames_gen = mmu->frames_gen;
	path->table = fill->path[1];
	path->root = fill->path[mmu->host_levels];
}

/* Do the shadow tables still have the path? The address is legal as the other one was (M7). */
static inline bool is_linked(const struct pvm_vcpu *vcpu, const struct pvm_vcpu_path *path, pvm_gva_t gva)
{
	return path->root && path->region == gva.v >> PVM_LEVEL_SHIFT(2) &&
	       path->root == vcpu->mmu.root[vcpu->user_mode] && path->links_gen == vcpu->vm->mmu->links_gen &&
	       pvm_root_is_current(vcpu, path->root);
}

/* And the guest's? Each entry is read once, and is what it was (M6). */
static inline bool is_unchanged(const struct pvm_mmu *mmu, const struct pvm_vcpu_path *path)
{
	unsigned i;

	if (mmu->taking || path->frames_gen != mmu->frames_gen)	/* M10 */
		return false;
	for (i = 0; i < path->upper; i++)
		if (PVM_READ_ONCE(*path->at[i]) != path->entry[i])
			return false;
	return true;
}

bool pvm_near_is_linked(struct pvm_fill *fill)
{
	struct pvm_vcpu *vcpu = fill->vcpu;
	const struct pvm_guest_walk *walk = &fill->walk;
	const struct pvm_vcpu_path *path = &vcpu->mmu.path[vcpu->user_mode];
	unsigned level;

	if (walk->level != 1 || fill->target != 1 || !is_linked(vcpu, path, walk->gva))
		return false;
	for (level = 2; level <= walk->top; level++)
		if (path->entry[level - 2] != walk->entry[level])
			return false;
	fill->root_role = ((struct pvm_shadow_page *)path->root)->role;
	fill->path[1] = path->table;
	mark_used(vcpu->vm->mmu, fill->path[1]);
	return true;
}

struct pvm_shadow_page *pvm_near_table(const struct pvm_vcpu *vcpu, const struct pvm_shadow_page *root,
				       pvm_gva_t gva)
{
	const struct pvm_vcpu_path *path;
	unsigned mode;

	for (mode = 0; mode < 2; mode++) {
		path = &vcpu->mmu.path[mode];
		if (path->root == root && path->region == gva.v >> PVM_LEVEL_SHIFT(2) &&
		    path->links_gen == vcpu->vm->mmu->links_gen)
			return path->table;
	}
	return NULL;
}

/* A touch of one page. */
struct touch {
	struct pvm_vcpu *vcpu;
	struct pvm_shadow_page *table;
	unsigned index;
	uint32_t access;
	uint64_t guest;		/* the guest's entry, as read once (M6) */
	struct pvm_frame frame;
	bool user;		/* all entries of the walk have U */
	bool untouched;		/* the guest's A and D stay as they are */
};

/* Set A and D as the access wants them. False: the guest was faster, or it takes more. */
static inline bool set_accessed(struct touch *t)
{
	uint64_t new = t->guest | PVM_PTE_A | (t->access & PVM_ACCESS_WRITE ? PVM_PTE_D : 0);
	uint64_t *va;

	if (new == t->guest)
		return true;
	if (t->untouched)
		return false;
	va = pvm_walk_entry_va(t->vcpu, t->table->gfn, t->index, true);
	if (!va || !__atomic_compare_exchange_n(va, &t->guest, new, false, __ATOMIC_SEQ_CST,
						__ATOMIC_SEQ_CST))
		return false;	/* M6 */
	t->guest = new;
	return true;
}

/* The frame is no table: what the guest allows and the host backs is writable once D is set. */
static inline uint64_t leaf_entry(const struct touch *t)
{
	const uint64_t dirty = PVM_PTE_W | PVM_PTE_D;
	bool writable = t->frame.writable && (t->guest & dirty) == dirty;

	return (t->frame.pa.v & PVM_PTE_ADDR_MASK) | pvm_leaf_bits(t->table->role, t->guest, t->user, true) |
	       (writable ? dirty : 0);
}

/* Alone: any number of leaves may map the frame. */
static inline bool install_alone(struct touch *t)
{
	struct pvm_mmu *mmu = t->vcpu->vm->mmu;
	pvm_gfn_t gfn = pvm_pte_gfn(t->guest);
	uint32_t *head = pvm_rmap_find(mmu, gfn, 1);

	if (!head || mmu->reserved < LEAF_PAGES_MAX || !set_accessed(t))
		return false;
	pvm_entry_map_at(mmu, t->table, t->index, head, gfn.v, leaf_entry(t));
	return true;
}

/*
 * Beside other vCPUs: where there is a place for the value, and no leaf maps the frame yet. They
 * may do the same to the entry next to it, to this one, or to the same frame; each word is
 * won by one.
 */
static bool install_beside(struct touch *t)
{
	uint64_t *at = &t->table->table[t->index], empty = 0;
	pvm_gfn_t gfn = pvm_pte_gfn(t->guest);
	uint32_t *head = pvm_rmap_find(t->vcpu->vm->mmu, gfn, 1), none = 0;

	if (!head || PVM_READ_ONCE(*head) || !pvm_spares_cover(t->vcpu, t->table, t->index) ||
	    !set_accessed(t))
		return false;
	if (!__atomic_compare_exchange_n(at, &empty, ENTRY_BUSY, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		return false;
	if (!__atomic_compare_exchange_n(head, &none, pvm_entry_ref(t->table, t->index), false,
					 __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
		PVM_WRITE_ONCE(*at, 0);
		return false;
	}
	pvm_entry_set_value(t->table, t->index, gfn.v);
	PVM_WRITE_ONCE(*at, leaf_entry(t));
	return true;
}

/* An entry that allows the access is filled, if that is simple. */
static inline bool fill(struct touch *t, pvm_gva_t gva)
{
	struct pvm_vm *vm = t->vcpu->vm;
	struct pvm_mmu *mmu = vm->mmu;
	pvm_gfn_t gfn = pvm_pte_gfn(t->guest);
	bool write = t->access & PVM_ACCESS_WRITE;

	if (PVM_READ_ONCE(t->table->table[t->index]) ||
	    vm->ops->gfn_to_frame(vm->host, gfn, write, PVM_NO_SLEEP, &t->frame) != PVM_OK ||
	    (write && !t->frame.writable) || pvm_page_first(mmu, gfn) ||
	    !(mmu->vcpus == 1 ? install_alone(t) : install_beside(t)))
		return false;
	mark_used(mmu, t->table);
	t->vcpu->mmu.fills++;
	pvm_trace_vcpu(t->vcpu, PVM_TRACE_FILL, gva.v,
		       pvm_gfn_to_gpa(gfn).v | (gva.v & (PVM_PAGE_SIZE - 1)), 1, t->table->table[t->index]);
	return true;
}

/* What a #PF at an entry that is not present says. */
static inline uint32_t absent(const struct pvm_vcpu *vcpu, uint32_t access)
{
	uint32_t code = access & PVM_PF_W;

	if ((access & PVM_ACCESS_EXEC) && (vcpu->efer & PVM_EFER_NXE))
		code |= PVM_PF_I;
	return code | (vcpu->user_mode ? PVM_PF_U : 0);
}

/* *@entry: the guest's, of what is filled. */
static inline enum pvm_near inside(struct pvm_vcpu *vcpu, const struct pvm_vcpu_path *path, pvm_gva_t gva,
				   uint32_t access, bool untouched, uint64_t *entry)
{
	const struct pvm_vm *vm = vcpu->vm;
	struct touch t = { .vcpu = vcpu, .table = path->table, .index = PVM_LEVEL_INDEX(gva.v, 1),
			   .access = access, .untouched = untouched };

	if (!is_linked(vcpu, path, gva) || !is_unchanged(vm->mmu, path))
		return PVM_NEAR_NOT;
	t.guest = PVM_READ_ONCE(path->leaves[t.index]);	/* M6 */
	if (!(t.guest & PVM_PTE_P))
		return PVM_NEAR_ABSENT;
	t.user = path->user && (t.guest & PVM_PTE_U);
	if ((t.guest & pvm_pte_reserved_always(vm->config.guest_maxphyaddr, vcpu->efer & PVM_EFER_NXE)) ||
	    pvm_walk_cause(vcpu, t.guest, access, path->writable && (t.guest & PVM_PTE_W), t.user,
			   path->executable && !(t.guest & PVM_PTE_NX)) ||
	    !fill(&t, gva))
		return PVM_NEAR_NOT;
	*entry = t.guest;
	return PVM_NEAR_FILLED;
}

enum pvm_near pvm_near_fault(struct pvm_vcpu *vcpu, pvm_gva_t gva, uint32_t error_code,
			     struct pvm_fault_result *result)
{
	const struct pvm_vcpu_path *path = &vcpu->mmu.path[vcpu->user_mode];
	uint32_t access = error_code & (PVM_ACCESS_WRITE | PVM_ACCESS_EXEC);
	enum pvm_near near;
	uint64_t entry;

	if ((error_code & PVM_PF_P) || path->region != gva.v >> PVM_LEVEL_SHIFT(2) || !pvm_enter(vcpu))
		return PVM_NEAR_NOT;
	near = inside(vcpu, path, gva, access, false, &entry);
	pvm_leave(vcpu);
	if (near == PVM_NEAR_FILLED) {
		result->gpa.v = (entry & PVM_PTE_ADDR_MASK) | (gva.v & (PVM_PAGE_SIZE - 1));
	} else if (near == PVM_NEAR_ABSENT) {
		vcpu->mmu.refusals++;
		result->kind = PVM_FAULT_INJECT;
		result->vector = PVM_VEC_PF;
		result->error_code = absent(vcpu, access);
	}
	return near;
}

/* A CPU may fill its TLB at any time by entries that have A, and D for a write: nothing of this can be
 * seen by the guest but that it does not fault again. */
void pvm_mmu_retry(struct pvm_vcpu *vcpu)
{
	const struct pvm_vcpu_path *path = &vcpu->mmu.path[vcpu->user_mode];
	pvm_gva_t gva = vcpu->mmu.retry.gva;
	uint64_t entry;

	vcpu->mmu.retry.waits = false;
	if (vcpu->mmu.retry.rip != vcpu->rip || vcpu->mmu.retry.user_mode != vcpu->user_mode ||
	    path->region != gva.v >> PVM_LEVEL_SHIFT(2) || !pvm_enter(vcpu))
		return;
	if (inside(vcpu, path, gva, vcpu->mmu.retry.access, true, &entry) == PVM_NEAR_FILLED)
		vcpu->mmu.retries++;
	pvm_leave(vcpu);
}
