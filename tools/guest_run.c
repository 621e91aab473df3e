/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* As guest_run.h says. */
#include "guest_run.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <linux/prctl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "backtrace.h"
#include "console.h"
#include "devices.h"
#include "output.h"
#include "pvm.h"
#include "signals.h"
#include "symbols.h"

int guest_run_bad_value(const char *option, const char *value, const char *want)
{
	fprintf(stderr, "pvm: --%s=%s: %s\n", option, value, want);
	return -1;
}

int guest_run_bad_option(const char *command, int result, const char *word)
{
	int name = (int)strcspn(word, "=");

	if (result == ':')
		fprintf(stderr, "pvm: option '%s' needs a value\n", word);
	else if (strncmp(word, "--", 2))
		fprintf(stderr, "pvm: unknown option '-%c': see 'pvm %s --help'\n", optopt, command);
	else if (optopt)
		fprintf(stderr, "pvm: option '%.*s' takes no value\n", name, word);
	else
		fprintf(stderr, "pvm: unknown option '%.*s': see 'pvm %s --help'\n", name, word, command);
	return -1;
}

static int take_disk(struct monitor_options *options)
{
	const char *wrong;

	if (options->disk_count == MONITOR_DISKS_MAX)
		return guest_run_bad_value("disk", optarg, "at most 16 disks are possible");
	wrong = parse_disk(optarg, &options->disks[options->disk_count++]);
	return wrong ? guest_run_bad_value("disk", optarg, wrong) : 0;
}

static int take_net(struct monitor_options *options)
{
	char given[128];
	const char *wrong;

	snprintf(given, sizeof(given), "%s", optarg);
	if (options->net_count == MONITOR_NETS_MAX)
		return guest_run_bad_value("net", optarg, "at most 4 network cards are possible");
	wrong = parse_net(optarg, &options->nets[options->net_count++]);
	return wrong ? guest_run_bad_value("net", given, wrong) : 0;
}

int guest_run_take_option(struct guest_run *options, int option)
{
	switch (option) {
	case 'd':
		return take_disk(&options->vm);
	case 'n':
		return take_net(&options->vm);
	case 'c':
		options->vm.console_keys = true;
		return 0;
	case 't':
		if (!*optarg)
			return guest_run_bad_value("trace", optarg, "not the name of a file");
		options->vm.trace = optarg;
		return 0;
	case 'S':
		options->stats = options->vm.count_events = true;
		return 0;
	case 'T':
		if (!parse_seconds(optarg, &options->vm.timeout))
			return guest_run_bad_value("timeout", optarg, "not a time in seconds");
		return 0;
	case GUEST_RUN_MITIGATIONS:
		options->strict_mitigations = !strcmp(optarg, "strict");
		if (!options->strict_mitigations && strcmp(optarg, "default"))
			return guest_run_bad_value("mitigations", optarg, "there are 'default' and 'strict'");
		return 0;
	case GUEST_RUN_SYMBOLS:
		options->vm.symbols = optarg;
		return 0;
	case 'h':
		options->help = true;
		return 0;
	}
	return -1;
}

/* For this process and all that it starts: docs/mitigations.md. */
static int set_strict_mitigations(void)
{
	if (prctl(PR_SET_SPECULATION_CTRL, PR_SPEC_INDIRECT_BRANCH, PR_SPEC_FORCE_DISABLE, 0, 0) == 0)
		return 0;
	fprintf(stderr, "pvm: --mitigations=strict: the host has no such switch for a process (%s)\n",
		strerror(errno));
	return -1;
}

/* Is it worth knowing what this vCPU was doing? */
static bool shows_stack(const struct monitor_result *result, uint32_t vcpu)
{
	if (result->end == MONITOR_END_TIMEOUT)
		return true;
	return result->by_vcpu && result->vcpu == vcpu && result->status != 0;
}

/* One line that says how it ended; what the guest was doing, if it did not mean to end. */
static void report(struct monitor_vm *vm, const struct monitor_result *result,
		   const struct guest_run *options, FILE *to)
{
	struct symbols *symbols = NULL;
	bool looked = false;
	uint32_t i;

	if (result->message[0])
		fprintf(to, "pvm: %s: %s\n", vm->guest, result->message);
	for (i = 0; i < vm->vcpu_count; i++) {
		if (!vm->vcpus[i]->started || !shows_stack(result, i))
			continue;
		if (!looked)
			symbols = symbols_open(options->vm.symbols ? options->vm.symbols : vm->guest);
		looked = true;
		backtrace_guest(to, vm->vcpus[i], symbols);
	}
	symbols_close(symbols);
	if (options->stats)
		monitor_print_stats(vm, to);
}

static void print_report(struct monitor_vm *vm, const struct monitor_result *result,
			 const struct guest_run *options)
{
	char *text = NULL;
	size_t size = 0;
	FILE *to = open_memstream(&text, &size);

	if (!to) {
		report(vm, result, options, stderr);
	} else {
		report(vm, result, options, to);
		if (fclose(to) == 0)
			output_report(text, size);
		free(text);
	}
}

static int run(const struct guest_run *options)
{
	struct monitor_result result = { 0 };
	struct monitor_vm *vm;
	char why[PATH_MAX + 512] = "";

	vm = monitor_vm_create(&options->vm, why, sizeof(why));
	if (!vm) {
		output_say("pvm: %s\n", why);
		return MONITOR_STATUS_FAILED;
	}
	monitor_vm_run(vm, &result);
	print_report(vm, &result, options);
	if (monitor_vm_destroy(vm, why, sizeof(why))) {
		output_say("pvm: %s\n", why);
		if (result.status == 0)
			result.status = MONITOR_STATUS_FAILED;
	}
	return result.status;
}

/* Before the guest runs, not when it has died. */
static bool check_symbols(const char *path)
{
	struct symbols *symbols = symbols_open(path);

	if (!symbols)
		fprintf(stderr,
			"pvm: --symbols=%s: cannot be read, or is neither an ELF file for x86-64 nor a System.map\n",
			path);
	symbols_close(symbols);
	return symbols;
}

int guest_run(const struct guest_run *options)
{
	if (options->vm.symbols && !check_symbols(options->vm.symbols))
		return MONITOR_STATUS_FAILED;
	if (options->strict_mitigations && set_strict_mitigations())
		return MONITOR_STATUS_FAILED;
	signals_prepare_process();
	backtrace_install_monitor_handlers(console_restore_in_handler);
	return run(options);
}
