/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * S10: what user mode and supervisor mode find in their registers is their own,
 * after every kind of exit and after many host interrupts: every general
 * register, XMM, the bases, debug registers and CR2. Nothing of the host's.
 */
#include "attack.h"

#define SPIN		2000000ul
#define DATA		USER_BASE

/* Spins RAX down; a host interrupt may come at any time. */
USER_CODE(user_spin, "1:	decq	%rax\n	jnz	1b\n	syscall\n	ud2\n");
SUPERVISOR_CODE(supervisor_spin, "1:	decq	%rax\n	jnz	1b\n	jmp	attack_through\n");
USER_CODE(user_touch, "	movq	%rax, (%rdi)\n	syscall\n	ud2\n");

#define EACH_XMM(do) do(0) do(1) do(2) do(3) do(4) do(5) do(6) do(7) do(8) do(9) do(10) do(11) do(12) \
	do(13) do(14) do(15)
#define SET_XMM(n) "	leaq	" #n "(%rax), %rbx\n	movq	%rbx, %xmm" #n "\n"
#define ADD_XMM(n) "	movq	%xmm" #n ", %rbx\n	xorq	%rbx, %r8\n	rolq	$5, %r8\n"
USER_CODE(user_set_xmm, EACH_XMM(SET_XMM) "	syscall\n	ud2\n");
USER_CODE(user_sum_xmm, "	xorl	%r8d, %r8d\n" EACH_XMM(ADD_XMM) "	syscall\n	ud2\n");

static u64 sum(u64 first)
{
	u64 s = 0;

	for (u64 i = 0; i < 16; i++) {
		s ^= first + i;
		s = s << 5 | s >> 59;
	}
	return s;
}

static bool only(u32 changed)
{
	return kept_registers(changed);
}

static void general_registers(void)
{
	const u32 entry = 1 << RCX | 1 << R11;
	bool right = true;

	fill_registers();
	attack_in.gpr[RAX] = SPIN;
	fill_pvcs((u64)user_spin);
	check_eq(attack(attack_retu), BY_SYSCALL, "S10: user mode spins through host interrupts");
	check(only(entry | 1 << RAX) && attack_out.gpr[RAX] == 0, "S10: and has its own registers after them");
	check(pvcs()->r11 == pvcs()->eflags && pvcs()->rcx == pvcs()->rip, "S10: RCX and R11, too");
	fill_registers();
	attack_in.gpr[RAX] = SPIN;
	check_eq(attack(supervisor_spin), BY_THROUGH, "S10: supervisor mode spins through host interrupts");
	check(only(1 << RAX), "S10: and has its own registers after them");

	for (unsigned i = 0; i < 64; i++) {
		u64 va = DATA + i * PAGE_SIZE;

		map_user(&boot_space, va, page_alloc(), PTE_USER_RW);
		hc_invlpg(va);
		fill_registers();
		attack_in.gpr[RDI] = va;
		fill_pvcs((u64)user_touch);
		right &= attack(attack_retu) == BY_SYSCALL && only(entry);
	}
	check(right, "S10: user mode has its own registers after a fill of the shadow tables");
	right = true;
	for (u64 nr = PVM_HC_BASE; nr < PVM_HC_BASE + PVM_HC_COUNT; nr++) {
		fill_registers();
		attack_in.gpr[RAX] = nr;
		if (nr == PVM_HC_LOAD_PGTBL || nr == PVM_HC_IRQ_HLT || nr == PVM_HC_WRMSR)
			continue;
		right &= attack(attack_hypercall) == BY_THROUGH &&
			 only(1 << RAX | 1 << RCX | 1 << R11) &&
			 attack_out.gpr[RCX] == (u64)attack_hypercall_next;
	}
	check(right, "S10: hypercalls change RAX, RCX and R11 alone");
	attack(attack_hypercall);
}

static void rcx_and_r11_of_hypercalls(void)
{
	struct tally t = { 0 };

	for (unsigned i = 0; i < 64; i++) {
		fill_registers();
		attack_in.gpr[RAX] = i & 1 ? PVM_HC_IRQ_WIN : 0x7fff0000;
		attack_in.gpr[RCX] = random64();
		attack_in.gpr[R11] = random64();
		attack(attack_hypercall);
		tally(&t, attack_out.gpr[RCX] == (u64)attack_hypercall_next &&
		      (attack_out.gpr[R11] & ~(u64)FLAG_RF & ~(u64)FLAG_ARITH) == (FLAG_FIXED | FLAG_IF),
		      attack_out.gpr[RCX] ^ attack_out.gpr[R11]);
	}
	check_tally(&t, "S10: RCX is RIP and R11 is RFLAGS after a hypercall");
}

static void xmm_registers(void)
{
	struct tally t = { 0 };

	for (unsigned i = 0; i < 64; i++) {
		u64 first = random64();
		bool ok;

		fill_registers();
		attack_in.gpr[RAX] = first;
		fill_pvcs((u64)user_set_xmm);
		ok = attack(attack_retu) == BY_SYSCALL;
		hc_tlb_flush();
		attack_in.gpr[RAX] = SPIN / 100;
		fill_pvcs((u64)user_spin);
		attack(attack_retu);
		fill_pvcs((u64)user_sum_xmm);
		ok &= attack(attack_retu) == BY_SYSCALL;
		tally(&t, ok && attack_out.gpr[R8] == sum(first), i);
	}
	check_tally(&t, "S10: XMM0 to XMM15 are the guest's after exits of all kinds");
}

static void debug_registers_and_cr2(void)
{
	write_reg(cr2, 0x123456789abcul);
	write_reg(dr0, 0x1111);
	write_reg(dr1, 0x2222);
	write_reg(dr2, 0x3333);
	write_reg(dr3, 0x4444);
	fill_registers();
	attack_in.gpr[RAX] = SPIN;
	fill_pvcs((u64)user_spin);
	attack(attack_retu);
	check(read_reg(dr0) == 0x1111 && read_reg(dr1) == 0x2222 && read_reg(dr2) == 0x3333 &&
	      read_reg(dr3) == 0x4444, "S10: DR0 to DR3 are the guest's");
	check(read_reg(dr6) == DR6_FIXED && read_reg(dr7) == DR7_FIXED, "S10: DR6 and DR7, too");
	check_eq(read_reg(cr2), 0x123456789abcul, "S10: CR2 is the guest's");
}

void guest_main(void)
{
	seed_random(0x5a10);
	write_reg(dr7, DR7_FIXED);
	write_reg(dr6, DR6_FIXED);
	attack_begin();
	general_registers();
	rcx_and_r11_of_hypercalls();
	xmm_registers();
	debug_registers_and_cr2();
	attack_end();
}
