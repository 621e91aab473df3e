/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * 32-bit compatible user mode: its code runs, its exceptions and INT 0x80
 * arrive, the other ways to call a system do not work, and a far jump leads to
 * 64-bit user mode and back.
 *
 * spec: PVM modes and states; INT n; SYSENTER; MSR_CSTAR
 */
#include "guest.h"

#define NOT_MAPPED 0x60000000ul
#define STR_(x) #x
#define STR(x) STR_(x)

/* 32-bit code: DS and ES from EBX first, NULL would fault. */
#define USER32(name, body) \
	extern const char name##_at[], name##_next[]; \
	USER_CODE(name, "	.code32\n	movl %ebx, %ds\n	movl %ebx, %es\n" \
		  body "	.code64\n")
#define AT(name, insn) #name "_at:	" insn "\n" #name "_next:	int $0x80\n"

static user_data u32 word32 = 0xcafe1234;
static user_data u32 bounds[2] = { 1, 2 };

USER32(user32_int80,
       "	movl	(%edi), %eax\n"
       "	pushl	%eax\n"
       "	.byte	0x40\n"		/* INC EAX in 32-bit code, a REX prefix in 64-bit */
       AT(user32_int80, "nop"));
USER32(user32_de, "	xorl %ecx, %ecx\n" AT(user32_de, "divl %ecx"));
USER32(user32_bp, AT(user32_bp, "int3"));
USER32(user32_of, "	movb $0x7f, %al\n	addb $1, %al\n" AT(user32_of, "into"));
USER32(user32_br, "	xorl %eax, %eax\n" AT(user32_br, "bound %eax, (%edi)"));
USER32(user32_ud, AT(user32_ud, "ud2"));
USER32(user32_gp, AT(user32_gp, "hlt"));
USER32(user32_int, AT(user32_int, "int $0x22"));
USER32(user32_pf, AT(user32_pf, "movl %eax, (%edi)"));
USER32(user32_sysenter, AT(user32_sysenter, "sysenter"));
USER32(user32_syscall, AT(user32_syscall, "syscall"));
/* To 64-bit code by a far return, and back by another. */
USER32(user32_far,
       "	pushl	%edx\n"
       "	pushl	$1f\n"
       "	lret\n"
       "	.code64\n"
       "1:	movabsq	$0x1122334455667788, %r8\n"
       "	movl	$2f, %eax\n"
       "	pushq	%rsi\n"
       "	pushq	%rax\n"
       "	lretq\n"
       "	.code32\n"
       "2:	int	$0x80\n");

USER_INSN(user64_int80, "", "int $0x80");
USER_INSN(user64_sysenter, "", "sysenter");
#define NO_STACK 0xfffffff000ul

static void run32(struct user *u, const char *code, u64 edi)
{
	user_init(u, code, user_stack_top(), edi);
	u->cs = user32_cs();
	u->rbx = user_ss();
	u->rsi = user32_cs();
	u->rdx = user64_cs();
	user_run(u);
}

struct case32 {
	const char *what;
	const char *code, *rip;
	u64 edi;
	u32 vector, errcode;
};

static void system_calls(void)
{
	struct user u;

	/* spec: C-018, C-020, C-042 */
	run32(&u, user32_int80, (u64)&word32);
	check(user_left_by_vector(&u, VEC_SYSCALL32), "INT 0x80 in 32-bit user mode is an event");
	check_eq((u32)u.rax, word32 + 1, "32-bit code was run as 32-bit code");
	check_eq(u.rip, (u64)user32_int80_next + 2, "RIP is after INT 0x80");
	check_eq(u.rsp, user_stack_top() - 8 - 4, "a push is four bytes");
	check_eq(u.cs, user32_cs(), "CS is saved");
	check_eq(u.ss, user_ss(), "SS is saved");
	check_eq(u.entry_rcx, (u64)event_entry, "it enters at MSR_PVM_EVENT_ENTRY");
	u.rip = (u64)user32_int80;
	user_run(&u);
	check(user_left_by_vector(&u, VEC_SYSCALL32), "and can be run again");

	run32(&u, user32_far, 0);
	check(user_left_by_vector(&u, VEC_SYSCALL32) && u.r8 == 0x1122334455667788ul,
	      "a far return goes to 64-bit user mode");
	check_eq(u.cs, user32_cs(), "and another comes back");

	/* spec: C-114 */
	run_user(&u, user64_int80, 0);
	check(user_left_by_vector(&u, VEC_SYSCALL32), "INT 0x80 in 64-bit user mode is an event");
	check_eq(u.rip, (u64)user64_int80_next, "RIP is after it");
	check_eq(u.cs, user64_cs(), "CS is the 64-bit one");
}

USER32(user32_es_is_cs,
       "	pushl	%cs\n"
       "	popl	%es\n"
       "	movl	%es:(%edi), %eax\n"
       AT(user32_es_is_cs, "movl %es:(%edi), %ecx"));

/* A page fault there and back, with ES a code segment. */
static void code_segments_hold_data(void)
{
	static const u64 fresh = 0x50000000;
	u64 page = page_alloc();
	struct user u;

	*(u32 *)phys_to_virt(page) = 0x77665544;
	map_user(&boot_space, fresh, page, PTE_USER_RW);
	run32(&u, user32_es_is_cs, fresh);
	check(user_left_by_vector(&u, VEC_SYSCALL32) && (u32)u.rax == 0x77665544 && (u32)u.rcx == 0x77665544,
	      "ES = CS outlasts an exit");
}

/* spec: C-078, C-079, C-113 */
static void what_does_not_work(void)
{
	struct user u;

	run_user(&u, user64_sysenter, 0);
	check(user_left_by_vector(&u, VEC_GP) && u.rip == (u64)user64_sysenter_at,
	      "SYSENTER in 64-bit user mode is #GP");
	run32(&u, user32_sysenter, 0);
	check(user_left_by_vector(&u, VEC_GP), "SYSENTER in 32-bit user mode is #GP");
	/* Where a host kernel might take RBP for a stack: with none there. */
	user_init(&u, user64_sysenter, user_stack_top(), 0);
	u.rbp = NO_STACK;
	user_run(&u);
	check(user_left_by_vector(&u, VEC_GP) && u.rip == (u64)user64_sysenter_at && u.cs == user64_cs(),
	      "with any RBP");
	check(u.rbp == NO_STACK && u.rsp == user_stack_top() - 8, "and keeps RBP and RSP");
	run32(&u, user32_syscall, 0);
	check(user_left_by_vector(&u, VEC_UD) || user_left_by_vector(&u, VEC_GP),
	      "SYSCALL in 32-bit user mode is an exception");
	check_eq(u.cs, user32_cs(), "of 32-bit user mode");
}

#define CASE32(name, code_, vec, err, arg) \
	{ .what = "32-bit: " name, .code = user32_##code_, .rip = user32_##code_##_at, .edi = (arg), \
	  .vector = (vec), .errcode = (err) }
#define TRAP32(name, code_, vec) \
	{ .what = "32-bit: " name, .code = user32_##code_, .rip = user32_##code_##_next, .vector = (vec) }

static void exceptions(void)
{
	const struct case32 cases[] = {
		CASE32("#DE", de, VEC_DE, 0, 0),
		TRAP32("#BP", bp, VEC_BP),
		TRAP32("#OF by INTO", of, VEC_OF),
		CASE32("#BR by BOUND", br, VEC_BR, 0, (u64)bounds),
		CASE32("#UD", ud, VEC_UD, 0, 0),
		CASE32("#GP by HLT", gp, VEC_GP, 0, 0),
		CASE32("#GP by INT 0x22", int, VEC_GP, 0x22 * 8 + 2, 0),
		CASE32("#PF", pf, VEC_PF, PF_U | PF_W, NOT_MAPPED),
	};
	struct user u;

	for (unsigned i = 0; i < array_size(cases); i++) {
		const struct case32 *c = &cases[i];

		pvcs()->event_errcode = 0;
		run32(&u, c->code, c->edi);
		check(user_left_by_vector(&u, c->vector) && u.errcode == c->errcode, c->what);
		check(u.rip == (u64)c->rip && u.cs == user32_cs(), c->what);
		if (c->vector == VEC_PF)
			check_eq(u.cr2, NOT_MAPPED, "32-bit: #PF address");
	}
}

void guest_main(void)
{
	system_calls();
	code_segments_hold_data();
	what_does_not_work();
	exceptions();
}
