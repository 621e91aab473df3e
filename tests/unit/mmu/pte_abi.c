/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * docs/pte-abi.md, bit by bit: what a guest writes into its page tables it finds there again,
 * with accessed and dirty bits and nothing else; and no shadow entry has a bit that a CPU may
 * give a meaning to. Built with the engine's debug and release flags: a guest cannot tell them
 * apart.
 */
#include "guest.h"

#define SLOTS	256u		/* entries of a table that are used: the lower half's */
#define A	PVM_PTE_A
#define D	PVM_PTE_D

/* Bits 9 to 11 and 52 to 58: no CPU looks at them. */
#define SOFTWARE(n) (((uint64_t)(n) & 7) << 9 | ((uint64_t)(n) >> 3 & 0x7f) << 52)
#define SOFTWARE_VALUES 1024u

/* All that a shadow entry may have: what every CPU since NX and protection keys defines. */
#define SHADOW_LINK	(PVM_PTE_P | PVM_PTE_W | PVM_PTE_U | A | NX | PVM_PTE_ADDR_MASK)
#define SHADOW_LEAF	(SHADOW_LINK | D | PVM_PTE_PK_MASK)

/* A kind of entry: at a level, pointing to a table or mapping a page. */
struct kind {
	const char *name;
	unsigned levels, level;		/* of the guest's paging; of the entry */
	bool leaf;
};

static const struct kind kinds[] = {
	{ "PTE", 4, 1, true },
	{ "PDE", 4, 2, false }, { "2 MiB page", 4, 2, true },
	{ "PDPTE", 4, 3, false }, { "1 GiB page", 4, 3, true },
	{ "PML4E", 4, 4, false }, { "PML4E below a PML5E", 5, 4, false },
	{ "PML5E", 5, 5, false },
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static struct guest g;
static const struct kind *kind;
static uint64_t table[6];	/* gpa of the table at each level on the way */

static uint64_t *slot(unsigned level, unsigned index)
{
	return (uint64_t *)(g.f.host.memory + table[level]) + index;
}

static uint64_t address(unsigned index)
{
	return ((uint64_t)index << PVM_LEVEL_SHIFT(kind->level)) + (kind->level == 1 ? 0 : DATA);
}

/* What an entry of the kind is without any bit in question. */
static uint64_t plain(void)
{
	if (!kind->leaf)
		return table[kind->level - 1] | RWU;
	return (kind->level == 1 ? DATA : PVM_PTE_PS) | RWU;
}

/* A guest whose tables lead to the kind's, which is empty; below it all is mapped. */
static void start(const struct kind *of, bool large_frames)
{
	struct pvm_vm_config config = fixture_config();
	unsigned level;

	kind = of;
	config.host_la57 = kind->levels == 5;
	config.host_page1g = large_frames;
	guest_init_config(&g, &config, 1, kind->levels);
	if (large_frames)
		g.f.host.max_level = 3;
	table[kind->levels] = g.cr3;
	for (level = kind->levels - 1; level; level--)
		table[level] = fixture_new_table(&g.f);
	for (level = kind->levels; level > 1; level--)
		if (level != kind->level)
			*slot(level, 0) = table[level - 1] | RWU;
	if (kind->level > 1)
		*slot(1, PVM_LEVEL_INDEX(DATA, 1)) = DATA | RWU;
}

/* Every table below a shadow one, entry by entry. */
static void check_shadow(uint64_t pa, unsigned level)
{
	const uint64_t *entries = g.vm->ops->page_va(g.vm->host, pvm_hpa(pa));

	for (unsigned i = 0; i < PVM_PTES_PER_TABLE; i++) {
		uint64_t entry = entries[i];
		bool leaf = level == 1 || (level <= 3 && (entry & PVM_PTE_PS));
		uint64_t may = leaf ? SHADOW_LEAF | (level > 1 ? PVM_PTE_PS : 0) : SHADOW_LINK;

		if (!(entry & PVM_PTE_P)) {
			cr_assert_eq(entry, 0, "an entry that is not present is 0, not %#lx", entry);
			continue;
		}
		cr_assert_eq(entry & ~may, 0, "%s: a shadow entry of level %u is %#lx", kind->name, level, entry);
		cr_assert(!leaf || !(entry & D) || (entry & PVM_PTE_W), "a shadow stack to some CPUs");
		cr_assert_eq(entry & PVM_PTE_ADDR_MASK & ~((1ull << 46) - 1), 0, "above MAXPHYADDR");
		if (!leaf)
			check_shadow(entry & PVM_PTE_ADDR_MASK, level - 1);
	}
}

static void finish(void)
{
	pvm_hpa_t root;

	cr_assert_eq(pvm_mmu_load(g.vcpu, &root, PVM_MAY_SLEEP), PVM_OK);
	check_shadow(root.v, kind->levels);
	guest_fini(&g);
}

/* ------------------------------------------------------------------------
 * What is the guest's alone, in every combination.
 */

static void combinations(const struct kind *of, uint32_t access, bool large_frames)
{
	for (unsigned first = 0; first < SOFTWARE_VALUES; first += SLOTS) {
		start(of, large_frames);
		for (unsigned i = 0; i < SLOTS; i++)
			*slot(kind->level, i) = plain() | SOFTWARE(first + i) | KEY((first + i) * 7 % 16) |
						(i & 1 ? PVM_PTE_G : 0) | (i & 2 ? PVM_PTE_PCD : 0) |
						(i & 4 ? PVM_PTE_PWT : 0);
		for (unsigned i = 0; i < SLOTS; i++) {
			uint64_t before = *slot(kind->level, i), after;
			struct pvm_shadow_leaf leaf;

			guest_touch(&g, address(i), access);
			after = *slot(kind->level, i);
			cr_assert_eq(after, before | A | (kind->leaf && access == PVM_ACCESS_WRITE ? D : 0),
				     "%s: %#lx became %#lx", kind->name, before, after);
			cr_assert(guest_walk(&g, 0, address(i), &leaf));
			cr_assert_eq(leaf.entry & PVM_PTE_PK_MASK, kind->leaf ? before & PVM_PTE_PK_MASK : 0,
				     "M8: a leaf's key is the guest's leaf's");
		}
		finish();
	}
}

#define EVERY_KIND(call) do { \
		for (unsigned k_ = 0; k_ < KINDS; k_++) \
			call; \
	} while (0)

Test(pte_abi, software_bits_and_keys_are_found_again_after_reads)
{
	EVERY_KIND(combinations(&kinds[k_], PVM_ACCESS_READ, false));
}

Test(pte_abi, software_bits_and_keys_are_found_again_after_writes)
{
	EVERY_KIND(combinations(&kinds[k_], PVM_ACCESS_WRITE, false));
}

Test(pte_abi, software_bits_and_keys_are_found_again_after_fetches)
{
	EVERY_KIND(combinations(&kinds[k_], PVM_ACCESS_EXEC, false));
}

Test(pte_abi, software_bits_and_keys_are_found_again_with_large_shadow_pages)
{
	EVERY_KIND(combinations(&kinds[k_], PVM_ACCESS_READ, true));
}

/* ------------------------------------------------------------------------
 * Each bit by itself, against the document's table.
 */

#define FINE	~0u		/* the access is possible */
#define ANY	(~0u - 1)	/* another frame: whatever is there */

/* The error code that the document wants for a plain entry with @bit inverted, or FINE. */
static uint32_t expected(unsigned bit, uint32_t access)
{
	uint32_t own = access | PVM_PF_P;
	bool large = kind->leaf && kind->level > 1;

	switch (bit) {
	case 0:
		return access;
	case 1:
		return access == PVM_ACCESS_WRITE ? own : FINE;
	case 2: case 3: case 4: case 5: case 6: case 8: case 9: case 10: case 11:
		return FINE;
	case 7:		/* PAT; PS: the other kind; reserved */
		return kind->level == 1 ? FINE : kind->level < 4 ? ANY : own | PVM_PF_RSVD;
	case 63:
		return access == PVM_ACCESS_EXEC ? own : FINE;
	}
	if (bit >= 52)
		return FINE;
	if (bit >= 40)	/* fixture_config(): guest_maxphyaddr */
		return own | PVM_PF_RSVD;
	if (large && bit > 12 && bit < PVM_LEVEL_SHIFT(kind->level))
		return own | PVM_PF_RSVD;
	if (large && bit == 12)
		return FINE;	/* PAT */
	return ANY;
}

static void one_bit(unsigned bit, uint32_t access, bool user_mode)
{
	uint64_t *entry = slot(kind->level, bit), before = *entry, may = A, gva = address(bit);
	uint32_t want = expected(bit, access);
	struct pvm_fault_result result;

	if (want != FINE && want != ANY && user_mode)
		want |= PVM_PF_U;
	if (want == FINE)
		guest_touch(&g, gva, access);
	result = guest_fault(&g, gva, access);
	/* With PS inverted it is of the other kind. */
	if (access == PVM_ACCESS_WRITE && (kind->leaf || want == ANY))
		may |= D;
	if (want == FINE) {
		cr_assert_eq(*entry, before | may, "%s, bit %u: %#lx became %#lx", kind->name, bit,
			     before, *entry);
	} else if (want == ANY) {
		cr_assert_eq((*entry ^ before) & ~may, 0, "%s, bit %u: %#lx became %#lx", kind->name, bit,
			     before, *entry);
	} else {
		cr_assert_eq(result.kind, PVM_FAULT_INJECT, "%s, bit %u is accepted", kind->name, bit);
		cr_assert_eq(result.error_code, want, "%s, bit %u: error code %#x instead of %#x", kind->name,
			     bit, result.error_code, want);
		cr_assert_eq(*entry, before, "%s, bit %u: refused and changed", kind->name, bit);
	}
}

static void each_bit(const struct kind *of, uint32_t access, bool user_mode)
{
	start(of, false);
	g.vcpu->user_mode = user_mode;
	for (unsigned bit = 0; bit < 64; bit++)
		*slot(kind->level, bit) = plain() ^ 1ull << bit;
	for (unsigned bit = 0; bit < 64; bit++)
		one_bit(bit, access, user_mode);
	finish();
}

Test(pte_abi, each_bit_at_each_level_has_its_owner_for_reads)
{
	EVERY_KIND(each_bit(&kinds[k_], PVM_ACCESS_READ, false));
	EVERY_KIND(each_bit(&kinds[k_], PVM_ACCESS_READ, true));
}

Test(pte_abi, each_bit_at_each_level_has_its_owner_for_writes)
{
	EVERY_KIND(each_bit(&kinds[k_], PVM_ACCESS_WRITE, false));
	EVERY_KIND(each_bit(&kinds[k_], PVM_ACCESS_WRITE, true));
}

Test(pte_abi, each_bit_at_each_level_has_its_owner_for_fetches)
{
	EVERY_KIND(each_bit(&kinds[k_], PVM_ACCESS_EXEC, false));
	EVERY_KIND(each_bit(&kinds[k_], PVM_ACCESS_EXEC, true));
}

/* An entry that is not present is the guest's from bit 1 to bit 63: swap entries. */
Test(pte_abi, what_is_not_present_is_never_written)
{
	for (unsigned k = 0; k < KINDS; k++) {
		start(&kinds[k], false);
		for (unsigned i = 0; i < SLOTS; i++) {
			uint64_t entry = 0x9e3779b97f4a7c15ull * (i + 1) & ~PVM_PTE_P;

			*slot(kind->level, i) = i ? entry : ~PVM_PTE_P;
			entry = *slot(kind->level, i);
			cr_assert_eq(guest_fault(&g, address(i), PVM_ACCESS_WRITE).kind, PVM_FAULT_INJECT);
			cr_assert_eq(*slot(kind->level, i), entry);
		}
		finish();
	}
}

/* Without CR4.PKE the four bits of a leaf are software's, and the shadow's key is 0. */
Test(pte_abi, M8_without_CR4_PKE_the_keys_bits_are_softwares)
{
	start(&kinds[0], false);
	g.vcpu->cr4 &= ~(PVM_CR4_PKE | PVM_CR4_PKS);
	for (unsigned i = 0; i < 16; i++)
		*slot(1, i) = plain() | KEY(i);
	for (unsigned i = 0; i < 16; i++) {
		struct pvm_shadow_leaf leaf;

		guest_touch(&g, address(i), PVM_ACCESS_WRITE);
		cr_assert_eq(*slot(1, i), plain() | KEY(i) | A | D);
		cr_assert(guest_walk(&g, 0, address(i), &leaf));
		cr_assert_eq(leaf.entry & PVM_PTE_PK_MASK, 0);
	}
	finish();
}
