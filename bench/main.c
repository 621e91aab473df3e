/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* pvm-bench: the command line. Owns which rows run and the exit status. */
#define _GNU_SOURCE
#include "bench.h"
#include "plot.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <getopt.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_ROUNDS 9

struct command {
	struct bench_options options;
	const char *json, *svg, *filter;
	bool list, check;
};

static void usage(FILE *to)
{
	fprintf(to,
		"Usage: pvm-bench [OPTION...] [FILTER]\n"
		"Measure the engine and the native executor against references of the same run.\n"
		"\n"
		"  FILTER             only rows whose name contains it\n"
		"  --json=FILE        also write the results as JSON\n"
		"  --svg=FILE         also plot the rows that are measured with several sizes of memory\n"
		"  --rounds=N         rounds per row, 1 to %d (default %d); the value is their median\n"
		"  --list             names, units and targets, nothing is run\n"
		"  --check            exit 1 when a target is missed or cannot be measured\n"
		"  --pvm=FILE         the pvm command to run guests with (default: of this build)\n"
		"  --guests=DIR       where the bench guests are (default: of this build)\n"
		"  --help\n"
		"\n"
		"Examples:\n"
		"  pvm-bench                        everything, as a table\n"
		"  pvm-bench --rounds=21 mmu        the MMU, more precisely\n"
		"  pvm-bench attack                 the worst calls that a guest can cause\n"
		"  pvm-bench --svg=scale.svg scale  the MMU with 1 MiB to 16 GiB of guest memory\n"
		"  pvm-bench --json=out.json native what a guest in a process costs\n"
		"\n"
		"The unit pagecopy is one memcpy of 4 KiB. Exit status: 0 when it ran, 1 with --check\n"
		"and a missed target, 2 for a wrong option or an unwritable file.\n",
		BENCH_MAX_ROUNDS, DEFAULT_ROUNDS);
}

/* Returns -1 to go on, else the exit status. */
static int parse(int argc, char **argv, struct command *command)
{
	static const struct option options[] = {
		{ "json", required_argument, NULL, 'j' }, { "svg", required_argument, NULL, 's' },
		{ "rounds", required_argument, NULL, 'r' },
		{ "list", no_argument, NULL, 'l' },	  { "check", no_argument, NULL, 'c' },
		{ "pvm", required_argument, NULL, 'p' },  { "guests", required_argument, NULL, 'g' },
		{ "help", no_argument, NULL, 'h' },	  { NULL, 0, NULL, 0 },
	};
	long rounds;
	char *end;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'j': command->json = optarg; break;
		case 's': command->svg = optarg; break;
		case 'l': command->list = true; break;
		case 'c': command->check = true; break;
		case 'p': command->options.pvm = optarg; break;
		case 'g': command->options.guests = optarg; break;
		case 'h': usage(stdout); return 0;
		case 'r':
			rounds = strtol(optarg, &end, 10);
			if (*end || end == optarg || rounds < 1 || rounds > BENCH_MAX_ROUNDS) {
				fprintf(stderr, "pvm-bench: --rounds=%s: not a number from 1 to %d\n",
					optarg, BENCH_MAX_ROUNDS);
				return 2;
			}
			command->options.rounds = (unsigned)rounds;
			break;
		default: usage(stderr); return 2;
		}
	}
	if (argc - optind > 1) {
		fprintf(stderr, "pvm-bench: one FILTER at most, not \"%s\"\n", argv[optind + 1]);
		return 2;
	}
	command->filter = argv[optind];
	return -1;
}

/* The directory of this program: guests and pvm are found from there. */
static void find_defaults(struct bench_options *options)
{
	static char self[PATH_MAX], pvm[PATH_MAX + 32], guests[PATH_MAX + 32];
	ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
	const char *directory;

	if (length < 0)
		return;
	self[length] = '\0';
	directory = dirname(self);
	snprintf(pvm, sizeof(pvm), "%s/" BENCH_PVM, directory);
	snprintf(guests, sizeof(guests), "%s/guest", directory);
	if (!options->pvm)
		options->pvm = pvm;
	if (!options->guests)
		options->guests = guests;
}

static void list_row(const struct bench_row *row)
{
	printf("%-26s %-12s ", row->name, row->unit);
	if (row->target > 0)
		printf("%6.4g  %s\n", row->target, row->what);
	else
		printf("%6s  %s\n", "-", row->what);
}

static bool run_row(const struct command *command, const struct bench_row *row, cJSON *json)
{
	struct bench_result result = { 0 };
	cJSON *object;

	row->run(&command->options, &result);
	bench_print_row(row, &result);
	bench_plot_add(row, &result);
	object = json ? bench_json_row(row, &result) : NULL;
	if (object)
		cJSON_AddItemToArray(json, object);
	return row->target <= 0 || bench_met(row, &result);
}

/* Runs or lists. Returns the number of rows, and in *missed the missed targets. */
static unsigned run_rows(const struct command *command, cJSON *json, unsigned *missed)
{
	const struct bench_row *const tables[] = {
		bench_engine_rows, bench_attack_rows, bench_scale_rows, bench_native_rows,
		bench_peer_rows };
	const struct bench_row *row;
	unsigned count = 0;
	size_t i;

	for (i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		for (row = tables[i]; row->name; row++) {
			if (command->filter && !strstr(row->name, command->filter))
				continue;
			count++;
			if (command->list)
				list_row(row);
			else if (!run_row(command, row, json))
				++*missed;
		}
	return count;
}

int main(int argc, char **argv)
{
	struct command command = { .options.rounds = DEFAULT_ROUNDS };
	int status = parse(argc, argv, &command);
	unsigned missed = 0;
	cJSON *json;

	if (status >= 0)
		return status;
	find_defaults(&command.options);
	json = cJSON_CreateArray();
	if (!command.list)
		bench_print_header();
	if (run_rows(&command, json, &missed) == 0) {
		fprintf(stderr, "pvm-bench: no row's name contains \"%s\"; see --list\n", command.filter);
		cJSON_Delete(json);
		return 2;
	}
	status = command.check && missed ? 1 : 0;
	if (command.json && !command.list && !bench_json_write(json, command.json)) {
		fprintf(stderr, "pvm-bench: %s: %s\n", command.json, strerror(errno));
		status = 2;
	}
	if (command.svg && !command.list && !bench_plot_write(command.svg)) {
		fprintf(stderr, "pvm-bench: %s: %s\n", command.svg, strerror(errno));
		status = 2;
	}
	cJSON_Delete(json);
	return status;
}
