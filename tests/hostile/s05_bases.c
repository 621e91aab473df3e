/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * S5: FS and GS bases that look like the host's, at each way out of user mode
 * and at hypercalls. A switcher that trusts the GS base it finds is lost here;
 * and no base but the guest's own may ever be read back.
 */
#include "attack.h"

#define SEED 0x5505
#define SYSTEM_CALL 0

/* RDI to the GS base, RSI to the FS base, and out. */
#define BASES "	wrgsbase %rdi\n	wrfsbase %rsi\n"
USER_CODE(user_base_syscall, BASES "	syscall\n	ud2\n");
USER_CODE(user_base_ud2, BASES "	ud2\n");
USER_CODE(user_base_int3, BASES "	int3\n");
USER_CODE(user_base_int80, BASES "	int	$0x80\n");
USER_CODE(user_base_hlt, BASES "	hlt\n");
USER_CODE(user_base_cpuid, BASES "	xorl	%eax, %eax\n	cpuid\n	ud2\n");
USER_CODE(user_base_swapgs, BASES "	swapgs\n	ud2\n");
USER_CODE(user_base_pf, BASES "	movq	%gs:(%rdi), %rax\n	ud2\n");
USER_CODE(user_base_read, "	rdgsbase %r8\n	rdfsbase %r9\n	syscall\n	ud2\n");

/* In supervisor mode, then on to attack_through. */
SUPERVISOR_CODE(base_hypercall, BASES "	syscall\n	jmp	attack_through\n");
SUPERVISOR_CODE(base_cpuid, BASES "	movl $0x40000000, %eax\n	cpuid\n	jmp	attack_through\n");
SUPERVISOR_CODE(base_clts, BASES "	clts\n	jmp	attack_through\n");
SUPERVISOR_CODE(base_rdmsr, BASES "	movl $0xc0000082, %ecx\n	rdmsr\n	jmp	attack_through\n");
SUPERVISOR_CODE(base_ud2, BASES "	ud2\n	jmp	attack_through\n");
SUPERVISOR_CODE(base_int80, BASES "	int $0x80\n	jmp	attack_through\n");

static const u64 looks[] = {
	0, 1, 0x1000, 0x7ffffffff000, 0x7fffffffffff, 0xffff800000000000, 0xffff888000000000,
	0xffffc90000000000, 0xffffffff80000000, 0xffffffff80008000, 0xffffffff81000000,
	0xffffffffbffff000, 0xffffffffc0000000, 0xfffffffffffff000, 0xffffffffffffffff,
};

static u64 pick(unsigned i)
{
	u64 v = random64();

	if (i < array_size(looks))
		return looks[i];
	return v & 1 ? v >> 17 : ~(v >> 17);
}

struct way {
	const char *code, *what;
	u64 by;
	u32 vector;
};

static bool comes_back(u64 gs, u64 fs)
{
	attack_in.gpr[RDI] = attack_in.gpr[RSI] = 0;
	pvcs()->rip = (u64)user_base_read;
	set_user_rsp(user_stack_top() - 64);
	__asm__ volatile("wrfsbase %0" : : "r"(fs));
	return attack(attack_retu) == BY_SYSCALL && attack_out.gpr[R8] == gs && attack_out.gpr[R9] == fs;
}

static void from_user_mode(void)
{
	static const struct way ways[] = {
		{ user_base_syscall, "S5: SYSCALL with any bases", BY_SYSCALL, SYSTEM_CALL },
		{ user_base_ud2, "S5: #UD with any bases", BY_USER_EVENT, VEC_UD },
		{ user_base_int3, "S5: INT3 with any bases", BY_USER_EVENT, VEC_BP },
		{ user_base_int80, "S5: INT 0x80 with any bases", BY_USER_EVENT, VEC_SYSCALL32 },
		{ user_base_hlt, "S5: #GP with any bases", BY_USER_EVENT, VEC_GP },
		{ user_base_cpuid, "S5: CPUID with any bases", BY_USER_EVENT, VEC_UD },
		{ user_base_swapgs, "S5: SWAPGS with any bases", BY_USER_EVENT, VEC_GP },
	};
	u64 own = hc_rdmsr(MSR_GS_BASE);

	for (unsigned w = 0; w < array_size(ways); w++) {
		struct tally t = { 0 };

		for (unsigned i = 0; i < 100; i++) {
			u64 gs = pick(i), fs = i & 1 ? ~gs : gs, by;
			bool ok;

			fill_registers();
			attack_in.gpr[RDI] = gs;
			attack_in.gpr[RSI] = fs;
			fill_pvcs((u64)ways[w].code);
			by = attack(attack_retu);
			ok = by == ways[w].by && (by == BY_SYSCALL || pvcs()->event_vector == ways[w].vector);
			ok &= pvcs()->user_gsbase == gs && attack_out.gsbase == own &&
			      attack_out.fsbase == fs;
			tally(&t, ok && comes_back(gs, fs), gs);
		}
		check_tally(&t, ways[w].what);
	}
}

/* A load through the base: nothing of the host's is there. */
static void through_the_base(void)
{
	struct tally t = { 0 };

	for (unsigned i = 5; i < array_size(looks); i++) {
		u64 by;

		fill_registers();
		attack_in.gpr[RDI] = looks[i];
		fill_pvcs((u64)user_base_pf);
		by = attack(attack_retu);
		tally(&t, by == BY_USER_EVENT && (pvcs()->event_vector == VEC_PF ||
		      pvcs()->event_vector == VEC_GP), looks[i]);
	}
	check_tally(&t, "S5: a load through a base at the host's addresses faults");
}

static void from_supervisor_mode(void)
{
	static const struct way ways[] = {
		{ base_hypercall, "S5: a hypercall keeps any bases", BY_THROUGH, 0 },
		{ base_cpuid, "S5: so does CPUID", BY_THROUGH, 0 },
		{ base_clts, "S5: so does CLTS", BY_THROUGH, 0 },
		{ base_rdmsr, "S5: so does RDMSR", BY_THROUGH, 0 },
		{ base_ud2, "S5: so does an exception", BY_EXCEPTION, 0 },
		{ base_int80, "S5: so does INT 0x80", BY_INTERRUPT, 0 },
	};

	for (unsigned w = 0; w < array_size(ways); w++) {
		struct tally t = { 0 };

		for (unsigned i = 0; i < 100; i++) {
			u64 gs = pick(i), fs = ~gs;

			fill_registers();
			attack_in.gpr[RAX] = PVM_HC_IRQ_WIN;
			attack_in.gpr[RDI] = gs;
			attack_in.gpr[RSI] = fs;
			tally(&t, attack(ways[w].code) == ways[w].by && attack_out.gsbase == gs &&
			      attack_out.fsbase == fs, gs);
		}
		check_tally(&t, ways[w].what);
	}
}

/* A base that no CPU takes: only in the PVCS and in MSRs can it be named. */
static void not_canonical(void)
{
	u64 list[NON_CANONICAL_MAX];
	unsigned n = non_canonical(list);
	struct tally pvcs_base = { 0 }, msr = { 0 };

	for (unsigned i = 0; i < n; i++) {
		fill_registers();
		fill_pvcs((u64)user_base_read);
		pvcs()->user_gsbase = list[i];
		tally(&pvcs_base, attack(attack_retu) == BY_SYSCALL, list[i]);
		/* Bits above 57 are garbage whatever the host's width. */
		fill_pvcs((u64)user_base_read);
		pvcs()->user_gsbase = (u64)(i + 1) << 57 | (i & 1 ? ~0ul >> 7 : 0x1000);
		tally(&pvcs_base, attack(attack_retu) == BY_SYSCALL &&
		      attack_out.gpr[R8] == (i & 1 ? ~0ul : 0x1000), list[i]);
		tally(&msr, hc_wrmsr(MSR_KERNEL_GS_BASE, list[i]) != 0 &&
		      hc_wrmsr(MSR_GS_BASE, list[i]) != 0 && hc_wrmsr(MSR_FS_BASE, list[i]) != 0, list[i]);
	}
	check_tally(&pvcs_base, "S5: PVCS::user_gsbase may be anything");
	check_tally(&msr, "S5: the base MSRs refuse what is not canonical");
}

void guest_main(void)
{
	seed_random(SEED);
	attack_begin();
	from_user_mode();
	through_the_base();
	from_supervisor_mode();
	not_canonical();
	attack_end();
}
