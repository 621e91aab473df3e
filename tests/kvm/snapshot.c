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

#include "serial16550.h"
#include "vcpu_state.h"

#define MEMORY		(64ull << 20)
#define SERIAL		0x3f8
#define DEBUG_EXIT	0xf4
#define MOVES_LEAST	10

static struct machine m;
static struct serial16550 uart;
static uint64_t random_state;
static unsigned long moves, in_user_mode;

static void print_byte(void *host, uint8_t byte)
{
	(void)host;
	putchar(byte);
}

/* Into another VM. */
static void move(void)
{
	static struct vcpu_state state;
	struct machine old = m;

	vcpu_state_get(m.vcpu[0], &state);
	in_user_mode += state.sregs.ss.dpl == 3;
	machine_create_bare(&m, old.abi, old.memory_size, 1);
	memcpy(m.memory, old.memory, old.memory_size);
	vcpu_state_set(m.vcpu[0], &state);
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
