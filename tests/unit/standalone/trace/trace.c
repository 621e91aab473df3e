/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The trace file: valid JSON whatever happens, each event as docs/trace.md has
 * it, errors told at the end. The schema is read from that document.
 */
#include "trace.h"

#include <cjson/cJSON.h>
#include <criterion/criterion.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <pvm/hypercall.h>
#include <pvm/mmu.h>

#include "monitor.h"

#define SCHEMA_ROWS_MAX 32

static char path[64];
static char why[256];

static void setup(void)
{
	int fd;

	strcpy(path, "/tmp/pvm-trace-test-XXXXXX");
	fd = mkstemp(path);
	cr_assert_geq(fd, 0);
	close(fd);
}

static void teardown(void)
{
	unlink(path);
}

TestSuite(trace, .init = setup, .fini = teardown);

static struct trace *open_trace(void)
{
	struct trace *trace = trace_open(path, PVM_ABI_DUAL_CR3, -1, why, sizeof(why));

	cr_assert_not_null(trace, "%s", why);
	return trace;
}

static char *read_file(const char *name)
{
	FILE *file = fopen(name, "r");
	struct stat status;
	char *text;

	cr_assert_not_null(file, "%s", name);
	cr_assert_eq(fstat(fileno(file), &status), 0);
	text = calloc(1, (size_t)status.st_size + 2);	/* room for a tail to add */
	cr_assert_eq(fread(text, 1, (size_t)status.st_size, file), (size_t)status.st_size);
	fclose(file);
	return text;
}

static cJSON *read_events(void)
{
	char *text = read_file(path);
	cJSON *events = cJSON_ParseWithOpts(text, NULL, true);

	cr_assert_not_null(events, "the trace is not valid JSON");
	cr_assert(cJSON_IsArray(events));
	free(text);
	return events;
}

static cJSON *close_and_read(struct trace *trace)
{
	cr_assert_eq(trace_close(trace, why, sizeof(why)), 0, "%s", why);
	return read_events();
}

static const char *text_of(const cJSON *object, const char *name)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);

	cr_assert(cJSON_IsString(item), "%s is missing or no string", name);
	return item->valuestring;
}

static double number_of(const cJSON *object, const char *name)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);

	cr_assert(cJSON_IsNumber(item), "%s is missing or no number", name);
	return item->valuedouble;
}

static const cJSON *find_event(const cJSON *events, const char *name)
{
	const cJSON *event;

	cJSON_ArrayForEach(event, events) {
		if (!strcmp(text_of(event, "name"), name))
			return event;
	}
	cr_assert_fail("no event %s", name);
	return NULL;
}

static const char *arg_of(const cJSON *events, const char *event, const char *arg)
{
	return text_of(cJSON_GetObjectItem(find_event(events, event), "args"), arg);
}

/* ------------------------------------------------------------------------
 * The schema: the table in docs/trace.md that begins with "| first word".
 */

struct schema_row {
	char first_word[32], phase[4], category[16], args[128];
	unsigned seen;
};

static unsigned read_schema(struct schema_row *rows)
{
	char *text = read_file(TRACE_SCHEMA), *line, *state;
	bool inside = false;
	unsigned count = 0;

	for (line = strtok_r(text, "\n", &state); line; line = strtok_r(NULL, "\n", &state)) {
		struct schema_row *row = &rows[count];

		if (!strncmp(line, "| first word", 12))
			inside = true;
		else if (inside && line[0] != '|')
			break;
		else if (inside && line[2] == '`') {
			cr_assert_lt(count, SCHEMA_ROWS_MAX);
			memset(row, 0, sizeof(*row));
			cr_assert_eq(sscanf(line, "| `%31[^`]` | %3s | %15s | %127[^|]", row->first_word,
					    row->phase, row->category, row->args), 4, "%s", line);
			count++;
		}
	}
	free(text);
	cr_assert_gt(count, 10, "the table of docs/trace.md was not found");
	return count;
}

static void check_arg(const cJSON *args, const char *event, const char *spec, unsigned *present)
{
	char name[32], type[16];
	bool optional = spec[strlen(spec) - 1] == '?';
	const cJSON *item;

	cr_assert_eq(sscanf(spec, "%31[^:]:%15[a-z]", name, type), 2, "%s", spec);
	item = cJSON_GetObjectItemCaseSensitive(args, name);
	if (!item) {
		cr_assert(optional, "%s has no %s", event, name);
		return;
	}
	(*present)++;
	if (!strcmp(type, "number"))
		cr_assert(cJSON_IsNumber(item), "%s of %s", name, event);
	else
		cr_assert(cJSON_IsString(item) && *item->valuestring, "%s of %s", name, event);
	if (!strcmp(type, "hex"))
		cr_assert(!strncmp(item->valuestring, "0x", 2) &&
			  strspn(item->valuestring + 2, "0123456789abcdef") ==
				  strlen(item->valuestring) - 2,
			  "%s of %s: %s", name, event, item->valuestring);
}

static void check_event(const cJSON *event, struct schema_row *rows, unsigned count)
{
	const char *name = text_of(event, "name");
	const cJSON *args = cJSON_GetObjectItem(event, "args");
	unsigned i, present = 0;
	char specs[128], *spec, *state;

	for (i = 0; i < count; i++) {
		size_t length = strlen(rows[i].first_word);

		if (!strncmp(name, rows[i].first_word, length) && (!name[length] || name[length] == ' '))
			break;
	}
	cr_assert_lt(i, count, "docs/trace.md has no event %s", name);
	rows[i].seen++;
	cr_assert_str_eq(text_of(event, "ph"), rows[i].phase, "%s", name);
	cr_assert_str_eq(text_of(event, "cat"), rows[i].category, "%s", name);
	cr_assert_geq(number_of(event, "ts"), 0);
	cr_assert_eq(number_of(event, "pid"), TRACE_PID);
	cr_assert_gt(number_of(event, "tid"), 0);
	cr_assert_eq(cJSON_HasObjectItem(event, "dur"), *rows[i].phase == 'X', "%s", name);
	cr_assert_eq(cJSON_HasObjectItem(event, "s"), *rows[i].phase == 'i', "%s", name);
	cr_assert(cJSON_IsObject(args), "%s", name);
	strcpy(specs, rows[i].args);
	for (spec = strtok_r(specs, " ", &state); spec; spec = strtok_r(NULL, " ", &state))
		check_arg(args, name, spec, &present);
	cr_assert_eq((unsigned)cJSON_GetArraySize(args), present, "%s has args that are not documented",
		     name);
}

/* One record of each kind, with values such as the engine gives. */
static void record_every_kind(struct trace *trace)
{
	const struct pvm_trace_record records[] = {
		{ PVM_TRACE_EXIT, 0, PVM_EXIT_EXCEPTION, 0x1000000, PVM_VEC_PF, 0x14 },
		{ PVM_TRACE_EVENT, 0, PVM_VEC_PF, 4, 1, 0x401000 },
		{ PVM_TRACE_EVENT, 0, 0xec, 0, 0, 0x1000010 },
		{ PVM_TRACE_SYSCALL, 0, 0x401002, 60, 0, 0 },
		{ PVM_TRACE_RETURN_USER, 0, 0x401002, 0, 0, 0 },
		{ PVM_TRACE_RETURN_SUPERVISOR, 0, 0x1000010, 0, 0, 0 },
		{ PVM_TRACE_HYPERCALL, 0, PVM_HC_LOAD_PGTBL, 1, 0x2000, 0x3000 },
		{ PVM_TRACE_HYPERCALL, 0, 42, 0, 0, 0 },
		{ PVM_TRACE_HYPERCALL_RESULT, 0, PVM_HC_LOAD_PGTBL, 0, 0, 0 },
		{ PVM_TRACE_INSN, 0, PVM_INSN_RDMSR, 0x1000020, 0, 0 },
		{ PVM_TRACE_MSR, 0, MSR_PVM_EVENT_ENTRY, 0x1002000, 1, 0 },
		{ PVM_TRACE_FAULT, 0, 0x5000, PVM_PF_W | PVM_PF_U, PVM_FAULT_INJECT, PVM_PF_W },
		{ PVM_TRACE_FILL, 0, 0x5000, 0x7000, 1, 0x100000007067ull },
		{ PVM_TRACE_FLUSH, ~0u, PVM_FLUSH_GVA, 0x5000, PVM_INVALID_ADDR, 0 },
		{ PVM_TRACE_SHUTDOWN, 0, PVM_SHUTDOWN_NO_PVCS, 0, 0, 0 },
		{ PVM_TRACE_CR4, 0, PVM_CR4_PAE | PVM_CR4_SMEP, PVM_CR4_SMEP, 0x1000040, 0 },
	};
	size_t i;

	trace_enter(trace, 0, PVM_MODE_SUPERVISOR, 0x1000000);
	for (i = 0; i < sizeof(records) / sizeof(records[0]); i++)
		trace_record(trace, &records[i]);
	trace_enter(trace, 0, PVM_MODE_USER64, 0x401002);
}

Test(trace, every_kind_of_event_is_as_the_document_says_and_none_is_forgotten)
{
	struct schema_row rows[SCHEMA_ROWS_MAX];
	unsigned i, count = read_schema(rows);
	struct trace *trace = open_trace();
	cJSON *events;
	const cJSON *event;

	record_every_kind(trace);
	events = close_and_read(trace);
	cJSON_ArrayForEach(event, events) {
		check_event(event, rows, count);
	}
	for (i = 0; i < count; i++)
		cr_assert_gt(rows[i].seen, 0, "no event %s was written", rows[i].first_word);
	cJSON_Delete(events);
}

Test(trace, events_say_what_a_person_would_ask)
{
	struct trace *trace = open_trace();
	cJSON *events;

	record_every_kind(trace);
	events = close_and_read(trace);
	cr_expect_str_eq(arg_of(events, "thread_name", "name"), "vCPU 0");
	cr_expect_str_eq(arg_of(events, "exit #PF", "rip"), "0x1000000");
	cr_expect_str_eq(arg_of(events, "event #PF", "from"), "user");
	cr_expect_str_eq(arg_of(events, "event interrupt 236", "from"), "supervisor");
	cr_expect_str_eq(arg_of(events, "hypercall LOAD_PGTBL", "arg1"), "0x2000");
	cr_expect_str_eq(arg_of(events, "hypercall 0x2a", "number"), "0x2a");
	cr_expect_str_eq(arg_of(events, "fault inject", "access"), "write, user");
	cr_expect_str_eq(arg_of(events, "fault inject", "injected"), "0x2");
	cr_expect_str_eq(arg_of(events, "fill 4K", "entry"), "0x100000007067");
	cr_expect_str_eq(arg_of(events, "msr write", "value"), "0x1002000");
	cr_expect_str_eq(arg_of(events, "shutdown event without a PVCS", "reason"), "event without a PVCS");
	cr_expect_null(cJSON_GetObjectItem(cJSON_GetObjectItem(find_event(events, "flush gva"), "args"),
					   "root"), "an address that is none is left out");
	cr_expect_eq(number_of(find_event(events, "flush gva"), "tid"), TRACE_TID_VM);
	cJSON_Delete(events);
}

Test(trace, records_with_values_of_no_kind_are_still_valid_events)
{
	struct trace *trace = open_trace();
	cJSON *events;
	unsigned kind;

	for (kind = 0; kind <= PVM_TRACE_KINDS; kind++) {
		const struct pvm_trace_record record = { (enum pvm_trace_kind)kind, 3, ~0ull, ~0ull, ~0ull,
							 ~0ull };

		trace_record(trace, &record);
	}
	trace_enter(trace, 3, (enum pvm_mode)77, ~0ull);
	events = close_and_read(trace);
	cr_expect_str_eq(arg_of(events, "fill unknown", "gva"), "0xffffffffffffffff");
	find_event(events, "unknown");
	find_event(events, "guest unknown");
	cJSON_Delete(events);
}

Test(trace, guest_and_monitor_share_a_vcpus_time_without_gap_or_overlap)
{
	const struct pvm_trace_record exit = { PVM_TRACE_EXIT, 0, PVM_EXIT_SYSCALL, 0x1000, 0, 0 };
	const struct timespec two_ms = { 0, 2000000 };
	struct trace *trace = open_trace();
	double end = -1, guest = 0;
	cJSON *events;
	const cJSON *event;
	unsigned slices = 0;
	int i;

	for (i = 0; i < 5; i++) {
		trace_enter(trace, 0, PVM_MODE_USER64, 0x1000);
		nanosleep(&two_ms, NULL);
		trace_record(trace, &exit);
	}
	events = close_and_read(trace);
	cJSON_ArrayForEach(event, events) {
		if (strcmp(text_of(event, "ph"), "X"))
			continue;
		if (end >= 0)
			cr_assert_float_eq(number_of(event, "ts"), end, 0.01);
		end = number_of(event, "ts") + number_of(event, "dur");
		if (!strcmp(text_of(event, "cat"), "guest"))
			guest += number_of(event, "dur");
		slices++;
	}
	cr_assert_eq(slices, 10, "%u", slices);
	cr_assert_geq(guest, 5 * 2000.0, "time is in microseconds: %f", guest);
	cr_assert_lt(guest, 5e6, "time is in microseconds: %f", guest);
	cJSON_Delete(events);
}

Test(trace, a_slice_that_is_open_at_the_end_is_written_by_close)
{
	struct trace *trace = open_trace();
	cJSON *events;

	trace_enter(trace, 2, PVM_MODE_SUPERVISOR, 0x1000);
	events = close_and_read(trace);
	cr_assert_eq(number_of(find_event(events, "guest supervisor"), "tid"), 3);
	cJSON_Delete(events);
}

/* ------------------------------------------------------------------------ */

#define THREADS			4
#define RECORDS_PER_THREAD	1000

struct writer {
	struct trace *trace;
	uint32_t vcpu;
};

static void *write_records(void *arg)
{
	struct writer *writer = arg;
	unsigned i;

	for (i = 0; i < RECORDS_PER_THREAD; i++) {
		const struct pvm_trace_record record = { PVM_TRACE_FILL, writer->vcpu, i, i, 1, 0 };

		trace_record(writer->trace, &record);
	}
	return NULL;
}

Test(trace, threads_do_not_mix_their_events)
{
	struct trace *trace = open_trace();
	struct writer writers[THREADS];
	pthread_t threads[THREADS];
	unsigned i, per_tid[THREADS] = { 0 };
	cJSON *events;
	const cJSON *event;

	for (i = 0; i < THREADS; i++) {
		writers[i] = (struct writer){ trace, i };
		cr_assert_eq(pthread_create(&threads[i], NULL, write_records, &writers[i]), 0);
	}
	for (i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	events = close_and_read(trace);
	cJSON_ArrayForEach(event, events) {
		if (!strcmp(text_of(event, "ph"), "i"))
			per_tid[(unsigned)number_of(event, "tid") - TRACE_TID_FIRST_VCPU]++;
	}
	for (i = 0; i < THREADS; i++)
		cr_assert_eq(per_tid[i], RECORDS_PER_THREAD);
	cJSON_Delete(events);
}

Test(trace, memory_does_not_grow_with_the_run)
{
	const struct pvm_trace_record record = { PVM_TRACE_FILL, 0, 1, 1, 1, 1 };
	struct trace *trace = open_trace();
	size_t before, after;
	unsigned i;

	trace_record(trace, &record);
	before = mallinfo2().uordblks;
	for (i = 0; i < 20000; i++)
		trace_record(trace, &record);
	after = mallinfo2().uordblks;
	cr_assert_leq(after, before + 4096, "%zu bytes grew to %zu", before, after);
	cr_assert_eq(trace_close(trace, why, sizeof(why)), 0);
}

Test(trace, what_a_killed_process_left_can_be_repaired_by_closing_the_array)
{
	pid_t child = fork();
	char *text, *end;
	cJSON *events;

	cr_assert_geq(child, 0);
	if (!child) {
		const struct pvm_trace_record record = { PVM_TRACE_FILL, 0, 1, 1, 1, 1 };
		struct trace *trace = trace_open(path, PVM_ABI_DUAL_CR3, -1, why, sizeof(why));
		unsigned i;

		for (i = 0; trace && i < 2000; i++)
			trace_record(trace, &record);
		kill(getpid(), SIGKILL);
	}
	waitpid(child, NULL, 0);
	text = read_file(path);
	end = strrchr(text, '\n');		/* the last line may be cut */
	cr_assert_not_null(end);
	cr_assert_eq(end[-1], ',');
	strcpy(end - 1, "]");
	events = cJSON_ParseWithOpts(text, NULL, true);
	cr_assert_not_null(events);
	cr_assert_gt(cJSON_GetArraySize(events), 100);
	cJSON_Delete(events);
	free(text);
}

Test(trace, a_file_that_cannot_be_written_is_named_with_the_reason)
{
	cr_assert_null(trace_open("/nonexistent/dir/t.json", PVM_ABI_DUAL_CR3, -1, why, sizeof(why)));
	cr_assert_str_eq(why, "trace /nonexistent/dir/t.json: No such file or directory");
	cr_assert_null(trace_open("/tmp", PVM_ABI_DUAL_CR3, -1, why, sizeof(why)));
	cr_assert_str_eq(why, "trace /tmp: Is a directory");
}

Test(trace, a_full_disk_is_reported_once_at_the_end)
{
	const struct pvm_trace_record record = { PVM_TRACE_FILL, 0, 1, 1, 1, 1 };
	struct trace *trace = trace_open("/dev/full", PVM_ABI_DUAL_CR3, -1, why, sizeof(why));
	unsigned i;

	cr_assert_not_null(trace, "%s", why);
	for (i = 0; i < 2000; i++)	/* more than one buffer: writing fails in the middle */
		trace_record(trace, &record);
	cr_assert_eq(trace_close(trace, why, sizeof(why)), -1);
	cr_assert_str_eq(why, "trace /dev/full: No space left on device");
}

Test(trace, a_short_trace_on_a_full_disk_is_reported_too)
{
	struct trace *trace = trace_open("/dev/full", PVM_ABI_DUAL_CR3, -1, why, sizeof(why));

	cr_assert_not_null(trace, "%s", why);
	cr_assert_eq(trace_close(trace, why, sizeof(why)), -1);
	cr_assert_str_eq(why, "trace /dev/full: No space left on device");
}

Test(trace, no_trace_is_closed_without_an_error)
{
	cr_assert_eq(trace_close(NULL, why, sizeof(why)), 0);
}
