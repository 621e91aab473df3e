/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * S5, S12: selectors that are not what they were when the hypervisor looked last:
 * TLS entries that go away under loaded segment registers, and a CS that a far
 * return has changed.
 */
#include "attack.h"

USER_CODE(user_nothing, "	syscall\n	ud2\n");
/* From 32-bit code to 64-bit code, which makes a system call. */
USER_CODE(user_up, "	.code32\n	pushl	%edx\n	pushl	%esi\n	lret\n	.code64\n");

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

#define TLS_DATA 0x00cff3000000fffful	/* flat, writable, DPL 3 */

/* Descriptors that go away under loaded selectors, in both modes: the host, which loads
 * them again for the guest, must not fault. */
static void dangling_selectors(void)
{
	struct tally t = { 0 };
	struct user u;

	for (unsigned i = 0; i < 48; i++) {
		u64 desc[3] = { TLS_DATA, TLS_DATA, TLS_DATA };
		u16 sel = (u16)((hc_load_tls(TLS_DATA, TLS_DATA, TLS_DATA) + i % 3) << 3 | 3);
		unsigned reg = i / 3 % 4;
		bool ok = load(reg, sel) == NO_TRAP && read_segment(reg) == sel;

		desc[i % 3] = i < 24 ? 0 : TLS_DATA & ~(1ul << 47);
		hc_load_tls(desc[0], desc[1], desc[2]);
		hc_tlb_flush();
		run_user(&u, user_nothing, 0);
		ok &= read_segment(reg) == sel || read_segment(reg) < 4;
		tally(&t, ok && u.left_by == LEFT_BY_SYSCALL, sel | reg << 16);
		load(reg, 0);
	}
	hc_load_tls(0, 0, 0);
	check_tally(&t, "S5: TLS entries go away under selectors that are loaded");
}

/* The selectors that a SYSCALL saves are those of the code that makes it. */
static void up_from_32_bits(void)
{
	fill_registers();
	attack_in.gpr[RDX] = user64_cs();
	attack_in.gpr[RSI] = (u64)user_nothing;
	fill_pvcs((u64)user_up);
	pvcs()->user_cs = user32_cs();
	check_eq(attack(attack_retu), BY_SYSCALL, "S5: a far return from 32-bit code, then SYSCALL");
	check_eq(pvcs()->user_cs, user64_cs(), "S5: it saves the 64-bit CS");
	check_eq(pvcs()->user_ss, user_ss(), "S5: and SS");
}

void guest_main(void)
{
	dangling_selectors();
	attack_begin();
	up_from_32_bits();
	attack_end();
}
