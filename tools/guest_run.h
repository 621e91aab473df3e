/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* What the commands that run a guest have in common: options, a VM, its end in words. */
#ifndef TOOLS_GUEST_RUN_H
#define TOOLS_GUEST_RUN_H

#include <unistd.h>

#include "vm.h"

struct guest_run {
	struct monitor_options vm;
	bool stats;
	bool strict_mitigations;
	bool help;
};

#define GUEST_RUN_INIT { .vm = { .console_in = STDIN_FILENO, .console_out = STDOUT_FILENO, .signals = true } }

/* Options without a letter, for struct option; a command's own are from the last one on. */
enum { GUEST_RUN_MITIGATIONS = 256, GUEST_RUN_SYMBOLS, GUEST_RUN_OPTIONS_END };

/* One of d, n, c, t, S, T, h and those; its value is optarg. 0, or -1 when it was said that it is wrong. */
int guest_run_take_option(struct guest_run *options, int option);

/* "pvm: --OPTION=VALUE: WANT"; -1. */
int guest_run_bad_value(const char *option, const char *value, const char *want);
/* What getopt_long() found wrong, in one line that names it. @word: the argument; -1. */
int guest_run_bad_option(const char *command, int result, const char *word);

/* Run it to its end. Returns the exit status. Leaves no file and no process. */
int guest_run(const struct guest_run *options);

#endif /* TOOLS_GUEST_RUN_H */
