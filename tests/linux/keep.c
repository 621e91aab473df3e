/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * keep FOLDER: work that notices when anything of it is lost: threads with clocks, a timer, memory,
 * registers, files in FOLDER, and a process at the other end of two pipes. Prints "%% round N" each time when
 * all of them have got on, and at SIGTERM ends with 0 if all was right. For a guest that is saved and goes on
 * elsewhere; runs anywhere.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MEMORY		(1u << 20)
#define FILE_BYTES	(16u << 10)
#define FILES		4
#define PERIOD_NS	5000000

static const char *folder;
static atomic_bool over;
static atomic_uint wrong;

__attribute__((format(printf, 1, 2))) static void complain(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	if (atomic_fetch_add(&wrong, 1) < 20) {
		printf("%%%% wrong ");
		vprintf(format, args);
		putchar('\n');
	}
	va_end(args);
}

static uint64_t next(uint64_t *state)
{
	*state = *state * 6364136223846793005ull + 1442695040888963407ull;
	return *state >> 16;
}

/* ------------------------------------------------------------------------
 * The work. Each function is one step of it; @memory is its own.
 */

static uint64_t clock_of(clockid_t id, bool by_call)
{
	struct timespec now;

	if (by_call)
		syscall(SYS_clock_gettime, id, &now);
	else
		clock_gettime(id, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* What any thread on any CPU has read is not read to be less afterwards. */
static void read_clock(clockid_t id, bool by_call, _Atomic uint64_t *latest)
{
	uint64_t before = atomic_load(latest), now = clock_of(id, by_call);

	if (now < before)
		complain("clock %d goes back by %llu ns", (int)id, (unsigned long long)(before - now));
	while (before < now && !atomic_compare_exchange_weak(latest, &before, now))
		;
}

static void clocks(unsigned cpu)
{
	static _Atomic uint64_t monotonic, realtime;
	cpu_set_t set;
	unsigned i;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
	for (i = 0; i < 100; i++) {
		read_clock(CLOCK_MONOTONIC, i % 2, &monotonic);
		read_clock(CLOCK_REALTIME, i % 2, &realtime);
	}
	sched_yield();
}

static void clocks_0(void)
{
	clocks(0);
}

static void clocks_1(void)
{
	clocks(1);
}

static void timer(void)
{
	static uint64_t begin, fired;
	static int fd = -1;
	struct itimerspec period = { { 0, PERIOD_NS }, { 0, PERIOD_NS } };
	uint64_t count = 0, passed;

	if (fd < 0) {
		fd = timerfd_create(CLOCK_MONOTONIC, 0);
		begin = clock_of(CLOCK_MONOTONIC, false);
		timerfd_settime(fd, 0, &period, NULL);
	}
	if (read(fd, &count, sizeof(count)) != sizeof(count) || !count)
		complain("a timer that does not fire");
	fired += count;
	passed = (clock_of(CLOCK_MONOTONIC, false) - begin) / PERIOD_NS;
	if (fired > passed)
		complain("a timer fires %llu times in the time of %llu", (unsigned long long)fired,
			 (unsigned long long)passed);
}

static void memory(void)
{
	static uint64_t *words, seed = 1, now;
	size_t i, count = MEMORY / sizeof(*words);

	if (!words) {
		words = malloc(MEMORY);
		now = seed;
		for (i = 0; i < count; i++)
			words[i] = next(&now);
	}
	now = seed;
	for (i = 0; i < count; i++) {
		if (words[i] != next(&now)) {
			complain("memory at word %zu", i);
			break;
		}
	}
	now = ++seed;
	for (i = 0; i < count; i++)
		words[i] = next(&now);
}

/* Long enough that it is stopped amid it, more often than not. */
static void registers(void)
{
	uint64_t in[4] = { 0x0123456789abcdefull, 0x1122334455667788ull, ~0ull, 0x5555aaaa5555aaaaull },
		 out[4];
	unsigned short control = 0x027f, read_back = 0;

	__asm__ volatile("movdqu (%[in]), %%xmm6\n\t"
			 "movdqu 16(%[in]), %%xmm15\n\t"
			 "fldcw %[control]\n\t"
			 "movl $3000000, %%ecx\n"
			 "1:\n\t"
			 "decl %%ecx\n\t"
			 "jnz 1b\n\t"
			 "movdqu %%xmm6, (%[out])\n\t"
			 "movdqu %%xmm15, 16(%[out])\n\t"
			 "fnstcw %[back]"
			 : [back] "=m"(read_back)
			 : [in] "r"(in), [out] "r"(out), [control] "m"(control)
			 : "ecx", "xmm6", "xmm15", "memory");
	if (memcmp(in, out, sizeof(in)) || read_back != control)
		complain("registers");
}

static void file_name(uint64_t number, char name[128])
{
	snprintf(name, 128, "%s/%llu", folder, (unsigned long long)number);
}

static void fill(uint8_t *bytes, uint64_t seed)
{
	size_t i;

	for (i = 0; i < FILE_BYTES; i += sizeof(seed)) {
		uint64_t word = next(&seed);

		memcpy(bytes + i, &word, sizeof(word));
	}
}

static void check_file(uint64_t number, int how)
{
	static uint8_t is[FILE_BYTES] __attribute__((aligned(4096))), wanted[FILE_BYTES];
	char name[128];
	int fd;

	file_name(number, name);
	fill(wanted, number);
	fd = open(name, O_RDONLY | how);
	if (fd < 0 || read(fd, is, sizeof(is)) != sizeof(is) || memcmp(is, wanted, sizeof(is)))
		complain("file %s", name);
	if (fd >= 0)
		close(fd);
}

/* One more, on the disk, and all the last ones are still what they were. */
static void files(void)
{
	static uint8_t bytes[FILE_BYTES];
	static uint64_t number;
	char name[128];
	uint64_t i;
	int fd;

	file_name(number, name);
	fill(bytes, number);
	fd = open(name, O_CREAT | O_TRUNC | O_WRONLY, 0600);
	if (fd < 0 || write(fd, bytes, sizeof(bytes)) != sizeof(bytes) || fsync(fd) || close(fd))
		complain("file %s cannot be written", name);
	for (i = number < FILES ? 0 : number - FILES + 1; i <= number; i++)
		check_file(i, number % 2 ? O_DIRECT : 0);
	if (number >= FILES) {
		file_name(number - FILES, name);
		unlink(name);
	}
	number++;
}

static void echo(int from, int to)
{
	uint64_t word;

	while (read(from, &word, sizeof(word)) == sizeof(word)) {
		word = ~word;
		if (write(to, &word, sizeof(word)) != sizeof(word))
			break;
	}
	_exit(0);
}

static void process(void)
{
	static int there[2], back[2];
	static uint64_t state = 7;
	static bool is_there;
	uint64_t word = next(&state), got = 0;

	if (!is_there) {
		is_there = true;
		if (pipe(there) || pipe(back) || fork() == 0) {
			close(there[1]);
			echo(there[0], back[1]);
		}
		close(there[0]);
	}
	if (write(there[1], &word, sizeof(word)) != sizeof(word) ||
	    read(back[0], &got, sizeof(got)) != sizeof(got) || got != ~word)
		complain("a process at the other end of a pipe");
}

/* ------------------------------------------------------------------------
 * Threads.
 */

static struct worker {
	void (*step)(void);
	pthread_t thread;
	atomic_ulong steps;
} workers[] = {
	{ .step = process },  { .step = clocks_0 },  { .step = clocks_1 }, { .step = timer },
	{ .step = memory }, { .step = registers }, { .step = files },
};

#define WORKERS	(sizeof(workers) / sizeof(workers[0]))

static void *work(void *arg)
{
	struct worker *worker = arg;

	while (!atomic_load(&over)) {
		worker->step();
		atomic_fetch_add(&worker->steps, 1);
	}
	return NULL;
}

static void stop(int signal)
{
	(void)signal;
	atomic_store(&over, true);
}

int main(int argc, char **argv)
{
	unsigned long seen[WORKERS] = { 0 };
	unsigned round;
	size_t i;

	if (argc != 2)
		return 2;
	folder = argv[1];
	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGTERM, stop);
	process();		/* before there are threads */
	for (i = 0; i < WORKERS; i++)
		if (pthread_create(&workers[i].thread, NULL, work, &workers[i]))
			return 2;
	for (round = 0; !atomic_load(&over); round++) {
		for (i = 0; i < WORKERS; i++) {
			while (atomic_load(&workers[i].steps) == seen[i] && !atomic_load(&over))
				usleep(10000);
			seen[i] = atomic_load(&workers[i].steps);
		}
		printf("%%%% round %u\n", round);
	}
	for (i = 0; i < WORKERS; i++)
		pthread_join(workers[i].thread, NULL);
	printf("%%%% rounds %u, %u wrong\n", round, atomic_load(&wrong));
	return atomic_load(&wrong) ? 1 : 0;
}
