/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* The work of native.compute: one object file, linked into a guest and into an
 * ordinary program. It uses general registers and its own buffer only. */
#ifndef BENCH_COMPUTE_KERNEL_H
#define BENCH_COMPUTE_KERNEL_H

#include <stdint.h>

#define COMPUTE_WORDS	4096u	/* 32 KiB: stays in a cache */
#define COMPUTE_PASSES	101u

struct compute {
	uint64_t words[COMPUTE_WORDS];
	uint64_t cycles[COMPUTE_PASSES];
	uint64_t hash;			/* so that the work is needed */
};

/* Fill, sort and hash, COMPUTE_PASSES times. Returns the median of a pass, in
 * cycles of the time-stamp counter. */
uint64_t compute(struct compute *compute);

#endif /* BENCH_COMPUTE_KERNEL_H */
