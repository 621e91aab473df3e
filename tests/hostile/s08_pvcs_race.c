/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * S8, M6: another vCPU changes the PVCS while the hypervisor reads it: each
 * field flips between good and impossible all the time. Every return to user
 * mode either happens with values that are allowed or is #GP; a check and a use
 * that read twice let one through that is neither.
 */
#include "attack.h"

#define SEED		0x5809
#ifndef ROUNDS
#define ROUNDS		20000
#endif
#define MOST_ROUNDS	(100 * ROUNDS)
#define BAD_RIP		0x0100000000000000ul
#define KEPT		(FLAG_ARITH | FLAG_DF | FLAG_NT | FLAG_AC | FLAG_ID)
#define ALWAYS		(FLAG_FIXED | FLAG_IF)

USER_CODE(user_here, "	movl	$1, %r8d\n	pushfq\n	popq	%r10\n	movq	%cs, %r13\n"
	  "	movq	%ss, %r14\n	syscall\n	ud2\n");
USER_CODE(user_there, "	movl	$2, %r8d\n	pushfq\n	popq	%r10\n	movq	%cs, %r13\n"
	  "	movq	%ss, %r14\n	syscall\n	ud2\n");

static u32 stop, flips;
static volatile struct guest_pvcs *victim;

/* What the other CPU does: no order, no pause. */
static void flip(void)
{
	u64 rips[] = { (u64)user_here, BAD_RIP, (u64)user_there, ~BAD_RIP };
	u16 cs[] = { user64_cs(), 0xffff, user64_cs(), 0x10 }, ss[] = { user_ss(), user_ss(), 0, user_ss() };
	u32 flags[] = { ALWAYS, 0xffffffff & ~(FLAG_TF | FLAG_RF | FLAG_NT), 0, FLAG_IOPL | FLAG_VM };

	while (!atomic_read(&stop)) {
		u64 r = random64();

		for (unsigned i = 0; i < 16; i++, r >>= 4) {
			victim->rip = rips[r & 3];
			victim->user_cs = cs[r >> 2 & 3];
			victim->user_ss = ss[i & 3];
			victim->eflags = flags[(r ^ i) & 3];
			victim->rcx = r;
			victim->r11 = ~r;
			victim->user_gsbase = i & 1 ? BAD_RIP : 0;
			/* Not single CR3's lock: the #GP of a refused return would end the VM. */
			victim->event_vector = SINGLE_CR3 ? 0xff : ~0u;
			victim->event_errcode = 0xffff;
			victim->reserved0[i % 5] = r;
			/* It may be caught with a good set, too. */
			victim->rip = rips[0];
			victim->user_cs = cs[0];
			victim->user_ss = ss[0];
		}
		atomic_add(&flips, 1);
	}
}

static bool right_in_user_mode(void)
{
	return (attack_out.gpr[R8] == 1 || attack_out.gpr[R8] == 2) &&
	       !(attack_out.gpr[R10] & ~(u64)(KEPT | ALWAYS)) && (attack_out.gpr[R10] & ALWAYS) == ALWAYS &&
	       attack_out.gpr[R13] == user64_cs() && attack_out.gpr[R14] == user_ss();
}

/* What is refused is #GP; in single CR3 the other CPU writes over what came of it. */
static bool refused_at(u64 by, const char *insn)
{
	return SINGLE_CR3 ? by == BY_EXCEPTION && kept_registers(1 << RSP | 1 << RCX | 1 << R11)
			  : was_exception(by, VEC_GP, (u64)insn);
}

static void race(void)
{
	struct tally t = { 0 };
	u64 ran = 0, refused = 0;

	/* A CPU that takes turns with the other shows few states of the PVCS: until both came. */
	for (unsigned i = 0; i < ROUNDS || (i < MOST_ROUNDS && !(ran && refused)); i++) {
		u64 by;
		bool ok;

		fill_registers();
		set_user_rsp(user_stack_top() - 64);
		victim->rip = (u64)user_here;	/* not where it left the last time */
		by = attack(attack_retu);
		ok = by == BY_SYSCALL ? right_in_user_mode() : refused_at(by, attack_retu);
		ran += by == BY_SYSCALL;
		refused += by == BY_EXCEPTION;
		tally(&t, ok, by << 32 | attack_out.gpr[R8]);
	}
	printf("# %lu returns, %lu refusals\n", ran, refused);
	check_tally(&t, "S8: a PVCS that changes while it is read: a right return or #GP");
	check(ran && refused, "S8: and both came");
}

/* The same with what EVENT_RETURN_SUPERVISOR loads, a frame or the PVCS. */
static u32 frame_turn;

#if SINGLE_CR3
static void set_flags(volatile struct guest_pvcs *p, u64 flags)
{
	p->eflags = (u32)flags;
}

static void go_back(u64 rsp)
{
	attack_in.gpr[RSP] = rsp;
}
#else
static void set_flags(volatile struct pvm_supervisor_frame *frame, u64 flags)
{
	frame->rflags = flags;
	frame->cs = frame->ss = flags ^ 0x5555;
}

/* The frame is where fill_supervisor() puts it. */
static void go_back(u64 rsp)
{
	struct pvm_supervisor_frame *frame = (void *)(attack_stack() - 1024);

	write_once(frame->rsp, rsp);
	attack_in.gpr[RSP] = (u64)frame;
}
#endif

static void flip_supervisor(void)
{
#if SINGLE_CR3
	volatile struct guest_pvcs *frame = victim;
#else
	volatile struct pvm_supervisor_frame *frame = (void *)(attack_stack() - 1024);
#endif

	while (!atomic_read(&stop)) {
		u64 r = random64();

		frame->rip = BAD_RIP;
		set_flags(frame, ~0ul & ~(u64)(FLAG_TF | FLAG_RF | FLAG_NT));
		frame->rcx = r;
		frame->rip = (u64)attack_through;
		set_flags(frame, (u64)ALWAYS);
		frame->r11 = r;
		atomic_add(&flips, 1);
	}
}

static void race_supervisor(void)
{
	struct tally t = { 0 };
	u64 ran = 0;

	for (unsigned i = 0; i < ROUNDS; i++) {
		u64 by;

		fill_registers();
		go_back(attack_stack() - 512);
		by = attack(attack_rets);
		irq_disable();
		ran += by == BY_THROUGH;
		tally(&t, by == BY_THROUGH ? !(attack_out.rflags & ~(u64)(KEPT | ALWAYS)) :
		      refused_at(by, attack_rets), by);
	}
	check_tally(&t, "S8: a frame that changes while it is read: a right return or #GP");
	check(ran, "S8: and some came through");
}

static void other_cpu(void)
{
	flip();
	atomic_set(&frame_turn, 1);
	while (atomic_read(&stop))
		cpu_relax();
	flip_supervisor();
	atomic_set(&frame_turn, 2);
}

void guest_main(void)
{
	seed_random(SEED);
	victim = pvcs();
	if (smp_count() < 2) {
		skip("S8: a PVCS changed by another vCPU: there is only one");
		return;
	}
	attack_begin();
	fill_pvcs((u64)user_here);
	smp_start(other_cpu);
	guest_assert(wait_for(&flips, 1, 10000));
	race();
	atomic_set(&stop, 1);
	guest_assert(wait_for(&frame_turn, 1, 10000));
	atomic_set(&flips, 0);
	atomic_set(&stop, 0);
	guest_assert(wait_for(&flips, 1, 10000));
	race_supervisor();
	atomic_set(&stop, 1);
	guest_assert(wait_for(&frame_turn, 2, 10000));
	fill_pvcs((u64)attack_user_syscall);
	check_eq(attack(attack_retu), BY_SYSCALL, "S8: and then user mode can be run as before");
	attack_end();
}
