/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * M3, M4: one table of the guest's and two roots of the hypervisor's. The U bit comes and
 * goes, at each level, of pages that both modes have just used; after a flush user mode
 * reaches nothing without it, and supervisor mode executes nothing with it, whoever was
 * there first and whatever the page's size.
 */
#include "attack.h"

#define SEED		0x3303
#define ROUNDS		4000
#define PLACES		5
#define LARGE		4		/* this place is a page of 2 MiB */
#define SUPERVISOR_AT	64		/* where in a page the supervisor enters it */

USER_CODE(user_read, "	movq	512(%rdi), %rax\n	syscall\n	ud2\n");
USER_CODE(user_write, "	movq	%rsi, 512(%rdi)\n	syscall\n	ud2\n");
USER_CODE(user_jump, "	jmp	*%rdi\n");
SUPERVISOR_CODE(supervisor_read, "	movq	512(%rdi), %rax\n	jmp	attack_through\n");
SUPERVISOR_CODE(supervisor_write, "	movq	%rsi, 512(%rdi)\n	jmp	attack_through\n");
SUPERVISOR_CODE(supervisor_jump, "	addq	$64, %rdi\n	jmp	*%rdi\n");

enum access { READ, WRITE, JUMP };

static struct tally user_refused, user_done, supervisor_refused, supervisor_done;

/* A GiB apart: each has tables of its own from level 3 down. */
static u64 va_of(unsigned place)
{
	return USER_BASE + place * GiB;
}

static int leaf_level(unsigned place)
{
	return place == LARGE ? 2 : 1;
}

/* SYSCALL for user mode, a jump to attack_through for the supervisor. */
static void fill_page(u64 pa)
{
	u8 *code = phys_to_virt(pa);

	memset(code, 0xcc, PAGE_SIZE);
	code[0] = 0x0f;
	code[1] = 0x05;
	code[SUPERVISOR_AT] = 0x48;		/* movabsq $attack_through, %rax; jmp *%rax */
	code[SUPERVISOR_AT + 1] = 0xb8;
	*(u64 *)(code + SUPERVISOR_AT + 2) = (u64)attack_through;
	code[SUPERVISOR_AT + 10] = 0xff;
	code[SUPERVISOR_AT + 11] = 0xe0;
}

static u64 *entry_of(unsigned place, int level)
{
	return pte_of(boot_space.supervisor_root, va_of(place), level, false);
}

static bool is_users(unsigned place)
{
	for (int level = leaf_level(place); level <= 3; level++)
		if (!(*entry_of(place, level) & PTE_U))
			return false;
	return true;
}

static void flush(unsigned place, unsigned how)
{
	switch (how & 3) {
	case 0: hc_invlpg(va_of(place)); break;
	case 1: hc_tlb_flush_current(); break;
	case 2: hc_tlb_flush(); break;
	default: space_load(&boot_space, true); break;
	}
}

static void by_user(unsigned place, enum access access)
{
	static const char *const code[] = { user_read, user_write, user_jump };
	static const u32 bit[] = { 0, PF_W, PF_I };
	u64 by, rip = access == JUMP ? va_of(place) : (u64)code[access];

	fill_registers();
	attack_in.gpr[RDI] = va_of(place);
	fill_pvcs((u64)code[access]);
	by = attack(attack_retu);
	if (is_users(place))
		tally(&user_done, by == BY_SYSCALL, (u64)place << 8 | access);
	else
		tally(&user_refused, was_user_event(by, VEC_PF, rip) &&
		      pvcs()->event_errcode == (PF_P | PF_U | bit[access]) && pvcs()->cr2 ==
		      va_of(place) + (access == JUMP ? 0 : 512), (u64)place << 8 | access);
}

static void by_supervisor(unsigned place, enum access access)
{
	static const char *const code[] = { supervisor_read, supervisor_write, supervisor_jump };
	u64 by;

	fill_registers();
	attack_in.gpr[RDI] = va_of(place);
	by = attack(code[access]);
	if (access == JUMP && is_users(place))
		tally(&supervisor_refused, was_exception(by, VEC_PF, va_of(place) + SUPERVISOR_AT) &&
		      exception_errcode() == (PF_P | PF_I), place);
	else
		tally(&supervisor_done, by == BY_THROUGH, (u64)place << 8 | access);
}

static void use(unsigned place, unsigned how)
{
	if (how & 4)
		by_user(place, how % 3);
	else
		by_supervisor(place, how % 3);
}

static void storm(void)
{
	for (unsigned round = 0; round < ROUNDS; round++) {
		u64 r = random64();
		unsigned place = r % PLACES;
		int level = leaf_level(place) + (int)((r >> 8 & 0xff) % (4 - (unsigned)leaf_level(place)));

		*entry_of(place, level) ^= PTE_U;
		flush(place, r >> 16);
		for (unsigned i = 0; i < 4; i++)
			use(place, (r >> (24 + 8 * i)) & 0xff);
	}
}

void guest_main(void)
{
	/* No NX, no SMEP; the guests that are there have it. */
	guest_assert(read_reg(cr4) & CR4_SMEP);
	seed_random(SEED);
	for (unsigned place = 0; place < PLACES; place++) {
		u64 pa = place == LARGE ? align_down(memory_end() - 4 * MiB, 2 * MiB) : page_alloc();

		fill_page(pa);
		map_user_large(&boot_space, va_of(place), pa, leaf_level(place), PTE_P | PTE_W | PTE_U);
	}
	attack_begin();
	storm();
	attack_end();
	check_tally(&user_refused, "M3: user mode reaches no page that lacks U at any level");
	check_tally(&user_done, "M3: and each page that has it");
	check_tally(&supervisor_refused, "M4: supervisor mode executes no page that has U");
	check_tally(&supervisor_done, "M4: and does all else");
}
