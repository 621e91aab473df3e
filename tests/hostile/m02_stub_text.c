/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * M2, M9, M10: a rootless host has a page of its own code in every address space of
 * the guest, because it has nowhere else to be. A user program executes every byte
 * of it, with the registers of system calls that it would like to make and with random
 * ones, and writes over every page beside it that it can write, while a timer ticks. It gets no page
 * of its kernel's, its kernel gets every tick, and afterwards all is as before.
 */
#include "stub_text.h"

#define SECRET		0x5ec2e75ec2e75ec2ul
#define WANTED		(USER_BASE + GiB)	/* where it would like to see the kernel's page */
#define BEYOND		(HIGHEST_VA - PAGE_SIZE)
#ifndef ROUNDS
#define ROUNDS		2000
#endif

static u64 secret[PAGE_SIZE / sizeof(u64)] __attribute__((aligned(PAGE_SIZE)));

USER_CODE(user_read, "	movq	(%rdi), %rax\n	syscall\n	ud2\n");
USER_CODE(user_copy, "	cld\n	rep	movsb\n	syscall\n	ud2\n");

static bool user_has(u64 va)
{
	fill_registers();
	attack_in.gpr[RDI] = va;
	attack_in.gpr[RSP] = user_stack_top() - 64;
	return visit((u64)user_read) == BY_SYSCALL;
}

static bool secret_is_safe(void)
{
	return secret[0] == SECRET && !user_has(WANTED) &&
	       !user_has(HIGHEST_VA + virt_to_phys(secret) - PAGE_SIZE);
}

/* Numbers of Linux on x86-64, which such a host is. */
#define SYS_WRITE	1
#define SYS_MMAP	9
#define SYS_MPROTECT	10
#define SYS_MUNMAP	11
#define SYS_SIGPROCMASK	14
#define SYS_SIGRETURN	15
#define SYS_MREMAP	25
#define SYS_SIGALTSTACK	131
#define SYS_PKEY_MPROTECT 329
#define MAP_SHARED_FIXED_POPULATE 0x8011

struct call {
	u64 nr, arg[6];
};

static void set_call(const struct call *call)
{
	static const u8 registers[6] = { RDI, RSI, RDX, R10, R8, R9 };

	fill_registers();
	attack_in.gpr[RAX] = call->nr;
	for (unsigned i = 0; i < 6; i++)
		attack_in.gpr[registers[i]] = call->arg[i];
	attack_in.gpr[RSP] = user_stack_top() - 64;
}

static u64 text[PAGE_SIZE / sizeof(u64)];	/* the page of code, as the user program reads it */

static bool read_text(void)
{
	for (unsigned i = 0; i < PAGE_SIZE / sizeof(u64); i++) {
		if (!user_has(STUB_TEXT + i * sizeof(u64)))
			return false;
		text[i] = attack_out.gpr[RAX];
	}
	return true;
}

/* What wakes the other stub of a pair: it is behind what the monitor wakes one with. */
#define BY_MONITOR	0x100000000ul
#define BY_PEER		1ul

static u64 find_wake_up(void)
{
	for (unsigned i = 1; i < PAGE_SIZE / sizeof(u64); i++)
		if (text[i - 1] == BY_MONITOR && text[i] == BY_PEER)
			return STUB_TEXT + i * sizeof(u64);
	return 0;
}

/* Behind the last SYSCALL instruction. Where nothing can be read: a part of the page that is as large. */
static u64 find_calls_end(void)
{
	const u8 *bytes = (const u8 *)text;
	unsigned at = PAGE_SIZE - 1;

	if (!text[0])
		return STUB_TEXT + 0x400;
	while (at && (bytes[at - 1] != 0x0f || bytes[at] != 0x05))
		at--;
	return STUB_TEXT + at + 1;
}

/* Each byte of the page with each call: the descriptor of guest memory is a small number. */
static void call_everything(void)
{
	const bool has_text = read_text();
	const u64 wake_up = find_wake_up(), calls_end = find_calls_end();
	const u64 page = virt_to_phys(secret) & ~(PAGE_SIZE - 1);
	const struct call calls[] = {
		{ SYS_MMAP, { WANTED, PAGE_SIZE, 7, MAP_SHARED_FIXED_POPULATE, 5, page } },
		{ SYS_MMAP, { BEYOND, page + 2 * PAGE_SIZE, 7, MAP_SHARED_FIXED_POPULATE, 5, 0 } },
		{ SYS_MUNMAP, { STUB_TEXT, 0x10000 } },
		{ SYS_MPROTECT, { STUB_TEXT, PAGE_SIZE, 7 } },
		{ SYS_PKEY_MPROTECT, { STUB_TEXT + PAGE_SIZE, PAGE_SIZE, 3, 0 } },
		{ SYS_MREMAP, { STUB_TEXT, PAGE_SIZE, PAGE_SIZE, 3, WANTED } },
		{ SYS_SIGRETURN, { 0 } },
		{ SYS_SIGPROCMASK, { 2, STUB_TEXT, 0, 8 } },
		{ SYS_SIGALTSTACK, { STUB_TEXT, 0 } },
		{ SYS_WRITE, { 11, STUB_TEXT + PAGE_SIZE, 8 } },
		{ SYS_WRITE, { 12, wake_up, 8 } },
	};
	struct tally t = { 0 };

	for (unsigned c = 0; c < sizeof(calls) / sizeof(calls[0]); c++) {
		u64 end = c ? calls_end : STUB_TEXT + PAGE_SIZE;	/* all of the page once */

		for (u64 at = STUB_TEXT; at < end; at++) {
			set_call(&calls[c]);
			visit(at);
		}
		tally(&t, secret_is_safe(), c);
	}
	tally(&t, !has_text || wake_up, 0);	/* a host's that has code here */
	check_tally(&t, "M2: no system call of the host's code gives a user program anything");
}

/* Random registers, random bytes where they can be written, a random place. */
static void play_at_random(void)
{
	struct tally t = { 0 };

	seed_random(0x6d30327374756221);
	for (u64 round = 0; round < ROUNDS; round++) {
		visit_at_random(round);
		tally(&t, secret[0] == SECRET, round);
	}
	tally(&t, secret_is_safe(), ROUNDS);
	check_tally(&t, "M2: nor do random registers anywhere in it");
}

/* All pages beside the code that a user program can write, byte by byte. */
static void write_all_over(void)
{
	struct tally t = { 0 };

	for (u64 va = STUB_TEXT; va < STUB_END; va += PAGE_SIZE) {
		fill_registers();
		attack_in.gpr[RSI] = (u64)user_copy & ~(PAGE_SIZE - 1);
		attack_in.gpr[RDI] = va;
		attack_in.gpr[RCX] = 64;
		attack_in.gpr[RSP] = user_stack_top() - 64;
		visit((u64)user_copy);
		tally(&t, secret_is_safe(), va);
	}
	check_tally(&t, "M2: nor does what it writes beside it");
}

void guest_main(void)
{
	u64 before;

	secret[0] = SECRET;
	attack_begin();
	stub_ticks_begin();
	call_everything();
	write_all_over();
	play_at_random();
	before = stub_ticks;
	while (stub_ticks == before) {
		set_call(&(struct call){ 0 });
		visit((u64)user_read);
	}
	stub_ticks_end();
	check(stub_ticks > before, "M9: the kernel gets its ticks, whatever the user program executes");
	fill_registers();
	fill_pvcs((u64)attack_user_syscall);
	while (visit((u64)attack_user_syscall) == BY_USER_EVENT)
		;
	check(secret[0] == SECRET, "M2: the kernel's page is as it was");
	map_user(&boot_space, WANTED, page_alloc(), PTE_USER_RW);
	hc_invlpg(WANTED);
	check(user_has(WANTED), "M2: what its kernel maps there, it has");
	attack_end();
}
