/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Programs that the native rows run, and the reference of most of them: two
 * processes that wake each other through pipes. Owns every process it starts.
 */
#ifndef BENCH_PROCESS_H
#define BENCH_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct bench_options;
struct bench_result;

/* A running program with its standard input and output in our hands. */
struct process {
	pid_t pid;
	int in, out;		/* to its stdin, from its stdout and stderr; -1: closed */
	char text[1024];	/* what it has said; the end of it if that was more */
	size_t length;
};

/* False with errno. */
bool process_start(struct process *process, const char *const argv[]);

/* Read until it has said @word or ends, or ten seconds have passed. */
bool process_wait_for(struct process *process, const char *word);

/* Close its input, wait for its end. Returns the exit status; -1: killed. */
int process_finish(struct process *process);

/**
 * process_result - run a program to its end and take the number after "result ".
 * @why: on failure, one line.
 * Returns it, or -1.
 */
double process_result(const char *const argv[], char *why, size_t why_size);

/* As process_result(): the pvm command runs @guest, a file name without .elf, natively. */
double process_guest(const struct bench_options *options, const char *guest, char *why, size_t why_size);

/* Is there a pvm command? If not, @result says so. */
bool process_have_pvm(const struct bench_options *options, struct bench_result *result);

/* Cycles of the median round trip between two processes through two pipes. With
 * @together both run on one CPU, else where the scheduler likes. Negative on failure. */
double process_ping_pong(bool together);

#endif /* BENCH_PROCESS_H */
