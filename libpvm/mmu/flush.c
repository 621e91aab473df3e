/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Flushes that the guest asks for, of one vCPU each. The shadow tables below
 * the flushed roots are brought up to date, then the executor forgets what its
 * TLB holds under them, whether or not anything had changed: the TLB may be
 * older than the tables (M9).
 *
 * spec: TLB
 */
#include "abi/abi.h"
#include "entry.h"
#include "lock.h"
#include "near.h"
#include "page.h"
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

static void sync_tables(struct pvm_mmu *mmu, const pvm_gfn_t *tables, unsigned count, bool upper)
{
	uint64_t since = pvm_track_flush(mmu);

	while (!sync_some(mmu, tables, count, since, upper))
		pvm_page_breathe(mmu);
}

/* Forget what was translated by these root tables. */
static void flush_tables(struct pvm_vcpu *vcpu, const pvm_gfn_t *tables, unsigned count)
{
	struct pvm_mmu *mmu = vcpu->vm->mmu;
	unsigned i;

	sync_tables(mmu, tables, count, false);
	for (i = 0; i < count; i++) {
		struct pvm_shadow_page *root = NULL;

		while ((root = pvm_page_next_root(mmu, root, tables[i])))
			flush_root(vcpu, root);
	}
	pvm_track_harden(mmu);
	pvm_page_finish(mmu);
}

/* The root tables of both modes; one when it is the same table. */
static unsigned current_tables(const struct pvm_vcpu *vcpu, pvm_gfn_t tables[2])
{
	tables[0] = pvm_cr3_gfn(vcpu->cr3);
	tables[1] = pvm_cr3_gfn(vcpu->vm->abi->other_cr3(vcpu));
	return tables[0].v == tables[1].v ? 1 : 2;
}

void pvm_mmu_flush_all(struct pvm_vcpu *vcpu)
{
	struct pvm_vm *vm = vcpu->vm;
	struct pvm_mmu *mmu = vm->mmu;
	uint64_t since;

	pvm_lock(vm);
	since = pvm_track_flush(mmu);
	while (!pvm_track_sync_all(mmu, since))
		pvm_page_breathe(mmu);
	pvm_track_harden(mmu);
	if (mmu->vcpus == 1)
		pvm_tlb_flush_everything(mmu);
	else
		pvm_tlb_tell(mmu, &(struct pvm_tlb_flush){
			.scope = PVM_FLUSH_ALL, .vcpu = vcpu, .root = { PVM_INVALID_ADDR } });
	pvm_page_finish(mmu);
	pvm_unlock(vm);
}

void pvm_mmu_flush_current(struct pvm_vcpu *vcpu)
{
	struct pvm_vm *vm = vcpu->vm;
	pvm_gfn_t tables[2];

	pvm_lock(vm);
	flush_tables(vcpu, tables, current_tables(vcpu, tables));
	pvm_unlock(vm);
}

void pvm_mmu_flush_cr3(struct pvm_vcpu *vcpu, uint64_t cr3)
{
	struct pvm_vm *vm = vcpu->vm;
	pvm_gfn_t table = pvm_cr3_gfn(cr3);

	pvm_lock(vm);
	flush_tables(vcpu, &table, 1);
	pvm_unlock(vm);
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

void pvm_mmu_invlpg(struct pvm_vcpu *vcpu, pvm_gva_t gva)
{
	struct pvm_vm *vm = vcpu->vm;
	struct pvm_mmu *mmu = vm->mmu;
	pvm_gfn_t tables[2];
	unsigned i, count = current_tables(vcpu, tables);

	if (!pvm_walk_address_legal(vcpu, gva))
		return;		/* nothing is ever mapped there (M7) */
	pvm_lock(vm);
	/* It drops what a CPU remembers of upper levels, for any address. */
	if (pvm_unlikely(mmu->unsync_upper))
		sync_tables(mmu, tables, count, true);
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
}
