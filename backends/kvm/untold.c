// SPDX-License-Identifier: GPL-2.0
/*
 * Kernels whose kvm.ko does not tell which slots go, nor what its emulator writes (compat.h, PVM_KVM_TELLS).
 * Owns what a VM remembers of its slots there, and the watch on the emulator's translations.
 *
 * KVM makes a slot invalid, gives its slots another generation, and makes every vCPU leave its guest, before
 * the slot goes. So a vCPU that finds another generation looks for what is gone before it enters its guest
 * again. Until one has looked, what Linux takes away is looked for in the slots that were seen, too: no vCPU
 * has memory that is user space's no more (M10). (User space can keep KVM from making vCPUs leave, by
 * KVM_X86_QUIRK_SLOT_ZAP_ALL: then a guest has the memory of a slot that has gone until its next exit.)
 */
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/xarray.h>

#include "kvm_pvm.h"

#ifndef PVM_KVM_TELLS
/* ------------------------------------------------------------------------
 * Slots.
 */

/* One as a vCPU has seen it. */
struct seen_slot {
	gfn_t first;
	unsigned long count, hva;
	bool is_readonly;
	struct rcu_head rcu;		/* notifiers read without a lock */
};

static struct seen_slot as_seen(const struct kvm_memory_slot *slot)
{
	return (struct seen_slot){
		.first = slot->base_gfn, .count = slot->npages, .hva = slot->userspace_addr,
		.is_readonly = slot->flags & KVM_MEM_READONLY,
	};
}

static bool is_there(const struct kvm_memory_slot *slot, const struct seen_slot *seen)
{
	struct seen_slot now;

	if (!slot || slot->flags & KVM_MEMSLOT_INVALID)
		return false;
	now = as_seen(slot);
	return now.first == seen->first && now.count == seen->count && now.hva == seen->hva &&
	       now.is_readonly == seen->is_readonly;
}

/* @all_may_be: of all there is no knowing, as a slot may have gone and be back, with the same memory or
 * other. */
static void find_gone(struct pvm_kvm *vm, struct kvm_memslots *slots, bool all_may_be)
{
	struct xarray *all = &vm->memory.untold.slots;
	struct seen_slot *seen;
	unsigned long id;

	xa_for_each(all, id, seen) {
		if (all_may_be || !is_there(id_to_memslot(slots, id), seen)) {
			pvm_kvm_slot_goes(vm, seen->first, seen->count);
			xa_erase(all, id);
			kfree_rcu(seen, rcu);
		}
		cond_resched();
	}
}

static int remember_new(struct pvm_kvm *vm, struct kvm_memslots *slots)
{
	struct xarray *all = &vm->memory.untold.slots;
	struct kvm_memory_slot *slot;
	struct seen_slot *seen;
	int bucket, error;

	kvm_for_each_memslot(slot, bucket, slots) {
		if (slot->flags & KVM_MEMSLOT_INVALID || xa_load(all, slot->id))
			continue;
		seen = kmalloc(sizeof(*seen), GFP_KERNEL_ACCOUNT);
		if (!seen)
			return -ENOMEM;
		*seen = as_seen(slot);
		error = xa_err(xa_store(all, slot->id, seen, GFP_KERNEL_ACCOUNT));
		if (error) {
			kfree(seen);
			return error;
		}
		cond_resched();
	}
	return 0;
}

/* While KVM changes slots their generation is that of before, with a mark: of the first step of a change
 * nothing has to be known yet, and the second step's is another one than before the change. An address space
 * of SMM's, which no PVM guest has, is not asked for. */
static bool has_other_slots(struct pvm_kvm *vm, const struct kvm_memslots *slots, u64 *generation)
{
	*generation = READ_ONCE(slots->generation) & ~KVM_MEMSLOT_GEN_UPDATE_IN_PROGRESS;
	return *generation != smp_load_acquire(&vm->memory.untold.generation);
}

bool pvm_kvm_is_seen(struct pvm_kvm *vm, const struct kvm_memory_slot *slot)
{
	struct seen_slot *seen;
	bool is;

	rcu_read_lock();
	seen = xa_load(&vm->memory.untold.slots, slot->id);
	is = seen && is_there(slot, seen);
	rcu_read_unlock();
	return is;
}

bool pvm_kvm_next_seen(struct pvm_kvm *vm, unsigned long *id, struct pvm_kvm_seen_part *part)
{
	struct seen_slot *seen;
	u64 generation;

	if (!has_other_slots(vm, rcu_access_pointer(vm->kvm.memslots[0]), &generation))
		return false;		/* they are KVM's */
	rcu_read_lock();
	seen = xa_find(&vm->memory.untold.slots, id, ULONG_MAX, XA_PRESENT);
	if (seen)
		*part = (struct pvm_kvm_seen_part){ seen->first, seen->hva, seen->count };
	rcu_read_unlock();
	++*id;
	return seen;
}

static int look(struct pvm_kvm *vm)
{
	struct kvm_memslots *slots = kvm_memslots(&vm->kvm);
	struct pvm_kvm_untold_slots *untold = &vm->memory.untold;
	u64 generation;
	int error = 0;

	if (likely(!has_other_slots(vm, slots, &generation)))
		return 0;
	/* No vCPU goes on before it is done, whoever does it. */
	mutex_lock(&untold->lock);
	if (has_other_slots(vm, slots, &generation)) {
		/* A change is one step, or two, and the first of these shows the slot as invalid. */
		find_gone(vm, slots, generation - untold->generation > pvm_kvm_address_spaces(&vm->kvm));
		error = remember_new(vm, slots);
		if (!error)
			smp_store_release(&untold->generation, generation);
	}
	mutex_unlock(&untold->lock);
	return error;
}

/* ------------------------------------------------------------------------
 * The emulator's writes: it translates the address of each right before.
 */

static void tell(struct pvm_kvm_vcpu *v, unsigned int count)
{
	struct pvm_kvm_untold_writes *untold = &v->untold;
	unsigned int i;

	for (i = 0; i < count; i++)
		pvm_kvm_has_written(to_pvm_kvm(v->vcpu.kvm), gfn_to_gpa(untold->gfn[i]), 1);
	untold->count -= count;
	memmove(untold->gfn, untold->gfn + count, untold->count * sizeof(untold->gfn[0]));
}

static void note(struct pvm_kvm_vcpu *v, gfn_t gfn)
{
	struct pvm_kvm_untold_writes *untold = &v->untold;

	if (untold->count && untold->gfn[untold->count - 1] == gfn)
		return;
	if (untold->count == ARRAY_SIZE(untold->gfn))
		tell(v, untold->count - 1);	/* the last one may be yet to come */
	untold->gfn[untold->count++] = gfn;
}

static gpa_t translate(struct kvm_vcpu *vcpu, pvm_kvm_walk_t *walk, gpa_t address, u64 access,
		       struct x86_exception *exception)
{
	struct pvm_kvm_vcpu *v = to_pvm_vcpu(vcpu);
	gpa_t gpa = v->untold.gva_to_gpa(vcpu, walk, address, access, exception);

	if (access & PFERR_WRITE_MASK && gpa != INVALID_GPA)
		note(v, gpa_to_gfn(gpa));
	return gpa;
}

void pvm_kvm_watch_emulator(struct kvm_vcpu *vcpu)
{
	pvm_kvm_walk_t *walk = pvm_kvm_walk(vcpu);

	if (walk->gva_to_gpa == translate)	/* until the mode of paging changes */
		return;
	to_pvm_vcpu(vcpu)->untold.gva_to_gpa = walk->gva_to_gpa;
	walk->gva_to_gpa = translate;
}

int pvm_kvm_emulate(struct kvm_vcpu *vcpu)
{
	struct pvm_kvm_vcpu *v = to_pvm_vcpu(vcpu);
	int ret;

	pvm_kvm_watch_emulator(vcpu);
	ret = kvm_emulate_instruction(vcpu, 0);
	tell(v, v->untold.count);
	return ret;
}

/* ------------------------------------------------------------------------
 * For vcpu.c.
 */

bool pvm_kvm_is_untold(struct pvm_kvm_vcpu *v)
{
	struct pvm_kvm *vm = to_pvm_kvm(v->vcpu.kvm);
	u64 generation;

	/* Outside of KVM's SRCU; both sets of slots live as long as the VM. */
	return v->untold.count || has_other_slots(vm, rcu_access_pointer(vm->kvm.memslots[0]), &generation);
}

int pvm_kvm_look_untold(struct pvm_kvm_vcpu *v)
{
	tell(v, v->untold.count);
	return look(to_pvm_kvm(v->vcpu.kvm));
}

void pvm_kvm_untold_init(struct pvm_kvm *vm)
{
	mutex_init(&vm->memory.untold.lock);
	xa_init(&vm->memory.untold.slots);
}

void pvm_kvm_untold_destroy(struct pvm_kvm *vm)
{
	struct seen_slot *seen;
	unsigned long id;

	xa_for_each(&vm->memory.untold.slots, id, seen)
		kfree(seen);
	xa_destroy(&vm->memory.untold.slots);
}
#else
bool pvm_kvm_is_seen(struct pvm_kvm *vm, const struct kvm_memory_slot *slot)
{
	return true;
}

bool pvm_kvm_next_seen(struct pvm_kvm *vm, unsigned long *id, struct pvm_kvm_seen_part *part)
{
	return false;
}

void pvm_kvm_watch_emulator(struct kvm_vcpu *vcpu)
{
}

int pvm_kvm_emulate(struct kvm_vcpu *vcpu)
{
	return kvm_emulate_instruction(vcpu, 0);
}

bool pvm_kvm_is_untold(struct pvm_kvm_vcpu *v)
{
	return false;
}

int pvm_kvm_look_untold(struct pvm_kvm_vcpu *v)
{
	return 0;
}

void pvm_kvm_untold_init(struct pvm_kvm *vm)
{
}

void pvm_kvm_untold_destroy(struct pvm_kvm *vm)
{
}
#endif
