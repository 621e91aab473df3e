/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The main thread of a VM. Everything that is not a vCPU's happens here, so
 * that no signal handler and no timer thread is needed. Must never run guest
 * code, nor wait for a vCPU, but for a moment when the process stops.
 */
#define _GNU_SOURCE
#include "loop.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "clock.h"
#include "pause.h"
#include "platform.h"
#include "run.h"
#include "xen_guest.h"

static int set_timerfd(int fd, uint64_t ns, int flags)
{
	struct itimerspec when = {
		.it_value = clock_timespec(ns),
	};

	return timerfd_settime(fd, flags, &when, NULL);
}

static int open_fds(struct monitor_loop *loop, bool signals)
{
	loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	loop->over_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	loop->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	loop->timeout_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (loop->wake_fd < 0 || loop->over_fd < 0 || loop->timer_fd < 0 || loop->timeout_fd < 0)
		return -1;
	/* What cannot be done now cannot later either. */
	if (set_timerfd(loop->timeout_fd, 0, 0) || poll(NULL, 0, 0) < 0)
		return -1;
	return signals ? signals_open(&loop->signals) : 0;
}

int loop_create(struct monitor_vm *vm, uint64_t timeout, bool signals, char *why, size_t why_size)
{
	struct monitor_loop *loop = calloc(1, sizeof(*loop));
	pthread_condattr_t monotonic;

	if (!loop) {
		snprintf(why, why_size, "no memory for the main loop");
		return -1;
	}
	pthread_mutex_init(&loop->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&loop->came_out, &monotonic);
	pthread_condattr_destroy(&monotonic);
	pthread_cond_init(&loop->resumed, NULL);
	loop->wake_fd = loop->over_fd = loop->timer_fd = loop->timeout_fd = loop->signals.fd = -1;
	loop->timeout = timeout;
	vm->loop = loop;
	if (!open_fds(loop, signals))
		return 0;
	snprintf(why, why_size, "the main loop's file descriptors: %s", strerror(errno));
	loop_destroy(vm);
	return -1;
}

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

void loop_destroy(struct monitor_vm *vm)
{
	struct monitor_loop *loop = vm->loop;

	if (!loop)
		return;
	close_fd(loop->wake_fd);
	close_fd(loop->over_fd);
	close_fd(loop->timer_fd);
	close_fd(loop->timeout_fd);
	signals_close(&loop->signals);
	pthread_mutex_destroy(&loop->lock);
	pthread_cond_destroy(&loop->came_out);
	pthread_cond_destroy(&loop->resumed);
	free(loop);
	vm->loop = NULL;
}

static void raise_fd(int fd)
{
	uint64_t one = 1;

	while (write(fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

void loop_wake(struct monitor_vm *vm)
{
	raise_fd(vm->loop->wake_fd);
}

void loop_set_timer(struct monitor_vm *vm, uint64_t time)
{
	/* 0 would disarm it; a moment long past is as good. */
	uint64_t when = time ? time : 1;

	set_timerfd(vm->loop->timer_fd, time == APIC_NEVER ? 0 : when, TFD_TIMER_ABSTIME);
}

/* ------------------------------------------------------------------------
 * The end.
 */

static void end(struct monitor_vm *vm, const struct monitor_vcpu *vcpu, enum monitor_end how,
		int status, const char *message)
{
	struct monitor_loop *loop = vm->loop;
	uint32_t i;

	pthread_mutex_lock(&loop->lock);
	if (loop->result.end == MONITOR_END_NONE) {
		loop->result = (struct monitor_result){
			.end = how,
			.status = status,
			.by_vcpu = vcpu,
			.vcpu = vcpu ? vcpu->pvm.id : 0,
		};
		snprintf(loop->result.message, sizeof(loop->result.message), "%s", message);
	}
	pthread_mutex_unlock(&loop->lock);
	atomic_store(&vm->over, true);
	raise_fd(loop->over_fd);	/* who waits for the console's reader */
	pause_over(vm);
	for (i = 0; i < vm->vcpu_count; i++)
		run_kick(vm->vcpus[i]);
	loop_wake(vm);
}

void loop_end(struct monitor_vm *vm, const struct monitor_vcpu *vcpu, enum monitor_end how,
	      int status, const char *format, ...)
{
	char message[sizeof(vm->loop->result.message)];
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	end(vm, vcpu, how, status, message);
}

void monitor_vm_stop(struct monitor_vm *vm, enum monitor_end how, int status, const char *message)
{
	end(vm, NULL, how, status, message);
}

/* ------------------------------------------------------------------------
 * Waiting.
 */

static void drain(int fd)
{
	uint64_t count;

	while (read(fd, &count, sizeof(count)) < 0 && errno == EINTR)
		;
}

/* ------------------------------------------------------------------------
 * Stopping the process. A guest that runs in processes of its own would go on: so every
 * vCPU comes out first. One that is held up, as by who reads the trace, runs nothing.
 */

#define STOP_PATIENCE_S	3	/* signals are not read meanwhile */

static void stop_process(struct monitor_vm *vm, int signal)
{
	pause_begin(vm, STOP_PATIENCE_S * CLOCK_NS_PER_S);
	console_suspend(&vm->platform->console);
	signals_stop(&vm->loop->signals, signal);
	console_resume(&vm->platform->console);
	pause_end(vm);
}

/* False: none has come. */
static bool take_signal(struct monitor_vm *vm)
{
	int signal = signals_next(&vm->loop->signals);
	const char *name = sigabbrev_np(signal);
	char number[16];

	if (!signal)
		return false;
	switch (signals_kind(signal)) {
	case SIGNALS_STOP:
		stop_process(vm, signal);
		break;
	case SIGNALS_CONTINUE:
		console_resume(&vm->platform->console);
		break;
	case SIGNALS_END:
		if (signal == SIGPWR && vm->xen && xen_guest_ask_power_off(vm->xen))
			break;
		snprintf(number, sizeof(number), "RT%d", signal);
		loop_end(vm, NULL, MONITOR_END_SIGNAL, MONITOR_STATUS_SIGNAL + signal, "ended by SIG%s",
			 name ? name : number);
		break;
	}
	return true;
}

enum { WAKE, TIMER, TIMEOUT, SIGNAL, INPUT, SOURCES };

void loop_run(struct monitor_vm *vm)
{
	struct monitor_loop *loop = vm->loop;
	struct pollfd fds[SOURCES] = {
		[WAKE] = { .fd = loop->wake_fd, .events = POLLIN },
		[TIMER] = { .fd = loop->timer_fd, .events = POLLIN },
		[TIMEOUT] = { .fd = loop->timeout_fd, .events = POLLIN },
		[SIGNAL] = { .fd = loop->signals.fd, .events = POLLIN },
	};

	if (loop->timeout)
		set_timerfd(loop->timeout_fd, loop->timeout, 0);
	while (!atomic_load(&vm->over)) {
		bool input = platform_wants_input(vm->platform) && !loop->input_ended;
		int wait = console_patience(&vm->platform->console);

		fds[INPUT] = (struct pollfd){ .fd = input ? console_input(&vm->platform->console) : -1,
					      .events = POLLIN };
		if (poll(fds, SOURCES, wait) <= 0)
			continue;
		if (fds[WAKE].revents)
			drain(loop->wake_fd);
		if (fds[TIMER].revents) {
			drain(loop->timer_fd);
			local_apic_bus_tick(&vm->platform->apics);
		}
		if (fds[INPUT].revents && !platform_input(vm->platform))
			loop->input_ended = true;
		if (fds[SIGNAL].revents)
			take_signal(vm);
		if (fds[TIMEOUT].revents)
			loop_end(vm, NULL, MONITOR_END_TIMEOUT, MONITOR_STATUS_TIMEOUT,
				 "timeout: the guest still ran after %.3g s",
				 (double)loop->timeout / 1e9);
	}
	console_suspend(&vm->platform->console);
	signals_close(&loop->signals);
}

bool loop_look(struct monitor_vm *vm)
{
	struct pollfd input = { .events = POLLIN };

	while (!atomic_load(&vm->over) && take_signal(vm))
		;
	input.fd = platform_wants_input(vm->platform) ? console_input(&vm->platform->console) : -1;
	if (!vm->loop->input_ended && poll(&input, 1, 0) > 0 && !platform_input(vm->platform))
		vm->loop->input_ended = true;
	return !atomic_load(&vm->over);
}
