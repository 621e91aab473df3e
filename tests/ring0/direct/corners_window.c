/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* S8: the window through which direct switches reach the PVCS shows its page of now. */
#include <string.h>

#include <pvm/mmu.h>

#include "minivisor.h"
#include "corners.h"
#include "cpu.h"
#include "print.h"

#define PVCS_RIP_WORD	(PVCS_RIP / 8)
#define MOVED		0x400	/* how far a PVCS goes within its page */

/* The vCPU is reset, its page of the PVCS goes, another comes in at the same address. */
void window_follows_the_pin(void)
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

/* The host backs the address by another page after the pin and before the first run, as
 * madvise() of a VMM's does: what is shown is the page that is held. */
void window_is_of_the_pinned_page(void)
{
	static const uint8_t user[] = { 0x0f, 0x05 }, supervisor[] = { 0x0f, 0x0b };
	uint64_t *pinned, *other;

	write_code(USER_CODE, user, sizeof(user));
	write_code(SUPERVISOR_CODE, supervisor, sizeof(supervisor));
	if (pvm_msr_write(&test.vcpu, MSR_PVM_VCPU_STRUCT, 0) != PVM_OK ||
	    pvm_msr_write(&test.vcpu, MSR_PVM_VCPU_STRUCT, PVCS_GPA) != PVM_OK)
		fail("no PVCS");
	pinned = (uint64_t *)test.vcpu.pvcs;
	other = test_vm_replace(PVCS_GPA);
	pinned[PVCS_RIP_WORD] = other[PVCS_RIP_WORD] = 0;
	start_user(USER_CS, USER_CODE);
	run_to_ud2("with another page at the address");
	if (other[PVCS_RIP_WORD])
		fail("S8: a page that is not pinned was written to");
	if (pinned[PVCS_RIP_WORD] != USER_CODE + PVM_SYSCALL_LENGTH)
		fail("S8: the pinned page was not written to");
	print("the window shows the pinned page, whatever is at its address\n");
}

/* Only where in its page the PVCS is changes between two runs. */
void window_follows_a_move_within_the_page(void)
{
	static const uint8_t user[] = { 0x0f, 0x0b, 0x0f, 0x05 }, supervisor[] = { 0x0f, 0x0b };
	struct pvm_switcher_exit exit;
	uint64_t *old, *now;

	write_code(USER_CODE, user, sizeof(user));
	write_code(SUPERVISOR_CODE, supervisor, sizeof(supervisor));
	start_user(USER_CS, USER_CODE);
	run_to_ud2("before the move");
	old = (uint64_t *)test.vcpu.pvcs;
	if (pvm_msr_write(&test.vcpu, MSR_PVM_VCPU_STRUCT, PVCS_GPA + MOVED) != PVM_OK)
		fail("no PVCS");
	now = (uint64_t *)test.vcpu.pvcs;
	old[PVCS_RIP_WORD] = now[PVCS_RIP_WORD] = 0;
	test.vcpu.rip = USER_CODE + 2;
	run_once(&exit);
	if (exit.guest.kind != PVM_EXIT_EXCEPTION || test.vcpu.user_mode)
		fail("exit %d at rip %lx", exit.guest.kind, test.vcpu.rip);
	if (old[PVCS_RIP_WORD] || now[PVCS_RIP_WORD] != USER_CODE + sizeof(user))
		fail("S8: the PVCS is used where it was");
	if (pvm_msr_write(&test.vcpu, MSR_PVM_VCPU_STRUCT, PVCS_GPA) != PVM_OK)
		fail("no PVCS");
	print("the window follows a move within the page\n");
}
