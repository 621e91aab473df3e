/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * trace SERVANT.elf: the tracepoints of kvm-pvm.ko. What is in the trace must be what the counters say, for a
 * guest whose one vCPU runs in this thread, and only while it has an order.
 */
#define _GNU_SOURCE
#include "client.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define TRACING		"/sys/kernel/tracing/"
#define OURS		TRACING "events/kvm_pvm/"
#define KVMS		TRACING "events/kvm/"
#define PAGES		64
#define MSR		0xc0000103u	/* TSC_AUX, which the guest may write */
#define PERF_PAGES	256

static const char *const ours[] = {
	"pvm_event", "pvm_syscall", "pvm_return", "pvm_hypercall", "pvm_hypercall_result", "pvm_insn", "pvm_msr",
	"pvm_fault", "pvm_fill", "pvm_flush", "pvm_shutdown", "pvm_cr4",
};

struct counters {
	unsigned long fills, faults, flushes, exits;
};

static struct client c;
static char *trace;	/* what was read last */

/* A whole file; "" if it is not there. */
static char *contents(const char *path)
{
	size_t size = 0, room = 1 << 16;
	char *text = malloc(room);
	FILE *file = fopen(path, "re");

	while (text && file) {
		size_t got = fread(text + size, 1, room - size - 1, file);

		if (!got)
			break;
		size += got;
		if (size + 1 == room)
			text = realloc(text, room *= 2);
	}
	if (!text)
		machine_die("%s: no memory", path);
	if (file)
		fclose(file);
	text[size] = 0;
	return text;
}

static unsigned long number(const char *path)
{
	char *text = contents(path);
	unsigned long value = strtoul(text, NULL, 10);

	free(text);
	return value;
}

static struct counters counters(void)
{
	char exits[128];

	snprintf(exits, sizeof(exits), "/sys/kernel/debug/kvm/%d-%d/exits", (int)getpid(), c.m.vm);
	return (struct counters){
		machine_stat(&c.m, "fills"), machine_stat(&c.m, "faults"), machine_stat(&c.m, "flushes"),
		number(exits),
	};
}

static struct counters since(struct counters before)
{
	struct counters now = counters();

	return (struct counters){ now.fills - before.fills, now.faults - before.faults,
				  now.flushes - before.flushes, now.exits - before.exits };
}

static void set(const char *events, bool on)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/enable", events);
	machine_put(path, on ? "1" : "0");
}

static void all(bool on)
{
	set(OURS, on);
	set(KVMS "kvm_entry", on);
	set(KVMS "kvm_exit", on);
	set(KVMS "kvm_page_fault", on);
}

static void forget(void)
{
	int fd = open(TRACING "trace", O_WRONLY | O_TRUNC | O_CLOEXEC);

	if (fd < 0)
		machine_die(TRACING "trace: %s", strerror(errno));
	close(fd);
}

/* Lines of the trace with @event, or of all events if NULL, that have @text, too. */
static unsigned long lines(const char *event, const char *text)
{
	unsigned long count = 0;
	char mark[64];
	char *line = trace;

	snprintf(mark, sizeof(mark), " %s: ", event ? event : "");
	while (*line) {
		char *end = strchrnul(line, '\n');
		char last = *end;

		*end = 0;
		count += *line != '#' && *line && (!event || strstr(line, mark)) && strstr(line, text);
		*end = last;
		line = end + (last != 0);
	}
	return count;
}

static void read_trace(void)
{
	free(trace);
	trace = contents(TRACING "trace");
}

/* Four orders, each of which ends with an OUT. */
static bool work(uint64_t page, uint64_t value)
{
	return client_writes(&c, page, PAGES, value, 1) && client_finds(&c, page, PAGES, value, 1) &&
	       client_order_at(&c, ORDER_WRMSR, MSR, 0, value) == DONE &&
	       client_finds(&c, page, PAGES, value, 1);
}

static void formats(void)
{
	bool right = true;
	unsigned i;

	for (i = 0; i < sizeof(ours) / sizeof(ours[0]); i++) {
		char path[128];
		char *format;

		snprintf(path, sizeof(path), OURS "%s/format", ours[i]);
		format = contents(path);
		if (!strstr(format, "print fmt: ") || strstr(format, "PVM_")) {
			fprintf(stderr, "%s:\n%s\n", path, format);
			right = false;
		}
		free(format);
	}
	check(right, "each of the module's events has a format, with numbers for names");
}

/* The region's pages are in order, each at its own address. */
static bool all_pages_are_filled(uint64_t page)
{
	unsigned i;

	for (i = 0; i < PAGES; i++) {
		char text[64];

		snprintf(text, sizeof(text), " gpa 0x%llx level 1 ",
			 (unsigned long long)(REGION + (page + i) * PAGE));
		if (lines("pvm_fill", text) != 1)
			return false;
	}
	return true;
}

static void the_engine(struct counters grown)
{
	unsigned long blocked = lines("pvm_fault", " result would_block ");
	char wrmsr[64];

	check(lines("pvm_fill", "") == grown.fills && grown.fills >= PAGES, "%lu fills, as the counter says",
	      grown.fills);
	check(all_pages_are_filled(100), "each page is filled once, at its address");
	check(lines("pvm_fault", "") + blocked == grown.faults && blocked >= PAGES,
	      "%lu faults, as the counter says, which has those twice that had to wait", grown.faults);
	check(lines("pvm_fault", "write|user) result fixed ") >= PAGES, "their access and their answer have names");
	/* Linux may move memory at any time, so also before the first count. */
	check(lines("pvm_flush", "") >= grown.flushes && grown.flushes, "flushes, at least what the counter says");
	check(lines("pvm_insn", " op out ") == 4, "each OUT is emulated");
	snprintf(wrmsr, sizeof(wrmsr), " nr wrmsr args 0x%x 0x7", MSR);
	check(lines("pvm_hypercall", wrmsr) == 1 && lines("pvm_hypercall_result", " nr wrmsr result 0x0") == 1 &&
	      lines("pvm_hypercall", "") == 1, "a hypercall, its arguments and its result");
	check(lines("pvm_msr", " write 0xc0000103 value 0x7") == 1, "and the MSR that it writes");
}

static void the_loop(struct counters grown)
{
	unsigned long exits = lines("kvm_exit", "");

	check(exits == lines("kvm_entry", "") && exits == grown.exits, "%lu exits, as KVM counts, and as many entries",
	      grown.exits);
	check(!lines("kvm_exit", "reason 0x") && !lines("kvm_exit", "UNKNOWN"), "each exit's reason has a name");
	check(lines("kvm_exit", " intr_info 0x80000b0d ") == 4, "each OUT is a #GP that comes out");
	check(lines("kvm_page_fault", "") == lines("kvm_exit", " intr_info 0x80000b0e ") &&
	      lines("kvm_page_fault", "") >= PAGES, "pages that user space did not have are faults that come out");
}

static void traced(void)
{
	struct counters before, grown;
	bool right;

	all(true);
	before = counters();
	right = work(100, 7);
	grown = since(before);
	all(false);
	read_trace();
	check(right, "a guest works while all is traced");
	the_engine(grown);
	the_loop(grown);
	forget();
	right = work(100, 8);
	read_trace();
	check(right && !lines(NULL, ""), "and nothing is in the trace when that is off");
}

/* One of two that are on goes: the other one stays. */
static void one_of_two(void)
{
	struct counters before = counters();
	bool right;

	set(OURS "pvm_flush", true);
	set(OURS "pvm_fill", true);
	set(OURS "pvm_flush", false);
	right = work(200, 9);
	set(OURS "pvm_fill", false);
	read_trace();
	check(right && lines(NULL, "") == since(before).fills && since(before).fills, "one event alone");
}

/* Samples with stacks of the kernel's and of this program's. */
static void perf(void)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_TRACEPOINT, .size = sizeof(attr), .config = number(OURS "pvm_fill/id"),
		.sample_period = 1, .sample_type = PERF_SAMPLE_IP | PERF_SAMPLE_CALLCHAIN,
	};
	struct counters before = counters();
	struct perf_event_mmap_page *page;
	uint64_t count = 0;
	bool right;
	int fd = (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0ul);

	if (fd < 0)
		machine_die("perf_event_open: %s", strerror(errno));
	page = mmap(NULL, (1 + PERF_PAGES) * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (page == MAP_FAILED)
		machine_die("perf's buffer: %s", strerror(errno));
	right = work(300, 10);
	ioctl(fd, PERF_EVENT_IOC_DISABLE, 0);
	right &= read(fd, &count, sizeof(count)) == (ssize_t)sizeof(count);
	check(right && count == since(before).fills && count >= PAGES, "perf counts %lu fills", since(before).fills);
	check(page->data_head > count * 2 * sizeof(uint64_t), "and has samples of them");
	munmap(page, (1 + PERF_PAGES) * PAGE);
	close(fd);
}

/* Adds a probe; false: not there. */
static bool probe(const char *definition)
{
	int fd = open(TRACING "kprobe_events", O_WRONLY | O_APPEND | O_CLOEXEC);
	bool right = fd >= 0 && write(fd, definition, strlen(definition)) == (ssize_t)strlen(definition);

	close(fd);
	return right;
}

/* A breakpoint in the engine, not at a function's first bytes: there ftrace's own way is taken. And one in
 * the module's function that gets the records, which cost something. */
static void probed(void)
{
	bool right;

	machine_put("/proc/sys/debug/kprobes-optimization", "0");
	if (!probe("p:pvm_probe pvm_mmu_fault+9") && !probe("p:pvm_probe pvm_mmu_fault+5"))
		machine_die("no instruction for a probe");
	if (!probe("p:pvm_record pvm_kvm_record"))
		machine_die("no pvm_kvm_record()");
	forget();
	set(TRACING "events/kprobes", true);
	right = work(400, 11);
	read_trace();
	check(right && lines("pvm_probe", "") >= PAGES && !lines("pvm_record", ""),
	      "a probe in the engine, which makes no records while no event is on");
	set(OURS "pvm_fill", true);
	right = work(500, 12);
	set(OURS "pvm_fill", false);
	set(TRACING "events/kprobes", false);
	read_trace();
	check(right && lines("pvm_fill", "") >= PAGES && lines("pvm_record", "") >= lines("pvm_fill", ""),
	      "and does while one is");
	machine_put(TRACING "kprobe_events", "-:pvm_probe");
	machine_put(TRACING "kprobe_events", "-:pvm_record");
	forget();
}

int main(int argc, char **argv)
{
	if (argc != 2)
		machine_die("usage: trace SERVANT.elf");
	client_create(&c, argv[1], 1);
	madvise(c.region, REGION_SIZE, MADV_NOHUGEPAGE);	/* else it is all there after one fault */
	machine_put(TRACING "buffer_size_kb", "4096");
	forget();
	formats();
	traced();
	one_of_two();
	perf();
	probed();
	client_destroy(&c);
	return check_finish();
}
