/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Checks, assertions, and the end of a guest. Owns the three counters.
 */
#include "check.h"

#include "console.h"
#include "insn.h"

#define EXIT_PORT 0xf4
#define LABEL_MAX 160

static u32 checks, failed, skipped;

bool check(bool ok, const char *what)
{
	checks++;
	failed += !ok;
	printf("%s %u - %s\n", ok ? "ok" : "not ok", checks, what);
	return ok;
}

bool check_eq(u64 got, u64 expected, const char *what)
{
	if (got == expected)
		return check(true, what);
	checks++;
	failed++;
	printf("not ok %u - %s (got %#lx, expected %#lx)\n", checks, what, got, expected);
	return false;
}

void skip(const char *what)
{
	checks++;
	skipped++;
	printf("skip %u - %s\n", checks, what);
}

const char *label(const char *name, const char *what)
{
	static char text[LABEL_MAX];
	const char *parts[] = { name, ": ", what };
	size_t used = 0;

	for (size_t i = 0; i < array_size(parts); i++)
		for (const char *s = parts[i]; *s && used < LABEL_MAX - 1; s++)
			text[used++] = *s;
	text[used] = 0;
	return text;
}

noreturn void guest_finish(void)
{
	printf("# %u checks, %u failed, %u skipped\n", checks, failed, skipped);
	guest_exit(failed != 0 || checks == 0);
}

noinline noreturn void guest_exit(u8 status)
{
	outl(EXIT_PORT, status);
	for (;;)	/* no such port here: sleep for good */
		__asm__ volatile("cli; hlt");
}

noinline noreturn void guest_assert_failed(const char *file, int line, const char *expr)
{
	printf("%s:%d: assertion failed: %s\n", file, line, expr);
	guest_exit(1);
}
