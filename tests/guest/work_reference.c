/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The checksums of work.c, computed by an ordinary program with the C library's
 * sort. Run while building; prints a header.
 */
#include <stdio.h>
#include <stdlib.h>

#include "work.h"

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static uint64_t checksum(const uint32_t *words)
{
	uint64_t h = FNV_OFFSET;

	for (size_t i = 0; i < WORK_WORDS; i++)
		h = (h ^ words[i]) * FNV_PRIME;
	return h;
}

int main(void)
{
	uint32_t *words = malloc(WORK_BYTES), x = WORK_SEED;

	if (!words)
		return 1;
	for (size_t i = 0; i < WORK_WORDS; i++)
		words[i] = x = xorshift32(x);
	qsort(words, WORK_WORDS, sizeof(*words), compare);
	printf("/* Made by work_reference.c. */\n#define WORK_SORTED %#lxul\n", checksum(words));
	for (size_t i = 0; i < WORK_WORDS; i++)
		words[i] = ~words[i];
	printf("#define WORK_INVERTED %#lxul\n", checksum(words));
	free(words);
	return 0;
}
