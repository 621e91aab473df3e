/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * M12: a hypercall that cannot be finished at once goes on where it was. What it has done is not done again,
 * wherever it was stopped: memory that goes away meanwhile, a flush that takes too long, a budget.
 */
#include <string.h>

#include "guest.h"

#define LEAF		(PVM_PTE_P | PVM_PTE_W | PVM_PTE_A | PVM_PTE_D)
#define LIST		(ARGUMENTS + 0x400)	/* the multicall's */
#define LIST_GFN	((LIST - KERNEL) >> PVM_PAGE_SHIFT)
#define UPDATES		(KERNEL + 0x100000)
#define TABLES		400
#define ENTRIES		24
#define REGION(t)	(0x40000000ull + (t) * PVM_LEVEL_SIZE(2))

static struct pvm_vcpu *vcpu;

static void setup(void)
{
	xen_guest_init(2);
	vcpu = &g.f.vcpu[0];
}

TestSuite(late, .init = setup, .fini = xen_guest_fini);

static void touch(uint64_t gva)
{
	pvm_mmu_fault(vcpu, pvm_gva(gva), PVM_PF_U, PVM_MAY_SLEEP);
}

/* So many tables are out of sync that no flush is brief. */
static void make_flushes_long(void)
{
	unsigned t, i;

	for (t = 0; t < TABLES; t++) {
		for (i = 0; i < ENTRIES; i++) {
			fixture_map(&g.f, g.kernel_table, 4, REGION(t) + i * PVM_PAGE_SIZE, 0x50000, 1, LEAF);
			touch(REGION(t) + i * PVM_PAGE_SIZE);
		}
		pvm_mmu_host_wrote(&g.f.vm, pvm_gfn((uint64_t)((char *)fixture_entry(&g.f, g.kernel_table, 4,
								REGION(t), 1) - (char *)g.f.host.memory) >>
						    PVM_PAGE_SHIFT), PVM_MAY_SLEEP);
	}
}

/* The exit that was not finished, with all the time it wants. */
static void assert_finishes(void)
{
	uint64_t rip = vcpu->rip;

	g.brief = false;
	cr_assert_eq(xen_exit(0, PVM_EXIT_SYSCALL, 0, 0, 0), PVM_ACT_RESUME);
	while (vcpu->rip != rip)
		cr_assert_eq(xen_syscall(0), PVM_ACT_RESUME);
	cr_expect_eq((int64_t)vcpu->gpr[PVM_RAX], 0);
}

static void assert_written_once(uint64_t *entry)
{
	cr_assert_eq(*entry, 0x51000 | LEAF);
	cr_assert_eq(g.f.host.flush_count, 0, "nothing is forgotten yet");
	*entry = 0;			/* as another vCPU does */
	assert_finishes();
	cr_expect_gt(g.f.host.flush_count, 0);
	cr_expect_eq(*entry, 0);
}

/* spec: XC-014 */
Test(late, M12_update_va_mapping_whose_flush_is_long)
{
	uint64_t *entry = fixture_entry(&g.f, g.kernel_table, 4, KERNEL + 0x60000, 1);
	uint64_t *set = xen_at(ARGUMENTS + 0x800);

	make_flushes_long();
	g.f.host.flush_count = 0;
	g.brief = true;
	*set = 3;
	cr_assert_eq(xen_call_of(0, PVM_XEN_UPDATE_VA_MAPPING, KERNEL + 0x60000, 0x51000 | LEAF,
				 PVM_XEN_UVMF_TLB_FLUSH | (ARGUMENTS + 0x800), 0), PVM_ACT_RETRY);
	assert_written_once(entry);
}

/* spec: XC-014 */
Test(late, M12_the_same_in_a_multicall)
{
	uint64_t *entry = fixture_entry(&g.f, g.kernel_table, 4, KERNEL + 0x60000, 1);
	struct pvm_xen_multicall_entry *list = xen_at(LIST);

	make_flushes_long();
	g.f.host.flush_count = 0;
	g.brief = true;
	list[0] = (struct pvm_xen_multicall_entry){ .op = PVM_XEN_UPDATE_VA_MAPPING, .result = 1,
		.args = { KERNEL + 0x60000, 0x51000 | LEAF, PVM_XEN_UVMF_TLB_FLUSH | PVM_XEN_UVMF_ALL } };
	cr_assert_eq(xen_call_of(0, PVM_XEN_MULTICALL, LIST, 1, 0, 0), PVM_ACT_RETRY);
	assert_written_once(entry);
	cr_expect_eq(list[0].result, 0);
}

/* ------------------------------------------------------------------------
 * Memory that goes while a call is served.
 */

static void list_goes_away(void)
{
	test_host_send_away(&g.f.host, LIST_GFN, true);
	pvm_mmu_write_protect_gfns(&g.f.vm, pvm_gfn(LIST_GFN), 1, PVM_NO_SLEEP);
	g.on_notify = NULL;
}

/* spec: XC-017 */
Test(late, M12_a_result_whose_memory_goes_away)
{
	struct pvm_xen_multicall_entry *list = xen_at(LIST);
	int port = pvm_xen_alloc_port(&g.f.vm, 99, 0);

	*(uint32_t *)xen_at(ARGUMENTS) = (uint32_t)port;
	list[0] = (struct pvm_xen_multicall_entry){ .op = PVM_XEN_EVENT_CHANNEL_OP, .result = 1,
						    .args = { PVM_XEN_EVTCHNOP_SEND, ARGUMENTS } };
	list[1] = (struct pvm_xen_multicall_entry){ .op = 54 };
	g.on_notify = list_goes_away;
	cr_assert_eq(xen_call(PVM_XEN_MULTICALL, LIST, 2, 0, 0), 0);
	cr_expect_eq(g.notified, 1);
	cr_expect_eq(list[0].result, 0);
	cr_expect_eq(list[1].result, PVM_XEN_ENOSYS);
	cr_expect_eq(g.f.host.fetched, 1);
}

static void *(*real_gfn_to_va)(void *host, pvm_gfn_t gfn, bool write);

/* The entry to be written is away, and the list goes with it. */
static void *both_go_away(void *host, pvm_gfn_t gfn, bool write)
{
	void *va = real_gfn_to_va(host, gfn, write);

	if (gfn.v == 0x3f1 && write && !va) {
		test_host_send_away(&g.f.host, LIST_GFN, true);
		g.f.host.ops.gfn_to_va = real_gfn_to_va;
	}
	return va;
}

/* spec: XC-014 */
Test(late, M12_arguments_whose_memory_goes_away)
{
	struct pvm_xen_multicall_entry *list = xen_at(LIST);
	struct pvm_xen_mmu_update *updates = xen_at(UPDATES);
	uint64_t *first = (void *)(g.f.host.memory + 0x3f0000);
	uint64_t *second = (void *)(g.f.host.memory + 0x3f1000);

	updates[0] = (struct pvm_xen_mmu_update){ 0x3f0000, 7 };
	updates[1] = (struct pvm_xen_mmu_update){ 0x3f1000, 8 };
	list[0] = (struct pvm_xen_multicall_entry){ .op = PVM_XEN_MMU_UPDATE, .result = 1,
		.args = { UPDATES, 2, ARGUMENTS, PVM_XEN_DOMID_SELF } };
	test_host_send_away(&g.f.host, 0x3f1, true);
	real_gfn_to_va = g.f.host.ops.gfn_to_va;
	g.f.host.ops.gfn_to_va = both_go_away;
	g.brief = true;
	cr_assert_eq(xen_call_of(0, PVM_XEN_MULTICALL, LIST, 1, 0, 0), PVM_ACT_RETRY);
	cr_assert_eq(*first, 7);
	*first = 9;
	assert_finishes();
	cr_expect_eq(*first, 9);
	cr_expect_eq(*second, 8);
	cr_expect_eq(list[0].result, 0);
	cr_expect_eq(*(uint32_t *)xen_at(ARGUMENTS), 2);
}

/* spec: XC-017 */
Test(late, M12_a_count_whose_memory_is_away)
{
	struct pvm_xen_mmu_update *updates = xen_at(UPDATES);
	uint32_t *done = xen_at(KERNEL + 0x180000);

	updates[0] = (struct pvm_xen_mmu_update){ 0x3f0000, 7 };
	updates[1] = (struct pvm_xen_mmu_update){ 0x3f1000, 8 };
	*done = 12345;
	test_host_send_away(&g.f.host, 0x180, true);
	cr_assert_eq(xen_call(PVM_XEN_MMU_UPDATE, UPDATES, 2, KERNEL + 0x180000, PVM_XEN_DOMID_SELF), 0);
	cr_expect_eq(*done, 2);
	cr_expect_eq(g.f.host.fetched, 1);
}

/* ------------------------------------------------------------------------
 * What one exit does.
 */

/* Exits until it is done, each without sleep. */
static unsigned exits(uint64_t nr, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
	uint64_t rip = vcpu->rip;
	unsigned count = 1;

	g.brief = true;
	cr_assert_eq(xen_call_of(0, nr, a, b, c, d), PVM_ACT_RESUME);
	for (; vcpu->rip == rip; count++)
		cr_assert_eq(xen_syscall(0), PVM_ACT_RESUME);
	cr_expect_eq((int64_t)vcpu->gpr[PVM_RAX], 0);
	return count;
}

/* spec: XC-073 */
Test(late, M12_flushes_and_marks_are_dear)
{
	static const uint32_t dear[] = { PVM_XEN_TLB_FLUSH_LOCAL, PVM_XEN_TLB_FLUSH_ALL, PVM_XEN_INVLPG_LOCAL,
					 PVM_XEN_INVLPG_ALL, PVM_XEN_PIN_L1_TABLE, PVM_XEN_UNPIN_TABLE };
	struct pvm_xen_mmuext_op *ops = xen_at(LIST);
	unsigned i, k;

	for (i = 0; i < sizeof(dear) / sizeof(dear[0]); i++) {
		for (k = 0; k < 40; k++)
			ops[k] = (struct pvm_xen_mmuext_op){ .cmd = dear[i], .arg1 = 5 };
		cr_expect_eq(exits(PVM_XEN_MMUEXT_OP, LIST, 40, 0, PVM_XEN_DOMID_SELF), 20, "%u", dear[i]);
	}
	for (k = 0; k < 40; k++)
		ops[k] = (struct pvm_xen_mmuext_op){ .cmd = PVM_XEN_SET_LDT };
	cr_expect_eq(exits(PVM_XEN_MMUEXT_OP, LIST, 40, 0, PVM_XEN_DOMID_SELF), 1);
}

/* spec: XC-014 */
Test(late, M12_events_are_dear)
{
	struct pvm_xen_multicall_entry *list = xen_at(LIST);
	unsigned k;

	*(uint32_t *)xen_at(ARGUMENTS) = (uint32_t)pvm_xen_alloc_port(&g.f.vm, 99, 0);
	for (k = 0; k < 16; k++)
		list[k] = (struct pvm_xen_multicall_entry){ .op = PVM_XEN_EVENT_CHANNEL_OP,
							    .args = { PVM_XEN_EVTCHNOP_SEND, ARGUMENTS } };
	cr_expect_geq(exits(PVM_XEN_MULTICALL, LIST, 16, 0, 0), 2);
	cr_expect_eq(g.notified, 16);
}

/* ------------------------------------------------------------------------
 * M9: the engine writes the frame of the shared_info beside the MMU.
 */

static void move_info(unsigned id)
{
	const struct {
		uint64_t frame;
		uint32_t offset, pad;
	} place = { 0x44, id * sizeof(struct pvm_xen_vcpu_info), 0 };

	memcpy(xen_at(ARGUMENTS), &place, sizeof(place));
	cr_assert_eq(xen_call(PVM_XEN_VCPU_OP, PVM_XEN_VCPUOP_REGISTER_VCPU_INFO, id, ARGUMENTS, 0), 0);
}

/* Where the shadow tables lead to; ~0: nowhere. */
static uint64_t reaches(uint64_t gva)
{
	struct pvm_shadow_leaf leaf;
	pvm_hpa_t root;

	cr_assert_eq(pvm_mmu_load(vcpu, &root, PVM_MAY_SLEEP), PVM_OK);
	return pvm_mmu_shadow_walk(&g.f.vm, root, pvm_gva(gva), &leaf) ? leaf.pa.v : ~0ull;
}

Test(late, M9_a_table_in_the_shared_info_is_never_taken_to_be_exact)
{
	const unsigned word = 1, bit = 17, index = 256 + word;	/* a bit of a present entry's frame */
	const uint64_t gva = 0x40000000 + index * PVM_PAGE_SIZE;
	uint64_t *entry = &xen_shared()->pending[word], before;
	unsigned i;
	int port;

	cr_assert_eq((char *)entry - (char *)xen_shared(), index * 8);
	do {
		port = pvm_xen_alloc_port(&g.f.vm, 99, 0);
	} while (port != (int)(word * 64 + bit));
	move_info(0);
	move_info(1);
	xen_enter(0);
	fixture_map(&g.f, g.kernel_table, 4, gva, 0x50000, 1, LEAF);
	*fixture_entry(&g.f, g.kernel_table, 4, gva, 2) = SHARED_GFN * PVM_PAGE_SIZE | LEAF;
	*entry = 0x50000 | LEAF;
	touch(gva);
	for (i = 0; i < 8; i++)
		pvm_mmu_flush_all(vcpu);	/* a table that stays as it is is protected again */
	before = reaches(gva);
	cr_assert_neq(before, ~0ull);
	cr_assert_eq(pvm_xen_notify(&g.f.vm, (uint32_t)port), PVM_OK);
	cr_assert_eq(*entry, 0x70000 | LEAF);
	pvm_mmu_flush_all(vcpu);
	cr_expect_neq(reaches(gva), before);
}
