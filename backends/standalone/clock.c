/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* The host's time. Owns the one measurement of the TSC's frequency. */
#include "clock.h"

#include <pthread.h>
#include <time.h>
#include <x86intrin.h>

#define MEASURE_NS	2000000ull
/* Times further away than this are never reached. */
#define FAR_NS		(1ull << 62)

uint64_t clock_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * CLOCK_NS_PER_S + (uint64_t)ts.tv_nsec;
}

uint64_t clock_tsc(void)
{
	return __rdtsc();
}

static uint32_t tsc_khz;
static pthread_once_t tsc_once = PTHREAD_ONCE_INIT;

static void measure(void)
{
	uint64_t ns = clock_now(), tsc = clock_tsc(), ns_end, tsc_end;

	do {
		ns_end = clock_now();
		tsc_end = clock_tsc();
	} while (ns_end - ns < MEASURE_NS);
	tsc_khz = (uint32_t)((tsc_end - tsc) * (CLOCK_NS_PER_S / 1000) / (ns_end - ns));
	if (!tsc_khz)
		tsc_khz = 1;
}

uint32_t clock_tsc_khz(void)
{
	pthread_once(&tsc_once, measure);
	return tsc_khz;
}

uint64_t clock_tsc_time(uint64_t tsc)
{
	uint64_t now = clock_now(), tsc_now = clock_tsc();
	unsigned __int128 ns;

	if (tsc <= tsc_now)
		return now;
	ns = (unsigned __int128)(tsc - tsc_now) * (CLOCK_NS_PER_S / 1000) / clock_tsc_khz();
	return now + (ns < FAR_NS ? (uint64_t)ns : FAR_NS);
}
