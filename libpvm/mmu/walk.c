/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The walker of the guest's page tables: what an access would find there, the
 * error code of a refusal, and the accessed and dirty bits. Every entry is
 * hostile and may change at any moment; it is read once into a copy (M6).
 * This file never looks at shadow tables.
 *
 * spec: Paging, Protection Keys
 */
#include "walk.h"

#include "internal.h"
#include "late.h"
#include "mark.h"
#include "recent.h"

uint64_t *pvm_walk_entry_va(struct pvm_vcpu *vcpu, pvm_gfn_t table, unsigned index, bool write)
{
	uint64_t *va = pvm_frame_va(vcpu, table, write);

	return va ? va + index : NULL;
}

bool pvm_walk_address_legal(const struct pvm_vcpu *vcpu, pvm_gva_t gva)
{
	const struct pvm_vm_config *config = &vcpu->vm->config;
	unsigned host_levels = config->host_la57 ? 5 : 4;

	/* M1: the switcher's slot is never the guest's, whatever the ranges say. */
	if (config->switcher_entry && PVM_LEVEL_INDEX(gva.v, host_levels) == config->switcher_slot &&
	    (!config->switcher_pml4_entry || PVM_LEVEL_INDEX(gva.v, 4) == config->switcher_pml4_slot))
		return false;
	return pvm_legal_address(vcpu, gva);	/* M7 */
}

uint8_t pvm_walk_levels(const struct pvm_vcpu *vcpu)
{
	return (vcpu->cr4 & PVM_CR4_LA57) && vcpu->vm->config.host_la57 ? 5 : 4;
}

static bool refuse(const struct pvm_vcpu *vcpu, struct pvm_guest_walk *walk, uint32_t cause)
{
	walk->vector = PVM_VEC_PF;
	walk->error_code = cause | (walk->access & PVM_PF_W);
	if ((walk->access & PVM_ACCESS_EXEC) && (vcpu->efer & PVM_EFER_NXE))
		walk->error_code |= PVM_PF_I;
	if (vcpu->user_mode)
		walk->error_code |= PVM_PF_U;
	return false;
}

/* A write through an entry without W, of a frame that the guest calls a table? @above: the entries above. */
static bool writes_table(const struct pvm_vcpu *vcpu, const struct pvm_guest_walk *walk, uint64_t above)
{
	return walk->level == 1 && !vcpu->user_mode && (above & PVM_PTE_W) &&
	       pvm_mark_allows(vcpu->vm->mmu, walk->entry[1]);
}

bool pvm_walk_guest(struct pvm_vcpu *vcpu, pvm_gva_t gva, uint32_t access, struct pvm_guest_walk *walk)
{
	struct pvm_vm *vm = vcpu->vm;
	uint64_t always = pvm_pte_reserved_always(vm->config.guest_maxphyaddr, vcpu->efer & PVM_EFER_NXE);
	uint64_t every = ~0ull, some = 0;	/* the entries, by AND and by OR */
	uint64_t above;				/* without the last, by AND */
	pvm_gfn_t table = pvm_cr3_gfn(vcpu->cr3);
	unsigned level;
	uint32_t cause;

	walk->gva = gva;
	walk->access = access;
	walk->top = pvm_walk_levels(vcpu);
	walk->level = walk->read_only = 0;
	walk->complete = walk->no_table = walk->late = walk->writable = walk->writes_table = false;
	if (!pvm_canonical(vcpu, gva.v)) {
		walk->vector = PVM_VEC_GP;
		walk->error_code = 0;
		return false;
	}
	if (!pvm_walk_address_legal(vcpu, gva))
		return refuse(vcpu, walk, 0);

	for (level = walk->top; ; level--) {
		const uint64_t *va = pvm_walk_entry_va(vcpu, table, PVM_LEVEL_INDEX(gva.v, level), false);
		uint64_t entry;

		walk->level = level;
		walk->table[level] = table;
		if (!va) {
			walk->no_table = true;
			walk->late = pvm_is_late(vcpu, table, false);
			return refuse(vcpu, walk, 0);
		}
		entry = PVM_READ_ONCE(*va);	/* M6 */
		walk->entry[level] = entry;
		walk->at[level] = va;
		if (!(entry & PVM_PTE_P))
			return refuse(vcpu, walk, 0);
		if (entry & pvm_pte_reserved(entry, level, always))
			return refuse(vcpu, walk, PVM_PF_P | PVM_PF_RSVD);
		above = every;
		every &= entry;
		some |= entry;
		if (pvm_pte_is_leaf(entry, level))
			break;
		table = pvm_pte_gfn(entry);
	}
	walk->complete = true;
	walk->writable = every & PVM_PTE_W;
	walk->user = every & PVM_PTE_U;
	walk->above_accessed = above & PVM_PTE_A;
	walk->gpa = pvm_gpa((pvm_pte_leaf_gfn(walk->entry[level], level).v << PVM_PAGE_SHIFT) |
			    (gva.v & (PVM_LEVEL_SIZE(level) - 1)));
	if (pvm_unlikely((access & PVM_ACCESS_WRITE) && !walk->writable))
		walk->writable = walk->writes_table = writes_table(vcpu, walk, above);
	cause = pvm_walk_cause(vcpu, walk->entry[level], access, walk->writable, walk->user,
			       !(some & PVM_PTE_NX));
	return cause ? refuse(vcpu, walk, cause) : true;
}

bool pvm_walk_set_accessed(struct pvm_vcpu *vcpu, struct pvm_guest_walk *walk)
{
	unsigned level;

	for (level = walk->above_accessed ? walk->level : walk->top; level >= walk->level; level--) {
		uint64_t old = walk->entry[level], new = old | PVM_PTE_A;
		uint64_t *va;

		if (level == walk->level && (walk->access & PVM_ACCESS_WRITE))
			new |= PVM_PTE_D;
		if (new == old)
			continue;
		va = pvm_walk_entry_va(vcpu, walk->table[level],
				   PVM_LEVEL_INDEX(walk->gva.v, level), true);
		/* A table in read-only memory keeps its bits; the CPU goes on. */
		if (!va && pvm_is_late(vcpu, walk->table[level], true)) {
			walk->late = true;
			return false;
		}
		if (!va)
			walk->read_only |= (uint8_t)(1u << level);
		else if (!__atomic_compare_exchange_n(va, &old, new, false, __ATOMIC_SEQ_CST,
						      __ATOMIC_SEQ_CST))
			return false;	/* M6: another CPU was here since */
		walk->entry[level] = new;
	}
	return true;
}

bool pvm_walk_access(struct pvm_vcpu *vcpu, pvm_gva_t gva, uint32_t access, struct pvm_guest_walk *walk)
{
	unsigned tries;

	for (tries = 0; tries < WALK_TRIES; tries++) {
		if (!pvm_walk_guest(vcpu, gva, access, walk))
			return false;
		if (pvm_walk_set_accessed(vcpu, walk))
			return true;
		if (walk->late)
			return false;
	}
	return true;
}
