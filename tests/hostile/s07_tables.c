/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * S7: more address spaces than any CPU has tags for, loaded, changed, dropped
 * and reused as data in random order. What was flushed must never be seen
 * again, by either mode, in whatever order flushes and loads came. And roots
 * that are no tables: in the air, with bits that are none, full of noise.
 */
#include "attack.h"

#define SEED		0x5707
#define SPACES		24
#define PLACES		6
#define PAGES		32
#ifndef ROUNDS
#define ROUNDS		12000
#endif
#define BASE		USER_BASE
#define ABSENT		0

USER_CODE(user_read, "	movq	(%rdi), %rax\n	syscall\n");
SUPERVISOR_CODE(supervisor_read, "	movq	(%rdi), %rax\n	jmp	attack_through\n");

static struct space spaces[SPACES];
static u64 pages[PAGES];		/* each holds its number + 1 in every word */
static unsigned truth[SPACES][PLACES];	/* what the tables say: page + 1, or ABSENT */
static bool hidden[SPACES][PLACES];	/* single CR3: from user mode, by a leaf without U (M3) */
static bool stale[SPACES][PLACES];	/* changed since the last flush: anything goes */
static unsigned current;

static u64 va_of(unsigned place)
{
	return BASE + place * (place & 1 ? GiB : 2 * MiB) + place * PAGE_SIZE;
}

static u64 see(bool user, unsigned place)
{
	u64 by;

	attack_in.gpr[RDI] = va_of(place);
	if (user) {
		pvcs()->rip = (u64)user_read;
		by = attack(attack_retu);
		return by == BY_SYSCALL ? attack_out.gpr[RAX] : ABSENT;
	}
	by = attack(supervisor_read);
	return by == BY_THROUGH ? attack_out.gpr[RAX] : ABSENT;
}

static void set(unsigned s, unsigned place, unsigned page)
{
	bool hide = SINGLE_CR3 && (random64() & 3) == 0;
	u64 entry = page == ABSENT ? 0 : pages[page - 1] | (hide ? PTE_KERNEL_RW : PTE_USER_RW);

	*user_pte(&spaces[s], va_of(place)) = entry;
	/* More rights are seen without a flush, unless a fault was due before. */
	stale[s][place] = true;
	truth[s][place] = page;
	hidden[s][place] = hide;
}

static void make_space(unsigned s)
{
	space_init(&spaces[s]);
	for (unsigned p = 0; p < PLACES; p++) {
		map_user(&spaces[s], va_of(p), 0, 0);
		truth[s][p] = ABSENT;
		stale[s][p] = true;
	}
}

/* The pages of the space's own part go back, full of what looks like entries. */
static void free_tables(u64 table, int level, u64 from, u64 to)
{
	u64 *entries = phys_to_virt(table);

	for (u64 i = from; i < to; i++)
		if (level > 1 && (entries[i] & PTE_P) && !(entries[i] & PTE_PS))
			free_tables(entries[i] & PTE_ADDR, level - 1, 0, 512);
	for (unsigned i = 0; i < 512; i++)
		entries[i] = pages[i % PAGES] | PTE_USER_RW;
	page_free(table);
}

/* Everything of a space from USER_BASE on, and its roots, become free pages. */
static void drop_space(unsigned s)
{
	u64 *entry = pte_of(spaces[s].user_root, BASE, 4, false);

	free_tables(*entry & PTE_ADDR, 3, 0, 512);
	*entry = 0;
	*pte_of(spaces[s].supervisor_root, BASE, 4, false) = 0;
	if (paging_levels() == 5)
		return;		/* the top tables share lower ones with the boot space */
	page_free(spaces[s].user_root);
	if (!SINGLE_CR3)
		page_free(spaces[s].supervisor_root);
}

static void flushed(unsigned s)
{
	for (unsigned p = 0; p < PLACES; p++)
		stale[s][p] = false;
}

static void load(unsigned s, bool flush)
{
	space_load(&spaces[s], flush);
	current = s;
	if (flush)
		flushed(s);
}

/* One random act. */
static void act(u64 r)
{
	unsigned s = (r >> 8) % SPACES, place = (r >> 16) % PLACES, kind = r % 100;

	if (kind < 30) {
		set(s, place, (r >> 24) % (PAGES + 4) < PAGES ? (r >> 24) % PAGES + 1 : ABSENT);
	} else if (kind < 62) {
		load(s, false);
	} else if (kind < 75) {
		load(s, true);
	} else if (kind < 85) {
		hc_invlpg(va_of(place));
		stale[current][place] = false;
	} else if (kind < 92) {
		hc_tlb_flush_current();
		flushed(current);
	} else if (kind < 96) {
		hc_tlb_flush();
		for (unsigned i = 0; i < SPACES; i++)
			flushed(i);
	} else if (s != current) {
		/* As a kernel does: tables of a dead space are flushed out before reuse. */
		drop_space(s);
		hc_tlb_flush();
		for (unsigned i = 0; i < SPACES; i++)
			flushed(i);
		make_space(s);
	}
}

static void storm(void)
{
	struct tally user = { 0 }, supervisor = { 0 };

	for (unsigned round = 0; round < ROUNDS; round++) {
		u64 r = random64();
		unsigned place = (r >> 40) % PLACES;

		act(r);
		for (unsigned mode = 0; mode < 2; mode++) {
			u64 seen = see(mode, place);
			u64 right = mode && hidden[current][place] ? ABSENT : truth[current][place];

			tally(mode ? &user : &supervisor,
			      stale[current][place] ? seen <= PAGES : seen == right,
			      (u64)round << 32 | seen);
		}
	}
	check_tally(&user, "S7: user mode never sees a translation that was flushed");
	check_tally(&supervisor, "S7: nor does supervisor mode");
	load(0, true);
}

/* User roots that are no roots. The supervisor's stays good. */
static void bad_user_roots(void)
{
	u64 noise = page_alloc(), flags = paging_levels() == 5 ? PVM_LOAD_PGTBL_LA57 : 0;
	u64 list[160], n = 0;
	struct tally t = { 0 };

	for (unsigned i = 0; i < 512; i++)
		((u64 *)phys_to_virt(noise))[i] = random64();
	list[n++] = noise;
	list[n++] = pages[0];			/* data: entries of small numbers */
	list[n++] = virt_to_phys(align_down((u64)pvcs(), PAGE_SIZE));
	list[n++] = virt_to_phys(align_down((u64)guest_main, PAGE_SIZE));
	for (unsigned bit = 0; bit < 64; bit++)
		list[n++] = 1ul << bit;
	for (unsigned bit = 0; bit < 64; bit++)
		list[n++] = spaces[0].user_root ^ 1ul << bit;
	for (unsigned i = 0; i < n; i++) {
		u64 root = list[i], done, by;

		/* Outside of memory the VM dies: death.c. */
		if ((root & PTE_ADDR) == spaces[0].user_root || (!(root >> 52) && root >= memory_end()))
			continue;
		done = hc_load_pgtbl(flags, spaces[0].supervisor_root, root);
		pvcs()->rip = (u64)user_read;
		by = attack(attack_retu);
		/* Refused: the old root is still there. Taken: the fetch faults. */
		tally(&t, done ? by == BY_SYSCALL || by == BY_USER_EVENT : by == BY_USER_EVENT &&
		      pvcs()->event_vector == VEC_PF, root);
		load(0, i & 1);
	}
	check_tally(&t, "S7: user roots that are no roots: a fault at the first fetch, or refused");
}

/* Roots and flags that must be refused. */
static void bad_roots(void)
{
	u64 flags = paging_levels() == 5 ? PVM_LOAD_PGTBL_LA57 : 0;

	for (unsigned i = 0; i < 64; i++) {
		u64 bad = 1ul << i;

		if (bad >= memory_end() && hc_load_pgtbl(flags, bad | 1ul << 52, spaces[0].user_root) == 0)
			check(false, "S7: a supervisor root beyond physical addresses is refused");
		if ((bad & ~3ul) && hc_load_pgtbl(flags | bad, spaces[0].supervisor_root,
						  spaces[0].user_root) == 0)
			check(false, "S7: unknown flags are refused");
	}
	load(0, true);
	set(0, 0, 3);
	hc_tlb_flush();
	check(see(true, 0) == (hidden[0][0] ? ABSENT : 3) && see(false, 0) == 3, "S7: after all that a good space works");
}

void guest_main(void)
{
	seed_random(SEED);
	for (unsigned i = 0; i < PAGES; i++) {
		pages[i] = page_alloc();
		for (unsigned w = 0; w < PAGE_SIZE / 8; w++)
			((u64 *)phys_to_virt(pages[i]))[w] = i + 1;
	}
	for (unsigned s = 0; s < SPACES; s++)
		make_space(s);
	attack_begin();
	fill_pvcs((u64)user_read);
	load(0, true);
	storm();
	if (!SINGLE_CR3)	/* there the user's root is the supervisor's, which dies of it */
		bad_user_roots();
	bad_roots();
	space_load(&boot_space, true);
	attack_end();
}
