/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * One stub process as the monitor sees it: its birth, its runs, its end. Owns
 * the protocol of order, go and stop. Never decides what to map (the list of commands is
 * space_commands.c's) and never looks at the guest's registers.
 *
 * A stop is believed only when the stop pipe says so with the number of the
 * current run. The guest can not write to the pipe: the seccomp filter lets
 * only the stub's own instruction do it, which leads to the wait for the go
 * event. So a stub that has sent the number executes no guest instruction until
 * space_run() is called again, whatever the guest has written into the shared
 * pages. A number that is not the current one is dropped.
 *
 * The number of a run is sent only after its go was taken: a signal that finds the
 * thread in the wait ends the process (stub.S).
 */
#include "space.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tracer.h"

#define PATIENCE_MS	1000	/* until a process may have been stopped */

/* The next message; 0: the process is gone. */
static uint64_t read_message(struct space *space)
{
	uint64_t message;
	ssize_t n;

	do
		n = read(space->stop, &message, sizeof(message));
	while (n < 0 && errno == EINTR);
	if (n != sizeof(message))
		return 0;
	return message ? message : MESSAGE_REST;	/* a guest's, when nothing was asked yet */
}

/* The next message of the mapper's or with number @turn, 0 being none; 0: the process is
 * gone. A guest may have said a stop of an earlier run twice. */
static uint64_t wait_message(struct space *space, uint64_t turn)
{
	uint64_t message;

	do
		message = read_message(space);
	while (message && message != turn && message < MESSAGE_MAPPER);
	return message;
}

static void say(int event, uint64_t what)
{
	while (write(event, &what, sizeof(what)) < 0 && errno == EINTR)
		;
}

static void post(int event)
{
	say(event, GO_BY_MONITOR);
}

/* The next message, where no kick comes to a stub that SIGSTOP has stopped. */
static uint64_t read_patiently(struct space *space)
{
	struct pollfd pipe = { .fd = space->stop, .events = POLLIN };

	while (poll(&pipe, 1, PATIENCE_MS) == 0)
		pidfd_send_signal(space->pidfd, SIGCONT, NULL, 0);
	return read_message(space);
}

/* Empty an eventfd whose reader has ended. */
static void drain(int go)
{
	struct pollfd event = { .fd = go, .events = POLLIN };
	uint64_t said;

	while (poll(&event, 1, 0) > 0 && read(go, &said, sizeof(said)) > 0)
		;
}

/* A new order. Where the mapper has not seen the last one yet, it sees only this one, and
 * never one of them twice. */
static void give_order(struct space *space, uint64_t flags)
{
	__atomic_store_n(&space->control->order, ++space->orders | flags, __ATOMIC_RELEASE);
	post(space->order);
}

/* Have the mapper carry out the commands, and @then THEN_*. */
static void order(struct space *space, uint32_t then)
{
	space->control->then = then;
	give_order(space, 0);
}

/* Not to be done twice, nor to be read by what runs here next. */
static void commands_done(struct space *space, bool all)
{
	memset(space->control->commands, 0, space->control->count * sizeof(struct stub_command));
	space->control->count = 0;
	space->pvcs = all ? space->pvcs_next : SPACE_PVCS_UNKNOWN;
	if (all) {
		if (space->forget_all)
			space->mapped = 0;
		space->forget_all = false;
		space->forget_count = 0;
	}
}

static enum space_stop look_at_stop(struct space *space)
{
	const struct sigframe *frame = space->frame.frame;

	switch (space->record->reason) {
	case STOP_SIGNAL:
		if (space->record->frame != space->frame.address ||
		    (frame->rip >= STUB_TEXT && frame->rip < STUB_TEXT + STUB_TEXT_SIZE))
			return SPACE_TAMPERED;
		return SPACE_SIGNAL;
	case STOP_KICKED:
		return SPACE_KICKED;
	case STOP_BAD_PEER:
		return space_is_users(space) ? SPACE_TAMPERED : SPACE_BAD_PEER;
	default:
		return SPACE_TAMPERED;
	}
}

/* Let it go, with its commands. */
static void start(struct space *space)
{
	space->control->turn = ++space->turn;
	space->record->reason = 0;	/* of this run there is none yet */
	if (space->control->count)
		order(space, THEN_GO);
	else
		post(space->go);
}

enum space_stop space_run(struct space *space)
{
	bool traced = space->control->enter == ENTER_TRACED;
	uint64_t message;

	start(space);
	if (traced)
		tracer_enter(space);
	message = wait_message(space, space->turn);
	if (!message)
		return SPACE_DEAD;
	if (space->control->count)
		commands_done(space, message == space->turn);
	if (message != space->turn) {
		space->failed_errno = (int)(message - MESSAGE_MAPPER);
		return SPACE_COMMAND_FAILED;
	}
	return look_at_stop(space);
}

/* Ask the guest's thread for a message from its wait. Returns that message: what it says before that is
 * of its run, and read_message() has 0 when it is gone. */
static uint64_t ask(struct space *space)
{
	space->control->rest = MESSAGE_REST + ++space->questions;
	say(space->go, GO_QUERY);
	return space->control->rest;
}

bool space_settle(struct space *space)
{
	uint64_t answer = ask(space), message;

	do
		message = read_patiently(space);
	while (message && message != answer);
	return message;
}

bool space_is_honest(struct space *space)
{
	pidfd_send_signal(space->pidfd, STUB_SIGNAL_KICK, NULL, 0);
	return space_settle(space);
}

/* The mapper's order of this run has led to a go, or never will: what it says then comes after. Returns the
 * message that ends the run, if there was one before, else 0. */
static uint64_t settle_mapper(struct space *space)
{
	uint64_t message, last = 0;

	give_order(space, ORDER_SETTLE);
	for (;;) {
		message = read_patiently(space);
		if (!message || message == MESSAGE_SETTLED)
			break;
		if (message == space->turn || message >= MESSAGE_MAPPER)
			last = message;
	}
	space->is_dead = !message;
	return last;
}

/*
 * The user's stub is dead, as a user program can arrange at any time, also when it has not got
 * the vCPU. Has the supervisor's stub it, or will have it? Then its next message, which is
 * waited for; else 0: it waits, and no go is on its way. @by_mapper: its mapper has the go of this run.
 * N2: nothing that the stub's guest could have written is looked at.
 */
static uint64_t settle(struct space *supervisor, bool by_mapper)
{
	uint64_t answer, message = by_mapper ? settle_mapper(supervisor) : 0, said;

	if (supervisor->is_dead)
		return 0;
	answer = ask(supervisor);
	do {
		said = read_message(supervisor);
		if (said == supervisor->turn)
			message = said;
	} while (said && said != answer);
	supervisor->is_dead = !said;
	return message;
}

/* Which of the two says something of this run; NULL: one is gone, *@dead. */
static struct space *wait_for_pair(struct space *pair[2], uint64_t *message, struct space **dead)
{
	struct pollfd pipes[2] = {
		{ .fd = pair[0]->stop, .events = POLLIN }, { .fd = pair[1]->stop, .events = POLLIN },
	};
	unsigned i;

	for (;;) {
		if (poll(pipes, 2, -1) < 0)
			continue;	/* EINTR */
		for (i = 0; i < 2; i++) {
			if (!pipes[i].revents)
				continue;
			*message = read_message(pair[i]);
			if (!*message) {
				*dead = pair[i];
				return NULL;
			}
			if (*message == pair[i]->turn || *message >= MESSAGE_MAPPER)
				return pair[i];
		}
	}
}

/* M9: both are at rest before others are told so. @other has lost @dead; @entered: it was to begin the run.
 * Returns the message that ends the run in its place. 0: neither goes on, and *@stopped is whose end
 * counts, or, where that is not dead, has the vCPU and has not begun. */
static uint64_t outlive(struct space *dead, struct space *other, bool entered, struct space **stopped)
{
	uint64_t message;

	dead->is_dead = true;
	*stopped = dead;
	if (!space_is_users(dead)) {	/* no kernel, no user program */
		space_kill(other);
		other->is_dead = true;
		return 0;
	}
	message = settle(other, entered && other->control->count);
	/* The kernel's: its end is what counts; and its word for how often it has handed over. */
	if (message || other->is_dead || (entered && other->record->returns == other->record->calls))
		*stopped = other;
	return other->is_dead ? 0 : message;
}

/* A go that is on its way from one to the other is part of the run. */
enum space_stop space_run_pair(struct space *space, struct space *peer, struct space **stopped)
{
	struct space *pair[2] = { space, peer }, *dead = NULL;
	uint64_t message;

	peer->control->turn = ++peer->turn;
	peer->record->reason = 0;
	start(space);
	*stopped = wait_for_pair(pair, &message, &dead);
	if (!*stopped)
		message = outlive(dead, dead == space ? peer : space, dead == peer, stopped);
	if (!message) {
		if (space->control->count)	/* carried out, or not, or some of them */
			space->pvcs = SPACE_PVCS_UNKNOWN;
		return (*stopped)->is_dead ? SPACE_DEAD : SPACE_KICKED;
	}
	if (space->control->count)
		commands_done(space, message < MESSAGE_MAPPER);
	if (message >= MESSAGE_MAPPER) {
		space->failed_errno = (int)(message - MESSAGE_MAPPER);
		return SPACE_COMMAND_FAILED;
	}
	return look_at_stop(*stopped);
}

int space_prepare(struct space *space)
{
	uint64_t message;

	order(space, THEN_TELL);
	do
		message = read_patiently(space);
	while (message && message < MESSAGE_MAPPER);
	if (!message)
		return -ESRCH;
	commands_done(space, message == MESSAGE_MAPPER);
	return -(int)(message - MESSAGE_MAPPER);
}

/* ------------------------------------------------------------------------
 * Ends.
 */

#define SEALED	"the host does not let a process unmap what the kernel put there at its start " \
		"(CONFIG_MSEAL_SYSTEM_MAPPINGS, or a sealed page 0)"

static const char *stage_name(int stage)
{
	static const char *const names[STAGES] = {
		[STAGE_PARENT] = "its parent is gone",
		[STAGE_MAP] = "mmap",
		[STAGE_FDS] = "file descriptors (close_range needs Linux 5.9)",
		[STAGE_SIGNALS] = "signals",
		[STAGE_PKEYS] = "protection keys",
		[STAGE_NO_NEW_PRIVS] = "no_new_privs",
		[STAGE_MAPPER] = "a second thread (ulimit -u, or pids.max of a control group)",
		[STAGE_SECCOMP] = "seccomp filter",
		[STAGE_DISPATCH] = "syscall user dispatch (needs Linux 5.11)",
		[STAGE_ROOM] = SEALED,
		[STAGE_REQUEST] = "requests of the monitor's (recvmsg)",
	};

	return stage >= 0 && stage < STAGES ? names[stage] : NULL;
}

static void describe(const siginfo_t *status, char *text, size_t size)
{
	int value = status->si_status;

	if (status->si_code == CLD_KILLED || status->si_code == CLD_DUMPED)
		snprintf(text, size, "was killed by signal %d (%s)", value, strsignal(value));
	else if (status->si_code == CLD_EXITED && stage_name(value - STUB_EXIT))
		snprintf(text, size, "could not be set up: %s", stage_name(value - STUB_EXIT));
	else if (status->si_code == CLD_EXITED)
		snprintf(text, size, "exited with status %d", value);
	else
		snprintf(text, size, "ended");
}

void space_describe_end(const struct space *space, char *text, size_t size)
{
	describe(&space->status, text, size);
}

bool space_was_ended_by_host(const struct space *space)
{
	if (space->status.si_code != CLD_KILLED && space->status.si_code != CLD_DUMPED)
		return false;
	switch (space->status.si_status) {
	case SIGSEGV:	/* a frame that finds no room */
	case SIGBUS:
	case SIGILL:
	case SIGTRAP:
	case SIGFPE:
	case SIGSYS:
		return false;
	default:
		return true;
	}
}

void space_kill(struct space *space)
{
	siginfo_t status;

	pidfd_send_signal(space->pidfd, SIGKILL, NULL, 0);
	while (waitid(P_PIDFD, (id_t)space->pidfd, &status, WEXITED | WNOWAIT) < 0 && errno == EINTR)
		;
}

void space_destroy(struct space *space)
{
	const int fds[] = { space->pidfd, space->order, space->stop };
	unsigned i;

	if (space->pid > 0)
		space->status = nursery_kill(space->pidfd);
	for (i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	space->pid = 0;
	space->pidfd = space->order = space->stop = -1;
	space->root = PVM_INVALID_ADDR;
}

/* ------------------------------------------------------------------------
 * Beginnings.
 */

static int explain_no_process(const struct nursery *nursery, int error, char *why, size_t why_size)
{
	char end[160];

	if (error == -EPIPE && nursery->status.si_code) {
		describe(&nursery->status, end, sizeof(end));
		snprintf(why, why_size, "native executor: no new stub process: the stubs' zygote %s", end);
	} else {
		snprintf(why, why_size, "native executor: no new stub process: %s", strerror(-error));
	}
	return error;
}

/* The first stop has come. */
static bool learn(struct space *space, uint8_t *shared)
{
	struct stub_record *record = (struct stub_record *)(void *)shared;

	space->mapper = record->mapper;
	return sigframe_learn(&space->frame, shared, record->frame);
}

int space_create(struct space *space, struct nursery *nursery, unsigned slot, int go, int peer, char *why,
		 size_t why_size)
{
	uint8_t *pages = nursery->arena + (size_t)slot * STUB_SLOT_SIZE;
	struct nursery_stub stub;
	char end[160];
	int error;

	*space = SPACE_NONE;
	space->slot = slot;
	space->control = (struct stub_control *)(void *)pages;
	space->handed = (const struct stub_handed *)(void *)(pages + SLOT_HANDED);
	space->record = (struct stub_record *)(void *)(pages + SLOT_SHARED);
	space->go = go;
	drain(go);
	/* No memory for them is no SIGBUS of the monitor. Before Linux 5.14: EINVAL. */
	if (madvise(pages, STUB_SLOT_SIZE, MADV_POPULATE_WRITE) < 0 && errno != EINVAL) {
		snprintf(why, why_size, "native executor: no memory for a stub's pages: %s", strerror(errno));
		return -ENOMEM;
	}
	memset(pages, 0, STUB_SLOT_SIZE);
	/* What the first stop carries: it comes without a go. */
	space->control->turn = ++space->turn;
	error = nursery_clone(nursery, slot, go, peer, &stub);
	if (error)
		return explain_no_process(nursery, error, why, why_size);
	space->pid = stub.pid;
	space->pidfd = stub.pidfd;
	space->order = stub.order;
	space->stop = stub.stop;
	space->forget_all = true;	/* of the zygote itself */
	if (read_patiently(space) != space->turn) {
		space_destroy(space);
		space_describe_end(space, end, sizeof(end));
		snprintf(why, why_size, "native executor: a stub process %s", end);
		return -EPROTO;
	}
	if (!learn(space, pages + SLOT_SHARED)) {
		space_destroy(space);
		snprintf(why, why_size,
			 "native executor: the host's signal frame is not what is expected");
		return -EPROTO;
	}
	return 0;
}

void space_recycle(struct space *space, uint64_t root, const struct space *like)
{
	memset(space->control, 0, STUB_SLOT_SIZE);
	if (!like)
		memset(space->recent, 0, sizeof(space->recent));
	else if (like != space)
		memcpy(space->recent, like->recent, sizeof(space->recent));
	space->forget_all = true;
	space->cold = 2;	/* a new root has links for others only when its first fill is done */
	space->root = root;
}
