/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * As pause.h says. A vCPU sets inside, then reads paused; pause_begin() sets paused, then reads inside. So
 * either the vCPU waits, or pause_begin() waits for it.
 */
#define _GNU_SOURCE
#include "pause.h"

#include <time.h>

#include "clock.h"
#include "loop.h"
#include "run.h"

bool pause_may_enter(struct monitor_vcpu *vcpu)
{
	atomic_store(&vcpu->inside, true);
	if (!atomic_load(&vcpu->vm->loop->paused) && !atomic_load(&vcpu->vm->over))
		return true;
	pause_leave(vcpu);
	return false;
}

void pause_wait(struct monitor_vcpu *vcpu)
{
	struct monitor_loop *loop = vcpu->vm->loop;

	pthread_mutex_lock(&loop->lock);
	vcpu->rests = true;
	pthread_cond_broadcast(&loop->came_out);
	while (atomic_load(&loop->paused) && !atomic_load(&vcpu->vm->over))
		pthread_cond_wait(&loop->resumed, &loop->lock);
	vcpu->rests = false;
	pthread_mutex_unlock(&loop->lock);
}

bool pause_enter(struct monitor_vcpu *vcpu)
{
	while (!pause_may_enter(vcpu)) {
		if (atomic_load(&vcpu->vm->over))
			return false;
		pause_wait(vcpu);
	}
	return true;
}

void pause_leave(struct monitor_vcpu *vcpu)
{
	struct monitor_loop *loop = vcpu->vm->loop;

	atomic_store(&vcpu->inside, false);
	if (atomic_load(&loop->paused)) {
		pthread_mutex_lock(&loop->lock);
		pthread_cond_broadcast(&loop->came_out);
		pthread_mutex_unlock(&loop->lock);
	}
}

void pause_begin(struct monitor_vm *vm, uint64_t ns)
{
	struct monitor_loop *loop = vm->loop;
	struct timespec ts = clock_timespec(clock_now() + ns);
	uint32_t i;
	int error = 0;

	atomic_fetch_add(&loop->paused, 1);
	for (i = 0; i < vm->vcpu_count; i++)
		run_kick(vm->vcpus[i]);
	pthread_mutex_lock(&loop->lock);
	for (i = 0; i < vm->vcpu_count; i++)
		while (atomic_load(&vm->vcpus[i]->inside) && !atomic_load(&vm->over) && !error)
			error = pthread_cond_timedwait(&loop->came_out, &loop->lock, &ts);
	pthread_mutex_unlock(&loop->lock);
}

void pause_end(struct monitor_vm *vm)
{
	struct monitor_loop *loop = vm->loop;

	pthread_mutex_lock(&loop->lock);
	atomic_fetch_sub(&loop->paused, 1);
	pthread_cond_broadcast(&loop->resumed);
	pthread_mutex_unlock(&loop->lock);
}

struct monitor_vcpu *pause_complete(struct monitor_vm *vm, uint64_t ns)
{
	struct monitor_loop *loop = vm->loop;
	uint64_t until = clock_now() + ns;
	struct timespec ts = clock_timespec(until);
	struct monitor_vcpu *first = NULL;
	uint32_t i;
	int error = 0;

	pthread_mutex_lock(&loop->lock);
	for (i = 0; i < vm->vcpu_count && !first; i++) {
		while (!vm->vcpus[i]->rests && !error && !atomic_load(&vm->over))
			error = pthread_cond_timedwait(&loop->came_out, &loop->lock, &ts);
		if (!vm->vcpus[i]->rests)
			first = vm->vcpus[i];
	}
	pthread_mutex_unlock(&loop->lock);
	return first;
}

void pause_over(struct monitor_vm *vm)
{
	struct monitor_loop *loop = vm->loop;

	pthread_mutex_lock(&loop->lock);
	pthread_cond_broadcast(&loop->resumed);
	pthread_cond_broadcast(&loop->came_out);
	pthread_mutex_unlock(&loop->lock);
}
