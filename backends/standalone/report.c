/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* What a VM did, as a table for people. Reads counters after the run; changes nothing. */
#include "vm.h"

#include <inttypes.h>
#include <string.h>

#include <pvm/hypercall.h>
#include <pvm/mmu.h>

#include "host.h"
#include "xen_guest.h"

void monitor_print_row(FILE *to, const char *name, uint64_t count)
{
	if (count)
		fprintf(to, "  %-24s %12" PRIu64 "\n", name, count);
}

/* A sum over the vCPUs of the counter at @offset in struct monitor_vcpu. */
static uint64_t sum(const struct monitor_vm *vm, size_t offset)
{
	uint64_t total = 0, value;
	uint32_t i;

	for (i = 0; i < vm->vcpu_count; i++) {
		memcpy(&value, (const uint8_t *)vm->vcpus[i] + offset, sizeof(value));
		total += value;
	}
	return total;
}

#define SUM(vm, member)		sum(vm, offsetof(struct monitor_vcpu, member))
#define SUM_AT(vm, member, i)                                                                      \
	sum(vm, offsetof(struct monitor_vcpu, member) + (i) * sizeof(uint64_t))

static void print_exits(const struct monitor_vm *vm, FILE *to)
{
	uint64_t total = 0;
	unsigned i;

	for (i = 0; i < PVM_EXIT_KINDS; i++)
		total += SUM_AT(vm, exits, i);
	fprintf(to, "exits by reason: %" PRIu64 "\n", total);
	for (i = 0; i < PVM_EXIT_KINDS; i++)
		if (i != PVM_EXIT_EXCEPTION)
			monitor_print_row(to, pvm_exit_name(i), SUM_AT(vm, exits, i));
	for (i = 0; i < PVM_VEC_EXCEPTIONS; i++)
		monitor_print_row(to, pvm_vector_name(i), SUM_AT(vm, exceptions, i));
}

static void print_syscalls(const struct monitor_vm *vm, FILE *to)
{
	unsigned i;

	fprintf(to, "SYSCALL by meaning:\n");
	monitor_print_row(to, "user system call", SUM(vm, syscalls));
	monitor_print_row(to, "return to user", SUM(vm, returns_user));
	monitor_print_row(to, "return to supervisor", SUM(vm, returns_supervisor));
	for (i = 0; i < MONITOR_HYPERCALLS; i++) {
		const char *name = pvm_hypercall_name(vm->pvm.config.abi, PVM_HC_BASE + i);

		monitor_print_row(to, name ? name : "unknown hypercall", SUM_AT(vm, hypercalls, i));
	}
	monitor_print_row(to, "other hypercall", SUM(vm, other_hypercalls));
}

static void print_events(const struct monitor_vm *vm, FILE *to)
{
	char name[40];
	unsigned i;

	fprintf(to, "events delivered:\n");
	for (i = 0; i < 256; i++) {
		if (i < PVM_VEC_EXCEPTIONS || i == PVM_VEC_SYSCALL32)
			snprintf(name, sizeof(name), "%s", pvm_vector_name(i));
		else
			snprintf(name, sizeof(name), "interrupt %u", i);
		monitor_print_row(to, name, SUM_AT(vm, events, i));
	}
}

static void print_mmu(struct monitor_vm *vm, FILE *to)
{
	struct pvm_mmu_stats stats;

	pvm_mmu_get_stats(&vm->pvm, &stats);
	fprintf(to, "shadow MMU:\n");
	monitor_print_row(to, "faults", stats.faults);
	monitor_print_row(to, "fills", stats.fills);
	monitor_print_row(to, "faults of the guest's", stats.injected);
	monitor_print_row(to, "flushes", stats.flushes);
	monitor_print_row(to, "tables unsynced", stats.unsyncs);
	monitor_print_row(to, "tables resynced", stats.resyncs);
	monitor_print_row(to, "tables zapped", stats.zaps);
	monitor_print_row(to, "shadow pages now", stats.shadow_pages);
}

static void print_executor(struct monitor_vm *vm, FILE *to)
{
	struct executor_stats stats = { 0 };

	if (!vm->executor->stats)
		return;
	vm->executor->stats(vm, &stats);
	fprintf(to, "%s executor:\n", vm->executor->name);
	monitor_print_row(to, "stub processes", stats.processes);
	monitor_print_row(to, "most at one time", stats.processes_peak);
	monitor_print_row(to, "translations mapped", stats.translations);
	monitor_print_row(to, "user system calls without an exit", stats.calls);
	monitor_print_row(to, "returns without an exit", stats.returns);
}

/* "VmHWM", "RssShmem": kB from /proc/self/status; 0 if it does not say. */
static uint64_t status_kb(const char *field)
{
	FILE *status = fopen("/proc/self/status", "re");
	size_t length = strlen(field);
	unsigned long long kb = 0;
	char line[128];

	if (!status)
		return 0;
	while (fgets(line, sizeof(line), status))
		if (!strncmp(line, field, length) && line[length] == ':')
			sscanf(line + length + 1, "%llu", &kb);
	fclose(status);
	return kb;
}

static void print_memory(const struct monitor_vm *vm, FILE *to)
{
	fprintf(to, "memory, KiB:\n");
	monitor_print_row(to, "guest memory", vm->memory.size >> 10);
	monitor_print_row(to, "of it touched (monitor)", status_kb("RssShmem"));
	monitor_print_row(to, "monitor", status_kb("RssAnon") + status_kb("RssFile"));
	if (!vm->executor->live)	/* else it is not the monitor's */
		monitor_print_row(to, "shadow memory, most", page_arena_peak(vm->arena) >> 10);
}

void monitor_print_stats(struct monitor_vm *vm, FILE *to)
{
	if (vm->executor->print_stats) {
		vm->executor->print_stats(vm, to);
		if (vm->xen)
			xen_guest_print_stats(vm->xen, to);
		print_memory(vm, to);
		return;
	}
	print_exits(vm, to);
	print_syscalls(vm, to);
	print_events(vm, to);
	print_mmu(vm, to);
	print_executor(vm, to);
	print_memory(vm, to);
}
