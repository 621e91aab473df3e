/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Corners of pvm_switcher_run(): states that one run leaves and another must not find.
 *
 * S1: the supervisor is entered as 64-bit code whatever the user's code segment was, and at no
 * address that is not one. S5: a host with selectors of its own, and with a GDT that is read-only;
 * CR4 goes with the guest; LSTAR is that of the vCPU's guest ABI. S7: no tag outlives a root of
 * its VM. S12: a #DF loses the vCPU and nothing of the host. S8 is corners_window.c's, and what
 * comes out corners_exits.c's. Prints to COM2.
 */
#include <pvm/events.h>
#include <pvm/hypercall.h>
#include <pvm/exit.h>
#include <pvm/mmu.h>

#include "minivisor.h"
#include "corners.h"
#include "cpu.h"
#include "memory.h"
#include "print.h"
#include "test_vm.h"
#include "trap.h"

#include "abi/abi.h"
#include "abi/switches.h"

#define USER32_CODE	0x1800
#define HOST_DATA	0x00cff3000000ffffull	/* a flat data segment, DPL 3 */
#define HOST_ONLY_SEL	(TLS_INDEX << 3 | 3)
#define HOST_SELS	4			/* DS, ES, FS, GS: all different */
#define GATE_SIZE	16
#define GATE_TYPE	5			/* the byte of a gate that has its type and its DPL */
#define READ_ONLY_GDT	0x70000000		/* image_address() of a second mapping */

struct __attribute__((packed)) dtr {
	uint16_t limit;
	uint64_t base;
};

void write_code(uint64_t at, const void *bytes, size_t size)
{
	memcpy(test.memory + at, bytes, size);
}

void start_user(uint16_t cs, uint64_t rip)
{
	struct pvm_vcpu *vcpu = &test.vcpu;

	if (!vcpu->user_mode) {
		uint64_t cr3 = vcpu->cr3;

		vcpu->cr3 = vcpu->msr.switch_cr3;
		vcpu->msr.switch_cr3 = cr3;
		vcpu->user_mode = true;
	}
	vcpu->seg[PVM_CS] = cs;
	vcpu->seg[PVM_SS] = USER_DS;
	vcpu->seg[PVM_DS] = vcpu->seg[PVM_ES] = vcpu->seg[PVM_FS] = vcpu->seg[PVM_GS] = 0;
	vcpu->rip = rip;
	vcpu->rflags = PVM_RFLAGS_IF | PVM_RFLAGS_FIXED;
	vcpu->gpr[PVM_RSP] = STACK_GPA + PVM_PAGE_SIZE;
	vcpu->gpr[PVM_RCX] = 0;
	vcpu->msr.lstar = SUPERVISOR_CODE;
	vcpu->msr.supervisor_rsp = STACK_GPA + PVM_PAGE_SIZE;
	vcpu->state_gen++;
}

void run_once(struct pvm_switcher_exit *exit)
{
	pvm_hpa_t root;

	pvm_switcher_clear_request(&test.svcpu);
	if (pvm_mmu_load(&test.vcpu, &root, PVM_MAY_SLEEP) != PVM_OK)
		fail("no root");
	pvm_switcher_run(test.cpu, &test.svcpu, root, exit);
}

uint8_t *gate_type(uint8_t vector)
{
	uint8_t *idt = (uint8_t *)test.cpu + PVM_PAGE_SIZE;	/* pvm_switcher_cpu::idt */

	return idt + vector * GATE_SIZE + GATE_TYPE;
}

void run_to_ud2(const char *name)
{
	struct pvm_switcher_exit exit;

	for (;;) {
		test_vm_run(&exit);
		if (exit.guest.kind == PVM_EXIT_SYSCALL)
			pvm_handle_syscall(&test.vcpu);
		else if (exit.guest.kind == PVM_EXIT_EXCEPTION && exit.guest.vector == PVM_VEC_PF)
			pvm_handle_page_fault(&test.vcpu, exit.guest.gva, exit.guest.error_code,
					      PVM_MAY_SLEEP);
		else
			break;
	}
	if (exit.guest.kind != PVM_EXIT_EXCEPTION || exit.guest.vector != PVM_VEC_UD)
		fail("%s: exit %d, vector %u at rip %lx", name, exit.guest.kind, exit.guest.vector, test.vcpu.rip);
}

void run_to_syscall(struct pvm_switcher_exit *exit, uint64_t lstar)
{
	test.vcpu.msr.lstar = lstar;
	test.vcpu.state_gen++;
	for (;;) {
		test_vm_run(exit);
		if (exit->guest.kind != PVM_EXIT_EXCEPTION || exit->guest.vector != PVM_VEC_PF)
			return;
		if (pvm_handle_page_fault(&test.vcpu, exit->guest.gva, exit->guest.error_code,
					  PVM_MAY_SLEEP) != PVM_ACT_RESUME)
			return;
	}
}

/* 32-bit user code jumps to 64-bit code, whose SYSCALL is switched directly; the supervisor's
 * hypercall is served. In 32-bit code 48 FF C3 would change RAX. */
static void supervisor_is_64_bit(void)
{
	static const uint8_t user32[] = { 0xea, USER_CODE & 0xff, USER_CODE >> 8, 0, 0, USER_CS, 0 };
	static const uint8_t user[] = { 0x0f, 0x05 };
	uint8_t supervisor[] = { 0xb8, 0, 0, 0, 0, 0x0f, 0x05, 0x48, 0xff, 0xc3, 0x0f, 0x0b };
	uint32_t nr = PVM_HC_TLB_FLUSH_CURRENT;
	unsigned i;

	memcpy(supervisor + 1, &nr, sizeof(nr));
	write_code(USER32_CODE, user32, sizeof(user32));
	write_code(USER_CODE, user, sizeof(user));
	write_code(SUPERVISOR_CODE, supervisor, sizeof(supervisor));
	for (i = 0; i < 6; i++) {
		start_user(i & 1 ? USER32_CS : USER_CS, i & 1 ? USER32_CODE : USER_CODE);
		run_to_ud2("supervisor");
		if (test.vcpu.gpr[PVM_RAX] || test.vcpu.user_mode)
			fail("S1: the supervisor ran as 32-bit code: RAX %lx", test.vcpu.gpr[PVM_RAX]);
	}
	print("the supervisor is 64-bit code\n");
}

/* 64-bit user code jumps to 32-bit code, whose SYSCALL is an exit of its own (AMD) or
 * #UD (Intel): at the instruction, and of 32-bit code, wherever the vCPU was entered. */
static void syscall_of_32_bit_code_is_known(void)
{
	/* A far jump through the six bytes that follow it. */
	static const uint8_t user[] = { 0xff, 0x2d, 0, 0, 0, 0,
					USER32_CODE & 0xff, USER32_CODE >> 8, 0, 0, USER32_CS, 0 };
	static const uint8_t user32[] = { 0x0f, 0x05 };
	struct pvm_switcher_exit exit = { .guest = { .insn = { .op = PVM_INSN_HLT } } };

	write_code(USER32_CODE, user32, sizeof(user32));
	write_code(USER_CODE, user, sizeof(user));
	start_user(USER_CS, USER_CODE);
	run_to_syscall(&exit, SUPERVISOR_CODE);
	if (exit.guest.kind == PVM_EXIT_SYSCALL32 && exit.guest.insn.op != PVM_INSN_UNKNOWN)
		fail("SYSCALL of 32-bit code: instruction %d, of an earlier exit", exit.guest.insn.op);
	if (exit.guest.kind != PVM_EXIT_SYSCALL32 &&
	    (exit.guest.kind != PVM_EXIT_EXCEPTION || exit.guest.vector != PVM_VEC_UD))
		fail("SYSCALL of 32-bit code: exit %d, vector %u", exit.guest.kind, exit.guest.vector);
	if (test.vcpu.seg[PVM_CS] != USER32_CS || test.vcpu.rip != USER32_CODE)
		fail("S4: SYSCALL of 32-bit code: CS %x, RIP %lx", test.vcpu.seg[PVM_CS], test.vcpu.rip);
	print("SYSCALL of 32-bit code is known\n");
}

static void host_gdt_is_read_only(void)
{
	struct dtr gdtr, mine;
	uint64_t va = image_address(READ_ONLY_GDT), pa;

	pvm_switcher_unload(test.cpu);
	__asm__ volatile("sgdt %0" : "=m"(mine));
	gdtr = mine;
	pa = virt_to_phys((void *)mine.base);
	memory_map(va, pa & ~(PVM_PAGE_SIZE - 1), PVM_PTE_NX);
	memory_map(va + PVM_PAGE_SIZE, (pa & ~(PVM_PAGE_SIZE - 1)) + PVM_PAGE_SIZE, PVM_PTE_NX);
	test_writable_gdt = (uint64_t *)mine.base;
	gdtr.base = va + (pa & (PVM_PAGE_SIZE - 1));
	__asm__ volatile("lgdt %0" : : "m"(gdtr));
	pvm_switcher_load(test.cpu);
	pvm_switcher_unload(test.cpu);
	__asm__ volatile("lgdt %0" : : "m"(mine));
	test_writable_gdt = NULL;
	print("a GDT that is read-only is given back\n");
}

/* DS, ES, FS, GS. The bases of FS and GS stay. */
static void read_selectors(uint16_t sel[HOST_SELS])
{
	__asm__ volatile("mov %%ds, %0; mov %%es, %1; mov %%fs, %2; mov %%gs, %3"
			 : "=r"(sel[0]), "=r"(sel[1]), "=r"(sel[2]), "=r"(sel[3]));
}

static void write_selectors(const uint16_t sel[HOST_SELS])
{
	uint64_t fs_base, gs_base;

	__asm__ volatile("rdfsbase %0; rdgsbase %1" : "=r"(fs_base), "=r"(gs_base));
	__asm__ volatile("mov %0, %%ds; mov %1, %%es; mov %2, %%fs; mov %3, %%gs\n\t"
			 "wrfsbase %4; wrgsbase %5"
			 : : "r"((uint32_t)sel[0]), "r"((uint32_t)sel[1]), "r"((uint32_t)sel[2]),
			   "r"((uint32_t)sel[3]), "r"(fs_base), "r"(gs_base) : "memory");
}

/* The host has selectors that are in no table of the switcher's, the guest changes them. */
static void host_has_its_own_selectors(void)
{
	static const uint8_t user[] = { 0xb8, USER_DS, 0, 0, 0, 0x8e, 0xd8, 0x8e, 0xc0, 0x8e, 0xe0,
					0x8e, 0xe8, 0x0f, 0x0b };
	static const uint16_t own[HOST_SELS] = { HOST_ONLY_SEL, HOST_ONLY_SEL + 8, HOST_ONLY_SEL + 16,
						 HOST_ONLY_SEL - 3 };
	uint16_t before[HOST_SELS], sel[HOST_SELS];
	uint64_t fs_base, gs_base, base[2];
	unsigned i;

	pvm_switcher_unload(test.cpu);
	for (i = 0; i < 3; i++)
		this_cpu()->gdt[TLS_INDEX + i] = HOST_DATA;
	read_selectors(before);
	__asm__ volatile("wrfsbase %0" : : "r"(0x123456789000ul));
	write_selectors(own);
	__asm__ volatile("rdfsbase %0; rdgsbase %1" : "=r"(fs_base), "=r"(gs_base));
	write_code(USER_CODE, user, sizeof(user));
	start_user(USER_CS, USER_CODE);
	run_to_ud2("host's own selectors");
	pvm_switcher_unload(test.cpu);
	read_selectors(sel);
	__asm__ volatile("rdfsbase %0; rdgsbase %1" : "=r"(base[0]), "=r"(base[1]));
	for (i = 0; i < HOST_SELS; i++)
		if (sel[i] != own[i])
			fail("S5: selector %u is %x instead of %x", i, sel[i], own[i]);
	if (base[0] != fs_base || base[1] != gs_base)
		fail("S5: FS base %lx, GS base %lx instead of %lx, %lx", base[0], base[1], fs_base, gs_base);
	write_selectors(before);
	print("the host's own selectors are given back\n");
}

/* S5: each by itself: none of them is in a register while the switcher's own tables are. */
static void no_selector_of_the_hosts_stays(void)
{
	uint16_t before[HOST_SELS], own[HOST_SELS], sel[HOST_SELS];
	unsigned i, k;

	pvm_switcher_unload(test.cpu);
	read_selectors(before);
	for (i = 0; i < HOST_SELS; i++) {
		memcpy(own, before, sizeof(own));
		own[i] = HOST_ONLY_SEL;
		write_selectors(own);
		pvm_switcher_load(test.cpu);
		read_selectors(sel);
		for (k = 0; k < HOST_SELS; k++)
			if (sel[k] != (k == i ? 0 : before[k]))
				fail("S5: selector %u of the host: loaded, %u is %x", i, k, sel[k]);
		pvm_switcher_unload(test.cpu);
		read_selectors(sel);
		if (memcmp(sel, own, sizeof(sel)))
			fail("S5: selector %u of the host is not given back", i);
	}
	write_selectors(before);
	print("no selector of the host's own stays while the guest's tables are loaded\n");
}

/* User SYSCALL with an entry that is no legal address: the engine's to judge, never SYSRET's. One
 * in the upper half is switched to directly, like any other. */
static void entry_is_an_address(void)
{
	static const uint64_t bad[] = { 1ull << 47, 1ull << 62, 0xffff7ffffffff000ull,
					UPPER_BASE - (1ull << 47) };
	static const uint8_t user[] = { 0x0f, 0x05 }, supervisor[] = { 0x0f, 0x0b };
	struct pvm_switcher_stats before, after;
	struct pvm_switcher_exit exit;
	unsigned i;

	write_code(USER_CODE, user, sizeof(user));
	write_code(SUPERVISOR_CODE, supervisor, sizeof(supervisor));
	start_user(USER_CS, USER_CODE);
	pvm_switcher_get_stats(test.cpu, &before);
	run_to_syscall(&exit, UPPER_BASE + SUPERVISOR_CODE);
	pvm_switcher_get_stats(test.cpu, &after);
	if (exit.guest.kind != PVM_EXIT_EXCEPTION || test.vcpu.rip != UPPER_BASE + SUPERVISOR_CODE ||
	    after.user_syscalls != before.user_syscalls + 1)
		fail("entry in the upper half: exit %d at rip %lx, %lu switches", exit.guest.kind,
		     test.vcpu.rip, after.user_syscalls - before.user_syscalls);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		start_user(USER_CS, USER_CODE);
		run_to_syscall(&exit, bad[i]);
		if (exit.guest.kind != PVM_EXIT_SYSCALL || !test.vcpu.user_mode ||
		    test.vcpu.rip != USER_CODE + PVM_SYSCALL_LENGTH)
			fail("S1: entry %lx: exit %d at rip %lx", bad[i], exit.guest.kind, test.vcpu.rip);
	}
	print("an entry that is no address is not entered\n");
}

/* Hypercalls after which the host offers its interrupts, and those that the engine does not
 * know, are the host's to see. */
static void some_hypercalls_are_the_hosts(void)
{
	static const uint32_t nrs[] = { PVM_HC_IRQ_WIN, PVM_HC_IRQ_HLT, PVM_HC_BASE + PVM_HC_COUNT,
					PVM_HC_BASE - 1, 0 };
	static const uint8_t user[] = { 0x0f, 0x05 };
	uint8_t supervisor[] = { 0xb8, 0, 0, 0, 0, 0x0f, 0x05, 0x0f, 0x0b };
	struct pvm_switcher_exit exit;
	unsigned i;

	write_code(USER_CODE, user, sizeof(user));
	for (i = 0; i < sizeof(nrs) / sizeof(nrs[0]); i++) {
		memcpy(supervisor + 1, &nrs[i], sizeof(nrs[i]));
		write_code(SUPERVISOR_CODE, supervisor, sizeof(supervisor));
		start_user(USER_CS, USER_CODE);
		run_to_syscall(&exit, SUPERVISOR_CODE);
		if (exit.guest.kind != PVM_EXIT_SYSCALL || test.vcpu.user_mode ||
		    test.vcpu.gpr[PVM_RAX] != nrs[i] || test.vcpu.rip != SUPERVISOR_CODE + 7)
			fail("hypercall %x: exit %d at rip %lx", nrs[i], exit.guest.kind, test.vcpu.rip);
	}
	print("hypercalls of the host's are not served\n");
}

static unsigned briefly;	/* calls that were told to be brief */

/* In place of the engine's: changes what a row that is PVM_SERVE_ANY may. */
static enum pvm_action change_registers(struct pvm_vcpu *vcpu)
{
	unsigned i;

	briefly += vcpu->brief;
	for (i = 0; i < PVM_GPR_COUNT; i++)
		vcpu->gpr[i] = 0x0203040506070809ull * (i + 1);
	vcpu->rflags ^= PVM_RFLAGS_ZF;
	return PVM_ACT_RESUME;
}

/* A row that changes more than RAX, served: no register is that of before. The user's SYSCALL
 * is a direct switch, so that the way back from the first exit is the short one. */
static void served_hypercall_may_change_every_register(void)
{
	static const uint8_t user[] = { 0x0f, 0x05 };
	uint8_t supervisor[] = { 0xb8, 0, 0, 0, 0, 0x0f, 0x05, 0xb8, 0, 0, 0, 0, 0x0f, 0x05, 0x0f, 0x0b };
	const struct pvm_abi_ops *real = test.vm.abi;
	static struct pvm_hypercall_row rows[PVM_HC_COUNT];
	static struct pvm_abi_ops ops;
	uint32_t nr = PVM_HC_TLB_FLUSH_CURRENT;
	uint64_t rflags;
	unsigned i;

	memcpy(rows, real->hypercalls, real->hypercall_count * sizeof(rows[0]));
	ops = *real;
	ops.hypercalls = rows;
	ops.syscall = change_registers;
	rows[nr - PVM_HC_BASE].serve = PVM_SERVE_ANY;
	memcpy(supervisor + 1, &nr, sizeof(nr));
	memcpy(supervisor + 8, &nr, sizeof(nr));
	write_code(USER_CODE, user, sizeof(user));
	write_code(SUPERVISOR_CODE, supervisor, sizeof(supervisor));
	start_user(USER_CS, USER_CODE);
	rflags = test.vcpu.rflags;
	test.vm.abi = &ops;
	run_to_ud2("served hypercalls that change every register");
	test.vm.abi = real;
	for (i = 0; i < PVM_GPR_COUNT; i++)
		if (test.vcpu.gpr[i] != 0x0203040506070809ull * (i + 1))
			fail("S3: register %u is %lx after a hypercall", i, test.vcpu.gpr[i]);
	if ((test.vcpu.rflags ^ rflags) & PVM_RFLAGS_ZF)	/* twice */
		fail("S3: RFLAGS is %lx after two hypercalls", test.vcpu.rflags);
	if (briefly != 2 || test.vcpu.brief)
		fail("M12: of two served hypercalls %u must be brief, and after them: %d", briefly, test.vcpu.brief);
	print("a served hypercall may change every register, and must be brief\n");
}

static void use_switches(const struct pvm_abi_switches *switches)
{
	pvm_switcher_vcpu_destroy(&test.svcpu);		/* the CPU forgets it, and what LSTAR is for it */
	if (pvm_switcher_vcpu_init(&test.svcpu, &test.svm, &test.vcpu) != PVM_OK)
		fail("no vCPU");
	test.svcpu.switches = switches;
	test.svcpu.serve = true;
}

/* All registers as SYSCALL leaves them, the hypercall that is always served not served. */
static void must_be_a_syscall(bool user, uint64_t rip, uint64_t gs_base)
{
	const struct pvm_vcpu *vcpu = &test.vcpu;
	struct pvm_switcher_exit exit;
	uint64_t expected[PVM_GPR_COUNT];
	unsigned i;

	for (i = 0; i < PVM_GPR_COUNT; i++)
		if (i != PVM_RAX)
			test.vcpu.gpr[i] = 0x0101010101010101ull * i;
	test.vcpu.gpr[PVM_RAX] = PVM_HC_TLB_FLUSH_CURRENT;
	test.vcpu.gpr[PVM_RSP] = STACK_GPA + PVM_PAGE_SIZE;
	memcpy(expected, vcpu->gpr, sizeof(expected));
	expected[PVM_RCX] = rip + PVM_SYSCALL_LENGTH;
	expected[PVM_R11] = PVM_RFLAGS_IF | PVM_RFLAGS_FIXED;
	test.vcpu.gs_base = gs_base;
	run_to_syscall(&exit, SUPERVISOR_CODE);
	if (exit.guest.kind != PVM_EXIT_SYSCALL || vcpu->user_mode != user || vcpu->gs_base != gs_base ||
	    vcpu->rip != rip + PVM_SYSCALL_LENGTH || vcpu->rflags != expected[PVM_R11])
		fail("SYSCALL without direct switches: exit %d, rip %lx, GS base %lx", exit.guest.kind, vcpu->rip,
		     vcpu->gs_base);
	for (i = 0; i < PVM_GPR_COUNT; i++)
		if (vcpu->gpr[i] != expected[i])
			fail("SYSCALL without direct switches: register %u is %lx", i, vcpu->gpr[i]);
}

/* A vCPU of a guest ABI without direct switches, between two of one that has some: each finds
 * its own entry. The dialect that is not built stands for that ABI. */
static void without_direct_switches_a_syscall_is_an_exit(void)
{
	static const uint8_t syscall_ud2[] = { 0x0f, 0x05, 0x0f, 0x0b };
	const struct pvm_abi_switches *own = test.svcpu.switches;
	struct pvm_switcher_stats before, after;

	write_code(USER_CODE, syscall_ud2, sizeof(syscall_ud2));
	write_code(SUPERVISOR_CODE, syscall_ud2, sizeof(syscall_ud2));
	use_switches(pvm_abi_switches_find(PVM_ABI_LOWER_HALF));
	pvm_switcher_get_stats(test.cpu, &before);
	start_user(USER_CS, USER_CODE);
	must_be_a_syscall(true, USER_CODE, 0x123456789000);
	if (pvm_handle_syscall(&test.vcpu) != PVM_ACT_RESUME || test.vcpu.rip != SUPERVISOR_CODE)
		fail("the engine does not enter the supervisor: rip %lx", test.vcpu.rip);
	must_be_a_syscall(false, SUPERVISOR_CODE, 0xffffc00000123000);
	pvm_switcher_get_stats(test.cpu, &after);
	if (after.user_syscalls != before.user_syscalls)
		fail("a direct switch without direct switches");

	use_switches(own);
	start_user(USER_CS, USER_CODE);
	test.vcpu.gpr[PVM_RAX] = PVM_HC_TLB_FLUSH_CURRENT;
	run_to_ud2("direct switches again");
	pvm_switcher_get_stats(test.cpu, &after);
	if (after.user_syscalls == before.user_syscalls || test.vcpu.user_mode)
		fail("LSTAR stays that of the ABI without direct switches");
	print("without direct switches a SYSCALL is an exit\n");
}

/* S7: a root of the VM has died, so that what is cached under any is paid for. Where there are
 * PCIDs: without, each CR3 write flushes. */
static void no_tag_outlives_a_root(void)
{
	static const uint8_t user[] = { 0x0f, 0x0b };
	const struct pvm_tlb_flush dying = {
		.scope = PVM_FLUSH_ROOT, .root = { 0xdead000 }, .root_dying = true,
	};
	struct pvm_switcher_stats before, warm, after;
	unsigned i;

	write_code(USER_CODE, user, sizeof(user));
	for (i = 0; i < 3; i++) {
		pvm_switcher_get_stats(test.cpu, &before);
		start_user(USER_CS, USER_CODE);
		run_to_ud2("before the death");
	}
	pvm_switcher_get_stats(test.cpu, &warm);
	pvm_switcher_flush(&test.svm, &dying);
	start_user(USER_CS, USER_CODE);
	run_to_ud2("after the death");
	pvm_switcher_get_stats(test.cpu, &after);
	if (warm.flushes_paid != before.flushes_paid)
		fail("S7: a flush without need");
	if (cpu_features.pcid && after.flushes_paid == warm.flushes_paid)
		fail("S7: the root's tag is not flushed");
	print(cpu_features.pcid ? "no tag outlives a root\n" : "there are no tags\n");
}

/* The gates of #GP and #NP are taken out of the switcher's IDT: the guest's #GP becomes a #DF,
 * and under Bochs so does the one that IRET raises at CPL 0. */
static void double_fault(uint64_t rip, const char *name)
{
	static const uint8_t user[] = { 0xf4 };		/* HLT */
	uint8_t *gp = gate_type(PVM_VEC_GP), *np = gate_type(PVM_VEC_NP);
	struct pvm_switcher_exit exit = { .guest = { .kind = PVM_EXIT_KICK } };
	uint64_t gs_base, after;
	uint8_t gate = *gp;

	write_code(USER_CODE, user, sizeof(user));
	start_user(USER_CS, rip);
	__asm__ volatile("rdgsbase %0" : "=r"(gs_base));
	while (exit.guest.kind == PVM_EXIT_KICK || exit.guest.kind == PVM_EXIT_INTERRUPT ||
	       (exit.guest.kind == PVM_EXIT_EXCEPTION && exit.guest.vector == PVM_VEC_PF &&
		rip == USER_CODE)) {
		if (exit.guest.kind == PVM_EXIT_EXCEPTION)
			pvm_mmu_fault(&test.vcpu, exit.guest.gva, exit.guest.error_code,
				      PVM_MAY_SLEEP);
		if (exit.guest.kind == PVM_EXIT_INTERRUPT)
			pvm_switcher_host_vector(test.cpu, exit.guest.vector);
		*gp = *np = 0;
		run_once(&exit);
		*gp = *np = gate;
	}
	__asm__ volatile("rdgsbase %0" : "=r"(after));
	if (gs_base != after)
		fail("S12: the host's GS base is %lx instead of %lx", after, gs_base);
	if (exit.guest.kind == PVM_EXIT_FAILED && exit.guest.vector == PVM_VEC_DF)
		print("%s: a double fault at %lx, and the host goes on\n", name, exit.address);
	else if (rip == USER_CODE)
		fail("S12: exit %d, vector %u instead of a double fault", exit.guest.kind, exit.guest.vector);
	else
		print("%s: this CPU's IRET goes there\n", name);
}

/* A RIP that no engine call lets in: IRET refuses it at CPL 0 (Intel and Bochs; QEMU jumps
 * there), and it is the guest's fault, with all of its registers, either way. */
static void iret_to_nowhere(void)
{
	static const uint64_t nowhere = 0x0900000000000000ull;
	struct pvm_switcher_exit exit;
	unsigned i, reg;

	for (i = 0; i < 2; i++) {
		start_user(USER_CS, nowhere);
		for (reg = 0; reg < PVM_GPR_COUNT; reg++)
			test.vcpu.gpr[reg] = 0x0101010101010101ull * reg;
		if (i) {	/* as SYSRET would take it */
			test.vcpu.gpr[PVM_RCX] = nowhere;
			test.vcpu.gpr[PVM_R11] = test.vcpu.rflags;
		}
		test_vm_run(&exit);
		if (exit.guest.kind != PVM_EXIT_EXCEPTION ||
		    (exit.guest.vector != PVM_VEC_GP && exit.guest.vector != PVM_VEC_PF) ||
		    test.vcpu.rip != nowhere || !test.vcpu.user_mode)
			fail("S1: exit %d, vector %u at rip %lx", exit.guest.kind, exit.guest.vector, test.vcpu.rip);
		for (reg = 0; reg < PVM_GPR_COUNT; reg++)
			if (test.vcpu.gpr[reg] != 0x0101010101010101ull * reg &&
			    !(i && (reg == PVM_RCX || reg == PVM_R11)))
				fail("S1: register %u is %lx", reg, test.vcpu.gpr[reg]);
		print("IRET to nowhere: vector %u\n", exit.guest.vector);
	}
}

void minivisor_main(void)
{
	test_vm_init();
	iret_to_nowhere();
	double_fault(USER_CODE, "#GP of the guest");
	double_fault(0x0900000000000000ull, "#GP of IRET");
	test.svcpu.serve = true;
	supervisor_is_64_bit();
	syscall_of_32_bit_code_is_known();
	window_follows_a_move_within_the_page();
	window_follows_the_pin();
	window_is_of_the_pinned_page();
	events_are_the_hosts();
	waiting_interrupt_is_seen();
	exits_say_what_they_are(false);
	exits_say_what_they_are(true);
	host_gdt_is_read_only();
	host_has_its_own_selectors();
	no_selector_of_the_hosts_stays();
	entry_is_an_address();
	some_hypercalls_are_the_hosts();
	served_hypercall_may_change_every_register();
	without_direct_switches_a_syscall_is_an_exit();
	no_tag_outlives_a_root();
	cr4_goes_with_the_guest();
	msrs_go_with_the_guest();
	ldts_are_the_guests();
	the_hosts_global_pages_are_its_own();
	the_return_stack_is_filled_where_text_is_at_guests_addresses();
	hosts_faults_are_no_guests(false);
	hosts_faults_are_no_guests(true);
	print("all corners are clean\n");
	machine_exit(0);
}
