/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The pvm command: picks the subcommand. Owns the standard streams at the two
 * ends of a run; does nothing else itself.
 */
#define _GNU_SOURCE
#include "output.h"
#include "pvm.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <unistd.h>

#include "vm.h"

#define STACK_MIN	(64u << 10)	/* bytes; twice of what a run takes */

static const char help[] =
"Usage: pvm run [OPTION]... GUEST.elf\n"
"       pvm save [--continue [--exec=COMMAND]] PID FILE\n"
"       pvm restore [OPTION]... FILE\n"
"       pvm info FILE\n"
"       pvm --help | --version\n"
"\n"
"Runs a PVM guest, compiled machine code, in an ordinary unprivileged process, or on\n"
"/dev/kvm where the module kvm-pvm is loaded.\n"
"\n"
"  run                   run a guest; its exit status is pvm's (pvm run --help)\n"
"  save                  write the guest of a running pvm into a file\n"
"  restore               go on with it\n"
"  info                  say what is in a guest's file and what can run it\n"
"  -h, --help            print this and exit\n"
"  -V, --version         print the version and exit\n"
"\n"
"Examples:\n"
"  pvm run hello.elf\n"
"  pvm run --stats --trace=hello.json --timeout=10 hello.elf\n"
"  pvm info hello.elf\n";

/*
 * A stream that the caller closed must not become the number of the next file
 * that we open: the console would be written into the guest's memory. Standard
 * input ends at once then; writing to standard output fails.
 */
static bool fill_closed_streams(void)
{
	int fd;

	for (fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (fcntl(fd, F_GETFD) >= 0 || errno != EBADF)
			continue;
		if (open("/dev/null", fd == STDERR_FILENO ? O_WRONLY : O_RDONLY) != fd) {
			output_say("pvm: a closed standard stream, and /dev/null cannot be opened: %s\n", strerror(errno));
			return false;
		}
	}
	return true;
}

/* @status, unless what was printed did not arrive. */
static int finish(int status)
{
	bool failed;

	errno = 0;
	failed = fflush(stdout) || ferror(stdout);
	if (!failed || status)
		return status;
	output_say("pvm: cannot write standard output: %s\n", strerror(errno ? errno : EIO));
	return MONITOR_STATUS_FAILED;
}

/* Of the stack's limit: what lies above, arguments and environment. */
static size_t stack_taken(void)
{
	const char *end = NULL;
	char **entry;

	for (entry = environ; *entry; entry++)
		if (*entry > end)
			end = *entry;
	return end ? (size_t)(end + strlen(end) - (const char *)__builtin_frame_address(0)) : 0;
}

/* As decimal digits that end at @end. */
static char *put_number(char *end, size_t number)
{
	do
		*--end = (char)('0' + number % 10);
	while (number /= 10);
	return end;
}

/* Without what prints: that takes much of a stack itself. @has, @wanted: bytes. */
static void say_stack_is_small(size_t has, size_t wanted)
{
	static char digits[2][24];
	const char *parts[] = {
		"pvm: a stack of ", put_number(digits[0] + 23, has >> 10), " KiB: at least ",
		put_number(digits[1] + 23, (wanted + 1023) >> 10),
		" are needed with this environment, see 'ulimit -s'\n",
	};
	struct pollfd fd = { .fd = STDERR_FILENO, .events = POLLOUT };
	struct iovec line[5];
	unsigned i;

	for (i = 0; i < 5; i++)
		line[i] = (struct iovec){ .iov_base = (char *)parts[i], .iov_len = strlen(parts[i]) };
	if (poll(&fd, 1, OUTPUT_PATIENCE_MS) > 0)
		(void)!writev(STDERR_FILENO, line, 5);
}

/* A stack that ends amid a call is a SIGSEGV without a word. Before anything that takes much of it. */
static bool has_stack(void)
{
	size_t wanted = STACK_MIN + stack_taken();
	struct rlimit limit;

	if (getrlimit(RLIMIT_STACK, &limit) || limit.rlim_cur >= wanted)
		return true;
	say_stack_is_small(limit.rlim_cur, wanted);
	return false;
}

int main(int argc, char **argv)
{
	const char *command = argc > 1 ? argv[1] : "";

	if (!fill_closed_streams() || !has_stack())
		return MONITOR_STATUS_FAILED;
	if (!strcmp(command, "run"))
		return finish(run_command(argc - 1, argv + 1));
	if (!strcmp(command, "save"))
		return finish(save_command(argc - 1, argv + 1));
	if (!strcmp(command, "restore"))
		return finish(restore_command(argc - 1, argv + 1));
	if (!strcmp(command, "info"))
		return finish(info_command(argc - 1, argv + 1));
	if (!strcmp(command, "--help") || !strcmp(command, "-h")) {
		fputs(help, stdout);
		return finish(0);
	}
	if (!strcmp(command, "--version") || !strcmp(command, "-V")) {
		printf("pvm %s\n", pvm_version());
		return finish(0);
	}
	if (!*command)
		fputs("pvm: no command: 'pvm run GUEST.elf' runs a guest, 'pvm --help' says more\n",
		      stderr);
	else
		fprintf(stderr, "pvm: unknown %s '%s': see 'pvm --help'\n",
			command[0] == '-' ? "option" : "command", command);
	return MONITOR_STATUS_FAILED;
}
