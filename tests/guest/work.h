/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * What work.c and work_reference.c compute: the input and the checksum. Used
 * by a guest and by an ordinary program; holds no algorithm but these two.
 */
#ifndef WORK_H
#define WORK_H

#include <stdint.h>

#define WORK_BYTES	(16ul << 20)
#define WORK_WORDS	(WORK_BYTES / sizeof(uint32_t))
#define WORK_SEED	2463534242u

#define FNV_OFFSET	0xcbf29ce484222325ul
#define FNV_PRIME	0x100000001b3ul

static inline uint32_t xorshift32(uint32_t x)
{
	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	return x;
}

#endif /* WORK_H */
