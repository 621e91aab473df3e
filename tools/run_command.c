/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* pvm run: which guest, and on what. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "guest_abi.h"
#include "guest_run.h"
#include "pvm.h"

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
"  -d, --disk=FILE[,ro][,raw]  a raw file or block device as its next disk, xvda and on;\n"
"                            ro: it is only read; raw: also if it looks like an image\n"
"                            of another format (qcow2, VMDK)\n"
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

enum { SHADOW_MEMORY = GUEST_RUN_OPTIONS_END, ABI };

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
	{ "mitigations", required_argument, NULL, GUEST_RUN_MITIGATIONS },
	{ "symbols", required_argument, NULL, GUEST_RUN_SYMBOLS },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

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

static int take_abi(struct guest_run *options, const char *name)
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

static int take_option(struct guest_run *options, int option)
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
	case 'm':
		if (!parse_size(optarg, &options->vm.memory))
			return guest_run_bad_value("memory", optarg, "not a size such as 64M");
		return 0;
	case 's':
		if (!parse_count(optarg, &options->vm.vcpus) ||
		    options->vm.vcpus > MONITOR_MAX_VCPUS)
			return guest_run_bad_value("smp", optarg, "not a number of vCPUs from 1 to 64");
		return 0;
	case 'a':
		options->vm.command_line = optarg;
		return 0;
	case ABI:
		return take_abi(options, optarg);
	case SHADOW_MEMORY:
		if (!parse_size(optarg, &options->vm.shadow_memory))
			return guest_run_bad_value("shadow-memory", optarg, "not a size such as 16M");
		return 0;
	}
	return guest_run_take_option(options, option);
}

static int parse_options(struct guest_run *options, int argc, char **argv)
{
	int option, index = 1;

	opterr = 0;
	optind = 1;
	while (index = optind,
	       (option = getopt_long(argc, argv, ":b:k:i:d:n:m:s:a:ct:ST:h", long_options, NULL)) != -1) {
		if (option == '?' || option == ':')
			return guest_run_bad_option("run", option, argv[option == ':' ? optind - 1 : index]);
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

int run_command(int argc, char **argv)
{
	struct guest_run options = GUEST_RUN_INIT;
	char abis[GUEST_ABI_LIST_MAX];

	if (parse_options(&options, argc, argv))
		return MONITOR_STATUS_FAILED;
	if (options.help) {
		printf(help, guest_abi_list(abis, sizeof(abis)));
		return 0;
	}
	if (!options.vm.executor)
		options.vm.executor = monitor_executor_default(options.vm.shadow_memory != 0);
	if (!options.vm.executor) {
		fputs("pvm: this build has no backend\n", stderr);
		return MONITOR_STATUS_FAILED;
	}
	return guest_run(&options);
}
