/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * System calls for the freestanding zygote: no libc, no errno, results as the
 * kernel gives them (-errno on failure). Never included by the monitor.
 */
#ifndef STUB_SYS_H
#define STUB_SYS_H

#include <asm/unistd_64.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline long sys6(long nr, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long result;

	__asm__ volatile("syscall" : "=a"(result)
			 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return result;
}

#define sys0(nr)		sys6(nr, 0, 0, 0, 0, 0, 0)
#define sys1(nr, a)		sys6(nr, (long)(a), 0, 0, 0, 0, 0)
#define sys2(nr, a, b)		sys6(nr, (long)(a), (long)(b), 0, 0, 0, 0)
#define sys3(nr, a, b, c)	sys6(nr, (long)(a), (long)(b), (long)(c), 0, 0, 0)
#define sys4(nr, a, b, c, d)	sys6(nr, (long)(a), (long)(b), (long)(c), (long)(d), 0, 0)
#define sys5(nr, a, b, c, d, e)	sys6(nr, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), 0)

/* The labels of stub.S. */
extern const char stub_text[], stub_text_end[], stub_start[], stub_handler[], stub_die[], stub_mapper[];
extern const char stub_after_write[], stub_after_hand_over[], stub_after_rest[], stub_after_read[];
extern const char stub_after_arm[], stub_after_unblock[], stub_by_peer[];
extern const char stub_no_signals[], stub_altstack[];

/* Where a label of stub.S lies once its page is mapped at STUB_TEXT. */
#define STUB_ADDRESS(label)	(STUB_TEXT + (uint64_t)((label) - stub_text))

#define SIG_SETMASK	2
#define SIGSET_SIZE	8
#define ALL_SIGNALS	(~0ull)

/* filter.c: confine the calling thread for good, as the guest's, or as the
 * mapper, of a supervisor's stub or a user's. 0, or -errno. */
long stub_seccomp(void);
long stub_mapper_seccomp(bool supervisor);

#endif /* STUB_SYS_H */
