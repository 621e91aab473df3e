/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * S1: RIPs that no CPU can go to, by every way that a guest can name one, and
 * what follows the last byte of the lower half. RCX, which SYSRET takes for
 * RIP, may be anything.
 */
#include "attack.h"

#define INSN_NOP	0x90
#define INSN_INT3	0xcc
#define INSN_CPUID	0xa20f		/* two bytes, little endian */
#define INSN_SYSCALL	0x050f
#define INSN_UD2	0x0b0f

USER_CODE(user_rcx, "	movq	%rcx, %r8\n	movq	%r11, %r9\n	syscall\n	ud2\n");

static void return_at(u64 rip, u64 rcx, u64 r11)
{
	fill_supervisor(&(struct supervisor_context){
		.rip = rip, .rflags = FLAG_FIXED | FLAG_IF, .rsp = attack_stack() - 512,
		.rcx = rcx, .r11 = r11 });
}

static void return_to_user(void)
{
	u64 list[NON_CANONICAL_MAX];
	unsigned n = non_canonical(list);
	struct tally refused = { 0 }, kept = { 0 }, rcx = { 0 };

	for (unsigned i = 0; i < n; i++) {
		fill_registers();
		fill_pvcs(list[i]);
		tally(&refused, was_exception(attack(attack_retu), VEC_GP, (u64)attack_retu), list[i]);
		tally(&kept, kept_registers(1 << RSP | 1 << RCX | 1 << R11) &&
		      (SINGLE_CR3 || pvcs()->rip == list[i]), list[i]);
	}
	check_tally(&refused, "S1: EVENT_RETURN_USER to a non-canonical RIP is #GP at the SYSCALL");
	check_tally(&kept, "S1: and loads nothing");
	for (unsigned i = 0; i < n; i++) {
		fill_pvcs((u64)user_rcx);
		pvcs()->rcx = list[i];
		pvcs()->r11 = ~list[i];
		tally(&rcx, attack(attack_retu) == BY_SYSCALL && attack_out.gpr[R8] == list[i] &&
		      attack_out.gpr[R9] == ~list[i], list[i]);
	}
	check_tally(&rcx, "S1: a non-canonical RCX is a number like others");
	/* 32-bit code has no RIP above 4 GiB. */
	fill_pvcs(1ul << 32);
	pvcs()->user_cs = user32_cs();
	fill_registers();
	check(was_exception(attack(attack_retu), VEC_GP, (u64)attack_retu),
	      "S1: 32-bit code does not start above 4 GiB");
}

static void return_to_supervisor(void)
{
	u64 list[NON_CANONICAL_MAX];
	unsigned n = non_canonical(list);
	struct tally refused = { 0 }, kept = { 0 }, rcx = { 0 };

	for (unsigned i = 0; i < n; i++) {
		fill_registers();
		return_at(list[i], 0, 0);
		tally(&refused, was_exception(attack(attack_rets), VEC_GP, (u64)attack_rets), list[i]);
		tally(&kept, kept_registers(1 << RSP | 1 << RCX | 1 << R11), list[i]);
		return_at((u64)attack_through, list[i], ~list[i]);
		tally(&rcx, attack(attack_rets) == BY_THROUGH && attack_out.gpr[RCX] == list[i] &&
		      attack_out.gpr[R11] == ~list[i] &&
		      attack_out.gpr[RSP] == attack_stack() - 512, list[i]);
	}
	check_tally(&refused, "S1: EVENT_RETURN_SUPERVISOR to a non-canonical RIP is #GP at the SYSCALL");
	check_tally(&kept, "S1: and loads nothing");
	check_tally(&rcx, "S1: a non-canonical RCX of the supervisor's is a number like others");
}

/* Canonical, but not the guest's: the return is done, the fetch faults. */
static void not_the_guests(void)
{
	static const u64 list[] = {
		0xffffffff80000000ul, 0xffffffff80200000ul, 0xffffffffc0000000ul,
		0xfffffffffffff000ul, 0xffffffffffffffffu, PVM_SYNTHETIC_CPUID_ADDR,
	};
	struct tally user = { 0 }, supervisor = { 0 };

	for (unsigned i = 0; i < array_size(list); i++) {
		u64 by;

		fill_registers();
		fill_pvcs(list[i]);
		by = attack(attack_retu);
		tally(&user, was_user_event(by, VEC_PF, list[i]) || was_user_event(by, VEC_GP, list[i]),
		      list[i]);
		return_at(list[i], 0, 0);
		by = attack(attack_rets);
		tally(&supervisor, was_exception(by, VEC_PF, list[i]) || was_exception(by, VEC_GP, list[i]),
		      list[i]);
	}
	check_tally(&user, "S1: a return to user mode at the host's addresses faults there");
	check_tally(&supervisor, "S1: a return to supervisor mode at the host's addresses faults there");
}

static u8 *last_page;
static u64 lower_half_end;

/* @insn in the last @size bytes of the lower half. */
static u64 at_the_end(u32 insn, unsigned size)
{
	memcpy(last_page + PAGE_SIZE - size, &insn, size);
	return lower_half_end - size;
}

static void map_last_page(void)
{
	u64 pa = page_alloc(), va;

	lower_half_end = 1ul << (address_bits() - 1);
	va = lower_half_end - PAGE_SIZE;
	last_page = phys_to_virt(pa);
	*pte_of(boot_space.user_root, va, 1, true) = pa | PTE_P | PTE_U;
	*pte_of(boot_space.supervisor_root, va, 1, true) = pa | PTE_P | PTE_U;
	hc_tlb_flush();
}

/* SMEP: in single CR3 it is one of the modes'. */
static void give_it_to_the_supervisor(void)
{
	u64 *pte = pte_of(boot_space.supervisor_root, lower_half_end - PAGE_SIZE, 1, false);

	if (SINGLE_CR3)
		*pte &= ~(u64)PTE_U;
	hc_tlb_flush();
}

static void user_at_the_end(void)
{
	u64 start = at_the_end(INSN_SYSCALL, 2), by;

	fill_registers();
	fill_pvcs(start);
	check(attack(attack_retu) == BY_SYSCALL, "S1: user SYSCALL in the last two bytes comes in");
	check_eq(pvcs()->rip, lower_half_end, "S1: RIP is after the lower half");
	check_eq(pvcs()->rcx, lower_half_end, "S1: so is RCX");
	check(was_exception(attack(attack_retu), VEC_GP, (u64)attack_retu), "S1: and no return leads there");

	fill_pvcs(at_the_end(INSN_INT3, 1));
	by = attack(attack_retu);
	check(was_user_event(by, VEC_BP, lower_half_end), "S1: INT3 in the last byte is #BP");
	fill_registers();
	check(was_exception(attack(attack_retu), VEC_GP, (u64)attack_retu), "S1: and no return leads there");

	fill_pvcs(at_the_end(INSN_NOP, 1));
	by = attack(attack_retu);
	check(was_user_event(by, VEC_GP, lower_half_end) || was_user_event(by, VEC_PF, lower_half_end),
	      "S1: running out of the lower half faults in user mode");
	fill_pvcs(at_the_end(INSN_CPUID, 2));
	by = attack(attack_retu);
	check(was_user_event(by, VEC_GP, lower_half_end) || was_user_event(by, VEC_PF, lower_half_end),
	      "S1: so does CPUID at the end");
}

static void supervisor_at_the_end(void)
{
	static const u64 numbers[] = {
		0x7fff0000, PVM_HC_IRQ_WIN, PVM_HC_IRQ_HLT, PVM_HC_TLB_FLUSH, PVM_HC_RDMSR, PVM_HC_LOAD_GS,
	};
	u64 start = at_the_end(INSN_SYSCALL, 2), by;
	struct tally t = { 0 };

	for (unsigned i = 0; i < array_size(numbers); i++) {
		fill_registers();
		attack_in.gpr[RAX] = numbers[i];
		tally(&t, was_exception(attack((void *)start), VEC_GP, lower_half_end), numbers[i]);
	}
	check_tally(&t, "S1: a hypercall in the last two bytes is followed by #GP");
	check(hc_wrmsr(MSR_PVM_RETU_RIP, start) == 0, "S1: MSR_PVM_RETU_RIP may be there");
	fill_pvcs((u64)attack_user_syscall);
	check(attack((void *)start) == BY_SYSCALL, "S1: and returns to user mode");
	hc_wrmsr(MSR_PVM_RETU_RIP, (u64)attack_retu);
	start = at_the_end(INSN_CPUID, 2);
	fill_registers();
	by = attack((void *)start);
	check(was_exception(by, VEC_GP, lower_half_end) || was_exception(by, VEC_PF, lower_half_end),
	      "S1: CPUID in the last two bytes is followed by a fault");
	start = at_the_end(INSN_INT3, 1);
	check(was_exception(attack((void *)start), VEC_BP, lower_half_end), "S1: INT3 in the last byte");
	start = at_the_end(INSN_UD2, 2);
	check(was_exception(attack((void *)start), VEC_UD, start), "S1: UD2 in the last two bytes");
}

void guest_main(void)
{
	attack_begin();
	visit_user_mode();
	return_to_user();
	return_to_supervisor();
	not_the_guests();
	if (has_upper_half()) {
		map_last_page();
		user_at_the_end();
		give_it_to_the_supervisor();
		supervisor_at_the_end();
	} else {
		skip("S1: the end of the lower half: not the guest's here");
	}
	attack_end();
}
