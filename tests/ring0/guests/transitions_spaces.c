/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Kinds that load address spaces or fill their shadow tables. Owns the spaces and what user
 * mode has mapped in them.
 */
#include "transitions_kinds.h"

#define TOUCHED USER_BASE
#define TOUCHED_PAGES 16

static struct space spaces[4];	/* as many as the switcher publishes */
static u64 touched_pa;
static u64 stack_pa;
static u32 here_space;

USER_INSN(user_touch, "", "movb $1, (%rdi)");
PROBE(probe_touch, "movb $1, (%rdi)");

void spaces_init(void)
{
	stack_pa = page_alloc();
	touched_pa = pages_alloc(TOUCHED_PAGES, PAGE_SIZE);
	for (unsigned i = 0; i < array_size(spaces); i++) {
		space_init(&spaces[i]);
		map_user(&spaces[i], STACK, stack_pa, PTE_USER_RW);
		map_user_range(&spaces[i], TOUCHED, touched_pa, TOUCHED_PAGES * PAGE_SIZE, PTE_USER_RW);
	}
	/* Both roots of each run once: LOAD_PGTBL finds only roots that have. */
	for (unsigned i = array_size(spaces); i-- > 0;) {
		space_load(&spaces[i], true);
		guest_assert(syscall_return_iret());
	}
}

struct space *space_here(void)
{
	return &spaces[here_space % array_size(spaces)];
}

static u64 load_flags(void)
{
	return paging_levels() == 5 ? PVM_LOAD_PGTBL_LA57 : 0;
}

bool load_pgtbl(void)
{
	struct space *space = &spaces[++here_space % array_size(spaces)];

	return hypercall_kept(PVM_HC_LOAD_PGTBL, load_flags(), space->supervisor_root, space->user_root, 0);
}

static bool load_pair(unsigned index)
{
	here_space = index;
	return hypercall_kept(PVM_HC_LOAD_PGTBL, load_flags(), spaces[index].supervisor_root,
			      spaces[index].user_root, 0);
}

/* All that are published, wherever each is in the switcher's list. */
bool load_all_pairs(void)
{
	bool ok = true;

	for (unsigned i = 0; i < array_size(spaces); i++)
		ok &= load_pair(i);
	return ok;
}

#if !SINGLE_CR3
/* Each half is published, the pair is not. */
bool load_mixed_pairs(void)
{
	bool ok = true;

	for (unsigned i = 0; i < array_size(spaces); i++)
		ok &= hypercall_kept(PVM_HC_LOAD_PGTBL, load_flags(), spaces[i].supervisor_root,
				     spaces[(i + 1) % array_size(spaces)].user_root, 0) &&
		      load_pair(i);
	return ok;
}
#endif

bool load_pgtbl_flush(void)
{
	struct space *space = space_here();

	return hypercall_kept(PVM_HC_LOAD_PGTBL, load_flags() | PVM_LOAD_PGTBL_FLUSH, space->supervisor_root,
			      space->user_root, 0);
}

/* Then user mode, whose root is another now. */
bool load_pgtbl_then_user(void)
{
	return load_pgtbl() && syscall_return_sysret();
}

static u64 touched_index(void)
{
	return transitions_control.turns % TOUCHED_PAGES;
}

/* A page that neither the guest's tables have nor a shadow table. */
static u64 absent_page(void)
{
	u64 va = TOUCHED + touched_index() * PAGE_SIZE;

	*user_pte(space_here(), va) = 0;
	hc_invlpg(va);
	return va;
}

/* What absent_page() took, back in the guest's tables. @bits: besides. */
static void give_page(u64 va, u64 bits)
{
	*user_pte(space_here(), va) = (touched_pa + touched_index() * PAGE_SIZE) | PTE_USER_RW | bits;
}

/* A page that the guest's tables have and no shadow table. */
static u64 fresh_page(void)
{
	u64 va = absent_page();

	give_page(va, 0);
	return va;
}

/* Has @u done its access, and then its system call? */
static bool has_touched(struct user *u)
{
	return u->left_by == LEFT_BY_SYSCALL && u->rip == (u64)user_touch_next + 2 && u->rbx == PATTERN(2) &&
	       u->r15 == PATTERN(13) && rest_is_whole();
}

bool fill_user(void)
{
	struct user u;

	user_prepare(&u, user_touch, fresh_page());
	user_for_sysret(&u);
	user_run_once(&u);
	return has_touched(&u);
}

bool fill_supervisor(void)
{
	struct probe p;

	probe_prepare(&p);
	p.in.rdi = fresh_page();
	probe_touch(&p);
	return probe_is_whole(&p);
}

/* A #PF that the guest answers with an entry as kernels make them: with A and D. */
bool page_fault_user(void)
{
	u64 va = absent_page();
	struct user u;
	bool ok;

	user_prepare(&u, user_touch, va);
	user_for_sysret(&u);
	ok = user_event(&u, VEC_PF, user_touch_at, FLAGS) && u.cr2 == va;
	give_page(va, PTE_A | PTE_D);
	user_run_once(&u);
	return ok && has_touched(&u);
}

/* An entry that is shadowed goes. */
bool invlpg_cleared(void)
{
	u64 va = fresh_page();
	struct user u;

	user_prepare(&u, user_touch, va);
	user_for_sysret(&u);
	user_run_once(&u);
	*user_pte(space_here(), va) = 0;
	return has_touched(&u) && hypercall_kept(PVM_HC_TLB_INVLPG, va, 0, 0, 0);
}
