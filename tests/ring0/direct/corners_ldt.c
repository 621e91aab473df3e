/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Guests' LDTs on a CPU: S6, what is hostile in one names nothing, and the tables are out of CPL 3's reach;
 * S4, code and stacks of one, and none else; registers keep their selectors; the host has its own LDTR again.
 */
#include <pvm/mmu.h>

#include "minivisor.h"
#include "corners.h"
#include "cpu.h"
#include "layout.h"
#include "memory.h"
#include "print.h"

#include "vcpu/ldt.h"

#define ENTRIES		600		/* more than a page */
#define SEL(index)	((uint16_t)((index) << 3 | 7))
#define DATA		0x00cff3000000ffffull
#define CODE		0x00cffb000000ffffull
#define ABSENT		0x00cf73000000ffffull
#define BASE(base)	((uint64_t)(base) << 16)	/* below 16 MiB */
#define FIRST_HOSTILE	8

enum { EMPTY, GOOD_DATA, BASED_DATA, FLAT_CODE, BASED_CODE, ABSENT_DATA, FAR = ENTRIES - 1 };

static const struct {
	const char *what;
	uint64_t desc;
} hostile[] = {
	{ "a call gate", 0x0000ec0000000000ull | KERNEL_CS << 16 },
	{ "a trap gate", 0x0000ef0000000000ull | KERNEL_CS << 16 },
	{ "a task gate", 0x0000e50000000000ull | SWITCHER_TSS_SEL << 16 },
	{ "a TSS", 0x0000e90000000067ull },
	{ "an LDT", 0x0000e2000000ffffull },
	{ "code of DPL 0", 0x00cf9b000000ffffull },
	{ "conforming code of DPL 0", 0x00cf9f000000ffffull },
	{ "64-bit code", 0x00affb000000ffffull },
	{ "data of DPL 0", 0x00cf93000000ffffull },
	{ "a 16-bit stack", 0x008ff3000000ffffull },
	{ "an entry beyond 4 GiB", 0xffffffffffffffffull & ~(1ull << 44) },
};

static uint16_t sldt(void)
{
	uint16_t selector;

	__asm__ volatile("sldt %0" : "=r"(selector));
	return selector;
}

static void put(unsigned index, uint64_t desc)
{
	uint64_t *page = test.vcpu.ldt->page[index / PVM_LDT_PER_PAGE].va;

	page[index % PVM_LDT_PER_PAGE] = desc;
}

static void load(uint32_t entries)
{
	unsigned i;

	if (pvm_ldt_open(&test.vcpu, ENTRIES) != PVM_OK)
		fail("no memory for an LDT");
	put(EMPTY, 0);
	put(GOOD_DATA, DATA);
	put(BASED_DATA, DATA | BASE(USER_CODE));
	put(FLAT_CODE, CODE);
	put(BASED_CODE, CODE | BASE(USER_CODE));
	put(ABSENT_DATA, ABSENT);
	put(FAR, DATA | BASE(USER_CODE + 4));
	for (i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++)
		put(FIRST_HOSTILE + i, hostile[i].desc);
	pvm_ldt_rectify_page(&test.vcpu, 0);
	pvm_ldt_rectify_page(&test.vcpu, 1);
	pvm_ldt_load(&test.vcpu, entries);
}

/* User mode at the bytes, of which the first half is for the first run. */
static void start(const void *bytes, size_t size)
{
	write_code(USER_CODE, bytes, size);
	start_user(USER_CS, USER_CODE);
}

static void run(struct pvm_switcher_exit *exit)
{
	do {
		test_vm_run(exit);
	} while (exit->guest.kind == PVM_EXIT_EXCEPTION && exit->guest.vector == PVM_VEC_PF &&
		 pvm_mmu_fault(&test.vcpu, exit->guest.gva, exit->guest.error_code, PVM_MAY_SLEEP).kind ==
		 PVM_FAULT_FIXED);
	if (sldt())
		fail("S6: LDTR is %x after a run", sldt());
}

static void expect(const char *what, uint8_t vector, uint32_t error_code)
{
	struct pvm_switcher_exit exit;

	run(&exit);
	if (exit.guest.kind != PVM_EXIT_EXCEPTION || exit.guest.vector != vector ||
	    (vector != PVM_VEC_UD && exit.guest.error_code != error_code))
		fail("S6: %s: exit %d, vector %u, error code %x at rip %lx", what, exit.guest.kind,
		     exit.guest.vector, exit.guest.error_code, test.vcpu.rip);
}

static void expect_segment(int seg, uint16_t selector)
{
	if (test.vcpu.seg[seg] != selector)
		fail("segment register %d holds %x, not %x", seg, test.vcpu.seg[seg], selector);
}

/* Loaded by the guest; kept over an exit; kept when the LDT is gone, but not to be loaded again. */
static void registers_keep_their_selectors(void)
{
	static const uint8_t code[] = {
		0x8e, 0xd8, 0x8e, 0xc0, 0x8e, 0xe3, 0x8e, 0xe9,		/* mov to DS, ES, FS, GS */
		0x64, 0x8b, 0x14, 0x25, 0, 0, 0, 0, 0x0f, 0x0b,		/* mov %fs:0, %edx; UD2 */
		0x8c, 0xd8, 0x8c, 0xe1, 0x64, 0x8b, 0x14, 0x25, 0, 0, 0, 0,	/* DS, FS, .. */
		0x0f, 0x0b, 0x8e, 0xe3,					/* UD2; mov %ebx, %fs */
	};
	struct pvm_vcpu *vcpu = &test.vcpu;
	unsigned i;

	load(ENTRIES);
	start(code, sizeof(code));
	vcpu->gpr[PVM_RAX] = SEL(GOOD_DATA);
	vcpu->gpr[PVM_RBX] = SEL(BASED_DATA);
	vcpu->gpr[PVM_RCX] = SEL(FAR);
	expect("selectors of an LDT", PVM_VEC_UD, 0);
	for (i = 0; i < 3; i++) {
		expect_segment(PVM_DS, SEL(GOOD_DATA));
		expect_segment(PVM_ES, SEL(GOOD_DATA));
		expect_segment(PVM_FS, SEL(BASED_DATA));
		expect_segment(PVM_GS, SEL(FAR));
		if (vcpu->fs_base != USER_CODE || vcpu->gs_base != USER_CODE + 4)
			fail("bases %lx, %lx", vcpu->fs_base, vcpu->gs_base);
		if ((uint32_t)vcpu->gpr[PVM_RDX] != 0xc08ed88e)
			fail("at FS is %lx", vcpu->gpr[PVM_RDX]);
		if (i == 2)
			break;
		if (i == 1)
			pvm_ldt_load(vcpu, 0);
		vcpu->rip = USER_CODE + 18;
		vcpu->gpr[PVM_RDX] = 0;
		expect("the same again", PVM_VEC_UD, 0);
		if ((uint32_t)vcpu->gpr[PVM_RAX] != SEL(GOOD_DATA) ||
		    (uint32_t)vcpu->gpr[PVM_RCX] != SEL(BASED_DATA))
			fail("the guest reads %lx, %lx", vcpu->gpr[PVM_RAX], vcpu->gpr[PVM_RCX]);
	}
	vcpu->rip = USER_CODE + 32;
	expect("to load what is gone", PVM_VEC_GP, SEL(BASED_DATA) & ~3u);
}

/* DS has a selector that is gone; then the guest loads another one, on another CPU: special is what that has
 * left of it. Here it is not the former one again. */
static void what_was_put_aside_is_for_one_entry(void)
{
	static const uint8_t code[] = { 0x0f, 0x0b, 0x8c, 0xd8, 0x0f, 0x0b };	/* UD2; mov %ds, %eax; UD2 */
	struct pvm_vcpu *vcpu = &test.vcpu;

	load(ENTRIES);
	pvm_ldt_load(vcpu, 0);
	start(code, sizeof(code));
	vcpu->seg[PVM_DS] = SEL(GOOD_DATA);
	expect("a selector that is gone", PVM_VEC_UD, 0);
	expect_segment(PVM_DS, SEL(GOOD_DATA));
	vcpu->seg[PVM_DS] = 0;
	test.svcpu.special = 0;
	vcpu->rip = USER_CODE + 2;
	expect("a CPU that had another", PVM_VEC_UD, 0);
	if ((uint16_t)vcpu->gpr[PVM_RAX])
		fail("DS is %lx again", vcpu->gpr[PVM_RAX]);
	expect_segment(PVM_DS, 0);
}

/* 32-bit code at a base, on a stack of the LDT; interrupted, and left by INT3. */
static void code_and_stacks_of_it_run(void)
{
	static const uint8_t code[] = { 0x8c, 0xc8, 0x8c, 0xd2, 0x58, 0x0f, 0x0b };	/* CS, SS; pop; UD2 */
	static const uint8_t code64[] = { 0x8c, 0xd2, 0x0f, 0x0b };
	static const uint8_t system_call[] = { 0x0f, 0x05 };
	struct pvm_switcher_exit exit;
	struct pvm_vcpu *vcpu = &test.vcpu;
	unsigned i;

	load(ENTRIES);
	start(code, sizeof(code));
	for (i = 0; i < 2; i++) {
		vcpu->seg[PVM_CS] = i ? SEL(FLAT_CODE) : SEL(BASED_CODE);
		vcpu->seg[PVM_SS] = SEL(GOOD_DATA);
		vcpu->rip = i ? USER_CODE : 0;
		vcpu->gpr[PVM_RSP] = STACK_GPA;
		vcpu->state_gen++;
		expect("code of an LDT", PVM_VEC_UD, 0);
		if (vcpu->rip != (i ? USER_CODE : 0) + 5 || (uint32_t)vcpu->gpr[PVM_RDX] != SEL(GOOD_DATA) ||
		    vcpu->gpr[PVM_RSP] != STACK_GPA + 4)
			fail("S4: at %lx with SS %lx, RSP %lx", vcpu->rip, vcpu->gpr[PVM_RDX], vcpu->gpr[PVM_RSP]);
		expect_segment(PVM_CS, i ? SEL(FLAT_CODE) : SEL(BASED_CODE));
		expect_segment(PVM_SS, SEL(GOOD_DATA));
	}
	start(code64, sizeof(code64));
	vcpu->seg[PVM_SS] = SEL(GOOD_DATA);
	vcpu->gpr[PVM_RCX] = vcpu->rip;		/* as SYSRET would take it */
	vcpu->gpr[PVM_R11] = vcpu->rflags;
	expect("64-bit code on a stack of an LDT", PVM_VEC_UD, 0);
	if ((uint32_t)vcpu->gpr[PVM_RDX] != SEL(GOOD_DATA))
		fail("S4: SYSRET was taken: SS is %lx", vcpu->gpr[PVM_RDX]);
	start(system_call, sizeof(system_call));
	vcpu->seg[PVM_SS] = SEL(GOOD_DATA);
	test.svcpu.inhibit = PVM_INHIBIT_HOST;
	run(&exit);
	test.svcpu.inhibit = 0;
	if (exit.guest.kind != PVM_EXIT_SYSCALL)
		fail("SYSCALL on a stack of an LDT: exit %d", exit.guest.kind);
	expect_segment(PVM_SS, USER_DS);
}

/* A stack of the TLS, which a program loads itself, where there is no LDT. */
static void a_stack_of_the_tls_stays(void)
{
	static const uint8_t code[] = { 0x8e, 0xd0, 0x0f, 0x0b, 0x8c, 0xd2, 0x0f, 0x0b };
	static const uint64_t tls[3] = { DATA }, none[3];
	const uint16_t selector = TLS_INDEX << 3 | 3;
	struct pvm_vcpu *vcpu = &test.vcpu;

	pvm_ldt_load(vcpu, 0);
	pvm_load_tls(vcpu, tls);
	start(code, sizeof(code));
	vcpu->gpr[PVM_RAX] = selector;
	expect("a stack of the TLS", PVM_VEC_UD, 0);
	expect_segment(PVM_SS, selector);
	vcpu->rip = USER_CODE + 4;
	expect("the same again", PVM_VEC_UD, 0);
	if ((uint32_t)vcpu->gpr[PVM_RDX] != selector)
		fail("a program's SS is %lx after an exit", vcpu->gpr[PVM_RDX]);
	pvm_load_tls(vcpu, none);
}

/* Each by MOV, by a far jump, and by IRET of the switcher's. */
static void nothing_hostile_is_loaded(void)
{
	static const uint8_t to_ss[] = { 0x8e, 0xd0, 0x0f, 0x0b };		/* mov %eax, %ss; UD2 */
	static const uint8_t to_ds[] = { 0x8e, 0xd8, 0x0f, 0x0b };
	/* ljmp *0(%rip), and the 32-bit address. QEMU's far return reads the stack as CPL 0 would. */
	uint8_t far_jump[] = { 0xff, 0x2d, 0, 0, 0, 0, USER_CODE & 0xff, USER_CODE >> 8, 0, 0, 0, 0 };
	struct pvm_vcpu *vcpu = &test.vcpu;
	unsigned i;

	load(ENTRIES);
	for (i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++) {
		uint16_t selector = SEL(FIRST_HOSTILE + i);

		start(to_ss, sizeof(to_ss));
		vcpu->gpr[PVM_RAX] = selector;
		expect(hostile[i].what, PVM_VEC_GP, selector & ~3u);
		start(to_ds, sizeof(to_ds));
		vcpu->gpr[PVM_RAX] = selector;
		expect(hostile[i].what, PVM_VEC_GP, selector & ~3u);
		far_jump[10] = (uint8_t)selector;
		far_jump[11] = (uint8_t)(selector >> 8);
		start(far_jump, sizeof(far_jump));
		expect(hostile[i].what, PVM_VEC_GP, selector & ~3u);
		start_user(selector, USER_CODE);
		expect(hostile[i].what, PVM_VEC_GP, selector & ~3u);
		if (vcpu->rip != USER_CODE || !vcpu->user_mode)
			fail("S4: %s: at %lx", hostile[i].what, vcpu->rip);
		start_user(USER_CS, USER_CODE);
		vcpu->seg[PVM_SS] = selector;
		expect(hostile[i].what, PVM_VEC_GP, selector & ~3u);
	}
	start(to_ds, sizeof(to_ds));
	vcpu->gpr[PVM_RAX] = SEL(ABSENT_DATA);
	expect("what is not there", PVM_VEC_NP, SEL(ABSENT_DATA) & ~3u);
	start(to_ss, sizeof(to_ss));
	vcpu->gpr[PVM_RAX] = SEL(ABSENT_DATA);
	expect("a stack that is not there", PVM_VEC_SS, SEL(ABSENT_DATA) & ~3u);
	start(to_ds, sizeof(to_ds));
	vcpu->gpr[PVM_RAX] = SEL(ENTRIES);
	expect("after the end", PVM_VEC_GP, SEL(ENTRIES) & ~3u);
}

/* M1: CPL 3 neither reads nor writes the tables. */
static void tables_are_out_of_reach(void)
{
	static const uint8_t code[2][4] = { { 0x8b, 0x00, 0x0f, 0x0b }, { 0x89, 0x00, 0x0f, 0x0b } };
	uint64_t va = image_address(LDTS_OFFSET);
	struct pvm_switcher_exit exit;
	unsigned i;

	load(ENTRIES);
	for (i = 0; i < 4; i++) {
		start(code[i % 2], sizeof(code[0]));
		test.vcpu.gpr[PVM_RAX] = va + i / 2 * 0x10000;
		run(&exit);
		if (exit.guest.vector != PVM_VEC_PF || exit.guest.gva.v != test.vcpu.gpr[PVM_RAX] ||
		    !(exit.guest.error_code & PVM_PF_P))
			fail("M1: vector %u, error code %x", exit.guest.vector, exit.guest.error_code);
	}
}

/* An LDT of the host's, with a selector of it in ES: none while it is not to be seen, whole after. */
static void the_host_has_its_own_again(void)
{
	static uint64_t table[2] = { 0, DATA };
	static const uint8_t code[] = { 0x0f, 0x0b };
	uint64_t *entry = &this_cpu()->gdt[TLS_INDEX], saved[2] = { entry[0], entry[1] };
	uint64_t base = (uint64_t)table;
	struct pvm_switcher_exit exit;
	uint16_t es;

	pvm_switcher_unload(test.cpu);
	entry[0] = (sizeof(table) - 1) | (base & 0xffffff) << 16 | 0x82ull << 40 | (base >> 24 & 0xff) << 56;
	entry[1] = base >> 32;
	__asm__ volatile("lldt %w0" : : "r"(TLS_INDEX << 3));
	__asm__ volatile("mov %k0, %%es" : : "r"((uint32_t)SEL(1)));
	load(ENTRIES);
	start(code, sizeof(code));
	test.vcpu.seg[PVM_ES] = SEL(GOOD_DATA);
	pvm_switcher_load(test.cpu);
	run(&exit);
	expect_segment(PVM_ES, SEL(GOOD_DATA));
	pvm_switcher_unload(test.cpu);
	__asm__ volatile("mov %%es, %0" : "=r"(es));
	if (sldt() != TLS_INDEX << 3 || es != SEL(1))
		fail("S6: the host's LDTR is %x, its ES %x", sldt(), es);
	__asm__ volatile("mov %k0, %%es; lldt %w0" : : "r"(0));
	entry[0] = saved[0];
	entry[1] = saved[1];
}

void ldts_are_the_guests(void)
{
	bool serve = test.svcpu.serve;

	test.svcpu.serve = false;	/* every exception is seen */
	test.vm.config.host_ldt = true;
	if (pvm_switcher_vm_ldts(&test.svm, 1) != PVM_OK)
		fail("no memory for LDTs");
	registers_keep_their_selectors();
	what_was_put_aside_is_for_one_entry();
	code_and_stacks_of_it_run();
	a_stack_of_the_tls_stays();
	nothing_hostile_is_loaded();
	tables_are_out_of_reach();
	the_host_has_its_own_again();
	start_user(USER_CS, USER_CODE);
	pvm_ldt_load(&test.vcpu, 0);
	test.vm.config.host_ldt = false;
	test.svcpu.special = 0;
	test.svcpu.serve = serve;
	print("LDTs are the guest's, and the host's LDTR its own\n");
}
