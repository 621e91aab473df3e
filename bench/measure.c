/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Clocks, medians and the unit "pagecopy". Owns no row. */
#define _GNU_SOURCE
#include "bench.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <x86intrin.h>

#define PAGE 4096
#define COPIES 500		/* per batch */
#define COPY_BATCHES 40

uint64_t bench_cycles(void)
{
	unsigned aux;
	uint64_t now = __rdtscp(&aux);

	_mm_lfence();
	return now;
}

double bench_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

double bench_ns_per_cycle(void)
{
	static double ratio;
	uint64_t cycles;
	double start;

	if (ratio > 0)
		return ratio;
	start = bench_seconds();
	cycles = bench_cycles();
	while (bench_seconds() - start < 0.02)
		;
	ratio = (bench_seconds() - start) * 1e9 / (double)(bench_cycles() - cycles);
	return ratio;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double bench_median(double *values, unsigned count)
{
	qsort(values, count, sizeof(*values), compare);
	return count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

double bench_batches(bool (*batch)(void *context, unsigned number), void *context, unsigned batches,
		     unsigned each)
{
	double cycles[BENCH_MAX_BATCHES];
	unsigned i;

	for (i = 0; i < batches; i++) {
		uint64_t start = bench_cycles();

		if (!batch(context, i))
			return -1;
		cycles[i] = (double)(bench_cycles() - start) / each;
	}
	return bench_median(cycles, batches);
}

static bool copy_pages(void *context, unsigned number)
{
	static char from[PAGE] __attribute__((aligned(PAGE))), to[PAGE] __attribute__((aligned(PAGE)));
	unsigned i;

	(void)context;
	(void)number;
	for (i = 0; i < COPIES; i++) {
		memcpy(to, from, PAGE);
		/* Each copy is needed: memory is seen to be read. */
		__asm__ volatile("" : : "r"(to), "r"(from) : "memory");
	}
	return true;
}

double bench_pagecopy(void)
{
	return bench_batches(copy_pages, NULL, COPY_BATCHES, COPIES);
}

void bench_cannot(struct bench_result *result, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	result->measured = false;
	vsnprintf(result->why, sizeof(result->why), format, args);
	va_end(args);
}

bool bench_ratio(const struct bench_options *options, double (*operation)(void *context),
		 double (*reference)(void *context), void *context, struct bench_result *result)
{
	double ratio[BENCH_MAX_ROUNDS], cost[BENCH_MAX_ROUNDS];
	unsigned i;

	for (i = 0; i < options->rounds; i++) {
		double unit = reference(context);

		cost[i] = operation(context);
		if (cost[i] < 0 || unit <= 0)
			return false;
		ratio[i] = cost[i] / unit;
	}
	result->measured = true;
	result->value = bench_median(ratio, options->rounds);
	result->absolute = bench_median(cost, options->rounds) * bench_ns_per_cycle();
	return true;
}
