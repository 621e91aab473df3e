/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * PVM's own hypercalls, one by one. RDMSR and WRMSR are in msr.c.
 */
#include <pvm/hypercall.h>

#include "abi/pvm/rows.h"
#include "abi/pvm/syscall.h"
#include "guest.h"

static struct fixture f;
static struct pvm_vcpu *vcpu = &f.vcpu[0];

static void setup(void)
{
	pvm_hpa_t root;

	guest_boot(&f);
	vcpu->rip = 0x200102;
	/* Both roots are there, so that flushes are seen. */
	cr_assert_eq(pvm_mmu_load(vcpu, &root, PVM_MAY_SLEEP), PVM_OK);
	guest_enter_user(&f);
	cr_assert_eq(pvm_mmu_load(vcpu, &root, PVM_MAY_SLEEP), PVM_OK);
	cr_assert_eq(pvm_event_deliver(vcpu, PVM_VEC_UD, 0), PVM_ACT_RESUME);
	vcpu->rip = 0x200102;
	f.host.flush_count = 0;
	f.host.record_count = 0;
}

static void teardown(void)
{
	fixture_fini(&f);
}

static uint64_t hypercall(uint64_t nr, uint64_t a, uint64_t b, uint64_t c)
{
	vcpu->gpr[PVM_RAX] = nr;
	vcpu->gpr[PVM_RBX] = a;
	vcpu->gpr[PVM_R10] = b;
	vcpu->gpr[PVM_RDX] = c;
	cr_assert_eq(pvm_handle_syscall(vcpu), PVM_ACT_RESUME);
	return vcpu->gpr[PVM_RAX];
}

static bool flushed(enum pvm_flush_scope scope)
{
	unsigned i;

	for (i = 0; i < f.host.flush_count; i++)
		if (f.host.flushes[i].scope == scope)
			return true;
	return false;
}

TestSuite(hypercall, .init = setup, .fini = teardown);

/* spec: C-023, C-219, C-220 */
Test(hypercall, load_pgtbl_loads_both_tables)
{
	cr_assert_eq(hypercall(PVM_HC_LOAD_PGTBL, 0, 0x901000, 0x902000), 0);
	cr_assert_eq(vcpu->cr3, 0x901000);
	cr_assert_eq(vcpu->msr.switch_cr3, 0x902000);
}

/* spec: C-142, C-217 */
Test(hypercall, load_pgtbl_without_the_flag_flushes_nothing)
{
	hypercall(PVM_HC_LOAD_PGTBL, 0, vcpu->cr3, vcpu->msr.switch_cr3);
	cr_assert_eq(f.host.flush_count, 0);
}

/* spec: C-142, C-217 */
Test(hypercall, load_pgtbl_flushes_the_new_tables)
{
	uint64_t old_supervisor = vcpu->cr3, old_user = vcpu->msr.switch_cr3;

	hypercall(PVM_HC_LOAD_PGTBL, PVM_LOAD_PGTBL_FLUSH, old_supervisor, old_user);
	cr_assert_eq(f.host.flush_count, 2);
	cr_assert(flushed(PVM_FLUSH_ROOT));
	cr_assert_not(flushed(PVM_FLUSH_ALL));
}

/* spec: C-139, C-217 */
Test(hypercall, load_pgtbl_does_not_flush_the_old_tables)
{
	hypercall(PVM_HC_LOAD_PGTBL, PVM_LOAD_PGTBL_FLUSH, 0x901000, 0x902000);
	cr_assert_eq(f.host.flush_count, 0, "the new ones have no root yet");
}

/* spec: C-166 */
Test(hypercall, load_pgtbl_changes_the_root_to_run_on)
{
	pvm_hpa_t before, after;

	cr_assert_eq(pvm_mmu_load(vcpu, &before, PVM_MAY_SLEEP), PVM_OK);
	hypercall(PVM_HC_LOAD_PGTBL, 0, fixture_new_table(&f), vcpu->msr.switch_cr3);
	cr_assert_eq(pvm_mmu_load(vcpu, &after, PVM_MAY_SLEEP), PVM_OK);
	cr_assert_neq(before.v, after.v);
}

Test(hypercall, load_pgtbl_refuses_a_table_above_physical_memory)
{
	uint64_t cr3 = vcpu->cr3, switch_cr3 = vcpu->msr.switch_cr3;

	cr_assert_eq(hypercall(PVM_HC_LOAD_PGTBL, 0, 1ull << 40, 0x902000), (uint64_t)-PVM_HC_EINVAL);
	cr_assert_eq(hypercall(PVM_HC_LOAD_PGTBL, 0, 0x901000, 1ull << 51), (uint64_t)-PVM_HC_EINVAL);
	cr_assert_eq(hypercall(PVM_HC_LOAD_PGTBL, 1, 0x901000, 1ull << 63), (uint64_t)-PVM_HC_EINVAL);
	cr_assert_eq(vcpu->cr3, cr3);
	cr_assert_eq(vcpu->msr.switch_cr3, switch_cr3);
	cr_assert_eq(f.host.flush_count, 0);
}

/* spec: C-027, C-146 */
Test(hypercall, load_pgtbl_with_pcids_takes_the_noflush_bit_and_does_not_keep_it)
{
	cr_assert_eq(pvm_cr_write(vcpu, 4, vcpu->cr4 | PVM_CR4_PCIDE), PVM_OK);
	cr_assert_eq(hypercall(PVM_HC_LOAD_PGTBL, 0, PVM_CR3_NOFLUSH | 0x901001,
			       PVM_CR3_NOFLUSH | 0x902002),
		     0);
	cr_assert_eq(vcpu->cr3, 0x901001);
	cr_assert_eq(vcpu->msr.switch_cr3, 0x902002);
}

Test(hypercall, load_pgtbl_refuses_unknown_flags)
{
	uint64_t cr3 = vcpu->cr3;

	cr_assert_eq(hypercall(PVM_HC_LOAD_PGTBL, 4, 0x901000, 0x902000), (uint64_t)-PVM_HC_EINVAL);
	cr_assert_eq(hypercall(PVM_HC_LOAD_PGTBL, 1ull << 63, 0x901000, 0x902000), (uint64_t)-PVM_HC_EINVAL);
	cr_assert_eq(vcpu->cr3, cr3);
}

/* spec: C-218 */
Test(hypercall, load_pgtbl_stays_at_4_levels_where_cpuid_has_no_la57)
{
	cr_assert_eq(hypercall(PVM_HC_LOAD_PGTBL, PVM_LOAD_PGTBL_LA57, 0x901000, 0x902000), 0);
	cr_assert_not(vcpu->cr4 & PVM_CR4_LA57);
	cr_assert_eq(vcpu->cr3, 0x901000);
}

/* spec: C-056, C-221 */
Test(hypercall, irq_win_clears_ip)
{
	dual_pvcs(vcpu)->event_flags = PVM_EVENT_FLAGS_IF | PVM_EVENT_FLAGS_IP;
	cr_assert_eq(hypercall(PVM_HC_IRQ_WIN, 1, 2, 3), 0);
	cr_assert_eq(dual_pvcs(vcpu)->event_flags, PVM_EVENT_FLAGS_IF);
}

/* spec: C-056, C-222 */
Test(hypercall, irq_hlt_enables_interrupts_and_waits)
{
	bool delivered;

	dual_pvcs(vcpu)->event_flags = PVM_EVENT_FLAGS_IP;
	vcpu->gpr[PVM_RAX] = PVM_HC_IRQ_HLT;
	vcpu->gpr[PVM_R10] = 0x55;
	cr_assert_eq(pvm_handle_syscall(vcpu), PVM_ACT_HALT);
	cr_assert(vcpu->halted);
	cr_assert_eq(dual_pvcs(vcpu)->event_flags, PVM_EVENT_FLAGS_IF);
	cr_assert_eq(vcpu->gpr[PVM_RAX], 0);
	cr_assert_eq(vcpu->gpr[PVM_R10], 0x55);
	cr_assert_eq(pvm_event_interrupt(vcpu, 0x40, &delivered), PVM_ACT_RESUME);
	cr_assert_eq(dual_pvcs(vcpu)->rip, 0x200102);
	cr_assert_eq(dual_pvcs(vcpu)->rcx, 0x200102);
}

/* spec: C-141, C-223 */
Test(hypercall, tlb_flush_flushes_everything)
{
	cr_assert_eq(hypercall(PVM_HC_TLB_FLUSH, 0, 0, 0), 0);
	cr_assert(flushed(PVM_FLUSH_ALL));
}

/* spec: C-140, C-224 */
Test(hypercall, tlb_flush_current_flushes_both_tables)
{
	cr_assert_eq(hypercall(PVM_HC_TLB_FLUSH_CURRENT, 0, 0, 0), 0);
	cr_assert_eq(f.host.flush_count, 2);
	cr_assert(flushed(PVM_FLUSH_ROOT));
	cr_assert_neq(f.host.flushes[0].root.v, f.host.flushes[1].root.v);
}

/* spec: C-225 */
Test(hypercall, tlb_invlpg_flushes_one_address)
{
	cr_assert_eq(hypercall(PVM_HC_TLB_INVLPG, 0x345678, 0, 0), 0);
	cr_assert(flushed(PVM_FLUSH_GVA));
	cr_assert_not(flushed(PVM_FLUSH_ROOT));
	cr_assert_not(flushed(PVM_FLUSH_ALL));
	cr_assert_eq(f.host.flushes[0].gva.v >> 12, 0x345);
}

/* spec: C-225 */
Test(hypercall, tlb_invlpg_of_an_impossible_address_does_nothing)
{
	cr_assert_eq(hypercall(PVM_HC_TLB_INVLPG, 0x800000000000, 0, 0), 0);
	cr_assert_eq(f.host.flush_count, 0);
	cr_assert_eq(vcpu->rip, 0x200102);
}

/* spec: C-226, C-227 */
Test(hypercall, load_gs_loads_the_selector_and_returns_the_base)
{
	cr_assert_eq(hypercall(PVM_HC_LOAD_GS, 0x2b, 0, 0), 0);
	cr_assert_eq(vcpu->seg[PVM_GS], 0x2b);
	cr_assert_eq(vcpu->gs_base, 0);
}

/* spec: C-226, C-227 */
Test(hypercall, load_gs_of_a_tls_entry_returns_its_base)
{
	/* A present data segment, base 0x12345678. */
	cr_assert_eq(hypercall(PVM_HC_LOAD_TLS, 0x12cff3345678ffffull, 0, 0), 12);
	cr_assert_eq(hypercall(PVM_HC_LOAD_GS, 12 << 3 | 3, 0, 0), 0x12345678);
	cr_assert_eq(vcpu->gs_base, 0x12345678);
}

/* spec: C-226 */
Test(hypercall, load_gs_of_a_bad_selector_loads_null)
{
	vcpu->seg[PVM_GS] = 0x2b;
	hypercall(PVM_HC_LOAD_GS, 0x10, 0, 0);
	cr_assert_eq(vcpu->seg[PVM_GS], 0);
}

/* spec: C-230, C-231 */
Test(hypercall, load_tls_takes_three_descriptors_and_returns_the_first_index)
{
	cr_assert_eq(hypercall(PVM_HC_LOAD_TLS, 0x00cff2000000ffff, 0x01cff2000000ffff,
			       0x02cff2000000ffff),
		     12);
	cr_assert_eq(vcpu->tls[0] >> 56, 0);
	cr_assert_neq(vcpu->tls[0], 0);
	cr_assert_eq(vcpu->tls[1] >> 48 & 0xff00, 0x0100);
	cr_assert_eq(vcpu->tls[2] >> 48 & 0xff00, 0x0200);
}

/* A host and a guest with 57-bit addresses. */
static const struct pvm_cpuid_entry la57_cpuid[] = {
	{ .leaf = 0, .eax = 7 },
	{ .leaf = 7, .subleaf_matters = true, .ecx = 1 << 16 },
};

static void setup_la57(void)
{
	struct pvm_vm_config config = fixture_config();

	config.host_la57 = true;
	config.cpuid = la57_cpuid;
	config.cpuid_count = 2;
	guest_boot_config(&f, &config);
	vcpu->rip = 0x200102;
}

TestSuite(hypercall_la57, .init = setup_la57, .fini = teardown);

/* spec: C-218 */
Test(hypercall_la57, load_pgtbl_switches_to_5_levels_and_back)
{
	cr_assert_eq(hypercall(PVM_HC_LOAD_PGTBL, PVM_LOAD_PGTBL_LA57, 0x901000, 0x902000), 0);
	cr_assert(vcpu->cr4 & PVM_CR4_LA57);
	cr_assert_eq(vcpu->cr3, 0x901000);
	cr_assert(pvm_canonical(vcpu, 0x0080000000000000));
	cr_assert_eq(hypercall(PVM_HC_LOAD_PGTBL, 0, 0x903000, 0x904000), 0);
	cr_assert_not(vcpu->cr4 & PVM_CR4_LA57);
	cr_assert_eq(vcpu->msr.switch_cr3, 0x904000);
}

/* spec: C-218 */
Test(hypercall_la57, load_pgtbl_flushes_all_when_the_depth_changes)
{
	f.host.flush_count = 0;
	hypercall(PVM_HC_LOAD_PGTBL, PVM_LOAD_PGTBL_LA57, 0x901000, 0x902000);
	cr_assert(flushed(PVM_FLUSH_ALL));
	f.host.flush_count = 0;
	hypercall(PVM_HC_LOAD_PGTBL, PVM_LOAD_PGTBL_LA57, 0x901000, 0x902000);
	cr_assert_not(flushed(PVM_FLUSH_ALL));
}

/* An ABI whose numbers have a gap. */
Test(hypercall, a_number_without_a_row_is_no_function)
{
	static const struct pvm_hypercall_row rows[3] = { [2] = { "TLB_FLUSH", pvm_hc_tlb_flush, true } };
	struct pvm_abi_ops ops = *vcpu->vm->abi;

	ops.hypercalls = rows;
	ops.hypercall_count = 3;
	vcpu->gpr[PVM_RAX] = PVM_HC_BASE + 1;
	cr_assert_eq(pvm_dialect_hypercall(vcpu, &ops), PVM_ACT_RESUME);
	cr_assert_eq(vcpu->gpr[PVM_RAX], (uint64_t)-PVM_KVM_ENOSYS);
	vcpu->gpr[PVM_RAX] = PVM_HC_BASE + 2;
	cr_assert_eq(pvm_dialect_hypercall(vcpu, &ops), PVM_ACT_RESUME);
	cr_assert_eq(vcpu->gpr[PVM_RAX], 0);
}
