/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Makes assertions count that Criterion prints and then forgets: those of a
 * .fini, of another thread and of a forked child. Each test program is linked
 * with --wrap for the three functions below. An assertion that fails in such a
 * place ends the test process with SIGABRT, which Criterion reports as a crash.
 */
#include <criterion/criterion.h>
#include <criterion/event.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void __real_criterion_send_assert(struct criterion_assert_stats *stats);
void __real_criterion_internal_test_setup(void);
void __real_criterion_internal_test_teardown(void);
void __wrap_criterion_send_assert(struct criterion_assert_stats *stats);
void __wrap_criterion_internal_test_setup(void);
void __wrap_criterion_internal_test_teardown(void);

static pid_t test_process;
static pthread_t test_thread;
static bool torn_down;

static const char *uncounted_place(void)
{
	if (getpid() != test_process)
		return "a forked child";
	if (!pthread_equal(pthread_self(), test_thread))
		return "another thread";
	return torn_down ? ".fini" : NULL;
}

void __wrap_criterion_internal_test_setup(void)
{
	test_process = getpid();
	test_thread = pthread_self();
	__real_criterion_internal_test_setup();
}

void __wrap_criterion_internal_test_teardown(void)
{
	torn_down = true;
	__real_criterion_internal_test_teardown();
}

void __wrap_criterion_send_assert(struct criterion_assert_stats *stats)
{
	const char *place = stats->passed ? NULL : uncounted_place();

	if (!place) {
		__real_criterion_send_assert(stats);
		return;
	}
	fprintf(stderr, "%s:%u: assertion failed in %s: %s\n", stats->file, stats->line, place,
		stats->message ? stats->message : "");
	if (getpid() != test_process)
		kill(test_process, SIGABRT);
	abort();
}
