/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The user SYSCALL event and EVENT_RETURN_USER: every register on the way in
 * and out, and what a supervisor may put into the PVCS.
 *
 * spec: User SYSCALL event; EVENT_RETURN_USER; Hypercall event
 */
#include "guest.h"

#define USER_FLAGS (FLAG_FIXED | FLAG_IF | FLAG_CF | FLAG_ZF | FLAG_SF | FLAG_AF | FLAG_DF | FLAG_AC)
#define PATTERN(n) (0x1111111111111111ul * (n))
#define USER_GSBASE 0x123456789000ul
#define UNUSED_HYPERCALL 0x7fff0000ul

USER_CODE(user_syscall_only,
	  "	syscall\n"
	  "user_syscall_next:\n"
	  "	ud2\n");
extern const char user_syscall_next[];

/* What user mode finds: RCX, R11, flags, GS base, CS, SS in R8, R9, R10, R12, R13, R14. */
USER_CODE(user_look,
	  "	movq	%rcx, %r8\n"
	  "	movq	%r11, %r9\n"
	  "	pushfq\n"
	  "	popq	%r10\n"
	  "	rdgsbase %r12\n"
	  "	movq	%cs, %r13\n"
	  "	movq	%ss, %r14\n"
	  "	syscall\n"
	  "	ud2\n");

static void set_patterns(struct user *u)
{
	u->rax = PATTERN(1), u->rbx = PATTERN(2), u->rdx = PATTERN(3), u->rsi = PATTERN(4);
	u->rdi = PATTERN(5), u->rbp = PATTERN(6), u->r8 = PATTERN(7), u->r9 = PATTERN(8);
	u->r10 = PATTERN(9), u->r12 = PATTERN(10), u->r13 = PATTERN(11), u->r14 = PATTERN(12);
	u->r15 = PATTERN(13);
}

/* spec: C-070, C-085, C-167, C-195, C-196, C-197, C-199, C-200, C-201, C-202, C-203, C-207 */
static void syscall_saves_and_loads(void)
{
	struct user u, before;

	user_init(&u, user_syscall_only, user_stack_top(), 0);
	set_patterns(&u);
	u.rflags = USER_FLAGS;
	u.gsbase = USER_GSBASE;
	before = u;
	pvcs()->event_vector = 0x77;
	pvcs()->event_errcode = 0x7777;
	pvcs()->cr2 = 0x777777;
	user_run_once(&u);

	check_eq(u.left_by, LEFT_BY_SYSCALL, "user SYSCALL enters at MSR_LSTAR");
	check(memcmp(&u, &before, offsetof(struct user, left_by)) == 0,
	      "user SYSCALL keeps the 13 general registers");
	check_eq(u.rip, (u64)user_syscall_next, "user SYSCALL saves RIP, after the instruction");
	check_eq(u.rcx, (u64)user_syscall_next, "user SYSCALL saves RCX, which holds RIP");
	check_eq(u.r11, USER_FLAGS, "user SYSCALL saves R11, which holds RFLAGS");
	check_eq(u.rflags, USER_FLAGS, "user SYSCALL saves RFLAGS");
	check_eq(u.rsp, before.rsp, DUAL_OR_SINGLE("user SYSCALL saves RSP", "user SYSCALL leaves RSP"));
	check_eq(u.cs, user64_cs(), "user SYSCALL saves CS");
	check_eq(u.ss, user_ss(), "user SYSCALL saves SS");
	check_eq(u.gsbase, USER_GSBASE, "user SYSCALL saves the GS base");
	check_eq(u.entry_gsbase, hc_rdmsr(MSR_KERNEL_GS_BASE),
		 "user SYSCALL loads the GS base from MSR_KERNEL_GS_BASE");
	check_eq(u.entry_rsp, u.return_rsp,
		 DUAL_OR_SINGLE("user SYSCALL restores the supervisor's RSP",
				"EVENT_RETURN_USER and user SYSCALL change no RSP"));
	if (SINGLE_CR3)	/* spec: SC-015, SC-017 */
		check_eq(u.lock, LOCK_STD, "EVENT_RETURN_USER and user SYSCALL leave STD");
	else
		check_eq(hc_rdmsr(MSR_PVM_SUPERVISOR_RSP), u.return_rsp,
			 "EVENT_RETURN_USER saved RSP in MSR_PVM_SUPERVISOR_RSP");
	check_eq(u.entry_rcx, (u64)syscall_entry, "user SYSCALL loads RCX with MSR_LSTAR");
	check_eq(u.entry_r11, FLAG_IF | FLAG_FIXED, "user SYSCALL loads R11 with IF and bit 1");
	check_eq(u.entry_rflags, FLAG_IF | FLAG_FIXED, "user SYSCALL clears RFLAGS");
	check_eq(u.vector, 0x77, "user SYSCALL leaves PVCS::event_vector alone");
	check_eq(u.errcode, 0x7777, "user SYSCALL leaves PVCS::event_errcode alone");
	check_eq(u.cr2, 0x777777, "user SYSCALL leaves PVCS::cr2 alone");
}

/* spec: C-052, C-204, C-208 */
static void interrupt_flag_is_kept(void)
{
	struct user u;

	irq_disable();
	user_init(&u, user_syscall_only, user_stack_top(), 0);
	user_run_raw(&u);
	check(!irq_enabled(), "IF stays clear from the supervisor to user mode and back");
	pvcs()->event_flags = PVM_EVENT_FLAGS_IF;
	user_init(&u, user_syscall_only, user_stack_top(), 0);
	user_run_raw(&u);
	check(irq_enabled(), "IF stays set from the supervisor to user mode and back");
	irq_disable();
}

/* spec: C-006, C-019, C-063, C-072 */
static void return_loads(void)
{
	struct user u;

	user_init(&u, user_look, user_stack_top(), 0);
	u.rcx = PATTERN(14);
	u.r11 = PATTERN(15);
	u.gsbase = USER_GSBASE;
	u.rflags = USER_FLAGS;
	user_run_once(&u);
	check_eq(u.r8, PATTERN(14), "EVENT_RETURN_USER loads RCX from the PVCS");
	check_eq(u.r9, PATTERN(15), "EVENT_RETURN_USER loads R11 from the PVCS");
	check_eq(u.r10, USER_FLAGS, "EVENT_RETURN_USER loads RFLAGS from the PVCS");
	check_eq(u.r12, USER_GSBASE, "EVENT_RETURN_USER loads the GS base from the PVCS");
	check_eq(u.r13, user64_cs(), "EVENT_RETURN_USER loads CS from the PVCS");
	check_eq(u.r14, user_ss(), "EVENT_RETURN_USER loads SS from the PVCS");
}

/* spec: C-031, C-065 */
static void flags_are_standardised(void)
{
	struct user u;

	user_init(&u, user_look, user_stack_top(), 0);
	u.rflags = ~(u32)(FLAG_TF | FLAG_RF | FLAG_NT);
	user_run_once(&u);
	check_eq(u.r10 & (FLAG_IOPL | FLAG_VM | FLAG_VIF | FLAG_VIP), 0,
		 "PVCS::eflags of all ones: IOPL, VM, VIF and VIP are cleared");
	check_eq(u.r10 & USER_FLAGS, USER_FLAGS, "PVCS::eflags of all ones: the others stay");

	user_init(&u, user_look, user_stack_top(), 0);
	u.rflags = 0;
	user_run_once(&u);
	check_eq(u.r10, FLAG_IF | FLAG_FIXED, "PVCS::eflags of 0: IF and bit 1 are set");
}

/* spec: C-064 */
static void gs_base_is_semi_canonicalised(void)
{
	struct user u;

	/* Bits 57 to 63 only: garbage whether the host has 48 or 57 bits. */
	user_init(&u, user_look, user_stack_top(), 0);
	u.gsbase = 0xfe00000012345000ul;
	user_run_once(&u);
	check_eq(u.r12, 0x12345000, "a non-canonical GS base: the bits above the width become bit N-1");
	user_init(&u, user_look, user_stack_top(), 0);
	u.gsbase = 0x01ff800012345000ul;
	user_run_once(&u);
	check_eq(u.r12, 0xffff800012345000ul, "the same where bit N-1 is set");
}

static void bad_selector(u16 cs, u16 ss, const char *what)
{
	struct user u;

	user_init(&u, user_look, user_stack_top(), 0);
	u.cs = cs;
	u.ss = ss;
	u.unlocked = true;
	user_run_once(&u);
	check(u.left_by == LEFT_BY_REFUSAL ||
		      (u.left_by == LEFT_BY_SYSCALL && u.r13 == user64_cs() &&
		       u.r14 == user_ss()) ||
		      user_left_by_vector(&u, VEC_GP),
	      what);
}

static void bad_rip(u64 rip, const char *what)
{
	struct user u;

	user_init(&u, (void *)rip, user_stack_top(), 0);
	u.unlocked = true;
	user_run_once(&u);
	check(u.left_by == LEFT_BY_REFUSAL || user_left_by_vector(&u, VEC_GP), what);
}

/* spec: C-213, C-214, C-216 */
static void unknown_hypercall(void)
{
	check_eq(hypercall(UNUSED_HYPERCALL, 0, 0, 0, 0), -(u64)PVM_KVM_ENOSYS,
		 "an unknown hypercall returns -KVM_ENOSYS");
	check_eq(hypercall(PVM_HC_BASE + PVM_HC_COUNT - 1, 0, 0, 0, 0), -(u64)PVM_KVM_ENOSYS,
		 "an unused number of PVM's block, too");
}

/* Every register but RAX, RCX and R11 comes back from a hypercall. */
/* spec: C-215 */
static void hypercall_keeps_registers(void)
{
	u64 in[] = { PATTERN(2), PATTERN(3), PATTERN(4), PATTERN(5), PATTERN(7), PATTERN(8), PATTERN(9),
		     PATTERN(10), PATTERN(11), PATTERN(12), PATTERN(13) };
	u64 out[array_size(in)];
	u64 *p = in, *q = out, nr = UNUSED_HYPERCALL;

	__asm__ volatile("pushq %[q]\n"
			 "movq (%[p]), %%rbx; movq 8(%[p]), %%rdx; movq 16(%[p]), %%rdi\n"
			 "movq 32(%[p]), %%r8; movq 40(%[p]), %%r9; movq 48(%[p]), %%r10\n"
			 "movq 56(%[p]), %%r12; movq 64(%[p]), %%r13; movq 72(%[p]), %%r14\n"
			 "movq 80(%[p]), %%r15; movq 24(%[p]), %%rsi\n"
			 "syscall\n"
			 "popq %%rcx\n"
			 "movq %%rbx, (%%rcx); movq %%rdx, 8(%%rcx); movq %%rdi, 16(%%rcx)\n"
			 "movq %%rsi, 24(%%rcx); movq %%r8, 32(%%rcx); movq %%r9, 40(%%rcx)\n"
			 "movq %%r10, 48(%%rcx); movq %%r12, 56(%%rcx); movq %%r13, 64(%%rcx)\n"
			 "movq %%r14, 72(%%rcx); movq %%r15, 80(%%rcx)\n"
			 : "+a"(nr), [q] "+c"(q), [p] "+S"(p)
			 : : "rbx", "rdx", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
			     "memory");
	check(memcmp(in, out, sizeof(in)) == 0, "a hypercall keeps every register but RAX, RCX, R11");
}

void guest_main(void)
{
	syscall_saves_and_loads();
	interrupt_flag_is_kept();
	return_loads();
	flags_are_standardised();
	gs_base_is_semi_canonicalised();
	bad_selector(0, user_ss(), "EVENT_RETURN_USER with CS 0 harms nobody");
	bad_selector(supervisor_cs, supervisor_ss, "EVENT_RETURN_USER with the supervisor's CS and SS");
	bad_selector(user64_cs() & ~3, user_ss(), "EVENT_RETURN_USER with CS of RPL 0");
	bad_selector(user64_cs(), 0, "EVENT_RETURN_USER with SS 0");
	bad_selector(0xffff, 0xffff, "EVENT_RETURN_USER with selectors of all ones");
	bad_rip(0x8000000000000000ul, "EVENT_RETURN_USER to a non-canonical RIP is #GP");
	bad_rip(0x0100000000000000ul, "the same in the lower half");
	unknown_hypercall();
	hypercall_keeps_registers();
}
