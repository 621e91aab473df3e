/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Snapshots: what is saved comes back, and nothing else gets in. */
#include <criterion/criterion.h>
#include <pvm/state.h>
#include <string.h>

#include "mmu_calls.h"

#define UPPER ((0x1fffe00ull | 300) * (1ull << 39))	/* in fixture_config()'s range */
#define DATA32 0x12cff3345678ffffull

static struct pvm_vcpu_state state;

/* A vCPU where no register has its reset value. */
static void setup_busy(void)
{
	uint64_t tls[3] = { DATA32, 0, DATA32 + (1 << 16) };
	unsigned i;

	setup();
	fixture_boot(&fix, vcpu);
	pvm_load_tls(vcpu, tls);
	for (i = 0; i < PVM_GPR_COUNT; i++)
		vcpu->gpr[i] = 0x1111111111111111ull * i;
	vcpu->rip = 0x1000;
	vcpu->rflags = 0x40a46;
	vcpu->seg[PVM_DS] = 0x2b;
	vcpu->seg[PVM_ES] = 0x7b;
	vcpu->seg[PVM_FS] = 0x63;
	vcpu->seg[PVM_GS] = 0x73;
	vcpu->fs_base = UPPER;
	vcpu->gs_base = 0x2000;
	ok(pvm_cr_write(vcpu, 2, 0xdeadbeefdeadbeefull));
	ok(pvm_cr_write(vcpu, 4, vcpu->cr4 | PVM_CR4_PCIDE | PVM_CR4_DE | PVM_CR4_PKS));
	ok(pvm_cr_write(vcpu, 8, 9));
	for (i = 0; i < 4; i++)
		ok(pvm_dr_write(vcpu, i, 0x1000 * i));
	ok(pvm_dr_write(vcpu, 6, 0x4001));
	ok(pvm_dr_write(vcpu, 7, 0x20ff));
	vcpu->pkru = 0x55555554;
	vcpu->gdtr = (struct pvm_dtr){ 0x1230, 0x7f };
	vcpu->idtr = (struct pvm_dtr){ 0x4560, 0xfff };
	vcpu->ldtr = 0x50;
	vcpu->tr = 0x40;
	vcpu->nmi_masked = vcpu->nmi_pending = vcpu->halted = true;
	vcpu->kept_event.waits = true;
	vcpu->kept_event.vector = PVM_VEC_GP;
	vcpu->kept_event.error_code = 0x18;
	ok(pvm_msr_write(vcpu, PVM_MSR_STAR, 0x0020001000000001ull));
	ok(pvm_msr_write(vcpu, PVM_MSR_CSTAR, ~0ull));
	ok(pvm_msr_write(vcpu, PVM_MSR_SYSCALL_MASK, 0x47700));
	ok(pvm_msr_write(vcpu, PVM_MSR_KERNEL_GS_BASE, UPPER + 8));
	ok(pvm_msr_write(vcpu, PVM_MSR_IA32_SYSENTER_CS, 1));
	ok(pvm_msr_write(vcpu, PVM_MSR_IA32_SYSENTER_ESP, 2));
	ok(pvm_msr_write(vcpu, PVM_MSR_IA32_SYSENTER_EIP, 3));
	ok(pvm_msr_write(vcpu, PVM_MSR_IA32_PKRS, 0x55555550));
	ok(pvm_msr_write(vcpu, PVM_MSR_IA32_PAT, 0x0606060606060606ull));
	ok(pvm_msr_write(vcpu, PVM_MSR_TSC_AUX, 5));
	ok(pvm_msr_write(vcpu, MSR_PVM_LINEAR_ADDRESS_RANGE, 0xffffffffff90ff2cull));
	ok(pvm_msr_write(vcpu, MSR_PVM_SUPERVISOR_RSP, 0x7000));
	ok(pvm_msr_write(vcpu, MSR_PVM_SUPERVISOR_REDZONE, 128));
	pvm_vcpu_save(vcpu, &state);
	mmu_calls_clear();
}

TestSuite(state, .init = setup_busy, .fini = teardown);

/* Restoring @state fails, names @field, and leaves the vCPU as it was. */
static void refused(const char *name, int error)
{
	struct pvm_vcpu before = *vcpu;
	const char *field = NULL;
	unsigned pins = fix.host.pins;

	cr_assert_eq(pvm_vcpu_restore(vcpu, &state, &field), error, "%s", name);
	cr_assert_str_eq(field, name);
	cr_assert_eq(memcmp(&before, vcpu, sizeof(before)), 0, "%s: the vCPU changed", name);
	cr_assert_eq(fix.host.pins, pins, "%s", name);
	pvm_vcpu_save(vcpu, &state);
}

static void accepted(void)
{
	const char *field = "untouched";

	cr_assert_eq(pvm_vcpu_restore(vcpu, &state, &field), PVM_OK, "%s", field);
	cr_assert_null(field);
}

#define REFUSED(field, value)			\
	do {					\
		state.field = (value);		\
		refused(#field, PVM_EINVAL);	\
	} while (0)

#define ACCEPTED(field, value)			\
	do {					\
		state.field = (value);		\
		accepted();			\
	} while (0)

Test(state, what_is_saved_comes_back_on_another_vcpu)
{
	struct pvm_vcpu second, *first = vcpu;
	struct pvm_vcpu_state again;
	const char *field;

	ok(pvm_vcpu_init(&second, &fix.vm, 1));
	ok(pvm_vcpu_restore(&second, &state, &field));
	pvm_vcpu_save(&second, &again);
	cr_assert_eq(memcmp(&state, &again, sizeof(state)), 0);

	/* Not only on paper. */
	cr_assert_eq(memcmp(second.gpr, first->gpr, sizeof(second.gpr)), 0);
	cr_assert_eq(memcmp(second.seg, first->seg, sizeof(second.seg)), 0);
	cr_assert_eq(memcmp(&second.msr, &first->msr, sizeof(second.msr)), 0);
	cr_assert_eq(memcmp(second.tls, first->tls, sizeof(second.tls)), 0);
	cr_assert_eq(second.rip, 0x1000);
	cr_assert_eq(second.rflags, 0x40a46);
	cr_assert_eq(second.cr4, first->cr4);
	cr_assert_eq(second.dr7, 0x24ff);
	cr_assert_eq(second.gdtr.limit, 0x7f);
	cr_assert_eq(second.idtr.base, 0x4560);
	cr_assert_eq(second.pkru, 0x55555554);
	cr_assert(second.halted && second.nmi_masked && second.nmi_pending);
	cr_assert_eq(second.pvcs, first->pvcs);
	cr_assert_eq(second.id, 1);
	pvm_vcpu_destroy(&second);
}

Test(state, no_word_of_a_busy_vcpu_is_lost)
{
	const uint64_t *word = (const uint64_t *)&state;
	struct pvm_vcpu_state reset;
	unsigned i, equal = 0;

	pvm_vcpu_reset(vcpu);
	pvm_vcpu_save(vcpu, &reset);
	for (i = 0; i < sizeof(state) / sizeof(*word); i++)
		equal += word[i] == ((const uint64_t *)&reset)[i];
	/* version, size, abi, user_mode, gpr[0], CS, SS, tls[1], dr[0], cr0, efer. */
	cr_assert_eq(equal, 11);
}

Test(state, restoring_drops_what_was_translated_before)
{
	accepted();
	cr_assert_geq(mmu_calls.new_cr3, 1);
	cr_assert_geq(mmu_calls.flush_all, 1);
}

Test(state, user_mode_comes_back)
{
	state.halted = 0;
	state.user_mode = 1;
	state.seg[PVM_CS] = 0x23;
	state.seg[PVM_SS] = 0x2b;
	accepted();
	cr_assert_eq(pvm_vcpu_mode(vcpu), PVM_MODE_USER32);
	ACCEPTED(seg[PVM_CS], 0x33);
	cr_assert_eq(pvm_vcpu_mode(vcpu), PVM_MODE_USER64);
}

Test(state, header_is_checked)
{
	REFUSED(version, PVM_STATE_VERSION + 1);
	REFUSED(version, 0);
	REFUSED(size, sizeof(state) - 8);
	REFUSED(size, 0);
	REFUSED(abi, PVM_ABI_SINGLE_CR3);
}

Test(state, flags_are_checked)
{
	REFUSED(user_mode, 2);
	REFUSED(nmi_masked, 2);
	REFUSED(nmi_pending, ~0ull);
	REFUSED(halted, 2);
	REFUSED(event, 1);
	REFUSED(event, PVM_STATE_EVENT | (uint64_t)PVM_VEC_DF << PVM_STATE_EVENT_VECTOR_SHIFT);
	REFUSED(event, PVM_STATE_EVENT | 32ull << PVM_STATE_EVENT_VECTOR_SHIFT);
	REFUSED(event, PVM_STATE_EVENT | 0x101ull << PVM_STATE_EVENT_VECTOR_SHIFT);
	ACCEPTED(event, PVM_STATE_EVENT | (uint64_t)PVM_VEC_SYSCALL32 << PVM_STATE_EVENT_VECTOR_SHIFT);
	cr_assert(vcpu->kept_event.waits && vcpu->kept_event.vector == PVM_VEC_SYSCALL32);
	ACCEPTED(event, 0);
	cr_assert_not(vcpu->kept_event.waits);
	state.user_mode = 1;
	state.seg[PVM_CS] = 0x33;
	state.seg[PVM_SS] = 0x2b;
	REFUSED(halted, 1);
}

static void refused_segment(unsigned reg, uint64_t sel)
{
	state.seg[reg] = sel;
	refused("seg", PVM_EINVAL);
}

Test(state, segments_are_checked)
{
	refused_segment(PVM_CS, 0x33);
	refused_segment(PVM_SS, 0x2b);
	refused_segment(PVM_DS, 0x10);
	refused_segment(PVM_ES, 0x2f);
	refused_segment(PVM_FS, 0x43);
	refused_segment(PVM_GS, 0x1002b);
	/* What a guest can have loaded by itself: code, and a TLS entry that is
	 * gone by now, which no CPU would load again. */
	state.seg[PVM_DS] = 0x33;
	state.seg[PVM_ES] = 0x6b;
	accepted();
	cr_assert_eq(vcpu->seg[PVM_DS], 0x33);
	cr_assert_eq(vcpu->seg[PVM_ES], 0);
	state.user_mode = 1;
	state.halted = 0;
	refused("seg", PVM_EINVAL);
	state.user_mode = 1;
	state.halted = 0;
	state.seg[PVM_CS] = 0x33;
	refused_segment(PVM_SS, 0x18);
}

/* A user's DS may be any of the DPL-3 entries, as the CPU lets it load them. */
Test(state, both_code_selectors_may_be_in_a_data_segment_register)
{
	ACCEPTED(seg[PVM_DS], 0x23);
	ACCEPTED(seg[PVM_DS], 0x33);
}

Test(state, descriptor_state_is_checked)
{
	state.tls[1] = DATA32 | PVM_DESC_CODE;
	refused("tls", PVM_EINVAL);
	state.tls[2] = DATA32 & ~PVM_DESC_DPL3;
	refused("tls", PVM_EINVAL);
	REFUSED(fs_base, 0x0000800000000000ull);
	REFUSED(gs_base, 0x8000000000000000ull);
	REFUSED(gdtr_limit, 0x10000);
	REFUSED(idtr_limit, 0x10000);
	REFUSED(ldtr, 0x10000);
	REFUSED(tr, 0x10000);
}

Test(state, S1_rip_is_one_that_a_cpu_can_go_on_at)
{
	REFUSED(rip, 0x800000000000);
	REFUSED(rip, 0xffff7fffffffffff);
	ACCEPTED(rip, 0xffff800000000000);
}

Test(state, S1_rip_of_32_bit_code_is_below_4_gib)
{
	state.halted = 0;
	state.user_mode = 1;
	state.seg[PVM_CS] = 0x23;
	state.seg[PVM_SS] = 0x2b;
	accepted();
	REFUSED(rip, 0x100000000);
	ACCEPTED(rip, 0xffffffff);
}

Test(state, S2_rflags_are_checked)
{
	REFUSED(rflags, 0x40a46 | PVM_RFLAGS_IOPL);
	REFUSED(rflags, 0x40a46 & ~PVM_RFLAGS_IF);
	REFUSED(rflags, 0x40a46 | 1ull << 32);
}

Test(state, control_registers_are_checked)
{
	REFUSED(cr0, 0);
	REFUSED(cr3, 1ull << 40);
	REFUSED(cr3, state.cr3 | PVM_CR3_NOFLUSH);
	REFUSED(cr4, state.cr4 | PVM_CR4_SMEP);
	REFUSED(cr4, state.cr4 & ~PVM_CR4_UMIP);
	REFUSED(cr4, state.cr4 & ~PVM_CR4_PKE);
	REFUSED(cr4, state.cr4 | PVM_CR4_LA57);
	REFUSED(cr8, 16);
	REFUSED(efer, 0x501);
	REFUSED(dr6, 0xffffffff);
	REFUSED(dr6, 1ull << 32 | 0xffff0ff0);
	REFUSED(dr7, 0);
	REFUSED(dr7, 1ull << 32 | 0x400);
	REFUSED(pkru, 1ull << 32);
}

Test(state, x86_msrs_are_checked)
{
	REFUSED(star, 0);
	REFUSED(lstar, 0xffffffff81000000ull);
	REFUSED(kernel_gs_base, 0x0000800000000000ull);
	REFUSED(pkrs, 1ull << 32);
	REFUSED(pat, 2);
	REFUSED(tsc_aux, 1ull << 32);
}

Test(state, pkrs_needs_the_hosts_protection_keys)
{
	fix.vm.config.host_pke = false;
	state.cr4 &= ~(PVM_CR4_PKE | PVM_CR4_PKS);
	refused("pkrs", PVM_EINVAL);
	state.cr4 &= ~(PVM_CR4_PKE | PVM_CR4_PKS);
	ACCEPTED(pkrs, 0);
}

/* spec: C-099 */
Test(state, a_migrated_range_must_be_within_the_widest_here)
{
	REFUSED(linear_address_range, 0);
	fix.vm.config.range.pml4_end = 399;
	refused("linear_address_range", PVM_EINVAL);
	fix.vm.config.range.pml4_end = 400;
	accepted();
}

Test(state, M7_entry_points_are_checked)
{
	REFUSED(event_entry, 0xffffffff81000000ull);
	REFUSED(event_entry, 0x0000800000000000ull - 512);
	REFUSED(retu_rip, 0x0000800000000000ull);
	REFUSED(rets_rip, ~0ull);
	/* Written before the range was narrowed: taken, delivery checks again. */
	ACCEPTED(lstar, (0x1fffe00ull | 260) * (1ull << 39));
}

Test(state, pvm_msrs_are_checked)
{
	REFUSED(supervisor_redzone, PVM_REDZONE_MAX + 1);
	REFUSED(switch_cr3, 1ull << 63);
}

Test(state, S8_the_pvcs_is_pinned_or_nothing_happens)
{
	REFUSED(vcpu_struct, 0x3001);
	REFUSED(vcpu_struct, 0x3fff);
	state.vcpu_struct = 1ull << 39;
	state.rip = 0x2222;
	refused("vcpu_struct", PVM_EINVAL);
	cr_assert_eq(vcpu->rip, 0x1000);

	ACCEPTED(vcpu_struct, 0x5000);
	cr_assert_eq((void *)vcpu->pvcs, fix.host.memory + 0x5000);
	cr_assert_eq(fix.host.pins, 1);
	ACCEPTED(vcpu_struct, 0);
	cr_assert_null(vcpu->pvcs);
	cr_assert_eq(fix.host.pins, 0);
}

/* The host's width: WRGSBASE and IRET of a 4-level guest go by it. */
Test(state, bases_may_use_the_hosts_whole_width)
{
	fix.vm.config.host_la57 = true;
	state.fs_base = state.gs_base = state.kernel_gs_base = 0x00ff000000000000ull;
	accepted();
}

/* KVM_SET_MSRS: one by one, in whatever order user space has them. */
Test(state, M7_entry_points_are_set_before_or_after_the_range)
{
	static const uint32_t entries[] = {
		PVM_MSR_LSTAR, MSR_PVM_EVENT_ENTRY, MSR_PVM_RETU_RIP, MSR_PVM_RETS_RIP,
	};
	const uint64_t outside = (0x1fffe00ull | 260) * (1ull << 39);
	struct pvm_linear_range narrow = fix.vm.config.range;
	uint64_t value, range;
	unsigned i;

	narrow.pml4_start = 400;
	range = pvm_linear_range_encode(&narrow);
	ok(pvm_msr_restore(vcpu, MSR_PVM_LINEAR_ADDRESS_RANGE, range));
	for (i = 0; i < sizeof(entries) / sizeof(entries[0]); i++) {
		cr_assert_eq(pvm_msr_write(vcpu, entries[i], outside), PVM_EINVAL, "the guest's own");
		ok(pvm_msr_restore(vcpu, entries[i], outside));
		ok(pvm_msr_read(vcpu, entries[i], &value));
		cr_assert_eq(value, outside);
		cr_assert_eq(pvm_msr_restore(vcpu, entries[i], 0xffffffff81000000ull), PVM_EINVAL);
	}
	ok(pvm_msr_read(vcpu, MSR_PVM_LINEAR_ADDRESS_RANGE, &value));
	cr_assert_eq(value, range, "it is still what was set");
}

Test(state, bases_are_set_before_or_after_the_paging_mode)
{
	const uint64_t wide = 0x00ff000000000000ull;

	fix.vm.config.host_la57 = true;
	cr_assert_eq(pvm_msr_write(vcpu, PVM_MSR_KERNEL_GS_BASE, wide), PVM_EINVAL);
	ok(pvm_msr_restore(vcpu, PVM_MSR_KERNEL_GS_BASE, wide));
	cr_assert_not(vcpu->cr4 & PVM_CR4_LA57);
}
