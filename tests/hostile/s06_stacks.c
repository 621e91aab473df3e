/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * S6: stack pointers into the switcher's slot, into the hole, into nothing, at
 * every entry that pushes nothing on the guest's stack: RSP is a number like
 * others. Where a frame must be pushed and cannot be, the VM dies: death.c. In single CR3
 * nothing is ever pushed, and RSP is what it was.
 */
#include "attack.h"

#define SEED 0x5606
#define UNMAPPED 0x60000000ul

USER_CODE(user_rsp, "	movq	%rsp, %r8\n	syscall\n	ud2\n");
USER_CODE(user_rsp_int3, "	int3\n");
USER_CODE(user_rsp_ud2, "	ud2\n");
USER_CODE(user_rsp_int80, "	int	$0x80\n");
USER_CODE(user_rsp_push, "	pushq	$0\n	ud2\n");
SUPERVISOR_CODE(supervisor_int80, "	int	$0x80\n	ud2\n");
SUPERVISOR_CODE(supervisor_ud2, "	ud2\n");

static u64 list[128];
static unsigned count;

static void make_list(void)
{
	static const u64 fixed[] = {
		0, 1, 8, 0xfff, UNMAPPED, UNMAPPED + 3, 0x7ffffffff000, 0x800000000000, 0xffff7fffffffffff,
		0xffff800000000000, 0xffffff8000000000, 0xffffffff80000000, 0xffffffff80000ff8,
		0xffffffff80100000, 0xffffffff80200000, 0xffffffff81000000, 0xffffffff80008000,
		0xffffffffbffffff8, 0xffffffffc0000000, 0xffffffffff600000, 0xfffffffffffffff8, ~0ul,
	};

	count = non_canonical(list);
	for (unsigned i = 0; i < array_size(fixed); i++)
		list[count++] = fixed[i];
	list[count++] = (u64)attack_through;		/* read-only */
	list[count++] = (u64)pvcs();			/* a push would change it */
	list[count++] = (u64)pvcs() + PVCS_SIZE;
	list[count++] = (u64)phys_to_virt(boot_space.supervisor_root) + PAGE_SIZE;
	list[count++] = (u64)phys_to_virt(boot_space.user_root) + PAGE_SIZE;
	while (count < array_size(list))
		list[count++] = random64();
}

#if SINGLE_CR3
static bool saved_rsp(u64 rsp)
{
	return attack_out.gpr[RSP] == rsp;
}
#else
static bool saved_rsp(u64 rsp)
{
	return pvcs()->rsp == rsp && attack_out.gpr[RSP] == align_down(rsp, 16);
}
#endif

static void in_supervisor_mode(void)
{
	struct tally call = { 0 }, int80 = { 0 }, land = { 0 }, ud2 = { 0 };

	for (unsigned i = 0; i < count; i++) {
		fill_registers();
		attack_in.gpr[RAX] = PVM_HC_IRQ_WIN;
		attack_in.gpr[RSP] = list[i];
		tally(&call, attack(attack_hypercall) == BY_THROUGH && attack_out.gpr[RAX] == 0 &&
		      kept_registers(1 << RAX | 1 << RCX | 1 << R11), list[i]);
		tally(&int80, attack(supervisor_int80) == BY_INTERRUPT && saved_rsp(list[i]) &&
		      kept_registers(1 << RSP | 1 << RCX | 1 << R11), list[i]);
		if (SINGLE_CR3)
			tally(&ud2, was_exception(attack(supervisor_ud2), VEC_UD, (u64)supervisor_ud2) &&
			      kept_registers(1 << RCX | 1 << R11), list[i]);
		fill_supervisor(&(struct supervisor_context){
			.rip = (u64)attack_through, .rsp = list[i] });
		tally(&land, attack(attack_rets) == BY_THROUGH && attack_out.gpr[RSP] == list[i], list[i]);
	}
	check_tally(&call, "S6: a hypercall with any RSP");
	check_tally(&int80, "S6: INT 0x80 in supervisor mode with any RSP");
	check_tally(&land, "S6: EVENT_RETURN_SUPERVISOR to any RSP");
	if (SINGLE_CR3)
		check_tally(&ud2, "S6: an exception in supervisor mode with any RSP");
}

#if SINGLE_CR3
/* The one RSP comes back as it was. */
static bool right_stacks(u64 rsp, u64 supervisor_rsp)
{
	(void)supervisor_rsp;
	return attack_out.gpr[RSP] == rsp;
}
#else
static bool right_stacks(u64 rsp, u64 supervisor_rsp)
{
	return pvcs()->rsp == rsp && attack_out.gpr[RSP] == supervisor_rsp;
}
#endif

static bool user_round(const char *code, u64 by, u32 vector, u64 rsp, u64 supervisor_rsp)
{
	fill_registers();
	attack_in.gpr[RSP] = supervisor_rsp;
	fill_pvcs((u64)code);
	set_user_rsp(rsp);
	return attack(attack_retu) == by && (by == BY_SYSCALL || pvcs()->event_vector == vector) &&
	       right_stacks(rsp, supervisor_rsp);
}

static void in_user_mode(void)
{
	struct tally call = { 0 }, int3 = { 0 }, ud2 = { 0 }, int80 = { 0 }, msr = { 0 };

	for (unsigned i = 0; i < count; i++) {
		u64 other = list[(i * 7 + 3) % count];

		tally(&call, user_round(user_rsp, BY_SYSCALL, 0, list[i], other) &&
		      attack_out.gpr[R8] == list[i], list[i]);
		if (!SINGLE_CR3)
			tally(&msr, hc_rdmsr(MSR_PVM_SUPERVISOR_RSP) == other, other);
		tally(&int3, user_round(user_rsp_int3, BY_USER_EVENT, VEC_BP, list[i], other), list[i]);
		tally(&ud2, user_round(user_rsp_ud2, BY_USER_EVENT, VEC_UD, list[i], other), list[i]);
		tally(&int80, user_round(user_rsp_int80, BY_USER_EVENT, VEC_SYSCALL32, list[i], other),
		      list[i]);
		if (!SINGLE_CR3)
			tally(&msr, hc_wrmsr(MSR_PVM_SUPERVISOR_RSP, list[i]) == 0 &&
			      hc_rdmsr(MSR_PVM_SUPERVISOR_RSP) == list[i], list[i]);
	}
	check_tally(&call, "S6: user SYSCALL with any RSP, to a supervisor with any RSP");
	check_tally(&int3, "S6: user INT3 with any RSP");
	check_tally(&ud2, "S6: user #UD with any RSP");
	check_tally(&int80, "S6: user INT 0x80 with any RSP");
	if (!SINGLE_CR3)
		check_tally(&msr, "S6: MSR_PVM_SUPERVISOR_RSP holds any value");
}

/* A push to the host's addresses: the user's fault, as anywhere. */
static void push_to_the_host(void)
{
	static const u64 tops[] = {
		0xffffffff80000000, 0xffffffff80000ff8, 0xffffffff80100008, 0xffffffff80200000,
		0xffffffffc0000000, 0xfffffffffffffff8,
	};
	struct tally t = { 0 };

	for (unsigned i = 0; i < array_size(tops); i++) {
		u64 by;

		fill_registers();
		fill_pvcs((u64)user_rsp_push);
		set_user_rsp(tops[i]);
		by = attack(attack_retu);
		tally(&t, by == BY_USER_EVENT && (pvcs()->event_vector == VEC_PF ||
		      pvcs()->event_vector == VEC_SS) && right_stacks(tops[i], attack_stack()), tops[i]);
	}
	check_tally(&t, "S6: a push into the switcher's slot faults");
}

void guest_main(void)
{
	seed_random(SEED);
	make_list();
	attack_begin();
	in_supervisor_mode();
	in_user_mode();
	push_to_the_host();
	attack_end();
}
