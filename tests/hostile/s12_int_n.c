/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * S12: INT n for every n, in user mode, in 32-bit user mode and in supervisor
 * mode. Only 3, 4 and 0x80 are open to software; every other number is #GP at
 * the instruction, with the number in the error code, and no handler of the
 * host's runs.
 */
#include "attack.h"

#define STRIDE	8

/* 256 times INT n, with room for what follows. */
#define INTS(section, name) \
	extern const char name[]; \
	__asm__(".pushsection " section ", \"ax\", @progbits\n.balign 8\n.globl " #name "\n" #name ":\n" \
		".set n, 0\n.rept 256\n" \
		"	.byte 0xcd, n\n	ud2\n	.balign 8, 0xcc\n" \
		".set n, n + 1\n.endr\n.popsection")
INTS(".text", ints);
INTS(".user.text", user_ints);
SUPERVISOR_CODE(icebp, "	.byte	0xf1\n	ud2\n");
USER_CODE(user_icebp, "	.byte	0xf1\n	ud2\n");
USER_CODE(user_into, "	.byte	0xce\n	ud2\n");

static u64 insn(const char *first, unsigned n)
{
	return (u64)first + n * STRIDE;
}

static bool open_to_software(unsigned n)
{
	return n == VEC_BP || n == VEC_SYSCALL32;
}

static bool in_user_mode(unsigned n, u16 cs)
{
	u64 rip = insn(user_ints, n), by;

	fill_registers();
	fill_pvcs(rip);
	pvcs()->user_cs = cs;
	pvcs()->event_errcode = 0x7777;
	by = attack(attack_retu);
	if (open_to_software(n))
		return was_user_event(by, n, rip + 2);
	return was_user_event(by, VEC_GP, rip) && pvcs()->event_errcode == n * 8 + 2;
}

static bool in_supervisor_mode(unsigned n)
{
	u64 rip = insn(ints, n), by;

	fill_registers();
	by = attack((void *)rip);
	if (n == VEC_SYSCALL32)
		return by == BY_INTERRUPT && pvcs()->event_vector == n && pvcs()->rip == rip + 2;
	if (n == VEC_BP)
		return was_exception(by, n, rip + 2);
	return was_exception(by, VEC_GP, rip) &&
	       exception_errcode() == n * 8 + 2;
}

/* Some hypervisors below report the RIP of the instruction, not the next one: the line that is
 * printed must be the one of a plain process there, see icebp_process.c. */
static void icebp_in_both_modes(void)
{
	bool at;
	u64 by;

	fill_pvcs((u64)user_icebp);
	by = attack(attack_retu);
	at = pvcs()->rip == (u64)user_icebp;
	printf("icebp: RIP %s it\n", at ? "at" : "after");
	check(was_user_event(by, VEC_DB, (u64)user_icebp + !at), "S12: ICEBP in user mode is #DB");
	fill_registers();
	check(was_exception(attack(icebp), VEC_DB, (u64)icebp + !at), "S12: ICEBP in supervisor mode is #DB");
}

void guest_main(void)
{
	struct tally user = { 0 }, user32 = { 0 }, supervisor = { 0 };
	u64 of = insn(user_ints, VEC_OF), by;
	bool low = (u64)ints >> 32 == 0;

	attack_begin();
	for (unsigned n = 0; n < 256; n++) {
		if (n == VEC_OF)	/* INTO's gate: see below */
			continue;
		tally(&user, in_user_mode(n, user64_cs()), n);
		if (low)
			tally(&user32, in_user_mode(n, user32_cs()), n);
		tally(&supervisor, in_supervisor_mode(n), n);
	}
	check_tally(&user, "S12: INT n in 64-bit user mode: #BP, 0x80 or #GP");
	if (low)
		check_tally(&user32, "S12: the same in 32-bit user mode");
	else
		skip("S12: 32-bit user mode: the image is above 4 GiB");
	check_tally(&supervisor, "S12: the same in supervisor mode");
	fill_pvcs(of);
	by = attack(attack_retu);
	check(was_user_event(by, VEC_OF, of + 2) || was_user_event(by, VEC_GP, of),
	      "S12: INT 4 is #OF or #GP");

	icebp_in_both_modes();
	fill_pvcs((u64)user_into);
	by = attack(attack_retu);
	check(was_user_event(by, VEC_UD, (u64)user_into), "S12: INTO in 64-bit code is #UD");
	fill_pvcs((u64)attack_user_syscall);
	check_eq(attack(attack_retu), BY_SYSCALL, "S12: and user mode can be run as before");
	attack_end();
}
