/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The zygote: a tiny process, one per vCPU, that clones stubs on request.
 *
 * Why it exists: a stub made by fork() from the monitor would start with a copy
 * of the monitor in it. The zygote has nothing to copy: no libc, no stack of
 * the kernel's making, no vdso, no descriptor but the four it needs.
 *
 * Owns the making of a stub up to its first stop. It never sees the guest run:
 * stubs are children of the monitor (CLONE_PARENT), which alone talks to them.
 */
#include <asm/fcntl.h>
#include <linux/mman.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <sys/socket.h>

#include "protocol.h"
#include "sys.h"

#define SIGNAL_HUP	1
#define SIGNAL_INT	2
#define SIGNAL_QUIT	3
#define SIGNAL_ILL	4
#define SIGNAL_TRAP	5
#define SIGNAL_BUS	7
#define SIGNAL_FPE	8
#define SIGNAL_KILL	9
#define SIGNAL_SEGV	11
#define SIGNAL_USR2	12
#define SIGNAL_PIPE	13
#define SIGNAL_ALRM	14
#define SIGNAL_TERM	15
#define SIGNAL_STKFLT	16
#define SIGNAL_TSTP	20
#define SIGNAL_TTIN	21
#define SIGNAL_TTOU	22
#define SIGNAL_VTALRM	26
#define SIGNAL_PROF	27
#define SIGNAL_POLL	29
#define SIGNAL_PWR	30
#define SIGNAL_SYS	31
#define SIGNAL_RTMIN	32
#define SIGNAL_MAX	64

#define ACTION_IGNORE	1	/* SIG_IGN */
#define ACTION_SIGINFO	0x00000004u
#define ACTION_RESTORER	0x04000000u
#define ACTION_ONSTACK	0x08000000u
#define ACTION_RESTART	0x10000000u

#define AUX_END		0
#define AUX_VDSO	33	/* AT_SYSINFO_EHDR */
#define RESOURCE_CORE	4	/* RLIMIT_CORE */
#define POLICY_OTHER	0	/* SCHED_OTHER */
#define POLICY_FIFO	1	/* SCHED_FIFO */
#define POLICY_RR	2	/* SCHED_RR */

struct kernel_sigaction {
	uint64_t handler;
	uint64_t flags;
	uint64_t restorer;
	uint64_t mask;
};

extern const char __executable_start[];
void zygote_main(const uint64_t *initial_stack) __attribute__((noreturn));

/* The kernel's stack is given up at once: it lies where the stub goes. */
__asm__(".section .text\n"
	".globl _start\n"
	"_start:\n"
	"	mov	%rsp, %rdi\n"
	"	lea	zygote_stack+16384(%rip), %rsp\n"
	"	call	zygote_main\n"
	"	ud2\n");
char zygote_stack[16384] __attribute__((aligned(4096), visibility("hidden")));

static __attribute__((noreturn)) void leave(int status)
{
	for (;;)
		sys1(__NR_exit_group, status);
}

static void check(long result, enum stub_stage stage)
{
	if (result < 0 && result > -4096)
		leave(STUB_EXIT + (int)stage);
}

/* ------------------------------------------------------------------------
 * What a stub's threads set up.
 */

static void map(uint64_t address, uint64_t size, int prot, uint64_t offset)
{
	check(sys6(__NR_mmap, address, size, prot, MAP_SHARED | MAP_FIXED, ZYGOTE_FD_ARENA, (long)offset),
	      STAGE_MAP);
}

static bool is_supervisors(uint32_t slot)
{
	return slot % 2 == 0;
}

static void map_pages(uint32_t slot)
{
	uint64_t own = (uint64_t)slot * STUB_SLOT_SIZE, peer = own + STUB_SLOT_SIZE;

	map(STUB_CONTROL, STUB_CONTROL_SIZE, PROT_READ, own);
	map(STUB_HANDED, STUB_HANDED_SIZE, PROT_READ, own + SLOT_HANDED);
	map(STUB_SHARED, STUB_SHARED_SIZE, PROT_READ | PROT_WRITE, own + SLOT_SHARED);
	if (!is_supervisors(slot))
		return;
	map(STUB_PEER_HANDED, STUB_HANDED_SIZE, PROT_READ | PROT_WRITE, peer + SLOT_HANDED);
	map(STUB_PEER_SHARED, STUB_SHARED_SIZE, PROT_READ, peer + SLOT_SHARED);
}

/* Go, stop, and @third; and no other but @also; 0: none. */
static void keep_descriptors(const int fds[4], int third, int also)
{
	check(sys3(__NR_dup3, fds[0], STUB_FD_GO, 0), STAGE_FDS);
	check(sys3(__NR_dup3, fds[1], STUB_FD_STOP, 0), STAGE_FDS);
	check(sys3(__NR_dup3, third, STUB_FD_PEER, 0), STAGE_FDS);
	check(sys3(__NR_close_range, 0, (also ? also : STUB_FD_GO) - 1, 0), STAGE_FDS);
	if (also)
		check(sys3(__NR_close_range, also + 1, STUB_FD_GO - 1, 0), STAGE_FDS);
	check(sys3(__NR_close_range, STUB_FD_PEER + 1, ~0u, 0), STAGE_FDS);
}

static void take_signals(void)
{
	static const uint8_t signals[] = {
		SIGNAL_ILL, SIGNAL_TRAP, SIGNAL_BUS, SIGNAL_FPE, SIGNAL_SEGV, SIGNAL_SYS,
		STUB_SIGNAL_KICK,
	};
	struct kernel_sigaction action;
	unsigned i;

	check(sys2(__NR_sigaltstack, stub_altstack, 0), STAGE_SIGNALS);
	for (i = 0; i < sizeof(signals); i++) {
		action.handler = STUB_ADDRESS(stub_handler);
		action.flags = ACTION_SIGINFO | ACTION_RESTORER | ACTION_ONSTACK | ACTION_RESTART;
		action.restorer = STUB_ADDRESS(stub_die);
		action.mask = ALL_SIGNALS;	/* stub.S says why */
		check(sys4(__NR_rt_sigaction, signals[i], &action, 0, SIGSET_SIZE), STAGE_SIGNALS);
	}
}

static void set_signal_mask(uint64_t mask)
{
	check(sys4(__NR_rt_sigprocmask, SIG_SETMASK, &mask, 0, SIGSET_SIZE), STAGE_SIGNALS);
}

/* ------------------------------------------------------------------------
 * The mapper, which shares the memory, but no descriptor and no filter.
 */

char mapper_stack[4096] __attribute__((aligned(4096), visibility("hidden")));
static const int *mapper_fds;
static bool mapper_is_supervisors;

void mapper_main(void) __attribute__((noreturn));
void mapper_main(void)
{
	keep_descriptors(mapper_fds, mapper_fds[2], STUB_FD_GUEST);
	check(stub_mapper_seccomp(mapper_is_supervisors), STAGE_SECCOMP);
	((void (*)(void))STUB_ADDRESS(stub_mapper))();
	leave(STUB_EXIT + STAGE_MAPPER);
}

/* The new thread must not return on its empty stack. */
long start_mapper(long flags, void *stack, int32_t *tid);
__asm__(".section .text\n"
	"start_mapper:\n"
	"	xorl	%r10d, %r10d\n"
	"	xorl	%r8d, %r8d\n"
	"	movl	$56, %eax\n"	/* clone */
	"	syscall\n"
	"	testq	%rax, %rax\n"
	"	jz	mapper_main\n"
	"	ret\n");

/* With all signals blocked, in it for good. */
static void make_mapper(const int fds[4])
{
	struct stub_record *record = (struct stub_record *)STUB_SHARED;

	mapper_fds = fds;
	check(start_mapper(CLONE_VM | CLONE_FS | CLONE_SIGHAND | CLONE_THREAD | CLONE_PARENT_SETTID,
			   mapper_stack + sizeof(mapper_stack), &record->mapper), STAGE_MAPPER);
}

/* ------------------------------------------------------------------------
 * The stub, from clone() to its first instruction in its own text.
 */

static __attribute__((noreturn)) void become_stub(const struct zygote_request *request, const int fds[4])
{
	uint32_t i;

	/* The monitor may have died between the request and the prctl(). */
	check(sys2(__NR_prctl, PR_SET_PDEATHSIG, SIGNAL_KILL), STAGE_PARENT);
	if (sys0(__NR_getppid) != request->monitor)
		leave(STUB_EXIT + STAGE_PARENT);
	map_pages(request->slot);
	/* N1: until the stub's text unblocks them. A signal that any process sends would be handled, and the
	 * guest be let go from there, without what follows. */
	set_signal_mask(ALL_SIGNALS);
	take_signals();
	for (i = 0; i < request->pkeys; i++)
		check(sys2(__NR_pkey_alloc, 0, 0), STAGE_PKEYS);
	check(sys5(__NR_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), STAGE_NO_NEW_PRIVS);
	mapper_is_supervisors = is_supervisors(request->slot);
	make_mapper(fds);
	keep_descriptors(fds, fds[3], 0);
	check(stub_seccomp(), STAGE_SECCOMP);
	/* Last, because it forbids system calls from here. No selector: the
	 * dispatch is always on, and no byte in memory can turn it off. */
	check(sys5(__NR_prctl, PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON, STUB_TEXT,
		   STUB_TEXT_SIZE, 0), STAGE_DISPATCH);
	((void (*)(void))STUB_ADDRESS(stub_start))();
	leave(STUB_EXIT + STAGE_DISPATCH);
}

/* ------------------------------------------------------------------------
 * The zygote.
 */

/* The kernel moves the vdso only as a whole, and does not say how large it is.
 * Where it can not be moved at all, only cause.c knows less. */
static void bury_vdso(uint64_t vdso)
{
	uint64_t size;

	for (size = 4096; size <= STUB_VDSO_GRAVE_SIZE; size += 4096)
		if (sys5(__NR_mremap, vdso, size, size, MREMAP_MAYMOVE | MREMAP_FIXED,
			 STUB_VDSO_GRAVE) == STUB_VDSO_GRAVE)
			break;
}

/* Put the text in place and forget everything the kernel mapped at exec(). */
static void make_room(const uint64_t *initial_stack)
{
	uint64_t argc = *initial_stack, vdso = 0;
	const uint64_t *p = initial_stack + 1 + argc + 1;

	while (*p++)
		;	/* the environment */
	for (; p[0] != AUX_END; p += 2)
		if (p[0] == AUX_VDSO)
			vdso = p[1];
	if (vdso)
		bury_vdso(vdso);
	/* S6: all but this program, which is linked low and goes later, goes now. */
	check(sys2(__NR_munmap, 0, (uint64_t)__executable_start), STAGE_ROOM);
	check(sys2(__NR_munmap, 0x100000000, STUB_REGION_END - 0x100000000), STAGE_ROOM);
	check(sys6(__NR_mmap, STUB_TEXT, STUB_TEXT_SIZE, PROT_READ | PROT_EXEC,
		   MAP_PRIVATE | MAP_FIXED, ZYGOTE_FD_IMAGE, stub_text - __executable_start), STAGE_MAP);
}

/*
 * No core of a stub, ever: it would hold the guest's memory. A limit of 1 is what
 * stops a core_pattern of "|program", too, where 0 does not. Where the limit can not
 * be raised to that, no mapping goes into the core.
 */
static void dump_no_core(void)
{
	static const char path[] = "/proc/self/coredump_filter";
	uint64_t limit[2] = { 1, 1 };
	long file = sys3(__NR_open, path, O_WRONLY, 0);

	if (file >= 0) {
		sys3(__NR_write, file, "0", 1);
		sys1(__NR_close, file);
	}
	sys2(__NR_setrlimit, RESOURCE_CORE, limit);
}

/*
 * Where memory is short the kernel kills the largest process. That is the monitor, by a few MiB, and then
 * no line says why the guest is gone; a stub's death ends the guest in order. So a stub counts for more, by
 * OOM_SHARE thousandths of the memory that is short, the host's or a control group's. Any process may raise
 * its own share.
 */
#define OOM_SHARE	100
#define OOM_MOST	1000

static void die_before_monitor(void)
{
	static const char path[] = "/proc/self/oom_score_adj";
	long file = sys3(__NR_open, path, O_RDWR, 0), size, at, score = 0;
	char text[8];
	bool less;

	if (file < 0)
		return;
	size = sys3(__NR_read, file, text, sizeof(text));
	less = size > 0 && text[0] == '-';
	for (at = less; at < size && text[at] >= '0' && text[at] <= '9'; at++)
		score = score * 10 + text[at] - '0';
	score = (less ? -score : score) + OOM_SHARE;
	if (score > OOM_MOST)
		score = OOM_MOST;
	less = score < 0;
	if (less)
		score = -score;
	for (at = sizeof(text); at == (long)sizeof(text) || score; score /= 10)
		text[--at] = (char)('0' + score % 10);
	if (less)
		text[--at] = '-';
	if (size > 0)
		sys4(__NR_pwrite64, file, text + at, sizeof(text) - (unsigned long)at, 0);
	sys1(__NR_close, file);
}

static void ignore(unsigned signal)
{
	struct kernel_sigaction action = { .handler = ACTION_IGNORE };

	sys4(__NR_rt_sigaction, signal, &action, 0, SIGSET_SIZE);
}

/*
 * What asks a process to end or to stop, and is sent to all of a service or to all of a name, is the
 * monitor's to obey: it ends the VM in order (signals.c). Stubs inherit it. A limit's SIGXCPU ends who is
 * over it.
 */
static void leave_signals_to_monitor(void)
{
	static const uint8_t signals[] = {
		SIGNAL_HUP, SIGNAL_INT, SIGNAL_QUIT, STUB_SIGNAL_KICK, SIGNAL_USR2, SIGNAL_PIPE, SIGNAL_ALRM,
		SIGNAL_TERM, SIGNAL_STKFLT, SIGNAL_TSTP, SIGNAL_TTIN, SIGNAL_TTOU, SIGNAL_VTALRM, SIGNAL_PROF,
		SIGNAL_POLL, SIGNAL_PWR,
	};
	unsigned i;

	for (i = 0; i < sizeof(signals); i++)
		ignore(signals[i]);
	for (i = SIGNAL_RTMIN; i <= SIGNAL_MAX; i++)
		ignore(i);
}

/* N3: with SCHED_FIFO a guest that computes would never leave its CPU to the monitor's threads. Stubs inherit
 * it. */
static void take_turns(void)
{
	static const int none;
	int priority;

	if (sys1(__NR_sched_getscheduler, 0) != POLICY_FIFO || sys2(__NR_sched_getparam, 0, &priority) != 0)
		return;
	if (sys3(__NR_sched_setscheduler, 0, POLICY_RR, &priority) != 0)
		sys3(__NR_sched_setscheduler, 0, POLICY_OTHER, &none);
}

/*
 * Started with all signals blocked and in a process group of its own. Before it had that group
 * the terminal's keys may have reached it: they were the monitor's.
 */
static void drop_signals(void)
{
	static const uint64_t all = ALL_SIGNALS;
	static const uint64_t now[2];

	while (sys4(__NR_rt_sigtimedwait, &all, 0, now, SIGSET_SIZE) > 0)
		;	/* the next */
	set_signal_mask(0);
}

static void harden(void)
{
	sys2(__NR_prctl, PR_SET_PDEATHSIG, SIGNAL_KILL);
	sys2(__NR_prctl, PR_SET_NAME, "pvm-stub");
	dump_no_core();
	die_before_monitor();
	leave_signals_to_monitor();
	drop_signals();
	take_turns();
	/* Stubs inherit it. Branches are `pvm run --mitigations`': docs/mitigations.md. A
	 * CPU or kernel without this switch needs none, or can not be helped. */
	sys5(__NR_prctl, PR_SET_SPECULATION_CTRL, PR_SPEC_STORE_BYPASS, PR_SPEC_FORCE_DISABLE, 0, 0);
	sys3(__NR_close_range, 0, 2, 0);
	sys3(__NR_close_range, ZYGOTE_FD_IMAGE + 1, ~0u, 0);
}

/* The next request, with the descriptors that come along; false: there are no more. */
static bool receive(struct zygote_request *request, int fds[4])
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(4 * sizeof(int))];
	} control;
	struct iovec iov;
	struct msghdr message;
	long got;

	iov.iov_base = request;
	iov.iov_len = sizeof(*request);
	message.msg_name = 0;
	message.msg_namelen = 0;
	message.msg_iov = &iov;
	message.msg_iovlen = 1;
	message.msg_control = &control;
	message.msg_controllen = sizeof(control);
	message.msg_flags = 0;
	got = sys3(__NR_recvmsg, ZYGOTE_FD_SOCKET, &message, 0);
	check(got, STAGE_REQUEST);
	if (got != (long)sizeof(*request) || message.msg_controllen < CMSG_LEN(4 * sizeof(int)))
		return false;
	fds[0] = ((int *)(void *)CMSG_DATA(&control.header))[0];
	fds[1] = ((int *)(void *)CMSG_DATA(&control.header))[1];
	fds[2] = ((int *)(void *)CMSG_DATA(&control.header))[2];
	fds[3] = ((int *)(void *)CMSG_DATA(&control.header))[3];
	return true;
}

void zygote_main(const uint64_t *initial_stack)
{
	struct zygote_request request;
	int32_t answer;
	int fds[4];

	harden();
	make_room(initial_stack);
	/* The monitor's death ends this too: its end of the socket is gone. */
	while (receive(&request, fds)) {
		answer = (int32_t)sys5(__NR_clone, CLONE_PARENT, 0, 0, 0, 0);
		if (answer == 0)
			become_stub(&request, fds);
		sys1(__NR_close, fds[0]);
		sys1(__NR_close, fds[1]);
		sys1(__NR_close, fds[2]);
		sys1(__NR_close, fds[3]);
		if (sys3(__NR_write, ZYGOTE_FD_SOCKET, &answer, sizeof(answer)) != sizeof(answer))
			break;
	}
	leave(0);
}
