/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * snapshot GUEST.elf SEED TIMES: a guest that goes on in another VM, again and again, from random moments of
 * its work: all that KVM's ioctls give of a vCPU is put into a new one, with a copy of the memory. Prints
 * what the guest prints, and ends with 0 where it does, and was moved in either of its modes.
 */
#define _GNU_SOURCE
#include "machine.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/time.h>
#include <unistd.h>

#include <pvm/abi.h>
#include <pvm/kvm.h>
#include <pvm/vcpu.h>
#include <pvm/x86.h>

#include "serial16550.h"

#define MEMORY		(64ull << 20)
#define SERIAL		0x3f8
#define DEBUG_EXIT	0xf4
#define MOVES_LEAST	10
#define MSRS		(sizeof(msr_list) / sizeof(msr_list[0]))

/* The TSC's deadline comes after the local APIC, which it belongs to. */
static const uint32_t msr_list[] = {
	PVM_MSR_STAR, PVM_MSR_LSTAR, PVM_MSR_CSTAR, PVM_MSR_SYSCALL_MASK, PVM_MSR_KERNEL_GS_BASE,
	PVM_MSR_IA32_SYSENTER_CS, PVM_MSR_IA32_SYSENTER_ESP, PVM_MSR_IA32_SYSENTER_EIP, PVM_MSR_IA32_PAT,
	PVM_MSR_IA32_PKRS, PVM_MSR_TSC_AUX, MSR_PVM_LINEAR_ADDRESS_RANGE, MSR_PVM_VCPU_STRUCT,
	MSR_PVM_SUPERVISOR_RSP, MSR_PVM_SUPERVISOR_REDZONE, MSR_PVM_EVENT_ENTRY, MSR_PVM_RETU_RIP,
	MSR_PVM_RETS_RIP, MSR_PVM_SWITCH_CR3, PVM_KVM_MSR_TLS0, PVM_KVM_MSR_TLS0 + 1,
	PVM_KVM_MSR_TLS0 + 2, PVM_KVM_MSR_VCPU, PVM_MSR_IA32_TSC_DEADLINE,
};

struct state {
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct kvm_vcpu_events events;
	struct kvm_debugregs debugregs;
	struct kvm_lapic_state lapic;
	struct kvm_mp_state mp;
	struct kvm_xsave xsave;
	struct kvm_xcrs xcrs;
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry[MSRS];
	} msrs;
};

static struct machine m;
static struct serial16550 uart;
static uint64_t random_state;
static unsigned long moves, in_user_mode;

static void print_byte(void *host, uint8_t byte)
{
	(void)host;
	putchar(byte);
}

/* Those that a dialect does not have, or the CPU, are left out. */
static void get_msrs(struct state *s)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} one = { .head.nmsrs = 1 };
	unsigned i;

	for (i = 0; i < MSRS; i++) {
		one.entry.index = msr_list[i];
		if (ioctl(m.vcpu[0], KVM_GET_MSRS, &one) == 1)
			s->msrs.entry[s->msrs.head.nmsrs++] = one.entry;
	}
}

static void save(struct state *s)
{
	int fd = m.vcpu[0];

	memset(s, 0, sizeof(*s));
	ASK(fd, KVM_GET_REGS, &s->regs);
	ASK(fd, KVM_GET_SREGS, &s->sregs);
	ASK(fd, KVM_GET_VCPU_EVENTS, &s->events);
	ASK(fd, KVM_GET_DEBUGREGS, &s->debugregs);
	ASK(fd, KVM_GET_LAPIC, &s->lapic);
	ASK(fd, KVM_GET_MP_STATE, &s->mp);
	ASK(fd, KVM_GET_XSAVE, &s->xsave);
	ASK(fd, KVM_GET_XCRS, &s->xcrs);
	get_msrs(s);
}

static void restore(struct state *s)
{
	int fd = m.vcpu[0], set;

	ASK(fd, KVM_SET_XCRS, &s->xcrs);
	ASK(fd, KVM_SET_XSAVE, &s->xsave);
	ASK(fd, KVM_SET_SREGS, &s->sregs);
	ASK(fd, KVM_SET_LAPIC, &s->lapic);
	set = ASK(fd, KVM_SET_MSRS, &s->msrs);
	if (set != (int)s->msrs.head.nmsrs)
		machine_die("MSR 0x%x is refused: 0x%llx", s->msrs.entry[set].index, s->msrs.entry[set].data);
	ASK(fd, KVM_SET_REGS, &s->regs);
	ASK(fd, KVM_SET_DEBUGREGS, &s->debugregs);
	ASK(fd, KVM_SET_VCPU_EVENTS, &s->events);
	ASK(fd, KVM_SET_MP_STATE, &s->mp);
}

/* Into another VM. */
static void move(void)
{
	static struct state state;
	struct machine old = m;

	save(&state);
	in_user_mode += state.sregs.ss.dpl == 3;
	machine_create_bare(&m, old.abi, old.memory_size, 1);
	memcpy(m.memory, old.memory, old.memory_size);
	restore(&state);
	machine_destroy(&old);
	moves++;
}

static void do_io(struct kvm_run *run)
{
	uint8_t *data = (uint8_t *)run + run->io.data_offset;
	unsigned port = run->io.port;

	if (run->io.direction == KVM_EXIT_IO_IN)
		*data = port - SERIAL < 8 ? serial16550_read(&uart, port - SERIAL) : 0xff;
	else if (port - SERIAL < 8)
		serial16550_write(&uart, port - SERIAL, *data);
	if (port != DEBUG_EXIT || run->io.direction == KVM_EXIT_IO_IN)
		return;
	fflush(stdout);
	if (*data || moves < MOVES_LEAST || !in_user_mode || in_user_mode == moves)
		machine_die("status %u; moved %lu times, %lu of them in user mode", *data, moves, in_user_mode);
	_exit(0);
}

static void interrupted(int signal)
{
	(void)signal;
}

static void arm(void)
{
	struct itimerval timer = { { 0, 1000 }, { 0, 0 } };

	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	timer.it_value.tv_usec = 1 + (suseconds_t)(random_state % 20000);
	setitimer(ITIMER_REAL, &timer, NULL);
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = interrupted };
	struct itimerval never = { 0 };
	unsigned long times;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc != 4)
		machine_die("usage: snapshot GUEST.elf SEED TIMES");
	random_state = strtoull(argv[2], NULL, 0) * 0x9e3779b97f4a7c15ull | 1;
	times = strtoul(argv[3], NULL, 0);
	sigaction(SIGALRM, &action, NULL);
	serial16550_init(&uart, print_byte, NULL);
	machine_create(&m, argv[1], MEMORY, 1);
	arm();
	for (;;) {
		if (ioctl(m.vcpu[0], KVM_RUN, 0) < 0) {
			if (errno != EINTR && errno != EAGAIN)
				machine_die("KVM_RUN: %s", strerror(errno));
			setitimer(ITIMER_REAL, &never, NULL);
			if (moves < times) {
				move();
				arm();
			}
		} else if (m.run[0]->exit_reason == KVM_EXIT_IO) {
			do_io(m.run[0]);
		} else {
			machine_die("exit reason %u, suberror %u, after %lu moves", m.run[0]->exit_reason,
				    m.run[0]->internal.suberror, moves);
		}
	}
}
