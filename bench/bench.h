/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * pvm-bench: rows that measure something beside a reference, in one run. Owns
 * the shape of a row; how long anything takes is the rows' own business.
 *
 * A row measures itself and its reference in turns, round by round, so that
 * the noise of the machine hits both; its value is the median of the rounds'
 * ratios. A row that cannot be measured here says why.
 */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BENCH_MAX_ROUNDS 101
#define BENCH_WHY 200

struct bench_options {
	unsigned rounds;	/* 1..BENCH_MAX_ROUNDS */
	const char *pvm;	/* path of the pvm command */
	const char *guests;	/* directory of the bench guests */
};

struct bench_result {
	bool measured;
	double value;		/* in the row's unit */
	double absolute;	/* one operation, in nanoseconds; 0: does not apply */
	char why[BENCH_WHY];	/* not measured: the reason; measured: a remark or "" */
};

struct bench_row {
	const char *name;
	const char *what;	/* for people */
	const char *unit;
	double target;		/* at most this; 0: no target */
	void (*run)(const struct bench_options *options, struct bench_result *result);
};

/* Tables of rows, ended by a NULL name. */
extern const struct bench_row bench_engine_rows[];
extern const struct bench_row bench_attack_rows[];
extern const struct bench_row bench_scale_rows[];
extern const struct bench_row bench_native_rows[];
extern const struct bench_row bench_peer_rows[];

/* ------------------------------------------------------------------------
 * measure.c
 */

/* The time-stamp counter, with everything before it done. */
uint64_t bench_cycles(void);

/* Nanoseconds per cycle, measured once against CLOCK_MONOTONIC. */
double bench_ns_per_cycle(void);

/* Seconds, CLOCK_MONOTONIC. */
double bench_seconds(void);

/* Sorts @values. */
double bench_median(double *values, unsigned count);

/**
 * bench_batches - cycles of one operation, as the median of short batches: what
 * other programs on the machine do in between falls on few of them.
 * @batch: runs batch @number, @each operations; false: it failed.
 * @batches: 1..BENCH_MAX_BATCHES. Negative if a batch failed.
 */
#define BENCH_MAX_BATCHES 64
double bench_batches(bool (*batch)(void *context, unsigned number), void *context, unsigned batches,
		     unsigned each);

/* Cycles of one memcpy of 4 KiB, warm: the unit "pagecopy". */
double bench_pagecopy(void);

/* Make @result unmeasured with a reason. */
void bench_cannot(struct bench_result *result, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/**
 * bench_ratio - rounds of (operation, reference) in turns.
 * @operation, @reference: cycles for one operation; negative: it failed.
 * Fills value (median of the ratios) and absolute. Returns false after a failure,
 * with no reason set.
 */
bool bench_ratio(const struct bench_options *options, double (*operation)(void *context),
		 double (*reference)(void *context), void *context, struct bench_result *result);

/* ------------------------------------------------------------------------
 * report.c
 */

void bench_print_header(void);
void bench_print_row(const struct bench_row *row, const struct bench_result *result);
bool bench_met(const struct bench_row *row, const struct bench_result *result);

struct cJSON;
struct cJSON *bench_json_row(const struct bench_row *row, const struct bench_result *result);
/* Writes @json to @path. False with errno. */
bool bench_json_write(const struct cJSON *json, const char *path);

#endif /* BENCH_H */
