/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Every way into the supervisor by a vector: exceptions from user and from
 * supervisor mode, interrupts from supervisor mode, each saved and loaded
 * word, handlers that take exceptions themselves, and the way back.
 *
 * spec: Vector events in user mode; Vector events in supervisor mode;
 * EVENT_RETURN_SUPERVISOR
 */
#include "guest.h"

#define BAD_ADDRESS	0x0000800000000000ul	/* non-canonical, below any upper half */
#define NOT_MAPPED	0x70000000000ul
#define BAD_SELECTOR	0xfff8
#define MXCSR_UNMASKED	0x1d80			/* all but divide-by-zero masked */
#define FCW_UNMASKED	0x037b
#define TEST_VECTOR	0x41
#define RCX_PATTERN	0x1234567890abcdeful
#define R11_PATTERN	0xfedcba0987654321ul
#define ENTRY_FLAGS	(FLAG_IF | FLAG_FIXED)

static user_data u32 mxcsr_unmasked = MXCSR_UNMASKED, mxcsr_default = 0x1f80;
static user_data u16 fcw_unmasked = FCW_UNMASKED;

USER_INSN(user_de, "", "divl %ecx");
USER_INSN(user_bp, "", "int3");
USER_INSN(user_ud, "", "ud2");
USER_INSN(user_gp, "", "hlt");
USER_INSN(user_gp_address, "", "movl (%rdi), %eax");
USER_INSN(user_gp_int, "", "int $0x20");
USER_INSN(user_gp_selector, "", "movw %di, %ds");
USER_INSN(user_ss_address, "movq %rdi, %rbp", "movl (%rbp), %eax");
USER_INSN(user_pf, "", "movl %eax, (%rdi)");
USER_INSN(user_ac, "", "movl 1(%rsp), %eax");
USER_INSN(user_xm, "ldmxcsr mxcsr_unmasked; xorps %xmm0, %xmm0; movq $1, %rax; cvtsi2ss %rax, %xmm1",
	  "divss %xmm0, %xmm1");
USER_INSN(user_mf, "fninit; fldcw fcw_unmasked; fld1; fldz; fdivrp", "fwait");

struct user_case {
	const char *what, *rip_what;
	const char *code, *rip;
	u64 rdi;
	u32 vector, errcode, flags;
};

#define CASE(name, where, vec, err, arg, fl) { \
	.what = "user mode: " name, .rip_what = "user mode: RIP of " name, .code = user_##where, \
	.rip = user_##where##_at, .rdi = (arg), .vector = (vec), .errcode = (err), .flags = (fl) }

/* spec: C-058, C-060, C-061, C-082, C-162 */
static void events_from_user_mode(void)
{
	static const struct user_case cases[] = {
		CASE("#DE", de, VEC_DE, 0, 0, 0),
		CASE("#UD", ud, VEC_UD, 0, 0, 0),
		CASE("#GP by a privileged instruction", gp, VEC_GP, 0, 0, 0),
		CASE("#GP by a non-canonical address", gp_address, VEC_GP, 0, BAD_ADDRESS, 0),
		CASE("#GP by INT 0x20, with its error code", gp_int, VEC_GP, 0x20 * 8 + 2, 0, 0),
		CASE("#GP by a bad selector, with its error code", gp_selector, VEC_GP, BAD_SELECTOR,
		     BAD_SELECTOR, 0),
		CASE("#SS by a non-canonical stack address", ss_address, VEC_SS, 0, BAD_ADDRESS, 0),
		CASE("#PF by a write", pf, VEC_PF, PF_U | PF_W, NOT_MAPPED, 0),
		CASE("#AC", ac, VEC_AC, 0, 0, FLAG_AC),
		CASE("#XM", xm, VEC_XM, 0, 0, 0),
		CASE("#MF", mf, VEC_MF, 0, 0, 0),
		{ .what = "user mode: #BP", .rip_what = "user mode: RIP is after INT3", .code = user_bp,
		  .rip = user_bp_next, .vector = VEC_BP },
	};
	struct user u;

	for (unsigned i = 0; i < array_size(cases); i++) {
		const struct user_case *c = &cases[i];

		user_init(&u, c->code, user_stack_top(), c->rdi);
		u.rflags |= c->flags;
		pvcs()->event_errcode = 0;
		user_run(&u);
		check(user_left_by_vector(&u, c->vector) && u.errcode == c->errcode, c->what);
		check_eq(u.rip, (u64)c->rip, c->rip_what);
		if (c->vector == VEC_PF)
			check_eq(u.cr2, c->rdi, "user mode: #PF sets PVCS::cr2");
	}
	__asm__ volatile("ldmxcsr %0; fninit" : : "m"(mxcsr_default));
}

/* spec: C-062, C-164, C-168, C-169, C-170, C-171 */
static void user_event_saves_and_loads(void)
{
	struct user u;
	u64 rsp;

	user_init(&u, user_ud, user_stack_top(), 0);
	u.rcx = RCX_PATTERN;
	u.r11 = R11_PATTERN;
	u.gsbase = 0x12340000;
	u.rflags |= FLAG_CF | FLAG_DF | FLAG_AC;
	rsp = u.rsp;
	user_run(&u);
	check_eq(u.rcx, RCX_PATTERN, "user event saves RCX");
	check_eq(u.r11, R11_PATTERN, "user event saves R11");
	check_eq(u.rsp, rsp, DUAL_OR_SINGLE("user event saves RSP", "user event leaves RSP"));
	check_eq(u.rflags & ~FLAG_RF, ENTRY_FLAGS | FLAG_CF | FLAG_DF | FLAG_AC, "user event saves RFLAGS");
	check_eq(u.cs, user64_cs(), "user event saves CS");
	check_eq(u.ss, user_ss(), "user event saves SS");
	check_eq(u.gsbase, 0x12340000, "user event saves the GS base");
	check_eq(u.entry_rcx, (u64)event_entry, "user event loads RCX with MSR_PVM_EVENT_ENTRY");
	check_eq(u.entry_r11, ENTRY_FLAGS, "user event loads R11 with IF and bit 1");
	check_eq(u.entry_rflags, ENTRY_FLAGS, "user event clears RFLAGS");
	check_eq(u.entry_rsp, u.return_rsp,
		 DUAL_OR_SINGLE("user event restores the supervisor's RSP",
				"user event changes no RSP on the way either"));
	if (SINGLE_CR3)	/* spec: SC-009, SC-010, SC-012, SC-013 */
		check_eq(u.lock, LOCK_STD, "user event sets STD in event_vector");
	check_eq(u.entry_gsbase, (u64)this_cpu(), "user event loads the GS base");
}

/* spec: C-083, C-180 */
static void exceptions_from_supervisor_mode(void)
{
	u64 rdi = BAD_ADDRESS, unmapped = NOT_MAPPED;
	u16 selector = BAD_SELECTOR;

	check_eq(TRY("divl %%ecx", : "c"(0), "a"(0), "d"(0)), VEC_DE, "supervisor: #DE");
	check_eq(TRY("int3"), VEC_BP, "supervisor: #BP");
	check_eq(trap.rip, trap.next, "supervisor: RIP is after INT3");
	check_eq(TRY("ud2"), VEC_UD, "supervisor: #UD");
	check_eq(trap.rip, trap.insn, "supervisor: RIP is at UD2");
	check(TRY("movl (%0), %%eax", : "r"(rdi) : "eax") == VEC_GP && trap.errcode == 0,
	      "supervisor: #GP by a non-canonical address");
	check(TRY("int $0x20") == VEC_GP && trap.errcode == 0x20 * 8 + 2,
	      "supervisor: #GP by INT 0x20, with its error code");
	check(TRY("movw %0, %%ds", : "r"(selector)) == VEC_GP && trap.errcode == BAD_SELECTOR,
	      "supervisor: #GP by a bad selector, with its error code");
	check(TRY_BETWEEN("pushq %%rbp; movq %0, %%rbp", "movl (%%rbp), %%eax", "popq %%rbp", : "r"(rdi)
			  : "eax") == VEC_SS && trap.errcode == 0,
	      "supervisor: #SS by a non-canonical stack address");
	check(TRY("movl (%0), %%eax", : "r"(unmapped) : "eax") == VEC_PF &&
	      !(trap.errcode & ~(u32)DUAL_OR_SINGLE(PF_U, 0)), "supervisor: #PF by a read, error code");
	check_eq(trap.cr2, unmapped, "supervisor: #PF sets PVCS::cr2");
	check_eq(read_reg(cr2), unmapped, "and CR2");
	check(TRY_BETWEEN("pushfq; orl $0x40000, (%%rsp); popfq; pushq $0", "movl 1(%%rsp), %%eax",
			  "popq %%rax; pushfq; andl $~0x40000, (%%rsp); popfq", : : "rax", "cc") == VEC_AC &&
	      trap.errcode == 0, "supervisor: #AC");
	check_eq(TRY_BETWEEN("ldmxcsr mxcsr_unmasked; xorps %%xmm0, %%xmm0; cvtsi2ss %%rax, %%xmm1",
			     "divss %%xmm0, %%xmm1", "ldmxcsr mxcsr_default", : "a"(1)),
		 VEC_XM, "supervisor: #XM");
	check_eq(TRY_BETWEEN("fninit; fldcw fcw_unmasked; fld1; fldz; fdivrp", "fwait", "fninit", ),
		 VEC_MF, "supervisor: #MF");
}

static u64 words[8], words_at;

static bool copy_words(struct frame *frame)
{
	memcpy(words, &frame->hw, sizeof(words));
	words_at = (u64)&frame->hw;
	return false;
}

/* spec: C-175, C-176, C-178, C-179, C-181, C-183, C-184, C-186 */
static void supervisor_frame_word_by_word(void)
{
	u64 rsp;

	on_event(VEC_GP, copy_words);
	pvcs()->event_vector = 0x77;
	pvcs()->rip = 0x7777;
	TRY_BETWEEN("movq %[rcx], %%rcx; movq %[r11], %%r11; movq %%rsp, %[rsp]; stc", "int $0x21", "",
		    [rsp] "=&r"(rsp) : [rcx] "i"(RCX_PATTERN), [r11] "i"(R11_PATTERN) : "rcx", "r11", "cc");
	on_event(VEC_GP, NULL);
	check_eq(words[0], (u64)VEC_GP << 32 | (0x21 * 8 + 2), "frame word 0: error code, vector above it");
	check_eq(words[1], trap.insn, "frame word 1: RIP");
	check_eq(words[2], supervisor_cs, "frame word 2: CS");
	check_eq(words[3] & ~(u64)(FLAG_RF | FLAG_ARITH), FLAG_FIXED, "frame word 3: RFLAGS, IF clear");
	check(words[3] & FLAG_CF, "frame word 3: RFLAGS, the carry that was set");
	check_eq(words[4], rsp, "frame word 4: RSP");
	check_eq(words[5], supervisor_ss, "frame word 5: SS");
	check_eq(words[6], RCX_PATTERN, "frame word 6: RCX");
	check_eq(words[7], R11_PATTERN, "frame word 7: R11");
	check_eq(words_at, align_down(rsp, 16) - PVM_FRAME_SIZE, "frame: below the aligned RSP");
	check_eq(supervisor_cs & 3, 0, "frame: CS has RPL 0");
	check_eq(trap.frame.entry_rcx, (u64)event_entry + PVM_ENTRY_SUPERVISOR_EXCEPTION,
		 "supervisor exception loads RCX with MSR_PVM_EVENT_ENTRY+256");
	check_eq(trap.frame.entry_r11, ENTRY_FLAGS, "supervisor exception loads R11 with IF and bit 1");
	check_eq(trap.frame.entry_rflags, ENTRY_FLAGS, "supervisor exception clears RFLAGS");
	check(pvcs()->event_vector == 0x77 && pvcs()->rip == 0x7777,
	      "supervisor exception leaves the PVCS alone");
}

/* Single CR3: the same event is all in the PVCS, which a return that needs no
 * hypervisor leaves as it was. */
/* spec: SC-009, SC-010, SC-011, SC-012, SC-013, SC-014 */
static void supervisor_event_word_by_word(void)
{
	volatile struct guest_pvcs *p = pvcs();
	u64 rsp;

	p->user_cs = p->user_ss = 0x7777;
	p->user_gsbase = p->pkru = p->cr2 = 0x7777;
	TRY_BETWEEN("movq %[rcx], %%rcx; movq %[r11], %%r11; movq %%rsp, %[rsp]; stc", "int $0x21", "",
		    [rsp] "=&r"(rsp) : [rcx] "i"(RCX_PATTERN), [r11] "i"(R11_PATTERN) : "rcx", "r11", "cc");
	check_eq(trap.errcode, 0x21 * 8 + 2, "supervisor event: PVCS::event_errcode");
	check_eq(trap.frame.hw.vector, VEC_GP, "supervisor event: PVCS::event_vector");
	check_eq(lock_at_event, LOCK_STD, "supervisor event: STD is set in event_vector, and only that");
	check_eq(p->rip, trap.insn, "supervisor event: PVCS::rip");
	check_eq(p->eflags & ~(FLAG_RF | FLAG_ARITH), FLAG_FIXED,
		 "supervisor event: PVCS::eflags, IF clear");
	check(p->eflags & FLAG_CF, "supervisor event: PVCS::eflags, the carry that was set");
	check_eq(trap.frame.hw.rsp, rsp, "supervisor event: RSP is what it was");
	check_eq(p->rcx, RCX_PATTERN, "supervisor event: PVCS::rcx");
	check_eq(p->r11, R11_PATTERN, "supervisor event: PVCS::r11");
	check(p->user_cs == 0x7777 && p->user_ss == 0x7777 && p->user_gsbase == 0x7777 &&
	      p->pkru == 0x7777, "supervisor event: CS, SS, GS base and PKRU of the user stay");
	check_eq(p->cr2, 0x7777, "supervisor event: PVCS::cr2 is a page fault's only");
	check_eq(trap.frame.entry_rcx, (u64)event_entry + PVM_SC_ENTRY_SUPERVISOR,
		 "supervisor event loads RCX with MSR_PVM_EVENT_ENTRY+512");
	check_eq(trap.frame.entry_r11, ENTRY_FLAGS, "supervisor event loads R11 with IF and bit 1");
	check_eq(trap.frame.entry_rflags, ENTRY_FLAGS, "supervisor event clears RFLAGS");
	p->event_errcode = 0x77;
	TRY("ud2");
	check_eq(trap.errcode, 0x77, "a vector without an error code leaves event_errcode");
}

static bool enabled_in_handler;

static bool note_if(struct frame *frame)
{
	(void)frame;
	enabled_in_handler = irq_enabled();
	return false;
}

/* spec: C-177, C-185, C-211 */
static void interrupt_flag_of_exceptions(const char *how)
{
	on_event(VEC_UD, note_if);
	irq_enable();
	TRY("ud2");
	check(trap.frame.hw.rflags & FLAG_IF, DUAL_OR_SINGLE("IF set: in the pushed RFLAGS",
							     "IF set: in PVCS::eflags"));
	check(!enabled_in_handler, "IF set: cleared in the handler");
	check(irq_enabled(), label(how, "IF is set again"));
	irq_disable();
	TRY("ud2");
	check(!(trap.frame.hw.rflags & FLAG_IF), DUAL_OR_SINGLE("IF clear: clear in the pushed RFLAGS",
								"IF clear: clear in PVCS::eflags"));
	check(!irq_enabled(), label(how, "IF is still clear"));
	on_event(VEC_UD, NULL);
}

static struct frame interrupted;
static u32 interrupts;

static bool note_interrupt(struct frame *frame)
{
	interrupted = *frame;
	enabled_in_handler = irq_enabled();
	interrupts++;
	if (frame->hw.vector != VEC_SYSCALL32)
		apic_eoi();
	return true;
}

/* spec: C-059, C-066, C-084, C-188, C-191, C-192, C-193, C-194 */
static void interrupt_from_supervisor_mode(void)
{
	extern char sti_next[], sti_end[];
	u64 rsp;

	on_event(TEST_VECTOR, note_interrupt);
	irq_disable();
	apic_send_self(TEST_VECTOR);
	__asm__ volatile("movq %[rcx], %%rcx; movq %[r11], %%r11; movq %%rsp, %[rsp]\n"
			 "sti\n"
			 ".globl sti_next, sti_end\n"
			 "sti_next: nop; nop; nop; nop\n"
			 "sti_end: cli\n"
			 : [rsp] "=&r"(rsp) : [rcx] "i"(RCX_PATTERN), [r11] "i"(R11_PATTERN)
			 : "rcx", "r11", "memory");
	check_eq(interrupts, 1, "interrupt: delivered when IF is set");
	check_eq(interrupted.hw.vector, TEST_VECTOR, "interrupt: PVCS::event_vector");
	check(interrupted.hw.rip >= (u64)sti_next && interrupted.hw.rip <= (u64)sti_end,
	      "interrupt: PVCS::rip");
	check_eq(interrupted.hw.rsp, rsp, DUAL_OR_SINGLE("interrupt: PVCS::rsp", "interrupt: RSP"));
	check_eq(interrupted.hw.rcx, RCX_PATTERN, "interrupt: PVCS::rcx");
	check_eq(interrupted.hw.r11, R11_PATTERN, "interrupt: PVCS::r11");
	check(interrupted.hw.rflags & FLAG_IF, "interrupt: PVCS::eflags has IF");
	check(!enabled_in_handler, "interrupt: IF is cleared in the handler");
	check_eq(interrupted.entry_rcx, (u64)event_entry + ENTRY_SUPERVISOR_INTERRUPT,
		 "interrupt: RCX is MSR_PVM_EVENT_ENTRY+512");
	check_eq(interrupted.entry_r11, ENTRY_FLAGS, "interrupt: R11 is IF and bit 1");
	check_eq(interrupted.entry_rflags, ENTRY_FLAGS, "interrupt: RFLAGS is cleared");
	on_event(TEST_VECTOR, NULL);
}

static bool nested_bp(struct frame *frame)
{
	u64 outer = frame->hw.rip;

	check(TRY("int $0x22") == VEC_GP && trap.errcode == 0x22 * 8 + 2, "nested: #GP in #BP in #UD");
	return frame->hw.rip == outer;
}

static bool nested_ud(struct frame *frame)
{
	__asm__ volatile("int3");
	frame->hw.rip += 2;
	return true;
}

/* spec: C-172 */
static void handlers_take_exceptions(void)
{
	u64 before, after;

	on_event(VEC_UD, nested_ud);
	on_event(VEC_BP, nested_bp);
	__asm__ volatile("movq %%rsp, %0; ud2; movq %%rsp, %1" : "=&r"(before), "=&r"(after) : : "memory");
	check_eq(after, before, "nested: RSP is the same after all returns");
	on_event(VEC_UD, NULL);
	on_event(VEC_BP, NULL);
}

/* What a handler writes into the frame is where the return goes. */
static u8 other_stack[256] __attribute__((aligned(16)));

static bool rewrite_frame(struct frame *frame)
{
	frame->hw.errcode = 0xffffffff;
	frame->hw.vector = 0xffffffff;
	frame->hw.cs = 0xdead;
	frame->hw.ss = 0xbeef;
	frame->hw.rcx = RCX_PATTERN;
	frame->hw.r11 = R11_PATTERN;
	frame->hw.rsp = (u64)other_stack + sizeof(other_stack);
	frame->hw.rflags = FLAG_FIXED | FLAG_CF | FLAG_DF | FLAG_IOPL | FLAG_VM | FLAG_VIF | FLAG_VIP;
	frame->hw.rip += 2;
	return true;
}

/* spec: C-209, C-210, C-212 */
static void return_loads_the_frame(const char *how)
{
	u64 rsp, rcx, r11, flags;

	on_event(VEC_UD, rewrite_frame);
	__asm__ volatile("movq %%rsp, %%r12\n"
			 "ud2\n"
			 "movq %%rsp, %0; pushfq; popq %3; cld; movq %%r12, %%rsp\n"
			 "movq %%rcx, %1; movq %%r11, %2\n"
			 : "=&r"(rsp), "=&r"(rcx), "=&r"(r11), "=&r"(flags)
			 : : "rcx", "r11", "r12", "memory", "cc");
	on_event(VEC_UD, NULL);
	check_eq(rsp, (u64)other_stack + sizeof(other_stack), label(how, "RSP"));
	check_eq(rcx, RCX_PATTERN, label(how, "RCX"));
	check_eq(r11, R11_PATTERN, label(how, "R11"));
	check_eq(flags, FLAG_FIXED | FLAG_CF | FLAG_DF | FLAG_IF, label(how, "RFLAGS, standardised"));
	TRY("ud2");
	if (SINGLE_CR3)
		check_eq(lock_at_event, LOCK_STD, label(how, "the lock was free for the next event"));
	else
		check(trap.frame.hw.cs == supervisor_cs && trap.frame.hw.ss == supervisor_ss,
		      label(how, "CS and SS of the frame are ignored"));
}

static void int80(void)
{
	check(TRY("int $0x80") == VEC_SYSCALL32 && trap.rip == trap.next,
	      "supervisor: INT 0x80 is an event through the PVCS, RIP after it");
}

void guest_main(void)
{
	events_from_user_mode();
	user_event_saves_and_loads();
	exceptions_from_supervisor_mode();
	if (SINGLE_CR3)
		supervisor_event_word_by_word();
	else
		supervisor_frame_word_by_word();
	interrupt_flag_of_exceptions(DUAL_OR_SINGLE("EVENT_RETURN_SUPERVISOR", "a return of its own"));
	interrupt_from_supervisor_mode();
	handlers_take_exceptions();
	return_loads_the_frame(DUAL_OR_SINGLE("EVENT_RETURN_SUPERVISOR", "a return of its own"));
	int80();
	if (SINGLE_CR3) {	/* spec: SC-014, SC-020, SC-022 */
		return_by_hypervisor = true;
		interrupt_flag_of_exceptions("EVENT_RETURN_SUPERVISOR");
		handlers_take_exceptions();
		return_loads_the_frame("EVENT_RETURN_SUPERVISOR");
	}
}
