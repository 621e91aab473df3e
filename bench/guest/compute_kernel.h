/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* The work of native.compute: one object file, linked into a guest and into an
 * ordinary program. It uses general registers and its own buffer only. */
#ifndef BENCH_COMPUTE_KERNEL_H
#define BENCH_COMPUTE_KERNEL_H

#include <stdint.h>

#define COMPUTE_WORDS 32768u	/* 256 KiB: stays in a cache */

/* Sort and hash @words (COMPUTE_WORDS of them) some rounds. Returns the hash. */
uint64_t compute(uint64_t *words, unsigned rounds);

/* The rounds that both sides run, after one round of warming up. */
#define COMPUTE_ROUNDS 12

#endif /* BENCH_COMPUTE_KERNEL_H */
