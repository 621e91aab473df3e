/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * S11: a user program with a PKRU of its own makes system calls while a timer ticks, so that some ticks come
 * in its kernel's first instructions. The kernel, which has no keys, is never run under it: one that
 * denies key 0 would end it. And the program keeps what flags it has.
 */
#include "stub_text.h"

#define ROUNDS		6000
#define FLAG_ROUNDS	100
#define OSPKE		(1 << 4)	/* CPUID 7 ECX */
#define FLAG_ID		(1 << 21)
#define KEY0_DENIED	1u
#define KEY1_DENIED	0xcu

USER_CODE(user_key0, "	xorl %ecx, %ecx\n	xorl %edx, %edx\n	movl $1, %eax\n	wrpkru\n	syscall\n	ud2\n");
USER_CODE(user_key1, "	xorl %ecx, %ecx\n	xorl %edx, %edx\n	movl $0xc, %eax\n	wrpkru\n	syscall\n	ud2\n");
USER_CODE(user_work, "	movq $200000, %rcx\n1:	decq %rcx\n	jnz 1b\n	syscall\n	ud2\n");

static u32 rdpkru(void)
{
	u32 low, high;

	__asm__ volatile("rdpkru" : "=a"(low), "=d"(high) : "c"(0));
	return low;
}

static void wrpkru(u32 value)
{
	__asm__ volatile("wrpkru" : : "a"(value), "c"(0), "d"(0));
}

static void call_with(u64 program, u32 pkru, struct tally *kernels, struct tally *users)
{
	for (u64 round = 0; round < ROUNDS; round++) {
		u32 now;
		u64 by;

		fill_registers();
		fill_pvcs(program);
		set_user_rsp(user_stack_top() - 64);
		by = attack(attack_retu);
		now = rdpkru();
		tally(kernels, now == 0, round << 32 | now);
		if (now)
			wrpkru(0);
		if (by == BY_USER_EVENT && pvcs()->event_vector == STUB_TICK) {
			stub_ticks++;
			apic_eoi();
		} else {
			tally(users, by == BY_SYSCALL && pvcs()->pkru == pkru, round << 32 | pvcs()->pkru);
		}
	}
}

/* Across ticks, with and without key 0. */
static void keep_flags(u32 pkru, struct tally *flags)
{
	for (u64 round = 0; round < FLAG_ROUNDS; round++) {
		u64 by;

		fill_registers();
		fill_pvcs((u64)user_work);
		set_user_rsp(user_stack_top() - 64);
		pvcs()->eflags = FLAG_FIXED | FLAG_IF | FLAG_ID;
		pvcs()->pkru = pkru;
		for (;;) {
			u64 rsp = attack_in.gpr[RSP];

			by = attack(attack_retu);
			tally(flags, pvcs()->eflags & FLAG_ID, pvcs()->eflags);
			if (by != BY_USER_EVENT || pvcs()->event_vector != STUB_TICK)
				break;
			stub_ticks++;
			apic_eoi();
			attack_in = attack_out;
			attack_in.gpr[RSP] = rsp;
		}
	}
}

void guest_main(void)
{
	struct tally kernels = { 0 }, users = { 0 }, flags = { 0 };

	if (!(cpuid(7, 0).ecx & OSPKE)) {
		skip("S11: PKRU: this CPU has no protection keys");
		return;
	}
	write_reg(cr4, read_reg(cr4) | CR4_PKE);
	attack_begin();
	stub_ticks_begin();
	call_with((u64)user_key1, KEY1_DENIED, &kernels, &users);
	call_with((u64)user_key0, KEY0_DENIED, &kernels, &users);
	keep_flags(0, &flags);
	keep_flags(KEY0_DENIED, &flags);
	stub_ticks_end();
	attack_end();
	check_tally(&kernels, "S11: the kernel's PKRU is never its program's");
	check_tally(&users, "S11: and the program keeps its own");
	check_tally(&flags, "N5: ticks take no flag from a program");
	check(stub_ticks > 0, "S11: while a timer ticks");
}
