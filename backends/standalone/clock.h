/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* The host's time for devices: nanoseconds, and the TSC's relation to them. */
#ifndef STANDALONE_CLOCK_H
#define STANDALONE_CLOCK_H

#include <stdint.h>

/* CLOCK_MONOTONIC, nanoseconds. */
uint64_t clock_now(void);

/* RDTSC of this CPU. */
uint64_t clock_tsc(void);

/* TSC ticks per millisecond, measured once per process (2 ms). Never 0. Any thread. */
uint32_t clock_tsc_khz(void);

/* The time, as clock_now() counts, when the TSC gets to @tsc; now for the past. */
uint64_t clock_tsc_time(uint64_t tsc);

#endif /* STANDALONE_CLOCK_H */
