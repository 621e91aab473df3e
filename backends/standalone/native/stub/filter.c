/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The seccomp filters of a stub's two threads. Owns the lists of what each may
 * ask of the host kernel.
 *
 * The guest's thread: say stop, or that it waits, hand over, wait, arm the signal stack,
 * unblock all signals. Each from one instruction and with one set of arguments. All else raises
 * SIGSYS, so that it reaches the monitor as an event instead of killing
 * anything. Syscall User Dispatch comes first and catches what the guest itself
 * executes; the filter is for a guest that jumps into the stub's text, and for the
 * vsyscall page, which the dispatch does not see.
 *
 * The mapper: wait for orders, tell results, and change mappings of guest memory
 * below STUB_REGION; a supervisor's, also that of the PVCS's page above it. No guest can
 * reach it; anything else ends the process.
 */
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/mman.h>
#include <linux/prctl.h>
#include <linux/seccomp.h>

#include "protocol.h"
#include "sys.h"

#define FILTER_MAX 224

struct program {
	struct sock_filter code[FILTER_MAX];
	unsigned short len;
	uint32_t refusal;	/* SECCOMP_RET_* of what is not allowed */
};

static void emit(struct program *p, uint16_t code, uint8_t jt, uint8_t jf, uint32_t k)
{
	struct sock_filter *insn = &p->code[p->len++];

	if (p->len > FILTER_MAX)
		sys1(__NR_exit_group, STUB_EXIT + STAGE_SECCOMP);
	insn->code = code;
	insn->jt = jt;
	insn->jf = jf;
	insn->k = k;
}

static void load(struct program *p, uint32_t offset)
{
	emit(p, BPF_LD | BPF_W | BPF_ABS, 0, 0, offset);
}

/* What is not allowed. */
static void refuse(struct program *p)
{
	emit(p, BPF_RET | BPF_K, 0, 0, p->refusal);
}

static void allow(struct program *p)
{
	emit(p, BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW);
}

/* The word that was loaded must be @k. */
static void must_be(struct program *p, uint32_t k)
{
	emit(p, BPF_JMP | BPF_JEQ | BPF_K, 1, 0, k);
	refuse(p);
}

static void must_be_below(struct program *p, uint32_t k)
{
	emit(p, BPF_JMP | BPF_JGE | BPF_K, 0, 1, k);
	refuse(p);
}

#define ARG_LOW(n)	((uint32_t)offsetof(struct seccomp_data, args[n]))
#define ARG_HIGH(n)	(ARG_LOW(n) + 4)
#define IP_LOW		((uint32_t)offsetof(struct seccomp_data, instruction_pointer))
#define IP_HIGH		(IP_LOW + 4)

static void arg_must_be(struct program *p, unsigned n, uint64_t value)
{
	load(p, ARG_LOW(n));
	must_be(p, (uint32_t)value);
	load(p, ARG_HIGH(n));
	must_be(p, (uint32_t)(value >> 32));
}

/* An address below STUB_REGION and a length below 4 GiB: see protocol.h. */
static void must_be_guest_range(struct program *p)
{
	load(p, ARG_HIGH(0));
	must_be_below(p, (uint32_t)(STUB_REGION >> 32));
	load(p, ARG_HIGH(1));
	must_be(p, 0);
}

/* What follows is for system call @nr. Returns where to note its end. The
 * number is in the accumulator before and, if it is another one, after. */
static unsigned short begin(struct program *p, uint32_t nr)
{
	unsigned short jump = p->len;

	emit(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 0, nr);
	return jump;
}

/* ... from @site only. */
static unsigned short begin_at(struct program *p, uint32_t nr, uint64_t site)
{
	unsigned short jump = begin(p, nr);

	load(p, IP_LOW);
	must_be(p, (uint32_t)site);
	return jump;
}

static void end(struct program *p, unsigned short jump)
{
	allow(p);
	p->code[jump].jf = (uint8_t)(p->len - jump - 1);
}

/* Each argument is named: no register of the guest decides anything. */
static void guests_calls(struct program *p)
{
	unsigned short jump, peer, rest;

	/* Three sites; the descriptor tells the hand-over from the others. */
	jump = begin(p, __NR_write);
	arg_must_be(p, 2, 8);
	load(p, ARG_HIGH(0));
	must_be(p, 0);
	load(p, ARG_LOW(0));
	peer = p->len;
	emit(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 0, STUB_FD_PEER);
	must_be(p, STUB_FD_STOP);
	load(p, IP_LOW);
	rest = p->len;
	emit(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 0, (uint32_t)STUB_ADDRESS(stub_after_rest));
	must_be(p, (uint32_t)STUB_ADDRESS(stub_after_write));
	arg_must_be(p, 1, STUB_CONTROL + CONTROL_TURN);
	allow(p);
	p->code[rest].jt = (uint8_t)(p->len - rest - 1);
	arg_must_be(p, 1, STUB_CONTROL + CONTROL_REST);
	allow(p);
	p->code[peer].jt = (uint8_t)(p->len - peer - 1);
	load(p, IP_LOW);
	must_be(p, (uint32_t)STUB_ADDRESS(stub_after_hand_over));
	arg_must_be(p, 1, STUB_ADDRESS(stub_by_peer));
	end(p, jump);
	jump = begin_at(p, __NR_read, STUB_ADDRESS(stub_after_read));
	arg_must_be(p, 0, STUB_FD_GO);
	arg_must_be(p, 1, STUB_SHARED + RECORD_GO);
	arg_must_be(p, 2, 8);
	end(p, jump);
	jump = begin_at(p, __NR_sigaltstack, STUB_ADDRESS(stub_after_arm));
	arg_must_be(p, 0, STUB_ADDRESS(stub_altstack));
	arg_must_be(p, 1, 0);
	end(p, jump);
	jump = begin_at(p, __NR_rt_sigprocmask, STUB_ADDRESS(stub_after_unblock));
	arg_must_be(p, 0, SIG_SETMASK);
	arg_must_be(p, 1, STUB_ADDRESS(stub_no_signals));
	arg_must_be(p, 2, 0);
	arg_must_be(p, 3, SIGSET_SIZE);
	end(p, jump);
}

/* The page of the PVCS, for the stub's own use: above all that is the guest's. */
static void map_pvcs(struct program *p)
{
	unsigned short jump;

	load(p, ARG_HIGH(0));
	jump = p->len;
	emit(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 0, (uint32_t)(STUB_PVCS >> 32));
	arg_must_be(p, 0, STUB_PVCS);
	arg_must_be(p, 1, STUB_PVCS_SIZE);
	load(p, ARG_LOW(2));		/* PROT_NONE: there is none any more */
	must_be_below(p, (PROT_READ | PROT_WRITE) + 1);
	load(p, ARG_HIGH(2));
	must_be(p, 0);
	arg_must_be(p, 3, MAP_SHARED | MAP_FIXED);
	arg_must_be(p, 4, STUB_FD_GUEST);
	allow(p);
	p->code[jump].jf = (uint8_t)(p->len - jump - 1);
}

static void mappers_calls(struct program *p, bool supervisor)
{
	unsigned short jump;

	jump = begin(p, __NR_read);
	arg_must_be(p, 0, STUB_FD_ORDER);
	end(p, jump);
	jump = begin(p, __NR_write);
	load(p, ARG_LOW(0));
	emit(p, BPF_JMP | BPF_JEQ | BPF_K, 2, 0, STUB_FD_GO);
	must_be(p, STUB_FD_STOP);
	end(p, jump);

	/* M2: nothing but the guest's memory, nowhere but in the guest's part. */
	jump = begin(p, __NR_mmap);
	if (supervisor)
		map_pvcs(p);
	must_be_guest_range(p);
	load(p, ARG_LOW(2));
	must_be_below(p, (PROT_READ | PROT_WRITE | PROT_EXEC) + 1);
	load(p, ARG_LOW(3));
	emit(p, BPF_ALU | BPF_AND | BPF_K, 0, 0, ~(uint32_t)MAP_POPULATE);
	must_be(p, MAP_SHARED | MAP_FIXED);
	arg_must_be(p, 4, STUB_FD_GUEST);
	end(p, jump);

	jump = begin(p, __NR_munmap);
	load(p, ARG_HIGH(1));
	/* Short: anywhere below the region. Else exactly all that is below it. */
	emit(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 4, 0);
	load(p, ARG_HIGH(0));
	must_be_below(p, (uint32_t)(STUB_REGION >> 32));
	allow(p);
	arg_must_be(p, 0, 0);
	arg_must_be(p, 1, STUB_REGION);
	end(p, jump);

	jump = begin(p, __NR_pkey_mprotect);
	must_be_guest_range(p);
	load(p, ARG_LOW(2));
	must_be_below(p, (PROT_READ | PROT_WRITE | PROT_EXEC) + 1);
	load(p, ARG_HIGH(2));
	must_be(p, 0);
	load(p, ARG_LOW(3));
	must_be_below(p, 16);
	load(p, ARG_HIGH(3));
	must_be(p, 0);
	end(p, jump);
}

/* The zygote's own last call, which comes after the filter: see zygote.c. It
 * can only repeat what is so already. */
static void dispatch(struct program *p)
{
	load(p, offsetof(struct seccomp_data, nr));
	must_be(p, __NR_prctl);
	arg_must_be(p, 0, PR_SET_SYSCALL_USER_DISPATCH);
	arg_must_be(p, 1, PR_SYS_DISPATCH_ON);
	arg_must_be(p, 2, STUB_TEXT);
	arg_must_be(p, 3, STUB_TEXT_SIZE);
	arg_must_be(p, 4, 0);
	allow(p);
}

static long install(struct program *p)
{
	struct sock_fprog prog;

	prog.len = p->len;
	prog.filter = p->code;
	return sys3(__NR_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog);
}

long stub_seccomp(void)
{
	struct program p;
	unsigned short in_text;

	p.len = 0;
	p.refusal = SECCOMP_RET_TRAP;
	load(&p, offsetof(struct seccomp_data, arch));
	must_be(&p, AUDIT_ARCH_X86_64);
	load(&p, IP_HIGH);
	in_text = p.len;
	emit(&p, BPF_JMP | BPF_JEQ | BPF_K, 0, 0, (uint32_t)(STUB_TEXT >> 32));
	dispatch(&p);
	p.code[in_text].jt = (uint8_t)(p.len - in_text - 1);
	load(&p, offsetof(struct seccomp_data, nr));
	guests_calls(&p);
	refuse(&p);
	return install(&p);
}

long stub_mapper_seccomp(bool supervisor)
{
	struct program p;

	p.len = 0;
	p.refusal = SECCOMP_RET_KILL_PROCESS;
	load(&p, offsetof(struct seccomp_data, arch));
	must_be(&p, AUDIT_ARCH_X86_64);
	load(&p, offsetof(struct seccomp_data, nr));
	mappers_calls(&p, supervisor);
	refuse(&p);
	return install(&p);
}
