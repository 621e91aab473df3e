/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * S12: debug exceptions where the switcher is most easily caught: TF and
 * breakpoints on SYSCALL and on the entries, MOV SS that puts a #DB off until
 * the host's first instruction, breakpoints on the host's own addresses, GD.
 *
 * spec: Discarded #DB, Underlying DR7
 */
#include "attack.h"

#define TOP_2G 0xffffffff80000000ul

static user_data u32 selector_word;	/* a good SS; watched */

#define MOV_SS "	movw	(%rdi), %ss\n"
/* User code: MOV SS with a watched operand, then one way out. */
USER_CODE(user_ss_syscall, MOV_SS "user_ss_syscall_at:	syscall\n	ud2\n");
USER_CODE(user_ss_int3, MOV_SS "user_ss_int3_at:	int3\n	ud2\n");
USER_CODE(user_ss_icebp, MOV_SS "user_ss_icebp_at:	.byte 0xf1\n	ud2\n");
USER_CODE(user_ss_int80, MOV_SS "user_ss_int80_at:	int	$0x80\n	ud2\n");
USER_CODE(user_ss_ud2, MOV_SS "user_ss_ud2_at:	ud2\n");
USER_CODE(user_ss_hlt, MOV_SS "user_ss_hlt_at:	hlt\n");
extern const char user_ss_syscall_at[], user_ss_int3_at[], user_ss_icebp_at[], user_ss_int80_at[];
extern const char user_ss_ud2_at[], user_ss_hlt_at[];

/* Supervisor code: the same, then on. */
SUPERVISOR_CODE(ss_hypercall, MOV_SS "ss_hypercall_at:	syscall\n	jmp	attack_through\n");
SUPERVISOR_CODE(ss_retu, MOV_SS "ss_retu_at:	syscall\n	ud2\n");
SUPERVISOR_CODE(ss_int3, MOV_SS "	int3\n	ud2\n");
SUPERVISOR_CODE(ss_ud2, MOV_SS "	ud2\n");
SUPERVISOR_CODE(ss_cpuid, MOV_SS "	.byte 0x0f, 0x01, 0x3c, 0x25, 0x50, 0x56, 0x4d, 0xff, 0x0f, 0xa2\n"
	  "	jmp	attack_through\n");
extern const char ss_retu_at[];

#define SET_TF "	pushfq\n	orl	$0x100, (%rsp)\n	popfq\n"
SUPERVISOR_CODE(tf_hypercall, SET_TF "tf_hypercall_at:	syscall\n	nop\n	nop\n	ud2\n");
SUPERVISOR_CODE(tf_retu, SET_TF "tf_retu_at:	syscall\n	ud2\n");
extern const char tf_hypercall_at[], tf_retu_at[];
extern const char attack_syscall_entry[];

static void watch(unsigned n, u64 address, u64 type, unsigned size)
{
	switch (n) {
	case 0: write_reg(dr0, address); break;
	case 1: write_reg(dr1, address); break;
	case 2: write_reg(dr2, address); break;
	default: write_reg(dr3, address); break;
	}
	write_reg(dr6, DR6_FIXED);
	write_reg(dr7, DR7_FIXED | DR7_LOCAL(n) | DR7_TYPE(n, type, size));
}

static void quiet(void)
{
	write_reg(dr7, DR7_FIXED);
	write_reg(dr6, DR6_FIXED);
}

static u64 user_at(const char *code, u32 flags)
{
	fill_registers();
	attack_in.gpr[RDI] = (u64)&selector_word;
	fill_pvcs((u64)code);
	pvcs()->eflags = flags;
	return attack(attack_retu);
}

static u64 supervisor_at(const char *code)
{
	fill_registers();
	attack_in.gpr[RAX] = PVM_HC_IRQ_WIN;
	attack_in.gpr[RDI] = (u64)&selector_word;
	attack_in.gpr[RSP] -= 256;
	return attack(code);
}

static void trap_flag(void)
{
	const u32 tf = FLAG_FIXED | FLAG_IF | FLAG_TF;
	u64 by, rip;

	quiet();
	check_eq(user_at(attack_user_syscall, tf), BY_SYSCALL, "S12: TF at user SYSCALL: it comes in");
	check(pvcs()->eflags == tf && pvcs()->r11 == tf && attack_out.rflags == (FLAG_FIXED | FLAG_IF),
	      "S12: TF is in what was saved and nowhere else");
	check_eq(read_reg(dr6), DR6_FIXED, "S12: and there was no #DB");
	by = supervisor_at(tf_hypercall);
	rip = by == BY_EXCEPTION ? exception_rip() : 0;
	check(by == BY_EXCEPTION && rip >= (u64)tf_hypercall_at + 2 && rip <= (u64)tf_hypercall_at + 3,
	      "S12: TF at a hypercall: #DB after it or one instruction on");
	quiet();
	hc_wrmsr(MSR_PVM_RETU_RIP, (u64)tf_retu_at);
	fill_pvcs((u64)attack_user_syscall);
	by = supervisor_at(tf_retu);
	check_eq(by, BY_SYSCALL, "S12: TF at EVENT_RETURN_USER does not reach user mode");
	hc_wrmsr(MSR_PVM_RETU_RIP, (u64)attack_retu);
}

static void breakpoints(void)
{
	u64 by;

	watch(0, (u64)attack_user_syscall, DR7_EXECUTE, 1);
	by = user_at(attack_user_syscall, FLAG_FIXED | FLAG_IF);
	check(was_user_event(by, VEC_DB, (u64)attack_user_syscall), "S12: a breakpoint on user SYSCALL");
	by = user_at(attack_user_syscall, FLAG_FIXED | FLAG_IF | FLAG_RF);
	check_eq(by, BY_SYSCALL, "S12: with RF it is made");
	fill_registers();
	fill_pvcs_for_sysret((u64)attack_user_syscall, FLAG_FIXED | FLAG_IF | FLAG_RF);
	check_eq(attack(attack_retu), BY_SYSCALL, "S12: also where SYSRET would do, but for RF");
	watch(1, (u64)attack_retu, DR7_EXECUTE, 1);
	by = user_at(attack_user_syscall, FLAG_FIXED | FLAG_IF);
	check(was_exception(by, VEC_DB, (u64)attack_retu), "S12: a breakpoint on EVENT_RETURN_USER");
	watch(2, (u64)attack_hypercall, DR7_EXECUTE, 1);
	check(was_exception(supervisor_at(attack_hypercall), VEC_DB, (u64)attack_hypercall),
	      "S12: a breakpoint on a hypercall");
	watch(3, (u64)attack_syscall_entry, DR7_EXECUTE, 1);
	by = user_at(attack_user_syscall, FLAG_FIXED | FLAG_IF);
	check(was_exception(by, VEC_DB, (u64)attack_syscall_entry),
	      "S12: a breakpoint on the entry that SYSCALL leads to");
	quiet();
}

struct ss_case {
	const char *code, *at, *what;
	u64 by;
	u32 vector;
};

/* The #DB comes before the second instruction, or not at all, or after it where
 * that is still user mode: never in the supervisor, never in the host. */
static void mov_ss_in_user_mode(void)
{
	static const struct ss_case cases[] = {
		{ user_ss_syscall, user_ss_syscall_at, "S12: MOV SS, SYSCALL", BY_SYSCALL, 0 },
		{ user_ss_int3, user_ss_int3_at, "S12: MOV SS, INT3", BY_USER_EVENT, VEC_BP },
		{ user_ss_icebp, user_ss_icebp_at, "S12: MOV SS, ICEBP", BY_USER_EVENT, VEC_DB },
		{ user_ss_int80, user_ss_int80_at, "S12: MOV SS, INT 0x80", BY_USER_EVENT, VEC_SYSCALL32 },
		{ user_ss_ud2, user_ss_ud2_at, "S12: MOV SS, #UD", BY_USER_EVENT, VEC_UD },
		{ user_ss_hlt, user_ss_hlt_at, "S12: MOV SS, #GP", BY_USER_EVENT, VEC_GP },
	};

	for (unsigned i = 0; i < array_size(cases); i++) {
		const struct ss_case *c = &cases[i];
		struct tally t = { 0 };

		for (unsigned n = 0; n < 16; n++) {
			u64 by;

			watch(n & 3, (u64)&selector_word, n & 4 ? DR7_ACCESS : DR7_WRITE | DR7_ACCESS, 4);
			by = user_at(c->code, FLAG_FIXED | FLAG_IF | (n & 8 ? FLAG_TF : 0));
			tally(&t, (by == c->by && (by == BY_SYSCALL || pvcs()->event_vector == c->vector)) ||
			      was_user_event(by, VEC_DB, (u64)c->at), by << 32 | pvcs()->event_vector);
		}
		check_tally(&t, c->what);
		quiet();
		check_eq(user_at(attack_user_syscall, FLAG_FIXED | FLAG_IF), BY_SYSCALL,
			 label(c->what, "and user mode can be run as before"));
	}
}

static void mov_ss_in_supervisor_mode(void)
{
	static const struct ss_case cases[] = {
		{ ss_hypercall, 0, "S12: MOV SS, hypercall", BY_THROUGH, 0 },
		{ ss_retu, 0, "S12: MOV SS, EVENT_RETURN_USER", BY_SYSCALL, 0 },
		{ ss_int3, 0, "S12: MOV SS, INT3 in supervisor mode", BY_EXCEPTION, 0 },
		{ ss_ud2, 0, "S12: MOV SS, #UD in supervisor mode", BY_EXCEPTION, 0 },
		{ ss_cpuid, 0, "S12: MOV SS, an emulated instruction", BY_THROUGH, 0 },
	};

	hc_wrmsr(MSR_PVM_RETU_RIP, (u64)ss_retu_at);
	for (unsigned i = 0; i < array_size(cases); i++) {
		struct tally t = { 0 };

		for (unsigned n = 0; n < 8; n++) {
			u64 by;

			watch(n & 3, (u64)&selector_word, DR7_ACCESS, 4);
			fill_pvcs((u64)attack_user_syscall);
			by = supervisor_at(cases[i].code);
			tally(&t, by == cases[i].by || by == BY_EXCEPTION, by);
		}
		check_tally(&t, cases[i].what);
		quiet();
	}
	hc_wrmsr(MSR_PVM_RETU_RIP, (u64)attack_retu);
	check_eq(user_at(attack_user_syscall, FLAG_FIXED | FLAG_IF), BY_SYSCALL,
		 "S12: and user mode can be run as before");
}

/* Breakpoints of every type on addresses of the host's: none is ever hit. */
static void on_the_host(void)
{
	struct tally t = { 0 };

	for (unsigned i = 0; i < 1200; i++) {
		u64 base = i < 600 ? TOP_2G + i * 64 : TOP_2G + 0x100000 + (i - 600) * 4096, by;

		write_reg(dr0, base);
		write_reg(dr1, base + 8);
		write_reg(dr2, base + 16);
		write_reg(dr3, base + (i & 63));
		write_reg(dr7, DR7_FIXED | 0xff | DR7_TYPE(0, DR7_ACCESS, 8) | DR7_TYPE(1, DR7_WRITE, 8) |
			  DR7_TYPE(2, DR7_ACCESS, 8) | DR7_TYPE(3, DR7_EXECUTE, 1));
		by = user_at(attack_user_syscall, FLAG_FIXED | FLAG_IF);
		tally(&t, by == BY_SYSCALL && supervisor_at(attack_hypercall) == BY_THROUGH &&
		      read_reg(dr6) == DR6_FIXED, base);
		quiet();
	}
	check_tally(&t, "S12, M7: breakpoints on the host's addresses are never hit");
	write_reg(dr7, DR7_FIXED | DR7_GD);
	check_eq(user_at(attack_user_syscall, FLAG_FIXED | FLAG_IF), BY_SYSCALL,
		 "S12: GD set: a SYSCALL, and the host can still use its debug registers");
	check_eq(supervisor_at(attack_hypercall), BY_THROUGH, "S12: and a hypercall");
}

void guest_main(void)
{
	selector_word = user_ss();
	attack_begin();
	trap_flag();
	breakpoints();
	mov_ss_in_user_mode();
	mov_ss_in_supervisor_mode();
	on_the_host();
	attack_end();
}
