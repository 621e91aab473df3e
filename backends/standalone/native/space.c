/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * One stub process as the monitor sees it: its birth, its runs, its commands,
 * its end. Owns the protocol of go and stop. Never decides what to map and
 * never looks at the guest's registers.
 *
 * A stop is believed only when the stop pipe says so with the number of the
 * current run. The guest can not write to the pipe: the seccomp filter lets
 * only the stub's own instruction do it, which then waits for the go event. So
 * a stub that has sent the number executes no guest instruction until space_run()
 * is called again, whatever the guest has written into the shared pages. A
 * number sent twice (a signal in the middle of a forged stop) is old by the
 * next run and dropped.
 */
#include "space.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Wait for this run's stop message. False: the process is gone. */
static bool wait_stop(struct space *space)
{
	uint64_t turn;
	ssize_t n;

	for (;;) {
		n = read(space->stop, &turn, sizeof(turn));
		if (n < 0 && errno == EINTR)
			continue;
		if (n != sizeof(turn))
			return false;
		if (turn == space->turn)
			return true;
	}
}

static bool say_go(struct space *space)
{
	ssize_t n;

	space->control->turn = ++space->turn;
	do
		n = write(space->go, &space->turn, sizeof(space->turn));
	while (n < 0 && errno == EINTR);
	return n == sizeof(space->turn);
}

enum space_stop space_run(struct space *space)
{
	uint32_t reason;

	if (!say_go(space) || !wait_stop(space))
		return SPACE_DEAD;
	/* Nothing stale may be repeated by a guest that jumps into the stub. */
	space->control->count = 0;
	reason = space->record->reason;
	space->heal = reason != STOP_SIGNAL;
	if (reason == STOP_SIGNAL || reason == STOP_COMMANDS_DONE) {
		space->forget_all = false;
		space->forget_count = 0;
	}
	switch (reason) {
	case STOP_SIGNAL:
		return space->record->frame == space->frame.address ? SPACE_SIGNAL : SPACE_TAMPERED;
	case STOP_COMMAND:
		space->failed_errno = (int)-space->record->result;
		return SPACE_COMMAND_FAILED;
	case STOP_KICKED:
		return SPACE_KICKED;
	case STOP_COMMANDS_DONE:
		return space->control->enter == ENTER_NOT ? SPACE_COMMANDS_DONE : SPACE_TAMPERED;
	default:
		return SPACE_TAMPERED;
	}
}

enum space_stop space_prepare(struct space *space)
{
	space->control->enter = ENTER_NOT;
	return space_run(space);
}

static const char *stage_name(int stage)
{
	static const char *const names[STAGES] = {
		[STAGE_PARENT] = "its parent is gone",
		[STAGE_MAP] = "mmap",
		[STAGE_FDS] = "file descriptors (close_range needs Linux 5.9)",
		[STAGE_SIGNALS] = "signals",
		[STAGE_PKEYS] = "protection keys",
		[STAGE_NO_NEW_PRIVS] = "no_new_privs",
		[STAGE_SECCOMP] = "seccomp filter",
		[STAGE_DISPATCH] = "syscall user dispatch (needs Linux 5.11)",
	};

	return stage >= 0 && stage < STAGES ? names[stage] : NULL;
}

void space_describe_end(const struct space *space, char *text, size_t size)
{
	int status = space->status;

	if (status == -1)
		snprintf(text, size, "ended");
	else if (WIFSIGNALED(status))
		snprintf(text, size, "killed by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
	else if (stage_name(WEXITSTATUS(status) - STUB_EXIT))
		snprintf(text, size, "could not be set up: %s", stage_name(WEXITSTATUS(status) - STUB_EXIT));
	else
		snprintf(text, size, "exited with status %d", WEXITSTATUS(status));
}

int space_create(struct space *space, struct nursery *nursery, unsigned slot, char *why,
		 size_t why_size)
{
	uint8_t *pages = nursery->arena + (size_t)slot * STUB_SLOT_SIZE;
	struct nursery_stub stub;
	char end[96];
	int error;

	*space = (struct space){ .go = -1, .stop = -1, .slot = slot, .cpu = -1 };
	space->control = (struct stub_control *)(void *)pages;
	space->record = (struct stub_record *)(void *)(pages + 4096);
	memset(pages, 0, STUB_SLOT_SIZE);
	error = nursery_clone(nursery, slot, &stub);
	if (error) {
		snprintf(why, why_size, "native executor: no new stub process: %s", strerror(-error));
		return error;
	}
	space->pid = stub.pid;
	space->go = stub.go;
	space->stop = stub.stop;
	space->root = PVM_INVALID_ADDR;
	space->forget_all = true;	/* of the zygote itself */
	space->heal = true;
	if (!wait_stop(space)) {
		space_destroy(space);
		space_describe_end(space, end, sizeof(end));
		snprintf(why, why_size, "native executor: a stub process %s", end);
		return -EPROTO;
	}
	if (!sigframe_learn(&space->frame, pages + 4096, space->record->frame)) {
		space_destroy(space);
		snprintf(why, why_size,
			 "native executor: the host's signal frame is not what is expected");
		return -EPROTO;
	}
	space->control->frame = space->frame.address + 8;
	return 0;
}

void space_destroy(struct space *space)
{
	if (space->pid > 0)
		space->status = child_kill(space->pid);
	if (space->go >= 0)
		close(space->go);
	if (space->stop >= 0)
		close(space->stop);
	space->pid = 0;
	space->go = -1;
	space->stop = -1;
	space->root = PVM_INVALID_ADDR;
}

void space_recycle(struct space *space, uint64_t root)
{
	memset(space->record, 0, STUB_SHARED_SIZE);
	space->forget_all = true;
	space->root = root;
}

void space_forget(struct space *space, uint64_t start, uint64_t size)
{
	if (start >= STUB_REGION || space->forget_all)
		return;
	if (space->forget_count == SPACE_FORGET_MAX) {
		space->forget_all = true;
		return;
	}
	if (size > STUB_REGION - start)
		size = STUB_REGION - start;
	space->forget[space->forget_count++] = (struct space_range){ start, size };
}

static struct stub_command *next_command(struct space *space)
{
	struct stub_control *control = space->control;
	struct stub_command *command;

	if (control->count == STUB_COMMANDS)
		return NULL;
	command = &control->commands[control->count++];
	memset(command, 0, sizeof(*command));
	return command;
}

static void command_unmap(struct space *space, uint64_t start, uint64_t size)
{
	struct stub_command *command = next_command(space);

	command->nr = SYS_munmap;
	command->arg[0] = start;
	command->arg[1] = size;
}

void space_commands_begin(struct space *space)
{
	unsigned i;

	space->control->count = 0;
	if (space->forget_all)
		command_unmap(space, 0, STUB_REGION);
	for (i = 0; !space->forget_all && i < space->forget_count; i++)
		command_unmap(space, space->forget[i].start, space->forget[i].size);
}

bool space_command_map(struct space *space, uint64_t start, uint64_t size, int prot,
		       uint64_t offset, bool populate, unsigned pkey)
{
	struct stub_command *command;

	if (space->control->count + 2 > STUB_COMMANDS)
		return false;
	command = next_command(space);
	command->nr = SYS_mmap;
	command->arg[0] = start;
	command->arg[1] = size;
	command->arg[2] = (uint64_t)prot;
	command->arg[3] = MAP_SHARED | MAP_FIXED | (populate ? MAP_POPULATE : 0);
	command->arg[4] = STUB_FD_GUEST;
	command->arg[5] = offset;
	if (pkey) {
		command = next_command(space);
		command->nr = SYS_pkey_mprotect;
		command->arg[0] = start;
		command->arg[1] = size;
		command->arg[2] = (uint64_t)prot;
		command->arg[3] = pkey;
	}
	return true;
}
