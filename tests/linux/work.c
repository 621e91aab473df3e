/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * What a program does on Linux, to be run on an unmodified kernel as a guest: processes, memory, threads,
 * signals, a debugger's single steps, a 32-bit program, the vsyscall page, perf, an LDT. One line each: "ok - ..." or "not ok - ...".
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <asm/ldt.h>
#include <elf.h>
#include <fcntl.h>
#include <linux/perf_event.h>

#define PAGE		4096
#define PROCESSES	200
#define THREADS		8
#define ADDS		20000
#define STEPS_LEAST	20
#define CPUNODE		0x7b	/* Linux: __CPUNODE_SEG */
#define LDT_ENTRY	600	/* of the second page */
#define LDT_SELECTOR	(LDT_ENTRY << 3 | 7)
#define SLEEPS		20

static bool failed;

__attribute__((format(printf, 2, 3)))
static void check(bool right, const char *format, ...)
{
	va_list args;

	failed |= !right;
	printf("%s - ", right ? "ok" : "not ok");
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
	fflush(stdout);
}

static int end_of(pid_t pid)
{
	int status;

	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* Each is this program again, and ends with a number of its own. */
static void processes(const char *self)
{
	unsigned i, right = 0;
	char number[16];

	for (i = 0; i < PROCESSES; i++) {
		pid_t pid;

		snprintf(number, sizeof(number), "%u", i);
		pid = fork();
		if (!pid) {
			execl(self, self, number, (char *)NULL);
			_exit(255);
		}
		right += end_of(pid) == (int)(i % 100);
	}
	check(right == PROCESSES, "%u of %u processes ran and ended as they should", right, PROCESSES);
}

static void copy_on_write(void)
{
	const size_t size = 1 << 20;
	unsigned char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t i, wrong = 0;
	pid_t pid;

	memset(memory, 1, size);
	pid = fork();
	if (!pid) {
		for (i = 0; i < size; i += PAGE)
			wrong += memory[i] != 1;
		memset(memory, 2, size);
		for (i = 0; i < size; i++)
			wrong += memory[i] != 2;
		_exit(wrong ? 1 : 0);
	}
	check(end_of(pid) == 0, "a child writes its own copy");
	for (i = 0; i < size; i++)
		wrong += memory[i] != 1;
	check(!wrong, "and the parent's is as it was: %zu bytes are not", wrong);
	munmap(memory, size);
}

static sigjmp_buf back;
static void *volatile fault_address;

static void on_fault(int signal, siginfo_t *info, void *context)
{
	(void)signal, (void)context;
	fault_address = info->si_addr;
	siglongjmp(back, 1);
}

static void faults(void)
{
	struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO };
	volatile unsigned char *page = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	volatile bool came = false;

	sigaction(SIGSEGV, &action, NULL);
	if (sigsetjmp(back, 1))
		came = true;
	else
		page[5] = 1;
	check(came && fault_address == page + 5, "a write to a read-only page is SIGSEGV there");
	mprotect((void *)page, PAGE, PROT_READ | PROT_WRITE);
	page[5] = 1;
	check(page[5] == 1, "until it may be written");
	munmap((void *)page, PAGE);
	came = false;
	if (sigsetjmp(back, 1))
		came = true;
	else
		(void)page[5];
	check(came, "what is unmapped is gone");
	came = false;
	if (sigsetjmp(back, 1))
		came = true;
	else
		(void)*(volatile unsigned char *)0xffff800000000000;
	check(came, "the hypervisor's addresses are SIGSEGV");
	signal(SIGSEGV, SIG_DFL);
}

static atomic_uint sum;
static unsigned locked_sum;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void *add(void *unused)
{
	unsigned i;

	(void)unused;
	for (i = 0; i < ADDS; i++) {
		atomic_fetch_add(&sum, 1);
		pthread_mutex_lock(&lock);
		locked_sum++;
		pthread_mutex_unlock(&lock);
	}
	return NULL;
}

static void threads(void)
{
	pthread_t thread[THREADS];
	unsigned i;

	for (i = 0; i < THREADS; i++)
		pthread_create(&thread[i], NULL, add, NULL);
	for (i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	check(sum == THREADS * ADDS && locked_sum == THREADS * ADDS, "%u threads add up to %u and %u", THREADS,
	      atomic_load(&sum), locked_sum);
}

static atomic_uint alarms;

static void on_alarm(int signal)
{
	(void)signal;
	atomic_fetch_add(&alarms, 1);
}

/* Signals in the middle of computing that uses vector registers. */
static void timers(void)
{
	struct itimerval every = { { 0, 2000 }, { 0, 2000 } }, none = { 0 };
	struct timespec begin, end, nap = { 0, 20 * 1000 * 1000 };
	volatile double a = 1, b = 0;
	long long ns;

	signal(SIGALRM, on_alarm);
	setitimer(ITIMER_REAL, &every, NULL);
	while (atomic_load(&alarms) < 10) {
		a = a * 0.5 + 0.5;
		b += a == 1 ? 0 : 1;
	}
	setitimer(ITIMER_REAL, &none, NULL);
	check(b == 0, "ten alarms leave the registers alone");
	clock_gettime(CLOCK_MONOTONIC, &begin);
	while (nanosleep(&nap, &nap))
		;
	clock_gettime(CLOCK_MONOTONIC, &end);
	ns = (end.tv_sec - begin.tv_sec) * 1000000000ll + end.tv_nsec - begin.tv_nsec;
	check(ns >= 20 * 1000 * 1000, "a sleep is not shorter than it should be: %lld ns", ns);
}

static void single_steps(void)
{
	unsigned steps = 0;
	uint64_t last = 0, moved = 0;
	int status = 0;
	pid_t pid = fork();

	if (!pid) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		_exit((int)syscall(SYS_getppid) ? 7 : 8);
	}
	waitpid(pid, &status, 0);
	while (WIFSTOPPED(status) && steps < 100000) {
		struct user_regs_struct regs;

		ptrace(PTRACE_GETREGS, pid, NULL, &regs);
		moved += regs.rip != last;
		last = regs.rip;
		ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL);
		if (waitpid(pid, &status, 0) != pid)
			break;
		steps++;
	}
	check(WIFEXITED(status) && WEXITSTATUS(status) == 7 && steps >= STEPS_LEAST && moved >= steps - 2,
	      "a debugger steps to the end of a program: %u steps", steps);
}

/* INT 0x80 from 64-bit code: getpid by its 32-bit number. */
static void system_calls(void)
{
	long pid;

	__asm__ volatile("int $0x80" : "=a"(pid) : "0"(20) : "r8", "r9", "r10", "r11", "memory");
	check(pid == getpid(), "INT 0x80: %ld", pid);
	check(syscall(9999) == -1 && errno == ENOSYS, "an unknown system call is ENOSYS");
}

/* The old address of time(): its page is executed, and not read, by what the kernel says of it. */
static void vsyscall(void)
{
	long (*old_time)(long *) = (long (*)(long *))0xffffffffff600400;
	struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO };
	volatile bool called = false;
	volatile long before = time(NULL), now = 0;
	volatile bool listed = false;
	char line[256];
	FILE *maps = fopen("/proc/self/maps", "r");

	while (maps && fgets(line, sizeof(line), maps))
		listed = listed || strstr(line, "[vsyscall]");
	sigaction(SIGSEGV, &action, NULL);
	if (!sigsetjmp(back, 1)) {
		now = old_time(NULL);
		called = true;
	}
	signal(SIGSEGV, SIG_DFL);
	check(maps && called == listed && (!called || (now >= before && now <= time(NULL))),
	      "the vsyscall page is %slisted, and %scalled", listed ? "" : "not ", called ? "" : "not ");
	if (maps)
		fclose(maps);
}

static int counter_of(uint32_t type, uint64_t config)
{
	struct perf_event_attr attr = { .type = type, .size = sizeof(attr), .config = config };

	return (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);
}

/* There are no counters of the CPU's, and Linux knows; its own work. */
static void perf(void)
{
	int fd = counter_of(PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES), i;
	uint64_t faults_seen = 0;
	char *page;

	check(fd == -1 && (errno == ENOENT || errno == EOPNOTSUPP), "the CPU's counters are none: %s",
	      fd < 0 ? strerror(errno) : "one is there");
	fd = counter_of(PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS);
	for (i = 0; i < 16; i++) {
		page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		*(volatile char *)page = 1;
		munmap(page, PAGE);
	}
	if (fd < 0 || read(fd, &faults_seen, sizeof(faults_seen)) != sizeof(faults_seen))
		faults_seen = 0;
	check(faults_seen >= 16, "Linux counts page faults: %llu", (unsigned long long)faults_seen);
}

extern const char program32[], program32_end[];

/* getpid() by the vDSO's way into the kernel and by INT 0x80; the same: 42. */
__asm__(".pushsection .rodata\n"
	".code32\n"
	"program32:\n"
	"	movl	(%esp), %ecx\n"		/* argc */
	"	leal	8(%esp, %ecx, 4), %esi\n"	/* the environment */
	"1:	lodsl\n"
	"	testl	%eax, %eax\n"
	"	jnz	1b\n"
	"2:	lodsl\n"				/* the auxiliary vector */
	"	movl	%eax, %edx\n"
	"	lodsl\n"
	"	movl	%eax, %edi\n"
	"	movl	$1, %ebx\n"
	"	testl	%edx, %edx\n"
	"	jz	3f\n"
	"	cmpl	$32, %edx\n"			/* AT_SYSINFO */
	"	jne	2b\n"
	"	movl	$20, %eax\n"
	"	call	*%edi\n"
	"	movl	%eax, %ebp\n"
	"	movl	$20, %eax\n"
	"	int	$0x80\n"
	"	movl	$2, %ebx\n"
	"	cmpl	%eax, %ebp\n"
	"	jne	3f\n"
	"	movl	$42, %ebx\n"
	"3:	movl	$1, %eax\n"
	"	int	$0x80\n"
	"program32_end:\n"
	".code64\n"
	".popsection\n");

static int write_program32(void)
{
	const uint32_t size = (uint32_t)(program32_end - program32), at = 0x08048000;
	struct {
		Elf32_Ehdr header;
		Elf32_Phdr segment;
	} head = {
		.header = {
			.e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS32, ELFDATA2LSB,
				     EV_CURRENT },
			.e_type = ET_EXEC, .e_machine = EM_386, .e_version = EV_CURRENT,
			.e_entry = at + sizeof(head),
			.e_phoff = sizeof(head.header), .e_ehsize = sizeof(head.header),
			.e_phentsize = sizeof(head.segment), .e_phnum = 1,
		},
		.segment = {
			.p_type = PT_LOAD, .p_vaddr = at, .p_paddr = at,
			.p_filesz = (uint32_t)sizeof(head) + size,
			.p_memsz = (uint32_t)sizeof(head) + size, .p_flags = PF_R | PF_X, .p_align = PAGE,
		},
	};
	int fd = memfd_create("program32", MFD_CLOEXEC);

	if (write(fd, &head, sizeof(head)) != sizeof(head) || write(fd, program32, size) != (ssize_t)size)
		return -1;
	return fd;
}

static void program_of_32_bits(void)
{
	char *const arguments[] = { (char *)"program32", NULL };
	int fd = write_program32(), status;
	pid_t pid = fork();
	char path[64];

	if (!pid) {
		/* By a path: 5.10's security modules look at it, and /dev/fd is not there. */
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		execve(path, arguments, arguments + 1);
		dprintf(1, "execve: %s\n", strerror(errno));
		_exit(3);
	}
	status = end_of(pid);
	check(status == 42, "a 32-bit program makes system calls both ways: it ends with %d", status);
	close(fd);
}

/* By LSL of a selector, as Linux's vDSO asks for it, and by a system call: on each CPU the same. */
static void numbers_of_cpus(void)
{
	unsigned cpus = (unsigned)sysconf(_SC_NPROCESSORS_ONLN), right = 0, i, limit, cpu;
	cpu_set_t all, one;

	sched_getaffinity(0, sizeof(all), &all);
	for (i = 0; i < cpus; i++) {
		CPU_ZERO(&one);
		CPU_SET(i, &one);
		limit = ~0u;
		if (sched_setaffinity(0, sizeof(one), &one) == 0)
			__asm__ volatile("lsl %1, %0" : "+r"(limit) : "r"(CPUNODE));
		right += syscall(SYS_getcpu, &cpu, NULL, NULL) == 0 && cpu == i && (limit & 0xfff) == i;
	}
	sched_setaffinity(0, sizeof(all), &all);
	check(right == cpus, "%u of %u CPUs tell their numbers", right, cpus);
}

/* What a page at the base of an LDT's entry holds, through GS; ES has the selector, too. */
static uint32_t by_ldt(void)
{
	uint32_t value, es, gs;

	__asm__ volatile("mov %%gs:0, %0; mov %%es, %1; mov %%gs, %2" : "=r"(value), "=r"(es), "=r"(gs));
	return es == LDT_SELECTOR && gs == LDT_SELECTOR ? value : 0;
}

static void load_ldt_selectors(void)
{
	__asm__ volatile("mov %0, %%es; mov %0, %%gs" : : "r"(LDT_SELECTOR));
}

/* Others run meanwhile, without an LDT and with one of their own. */
static unsigned right_while_others_run(void)
{
	unsigned i, right = 0;

	for (i = 0; i < SLEEPS; i++) {
		pid_t pid = fork();

		if (!pid)
			_exit(by_ldt() == 0x1d7 ? 3 : 4);
		usleep(1000);
		right += end_of(pid) == 3 && by_ldt() == 0x1d7;
	}
	return right;
}

static void ldt(void)
{
	struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO };
	uint32_t *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT,
			      -1, 0);
	struct user_desc entry = { .entry_number = LDT_ENTRY, .base_addr = (uint32_t)(uintptr_t)page,
				   .limit = 4095, .seg_32bit = 1 };
	volatile bool came = false;
	unsigned right;

	*page = 0x1d7;
	check(syscall(SYS_modify_ldt, 1, &entry, sizeof(entry)) == 0, "an entry of an LDT");
	load_ldt_selectors();
	right = right_while_others_run();
	check(right == SLEEPS, "its selectors stay in the registers, %u of %u times", right, SLEEPS);
	entry = (struct user_desc){ .entry_number = LDT_ENTRY, .read_exec_only = 1, .seg_not_present = 1 };
	sigaction(SIGSEGV, &action, NULL);
	syscall(SYS_modify_ldt, 1, &entry, sizeof(entry));
	if (sigsetjmp(back, 1))
		came = true;
	else
		load_ldt_selectors();
	check(came, "what is no entry any more is SIGSEGV");
	signal(SIGSEGV, SIG_DFL);
}

int main(int argc, char **argv)
{
	if (argc > 1)
		return atoi(argv[1]) % 100;
	processes(argv[0]);
	copy_on_write();
	faults();
	threads();
	timers();
	single_steps();
	system_calls();
	vsyscall();
	perf();
	program_of_32_bits();
	numbers_of_cpus();
	ldt();
	printf("%s\n", failed ? "work failed" : "work is done");
	return failed;
}
