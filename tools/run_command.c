/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* pvm run: options, a VM, its end in words. Must leave no file and no process. */
#include "pvm.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <linux/prctl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "backtrace.h"
#include "console.h"
#include "devices.h"
#include "guest_abi.h"
#include "output.h"
#include "signals.h"
#include "symbols.h"
#include "vm.h"

/* With the names of the guest ABIs. */
static const char help[] =
"Usage: pvm run [OPTION]... GUEST.elf\n"
"       pvm run [OPTION]... --kernel=VMLINUZ [--initrd=FILE] [--disk=FILE]... [--net=NET]...\n"
"\n"
"Runs GUEST.elf, a static ELF64 file for x86-64, until it writes to the debug-exit\n"
"port 0xf4. Its console, a 16550 at port 0x3f8, is standard input and output.\n"
"Or boots a distribution's own kernel, as it is; that needs --backend=kvm.\n"
"\n"
"  -b, --backend=NAME        what executes the guest: kvm (/dev/kvm of kvm-pvm.ko),\n"
"                            native (stub processes) or model (software, for scripted\n"
"                            guests); default: kvm where it is, else native\n"
"  -k, --kernel=VMLINUZ      a kernel with Linux's Xen PV support (XEN_PV); its console\n"
"                            is hvc0, which is what Linux takes if --append names none\n"
"  -i, --initrd=FILE         its initial RAM disk\n"
"  -d, --disk=FILE[,ro]      a raw file or block device as its next disk, xvda and on\n"
"  -n, --net=NET             its next network card, eth0 and on, NET is one of:\n"
"                            user[,forward=PORT:PORT][,loopback]  needs no privilege;\n"
"                            forward: a TCP port of 127.0.0.1 is one of the guest's;\n"
"                            loopback: the guest may reach 127.0.0.1, as 10.0.2.2\n"
"                            tap=NAME  a tap device of the host's\n"
"  -m, --memory=SIZE         guest memory; K, M and G are understood (default 64M,\n"
"                            for a kernel 512M)\n"
"  -s, --smp=N               number of vCPUs, 1 to 64 (default 1)\n"
"  -a, --append=CMDLINE      the guest's command line\n"
"  -c, --console             all keys of the terminal are the guest's, Ctrl-C as well;\n"
"                            Ctrl-A x ends the guest, Ctrl-A Ctrl-A is Ctrl-A\n"
"      --abi=NAME            what the guest is written for, one of: %s\n"
"                            (default: what its ELF note says, or dual-cr3)\n"
"  -t, --trace=FILE          write a trace that the Perfetto viewer opens\n"
"  -S, --stats               print exit counts and memory to standard error at the end\n"
"  -T, --timeout=SEC         end the guest after that many seconds, with status 124\n"
"      --shadow-memory=SIZE  limit for shadow page tables (default 256M); not with kvm\n"
"      --symbols=FILE        the guest's ELF file with symbols, or a System.map, for the\n"
"                            names in what is printed when it has died\n"
"      --mitigations=LEVEL   strict: the CPU's branch predictors are flushed at each\n"
"                            switch between pvm and its guest, three times slower;\n"
"                            default: as the host does for any process\n"
"  -h, --help                print this and exit\n"
"\n"
"Exit status: the guest's own, or 124 after a timeout, 125 when pvm could not run it\n"
"or go on, 126 when the guest died (triple fault), 128+N when signal N ended it.\n"
"\n"
"Examples:\n"
"  pvm run hello.elf\n"
"  pvm run --smp=2 --memory=128M --append='quiet test=all' smp.elf\n"
"  pvm run --stats --trace=work.json --timeout=60 work.elf\n"
"  pvm run --kernel=/boot/vmlinuz-6.1.0-32-amd64 --initrd=initrd.img --console\n"
"  pvm run --kernel=vmlinuz --initrd=initrd.img --append='root=/dev/xvda1' \\\n"
"      --disk=root.img --net=user,forward=8022:22 --console\n";

enum { SHADOW_MEMORY = 256, ABI, MITIGATIONS, SYMBOLS };

static const struct option long_options[] = {
	{ "backend", required_argument, NULL, 'b' },
	{ "kernel", required_argument, NULL, 'k' },
	{ "initrd", required_argument, NULL, 'i' },
	{ "disk", required_argument, NULL, 'd' },
	{ "net", required_argument, NULL, 'n' },
	{ "memory", required_argument, NULL, 'm' },
	{ "smp", required_argument, NULL, 's' },
	{ "append", required_argument, NULL, 'a' },
	{ "console", no_argument, NULL, 'c' },
	{ "abi", required_argument, NULL, ABI },
	{ "trace", required_argument, NULL, 't' },
	{ "stats", no_argument, NULL, 'S' },
	{ "timeout", required_argument, NULL, 'T' },
	{ "shadow-memory", required_argument, NULL, SHADOW_MEMORY },
	{ "mitigations", required_argument, NULL, MITIGATIONS },
	{ "symbols", required_argument, NULL, SYMBOLS },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

struct run_options {
	struct monitor_options vm;
	bool stats;
	const char *symbols;	/* a file with the guest's; NULL: the guest itself */
	bool strict_mitigations;
	bool help;
};

static int bad_value(const char *option, const char *value, const char *want)
{
	fprintf(stderr, "pvm: --%s=%s: %s\n", option, value, want);
	return -1;
}

static int bad_backend(const char *name)
{
	const char *known;
	unsigned i;

	fprintf(stderr, "pvm: --backend=%s: no such backend; there are:", name);
	for (i = 0; (known = monitor_executor_name(i)); i++)
		fprintf(stderr, " %s", known);
	fputc('\n', stderr);
	return -1;
}

static int take_abi(struct run_options *options, const char *name)
{
	char known[GUEST_ABI_LIST_MAX];

	if (!guest_abi_by_name(name, strlen(name), &options->vm.abi)) {
		fprintf(stderr, "pvm: --abi=%s: no such guest ABI; there are: %s\n", name,
			guest_abi_list(known, sizeof(known)));
		return -1;
	}
	options->vm.abi_given = true;
	return 0;
}

static int take_disk(struct monitor_options *options)
{
	const char *wrong;

	if (options->disk_count == MONITOR_DISKS_MAX)
		return bad_value("disk", optarg, "at most 16 disks are possible");
	wrong = parse_disk(optarg, &options->disks[options->disk_count++]);
	return wrong ? bad_value("disk", optarg, wrong) : 0;
}

static int take_net(struct monitor_options *options)
{
	char given[128];
	const char *wrong;

	snprintf(given, sizeof(given), "%s", optarg);
	if (options->net_count == MONITOR_NETS_MAX)
		return bad_value("net", optarg, "at most 4 network cards are possible");
	wrong = parse_net(optarg, &options->nets[options->net_count++]);
	return wrong ? bad_value("net", given, wrong) : 0;
}

static int take_option(struct run_options *options, int option)
{
	switch (option) {
	case 'b':
		options->vm.executor = monitor_executor(optarg);
		return options->vm.executor ? 0 : bad_backend(optarg);
	case 'k':
		options->vm.guest = optarg;
		options->vm.kernel = true;
		return 0;
	case 'i':
		options->vm.initrd = optarg;
		return 0;
	case 'd':
		return take_disk(&options->vm);
	case 'n':
		return take_net(&options->vm);
	case 'c':
		options->vm.console_keys = true;
		return 0;
	case 'm':
		if (!parse_size(optarg, &options->vm.memory))
			return bad_value("memory", optarg, "not a size such as 64M");
		return 0;
	case 's':
		if (!parse_count(optarg, &options->vm.vcpus) ||
		    options->vm.vcpus > MONITOR_MAX_VCPUS)
			return bad_value("smp", optarg, "not a number of vCPUs from 1 to 64");
		return 0;
	case 'a':
		options->vm.command_line = optarg;
		return 0;
	case ABI:
		return take_abi(options, optarg);
	case 't':
		if (!*optarg)
			return bad_value("trace", optarg, "not the name of a file");
		options->vm.trace = optarg;
		return 0;
	case 'S':
		options->stats = options->vm.count_events = true;
		return 0;
	case 'T':
		if (!parse_seconds(optarg, &options->vm.timeout))
			return bad_value("timeout", optarg, "not a time in seconds");
		return 0;
	case SHADOW_MEMORY:
		if (!parse_size(optarg, &options->vm.shadow_memory))
			return bad_value("shadow-memory", optarg, "not a size such as 16M");
		return 0;
	case MITIGATIONS:
		options->strict_mitigations = !strcmp(optarg, "strict");
		if (!options->strict_mitigations && strcmp(optarg, "default"))
			return bad_value("mitigations", optarg, "there are 'default' and 'strict'");
		return 0;
	case SYMBOLS:
		options->symbols = optarg;
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

/* What getopt_long() found wrong, in one line that names it. @word: the argument. */
static int bad_option(int result, const char *word)
{
	int name = (int)strcspn(word, "=");

	if (result == ':')
		fprintf(stderr, "pvm: option '%s' needs a value\n", word);
	else if (strncmp(word, "--", 2))
		fprintf(stderr, "pvm: unknown option '-%c': see 'pvm run --help'\n", optopt);
	else if (optopt)
		fprintf(stderr, "pvm: option '%.*s' takes no value\n", name, word);
	else
		fprintf(stderr, "pvm: unknown option '%.*s': see 'pvm run --help'\n", name, word);
	return -1;
}

static int parse_options(struct run_options *options, int argc, char **argv)
{
	int option, index = 1;

	opterr = 0;
	optind = 1;
	while (index = optind,
	       (option = getopt_long(argc, argv, ":b:k:i:d:n:m:s:a:ct:ST:h", long_options, NULL)) != -1) {
		if (option == '?' || option == ':')
			return bad_option(option, argv[option == ':' ? optind - 1 : index]);
		if (take_option(options, option))
			return -1;
		if (options->help)
			return 0;
	}
	if (options->vm.kernel && optind < argc) {
		fprintf(stderr, "pvm: '%s': --kernel is the guest already\n", argv[optind]);
		return -1;
	}
	if (options->vm.initrd && !options->vm.kernel) {
		fprintf(stderr, "pvm: --initrd=%s: it is for a --kernel\n", options->vm.initrd);
		return -1;
	}
	if ((options->vm.disk_count || options->vm.net_count) && !options->vm.kernel) {
		fprintf(stderr, "pvm: --%s: it is for a --kernel\n", options->vm.disk_count ? "disk" : "net");
		return -1;
	}
	if (options->vm.kernel && options->vm.abi_given) {
		fputs("pvm: --abi: a --kernel is a Xen PV guest\n", stderr);
		return -1;
	}
	if (options->vm.kernel)
		return 0;
	if (optind == argc) {
		fputs("pvm: no guest: 'pvm run GUEST.elf', see 'pvm run --help'\n", stderr);
		return -1;
	}
	if (optind + 1 < argc) {
		fprintf(stderr, "pvm: '%s': only one guest can be run\n", argv[optind + 1]);
		return -1;
	}
	options->vm.guest = argv[optind];
	return 0;
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
		   const struct run_options *options, FILE *to)
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
			symbols = symbols_open(options->symbols ? options->symbols : vm->guest);
		looked = true;
		backtrace_guest(to, vm->vcpus[i], symbols);
	}
	symbols_close(symbols);
	if (options->stats)
		monitor_print_stats(vm, to);
}

static void print_report(struct monitor_vm *vm, const struct monitor_result *result,
			 const struct run_options *options)
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

static int run(const struct run_options *options)
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

int run_command(int argc, char **argv)
{
	struct run_options options = {
		.vm = { .console_in = STDIN_FILENO, .console_out = STDOUT_FILENO, .signals = true },
	};
	char abis[GUEST_ABI_LIST_MAX];

	if (parse_options(&options, argc, argv))
		return MONITOR_STATUS_FAILED;
	if (options.help) {
		printf(help, guest_abi_list(abis, sizeof(abis)));
		return 0;
	}
	if (options.symbols && !check_symbols(options.symbols))
		return MONITOR_STATUS_FAILED;
	if (!options.vm.executor)
		options.vm.executor = monitor_executor_default(options.vm.shadow_memory != 0);
	if (!options.vm.executor) {
		fputs("pvm: this build has no backend\n", stderr);
		return MONITOR_STATUS_FAILED;
	}
	if (options.strict_mitigations && set_strict_mitigations())
		return MONITOR_STATUS_FAILED;
	signals_prepare_process();
	backtrace_install_monitor_handlers(console_restore_in_handler);
	return run(&options);
}
