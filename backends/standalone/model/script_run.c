/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* The loop over a script's lines: whose turn it is, stopping and going on, and
 * events that come between two lines. It must never decide what a command does. */
#include "script.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* How long a line waits for an event or for its vCPU, seconds. */
#define PATIENCE 10

const char *script_event_name(const struct model_event *event, char *buf, size_t size)
{
	if (event->vector == PVM_VEC_PF)
		snprintf(buf, size, "#PF code %#x at %#lx", event->error_code, (unsigned long)event->cr2);
	else if (event->vector < PVM_VEC_EXCEPTIONS)
		snprintf(buf, size, "%s code %#x", pvm_vector_name(event->vector), event->error_code);
	else
		snprintf(buf, size, "interrupt %#x", event->vector);
	return buf;
}

static void fail_exit(struct script *s, struct pvm_guest_exit *exit)
{
	memset(exit, 0, sizeof(*exit));
	executor_fail(exit, PVM_EXIT_FAILED, "%s", s->message);
}

/* What the engine did since the guest stopped. */
static void look_for_event(struct script_vcpu *v)
{
	if (model_event_find(v->vcpu, &v->place, &v->event))
		v->event_pending = true;
	v->halted = false;
}

/* Wait for a turn, a kick or an event. False: nothing came in time. */
static bool wait_some(struct script *s, struct timespec *until)
{
	return pthread_cond_timedwait(&s->turn, &s->lock, until) != ETIMEDOUT;
}

static struct timespec patience(void)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += PATIENCE;
	return until;
}

static void advance(struct script *s)
{
	s->next++;
	pthread_cond_broadcast(&s->turn);
}

static enum script_result run_line(struct script_vcpu *v, const struct script_line *line,
				   struct pvm_guest_exit *exit)
{
	bool looks = !strcmp(line->word[0], "expect") || !strcmp(line->word[0], "vcpu");
	char name[64];

	/* An event that is not expected belongs to the line before. */
	if (v->event_pending && !v->phase && !looks)
		return script_fail(v->script, line - 1, "\"%s\": unexpected %s", line[-1].word[0],
				   script_event_name(&v->event, name, sizeof(name)));
	return line->command->run(v, line, exit);
}

/* One line of this vCPU, or a part of it. True: the guest has stopped. */
static bool run_one(struct script_vcpu *v, struct pvm_guest_exit *exit, struct timespec *until)
{
	struct script *s = v->script;
	const struct script_line *line = &s->line[s->next];
	enum script_result result = run_line(v, line, exit);

	switch (result) {
	case SCRIPT_NEXT:
		v->phase = 0;
		advance(s);
		*until = patience();
		return false;
	case SCRIPT_LEAVE:
		v->phase = 0;
		advance(s);
		return true;
	case SCRIPT_EXIT:
		return true;
	case SCRIPT_WAIT:
		if (v->kicked || wait_some(s, until))
			return false;
		script_fail(s, line, "\"%s\": waited %d seconds for an event that did not come",
			    line->word[0], PATIENCE);
		break;
	case SCRIPT_FAIL:
		break;
	}
	s->failed = true;
	pthread_cond_broadcast(&s->turn);
	fail_exit(s, exit);
	return true;
}

/* "vcpu" is a line for any vCPU: the one that had the turn may be halted. */
static bool my_turn(const struct script_vcpu *v)
{
	const struct script *s = v->script;

	return s->next < s->lines &&
	       (s->current == v->vcpu->id || !strcmp(s->line[s->next].word[0], "vcpu"));
}

void script_run(struct script_vcpu *v, struct pvm_guest_exit *exit)
{
	struct script *s = v->script;
	struct timespec until = patience();
	bool stopped = false;

	pthread_mutex_lock(&s->lock);
	look_for_event(v);
	while (!stopped) {
		if (s->failed) {
			fail_exit(s, exit);
			stopped = true;
		} else if (v->kicked) {
			v->kicked = false;
			memset(exit, 0, sizeof(*exit));
			exit->kind = PVM_EXIT_KICK;
			stopped = true;
		} else if (!my_turn(v)) {
			wait_some(s, &until);
			until = patience();
		} else {
			stopped = run_one(v, exit, &until);
		}
	}
	v->place = model_place(v->vcpu);
	pthread_mutex_unlock(&s->lock);
}

void script_kick(struct script_vcpu *v)
{
	pthread_mutex_lock(&v->script->lock);
	v->kicked = true;
	pthread_cond_broadcast(&v->script->turn);
	pthread_mutex_unlock(&v->script->lock);
}
