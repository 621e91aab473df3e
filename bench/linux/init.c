/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The init of bench/linux, the same program in each guest and on the emulated PC: does each operation many
 * times between two RDTSCs, and prints a line for each row:
 *
 *	row NAME MEDIAN MEAN OPERATIONS
 *
 * in ticks of the TSC, which are instructions under QEMU's -icount shift=0. What two RDTSCs take with nothing
 * between them is subtracted. Before a row and after it, bench/linux/host.c is asked to read the host's
 * counters, and the program waits until it has; without BENCH_HOST in the environment there is none.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define PAGE		4096ul
#define MIB		(1ul << 20)
#define MOST		512		/* operations of a row */
#define NO_SUCH_CALL	1023
#define LOOP_TURNS	1000
#define HELD		(32 * MIB)	/* more than there is of it before the row "touch_new" */
#define WARM		(96 * MIB)	/* memory that the guest has used before the row "touch" */
#define DISK_SECONDS	20

typedef uint64_t ticks_t;

/* The program's first instruction: the time. RDX is a function for atexit(), which Linux leaves 0. */
extern ticks_t first_tsc;
__asm__(".text\n"
	".globl bench_start\n"
	"bench_start:\n"
	"	rdtsc\n"
	"	shlq $32, %rdx\n"
	"	orq %rdx, %rax\n"
	"	movq %rax, first_tsc(%rip)\n"
	"	xorl %edx, %edx\n"
	"	jmp _start\n"
	".data\n"
	".balign 8\n"
	".globl first_tsc\n"
	"first_tsc: .quad 0\n"
	".text\n");

static bool has_host;
static ticks_t empty;		/* of two RDTSCs */
static ticks_t *samples;	/* MOST of them, shared with children */

__attribute__((noreturn)) static void die(const char *what)
{
	printf("not ok - %s: %s\n", what, strerror(errno));
	fflush(stdout);
	reboot(RB_POWER_OFF);
	_exit(1);
}

static void wait_for(pid_t pid)
{
	int status;

	if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
		die("a process");
}

static inline ticks_t now(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high) : : "memory");
	return (ticks_t)high << 32 | low;
}

/* ------------------------------------------------------------------------
 * Rows.
 */

/* The host reads its counters, between this and the return. */
static void ask(const char *name, const char *when)
{
	char answer;

	if (!has_host)
		return;
	printf("@ask %s %s\n", name, when);
	fflush(stdout);
	if (read(0, &answer, 1) != 1)
		die("the host's answer");
}

static int order(const void *a, const void *b)
{
	ticks_t x = *(const ticks_t *)a, y = *(const ticks_t *)b;

	return (x > y) - (x < y);
}

static __attribute__((__noinline__)) void report(const char *name, unsigned n)
{
	ticks_t sum = 0, median;

	for (unsigned i = 0; i < n; i++)
		sum += samples[i];
	qsort(samples, n, sizeof(*samples), order);
	median = samples[n / 2];
	if (!strcmp(name, "empty"))
		empty = median;
	printf("row %s %lld %lld %u\n", name, (long long)(median - empty), (long long)(sum / n - empty), n);
	fflush(stdout);
}

/* bench/linux/where looks at what is between the RDTSCs, and has report() as the end of a row. */
static __attribute__((__noinline__)) ticks_t measure(void (*operation)(unsigned i), unsigned i)
{
	ticks_t before = now();

	operation(i);
	return now() - before;
}

static void row(const char *name, unsigned n, void (*operation)(unsigned i))
{
	ask(name, "begin");
	for (unsigned i = 0; i < n; i++)
		samples[i] = measure(operation, i);
	ask(name, "end");
	report(name, n);
}

/* ------------------------------------------------------------------------
 * The instrument, and system calls.
 */

static void nothing(unsigned i)
{
	(void)i;
}

static void loop(unsigned i)
{
	(void)i;
	__asm__ volatile("movl %0, %%ecx\n1:	decl %%ecx\n	jnz 1b" : : "i"(LOOP_TURNS) : "ecx", "cc");
}

static inline long system_call(long number)
{
	long result;

	__asm__ volatile("syscall" : "=a"(result) : "0"(number) : "rcx", "r11", "memory");
	return result;
}

static void null_call(unsigned i)
{
	(void)i;
	system_call(NO_SUCH_CALL);
}

static void get_parent(unsigned i)
{
	(void)i;
	system_call(SYS_getppid);
}

/* ------------------------------------------------------------------------
 * Memory.
 */

static volatile char *pages;

/* In small pages: a Xen PV guest has no others. */
static char *memory(size_t size)
{
	char *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED || madvise(at, size, MADV_NOHUGEPAGE))
		die("mmap");
	return at;
}

static void touch(unsigned i)
{
	pages[i * PAGE] = 1;
}

static void first_touch(const char *name)
{
	pages = memory(MOST * PAGE);
	row(name, MOST, touch);
	munmap((void *)pages, MOST * PAGE);
}

/* What the kernel has used and given back in its boot is used up first, so that the pages are new. */
static void first_touches(void)
{
	char *at = memory(WARM);

	memset(at, 1, HELD);
	first_touch("touch_new");
	memset(at, 1, WARM);
	munmap(at, WARM);
	first_touch("touch");
}

/* A child writes what it shares with its parent. */
static void copy_on_write(void)
{
	pid_t pid;

	pages = memory(MOST * PAGE);
	memset((void *)pages, 1, MOST * PAGE);
	pid = fork();
	if (!pid) {
		row("cow", MOST, touch);
		_exit(0);
	}
	wait_for(pid);
	munmap((void *)pages, MOST * PAGE);
}

static void map_and_unmap(unsigned i)
{
	char *at = mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)i;
	munmap(at, MIB);
}

static void map_touch_and_unmap(unsigned i)
{
	char *at = memory(MIB);

	(void)i;
	for (size_t offset = 0; offset < MIB; offset += PAGE)
		*(volatile char *)(at + offset) = 1;
	munmap(at, MIB);
}

/* ------------------------------------------------------------------------
 * Processes.
 */

static void fork_and_exit(unsigned i)
{
	pid_t pid = fork();

	(void)i;
	if (!pid)
		_exit(0);
	wait_for(pid);
}

/* This program again, which ends at once when it has an argument. */
static void fork_and_exec(unsigned i)
{
	pid_t pid = fork();

	(void)i;
	if (!pid) {
		execl("/init", "/init", "end", (char *)NULL);
		_exit(1);
	}
	wait_for(pid);
}

static int there[2], back[2];

static void ping(unsigned i)
{
	char byte = 0;

	(void)i;
	if (write(there[1], &byte, 1) != 1 || read(back[0], &byte, 1) != 1)
		die("a pipe");
}

/* A byte there and a byte back: two switches. */
static void switches(void)
{
	pid_t pid;

	if (pipe(there) || pipe(back))
		die("pipe");
	pid = fork();
	if (!pid) {
		char byte;

		close(there[1]);
		while (read(there[0], &byte, 1) == 1)
			if (write(back[1], &byte, 1) != 1)
				_exit(1);
		_exit(0);
	}
	row("ping_pong", MOST, ping);
	close(there[1]);
	wait_for(pid);
}

/* ------------------------------------------------------------------------
 * Files and the disk.
 */

static int file, disk;
static char *buffer;		/* MIB bytes */

static void read_file(unsigned i)
{
	(void)i;
	if (pread(file, buffer, MIB, 0) != (ssize_t)MIB)
		die("/file");
}

static void read_block(unsigned i)
{
	if (pread(disk, buffer, PAGE, (off_t)(i * PAGE)) != (ssize_t)PAGE)
		die("the disk");
}

static void load_modules(void)
{
	FILE *names = fopen("/modules/order", "re");
	char name[128], path[160];

	while (names && fscanf(names, "%127s", name) == 1) {
		int fd;

		snprintf(path, sizeof(path), "/modules/%s", name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		syscall(SYS_finit_module, fd, "", 0);	/* one that has nothing to drive here may refuse */
		close(fd);
	}
	if (names)
		fclose(names);
}

static void disks(void)
{
	static const char *const names[] = { "/dev/xvda", "/dev/vda" };

	load_modules();
	for (unsigned i = 0; i < DISK_SECONDS * 20; i++) {
		disk = open(names[i % 2], O_RDONLY | O_DIRECT | O_CLOEXEC);
		if (disk >= 0) {
			read_block(0);
			row("block_read", 256, read_block);
			return;
		}
		usleep(100 * 1000);
	}
	die("the disk does not come");
}

/* ------------------------------------------------------------------------
 * The machine.
 */

/* What a row may depend on. */
static void tell(const char *folder, const char *name)
{
	char path[320], text[512];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n <= 0)
		return;
	text[n] = 0;
	text[strcspn(text, "\n")] = 0;
	printf("info %s %s\n", name, text);
}

static void tell_all(void)
{
	static const char vulnerabilities[] = "/sys/devices/system/cpu/vulnerabilities";
	DIR *dir = opendir(vulnerabilities);
	const struct dirent *entry;

	tell("/proc", "version");
	tell("/sys/devices/system/clocksource/clocksource0", "current_clocksource");
	while (dir && (entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			tell(vulnerabilities, entry->d_name);
	if (dir)
		closedir(dir);
}

/* Nanoseconds that this machine has been idle. */
static unsigned long long idle(void)
{
	FILE *list = fopen("/proc/timer_list", "re");
	unsigned long long ns = 0;
	char line[256];

	while (list && fgets(line, sizeof(line), list))
		if (sscanf(line, " .idle_sleeptime : %llu nsecs", &ns) == 1)
			break;
	if (list)
		fclose(list);
	return ns;
}

static void be_init(void)
{
	struct timespec since_start;	/* of Linux's clock, early in the kernel's boot */
	struct termios raw;

	if (!tcgetattr(0, &raw)) {
		cfmakeraw(&raw);
		raw.c_oflag |= OPOST | ONLCR;
		tcsetattr(0, TCSANOW, &raw);
	}
	clock_gettime(CLOCK_MONOTONIC, &since_start);
	printf("first %llu\n", (unsigned long long)first_tsc);
	printf("kernel %llu\n", since_start.tv_sec * 1000000000ull + (unsigned long long)since_start.tv_nsec);
	ask("boot", "end");
	mkdir("/proc", 0755);
	mkdir("/sys", 0755);
	mkdir("/dev", 0755);
	if (mount("proc", "/proc", "proc", 0, NULL) || mount("sysfs", "/sys", "sysfs", 0, NULL) ||
	    (mount("devtmpfs", "/dev", "devtmpfs", 0, NULL) && errno != EBUSY))
		die("mount");
	if (!has_host)
		printf("idle %llu\n", idle());
	tell_all();
}

int main(int argc, char **argv)
{
	(void)argv;
	if (argc > 1)
		return 0;
	has_host = getenv("BENCH_HOST") != NULL;
	be_init();
	samples = mmap(NULL, MOST * sizeof(*samples), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (samples == MAP_FAILED)
		die("mmap");
	memset(samples, 0, MOST * sizeof(*samples));
	row("empty", MOST, nothing);
	row("loop", MOST, loop);
	row("null", MOST, null_call);
	row("getppid", MOST, get_parent);
	first_touches();
	copy_on_write();
	row("fork_exit", 64, fork_and_exit);
	row("fork_exec", 64, fork_and_exec);
	switches();
	row("mmap", 256, map_and_unmap);
	row("mmap_touch", 32, map_touch_and_unmap);
	buffer = memory(MIB);
	memset(buffer, 1, MIB);
	file = open("/file", O_RDONLY | O_CLOEXEC);
	if (file < 0)
		die("/file");
	row("file_read", 32, read_file);
	if (has_host)
		disks();
	printf("@end\n");
	fflush(stdout);
	reboot(RB_POWER_OFF);
	return 1;
}
