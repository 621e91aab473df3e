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

/* A page that the guest's tables have and no shadow table. */
static u64 fresh_page(void)
{
	u64 index = transitions_control.turns % TOUCHED_PAGES, va = TOUCHED + index * PAGE_SIZE;
	u64 *pte = user_pte(space_here(), va);

	*pte = 0;
	hc_invlpg(va);
	*pte = (touched_pa + index * PAGE_SIZE) | PTE_USER_RW;
	return va;
}

bool fill_user(void)
{
	struct user u;

	user_prepare(&u, user_touch, fresh_page());
	user_for_sysret(&u);
	user_run_once(&u);
	return u.left_by == LEFT_BY_SYSCALL && u.rip == (u64)user_touch_next + 2 && u.rbx == PATTERN(2) &&
	       u.r15 == PATTERN(13) && rest_is_whole();
}

bool fill_supervisor(void)
{
	struct probe p;

	probe_prepare(&p);
	p.in.rdi = fresh_page();
	probe_touch(&p);
	return probe_is_whole(&p);
}
