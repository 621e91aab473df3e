/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * HC_LOAD_TLS: three descriptors that end up in the host's GDT, made harmless
 * on the way, and used through a segment register in both modes.
 *
 * spec: PVM_HC_LOAD_TLS
 */
#include "guest.h"

#define DESC_TYPE(d)	((d) >> 40 & 0xf)
#define DESC_S		(1ul << 44)
#define DESC_DPL(n)	((u64)(n) << 45)
#define DESC_P		(1ul << 47)
#define DESC_L		(1ul << 53)
#define DESC_DB		(1ul << 54)
#define DESC_G		(1ul << 55)
#define TYPE_DATA_RW	(2ul << 40)
#define TYPE_CODE_RX	(10ul << 40)
#define TYPE_TSS	(9ul << 40)
#define LIMIT_MAX	0x000f00000000fffful
#define DATA		(LIMIT_MAX | TYPE_DATA_RW | DESC_S | DESC_DPL(3) | DESC_P | DESC_DB | DESC_G)

static u64 with_base(u64 desc, u64 base)
{
	return desc | (base & 0xffffff) << 16 | (base >> 24 & 0xff) << 56;
}

/* LAR's answer for a selector; 0: the CPU refuses it. */
static u64 access_rights(u64 sel)
{
	u64 rights = 0;

	__asm__ volatile("larq %1, %0; jz 1f; xorl %k0, %k0; 1:" : "=&r"(rights) : "r"(sel) : "cc");
	return rights;
}

/* May it be loaded into DS? */
static bool loads(u64 sel)
{
	return TRY_BETWEEN("", "movw %w0, %%ds", "", : "r"(sel)) == NO_TRAP;
}

static void unload(void)
{
	__asm__ volatile("movw %w0, %%ds; movw %w0, %%fs" : : "r"(0));
}

static void harmless(u64 desc, const char *what)
{
	u64 sel = hc_load_tls(desc, 0, 0) << 3 | 3;

	check(!loads(sel), what);
	unload();
}

static user_data u64 words[2] = { 0x1111, 0x2222 };

USER_CODE(user_by_fs,
	  "	movw	%di, %fs\n"
	  "	movq	%fs:8, %rax\n"
	  "	rdfsbase %rbx\n"
	  "	syscall\n"
	  "	ud2\n");

void guest_main(void)
{
	u64 base = (u64)words, index, value, sel;
	struct user u;

	/* spec: C-230, C-231, C-037, C-045 */
	index = hc_load_tls(with_base(DATA, base), with_base(DATA, base + 8), 0);
	check(index >= 1 && index < 32, "it returns a GDT index");
	sel = index << 3 | 3;
	check(loads(sel) && loads(sel + 8), "the first two entries can be loaded");
	unload();
	check(!loads(sel + 16), "the empty third can not");
	unload();
	check((access_rights(sel) >> 8 & 0xf3) == 0xf3, "present, data, writable, accessed, DPL 3");

	__asm__ volatile("movw %w1, %%fs; movq %%fs:8, %0; movw %w2, %%fs"
			 : "=&r"(value) : "r"(sel), "r"(0));
	check_eq(value, words[1], "the base counts: FS reaches the second word");
	__asm__ volatile("movw %w1, %%fs; movq %%fs:0, %0; movw %w2, %%fs"
			 : "=&r"(value) : "r"(sel + 8), "r"(0));
	check_eq(value, words[1], "the second entry has its own base");

	run_user(&u, user_by_fs, sel);
	check(u.left_by == LEFT_BY_SYSCALL && u.rax == words[1], "user mode reaches it as well");
	check_eq(u.rbx, base, "with the base of the descriptor");
	__asm__ volatile("movw %w0, %%fs" : : "r"(0));

	hc_load_tls(with_base(DATA, base + 8), 0, 0);
	run_user(&u, user_by_fs, sel);
	check_eq(u.rbx, base + 8, "a second LOAD_TLS changes the entry");
	__asm__ volatile("movw %w0, %%fs" : : "r"(0));

	hc_load_tls(DATA & ~DESC_DPL(3), 0, 0);
	check((access_rights(sel) >> 8 & 0x60) == 0x60 || !loads(sel), "DPL 0 becomes DPL 3, or nothing");
	unload();
	harmless(LIMIT_MAX | TYPE_CODE_RX | DESC_S | DESC_DPL(3) | DESC_P | DESC_L | DESC_G,
		 "64-bit code is not taken");
	harmless(LIMIT_MAX | TYPE_CODE_RX | DESC_S | DESC_P | DESC_L, "code of DPL 0 is not taken");
	harmless(LIMIT_MAX | TYPE_TSS | DESC_DPL(3) | DESC_P, "a TSS is not taken");
	harmless(DATA & ~DESC_P, "a descriptor that is not present is empty");
	harmless(0, "an empty one is empty");
}
