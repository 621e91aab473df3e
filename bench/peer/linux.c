/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * linux syscall|demand|cow: what bench/guest/ measures, as the first program of a Linux that is
 * somebody's guest. Turns it off at its end.
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "samples.h"

#define CALLS	3000
#define PAGES	512ul

static uint64_t cycles[CALLS];

static uint64_t rdtsc(void)
{
	uint32_t low, high;

	__asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high));
	return (uint64_t)high << 32 | low;
}

static unsigned system_calls(void)
{
	unsigned i;

	for (i = 0; i < CALLS; i++) {
		uint64_t start = rdtsc();

		syscall(SYS_getppid);
		cycles[i] = rdtsc() - start;
	}
	return CALLS;
}

/* @shared: all are one page at first, the kernel's of zeroes. */
static unsigned first_writes(int shared)
{
	volatile char *memory = mmap(NULL, PAGES * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
				     -1, 0);
	unsigned i;

	if (memory == MAP_FAILED)
		return 0;
	for (i = 0; shared && i < PAGES; i++)
		(void)memory[i * 4096];
	for (i = 0; i < PAGES; i++) {
		uint64_t start = rdtsc();

		memory[i * 4096] = 1;
		cycles[i] = rdtsc() - start;
	}
	return PAGES;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	unsigned count = 0;

	if (!strcmp(what, "syscall"))
		count = system_calls();
	else if (!strcmp(what, "demand"))
		count = first_writes(0);
	else if (!strcmp(what, "cow"))
		count = first_writes(1);
	if (count)
		printf("result %lu\n", samples_median(cycles, count));
	fflush(stdout);
	if (getpid() == 1)
		reboot(RB_POWER_OFF);
	return count == 0;
}
