/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* The median of many short measurements: what other programs on the machine do
 * in between falls on few of them. For guests and processes alike. */
#ifndef BENCH_SAMPLES_H
#define BENCH_SAMPLES_H

#include <stdint.h>

/* Sorts @values. */
static inline uint64_t samples_median(uint64_t *values, unsigned count)
{
	unsigned gap, i, j;

	for (gap = count / 2; gap; gap /= 2)
		for (i = gap; i < count; i++) {
			uint64_t value = values[i];

			for (j = i; j >= gap && values[j - gap] > value; j -= gap)
				values[j] = values[j - gap];
			values[j] = value;
		}
	return values[count / 2];
}

#endif /* BENCH_SAMPLES_H */
