/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Short visits with ptrace: attach to a stub that waits for its monitor, change
 * its thread, detach. TLS and debug registers stay when the tracer leaves. Never
 * attached while the guest runs, because every signal would stop twice.
 *
 * One kind of entry needs a visit that goes on into it: a guest that denies itself
 * protection key 0, which the stub's own pages have. The stub loads PKRU last
 * and then executes INT3; the tracer sets the general registers there, so that the
 * next instruction is the guest's.
 */
#include "tracer.h"

#include <asm/ldt.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>

#define SIGNAL_MAX	0xff	/* above: an event of ptrace's own */

#define DESC_TYPE_EXPAND_DOWN	(1ull << 42)
#define DESC_TYPE_WRITABLE	(1ull << 41)
#define DESC_AVL		(1ull << 52)
#define DESC_G			(1ull << 55)

/* Wait for the next stop. Returns what waitid() calls its status, a signal with an
 * event in the bits above, or -ESRCH when the process has ended. Never reaps it:
 * that is space_destroy()'s. */
static int wait_for_stop(const struct space *space)
{
	siginfo_t info = { 0 };

	while (waitid(P_PIDFD, (id_t)space->pidfd, &info, WSTOPPED | WEXITED | WNOWAIT | __WALL) < 0)
		if (errno != EINTR)
			return -ESRCH;
	info = (siginfo_t){ 0 };
	if (waitid(P_PIDFD, (id_t)space->pidfd, &info, WSTOPPED | WNOHANG | __WALL) < 0 || !info.si_pid)
		return -ESRCH;
	return info.si_status;
}

static bool has_ended(const struct space *space)
{
	siginfo_t info = { 0 };

	return waitid(P_PIDFD, (id_t)space->pidfd, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid;
}

/* The signal that was on its way, 0 mostly, which is for CONT or DETACH to pass on; or
 * -errno. */
static int attach(const struct space *space)
{
	int status;

	if (ptrace(PTRACE_SEIZE, space->pid, NULL, NULL) < 0 ||
	    ptrace(PTRACE_INTERRUPT, space->pid, NULL, NULL) < 0) {
		status = -errno;
		return has_ended(space) ? -ESRCH : status;	/* a dead one is EPERM */
	}
	status = wait_for_stop(space);
	return status > SIGNAL_MAX ? 0 : status;
}

/* @status: attach()'s, or wait_for_stop()'s. */
static void detach(const struct space *space, int status)
{
	ptrace(PTRACE_DETACH, space->pid, NULL,
	       status > SIGNAL_MAX ? 0ul : (unsigned long)status);
}

/* ------------------------------------------------------------------------
 * TLS.
 */

/* @desc is rectified: a present 32-bit data segment with DPL 3, or 0. */
static struct user_desc to_user_desc(uint64_t desc, unsigned index)
{
	struct user_desc d;

	memset(&d, 0, sizeof(d));
	d.entry_number = index;
	if (!desc) {
		d.read_exec_only = 1;
		d.seg_not_present = 1;
		return d;
	}
	d.base_addr = (uint32_t)((desc >> 16 & 0xffffff) | (desc >> 56 & 0xff) << 24);
	d.limit = (uint32_t)((desc & 0xffff) | (desc >> 48 & 0xf) << 16);
	d.seg_32bit = 1;
	d.contents = !!(desc & DESC_TYPE_EXPAND_DOWN);
	d.read_exec_only = !(desc & DESC_TYPE_WRITABLE);
	d.limit_in_pages = !!(desc & DESC_G);
	d.useable = !!(desc & DESC_AVL);
	return d;
}

static void set_tls(struct space *space, const struct pvm_vcpu *vcpu)
{
	unsigned i;

	for (i = 0; i < 3; i++) {
		unsigned index = vcpu->vm->config.tls_index + i;
		struct user_desc d = to_user_desc(vcpu->tls[i], index);

		if (space->tls[i] != vcpu->tls[i] &&
		    ptrace(PTRACE_SET_THREAD_AREA, space->pid, (void *)(uintptr_t)index, &d) == 0)
			space->tls[i] = vcpu->tls[i];
	}
}

/* ------------------------------------------------------------------------
 * Debug registers.
 */

#define DR7_ENABLED	0xffull
#define DR7_RW(dr7, n)	((dr7) >> (16 + 4 * (n)) & 3)
#define DR7_LEN(dr7, n)	((dr7) >> (18 + 4 * (n)) & 3)
#define DR7_RW_EXECUTE	0

static const uint8_t length_of[4] = { 1, 2, 8, 4 };

struct breakpoints {
	uint64_t dr[4], dr7;
};

/* What of the guest's breakpoints the stub may have: none on its own pages,
 * where one would hit the handler and kill it; in the form that Linux takes. */
static struct breakpoints wanted(const struct pvm_vcpu *vcpu)
{
	struct breakpoints want = { .dr7 = pvm_vcpu_underlying_dr7(vcpu) };
	unsigned n;

	for (n = 0; n < 4; n++) {
		if (!(want.dr7 & PVM_DR7_ENABLE(n)) || vcpu->dr[n] >= STUB_REGION - 8) {
			want.dr7 &= ~(PVM_DR7_ENABLE(n) | PVM_DR7_RW_LEN(n));
			continue;
		}
		if (DR7_RW(want.dr7, n) == DR7_RW_EXECUTE)
			want.dr7 &= ~(uint64_t)PVM_DR7_RW_LEN(n);
		/* The CPU ignores the low bits; Linux refuses them. */
		want.dr[n] = vcpu->dr[n] & ~(uint64_t)(length_of[DR7_LEN(want.dr7, n)] - 1);
	}
	if (!(want.dr7 & DR7_ENABLED))
		want = (struct breakpoints){ .dr7 = 0 };
	return want;
}

static int poke(pid_t pid, unsigned dr, uint64_t value)
{
	return (int)ptrace(PTRACE_POKEUSER, pid, offsetof(struct user, u_debugreg) + 8ul * dr, value);
}

/* Linux checks an address against the length that its register has at that
 * moment. So: everything off and at 0, then the lengths, then the addresses. */
static void set_breakpoints(struct space *space, const struct breakpoints *want)
{
	unsigned n;

	poke(space->pid, 7, 0);
	for (n = 0; n < 4; n++)
		if (space->dr7 & PVM_DR7_ENABLE(n))
			poke(space->pid, n, 0);
	poke(space->pid, 7, want->dr7);
	for (n = 0; n < 4; n++)
		if (want->dr7 & PVM_DR7_ENABLE(n))
			poke(space->pid, n, want->dr[n]);
	memcpy(space->dr, want->dr, sizeof(space->dr));
	space->dr7 = want->dr7;
}

int tracer_sync(struct space *space, const struct pvm_vcpu *vcpu)
{
	struct breakpoints want = wanted(vcpu);
	bool tls = memcmp(space->tls, vcpu->tls, sizeof(space->tls)) != 0;
	bool dr = want.dr7 != space->dr7 || memcmp(want.dr, space->dr, sizeof(want.dr)) != 0;
	int signal;

	if (!tls && !dr)
		return 0;
	signal = attach(space);
	if (signal < 0)
		return signal;
	if (tls)
		set_tls(space, vcpu);
	if (dr)
		set_breakpoints(space, &want);
	detach(space, signal);
	return 0;
}

uint64_t tracer_breakpoints_hit(struct space *space)
{
	int signal = attach(space);
	uint64_t dr6;

	if (signal < 0)
		return 0;
	dr6 = (uint64_t)ptrace(PTRACE_PEEKUSER, space->pid, offsetof(struct user, u_debugreg) + 8 * 6,
			       NULL);
	detach(space, signal);
	return dr6 & PVM_DR6_BP_MASK;
}

/* ------------------------------------------------------------------------
 * Entries of guests that deny themselves key 0.
 */

int tracer_hold(struct space *space)
{
	int signal = attach(space);

	if (signal < 0)
		return signal;
	ptrace(PTRACE_CONT, space->pid, NULL, (unsigned long)signal);
	return 0;
}

static void set_registers(const struct space *space)
{
	const struct stub_control *control = space->control;
	const uint64_t *gpr = control->registers.gpr;
	struct user_regs_struct regs;

	if (ptrace(PTRACE_GETREGS, space->pid, NULL, &regs) < 0)
		return;
	regs.orig_rax = ~0ull;	/* no system call that could be restarted */
	regs.rax = gpr[PVM_RAX];
	regs.rcx = gpr[PVM_RCX];
	regs.rdx = gpr[PVM_RDX];
	regs.rbx = gpr[PVM_RBX];
	regs.rbp = gpr[PVM_RBP];
	regs.rsi = gpr[PVM_RSI];
	regs.rdi = gpr[PVM_RDI];
	regs.r8 = gpr[PVM_R8];
	regs.r9 = gpr[PVM_R9];
	regs.r10 = gpr[PVM_R10];
	regs.r11 = gpr[PVM_R11];
	regs.r12 = gpr[PVM_R12];
	regs.r13 = gpr[PVM_R13];
	regs.r14 = gpr[PVM_R14];
	regs.r15 = gpr[PVM_R15];
	regs.rip = control->registers.iret.rip;
	regs.cs = control->registers.iret.cs;
	regs.eflags = control->registers.iret.rflags;
	regs.rsp = control->registers.iret.rsp;
	regs.ss = control->registers.iret.ss;
	ptrace(PTRACE_SETREGS, space->pid, NULL, &regs);
}

/* Does the stub handle it? As zygote.c has set it up. */
static bool is_handled(int signal)
{
	static const int signals[] = { SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGSEGV, SIGSYS, STUB_SIGNAL_KICK };
	unsigned i;

	for (i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		if (signals[i] == signal)
			return true;
	return false;
}

/* Group stops and what else is an event of ptrace's own: none stops a stub that is needed. */
static bool is_stop(int status)
{
	return status > SIGNAL_MAX || status == SIGSTOP || status == SIGTSTP || status == SIGTTIN ||
	       status == SIGTTOU;
}

static bool go_is_taken(const struct space *space)
{
	struct pollfd go = { .fd = space->go, .events = POLLIN };

	return poll(&go, 1, 0) == 0;
}

void tracer_enter(struct space *space)
{
	int status = wait_for_stop(space);
	siginfo_t info = { 0 };
	unsigned long rip;

	/* N5: not the INT3 yet. SIGCONT comes with each kick; whatever else the stub does not handle has
	 * its default effect. */
	while (status >= 0 && !is_handled(status)) {
		ptrace(PTRACE_CONT, space->pid, NULL, is_stop(status) ? 0ul : (unsigned long)status);
		status = wait_for_stop(space);
	}
	if (status < 0)
		return;
	ptrace(PTRACE_GETSIGINFO, space->pid, NULL, &info);
	rip = (unsigned long)ptrace(PTRACE_PEEKUSER, space->pid, offsetof(struct user, regs.rip), NULL);
	/* M9: INT3's, no signal that a process has sent, and no #DB: a program can single-step what
	 * says stop, and has not taken the go then. */
	if (status == SIGTRAP && info.si_code == SI_KERNEL && go_is_taken(space) && rip >= STUB_TEXT &&
	    rip < STUB_TEXT + STUB_TEXT_SIZE) {
		set_registers(space);
		detach(space, 0);
	} else {
		/* A kick, say: the stub's handler answers it. */
		detach(space, status);
	}
}
