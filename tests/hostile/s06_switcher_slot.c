/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * S6, M1, M2: the guest's own tables map everything from the top-level slot of
 * the switcher on to a page of its own. Touching it must fault all the same, in
 * both modes; nothing of the switcher's is read, written or executed, and no
 * error code tells where the switcher is.
 */
#include "attack.h"

#ifndef STEP
#define STEP		(512 * KiB)	/* through the top 2 GiB; PAGE_SIZE in the long run */
#endif
/* In top-level slot 510, or 511. */
#define TOP_2G		(paging_levels() == 5 ? 0xfffeffff80000000ul : 0xffffffff80000000ul)
#define DENSE		(2 * MiB)	/* page by page from there */
#define MARK		0x5a5a5a5a5a5a5a5aul
#define TABLE_ALL	(PTE_P | PTE_W | PTE_U)

USER_CODE(user_read, "	movq	(%rdi), %rax\n	syscall\n");
USER_CODE(user_write, "	movq	%rsi, (%rdi)\n	syscall\n");
USER_CODE(user_jump, "	jmp	*%rdi\n");
SUPERVISOR_CODE(supervisor_read, "	movq	(%rdi), %rax\n	jmp	attack_through\n");
SUPERVISOR_CODE(supervisor_write, "	movq	%rsi, (%rdi)\n	jmp	attack_through\n");
SUPERVISOR_CODE(supervisor_jump, "	jmp	*%rdi\n");

/* A table below which every address is the page @pa. */
static u64 everywhere(u64 pa, int level)
{
	u64 entry = level == 1 ? pa : everywhere(pa, level - 1), table = page_alloc();

	for (unsigned i = 0; i < 512; i++)
		((u64 *)phys_to_virt(table))[i] = entry | TABLE_ALL;
	return table;
}

/* Fill the upper half of both roots where the guest has nothing itself. */
static void map_the_slot(void)
{
	u64 page = page_alloc(), table;

	for (unsigned i = 0; i < PAGE_SIZE / 8; i++)
		((u64 *)phys_to_virt(page))[i] = MARK;
	table = everywhere(page, paging_levels() - 1);
	for (unsigned i = 256; i < 512; i++) {
		u64 *supervisor = (u64 *)phys_to_virt(boot_space.supervisor_root) + i;
		u64 *user = (u64 *)phys_to_virt(boot_space.user_root) + i;

		if (!(*supervisor & PTE_P))
			*supervisor = table | TABLE_ALL;
		if (!(*user & PTE_P))
			*user = table | TABLE_ALL;
	}
	hc_tlb_flush();
}

struct probe {
	const char *code, *what;
	bool user, jump;
	u32 errcode;		/* of a #PF; all alike */
	struct tally t;
};

static struct probe probes[] = {
	{ .code = supervisor_read, .what = "S6: supervisor mode reads nothing of the slot" },
	{ .code = supervisor_write, .what = "S6: supervisor mode writes nothing there" },
	{ .code = supervisor_jump, .what = "S6: supervisor mode executes nothing there", .jump = true },
	{ .code = user_read, .what = "S6: user mode reads nothing of the slot", .user = true },
	{ .code = user_write, .what = "S6: user mode writes nothing there", .user = true },
	{ .code = user_jump, .what = "S6: user mode executes nothing there", .user = true, .jump = true },
};

static void probe(struct probe *p, u64 va)
{
	u64 rip = p->jump ? va : (u64)p->code, by;
	u32 errcode;
	bool ok;

	attack_in.gpr[RDI] = va;
	if (p->user) {
		pvcs()->rip = (u64)p->code;
		by = attack(attack_retu);
		ok = was_user_event(by, VEC_PF, rip);
		errcode = pvcs()->event_errcode;
	} else {
		by = attack(p->code);
		ok = was_exception(by, VEC_PF, rip);
		errcode = ok ? exception_errcode() : 0;
	}
	ok &= pvcs()->cr2 == va;
	if (!p->t.tried)
		p->errcode = errcode;
	tally(&p->t, ok && errcode == p->errcode, va);
}

static void probe_all(u64 from, u64 size, u64 step)
{
	for (u64 at = 0; at < size; at += step)
		for (unsigned i = 0; i < array_size(probes); i++)
			probe(&probes[i], from + at);
}

static void report(void)
{
	for (unsigned i = 0; i < array_size(probes); i++) {
		check_tally(&probes[i].t, probes[i].what);
		check(!(probes[i].errcode & (PF_P | PF_RSVD)),
		      label(probes[i].what, "to the guest nothing is present"));
	}
}

/* A process has no upper half at all: its kernel says #GP or #PF as it likes. */
static void only_that_it_faults(void)
{
	struct tally t = { 0 };

	for (u64 at = 0; at < 2 * GiB; at += 2 * MiB) {
		u64 by;

		attack_in.gpr[RDI] = TOP_2G + at;
		by = attack(supervisor_read);
		tally(&t, was_exception(by, VEC_PF, (u64)supervisor_read) ||
		      was_exception(by, VEC_GP, (u64)supervisor_read), TOP_2G + at);
	}
	check_tally(&t, "S6: supervisor mode reads nothing of the upper half");
}

void guest_main(void)
{
	fill_pvcs(0);
	map_the_slot();
	attack_begin();
	if (has_upper_half()) {
		probe_all(TOP_2G, DENSE, PAGE_SIZE);
		probe_all(TOP_2G + DENSE, 2 * GiB - DENSE, STEP);
		probe_all(TOP_2G - 512 * MiB, 512 * MiB, 8 * MiB);
		probe_all(-512 * GiB, 500 * GiB, 10 * GiB + 12 * KiB);
		report();
	} else {
		only_that_it_faults();
		skip("S6: the switcher's slot: there is none here");
	}
	attack_end();
}
