/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* The reference of native.compute: the same object file in an ordinary process. */
#include <stdio.h>
#include <x86intrin.h>

#include "compute_kernel.h"

static uint64_t words[COMPUTE_WORDS];

int main(void)
{
	uint64_t start, value;
	unsigned aux;

	compute(words, 1);
	start = __rdtscp(&aux);
	value = compute(words, COMPUTE_ROUNDS);
	printf("result %llu\n", (unsigned long long)(__rdtscp(&aux) - start));
	return value == 0;
}
