/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* The host's time for devices: nanoseconds, and the TSC's relation to them. */
#ifndef STANDALONE_CLOCK_H
#define STANDALONE_CLOCK_H

#include <stdint.h>
#include <time.h>

#define CLOCK_NS_PER_S	1000000000ull

/* CLOCK_MONOTONIC, nanoseconds. */
uint64_t clock_now(void);

/* A time or a span in nanoseconds, as system calls want it. */
static inline struct timespec clock_timespec(uint64_t ns)
{
	return (struct timespec){ (time_t)(ns / CLOCK_NS_PER_S), (long)(ns % CLOCK_NS_PER_S) };
}

/* RDTSC of this CPU. */
uint64_t clock_tsc(void);

/* TSC ticks per millisecond, measured once per process (2 ms). Never 0. Any thread. */
uint32_t clock_tsc_khz(void);

/* The time, as clock_now() counts, when the TSC gets to @tsc; now for the past. */
uint64_t clock_tsc_time(uint64_t tsc);

#endif /* STANDALONE_CLOCK_H */
