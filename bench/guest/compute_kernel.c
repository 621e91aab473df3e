/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Shell sort and a hash: loads, stores, branches and multiplications. Must stay
 * free of anything that a guest and a process would do differently. */
#include "compute_kernel.h"

#include "samples.h"

static void fill(uint64_t *words, uint64_t seed)
{
	unsigned i;

	for (i = 0; i < COMPUTE_WORDS; i++) {
		seed = seed * 6364136223846793005ull + 1442695040888963407ull;
		words[i] = seed >> 11;
	}
}

static void sort(uint64_t *words)
{
	unsigned gap, i, j;

	for (gap = COMPUTE_WORDS / 2; gap; gap /= 2)
		for (i = gap; i < COMPUTE_WORDS; i++) {
			uint64_t word = words[i];

			for (j = i; j >= gap && words[j - gap] > word; j -= gap)
				words[j] = words[j - gap];
			words[j] = word;
		}
}

static uint64_t hash(const uint64_t *words, uint64_t value)
{
	unsigned i;

	for (i = 0; i < COMPUTE_WORDS; i++) {
		value ^= words[i];
		value *= 0x100000001b3ull;
		value ^= value >> 29;
	}
	return value;
}

static uint64_t cycles(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high) : : "memory");
	return (uint64_t)high << 32 | low;
}

uint64_t compute(struct compute *c)
{
	unsigned i;

	c->hash = 1;
	for (i = 0; i < COMPUTE_PASSES; i++) {
		uint64_t start = cycles();

		fill(c->words, c->hash);
		sort(c->words);
		c->hash = hash(c->words, c->hash);
		c->cycles[i] = cycles() - start;
	}
	return samples_median(c->cycles, COMPUTE_PASSES);
}
