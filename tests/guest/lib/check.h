/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * One line on the console per check, the plan at the end, and the two ways to
 * stop a guest. The numbers belong to the guest; nothing else counts them.
 *
 *	ok 12 - user SYSCALL saves RIP
 *	not ok 13 - user SYSCALL saves RSP (got 0x10, expected 0x8)
 *	skip 14 - PKRU: the CPU has no protection keys
 *	# 14 checks, 1 failed, 1 skipped
 */
#ifndef GUEST_CHECK_H
#define GUEST_CHECK_H

#include "types.h"

/* One check; false fails it, and the guest goes on. Returns @ok. */
bool check(bool ok, const char *what);

/* The same, and on failure both values are printed. */
bool check_eq(u64 got, u64 expected, const char *what);

/* A check that this machine cannot show; @what says why, too. */
void skip(const char *what);

/* "name: what" in a buffer that the next call overwrites. @name is not a label. */
const char *label(const char *name, const char *what);

/* Prints the plan and ends the guest: status 0 if no check failed, else 1. */
noreturn void guest_finish(void);

/* Ends the guest at once. The debug-exit port, 0xf4. */
noreturn void guest_exit(u8 status);

/* What must hold for the rest to make sense. Prints file, line, expression. */
#define guest_assert(expr) \
	do { \
		if (!(expr)) \
			guest_assert_failed(__FILE__, __LINE__, #expr); \
	} while (0)
noreturn void guest_assert_failed(const char *file, int line, const char *expr);

#endif /* GUEST_CHECK_H */
