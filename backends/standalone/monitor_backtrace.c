/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The monitor's own backtrace when a signal kills it, and its end where the host has lost memory of the
 * guest's. Runs in a signal handler of a broken process: allocates nothing, takes no lock of ours, uses
 * write().
 */
#define UNW_LOCAL_ONLY
#include "backtrace.h"
#include "memory.h"
#include "output.h"
#include "vm.h"

#include <libunwind.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#define LINE_MAX_BYTES	256
#define NAME_MAX_BYTES	128

static const struct {
	int number;
	const char *name;
} fatal_signals[] = {
	{ SIGSEGV, "SIGSEGV" },
	{ SIGBUS, "SIGBUS" },
	{ SIGILL, "SIGILL" },
	{ SIGFPE, "SIGFPE" },
	{ SIGABRT, "SIGABRT" },
	{ SIGTRAP, "SIGTRAP" },
	{ SIGSYS, "SIGSYS" },
};

#define FATAL_SIGNALS (sizeof(fatal_signals) / sizeof(fatal_signals[0]))

/* The main thread's, whose stack may have overflowed. */
static char handler_stack[64 * 1024];

__attribute__((format(printf, 1, 2))) static void print(const char *format, ...)
{
	static bool unread;
	struct pollfd fd = { .fd = STDERR_FILENO, .events = POLLOUT };
	char line[LINE_MAX_BYTES];
	va_list args;
	int length;

	va_start(args, format);
	length = vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	if (length > (int)sizeof(line) - 1)
		length = (int)sizeof(line) - 1;
	/* A reader that takes nothing is waited for once: the process has to end. */
	if (length <= 0 || unread)
		return;
	unread = poll(&fd, 1, OUTPUT_PATIENCE_MS) == 0 || write(STDERR_FILENO, line, (size_t)length) < 0;
}

static void (*before_printing)(void);

static const char *signal_name(int number)
{
	size_t i;

	for (i = 0; i < FATAL_SIGNALS; i++)
		if (fatal_signals[i].number == number)
			return fatal_signals[i].name;
	return "signal";
}

/* Broken memory, or none left for a page of the file: no fault of the monitor's. */
static void end_without_memory(uint64_t gpa)
{
	static atomic_flag said = ATOMIC_FLAG_INIT;

	while (atomic_flag_test_and_set(&said))
		pause();	/* another vCPU was first */
	if (before_printing)
		before_printing();
	print("pvm: the host lost the guest's memory at guest-physical 0x%lx\n", (unsigned long)gpa);
	_exit(MONITOR_STATUS_FAILED);
}

/* By the signal, whose effect is the default again. The first process of a PID namespace does not die of
 * one that it sends to itself. */
static void die(int number)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, number);
	raise(number);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	_exit(MONITOR_STATUS_SIGNAL + number);
}

static void die_with_backtrace(int number, siginfo_t *info, void *context)
{
	unw_cursor_t cursor;
	unsigned frame = 0;
	uint64_t gpa;

	/* Of a signal that a process sends there is no address: its code is not above 0. */
	if (number == SIGBUS && info->si_code > 0 && guest_memory_has(info->si_addr, &gpa))
		end_without_memory(gpa);
	signal(number, SIG_DFL);
	if (before_printing)
		before_printing();
	print("pvm: the monitor died of %s at address %p; its stack:\n", signal_name(number),
	      number == SIGABRT ? NULL : info->si_addr);
	if (unw_init_local2(&cursor, context, UNW_INIT_SIGNAL_FRAME) == 0) {
		do {
			char name[NAME_MAX_BYTES];
			unw_word_t ip = 0, offset = 0;

			unw_get_reg(&cursor, UNW_REG_IP, &ip);
			if (unw_get_proc_name(&cursor, name, sizeof(name), &offset))
				strcpy(name, "?");
			print("  #%-2u 0x%016lx %s+0x%lx\n", frame, (unsigned long)ip, name,
			      (unsigned long)offset);
		} while (++frame < BACKTRACE_FRAMES_MAX && unw_step(&cursor) > 0);
	}
	die(number);
}

void backtrace_install_monitor_handlers(void (*first)(void))
{
	stack_t stack = { .ss_sp = handler_stack, .ss_size = sizeof(handler_stack) };
	struct sigaction action;
	size_t i;

	before_printing = first;
	sigaltstack(&stack, NULL);
	memset(&action, 0, sizeof(action));
	action.sa_sigaction = die_with_backtrace;
	action.sa_flags = SA_SIGINFO | SA_ONSTACK;
	sigemptyset(&action.sa_mask);
	for (i = 0; i < FATAL_SIGNALS; i++)
		sigaction(fatal_signals[i].number, &action, NULL);
}
