/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * User mode that writes to PAGES pages once each, STRIDE bytes apart, and says the median of the
 * cycles. Both are the guest's that includes this.
 */
#ifndef BENCH_GUEST_TOUCH_H
#define BENCH_GUEST_TOUCH_H

#include "guest.h"

#include "samples.h"

static user_data u64 touch_cycles[PAGES];

static void touch_pages(void)
{
	u64 start, i;

	for (i = 0; i < PAGES; i++) {
		start = rdtsc();
		*(volatile u64 *)(USER_BASE + i * STRIDE) = i;
		touch_cycles[i] = rdtsc() - start;
	}
	user_syscall(0, samples_median(touch_cycles, PAGES), 0, 0);
}

/* To the end of the guest, with the supervisor's answer to each #PF; 0: there are to be none. */
static inline void touch_run(void (*answer)(u64 va))
{
	struct user user;

	user_init(&user, touch_pages, user_stack_top(), 0);
	while (user_run_once(&user) == LEFT_BY_EVENT) {
		guest_assert(user.vector == VEC_PF && answer);
		answer(align_down(user.cr2, PAGE_SIZE));
	}
	printf("result %lu\n", user.rdi);
	guest_exit(0);
}

#endif /* BENCH_GUEST_TOUCH_H */
