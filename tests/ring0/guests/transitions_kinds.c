/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The kinds. Each sets every register, goes one way there and back, and says
 * whether all came back as it should. Nothing is printed here.
 */
#include "transitions.h"
#include "transitions_probe.h"

#define PATTERN(n) (0x1111111111111111ul * (n) ^ transitions_control.turns << 8)
#define FLAGS (FLAG_FIXED | FLAG_IF | FLAG_CF | FLAG_ZF | FLAG_SF | FLAG_AF | FLAG_AC)
#define USER_GSBASE 0x123456789000ul
#define VECTOR 0x71
#define TOUCHED USER_BASE
#define TOUCHED_PAGES 16
#define STACK (TOUCHED + 64 * PAGE_SIZE)	/* one page, and nothing behind it */
#define NO_ADDRESS 0x8000000000000000ul
#define PML4_INDEX 0x1fful	/* MSR_PVM_LINEAR_ADDRESS_RANGE: PML4_INDEX_START; all ones: none */
#define TIMER_NS 2000
#define SPIN_LIMIT 0x40000000u
/* Single CR3: the #GP of a refused return would find the lock held. */
#if SINGLE_CR3
#define MAY_BE_REFUSED(u) ((u).unlocked = true)
#else
#define MAY_BE_REFUSED(u) ((void)(u))
#endif

static struct space spaces[4];	/* as many as the switcher publishes */
static u64 touched_pa;
static u32 interrupts, debugs;
static u64 stack_pa;
#if !SINGLE_CR3
static u32 refusals;
static u64 upper_pa;
static struct pvm_supervisor_frame good_frame;
#endif
static u32 here_space;
static u64 user_fs_base, kernel_gs_base;

USER_CODE(user_syscall_only, "	syscall\n	ud2\n");
USER_INSN(user_ud, "", "ud2");
USER_INSN(user_bp, "", "int3");
USER_INSN(user_db, "", "nop");
USER_INSN(user_touch, "", "movb $1, (%rdi)");
USER_INSN(user_int80, "", "int $0x80");
USER_INSN(user_step, "", "nop");
/* Until an interrupt ends it; RDX at most that many times. */
USER_CODE(user_spin, "1:	decl %edx\n	jnz 1b\n	ud2\n");
USER_CODE(user32_int80, "	.code32\n	int $0x80\n	.code64\n");
USER_CODE(user32_syscall, "	.code32\n	syscall\n	int $0x80\n	.code64\n");

PROBE(probe_ud, "ud2");
PROBE(probe_bp, "int3");
PROBE(probe_hypercall, "syscall");
PROBE(probe_touch, "movb $1, (%rdi)");
PROBE(probe_spin, "771: cmpl $0, (%rdi); je 771b");
PROBE(probe_nop, "nop");
PROBE(probe_cpuid, "cpuid");

#if !SINGLE_CR3
/* EVENT_RETURN_SUPERVISOR with RSP at @rsp. @frame, perhaps the same place by another
 * address, gets the RSP that leave_at_behind must be reached with. */
void leave_at(u64 rsp, struct pvm_supervisor_frame *frame);
extern const char leave_at_behind[];
__asm__(".pushsection .text\n.globl leave_at, leave_at_behind\nleave_at:\n"
	"	pushq %rbp; pushq %rbx; pushq %r12; pushq %r13; pushq %r14; pushq %r15\n"
	"	movq %rsp, 32(%rsi)\n"
	"	movq %rdi, %rsp\n"
	"	jmp rets_syscall\n"
	"leave_at_behind:\n"
	"	popq %r15; popq %r14; popq %r13; popq %r12; popq %rbx; popq %rbp\n"
	"	ret\n.popsection");
_Static_assert(offsetof(struct pvm_supervisor_frame, rsp) == 32, "leave_at()");
#endif

/* ------------------------------------------------------------------------
 * What must hold behind every transition.
 */

/* No hypercall here: it would be one more transition in each kind. The supervisor's
 * other GS base shows at the next entry from user mode. */
static bool rest_is_whole(void)
{
	return read_gsbase() == (u64)&cpus[0] && read_fsbase() == user_fs_base;
}

static void user_prepare(struct user *u, const void *code, u64 rdi)
{
	user_init(u, code, user_stack_top(), rdi);
	u->rax = PATTERN(1), u->rbx = PATTERN(2), u->rdx = PATTERN(3), u->rsi = PATTERN(4);
	u->rbp = PATTERN(6), u->r8 = PATTERN(7), u->r9 = PATTERN(8);
	u->r10 = PATTERN(9), u->r12 = PATTERN(10), u->r13 = PATTERN(11), u->r14 = PATTERN(12);
	u->r15 = PATTERN(13);
	u->rcx = PATTERN(14);
	u->r11 = PATTERN(15);
	u->rflags = FLAGS;
	u->gsbase = USER_GSBASE;
}

/* SYSRET's way: RCX is RIP and R11 is RFLAGS. */
static void user_for_sysret(struct user *u)
{
	u->rcx = u->rip;
	u->r11 = u->rflags;
}

/* Entered as an entry must be, with everything of user mode saved. */
static bool user_is_whole(const struct user *u, const struct user *before, u64 rip, u32 flags)
{
	return memcmp(u, before, offsetof(struct user, left_by)) == 0 && u->rip == rip &&
	       (u->rflags & ~FLAG_RF) == flags && u->rsp == before->rsp && u->cs == before->cs &&
	       u->ss == before->ss && u->gsbase == USER_GSBASE && u->entry_rsp == u->return_rsp &&
	       u->entry_r11 == (FLAG_IF | FLAG_FIXED) && u->entry_rflags == (FLAG_IF | FLAG_FIXED) &&
	       u->entry_gsbase == kernel_gs_base && rest_is_whole();
}

static bool user_system_call(struct user *u)
{
	struct user before = *u;

	user_run_once(u);
	return u->left_by == LEFT_BY_SYSCALL && user_is_whole(u, &before, before.rip + 2, FLAGS) &&
	       u->rcx == u->rip && u->r11 == FLAGS && u->entry_rcx == (u64)syscall_entry;
}

/* An event that leaves RIP, RCX and R11 of user mode for the supervisor to see. */
static bool user_event(struct user *u, u32 vector, const char *rip, u32 flags)
{
	struct user before = *u;

	user_run_once(u);
	return user_left_by_vector(u, vector) && user_is_whole(u, &before, (u64)rip, flags) &&
	       u->rcx == before.rcx && u->r11 == before.r11 && u->entry_rcx == (u64)event_entry;
}

static void probe_prepare(struct probe *p)
{
	u64 *r = &p->in.rax;

	for (unsigned i = 0; i < 15; i++)
		r[i] = PATTERN(i + 1);
	p->in.rflags = FLAGS;
	memset(&p->out, 0, sizeof(p->out));
}

static bool probe_is_whole(struct probe *p)
{
	return memcmp(&p->in, &p->out, sizeof(p->in)) == 0 && rest_is_whole();
}

/* What the next return from #UD does besides. */
static enum { PLAINLY, WITH_IP_SET, TO_NO_ADDRESS } ud_returns;

static bool skip_ud(struct frame *frame)
{
	if (frame->hw.rip != (u64)probe_ud_at)
		return false;
	frame->hw.rip += 2;
	if (ud_returns == WITH_IP_SET)
		pvcs()->event_flags |= PVM_EVENT_FLAGS_IP;
	if (ud_returns == TO_NO_ADDRESS)
		frame->hw.rip = NO_ADDRESS;
	return true;
}

#if !SINGLE_CR3
/* EVENT_RETURN_SUPERVISOR was refused: its frame is put right, and it is tried again. */
static bool repair_frame(struct frame *frame)
{
	struct pvm_supervisor_frame *refused = (void *)frame->hw.rsp;

	if (frame->hw.rip != (u64)rets_syscall || refused->rip != NO_ADDRESS)
		return false;
	refused->rip = (u64)probe_ud_next;
	refusals++;
	return true;
}

/* Its frame could not be read: leave_at() goes on where it was called. */
static bool give_up_frame(struct frame *frame)
{
	if (frame->hw.rip != (u64)rets_syscall)
		return false;
	frame->hw.rip = (u64)leave_at_behind;
	frame->hw.rsp = good_frame.rsp;
	refusals++;
	return true;
}
#endif

static bool pass_bp(struct frame *frame)
{
	return frame->hw.rip == (u64)probe_bp_next;
}

static bool count_debug(struct frame *frame)
{
	(void)frame;
	debugs++;
	return true;
}

static bool count_interrupt(struct frame *frame)
{
	(void)frame;
	interrupts++;
	apic_eoi();
	return true;
}

/* ------------------------------------------------------------------------
 * The kinds.
 */

static bool syscall_return_sysret(void)
{
	struct user u;

	user_prepare(&u, user_syscall_only, PATTERN(5));
	user_for_sysret(&u);
	return user_system_call(&u);
}

static bool syscall_return_iret(void)
{
	struct user u;

	user_prepare(&u, user_syscall_only, PATTERN(5));
	return user_system_call(&u);
}

static bool hypercall_kept(u64 nr, u64 a0, u64 a1, u64 a2, u64 expected)
{
	struct probe p;

	probe_prepare(&p);
	p.in.rax = nr, p.in.rbx = a0, p.in.r10 = a1, p.in.rdx = a2;
	probe_hypercall(&p);
	p.in.rax = expected;
	p.in.rcx = p.out.rcx;	/* SYSCALL destroys these two */
	p.in.r11 = p.out.r11;
	return probe_is_whole(&p);
}

static bool hypercall_engine(void)
{
	return hypercall_kept(PVM_HC_RDMSR, MSR_LSTAR, 0, 0, (u64)syscall_entry);
}

/* Nothing but the way there and back, and the answer that there is no such function. */
static bool hypercall_null(void)
{
	return hypercall_kept(PVM_HC_BASE + PVM_HC_COUNT - 1, 0, 0, 0, -(u64)PVM_KVM_ENOSYS);
}

static bool hypercall_unknown(void)
{
	return hypercall_kept(0x7fff0000, 0, 0, 0, -(u64)PVM_KVM_ENOSYS);
}

static u64 load_flags(void)
{
	return paging_levels() == 5 ? PVM_LOAD_PGTBL_LA57 : 0;
}

static bool load_pgtbl(void)
{
	struct space *space = &spaces[++here_space % array_size(spaces)];

	return hypercall_kept(PVM_HC_LOAD_PGTBL, load_flags(), space->supervisor_root, space->user_root, 0);
}

static bool load_pair(unsigned index)
{
	here_space = index;
	return hypercall_kept(PVM_HC_LOAD_PGTBL, load_flags(), spaces[index].supervisor_root,
			      spaces[index].user_root, 0);
}

/* All that are published, wherever each is in the switcher's list. */
static bool load_all_pairs(void)
{
	bool ok = true;

	for (unsigned i = 0; i < array_size(spaces); i++)
		ok &= load_pair(i);
	return ok;
}

#if !SINGLE_CR3
/* Each half is published, the pair is not. */
static bool load_mixed_pairs(void)
{
	bool ok = true;

	for (unsigned i = 0; i < array_size(spaces); i++)
		ok &= hypercall_kept(PVM_HC_LOAD_PGTBL, load_flags(), spaces[i].supervisor_root,
				     spaces[(i + 1) % array_size(spaces)].user_root, 0) &&
		      load_pair(i);
	return ok;
}
#endif

static bool load_pgtbl_flush(void)
{
	struct space *space = &spaces[here_space % array_size(spaces)];

	return hypercall_kept(PVM_HC_LOAD_PGTBL, load_flags() | PVM_LOAD_PGTBL_FLUSH, space->supervisor_root,
			      space->user_root, 0);
}

/* Then user mode, whose root is another now. */
static bool load_pgtbl_then_user(void)
{
	return load_pgtbl() && syscall_return_sysret();
}

static bool exception_supervisor(void)
{
	struct probe p;

	probe_prepare(&p);
	probe_ud(&p);
	return probe_is_whole(&p);
}

#if SINGLE_CR3
/* Not by the guest itself. */
static bool return_supervisor(void)
{
	bool ok;

	return_by_hypervisor = true;
	ok = exception_supervisor();
	return_by_hypervisor = false;
	return ok;
}
#else
static bool return_supervisor_ip(void)
{
	bool ok;

	ud_returns = WITH_IP_SET;
	ok = exception_supervisor() && !irq_pending();
	ud_returns = PLAINLY;
	return ok;
}

static bool return_supervisor_no_address(void)
{
	bool ok;

	refusals = 0;
	ud_returns = TO_NO_ADDRESS;
	ok = exception_supervisor() && refusals == 1;
	ud_returns = PLAINLY;
	return ok;
}

/* The frame's end lies on a page that is not there; what refuses it has room below. */
static bool return_supervisor_unreadable(void)
{
	refusals = 0;
	leave_at(STACK + PAGE_SIZE - 8, &good_frame);
	return refusals == 1 && rest_is_whole();
}

/* A frame in the upper half, where the guest may have addresses there. */
static bool return_supervisor_upper(void)
{
	u64 start = hc_rdmsr(MSR_PVM_LINEAR_ADDRESS_RANGE) & PML4_INDEX;
	u64 va = 0xffff000000000000ul | start << 39;
	struct pvm_supervisor_frame *frame = phys_to_virt(upper_pa);

	if (start == PML4_INDEX || paging_levels() != 4)
		return true;
	*pte_of(spaces[here_space % array_size(spaces)].supervisor_root, va, 1, true) =
		upper_pa | PTE_USER_RW;
	*frame = (struct pvm_supervisor_frame){ .rip = (u64)leave_at_behind, .rflags = FLAG_FIXED };
	leave_at(va, frame);
	return rest_is_whole();
}
#endif

static bool breakpoint_supervisor(void)
{
	struct probe p;

	probe_prepare(&p);
	probe_bp(&p);
	return probe_is_whole(&p);
}

static bool exception_user(void)
{
	struct user u;

	user_prepare(&u, user_ud, PATTERN(5));
	return user_event(&u, VEC_UD, user_ud_at, FLAGS);
}

static bool breakpoint_user(void)
{
	struct user u;

	user_prepare(&u, user_bp, PATTERN(5));
	return user_event(&u, VEC_BP, user_bp_next, FLAGS);
}

/* A page that the guest's tables have and no shadow table. */
static u64 fresh_page(void)
{
	u64 index = transitions_control.turns % TOUCHED_PAGES, va = TOUCHED + index * PAGE_SIZE;
	u64 *pte = user_pte(&spaces[here_space % array_size(spaces)], va);

	*pte = 0;
	hc_invlpg(va);
	*pte = (touched_pa + index * PAGE_SIZE) | PTE_USER_RW;
	return va;
}

static bool fill_user(void)
{
	struct user u;

	user_prepare(&u, user_touch, fresh_page());
	user_for_sysret(&u);
	user_run_once(&u);
	return u.left_by == LEFT_BY_SYSCALL && u.rip == (u64)user_touch_next + 2 && u.rbx == PATTERN(2) &&
	       u.r15 == PATTERN(13) && rest_is_whole();
}

static bool fill_supervisor(void)
{
	struct probe p;

	probe_prepare(&p);
	p.in.rdi = fresh_page();
	probe_touch(&p);
	return probe_is_whole(&p);
}

static void start_timer(void)
{
	interrupts = 0;
	hc_wrmsr(MSR_X2APIC_TIMER_DIV, TIMER_DIV_1);
	hc_wrmsr(MSR_X2APIC_LVT_TIMER, TIMER_ONE_SHOT | VECTOR);
	hc_wrmsr(MSR_X2APIC_TIMER_INIT, apic_timer_khz() * TIMER_NS / 1000000 + 1);
}

static bool interrupt_user(void)
{
	struct user u, before;

	user_prepare(&u, user_spin, PATTERN(5));
	u.rdx = SPIN_LIMIT;
	before = u;
	start_timer();
	user_run_once(&u);
	before.rdx = u.rdx;
	apic_eoi();
	/* RF in the flags that an interrupt saves is the CPU's affair: a real one sets it within a
	 * repeated string instruction, QEMU since 8.2 for every interrupt. */
	return user_left_by_vector(&u, VECTOR) && u.rcx == before.rcx && u.r11 == before.r11 &&
	       user_is_whole(&u, &before, u.rip, u.rflags & ~FLAG_RF);
}

static bool interrupt_supervisor(void)
{
	struct probe p;

	probe_prepare(&p);
	p.in.rdi = (u64)&interrupts;
	start_timer();
	irq_enable();
	probe_spin(&p);
	irq_disable();
	p.in.rflags = p.out.rflags;
	return interrupts == 1 && probe_is_whole(&p);
}

/* An event is pending while the guest returns to user mode. */
static bool interrupt_pending(void)
{
	struct user u;
	bool ok;

	apic_send_self(VECTOR);
	user_prepare(&u, user_syscall_only, PATTERN(5));
	user_for_sysret(&u);
	ok = irq_pending() && user_event(&u, VECTOR, user_syscall_only, FLAGS);
	apic_eoi();
	return ok;
}

static bool nmi_self(void)
{
	struct probe p;

	interrupts = 0;
	apic_send_nmi(cpus[0].apic_id);
	probe_prepare(&p);
	probe_nop(&p);
	return interrupts == 1 && probe_is_whole(&p);
}

static bool return_refused(void)
{
	struct user u;

	user_prepare(&u, user_syscall_only, PATTERN(5));
	u.cs = supervisor_cs;
	MAY_BE_REFUSED(u);
	user_run_once(&u);
	return u.left_by == LEFT_BY_REFUSAL && rest_is_whole();
}

static bool return_not_canonical(void)
{
	struct user u;

	user_prepare(&u, (void *)NO_ADDRESS, PATTERN(5));
	user_for_sysret(&u);
	MAY_BE_REFUSED(u);
	user_run_once(&u);
	return (u.left_by == LEFT_BY_REFUSAL || user_left_by_vector(&u, VEC_GP)) && rest_is_whole();
}

static bool compat_int80(void)
{
	struct user u;

	user_prepare(&u, user32_int80, 5);
	u.cs = user32_cs();
	user_run_once(&u);
	return user_left_by_vector(&u, VEC_SYSCALL32) && u.rip == (u64)user32_int80 + 2 &&
	       (u32)u.rbx == (u32)PATTERN(2) && rest_is_whole();
}

/* SYSCALL from 32-bit code: #UD or nothing, as the CPU has it. */
static bool compat_syscall(void)
{
	struct user u;

	user_prepare(&u, user32_syscall, 5);
	u.cs = user32_cs();
	user_run_once(&u);
	return u.left_by == LEFT_BY_EVENT && (u.vector == VEC_UD || u.vector == VEC_SYSCALL32 ||
					      u.vector == VEC_GP) && rest_is_whole();
}

static bool int80_64(void)
{
	struct user u;

	user_prepare(&u, user_int80, PATTERN(5));
	user_run_once(&u);
	return u.left_by == LEFT_BY_EVENT && (u.vector == VEC_SYSCALL32 || u.vector == VEC_GP) &&
	       rest_is_whole();
}

static bool step_user(void)
{
	struct user u;

	user_prepare(&u, user_step, PATTERN(5));
	u.rflags |= FLAG_TF;
	return user_event(&u, VEC_DB, user_step_next, FLAGS | FLAG_TF);
}

/* Selectors that are not the host's, and with bases that they do not give. */
static bool data_segments(void)
{
	u64 gs = read_gsbase(), fs = read_fsbase(), got;
	bool ok;

	__asm__ volatile("movl %0, %%ds; movl %0, %%es; movl %0, %%fs; movl %0, %%gs\n\t"
			 "wrfsbase %1; wrgsbase %2"
			 : : "r"((u32)user_ss()), "r"(fs), "r"(gs) : "memory");
	ok = hypercall_engine() && read_fsbase() == fs;
	__asm__ volatile("movl %%ds, %k0; shlq $16, %0; movw %%es, %w0; shlq $16, %0; movw %%fs, %w0\n\t"
			 "shlq $16, %0; movw %%gs, %w0" : "=&r"(got));
	__asm__ volatile("movl %0, %%ds; movl %0, %%es; movl %0, %%fs; movl %0, %%gs\n\t"
			 "wrfsbase %1; wrgsbase %2" : : "r"(0), "r"(fs), "r"(gs) : "memory");
	return ok && got == user_ss() * 0x0001000100010001ul;
}

static bool return_user_ip(void)
{
	pvcs()->event_flags |= PVM_EVENT_FLAGS_IP;
	return syscall_return_sysret() && !irq_pending();
}

#if SINGLE_CR3
static bool return_user_nmi(void)
{
	struct user u;

	pvcs_lock();
	apic_send_nmi(cpus[0].apic_id);
	user_prepare(&u, user_syscall_only, PATTERN(5));
	user_for_sysret(&u);
	return user_event(&u, VEC_NMI, user_syscall_only, FLAGS);
}
#endif

/* Breakpoints armed: no direct switches, and one hit in user mode. */
static bool breakpoint_armed(void)
{
	struct user u;
	bool ok;

	write_reg(dr0, (u64)user_db_at);
	write_reg(dr7, DR7_FIXED | DR7_GLOBAL(0));
	user_prepare(&u, user_db, PATTERN(5));
	ok = user_event(&u, VEC_DB, user_db_at, FLAGS);
	write_reg(dr7, DR7_FIXED);
	write_reg(dr6, DR6_FIXED);
	return ok;
}

static bool emulated_instruction(void)
{
	struct probe p;

	probe_prepare(&p);
	p.in.rax = 0x40000000, p.in.rcx = 0;
	probe_cpuid(&p);
	p.out.rax = p.in.rax, p.out.rbx = p.in.rbx, p.out.rcx = p.in.rcx, p.out.rdx = p.in.rdx;
	return probe_is_whole(&p);
}

const struct transition transitions[] = {
	{ "user SYSCALL, EVENT_RETURN_USER by SYSRET", syscall_return_sysret },
	{ "user SYSCALL, EVENT_RETURN_USER by IRET", syscall_return_iret },
	{ "hypercall in the engine", hypercall_engine },
	{ "hypercall without a function", hypercall_null },
	{ "hypercall that nobody knows", hypercall_unknown },
	{ "LOAD_PGTBL", load_pgtbl },
	{ "LOAD_PGTBL of each pair", load_all_pairs },
	{ "LOAD_PGTBL with a flush", load_pgtbl_flush },
	{ "LOAD_PGTBL, then user mode", load_pgtbl_then_user },
#if SINGLE_CR3
	{ "exception in supervisor mode, a return of its own", exception_supervisor },
	{ "exception in supervisor mode, EVENT_RETURN_SUPERVISOR", return_supervisor },
#else
	{ "exception in supervisor mode, EVENT_RETURN_SUPERVISOR", exception_supervisor },
	{ "EVENT_RETURN_SUPERVISOR with IP set", return_supervisor_ip },
	{ "EVENT_RETURN_SUPERVISOR to no address", return_supervisor_no_address },
	{ "EVENT_RETURN_SUPERVISOR from a frame that cannot be read", return_supervisor_unreadable },
	{ "EVENT_RETURN_SUPERVISOR from a frame in the upper half", return_supervisor_upper },
#endif
	{ "INT3 in supervisor mode", breakpoint_supervisor },
	{ "exception in user mode", exception_user },
	{ "INT3 in user mode", breakpoint_user },
	{ "fill in user mode", fill_user },
	{ "fill in supervisor mode", fill_supervisor },
	{ "interrupt in user mode", interrupt_user },
	{ "interrupt in supervisor mode", interrupt_supervisor },
	{ "interrupt that waits for the return to user mode", interrupt_pending },
	{ "NMI to itself", nmi_self },
	{ "EVENT_RETURN_USER with IP set", return_user_ip },
	{ "EVENT_RETURN_USER that is refused", return_refused },
	{ "EVENT_RETURN_USER to no canonical address", return_not_canonical },
	{ "32-bit user mode, INT 0x80", compat_int80 },
	{ "32-bit user mode, SYSCALL", compat_syscall },
	{ "64-bit user mode, INT 0x80", int80_64 },
	{ "single-step in user mode", step_user },
	{ "breakpoint in user mode", breakpoint_armed },
	{ "instruction that traps in supervisor mode", emulated_instruction },
	{ "data segments of its own", data_segments },
#if SINGLE_CR3
	{ "EVENT_RETURN_USER for which an NMI waits", return_user_nmi },
#else
	{ "LOAD_PGTBL of halves of different pairs", load_mixed_pairs },
#endif
};
const u64 transitions_count = array_size(transitions);

void transitions_init(void)
{
	on_event(VEC_UD, skip_ud);
	on_event(VEC_BP, pass_bp);
#if !SINGLE_CR3
	on_event(VEC_GP, repair_frame);
	on_event(VEC_PF, give_up_frame);
	upper_pa = page_alloc();
#endif
	on_event(VEC_DB, count_debug);
	on_event(VEC_NMI, count_interrupt);
	on_event(VECTOR, count_interrupt);
	user_fs_base = read_fsbase();
	kernel_gs_base = hc_rdmsr(MSR_KERNEL_GS_BASE);
	stack_pa = page_alloc();
	touched_pa = pages_alloc(TOUCHED_PAGES, PAGE_SIZE);
	for (unsigned i = 0; i < array_size(spaces); i++) {
		space_init(&spaces[i]);
		map_user(&spaces[i], STACK, stack_pa, PTE_USER_RW);
		map_user_range(&spaces[i], TOUCHED, touched_pa, TOUCHED_PAGES * PAGE_SIZE, PTE_USER_RW);
	}
	/* Both roots of both: what has never run is not there to be switched to. */
	for (unsigned i = array_size(spaces); i-- > 0;) {
		space_load(&spaces[i], true);
		guest_assert(syscall_return_iret());
	}
}
