/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Flushes that the guest asks for, of one vCPU each. The shadow tables below
 * the flushed roots are brought up to date, then the executor forgets what its
 * TLB holds under them, whether or not anything had changed: the TLB may be
 * older than the tables (M9).
 *
 * spec: TLB
 */
#include "flush.h"

#include "abi/abi.h"
#include "entry.h"
#include "lock.h"
#include "near.h"
#include "page.h"
#include "recent.h"
#include "sync.h"
#include "tlb.h"
#include "track.h"
#include "walk.h"

static void flush_root(struct pvm_vcpu *vcpu, const struct pvm_shadow_page *root)
{
	pvm_tlb_tell(vcpu->vm->mmu, &(struct pvm_tlb_flush){
		.scope = PVM_FLUSH_ROOT, .vcpu = vcpu, .root = root->host.pa });
}

/* False: not all of it; come again. */
static bool sync_some(struct pvm_mmu *mmu, const pvm_gfn_t *tables, unsigned count, uint64_t since,
		      bool upper)
{
	unsigned i;

	for (i = 0; i < count; i++) {
		struct pvm_shadow_page *root = NULL;

		while ((root = pvm_page_next_root(mmu, root, tables[i])))
			if (!pvm_track_sync_root(mmu, root, since, upper))
				return false;
	}
	return true;
}

/* What was done for a flush that gave up counts for the same one. */
static uint64_t begin(struct pvm_vcpu *vcpu)
{
	uint64_t since = vcpu->mmu.flush_since;

	vcpu->mmu.flush_since = 0;
	return since ? since : pvm_track_flush(vcpu->vm->mmu);
}

/* Another pass? Not if the call must be brief (M12). */
static bool go_on(struct pvm_vcpu *vcpu, uint64_t since, unsigned *passes)
{
	struct pvm_vm *vm = vcpu->vm;

	if (vcpu->brief && ++*passes == PVM_BRIEF_PASSES) {
		vcpu->mmu.flush_since = since;
		return false;
	}
	pvm_page_breathe(vm->mmu, pvm_vcpu_sleep(vcpu));
	return true;
}

static bool sync_tables(struct pvm_vcpu *vcpu, const pvm_gfn_t *tables, unsigned count, bool upper)
{
	uint64_t since = begin(vcpu);
	unsigned passes = 0;

	while (!sync_some(vcpu->vm->mmu, tables, count, since, upper))
		if (!go_on(vcpu, since, &passes))
			return false;
	return true;
}

/* Forget what was translated by these root tables. */
static bool flush_tables(struct pvm_vcpu *vcpu, const pvm_gfn_t *tables, unsigned count)
{
	struct pvm_mmu *mmu = vcpu->vm->mmu;
	unsigned i;

	pvm_recent_forget(vcpu);
	if (!sync_tables(vcpu, tables, count, false)) {
		pvm_page_finish(mmu);
		return false;
	}
	for (i = 0; i < count; i++) {
		struct pvm_shadow_page *root = NULL;

		while ((root = pvm_page_next_root(mmu, root, tables[i])))
			flush_root(vcpu, root);
	}
	pvm_track_harden(mmu);
	pvm_page_finish(mmu);
	return true;
}

/* The root tables of both modes; one when it is the same table. */
static unsigned current_tables(const struct pvm_vcpu *vcpu, pvm_gfn_t tables[2])
{
	tables[0] = pvm_cr3_gfn(vcpu->cr3);
	tables[1] = pvm_cr3_gfn(vcpu->vm->abi->other_cr3(vcpu));
	return tables[0].v == tables[1].v ? 1 : 2;
}

/* With the lock. */
static bool sync_all(struct pvm_vcpu *vcpu)
{
	uint64_t since = begin(vcpu);
	unsigned passes = 0;

	while (!pvm_track_sync_all(vcpu->vm->mmu, since))
		if (!go_on(vcpu, since, &passes))
			return false;
	return true;
}

bool pvm_flush_all(struct pvm_vcpu *vcpu)
{
	struct pvm_vm *vm = vcpu->vm;
	struct pvm_mmu *mmu = vm->mmu;

	pvm_recent_forget(vcpu);
	pvm_lock(vm);
	if (!sync_all(vcpu)) {
		pvm_page_finish(mmu);
		pvm_unlock(vm);
		return false;
	}
	pvm_track_harden(mmu);
	if (mmu->vcpus == 1)
		pvm_tlb_flush_everything(mmu);
	else
		pvm_tlb_tell(mmu, &(struct pvm_tlb_flush){
			.scope = PVM_FLUSH_ALL, .vcpu = vcpu, .root = { PVM_INVALID_ADDR } });
	pvm_page_finish(mmu);
	pvm_unlock(vm);
	return true;
}

bool pvm_flush_current(struct pvm_vcpu *vcpu)
{
	struct pvm_vm *vm = vcpu->vm;
	pvm_gfn_t tables[2];
	bool done;

	pvm_lock(vm);
	done = flush_tables(vcpu, tables, current_tables(vcpu, tables));
	pvm_unlock(vm);
	return done;
}

static bool flush_cr3(struct pvm_vcpu *vcpu, uint64_t cr3)
{
	struct pvm_vm *vm = vcpu->vm;
	pvm_gfn_t table = pvm_cr3_gfn(cr3);
	bool done;

	pvm_lock(vm);
	done = flush_tables(vcpu, &table, 1);
	pvm_unlock(vm);
	return done;
}

/* Bring the entries on the way to @gva up to date. Returns the level of the
 * guest's page there, 1 if there is none: pieces of large pages go as a whole. */
static unsigned sync_address(struct pvm_mmu *mmu, struct pvm_shadow_page *page, pvm_gva_t gva)
{
	for (;;) {
		unsigned level = page->role.level, index = PVM_LEVEL_INDEX(gva.v, level);
		struct pvm_shadow_page *child;

		if (page->unsync)
			pvm_sync_entry(mmu, page, index);
		child = pvm_entry_child(mmu, page, index);
		if (child && level <= 3 && child->role.direct)
			return level;
		if (!child)
			return pvm_entry_present(page, index) ? level : 1;
		page = child;
	}
}

/* Where sync_address() must begin: at the root, or at the last table where the last fill has been
 * there and no table above is out of sync. */
static struct pvm_shadow_page *first_stale(const struct pvm_vcpu *vcpu, struct pvm_shadow_page *root,
					   pvm_gva_t gva)
{
	struct pvm_shadow_page *table = vcpu->vm->mmu->unsync_upper ? NULL : pvm_near_table(vcpu, root, gva);

	return table ? table : root;
}

bool pvm_flush_address(struct pvm_vcpu *vcpu, pvm_gva_t gva)
{
	struct pvm_vm *vm = vcpu->vm;
	struct pvm_mmu *mmu = vm->mmu;
	pvm_gfn_t tables[2];
	unsigned i, count = current_tables(vcpu, tables);

	pvm_recent_forget_page(vcpu, gva);
	if (!pvm_walk_address_legal(vcpu, gva))
		return true;	/* nothing is ever mapped there (M7) */
	pvm_lock(vm);
	/* It drops what a CPU remembers of upper levels, for any address. */
	if (pvm_unlikely(mmu->unsync_upper) && !sync_tables(vcpu, tables, count, true)) {
		pvm_page_finish(mmu);
		pvm_unlock(vm);
		return false;
	}
	for (i = 0; i < count; i++) {
		struct pvm_shadow_page *root = NULL;

		while ((root = pvm_page_next_root(mmu, root, tables[i]))) {
			unsigned level = sync_address(mmu, first_stale(vcpu, root, gva), gva);

			pvm_tlb_tell(mmu, &(struct pvm_tlb_flush){
				.scope = PVM_FLUSH_GVA, .vcpu = vcpu, .root = root->host.pa,
				.gva = gva, .level = (uint8_t)level });
		}
	}
	pvm_page_finish(mmu);
	pvm_unlock(vm);
	return true;
}

/* The level of the guest's page at @gva in this vCPU's tables, which are up to date. */
static unsigned level_at(struct pvm_vcpu *vcpu, pvm_gva_t gva)
{
	struct pvm_mmu *mmu = vcpu->vm->mmu;
	unsigned i, count, level, largest = 1;
	pvm_gfn_t tables[2];

	count = current_tables(vcpu, tables);
	for (i = 0; i < count; i++) {
		struct pvm_shadow_page *root = NULL;

		while ((root = pvm_page_next_root(mmu, root, tables[i]))) {
			level = sync_address(mmu, root, gva);
			if (level > largest)
				largest = level;
		}
	}
	return largest;
}

/* M9: other vCPUs may be in tables that this one has never loaded, so all are brought up to date. */
bool pvm_flush_address_everywhere(struct pvm_vcpu *vcpu, pvm_gva_t gva)
{
	struct pvm_vm *vm = vcpu->vm;
	bool done;

	if (!pvm_walk_address_legal(vcpu, gva))
		return true;	/* nothing is ever mapped there (M7) */
	pvm_lock(vm);
	pvm_recent_forget_all(vm->mmu);
	done = sync_all(vcpu);
	if (done)
		pvm_tlb_tell(vm->mmu, &(struct pvm_tlb_flush){
			.scope = PVM_FLUSH_GVA, .root = { PVM_INVALID_ADDR }, .gva = gva,
			.level = (uint8_t)level_at(vcpu, gva) });
	pvm_page_finish(vm->mmu);
	pvm_unlock(vm);
	return done;
}

bool pvm_flush_everything(struct pvm_vcpu *vcpu)
{
	struct pvm_vm *vm = vcpu->vm;
	bool done;

	pvm_lock(vm);
	pvm_recent_forget_all(vm->mmu);
	done = sync_all(vcpu);
	if (done) {
		pvm_track_harden(vm->mmu);
		pvm_tlb_flush_everything(vm->mmu);
	}
	pvm_page_finish(vm->mmu);
	pvm_unlock(vm);
	return done;
}

/* ------------------------------------------------------------------------
 * Whole, however long that takes.
 */

/* The vCPU is not brief meanwhile; returns what it was. */
static bool take_time(struct pvm_vcpu *vcpu)
{
	bool brief = vcpu->brief;

	vcpu->brief = false;
	vcpu->mmu.flush_since = 0;
	return brief;
}

void pvm_mmu_flush_all(struct pvm_vcpu *vcpu)
{
	bool brief = take_time(vcpu);

	pvm_flush_all(vcpu);
	vcpu->brief = brief;
}

void pvm_mmu_flush_current(struct pvm_vcpu *vcpu)
{
	bool brief = take_time(vcpu);

	pvm_flush_current(vcpu);
	vcpu->brief = brief;
}

void pvm_mmu_flush_cr3(struct pvm_vcpu *vcpu, uint64_t cr3)
{
	bool brief = take_time(vcpu);

	flush_cr3(vcpu, cr3);
	vcpu->brief = brief;
}

void pvm_mmu_invlpg(struct pvm_vcpu *vcpu, pvm_gva_t gva)
{
	bool brief = take_time(vcpu);

	pvm_flush_address(vcpu, gva);
	vcpu->brief = brief;
}
