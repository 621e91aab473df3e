/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The monitor's own backtrace: in a child that dies each way a program can.
 */
#define _GNU_SOURCE
#include "backtrace.h"
#include "memory.h"
#include "vm.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static char output[65536];

/* Volatile, so that no compiler sees the faults coming. */
static volatile uintptr_t nowhere = 16;
static volatile int endless_depth = -1;

__attribute__((noinline)) static void function_that_reads_nowhere(void)
{
	*(volatile int *)nowhere = 1;
}

__attribute__((noinline)) static void function_that_aborts(void)
{
	abort();
}

/* Returns its depth so that it is no tail call. */
__attribute__((noinline)) static int function_without_end(int depth)
{
	volatile char space[4096];

	if (depth == endless_depth)
		return 0;
	space[0] = (char)depth;
	return function_without_end(depth + 1) + space[0];
}

static void function_that_overflows_its_stack(void)
{
	exit(function_without_end(0));
}

/* A page of guest memory, and one that is not, of a file that has become shorter. */
static void read_lost_page(bool guests)
{
	int fd = memfd_create("lost", 0);
	struct guest_memory memory;
	uint8_t *page = NULL;
	char why[256];

	if (guest_memory_create(&memory, GUEST_MEMORY_FILE, 2 << 20, why, sizeof(why)))
		_exit(1);
	if (guests)
		page = memory.va + 0x3000;
	page = mmap(page, 0x1000, PROT_READ, MAP_SHARED | (guests ? MAP_FIXED : 0), fd, 0);
	_exit(*(volatile uint8_t *)(page + 0x123));
}

static void function_that_reads_lost_memory(void)
{
	read_lost_page(true);
}

static void function_that_reads_a_short_file(void)
{
	read_lost_page(false);
}

static void function_that_gets_a_sigbus(void)
{
	struct guest_memory memory;
	union sigval value;
	char why[256];

	if (guest_memory_create(&memory, GUEST_MEMORY_FILE, 2 << 20, why, sizeof(why)))
		_exit(1);
	value.sival_ptr = memory.va;
	sigqueue(getpid(), SIGBUS, value);
}

static void say_first(void)
{
	static const char line[] = "first\n";

	if (write(STDERR_FILENO, line, sizeof(line) - 1) < 0)
		_exit(1);
}

/* Run @die in a child with the handlers installed; its stderr goes to output. */
static int status_of(void (*die)(void))
{
	int pipes[2], status;
	size_t length = 0;
	ssize_t got;
	pid_t child;

	cr_assert_eq(pipe(pipes), 0);
	child = fork();
	if (!child) {
		const struct rlimit no_core = { 0, 0 };

		setrlimit(RLIMIT_CORE, &no_core);
		dup2(pipes[1], STDERR_FILENO);
		backtrace_install_monitor_handlers(say_first);
		die();
		_exit(0);
	}
	close(pipes[1]);
	while ((got = read(pipes[0], output + length, sizeof(output) - 1 - length)) > 0)
		length += (size_t)got;
	output[length] = 0;
	close(pipes[0]);
	waitpid(child, &status, 0);
	return status;
}

Test(monitor_backtrace, a_segmentation_fault_names_its_address_and_function_and_kills)
{
	int status = status_of(function_that_reads_nowhere);

	cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV, "%x: %s", status, output);
	cr_assert(strstr(output, "pvm: the monitor died of SIGSEGV at address 0x10"), "%s", output);
	cr_assert(strstr(output, "#0 "), "%s", output);
	cr_assert(strstr(output, "function_that_reads_nowhere"), "%s", output);
	cr_assert(strstr(output, "status_of"), "the callers too: %s", output);
}

Test(monitor_backtrace, an_abort_shows_who_called_it)
{
	int status = status_of(function_that_aborts);

	cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT, "%x: %s", status, output);
	cr_assert(strstr(output, "SIGABRT"), "%s", output);
	cr_assert(strstr(output, "function_that_aborts"), "%s", output);
}

Test(monitor_backtrace, a_stack_that_overflowed_is_shown_from_another_stack)
{
	int status = status_of(function_that_overflows_its_stack);

	cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV, "%x: %s", status, output);
	cr_assert(strstr(output, "function_without_end"), "%s", output);
}

Test(monitor_backtrace, guest_memory_that_the_host_has_lost_is_one_line_and_a_status)
{
	int status = status_of(function_that_reads_lost_memory);

	cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == MONITOR_STATUS_FAILED, "%x: %s", status, output);
	cr_assert_str_eq(output, "first\npvm: the host lost the guest's memory at guest-physical 0x3123\n");
}

Test(monitor_backtrace, a_sigbus_elsewhere_or_of_another_process_is_a_fault)
{
	int status = status_of(function_that_reads_a_short_file);

	cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS, "%x: %s", status, output);
	cr_assert(strstr(output, "died of SIGBUS"), "%s", output);
	status = status_of(function_that_gets_a_sigbus);
	cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS, "%x: %s", status, output);
}
