/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * linux syscall|demand|cow|fork: what bench/guest/ measures, as the first program of a Linux that is
 * a guest. Powers that Linux off when it has measured.
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "samples.h"

#define CALLS	3000
#define PAGES	512ul
#define FORK_PAGES 1024ul
#define FORKS	41

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

/* The child ends at once. */
static unsigned forks(void)
{
	volatile char *memory = mmap(NULL, FORK_PAGES * 4096, PROT_READ | PROT_WRITE,
				     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned i;

	if (memory == MAP_FAILED)
		return 0;
	for (i = 0; i < FORK_PAGES; i++)
		memory[i * 4096] = 1;
	for (i = 0; i < FORKS; i++) {
		uint64_t start = rdtsc();
		pid_t child = fork();

		if (child == 0)
			_exit(0);
		if (child < 0 || waitpid(child, NULL, 0) != child)
			return 0;
		cycles[i] = rdtsc() - start;
	}
	return FORKS;
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
	else if (!strcmp(what, "fork"))
		count = forks();
	if (count)
		printf("result %lu\n", samples_median(cycles, count));
	fflush(stdout);
	if (getpid() == 1)
		reboot(RB_POWER_OFF);
	return count == 0;
}
