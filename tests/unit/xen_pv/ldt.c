/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* LDTs: what a CPU may have of one, when it is copied, and what names it. */
#include <string.h>

#include "guest.h"
#include "vcpu/ldt.h"
#include "vcpu/rules.h"

#define TABLE		(KERNEL + 0x50000)	/* 16 pages */
#define SEL(index)	((index) << 3 | 7)
#define CODE32		0x00cffb000000ffffull
#define CODE16		0x008ffb000000ffffull
#define DATA32		0x12cff3345678ffffull	/* at 0x12345678 */
#define ABSENT		0x00cf73000000ffffull
#define EXECUTE_ONLY	0x00cff9000000ffffull
#define FRAME		(OTHER_STACK - 0x100)

static struct pvm_vcpu *vcpu = &g.f.vcpu[0];

static void setup(void)
{
	xen_guest_init(2);
}

TestSuite(ldt, .init = setup, .fini = xen_guest_fini);

static uint64_t *table(void)
{
	return xen_at(TABLE);
}

static void request(uint64_t address, uint64_t entries)
{
	*(struct pvm_xen_mmuext_op *)xen_at(ARGUMENTS) =
		(struct pvm_xen_mmuext_op){ .cmd = PVM_XEN_SET_LDT, .arg1 = address, .arg2 = entries };
}

static int64_t set_ldt(uint64_t address, uint64_t entries)
{
	request(address, entries);
	return xen_call(PVM_XEN_MMUEXT_OP, ARGUMENTS, 1, 0, PVM_XEN_DOMID_SELF);
}

static uint32_t loaded(void)
{
	return vcpu->ldt ? vcpu->ldt->entries : 0;
}

/* What comes of IRET to @cs and @ss at @rip. */
static enum pvm_action iret(uint16_t cs, uint16_t ss, uint64_t rip)
{
	const uint64_t frame[9] = { 1, 2, 3, 0, rip, cs, 0, USER + 0x800, ss };

	memcpy(xen_at(FRAME), frame, sizeof(frame));
	vcpu->gpr[PVM_RSP] = FRAME;
	vcpu->gpr[PVM_RAX] = PVM_XEN_IRET;
	return xen_syscall(0);
}

/* ------------------------------------------------------------------------
 * Entries.
 */

/* spec: XC-080 */
Test(ldt, S6_nothing_but_code_and_data_of_dpl_3_is_taken)
{
	static const struct {
		const char *what;
		uint64_t desc;
	} hostile[] = {
		{ "a call gate to the host's code", 0x0000ec0000100000 },
		{ "a call gate of 32 bits, DPL 0", 0x00008c0000100000 },
		{ "an interrupt gate", 0x0000ee0000100000 },
		{ "a trap gate", 0x0000ef0000100000 },
		{ "a task gate", 0x0000e50000400000 },
		{ "a TSS", 0x0000e90000000067 },
		{ "a busy TSS", 0x0000eb0000000067 },
		{ "an LDT", 0x0000e2000000ffff },
		{ "data of DPL 0", 0x00cf93000000ffff },
		{ "data of DPL 2", 0x00cfd3000000ffff },
		{ "code of DPL 0", 0x00cf9b000000ffff },
		{ "conforming code of DPL 0", 0x00cf9f000000ffff },
		{ "conforming code of DPL 1", 0x00cfbf000000ffff },
		{ "64-bit code", 0x00affb000000ffff },
		{ "code of 64 and of 32 bits", 0x00effb000000ffff },
		{ "a 16-bit stack", 0x008ff3000000ffff },
		{ "a 16-bit stack that grows down", 0x008ff7000000ffff },
		{ "a 16-bit stack that is not there", 0x008f73000000ffff },
		{ "nothing", 0 },
	};
	size_t i;

	memset(table(), 0xff, 16 * PVM_PAGE_SIZE);
	for (i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++)
		table()[i] = hostile[i].desc;
	cr_assert_eq(set_ldt(TABLE, i), 0);
	for (i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++)
		cr_expect_eq(pvm_ldt_entry(vcpu, (uint16_t)SEL(i)), 0, "S6: %s", hostile[i].what);
}

/* spec: XC-080 */
Test(ldt, S6_what_is_taken_is_marked_as_accessed)
{
	static const uint64_t good[] = { CODE32, CODE16, DATA32, ABSENT, EXECUTE_ONLY,
					 0x00cff7000000ffff,	/* grows down */
					 0x008ff1000000ffff,	/* 16 bits, read-only */
					 0x00cfff000000ffff };	/* conforming */
	size_t i;

	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		table()[i] = good[i] & ~PVM_DESC_ACCESSED;
	table()[i] = DATA32 | PVM_DESC_L;
	cr_assert_eq(set_ldt(TABLE, i + 1), 0);
	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		cr_expect_eq(pvm_ldt_entry(vcpu, (uint16_t)SEL(i)), good[i] | PVM_DESC_ACCESSED, "%zu", i);
	cr_expect_eq(pvm_ldt_entry(vcpu, (uint16_t)SEL(i)), DATA32, "L is none of data's");
	cr_expect_eq(pvm_ldt_entry(vcpu, (uint16_t)SEL(i + 1)), 0, "after the end");
	cr_expect_eq(pvm_ldt_entry(vcpu, 0xffff), 0);
}

/* spec: XC-081 */
Test(ldt, M6_the_guests_own_writes_are_not_seen)
{
	table()[1] = DATA32;
	cr_assert_eq(set_ldt(TABLE, 2), 0);
	table()[1] = 0x0000ec0000100000;
	cr_assert_eq(xen_enter(0), PVM_ACT_RESUME);
	cr_expect_eq(pvm_ldt_entry(vcpu, SEL(1)), DATA32);
}

/* ------------------------------------------------------------------------
 * Loading.
 */

Test(ldt, the_longest_is_copied_and_a_shorter_one_ends_where_it_ends)
{
	uint64_t gen;

	table()[8191] = DATA32;
	table()[3] = CODE32;
	cr_assert_eq(set_ldt(TABLE, 8192), 0);
	cr_expect_eq(loaded(), 8192);
	cr_expect_eq(pvm_ldt_entry(vcpu, SEL(8191)), DATA32);
	gen = vcpu->state_gen;
	cr_assert_eq(set_ldt(TABLE, 4), 0);
	cr_expect_neq(vcpu->state_gen, gen, "the host is told");
	cr_expect_eq(pvm_ldt_entry(vcpu, SEL(3)), CODE32);
	cr_expect_eq(pvm_ldt_entry(vcpu, SEL(8191)), 0);
	gen = vcpu->state_gen;
	cr_assert_eq(set_ldt(TABLE + 8, 0), 0);
	cr_expect_eq(loaded(), 0);
	cr_expect_neq(vcpu->state_gen, gen);
	cr_expect_eq(pvm_ldt_entry(vcpu, SEL(3)), 0);
}

/* spec: XC-082 */
Test(ldt, what_cannot_be_loaded_is_refused)
{
	table()[0] = DATA32;
	cr_assert_eq(set_ldt(TABLE, 1), 0);
	cr_expect_eq(set_ldt(TABLE, 8193), PVM_XEN_EINVAL);
	cr_expect_eq(set_ldt(TABLE, ~0u), PVM_XEN_EINVAL);
	cr_expect_eq(set_ldt(TABLE + 8, 1), PVM_XEN_EINVAL);
	cr_expect_eq(loaded(), 1);
	cr_expect_eq(set_ldt(KERNEL + KERNEL_SIZE - PVM_PAGE_SIZE, 513), PVM_XEN_EINVAL, "half of it");
	cr_expect_eq(loaded(), 0);
	cr_expect_eq(set_ldt(0xffff878000000000, 1), PVM_XEN_EINVAL, "M7: the hypervisor's");
	cr_expect_eq(set_ldt(1ull << 62, 1), PVM_XEN_EINVAL);
	cr_expect_eq(loaded(), 0);
}

/* Linux writes a field of 32 bits, and leaves what was in the rest. */
Test(ldt, the_count_has_32_bits)
{
	table()[0] = DATA32;
	cr_assert_eq(set_ldt(TABLE, 1 | 0xffffc900ull << 32), 0);
	cr_expect_eq(loaded(), 1);
}

Test(ldt, M12_a_long_one_is_not_copied_with_interrupts_off)
{
	uint64_t rip = vcpu->rip;

	g.brief = true;
	cr_assert_eq(set_ldt(TABLE, 512), 0);
	cr_expect_eq(loaded(), 512);
	request(TABLE, 513);
	cr_assert_eq(xen_call_of(0, PVM_XEN_MMUEXT_OP, ARGUMENTS, 1, 0, PVM_XEN_DOMID_SELF), PVM_ACT_RETRY);
	g.brief = false;
	vcpu->rip = rip;
	cr_assert_eq(set_ldt(TABLE, 513), 0);
	cr_expect_eq(loaded(), 513);
}

Test(ldt, M11_no_memory_loses_nothing)
{
	int64_t left;

	table()[600] = DATA32;
	for (left = 0; left < 2; left++) {
		g.f.host.allocs_left = left;
		request(TABLE, 1024);
		xen_call_of(0, PVM_XEN_MMUEXT_OP, ARGUMENTS, 1, 0, PVM_XEN_DOMID_SELF);
		cr_expect_eq(loaded(), 0, "with %ld pages", (long)left);
	}
	g.f.host.allocs_left = -1;
	cr_assert_eq(set_ldt(TABLE, 1024), 0);
	cr_expect_eq(pvm_ldt_entry(vcpu, SEL(600)), DATA32);
}

/* The kernel's address, whatever mode a vCPU is in. */
/* spec: XC-081 */
Test(ldt, a_written_entry_is_seen_at_the_next_entry)
{
	uint64_t at = TABLE - KERNEL + 8;

	table()[1] = CODE32;
	cr_assert_eq(set_ldt(TABLE, 2), 0);
	cr_assert_eq(xen_call(PVM_XEN_UPDATE_DESCRIPTOR, at, DATA32 & ~PVM_DESC_ACCESSED, 0, 0), 0);
	cr_expect_eq(pvm_ldt_entry(vcpu, SEL(1)), DATA32);
	cr_assert_eq(xen_call(PVM_XEN_UPDATE_DESCRIPTOR, at, 0x0000ec0000100000, 0, 0), 0);
	cr_expect_eq(pvm_ldt_entry(vcpu, SEL(1)), 0, "S6");
	xen_go_user(false);
	table()[1] = CODE16;
	cr_assert_eq(xen_call_of(1, PVM_XEN_UPDATE_DESCRIPTOR, at, CODE16, 0, 0), PVM_ACT_HALT);
	cr_assert_eq(xen_enter(0), PVM_ACT_RESUME);
	cr_expect_eq(pvm_ldt_entry(vcpu, SEL(1)), CODE16, "another vCPU wrote it");
	cr_expect(vcpu->user_mode);
	cr_expect_eq(vcpu->cr3, g.user_table);
}

Test(ldt, memory_that_is_gone_is_no_ldt_any_more)
{
	table()[1] = DATA32;
	cr_assert_eq(set_ldt(TABLE, 2), 0);
	*fixture_entry(&g.f, g.kernel_table, 4, TABLE, 1) = 0;
	pvm_mmu_invlpg(vcpu, pvm_gva(TABLE));
	cr_assert_eq(xen_call(PVM_XEN_UPDATE_DESCRIPTOR, MEMORY / 4, 0, 0, 0), 0);
	cr_expect_eq(loaded(), 0);
	cr_assert_eq(xen_enter(0), PVM_ACT_RESUME);
}

Test(ldt, a_reset_vcpu_has_none)
{
	cr_assert_eq(set_ldt(TABLE, 2), 0);
	pvm_vcpu_reset(vcpu);
	cr_expect_eq(loaded(), 0);
}

/* ------------------------------------------------------------------------
 * Selectors.
 */

/* spec: XC-032 */
Test(ldt, S4_iret_to_an_ldts_code_and_stack)
{
	table()[0] = CODE32;
	table()[1] = DATA32;
	cr_assert_eq(set_ldt(TABLE, 2), 0);
	cr_assert_eq(iret(SEL(0), SEL(1), 0x1234), PVM_ACT_RESUME);
	cr_expect(vcpu->user_mode);
	cr_expect_eq(vcpu->rip, 0x1234);
	cr_expect_eq(pvm_vcpu_mode(vcpu), PVM_MODE_USER32);
	cr_expect_eq(pvm_vcpu_underlying_cs(vcpu), SEL(0));
	cr_expect_eq(pvm_vcpu_underlying_ss(vcpu), SEL(1));
	cr_assert_eq(xen_exit(0, PVM_EXIT_EXCEPTION, PVM_VEC_GP, SEL(5) & ~3, 0), PVM_ACT_RESUME);
	cr_expect_eq(vcpu->rip, TRAP(PVM_VEC_GP));
	cr_expect_eq(xen_word(vcpu->gpr[PVM_RSP] + 16), SEL(5) & ~3, "the error code");
	cr_expect_eq(xen_word(vcpu->gpr[PVM_RSP] + 32) & 0xffff, SEL(0));
	cr_expect_eq(xen_word(vcpu->gpr[PVM_RSP] + 56), SEL(1));
	cr_expect_eq(pvm_vcpu_underlying_cs(vcpu), USER_CS, "S4: the kernel's is 64-bit code");
	cr_expect_eq(pvm_vcpu_underlying_ss(vcpu), USER_DS);
}

Test(ldt, S4_64_bit_code_with_a_stack_of_its_own)
{
	uint64_t gen = vcpu->state_gen;

	cr_assert_eq(iret(USER_CS, SEL(1), USER), PVM_ACT_RESUME);
	cr_expect_eq(pvm_vcpu_underlying_cs(vcpu), USER_CS);
	cr_expect_eq(pvm_vcpu_underlying_ss(vcpu), SEL(1), "IRET says what is wrong with it");
	cr_expect_neq(vcpu->state_gen, gen);
}

/* spec: XC-033 */
Test(ldt, S1_S4_what_iret_refuses_is_the_failsafe_callbacks)
{
	static const struct {
		uint16_t cs, ss;
		uint64_t rip;
	} bad[] = {
		{ SEL(0), USER_DS, 1ull << 32 }, { SEL(0), SEL(1) & ~3, 0 }, { SEL(0), (SEL(1) & ~3) | 1, 0 },
		{ SEL(0), 0, 0 }, { SEL(0), 0x18, 0 }, { SEL(0), USER_CS, 0 }, { 0x7b, USER_DS, 0 },
	};
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		cr_assert_eq(iret(bad[i].cs, bad[i].ss, bad[i].rip), PVM_ACT_RESUME);
		cr_expect_eq(vcpu->rip, FAILSAFE, "%zu", i);
		cr_expect_not(vcpu->user_mode);
	}
}

/* spec: XC-079 */
Test(ldt, the_user_gs_selector_may_be_of_it)
{
	table()[0] = ABSENT;
	table()[1] = DATA32;
	table()[2] = CODE32;
	table()[3] = EXECUTE_ONLY;
	cr_assert_eq(set_ldt(TABLE, 4), 0);
	cr_assert_eq(xen_call(PVM_XEN_SET_SEGMENT_BASE, PVM_XEN_SEGBASE_GS_USER_SEL, SEL(1), 0, 0), 0);
	cr_expect_eq(vcpu->seg[PVM_GS], SEL(1));
	cr_expect_eq(vcpu->msr.kernel_gs_base, 0x12345678);
	cr_assert_eq(xen_call(PVM_XEN_SET_SEGMENT_BASE, PVM_XEN_SEGBASE_GS_USER_SEL, SEL(2), 0, 0), 0);
	cr_expect_eq(vcpu->seg[PVM_GS], SEL(2), "code that can be read");
	cr_assert_eq(xen_call(PVM_XEN_SET_SEGMENT_BASE, PVM_XEN_SEGBASE_GS_USER_SEL, SEL(0), 0, 0), 0);
	cr_expect_eq(vcpu->seg[PVM_GS], 0);
	cr_assert_eq(xen_call(PVM_XEN_SET_SEGMENT_BASE, PVM_XEN_SEGBASE_GS_USER_SEL, SEL(3), 0, 0), 0);
	cr_expect_eq(vcpu->seg[PVM_GS], 0);
	cr_assert_eq(xen_call(PVM_XEN_SET_SEGMENT_BASE, PVM_XEN_SEGBASE_GS_USER_SEL, SEL(4), 0, 0), 0);
	cr_expect_eq(vcpu->seg[PVM_GS], 0, "after the end");
	cr_expect_eq(vcpu->msr.kernel_gs_base, 0);
}

/* Linux looks at DS and ES after it has loaded the next program's LDT. */
Test(ldt, registers_keep_a_selector_that_is_gone)
{
	cr_assert_eq(set_ldt(TABLE, 4), 0);
	vcpu->seg[PVM_ES] = SEL(1);
	cr_assert_eq(set_ldt(0, 0), 0);
	cr_expect_eq(vcpu->seg[PVM_ES], SEL(1));
}

static void decode_is_not_asked(const struct pvm_vcpu *of, bool is64, const uint8_t *bytes, size_t length,
				struct pvm_insn *insn)
{
	(void)of, (void)is64, (void)bytes, (void)length, (void)insn;
	cr_assert_fail("code of an LDT is decoded");
}

Test(ldt, its_code_is_not_emulated)
{
	table()[0] = CODE16;
	g.f.host.ops.decode = decode_is_not_asked;
	cr_assert_eq(set_ldt(TABLE, 1), 0);
	cr_assert_eq(iret(SEL(0), USER_DS, 0x10), PVM_ACT_RESUME);
	cr_assert_eq(xen_exit(0, PVM_EXIT_EXCEPTION, PVM_VEC_UD, 0, 0), PVM_ACT_RESUME);
	cr_expect_eq(vcpu->rip, TRAP(PVM_VEC_UD));
}

/* INTO and INT 4 are one where the guest's gate is open; else INTO is looked for at the segment's base. */
/* spec: XC-026 */
Test(ldt, into_is_found_at_its_base)
{
	struct pvm_xen_trap_info *traps = xen_at(ARGUMENTS);

	table()[0] = CODE32 | (uint64_t)(USER & 0xffffff) << 16;
	cr_assert_eq(set_ldt(TABLE, 1), 0);
	traps[0] = (struct pvm_xen_trap_info){ .vector = PVM_VEC_OF, .address = TRAP(PVM_VEC_OF) };
	traps[1] = (struct pvm_xen_trap_info){ .address = 0 };
	cr_assert_eq(xen_call(PVM_XEN_SET_TRAP_TABLE, ARGUMENTS, 0, 0, 0), 0);
	g.f.host.memory[USER_GPA + 0x1f] = 0xce;
	cr_assert_eq(iret(SEL(0), USER_DS, 0x20), PVM_ACT_RESUME);
	cr_assert_eq(xen_exit(0, PVM_EXIT_SOFTWARE, PVM_VEC_OF, 0, 0), PVM_ACT_RESUME);
	cr_expect_eq(vcpu->rip, TRAP(PVM_VEC_GP), "its gate is the kernel's alone");
	cr_expect_eq(xen_word(vcpu->gpr[PVM_RSP] + 24), 0x1f);
	traps[0].flags = 3;
	cr_assert_eq(xen_call(PVM_XEN_SET_TRAP_TABLE, ARGUMENTS, 0, 0, 0), 0);
	cr_assert_eq(iret(SEL(0), USER_DS, 0x30), PVM_ACT_RESUME);
	cr_assert_eq(xen_exit(0, PVM_EXIT_SOFTWARE, PVM_VEC_OF, 0, 0), PVM_ACT_RESUME);
	cr_expect_eq(vcpu->rip, TRAP(PVM_VEC_OF), "INT 4");
	cr_expect_eq(xen_word(vcpu->gpr[PVM_RSP] + 16), 0x30);
}

/* ------------------------------------------------------------------------
 * Hosts without.
 */

TestSuite(no_ldt, .fini = xen_guest_fini);

/* spec: XC-082 */
Test(no_ldt, a_host_that_loads_none_answers_as_if)
{
	struct pvm_vm_config config = xen_guest_config(1);

	config.host_ldt = false;
	xen_guest_init_config(&config);
	table()[0] = CODE32;
	cr_expect_eq(set_ldt(TABLE, 1), 0);
	cr_expect_null(vcpu->ldt);
	cr_expect_not(pvm_selector_possible(&config, SEL(0)));
	cr_assert_eq(iret(SEL(0), USER_DS, 0), PVM_ACT_RESUME);
	cr_expect_eq(vcpu->rip, FAILSAFE);
	cr_assert_eq(iret(USER_CS, SEL(0), 0), PVM_ACT_RESUME);
	cr_expect_eq(vcpu->rip, FAILSAFE);
}

Test(no_ldt, is_for_guest_abis_that_have_none_S9)
{
	struct pvm_vm_config config = xen_guest_config(1);
	const char *why = NULL;

	xen_guest_init(1);
	config.abi = PVM_ABI_DUAL_CR3;
	config.range = (struct pvm_linear_range){ 272, 510, 0x1ff, 0x1ff };
	cr_expect_eq(pvm_vm_config_check(&config, &why), PVM_EINVAL);
	cr_assert_not_null(why);
	cr_expect_not_null(strstr(why, "host_ldt"), "%s", why);
}
