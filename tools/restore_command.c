/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* pvm restore: a guest goes on from the file into which it was saved. */
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "devices.h"
#include "guest_run.h"
#include "output.h"
#include "pvm.h"
#include "saved/restore.h"

static const char help[] =
"Usage: pvm restore [OPTION]... FILE\n"
"\n"
"Goes on with a guest that 'pvm save' wrote into FILE; that needs /dev/kvm of\n"
"kvm-pvm.ko. From then on it is a guest as 'pvm run' has it, and can be saved again.\n"
"Its disks have to be as they were when it was saved: an image that was written since\n"
"is refused, unless --disk names it. TCP connections through --net=user are lost.\n"
"FILE stays: who goes on with it twice needs the disks twice.\n"
"Disks and networks of the host are the guest's as FILE says: of a file from others,\n"
"see 'pvm info FILE' first, or name them here.\n"
"\n"
"  -d, --disk=FILE[,ro][,raw]  in place of the saved disks, each in its order; as large\n"
"  -n, --net=NET             in place of the saved networks, each in its order\n"
"  -c, --console             all keys of the terminal are the guest's, Ctrl-C as well;\n"
"                            Ctrl-A x ends the guest, Ctrl-A Ctrl-A is Ctrl-A\n"
"  -t, --trace=FILE          write a trace that the Perfetto viewer opens\n"
"  -S, --stats               print exit counts and memory to standard error at the end\n"
"  -T, --timeout=SEC         end the guest after that many seconds, with status 124\n"
"      --symbols=FILE        the guest's ELF file with symbols, or a System.map, for the\n"
"                            names in what is printed when it has died\n"
"      --mitigations=LEVEL   strict or default, as 'pvm run --help' says\n"
"  -h, --help                print this and exit\n"
"\n"
"Exit status: as of 'pvm run'; 125 also when FILE is no saved guest, or one that cannot\n"
"go on here.\n"
"\n"
"Examples:\n"
"  pvm restore guest.pvm\n"
"  pvm restore --console --disk=copy.img guest.pvm\n";

static const struct option long_options[] = {
	{ "disk", required_argument, NULL, 'd' },
	{ "net", required_argument, NULL, 'n' },
	{ "console", no_argument, NULL, 'c' },
	{ "trace", required_argument, NULL, 't' },
	{ "stats", no_argument, NULL, 'S' },
	{ "timeout", required_argument, NULL, 'T' },
	{ "mitigations", required_argument, NULL, GUEST_RUN_MITIGATIONS },
	{ "symbols", required_argument, NULL, GUEST_RUN_SYMBOLS },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static int parse_options(struct guest_run *options, const char **path, int argc, char **argv)
{
	int option, index = 1;

	opterr = 0;
	optind = 1;
	while (index = optind, (option = getopt_long(argc, argv, ":d:n:ct:ST:h", long_options, NULL)) != -1) {
		if (option == '?' || option == ':')
			return guest_run_bad_option("restore", option,
						    argv[option == ':' ? optind - 1 : index]);
		if (guest_run_take_option(options, option))
			return -1;
		if (options->help)
			return 0;
	}
	if (optind + 1 != argc) {
		fputs("pvm: restore wants one file: 'pvm restore FILE', see 'pvm restore --help'\n", stderr);
		return -1;
	}
	*path = argv[optind];
	return 0;
}

/* What the guest gets of the host because the file says so, and not who calls. */
static void say_what_it_gets(const struct saved_description *saved, bool disks, bool nets)
{
	char net[128];
	unsigned i;

	for (i = 0; disks && i < saved->disk_count; i++)
		output_say("pvm: as the file says: disk %s%s\n", saved->disks[i].path,
			   saved->disks[i].read_only ? ", only read" : "");
	for (i = 0; nets && i < saved->net_count; i++) {
		print_net(&saved->nets[i], net, sizeof(net));
		output_say("pvm: as the file says: network %s\n", net);
	}
}

static int restore(struct guest_run *options, struct saved_reader *reader,
		   struct saved_description *description)
{
	const char *path = saved_reader_path(reader), *wrong;
	char why[PATH_MAX + 512];
	const char *text;
	size_t length;
	bool disks = !options->vm.disk_count, nets = !options->vm.net_count;
	int status = MONITOR_STATUS_FAILED;

	text = saved_reader_text(reader, &length);
	wrong = saved_description_parse(description, text, length);
	if (wrong) {
		saved_damaged(reader, wrong, why, sizeof(why));
		output_say("pvm: %s\n", why);
		return status;
	}
	options->vm.saved = reader;
	if (saved_options(description, path, &options->vm, why, sizeof(why))) {
		output_say("pvm: %s\n", why);
	} else {
		say_what_it_gets(description, disks, nets);
		status = guest_run(options);
	}
	saved_description_close(description);
	return status;
}

int restore_command(int argc, char **argv)
{
	static struct saved_description description;
	struct guest_run options = GUEST_RUN_INIT;
	struct saved_reader *reader;
	char why[PATH_MAX + 512];
	const char *path = "";
	int status;

	if (parse_options(&options, &path, argc, argv))
		return MONITOR_STATUS_FAILED;
	if (options.help) {
		fputs(help, stdout);
		return 0;
	}
	options.vm.executor = monitor_executor("kvm");
	if (!options.vm.executor) {
		fputs("pvm: this build cannot go on with guests: it does not have the backend kvm\n", stderr);
		return MONITOR_STATUS_FAILED;
	}
	reader = saved_reader_open(path, why, sizeof(why));
	if (!reader) {
		output_say("pvm: %s\n", why);
		return MONITOR_STATUS_FAILED;
	}
	status = restore(&options, reader, &description);
	saved_reader_close(reader);
	return status;
}
