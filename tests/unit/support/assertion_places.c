/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * One failing assertion per suite, in each place that a test program has. Every
 * suite here must be reported as failed: counted.cmake runs them one by one.
 */
#include "fixture.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

static struct fixture f;

static void fail(void)
{
	cr_assert_eq(1, 2, "one is not two");
}

static void expect(void)
{
	cr_expect_eq(1, 2, "one is not two");
}

TestSuite(init, .init = fail);
Test(init, fails) { }

TestSuite(fini, .fini = fail);
Test(fini, fails) { }

TestSuite(fini_expect, .fini = expect);
Test(fini_expect, fails) { }

Test(body, fails)
{
	fail();
}

static void *thread(void *unused)
{
	expect();
	return unused;
}

Test(thread, fails)
{
	pthread_t id;

	cr_assert_eq(pthread_create(&id, NULL, thread, NULL), 0);
	pthread_join(id, NULL);
}

Test(child, fails)
{
	pid_t child = fork();

	if (child == 0) {
		fail();
		_exit(0);
	}
	waitpid(child, NULL, 0);
}

static void boot(void)
{
	fixture_init(&f);
	fixture_boot(&f, &f.vcpu[0]);
}

static void leak_page(void)
{
	f.host.pages_live++;
	fixture_fini(&f);
}

static void leak_pin(void)
{
	f.host.pins++;
	fixture_fini(&f);
}

static void leak_lock(void)
{
	f.host.lock_depth++;
	fixture_fini(&f);
}

TestSuite(leaked_page, .init = boot, .fini = leak_page);
Test(leaked_page, fails) { }

TestSuite(leaked_pin, .init = boot, .fini = leak_pin);
Test(leaked_pin, fails) { }

TestSuite(leaked_lock, .init = boot, .fini = leak_lock);
Test(leaked_lock, fails) { }
