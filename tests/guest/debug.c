/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Debug registers: instruction and data breakpoints, single-step, DR6, DR7,
 * general detect, and breakpoints that must never become active.
 *
 * spec: Underlying DR6; Underlying DR7; MSR_PVM_LINEAR_ADDRESS_RANGE
 */
#include "guest.h"

#define TOP_2G 0xffffffff81000000ul

static user_data u64 watched[2] __attribute__((aligned(16)));

USER_INSN(user_nops, "nop", "nop");
USER_INSN(user_store, "", "movl %esi, (%rdi)");
USER_INSN(user_load, "", "movl (%rdi), %eax");

static u64 read_dr6(void)
{
	return read_reg(dr6);
}

static void arm(unsigned n, u64 address, u64 type, unsigned size)
{
	switch (n) {
	case 0: write_reg(dr0, address); break;
	case 1: write_reg(dr1, address); break;
	case 2: write_reg(dr2, address); break;
	case 3: write_reg(dr3, address); break;
	}
	write_reg(dr6, DR6_FIXED);
	write_reg(dr7, DR7_FIXED | DR7_LOCAL(n) | DR7_TYPE(n, type, size));
}

static void disarm(void)
{
	write_reg(dr7, DR7_FIXED);
	write_reg(dr6, DR6_FIXED);
}

/* spec: C-015, C-016 */
static void registers(void)
{
	write_reg(dr0, 0x1111);
	write_reg(dr1, 0x2222);
	write_reg(dr2, 0x3333);
	write_reg(dr3, 0x4444);
	check(read_reg(dr0) == 0x1111 && read_reg(dr1) == 0x2222 && read_reg(dr2) == 0x3333 &&
	      read_reg(dr3) == 0x4444, "DR0 to DR3 read back");
	write_reg(dr6, 0);
	check_eq(read_dr6(), DR6_FIXED, "DR6 has its fixed bits");
	write_reg(dr7, 0);
	check_eq(read_reg(dr7), DR7_FIXED, "DR7 has its fixed bit");
	check_eq(TRY("movq %0, %%dr7", : "r"(1ul << 32)), VEC_GP, "DR7 with an upper bit is #GP");
	check_eq(TRY("movq %0, %%dr6", : "r"(1ul << 32)), VEC_GP, "DR6 with an upper bit is #GP");
}

static volatile u32 hits;	/* changed by the event handler, at any instruction */
static volatile u64 hit_rip, hit_dr6;
static bool keep_armed;

static bool on_debug(struct frame *frame)
{
	hits++;
	hit_rip = frame->hw.rip;
	hit_dr6 = read_dr6();
	if (!keep_armed)
		disarm();
	frame->hw.rflags &= ~(u64)FLAG_TF;
	frame->hw.rflags |= FLAG_RF;	/* go on over an instruction breakpoint */
	return true;
}

extern char store_next[], load_next[];

static noinline void store_watched(void)
{
	__asm__ volatile("movl $1, %0\n.globl store_next\nstore_next: nop" : "=m"(watched[0]));
}

static noinline void load_watched(void)
{
	__asm__ volatile("movq %0, %%rax\n.globl load_next\nload_next: nop" : : "m"(watched[0]) : "rax");
}

static void data_in_supervisor_mode(void)
{
	for (unsigned n = 0; n < 4; n++) {
		hits = 0;
		arm(n, (u64)&watched[0], DR7_WRITE, 4);
		store_watched();
		check(hits == 1 && (hit_dr6 & 0xf) == 1ul << n, "a write to a watched word is #DB, by its bit");
		if (n == 0)
			check_eq(hit_rip, (u64)store_next, "after the instruction");
		disarm();
	}
	hits = 0;
	arm(0, (u64)&watched[0], DR7_WRITE, 4);
	(void)read_once(watched[0]);
	write_once(watched[1], 1);
	check_eq(hits, 0, "a read, or a write beside it, is not");
	arm(0, (u64)&watched[0], DR7_ACCESS, 8);
	load_watched();
	check(hits == 1 && hit_rip == (u64)load_next, "a read of a word watched for access is #DB");
	hits = 0;
	arm(1, (u64)&watched[0] + 6, DR7_WRITE, 2);
	write_once(*(u32 *)&watched[0], 1);
	check_eq(hits, 0, "a length of 2 does not reach below");
	write_once(*((u8 *)&watched[0] + 7), 1);
	check_eq(hits, 1, "but its second byte");
	disarm();
}

static void code_in_supervisor_mode(void)
{
	extern char break_here[];
	u64 ran = 0;

	hits = 0;
	arm(2, (u64)break_here, DR7_EXECUTE, 1);
	keep_armed = true;
	__asm__ volatile("nop\n.globl break_here\nbreak_here: incq %0\n" : "+r"(ran));
	keep_armed = false;
	disarm();
	check(hits == 1 && hit_rip == (u64)break_here, "an instruction breakpoint is #DB before it");
	check_eq(hit_dr6 & 0xf, 4, "with its bit in DR6");
	check_eq(ran, 1, "and with RF set the instruction runs once");
}

static void steps_in_supervisor_mode(void)
{
	extern char step_next[], cli_next[];

	hits = 0;
	__asm__ volatile("pushfq; orl $0x100, (%%rsp); popfq\n"
			 "nop\n.globl step_next\nstep_next: nop\n" : : : "cc", "memory");
	check(hits == 1 && hit_rip == (u64)step_next, "TF: #DB after the next instruction");
	check(hit_dr6 & DR6_BS, "with BS in DR6");
	hits = 0;
	disarm();
	__asm__ volatile("pushfq; orl $0x100, (%%rsp); popfq\n"
			 "cli\n.globl cli_next\ncli_next: nop\n" : : : "cc", "memory");
	check(hits == 1 && hit_rip == (u64)cli_next, "TF: also after an emulated instruction");
	disarm();
}

/* DR7.GD. */
static void general_detect(void)
{
	hits = 0;
	on_event(VEC_DB, NULL);
	write_reg(dr7, DR7_FIXED | DR7_GD);
	check(TRY("movq %%dr0, %%rax", : : "rax") == VEC_DB, "GD: MOV DR is #DB");
	on_event(VEC_DB, on_debug);
	check_eq(trap.rip, trap.insn, "GD: before the instruction");
	check(read_dr6() & (1 << 13), "GD: BD in DR6");
	check(!(read_reg(dr7) & DR7_GD), "GD: cleared by the #DB");
	disarm();
}

/* spec: C-017, C-102 */
static void illegal_addresses(void)
{
	static const u64 addresses[] = { TOP_2G, 0xffff800000000000ul, PVM_SYNTHETIC_CPUID_ADDR };

	hits = 0;
	for (unsigned i = 0; i < array_size(addresses); i++) {
		arm(0, addresses[i], DR7_ACCESS, 1);
		check_eq(read_reg(dr0), addresses[i], "a breakpoint outside the legal ranges reads back");
		check(read_reg(dr7) & DR7_LOCAL(0), "and so does its enable bit");
		check(TRY("movb (%0), %%al", : "r"(addresses[i]) : "rax") != NO_TRAP && hits == 0,
		      "but it is not active");
		disarm();
	}
}

static void in_user_mode(void)
{
	struct user u;

	on_event(VEC_DB, NULL);
	arm(0, (u64)user_nops_at, DR7_EXECUTE, 1);
	run_user(&u, user_nops, 0);
	check(user_left_by_vector(&u, VEC_DB) && u.rip == (u64)user_nops_at,
	      "user mode: an instruction breakpoint");
	check_eq(read_dr6() & 0xf, 1, "user mode: its bit in DR6");
	u.rflags |= FLAG_RF;
	user_run(&u);
	check_eq(u.left_by, LEFT_BY_SYSCALL, "user mode: RF takes it over the breakpoint");

	arm(3, (u64)watched, DR7_WRITE, 4);
	run_user(&u, user_store, (u64)watched);
	check(user_left_by_vector(&u, VEC_DB) && u.rip == (u64)user_store_next, "user mode: a watched write");
	check_eq(read_dr6() & 0xf, 8, "user mode: its bit in DR6");
	arm(3, (u64)watched, DR7_WRITE, 4);
	run_user(&u, user_load, (u64)watched);
	check_eq(u.left_by, LEFT_BY_SYSCALL, "user mode: a read of it is none");
	disarm();

	user_init(&u, user_nops, user_stack_top(), 0);
	u.rflags |= FLAG_TF;
	user_run(&u);
	check(user_left_by_vector(&u, VEC_DB) && u.rip == (u64)user_nops + 1, "user mode: single step");
	check(read_dr6() & DR6_BS, "user mode: BS in DR6");
	check(u.rflags & FLAG_TF, "user mode: TF is in the saved RFLAGS");
	check_eq(u.entry_rflags & FLAG_TF, 0, "user mode: and clear in the handler");
	write_reg(dr6, DR6_FIXED);
	user_run(&u);
	check(user_left_by_vector(&u, VEC_DB) && u.rip == (u64)user_nops + 2, "user mode: the next step");
	disarm();
}

static void int3_is_no_debug_event(void)
{
	write_reg(dr6, DR6_FIXED);
	check_eq(TRY("int3"), VEC_BP, "INT3 is #BP");
	check_eq(read_dr6(), DR6_FIXED, "and leaves DR6 alone");
}

void guest_main(void)
{
	registers();
	disarm();
	on_event(VEC_DB, on_debug);
	data_in_supervisor_mode();
	code_in_supervisor_mode();
	steps_in_supervisor_mode();
	general_detect();
	illegal_addresses();
	in_user_mode();
	int3_is_no_debug_event();
}
