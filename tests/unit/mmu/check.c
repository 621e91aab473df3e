/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* pvm_mmu_check(): each rule broken by hand, each time found by name. */
#include "guest.h"

#include "mmu/entry.h"
#include "mmu/page.h"

static struct guest g;
static struct pvm_shadow_page *root, *leaf_page;

static struct pvm_shadow_page *child_of(const struct pvm_shadow_page *page, unsigned index)
{
	return pvm_entry_child(g.vm->mmu, page, index);
}

static void init(void)
{
	struct pvm_vm_config config = fixture_config();

	config.switcher_slot = 511;
	config.switcher_entry = 0x77000 | RW;
	guest_init_config(&g, &config, 1, 4);
	guest_map(&g, GVA, DATA, 1, RWU | KEY(3));
	guest_map(&g, GVA + (2 << 20), 4 << 20, 2, RW | KEY(5));
	guest_map_tables(&g);
	guest_touch(&g, GVA, PVM_ACCESS_WRITE);
	guest_touch(&g, GVA + (2 << 20), PVM_ACCESS_WRITE);
	root = g.vcpu->mmu.root[0];
	leaf_page = child_of(child_of(child_of(root, 0), 1), 0);
	check_ok(&g);
}

static void fini(void)
{
	guest_fini(&g);
}

TestSuite(mmu_check, .init = init, .fini = fini);

static void assert_found(const char *rule)
{
	const char *wrong = pvm_mmu_check(g.vm);

	cr_assert_not_null(wrong, "a broken rule was not found: %s", rule);
	cr_assert_eq(strncmp(wrong, rule, strlen(rule)), 0, "found \"%s\", not \"%s\"", wrong, rule);
}

/* Break *@word, expect @rule, mend it. */
static void broken(uint64_t *word, uint64_t value, const char *rule)
{
	uint64_t good = *word;

	*word = value;
	assert_found(rule);
	*word = good;
}

Test(mmu_check, M1_leaf_without_U_is_found)
{
	broken(&leaf_page->table[0], leaf_page->table[0] & ~PVM_PTE_U, "M1");
}

Test(mmu_check, M1_switcher_slot_with_U_is_found)
{
	broken(&root->table[511], 0x77000 | RWU, "M1");
}

Test(mmu_check, M2_foreign_memory_is_found)
{
	broken(&leaf_page->table[0], leaf_page->table[0] + 0x1000, "M2");
	broken(&leaf_page->table[9], 0x1000 | RWU, "M2");
	broken(&root->table[0], root->table[0] + 0x1000, "M2");
	g.f.host.hole_start = DATA >> 12;
	g.f.host.hole_end = g.f.host.hole_start + 1;
	assert_found("M2");
	g.f.host.hole_start = g.f.host.hole_end = 0;
}

Test(mmu_check, M2_link_that_leaves_a_large_page_is_found)
{
	struct pvm_shadow_page *upper = child_of(root, 0);

	upper->role.direct = 1;
	assert_found("M2: a link leaves");
	upper->role.direct = 0;
}

Test(mmu_check, M3_page_of_another_modes_roots_is_found)
{
	struct pvm_shadow_page *child = child_of(root, 0);

	child->role.us ^= 1;
	assert_found("M3");
	child->role.us ^= 1;
	child->role.user_root ^= 1;
	assert_found("M3");
	child->role.user_root ^= 1;
}

Test(mmu_check, M5_root_of_another_depth_is_found)
{
	leaf_page->loaded = 1;
	assert_found("M5");
	leaf_page->loaded = 0;
}

Test(mmu_check, M7_translation_outside_the_ranges_is_found)
{
	g.vm->config.range.pml4_start = 300;
	guest_map(&g, 0xffff800000000000, DATA, 1, RWU);
	guest_touch(&g, 0xffff800000000000, PVM_ACCESS_READ);
	assert_found("M7");
	g.vm->config.range.pml4_start = 256;
}

Test(mmu_check, M8_wrong_key_is_found)
{
	struct pvm_shadow_page *piece = child_of(child_of(child_of(root, 0), 1), 1);

	broken(&leaf_page->table[0], leaf_page->table[0] ^ KEY(1), "M8");
	cr_assert(piece->role.direct);
	broken(&piece->table[0], piece->table[0] ^ KEY(1), "M8");
}

Test(mmu_check, M9_entry_that_the_guest_has_not_is_found)
{
	uint64_t *entry = guest_entry(&g, GVA, 1);

	broken(entry, 0, "M9");
	broken(entry, *entry & ~PVM_PTE_W, "M9");
}

Test(mmu_check, M9_writable_table_is_found)
{
	uint64_t gva = guest_entry_gva(&g, GVA, 1);
	struct pvm_shadow_page *page;

	guest_touch(&g, gva, PVM_ACCESS_READ);
	page = child_of(child_of(child_of(root, PVM_LEVEL_INDEX(gva, 4)),
				       PVM_LEVEL_INDEX(gva, 3)),
			   PVM_LEVEL_INDEX(gva, 2));
	broken(&page->table[PVM_LEVEL_INDEX(gva, 1)],
	       page->table[PVM_LEVEL_INDEX(gva, 1)] | PVM_PTE_W, "M9: a shadowed table is writable");
}

Test(mmu_check, M9_table_writable_by_a_large_page_is_found)
{
	struct pvm_shadow_page *page;

	g.f.host.max_level = 2;
	guest_map(&g, GVA + (4 << 20), 8 << 20, 2, RO);	/* the 2 MiB with all tables */
	guest_touch(&g, GVA + (4 << 20), PVM_ACCESS_READ);
	page = child_of(child_of(root, 0), 1);
	broken(&page->table[2], page->table[2] | PVM_PTE_W, "M9: a shadowed table is writable by");
	g.f.host.max_level = 1;
}

Test(mmu_check, M9_table_in_and_out_of_sync_at_once_is_found)
{
	struct pvm_shadow_page *other;

	g.vcpu->efer &= ~PVM_EFER_NXE;
	guest_touch(&g, GVA, PVM_ACCESS_READ);
	other = child_of(child_of(child_of(g.vcpu->mmu.root[0], 0), 1), 0);
	other->unsync = true;
	assert_found("M9: a table is in sync");
	other->unsync = false;
}

Test(mmu_check, wrong_reverse_maps_are_found)
{
	uint32_t *head = pvm_rmap_find(g.vm->mmu, pvm_gfn(DATA >> 12), 1);
	uint32_t *other = pvm_rmap_find(g.vm->mmu, pvm_gfn((DATA >> 12) + 1), 1);
	uint32_t ref = pvm_entry_ref(leaf_page, 0), parents = leaf_page->parents;

	cr_assert_eq(*head, ref);
	*head = 0;
	assert_found("rmap: leaves");
	*head = ref;
	leaf_page->parents = 0;
	assert_found("rmap: links");
	leaf_page->parents = pvm_entry_ref(child_of(root, 0), 3);
	assert_found("rmap: a parent");
	leaf_page->parents = parents;
	*other = ref;
	assert_found("rmap: a frame's list");
	*other = 0;
}

Test(mmu_check, M9_unsync_table_that_no_flush_would_find_is_found)
{
	leaf_page->unsync = true;
	assert_found("M9: a flush would not find");
	leaf_page->wide = true;
	assert_found("M9: the pages that are out of sync are counted wrong");
	g.vm->mmu->wide_count = 1;
	cr_assert_null(pvm_mmu_check(g.vm));
	g.vm->mmu->unsync_upper = 1;
	assert_found("M9: the pages that are out of sync are counted wrong");
	g.vm->mmu->unsync_upper = g.vm->mmu->wide_count = 0;
	leaf_page->unsync = leaf_page->wide = false;
}

Test(mmu_check, page_that_is_not_found_by_its_key_is_found)
{
	leaf_page->gfn.v++;
	assert_found("a shadow page is not found by its key");
	leaf_page->gfn.v--;
}

Test(mmu_check, wrong_counts_are_found)
{
	g.vm->mmu->live_count++;
	assert_found("a shadow page is counted wrong");
	g.vm->mmu->live_count--;
}
