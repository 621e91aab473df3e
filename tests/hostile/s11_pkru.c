/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * S11: user mode locks every protection key and leaves by each way there is:
 * the supervisor has its own PKRU, and the user's comes back. Supervisor mode
 * locks its own keys and makes hypercalls: neither engine nor switcher faults on them.
 */
#include "attack.h"

#define PKRU_ALL	0xffffffffu
#define PKRU_NO_WRITE	0xaaaaaaaau
#define CPUID_7_ECX_OSPKE (1 << 4)

/* RDI to PKRU, and out. */
#define LOCK "	movl	%edi, %eax\n	xorl	%ecx, %ecx\n	xorl	%edx, %edx\n	wrpkru\n"
USER_CODE(user_lock_syscall, LOCK "	syscall\n	ud2\n");
USER_CODE(user_lock_ud2, LOCK "	ud2\n");
USER_CODE(user_lock_int3, LOCK "	int3\n");
USER_CODE(user_lock_int80, LOCK "	int	$0x80\n");
USER_CODE(user_lock_hlt, LOCK "	hlt\n");
USER_CODE(user_lock_load, LOCK "	movq	(%rsp), %rax\n	ud2\n");
USER_CODE(user_rdpkru, "	xorl	%ecx, %ecx\n	rdpkru\n	movl	%eax, %r8d\n	syscall\n	ud2\n");
/* In supervisor mode: lock all, a hypercall, unlock. R12 keeps its result. */
SUPERVISOR_CODE(lock_hypercall,
	  "	movq	%rax, %r13\n" LOCK
	  "	movq	%r13, %rax\n"
	  "	syscall\n"
	  "	movq	%rax, %r12\n"
	  "	xorl	%ecx, %ecx\n	rdpkru\n	movl	%eax, %r14d\n"
	  "	xorl	%eax, %eax\n	xorl	%edx, %edx\n	xorl	%ecx, %ecx\n	wrpkru\n"
	  "	jmp	attack_through\n");

struct way {
	const char *code, *what;
	u64 by;
	u32 vector;
};

static u32 rdpkru(void)
{
	u32 value;

	__asm__ volatile("rdpkru" : "=a"(value) : "c"(0) : "rdx");
	return value;
}

static void from_user_mode(void)
{
	static const struct way ways[] = {
		{ user_lock_syscall, "S11: SYSCALL with locked keys", BY_SYSCALL, 0 },
		{ user_lock_ud2, "S11: #UD with locked keys", BY_USER_EVENT, VEC_UD },
		{ user_lock_int3, "S11: INT3 with locked keys", BY_USER_EVENT, VEC_BP },
		{ user_lock_int80, "S11: INT 0x80 with locked keys", BY_USER_EVENT, VEC_SYSCALL32 },
		{ user_lock_hlt, "S11: #GP with locked keys", BY_USER_EVENT, VEC_GP },
	};
	u32 own = rdpkru();

	for (unsigned w = 0; w < array_size(ways); w++) {
		struct tally t = { 0 }, back = { 0 };

		for (unsigned i = 0; i < 34; i++) {
			u32 keys = i < 32 ? 1u << i : i == 32 ? PKRU_ALL : PKRU_NO_WRITE;
			u64 by;

			fill_registers();
			attack_in.gpr[RDI] = keys;
			fill_pvcs((u64)ways[w].code);
			by = attack(attack_retu);
			tally(&t, by == ways[w].by &&
			      (by == BY_SYSCALL || pvcs()->event_vector == ways[w].vector) &&
			      pvcs()->pkru == keys && rdpkru() == own, keys);
			pvcs()->rip = (u64)user_rdpkru;
			tally(&back, attack(attack_retu) == BY_SYSCALL && attack_out.gpr[R8] == keys, keys);
		}
		check_tally(&t, ways[w].what);
		check_tally(&back, label(ways[w].what, "and they are still locked after the return"));
	}
}

static void it_is_in_force(void)
{
	u64 by;

	fill_registers();
	attack_in.gpr[RDI] = PKRU_ALL;
	fill_pvcs((u64)user_lock_load);
	by = attack(attack_retu);
	check(by == BY_USER_EVENT && pvcs()->event_vector == VEC_PF && (pvcs()->event_errcode & PF_PK),
	      "S11: a load under locked keys is #PF with the key's bit");
}

static void in_supervisor_mode(void)
{
	static const u64 numbers[] = {
		PVM_HC_IRQ_WIN, PVM_HC_TLB_FLUSH, PVM_HC_TLB_FLUSH_CURRENT, PVM_HC_LOAD_TLS, 0x7fff0000,
	};
	struct tally t = { 0 };

	for (unsigned i = 0; i < array_size(numbers); i++) {
		fill_registers();
		attack_in.gpr[RAX] = numbers[i];
		attack_in.gpr[RDI] = PKRU_ALL;
		tally(&t, attack(lock_hypercall) == BY_THROUGH && attack_out.gpr[R14] == PKRU_ALL,
		      numbers[i]);
	}
	check_tally(&t, "S11: hypercalls with all keys locked, which stay locked");
	check_eq(rdpkru(), 0, "S11: unlocked again");
	fill_pvcs((u64)attack_user_syscall);
	check_eq(attack(attack_retu), BY_SYSCALL, "S11: and user mode can be run as before");
}

void guest_main(void)
{
	u64 cr4 = read_reg(cr4);

	if (!(cpuid(7, 0).ecx & CPUID_7_ECX_OSPKE)) {
		skip("S11: the CPU has no protection keys");
		return;
	}
	write_reg(cr4, cr4 | CR4_PKE);
	attack_begin();
	from_user_mode();
	it_is_in_force();
	in_supervisor_mode();
	attack_end();
}
