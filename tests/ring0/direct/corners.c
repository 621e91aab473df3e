/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Corners of pvm_switcher_run(): states that one run leaves and another must not find.
 *
 * S1: the supervisor is entered as 64-bit code whatever the user's code segment was. S5: a host
 * with selectors of its own, and with a GDT that is read-only. S8: the window shows the PVCS's page
 * of now. S12: a #DF loses the vCPU and nothing of the host. Prints to COM2.
 */
#include <pvm/events.h>
#include <pvm/hypercall.h>
#include <pvm/exit.h>
#include <pvm/mmu.h>

#include "minivisor.h"
#include "cpu.h"
#include "memory.h"
#include "print.h"
#include "test_vm.h"

#define USER32_CODE	0x1800
#define USER_CODE	0x1840
#define SUPERVISOR_CODE	0x1880
#define PVCS_RIP_WORD	(96 / 8)
#define HOST_DATA	0x00cff3000000ffffull	/* a flat data segment, DPL 3 */
#define HOST_ONLY_SEL	(TLS_INDEX << 3 | 3)
#define READ_ONLY_GDT	0x70000000		/* image_address() of a second mapping */

struct __attribute__((packed)) dtr {
	uint16_t limit;
	uint64_t base;
};

static void write_code(uint64_t at, const void *bytes, size_t size)
{
	memcpy(test.memory + at, bytes, size);
}

static void start_user(uint16_t cs, uint64_t rip)
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
	vcpu->changes++;
}

/* To the #UD that ends each program. */
static void run_to_ud2(const char *name)
{
	struct pvm_switcher_exit exit;

	for (;;) {
		test_vm_run(&exit);
		if (exit.guest.kind == PVM_EXIT_SYSCALL)
			pvm_handle_syscall(&test.vcpu);
		else if (exit.guest.kind == PVM_EXIT_EXCEPTION && exit.guest.vector == PVM_VEC_PF)
			pvm_handle_page_fault(&test.vcpu, pvm_gva(test.vcpu.cr2), exit.guest.error_code,
					      PVM_MAY_SLEEP);
		else
			break;
	}
	if (exit.guest.kind != PVM_EXIT_EXCEPTION || exit.guest.vector != PVM_VEC_UD)
		fail("%s: exit %d, vector %u at rip %lx", name, exit.guest.kind, exit.guest.vector, test.vcpu.rip);
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

/* The vCPU is reset, its page of the PVCS goes, another comes in at the same address. */
static void window_follows_the_pin(void)
{
	static const uint8_t user[] = { 0x0f, 0x05 }, supervisor[] = { 0x0f, 0x0b };
	uint64_t *old = (uint64_t *)(test.memory + PVCS_GPA), *now;
	uint64_t cr3, switch_cr3;
	unsigned i;

	write_code(USER_CODE, user, sizeof(user));
	write_code(SUPERVISOR_CODE, supervisor, sizeof(supervisor));
	for (i = 0; i < 3; i++) {
		start_user(USER_CS, USER_CODE);
		run_to_ud2("before the reset");
	}
	cr3 = test.vcpu.cr3, switch_cr3 = test.vcpu.msr.switch_cr3;
	pvm_vcpu_reset(&test.vcpu);
	now = test_vm_replace(PVCS_GPA);
	memset(old, 0, PVM_PAGE_SIZE);
	test.vcpu.cr3 = cr3, test.vcpu.msr.switch_cr3 = switch_cr3;
	pvm_mmu_new_cr3(&test.vcpu);
	if (pvm_msr_write(&test.vcpu, MSR_PVM_VCPU_STRUCT, PVCS_GPA) != PVM_OK)
		fail("no PVCS");
	for (i = 0; i < 3; i++) {
		start_user(USER_CS, USER_CODE);
		run_to_ud2("after the reset");
	}
	if (old[PVCS_RIP_WORD])
		fail("S8: a page that was given away was written to");
	if (now[PVCS_RIP_WORD] != USER_CODE + PVM_SYSCALL_LENGTH)
		fail("S8: the PVCS of now was not written to");
	print("the window shows the page that is pinned\n");
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

/* The host has a selector that is in no table of the switcher's, the guest changes it. */
static void host_has_its_own_selectors(void)
{
	static const uint8_t user[] = { 0xb8, USER_DS, 0, 0, 0, 0x8e, 0xc0, 0x8e, 0xe8, 0x0f, 0x0b };
	uint64_t gs_base, after;
	uint16_t es, gs;

	pvm_switcher_unload(test.cpu);
	this_cpu()->gdt[TLS_INDEX] = HOST_DATA;
	__asm__ volatile("rdgsbase %0" : "=r"(gs_base));
	__asm__ volatile("mov %0, %%es; mov %0, %%gs; wrgsbase %1" : : "r"(HOST_ONLY_SEL), "r"(gs_base));
	write_code(USER_CODE, user, sizeof(user));
	start_user(USER_CS, USER_CODE);
	run_to_ud2("host's own selectors");
	pvm_switcher_unload(test.cpu);
	__asm__ volatile("mov %%es, %0; mov %%gs, %1" : "=r"(es), "=r"(gs));
	__asm__ volatile("rdgsbase %0" : "=r"(after));
	if (es != HOST_ONLY_SEL || gs != HOST_ONLY_SEL || after != gs_base)
		fail("S5: ES %x, GS %x, GS base %lx instead of %lx", es, gs, after, gs_base);
	print("the host's own selectors are given back\n");
}

/* The gates of #GP and #NP are taken out of the switcher's IDT: the guest's #GP becomes a #DF,
 * and under Bochs so does the one that IRET raises at CPL 0. */
static void double_fault(uint64_t rip, const char *name)
{
	static const uint8_t user[] = { 0xf4 };		/* HLT */
	uint8_t *idt = (uint8_t *)test.cpu + PVM_PAGE_SIZE;	/* pvm_switcher_cpu::idt */
	uint8_t *gp = idt + PVM_VEC_GP * 16 + 5, *np = idt + PVM_VEC_NP * 16 + 5;
	struct pvm_switcher_exit exit = { .guest = { .kind = PVM_EXIT_KICK } };
	uint64_t gs_base, after;
	uint8_t gate = *gp;
	pvm_hpa_t root;

	write_code(USER_CODE, user, sizeof(user));
	start_user(USER_CS, rip);
	__asm__ volatile("rdgsbase %0" : "=r"(gs_base));
	while (exit.guest.kind == PVM_EXIT_KICK || exit.guest.kind == PVM_EXIT_INTERRUPT ||
	       (exit.guest.kind == PVM_EXIT_EXCEPTION && exit.guest.vector == PVM_VEC_PF &&
		rip == USER_CODE)) {
		if (exit.guest.kind == PVM_EXIT_EXCEPTION)
			pvm_mmu_fault(&test.vcpu, pvm_gva(test.vcpu.cr2), exit.guest.error_code,
				      PVM_MAY_SLEEP);
		if (exit.guest.kind == PVM_EXIT_INTERRUPT)
			pvm_switcher_host_vector(test.cpu, exit.guest.vector);
		pvm_switcher_clear_request(&test.svcpu);
		if (pvm_mmu_load(&test.vcpu, &root, PVM_MAY_SLEEP) != PVM_OK)
			fail("no root");
		*gp = *np = 0;
		pvm_switcher_run(test.cpu, &test.svcpu, root, &exit);
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
	window_follows_the_pin();
	host_gdt_is_read_only();
	host_has_its_own_selectors();
	print("all corners are clean\n");
	machine_exit(0);
}
