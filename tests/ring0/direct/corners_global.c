/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The host's pages at addresses that are the guest's, too. S6: what the host has at an address that is
 * the guest's, too, as Linux its direct map. A TLB keeps global pages while another root is loaded, and
 * CPL 3 cannot use them; the switcher, which reads a guest's stack, could. QEMU's TLB forgets them at
 * each MOV to CR3; Bochs' does not.
 */
#include <pvm/exit.h>
#include <pvm/mmu.h>

#include "minivisor.h"
#include "corners.h"
#include "cpu.h"
#include "memory.h"
#include "print.h"
#include "switcher/area.h"

#define PLACE	(UPPER_BASE + NOWHERE + 0x345000)	/* Bochs has one place in its TLB for each low half */
#define STACK_END (UPPER_BASE + STACK_GPA + 2 * PVM_PAGE_SIZE)
#define SECRET	0x5ec2e75ec2e7ull

static void start_supervisor(uint64_t rip, uint64_t rsp)
{
	struct pvm_vcpu *vcpu = &test.vcpu;

	start_user(USER_CS, rip);
	vcpu->cr3 = test.cr3[0];
	vcpu->msr.switch_cr3 = test.switch_cr3[0];
	vcpu->user_mode = false;
	vcpu->seg[PVM_CS] = KERNEL_CS;
	vcpu->seg[PVM_SS] = KERNEL_DS;
	vcpu->gpr[PVM_RSP] = rsp;
	pvm_mmu_new_cr3(vcpu);
}

/* A word of the frame: in the guest's own memory, or the host's, at an address where the guest has none. */
static uint64_t *word_at(uint8_t *hosts, uint64_t hosts_va, uint64_t va)
{
	return (uint64_t *)(va - hosts_va < PVM_PAGE_SIZE ? hosts + (va - hosts_va)
							  : test.memory + (va - UPPER_BASE));
}

/* A frame at @place that the host has the page @hosts_va of. */
static void write_frame(uint64_t place, uint64_t hosts_va)
{
	uint8_t *hosts = page_alloc();

	if (!hosts)
		fail("no memory");
	memory_map(hosts_va, virt_to_phys(hosts), PVM_PTE_NX | PVM_PTE_G);
	*word_at(hosts, hosts_va, place + PVM_FRAME_RIP) = SUPERVISOR_CODE;
	*word_at(hosts, hosts_va, place + PVM_FRAME_RFLAGS) = PVM_RFLAGS_IF | PVM_RFLAGS_FIXED;
	*word_at(hosts, hosts_va, place + PVM_FRAME_RSP) = SECRET;
	*word_at(hosts, hosts_va, place + PVM_FRAME_RCX) = SECRET;
}

static void return_from(uint64_t place, uint64_t hosts_va, const char *name)
{
	struct pvm_switcher_exit exit;
	uint64_t part;

	write_frame(place, hosts_va);
	start_supervisor(RETS_SYSCALL, place);
	for (part = place; part < place + PVM_FRAME_SIZE; part += 8)
		if (part - hosts_va >= PVM_PAGE_SIZE)	/* its own part is there */
			pvm_handle_page_fault(&test.vcpu, pvm_gva(part), 0, PVM_MAY_SLEEP);
	for (;;) {
		*(volatile uint8_t *)hosts_va;	/* the TLB has it */
		test_vm_run(&exit);
		if (exit.guest.kind != PVM_EXIT_EXCEPTION || exit.guest.vector != PVM_VEC_PF)
			break;
		pvm_handle_page_fault(&test.vcpu, exit.guest.gva, exit.guest.error_code, PVM_MAY_SLEEP);
	}
	if (test.vcpu.gpr[PVM_RCX] == SECRET)
		fail("S6: the guest has read memory of the host's, %s", name);
	if (exit.guest.kind != PVM_EXIT_SYSCALL)
		fail("S6: %s: exit %d, vector %u at rip %lx", name, exit.guest.kind,
		     exit.guest.vector, test.vcpu.rip);
}

void the_hosts_global_pages_are_its_own(void)
{
	static const uint8_t ud2[] = { 0x0f, 0x0b };
	uint64_t cr4 = read_cr4();

	write_code(SUPERVISOR_CODE, ud2, sizeof(ud2));
	if (pvm_msr_write(&test.vcpu, MSR_PVM_RETS_RIP, RETS_SYSCALL) != PVM_OK)
		fail("no RETS_RIP");
	write_cr4(cr4 | PVM_CR4_PGE);
	return_from(PLACE, PLACE, "through its stack");
	return_from(STACK_END - PVM_FRAME_RSP, STACK_END, "behind its stack");
	/* All but R11, which is the first word of the PVCS. */
	return_from(UPPER_BASE + PVCS_GPA - PVM_FRAME_R11, UPPER_BASE + PVCS_GPA - PVM_PAGE_SIZE,
		    "in front of its stack");
	write_cr4(cr4);
	print("the host's global pages are its own\n");
}

/* What a run of a vCPU that this CPU has not loaded comes to have against what is left on the return
 * stack. */
static uint32_t mitigations_of_a_run(void)
{
	static const uint8_t ud2[] = { 0x0f, 0x0b };
	struct pvm_switcher_exit exit;

	test.cpu->loaded = NULL;
	write_code(USER_CODE, ud2, sizeof(ud2));
	start_user(USER_CS, USER_CODE);
	do
		run_once(&exit);
	while (exit.guest.kind == PVM_EXIT_EXCEPTION && exit.guest.vector == PVM_VEC_PF &&
	       pvm_handle_page_fault(&test.vcpu, exit.guest.gva, exit.guest.error_code,
				     PVM_MAY_SLEEP) == PVM_ACT_RESUME);
	if (!(test.cpu->extras & EXTRA_MITIGATE) != !test.cpu->mitigations)
		fail("S10: mitigations %x, extras %x", test.cpu->mitigations, test.cpu->extras);
	return test.cpu->mitigations;
}

/* S10: a Xen PV guest's kernel is where the host's is. */
void the_return_stack_is_filled_where_text_is_at_guests_addresses(void)
{
	unsigned slot = PVM_LEVEL_INDEX((uint64_t)pvm_switcher_text_start, 4);
	struct pvm_linear_range *range = &test.vm.config.range, before = *range;
	uint32_t always = test.cpu->switcher->config.features.mitigations, wanted = PVM_MITIGATE_RSB_FILL;

	if (mitigations_of_a_run() != always)
		fail("S10: a guest elsewhere has %x, not %x", test.cpu->mitigations, always);
	range->pml4_start = slot;
	range->pml4_end = slot + 1;
	if (!(mitigations_of_a_run() & wanted))
		fail("S10: the return stack is not filled: %x", test.cpu->mitigations);
	range->pml4_end = slot;
	if (mitigations_of_a_run() != always)
		fail("S10: a range that ends before the text has %x", test.cpu->mitigations);
	*range = before;
	if (mitigations_of_a_run() != always)
		fail("S10: %x are left", test.cpu->mitigations);
	print("S10: the return stack is filled where text is at the guest's addresses\n");
}
