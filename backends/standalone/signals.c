/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Which signals a monitor waits for: all whose default is to end or to stop a process, but
 * for those that tell of a fault in it (monitor_backtrace.c) and those that become
 * errors of write().
 */
#define _GNU_SOURCE
#include "signals.h"

#include <errno.h>
#include <sys/signalfd.h>
#include <unistd.h>

static const int ending[] = {
	SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGALRM, SIGVTALRM, SIGPROF, SIGUSR1, SIGUSR2, SIGPOLL, SIGPWR,
	SIGSTKFLT, SIGXCPU,
};
static const int stopping[] = { SIGTSTP, SIGTTIN, SIGTTOU };

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

void signals_prepare_process(void)
{
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	signal(SIGCHLD, SIG_DFL);
}

static void add(sigset_t *set, int signal)
{
	struct sigaction action;

	if (sigaction(signal, NULL, &action) == 0 && action.sa_handler != SIG_IGN)
		sigaddset(set, signal);
}

int signals_open(struct signals *signals)
{
	sigset_t *set = &signals->set;
	unsigned i;
	int number;

	sigemptyset(set);
	for (i = 0; i < COUNT(ending); i++)
		add(set, ending[i]);
	for (i = 0; i < COUNT(stopping); i++)
		add(set, stopping[i]);
	for (number = SIGRTMIN; number <= SIGRTMAX; number++)
		add(set, number);
	sigaddset(set, SIGCONT);
	signals->fd = signalfd(-1, set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (signals->fd < 0)
		return -1;
	errno = pthread_sigmask(SIG_BLOCK, set, &signals->saved_mask);
	signals->masked = !errno;
	return signals->masked ? 0 : -1;
}

/* The next is taken; 0: there is none. */
static int take(const struct signals *signals)
{
	struct signalfd_siginfo info;
	ssize_t n;

	do
		n = read(signals->fd, &info, sizeof(info));
	while (n < 0 && errno == EINTR);
	return n == sizeof(info) ? (int)info.ssi_signo : 0;
}

/* What has come is heard: the VM is over. What comes from here on ends the process at once. */
void signals_close(struct signals *signals)
{
	while (signals->fd >= 0 && take(signals))
		;
	if (signals->masked)
		pthread_sigmask(SIG_SETMASK, &signals->saved_mask, NULL);
	signals->masked = false;
	if (signals->fd >= 0)
		close(signals->fd);
	signals->fd = -1;
}

enum signals_kind signals_kind(int signal)
{
	unsigned i;

	if (signal == SIGCONT)
		return SIGNALS_CONTINUE;
	for (i = 0; i < COUNT(stopping); i++)
		if (signal == stopping[i])
			return SIGNALS_STOP;
	return SIGNALS_END;
}

/* The first of this kind that has come and is not taken; 0: there is none. */
static int waiting(const struct signals *signals, enum signals_kind kind)
{
	sigset_t pending;
	int number;

	sigpending(&pending);
	for (number = 1; number <= SIGRTMAX; number++)
		if (sigismember(&pending, number) == 1 && sigismember(&signals->set, number) == 1 &&
		    signals_kind(number) == kind)
			return number;
	return 0;
}

/* One that stops goes on waiting: a SIGCONT that comes before the process stops takes it back then, which is
 * Linux's work. */
int signals_next(struct signals *signals)
{
	int stop = waiting(signals, SIGNALS_STOP);

	return stop && !waiting(signals, SIGNALS_END) ? stop : take(signals);
}

/* Linux lets it pass where no shell could ever continue the process. */
void signals_stop(const struct signals *signals, int signal)
{
	sigset_t set;

	if (waiting(signals, SIGNALS_END))
		return;
	sigemptyset(&set);
	sigaddset(&set, signal);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
}
