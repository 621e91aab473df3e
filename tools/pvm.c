/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* The pvm command: picks the subcommand. Does nothing itself. */
#include "pvm.h"

#include <stdio.h>
#include <string.h>

#include "vm.h"

static const char help[] =
"Usage: pvm run [OPTION]... GUEST.elf\n"
"       pvm info GUEST.elf\n"
"       pvm --help | --version\n"
"\n"
"Runs a PVM guest, compiled machine code, in an ordinary unprivileged process.\n"
"\n"
"  run                   run a guest; its exit status is pvm's (pvm run --help)\n"
"  info                  say what is in a guest's file and what can run it\n"
"  -h, --help            print this and exit\n"
"  -V, --version         print the version and exit\n"
"\n"
"Examples:\n"
"  pvm run hello.elf\n"
"  pvm run --stats --trace=hello.json --timeout=10 hello.elf\n"
"  pvm info hello.elf\n";

int main(int argc, char **argv)
{
	const char *command = argc > 1 ? argv[1] : "";

	if (!strcmp(command, "run"))
		return run_command(argc - 1, argv + 1);
	if (!strcmp(command, "info"))
		return info_command(argc - 1, argv + 1);
	if (!strcmp(command, "--help") || !strcmp(command, "-h")) {
		fputs(help, stdout);
		return 0;
	}
	if (!strcmp(command, "--version") || !strcmp(command, "-V")) {
		printf("pvm %s\n", pvm_version());
		return 0;
	}
	if (!*command)
		fputs("pvm: no command: 'pvm run GUEST.elf' runs a guest, 'pvm --help' says more\n",
		      stderr);
	else
		fprintf(stderr, "pvm: unknown %s '%s': see 'pvm --help'\n",
			command[0] == '-' ? "option" : "command", command);
	return MONITOR_STATUS_FAILED;
}
