/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The signals of the host that end or stop a monitor: waited for in one place, so
 * that the terminal, the trace and the guest's processes are left in order. Owns which they
 * are. A signal that was ignored when the process started stays ignored (nohup, "&" in a
 * shell without job control).
 */
#ifndef STANDALONE_SIGNALS_H
#define STANDALONE_SIGNALS_H

#include <signal.h>
#include <stdbool.h>

struct signals {
	int fd;			/* signalfd, non-blocking; -1: none */
	sigset_t set;		/* those that are waited for */
	sigset_t saved_mask;
	bool masked;
};

enum signals_kind {
	SIGNALS_END,		/* the VM is to end */
	SIGNALS_STOP,		/* the process is to stop, as by Ctrl-Z */
	SIGNALS_CONTINUE,	/* it was continued, perhaps in the foreground */
};

/* Once, at the start of a process that runs VMs: writing to a pipe without a reader or beyond
 * a file size limit is an error and no death, and ended children are kept for us. */
void signals_prepare_process(void);

/* Block the signals and wait for them at ->fd; threads made from here on inherit that.
 * 0, or -1 with errno. */
int signals_open(struct signals *signals);
/* What is pending, and what comes, has its usual effect again. Same thread. */
void signals_close(struct signals *signals);

/* The next that has come; 0: none. One of the kind SIGNALS_STOP is the next until signals_stop(), unless a
 * SIGCONT takes it back, or one that ends comes. */
int signals_next(struct signals *signals);
enum signals_kind signals_kind(int signal);

/* Stop the process by @signal, which signals_next() has said, until it is continued; but not if one has come
 * that takes it back or ends the VM. The caller's thread has it blocked. */
void signals_stop(const struct signals *signals, int signal);

#endif /* STANDALONE_SIGNALS_H */
