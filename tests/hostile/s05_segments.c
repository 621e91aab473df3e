/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * S5: every selector there is into the segment registers and into far returns,
 * calls and IRETs: only flat user segments can be had, at CPL 3, and what is
 * loaded survives or is null. From 32-bit code in supervisor mode, too.
 */
#include "attack.h"

#define SELECTORS	0x10000u
#define LOW_SELECTORS	0x200u	/* indexes 0..63 with every RPL and TI */

SUPERVISOR_CODE(far_return, "	pushq	%rdi\n	pushq	%rsi\nfar_return_at:	lretq\n");
SUPERVISOR_CODE(int_return, "	pushq	%rdx\n	pushq	%rcx\n	pushfq\n	pushq	%rdi\n	pushq	%rsi\n"
	  "int_return_at:	iretq\n");
SUPERVISOR_CODE(far_call, "	lcall	*(%rbx)\n");
SUPERVISOR_CODE(far_target, "	ud2\n");
extern const char far_return_at[], int_return_at[];

/* 32-bit code for supervisor mode: one instruction each. */
SUPERVISOR_CODE(code32_ud2, "	ud2\n");
SUPERVISOR_CODE(code32_syscall, "	syscall\n	ud2\n");
SUPERVISOR_CODE(code32_sysenter, "	sysenter\n	ud2\n");
SUPERVISOR_CODE(code32_int80, "	int	$0x80\n	ud2\n");
SUPERVISOR_CODE(code32_int3, "	int3\n	ud2\n");

static bool readable(u16 sel)
{
	bool zf;

	__asm__ volatile("verr %w1" : "=@ccz"(zf) : "r"((u32)sel));
	return zf;
}

static int load(unsigned reg, u16 sel)
{
	u64 gs = read_gsbase();

	switch (reg) {
	case 0: return TRY("movw %w0, %%ds", : "r"((u32)sel) : "memory");
	case 1: return TRY("movw %w0, %%es", : "r"((u32)sel) : "memory");
	case 2: return TRY("movw %w0, %%fs", : "r"((u32)sel) : "memory");
	default:
		return TRY_BETWEEN("", "movw %w0, %%gs", "wrgsbase %1", : "r"((u32)sel), "r"(gs) : "memory");
	}
}

static u16 read_segment(unsigned reg)
{
	u32 sel = 0;

	switch (reg) {
	case 0: __asm__ volatile("movw %%ds, %w0" : "+r"(sel)); break;
	case 1: __asm__ volatile("movw %%es, %w0" : "+r"(sel)); break;
	case 2: __asm__ volatile("movw %%fs, %w0" : "+r"(sel)); break;
	default: __asm__ volatile("movw %%gs, %w0" : "+r"(sel)); break;
	}
	return (u16)sel;
}

static bool load_is_right(unsigned reg, u16 sel)
{
	bool null = sel < 4;
	int vector = load(reg, sel);

	if (null || readable(sel))
		return vector == NO_TRAP && (read_segment(reg) == sel || read_segment(reg) < 4);
	return vector == VEC_GP && trap.errcode == (sel & 0xfffcu);
}

static void data_segments(void)
{
	struct tally low = { 0 }, all = { 0 }, stack = { 0 }, ldt = { 0 };
	unsigned visible = 0;
	u16 own_ss = read_ss();

	for (u32 sel = 0; sel < SELECTORS; sel++) {
		visible += readable((u16)sel);
		if (sel & 4)
			tally(&ldt, !readable((u16)sel), sel);
	}
	check(visible <= 4 * 8, "S5: few selectors name anything");
	printf("# %u of %u\n", visible, SELECTORS);
	check_tally(&ldt, "S5: the LDT is empty");
	for (u32 sel = 0; sel < LOW_SELECTORS; sel++)
		for (unsigned reg = 0; reg < 4; reg++)
			tally(&low, load_is_right(reg, (u16)sel), sel);
	check_tally(&low, "S5: DS, ES, FS, GS: each selector of the first 64 entries loads or is #GP");
	for (u32 sel = LOW_SELECTORS; sel < SELECTORS; sel++)
		tally(&all, load_is_right((sel ^ sel >> 3) & 3, (u16)sel), sel);
	check_tally(&all, "S5: and all the others");
	for (unsigned reg = 0; reg < 4; reg++)
		load(reg, 0);
	for (u32 sel = 0; sel < LOW_SELECTORS; sel++) {
		int vector = TRY("movw %w0, %%ss", : "r"(sel) : "memory");

		tally(&stack, vector == NO_TRAP ? readable((u16)sel) && (sel & 3) == 3 :
		      vector == VEC_GP && trap.errcode == (sel & 0xfffc), sel);
		__asm__ volatile("movw %w0, %%ss" : : "r"((u32)own_ss));
	}
	check_tally(&stack, "S5: SS: user data, or #GP");
}

/* An exception at the far transfer itself, naming the selector. */
static bool refused_at(u64 by, const char *at, u32 sel)
{
	return (was_exception(by, VEC_GP, (u64)at) || was_exception(by, VEC_NP, (u64)at)) &&
	       exception_errcode() == (sel & 0xfffc);
}

static bool is_code(u32 sel)
{
	return sel == user64_cs() || (sel == user32_cs() && (u64)far_target >> 32 == 0);
}

static void far_transfers(void)
{
	struct tally ret = { 0 }, iret = { 0 }, call = { 0 };
	u8 pointer[16];

	for (u32 sel = 0; sel < SELECTORS; sel += sel < 0x1000 ? 1 : 61) {
		u64 by;

		if (sel == user32_cs() && !is_code(sel))
			continue;
		fill_registers();
		attack_in.gpr[RDI] = sel;
		attack_in.gpr[RSI] = (u64)far_target;
		by = attack(far_return);
		tally(&ret, is_code(sel) ? was_exception(by, VEC_UD, (u64)far_target) :
		      refused_at(by, far_return_at, sel), sel);
		attack_in.gpr[RDX] = user_ss();
		attack_in.gpr[RCX] = attack_stack() - 512;
		by = attack(int_return);
		tally(&iret, is_code(sel) ? was_exception(by, VEC_UD, (u64)far_target) :
		      refused_at(by, int_return_at, sel), sel);
		if ((sel | 3) == user64_cs() || (sel | 3) == user32_cs())
			continue;	/* a call may name a lower RPL: CPL stays 3 */
		*(u32 *)pointer = (u32)(u64)far_target;
		*(u16 *)(pointer + 4) = (u16)sel;
		attack_in.gpr[RBX] = (u64)pointer;
		tally(&call, refused_at(attack(far_call), far_call, sel), sel);
	}
	check_tally(&ret, "S5: a far return goes to user code at CPL 3, or is #GP");
	check_tally(&iret, "S5: so does IRETQ");
	check_tally(&call, "S5: there is no far call elsewhere");
}

static u64 run32(const char *code)
{
	fill_registers();
	attack_in.gpr[RDI] = user32_cs();
	attack_in.gpr[RSI] = (u64)code;
	attack_in.gpr[RBP] = attack_stack() - 64;	/* Linux's SYSENTER reads there first */
	return attack(far_return);
}

static void code32_in_supervisor_mode(void)
{
	u64 by;

	check(was_exception(run32(code32_ud2), VEC_UD, (u64)code32_ud2),
	      "S5: 32-bit code in supervisor mode: #UD");
	check(was_exception(run32(code32_int3), VEC_BP, (u64)code32_int3 + 1), "S5: its INT3");
	check_eq(run32(code32_int80), BY_INTERRUPT, "S5: its INT 0x80");
	/* Where it stands then is the host's choice: Linux has a landing pad. */
	check_eq(run32(code32_sysenter), BY_EXCEPTION, "S5: its SYSENTER");
	by = run32(code32_syscall);
	check(by == BY_EXCEPTION, "S5: its SYSCALL is an exception");
	fill_pvcs((u64)attack_user_syscall);
	check_eq(attack(attack_retu), BY_SYSCALL, "S5: and user mode can be run as before");
}

void guest_main(void)
{
	data_segments();
	attack_begin();
	far_transfers();
	if ((u64)code32_ud2 >> 32 == 0)
		code32_in_supervisor_mode();
	else
		skip("S5: 32-bit code in supervisor mode: the image is above 4 GiB");
	attack_end();
}
