/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Guests that must die, each of one CASE: an event that cannot be delivered or
 * tables that cannot be walked end the VM with one line, and nothing else
 * ends with it. Coming to the end is the failure.
 */
#include "attack.h"

#define UNMAPPED	0x60000000ul
#define NON_CANONICAL	0x0100000000000000ul
#define SLOT		0xffffffff80000800ul
#define AREA		0xffffffffc0000040ul	/* minivisor's first CPU's: readable at CPL 0 */

SUPERVISOR_CODE(death_ud2, "	ud2\n");
SUPERVISOR_CODE(death_int80, "	int	$0x80\n	ud2\n");
SUPERVISOR_CODE(death_load, "	movq	(%rdi), %rax\n	ud2\n");

static void exception_on(u64 rsp)
{
	attack_in.gpr[RSP] = rsp;
	attack(death_ud2);
}

static void frame_at(u64 rsp)
{
	attack_in.gpr[RSP] = rsp;
	attack(attack_rets);
}

static u64 noise(void)
{
	u64 page = page_alloc();

	for (unsigned i = 0; i < 512; i++)
		((u64 *)phys_to_virt(page))[i] = random64();
	return page;
}

static void die_of(int what)
{
	u64 flags = paging_levels() == 5 ? PVM_LOAD_PGTBL_LA57 : 0;

	switch (what) {
	case 1: exception_on(NON_CANONICAL); break;
	case 2: exception_on(SLOT); break;
	case 3: exception_on(UNMAPPED); break;
	case 4: exception_on((u64)death_load); break;	/* read-only */
	case 5: frame_at(NON_CANONICAL); break;
	case 6: frame_at(SLOT); break;
	case 7: frame_at(UNMAPPED); break;
	case 8:
		hc_wrmsr(MSR_PVM_VCPU_STRUCT, 0);
		attack(death_int80);
		break;
	case 9:
		hc_wrmsr(MSR_PVM_VCPU_STRUCT, 0);
		attack_in.gpr[RDI] = UNMAPPED;
		attack(death_load);
		break;
	case 10: hc_load_pgtbl(flags, memory_end() + 16 * PAGE_SIZE, boot_space.user_root); break;
	case 11: hc_load_pgtbl(flags, noise(), boot_space.user_root); break;
	case 12:
		hc_load_pgtbl(flags, boot_space.supervisor_root, memory_end() + 16 * PAGE_SIZE);
		attack(attack_retu);
		break;
	case 13:	/* entries in nothing: #PF upon #PF, down the stack to its end */
		hc_wrmsr(MSR_PVM_EVENT_ENTRY, UNMAPPED);
		attack(death_ud2);
		break;
	case 15: frame_at(AREA); break;
	case 14:
		memset(phys_to_virt(boot_space.supervisor_root), 0xa5, PAGE_SIZE);
		hc_tlb_flush();
		break;
	}
}

void guest_main(void)
{
	seed_random(0xdea7);
	attack_begin();
	visit_user_mode();
	fill_pvcs((u64)attack_user_syscall);
	fill_registers();
	die_of(CASE);
	attack_end();
	check(false, "this guest should not have come so far");
}
