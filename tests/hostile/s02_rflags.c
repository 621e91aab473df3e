/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * S2: every bit of RFLAGS, alone and in random company, into user mode by
 * PVCS::eflags and into supervisor mode by a frame, or by the PVCS; and every bit that user
 * mode can set itself, at each way out of it.
 */
#include "attack.h"

#define SEED		0x5202
#define ROUNDS		2000
#define KEPT		(FLAG_ARITH | FLAG_DF | FLAG_NT | FLAG_AC | FLAG_ID)
#define ALWAYS		(FLAG_FIXED | FLAG_IF)
#define ENTRY_FLAGS	(FLAG_FIXED | FLAG_IF)

USER_CODE(user_flags,
	  "	pushfq\n"
	  "user_flags_stepped:\n"
	  "	popq	%r10\n"
	  "	syscall\n"
	  "	ud2\n");
extern const char user_flags_stepped[];

USER_CODE(user_r11,
	  "	movq	%r11, %r9\n"
	  "	pushfq\n"
	  "	popq	%r10\n"
	  "	syscall\n"
	  "	ud2\n");

/* Supervisor mode: flags from RDI, then a return. */
SUPERVISOR_CODE(set_retu, "	pushq	%rdi\n	popfq\n	jmp	attack_retu\n");
SUPERVISOR_CODE(set_rets, "	pushq	%rdi\n	popfq\n	jmp	attack_rets\n");

/* Flags from RDI, then one way out each. */
USER_CODE(user_set_syscall, "	pushq	%rdi\n	popfq\n	syscall\n	ud2\n");
USER_CODE(user_set_int3, "	pushq	%rdi\n	popfq\n	int3\n	ud2\n");
USER_CODE(user_set_int80, "	pushq	%rdi\n	popfq\n	int	$0x80\n	ud2\n");
USER_CODE(user_set_ud2, "	pushq	%rdi\n	popfq\n	ud2\n");
USER_CODE(user_set_hlt, "	pushq	%rdi\n	popfq\n	hlt\n	ud2\n");
USER_CODE(user_set_pf, "	pushq	%rdi\n	popfq\n	movb	0, %al\n	ud2\n");

/* To user mode with @flags; true if it sees what it should. */
static bool user_sees(u32 flags)
{
	u64 by;

	fill_pvcs((u64)user_flags);
	pvcs()->eflags = flags;
	by = attack(attack_retu);
	if (flags & FLAG_TF)
		return was_user_event(by, VEC_DB, (u64)user_flags_stepped) &&
		       pvcs()->eflags == ((flags & KEPT) | ALWAYS | FLAG_TF) &&
		       attack_out.rflags == ENTRY_FLAGS;
	return by == BY_SYSCALL && attack_out.gpr[R10] == ((flags & KEPT) | ALWAYS) &&
	       pvcs()->eflags == ((flags & KEPT) | ALWAYS) && attack_out.rflags == ENTRY_FLAGS;
}

static bool supervisor_sees(u64 flags)
{
	bool interrupts;
	u64 by;

	fill_supervisor(&(struct supervisor_context){
		.rip = (u64)attack_through, .rsp = attack_stack() - 512, .rflags = flags, .r11 = ~flags });
	by = attack(attack_rets);
	interrupts = irq_enabled();
	irq_disable();
	if (flags & FLAG_TF)
		return by == BY_EXCEPTION && attack_out.rflags == ENTRY_FLAGS;
	return by == BY_THROUGH && interrupts == !!(flags & FLAG_IF) &&
	       attack_out.gpr[R11] == ~flags && attack_out.rflags == ((flags & KEPT) | ALWAYS);
}

static void by_return(void)
{
	struct tally user = { 0 }, supervisor = { 0 };

	for (unsigned bit = 0; bit < 32; bit++)
		tally(&user, user_sees(1u << bit), 1u << bit);
	for (unsigned bit = 0; bit < 64; bit++)
		tally(&supervisor, supervisor_sees(1ul << bit), 1ul << bit);
	check_tally(&user, "S2: each bit of PVCS::eflags alone: user mode has what it may have");
	check_tally(&supervisor, "S2: each bit of the supervisor's RFLAGS alone");
	user = supervisor = (struct tally){ 0 };
	for (unsigned bit = 0; bit < 32; bit++)
		tally(&user, user_sees(~(1u << bit)), ~(1u << bit));
	for (unsigned bit = 0; bit < 64; bit++)
		tally(&supervisor, supervisor_sees(~(1ul << bit)), ~(1ul << bit));
	check_tally(&user, "S2: all bits of PVCS::eflags but one");
	check_tally(&supervisor, "S2: all bits of the supervisor's RFLAGS but one");
	user = supervisor = (struct tally){ 0 };
	for (unsigned i = 0; i < ROUNDS; i++) {
		u64 flags = random64();

		tally(&user, user_sees((u32)flags), (u32)flags);
		tally(&supervisor, supervisor_sees(flags), flags);
	}
	check_tally(&user, "S2: random PVCS::eflags");
	check_tally(&supervisor, "S2: random RFLAGS of the supervisor's");
}

/* R11, which SYSRET takes for RFLAGS, must not be one with them. */
static void r11_is_no_rflags(void)
{
	struct tally t = { 0 };

	for (unsigned bit = 0; bit < 64; bit++) {
		fill_pvcs_for_sysret((u64)user_r11, ALWAYS);
		pvcs()->r11 = 1ul << bit;
		tally(&t, attack(attack_retu) == BY_SYSCALL && attack_out.gpr[R9] == 1ul << bit &&
		      attack_out.gpr[R10] == ALWAYS, 1ul << bit);
		fill_pvcs((u64)user_flags);
		pvcs()->r11 = pvcs()->eflags = ALWAYS | FLAG_CF | FLAG_DF;
		tally(&t, attack(attack_retu) == BY_SYSCALL &&
		      attack_out.gpr[R10] == (ALWAYS | FLAG_CF | FLAG_DF), bit);
	}
	check_tally(&t, "S2: RFLAGS do not come from R11");
}

/* Flags that a SYSRET with R11 = RFLAGS would do, were it not for RF and TF. */
static void as_sysret_has_them(void)
{
	struct tally t = { 0 };

	for (unsigned bit = 0; bit < 32; bit++) {
		u32 flags = ALWAYS | 1u << bit, want = (flags & KEPT) | ALWAYS;
		u64 by;

		fill_pvcs_for_sysret((u64)user_flags, flags);
		by = attack(attack_retu);
		if (flags & FLAG_TF)
			tally(&t, was_user_event(by, VEC_DB, (u64)user_flags_stepped), flags);
		else
			tally(&t, by == BY_SYSCALL && attack_out.gpr[R10] == want, flags);
	}
	check_tally(&t, "S2: each bit in PVCS::eflags and R11 alike");
}

/* What supervisor mode has set itself when it returns: NT would make an IRET fault. */
static void by_leaving_supervisor_mode(void)
{
	struct tally user = { 0 }, supervisor = { 0 };

	for (unsigned bit = 0; bit < 32; bit++) {
		if (1u << bit == FLAG_TF)
			continue;
		fill_registers();
		attack_in.gpr[RDI] = 1ul << bit;
		fill_pvcs((u64)user_flags);
		tally(&user, attack(set_retu) == BY_SYSCALL && attack_out.gpr[R10] == ALWAYS, bit);
		fill_supervisor(&(struct supervisor_context){
			.rip = (u64)attack_through, .rsp = attack_stack() - 512 });
		tally(&supervisor, attack(set_rets) == BY_THROUGH && attack_out.rflags == ALWAYS, bit);
	}
	check_tally(&user, "S2: each bit set in supervisor mode, at EVENT_RETURN_USER");
	check_tally(&supervisor, "S2: each bit set in supervisor mode, at EVENT_RETURN_SUPERVISOR");
}

struct way {
	const char *code, *what;
	u64 by;
	u32 vector;
};

/* NT makes an IRET at CPL 0 fault, DF turns string instructions round, AC opens SMAP. */
static void by_leaving(void)
{
	static const struct way ways[] = {
		{ user_set_syscall, "S2: flags at SYSCALL", BY_SYSCALL, 0 },
		{ user_set_int3, "S2: flags at INT3", BY_USER_EVENT, VEC_BP },
		{ user_set_int80, "S2: flags at INT 0x80", BY_USER_EVENT, VEC_SYSCALL32 },
		{ user_set_ud2, "S2: flags at #UD", BY_USER_EVENT, VEC_UD },
		{ user_set_hlt, "S2: flags at #GP", BY_USER_EVENT, VEC_GP },
		{ user_set_pf, "S2: flags at #PF", BY_USER_EVENT, VEC_PF },
	};

	for (unsigned w = 0; w < array_size(ways); w++) {
		struct tally t = { 0 };

		for (unsigned i = 0; i < 256; i++) {
			u64 flags = i < 32 ? 1ul << i : random64(), by;

			flags &= ~(u64)FLAG_TF;
			fill_registers();
			attack_in.gpr[RDI] = flags;
			fill_pvcs((u64)ways[w].code);
			by = attack(attack_retu);
			tally(&t, by == ways[w].by && (by == BY_SYSCALL ||
			      pvcs()->event_vector == ways[w].vector) &&
			      (pvcs()->eflags & (KEPT | ALWAYS)) == ((flags & KEPT) | ALWAYS) &&
			      !(pvcs()->eflags & ~(KEPT | ALWAYS | FLAG_RF)) &&
			      attack_out.rflags == ENTRY_FLAGS, flags);
		}
		check_tally(&t, ways[w].what);
	}
}

void guest_main(void)
{
	seed_random(SEED);
	attack_begin();
	visit_user_mode();
	by_return();
	r11_is_no_rflags();
	as_sysret_has_them();
	by_leaving_supervisor_mode();
	by_leaving();
	attack_end();
}
