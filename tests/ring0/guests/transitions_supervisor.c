/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Kinds that begin in supervisor mode: hypercalls, exceptions, and what EVENT_RETURN_SUPERVISOR
 * may find. Owns the handlers of #UD, #BP, #GP and #PF.
 */
#include "transitions_kinds.h"

#define PML4_INDEX 0x1fful	/* MSR_PVM_LINEAR_ADDRESS_RANGE: PML4_INDEX_START; all ones: none */

#if !SINGLE_CR3
static u32 refusals;
static u64 upper_pa;
static struct pvm_supervisor_frame good_frame;
#endif

PROBE(probe_ud, "ud2");
PROBE(probe_bp, "int3");
PROBE(probe_hypercall, "syscall");
PROBE(probe_cpuid, "cpuid");

#if !SINGLE_CR3
/* EVENT_RETURN_SUPERVISOR with RSP at @rsp. @frame, perhaps the same place by another
 * address, gets the RSP that leave_at_next must be reached with. */
void leave_at(u64 rsp, struct pvm_supervisor_frame *frame);
extern const char leave_at_next[];
__asm__(".pushsection .text\n.globl leave_at, leave_at_next\nleave_at:\n"
	"	pushq %rbp; pushq %rbx; pushq %r12; pushq %r13; pushq %r14; pushq %r15\n"
	"	movq %rsp, 32(%rsi)\n"
	"	movq %rdi, %rsp\n"
	"	jmp rets_syscall\n"
	"leave_at_next:\n"
	"	popq %r15; popq %r14; popq %r13; popq %r12; popq %rbx; popq %rbp\n"
	"	ret\n.popsection");
_Static_assert(offsetof(struct pvm_supervisor_frame, rsp) == 32, "leave_at()");
#endif

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
	frame->hw.rip = (u64)leave_at_next;
	frame->hw.rsp = good_frame.rsp;
	refusals++;
	return true;
}
#endif

static bool pass_bp(struct frame *frame)
{
	return frame->hw.rip == (u64)probe_bp_next;
}

void supervisor_init(void)
{
	on_event(VEC_UD, skip_ud);
	on_event(VEC_BP, pass_bp);
#if !SINGLE_CR3
	on_event(VEC_GP, repair_frame);
	on_event(VEC_PF, give_up_frame);
	upper_pa = page_alloc();
#endif
}

bool hypercall_kept(u64 nr, u64 a0, u64 a1, u64 a2, u64 expected)
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

bool hypercall_engine(void)
{
	return hypercall_kept(PVM_HC_RDMSR, MSR_LSTAR, 0, 0, (u64)syscall_entry);
}

/* Nothing but the way there and back, and the answer that there is no such function. */
bool hypercall_null(void)
{
	return hypercall_kept(PVM_HC_BASE + PVM_HC_COUNT - 1, 0, 0, 0, -(u64)PVM_KVM_ENOSYS);
}

bool hypercall_unknown(void)
{
	return hypercall_kept(0x7fff0000, 0, 0, 0, -(u64)PVM_KVM_ENOSYS);
}

bool exception_supervisor(void)
{
	struct probe p;

	probe_prepare(&p);
	probe_ud(&p);
	return probe_is_whole(&p);
}

#if SINGLE_CR3
/* Not by the guest itself. */
bool return_supervisor(void)
{
	bool ok;

	return_by_hypervisor = true;
	ok = exception_supervisor();
	return_by_hypervisor = false;
	return ok;
}
#else
bool return_supervisor_ip(void)
{
	bool ok;

	ud_returns = WITH_IP_SET;
	ok = exception_supervisor() && !irq_pending();
	ud_returns = PLAINLY;
	return ok;
}

bool return_supervisor_no_address(void)
{
	bool ok;

	refusals = 0;
	ud_returns = TO_NO_ADDRESS;
	ok = exception_supervisor() && refusals == 1;
	ud_returns = PLAINLY;
	return ok;
}

/* The frame's end lies on a page that is not there; what refuses it has room below. */
bool return_supervisor_unreadable(void)
{
	refusals = 0;
	leave_at(STACK + PAGE_SIZE - 8, &good_frame);
	return refusals == 1 && rest_is_whole();
}

/* A frame in the upper half, where the guest may have addresses there. */
bool return_supervisor_upper(void)
{
	u64 start = hc_rdmsr(MSR_PVM_LINEAR_ADDRESS_RANGE) & PML4_INDEX;
	u64 va = 0xffff000000000000ul | start << 39;
	struct pvm_supervisor_frame *frame = phys_to_virt(upper_pa);

	if (start == PML4_INDEX || paging_levels() != 4)
		return true;
	*pte_of(space_here()->supervisor_root, va, 1, true) =
		upper_pa | PTE_USER_RW;
	*frame = (struct pvm_supervisor_frame){ .rip = (u64)leave_at_next, .rflags = FLAG_FIXED };
	leave_at(va, frame);
	return rest_is_whole();
}
#endif

bool breakpoint_supervisor(void)
{
	struct probe p;

	probe_prepare(&p);
	probe_bp(&p);
	return probe_is_whole(&p);
}

bool emulated_instruction(void)
{
	struct probe p;

	probe_prepare(&p);
	p.in.rax = 0x40000000, p.in.rcx = 0;
	probe_cpuid(&p);
	p.out.rax = p.in.rax, p.out.rbx = p.in.rbx, p.out.rcx = p.in.rcx, p.out.rdx = p.in.rdx;
	return probe_is_whole(&p);
}

/* Selectors that are not the host's, and with bases that they do not give. */
bool data_segments(void)
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
