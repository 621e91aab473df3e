/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * A stub address space: one stub process, the translations mapped into it, and
 * the commands that change them. One vCPU thread owns it.
 */
#ifndef NATIVE_SPACE_H
#define NATIVE_SPACE_H

#include <stdbool.h>
#include <stdint.h>

#include "frame.h"
#include "nursery.h"

/* Ranges to forget before the guest runs here again; more: everything. */
#define SPACE_FORGET_MAX 24

struct space_range {
	uint64_t start, size;	/* bytes */
};

/* What ended a run of the stub. */
enum space_stop {
	SPACE_SIGNAL,		/* the frame says what happened */
	SPACE_COMMAND_FAILED,	/* the guest has not run: see failed_errno */
	SPACE_COMMANDS_DONE,	/* space_prepare(): the guest has not run */
	SPACE_KICKED,		/* the guest has not run, nor perhaps the commands */
	SPACE_TAMPERED,		/* impossible state: kill it */
	SPACE_DEAD,		/* it is gone, but not reaped: space_destroy() */
};

struct space {
	pid_t pid;		/* 0: no process */
	int go, stop;
	unsigned slot;		/* of the arena */
	struct stub_control *control;
	struct stub_record *record;
	struct sigframe_place frame;	/* where its signal frames lie */
	uint64_t turn;
	int status;		/* after space_destroy(): wait status, or -1 */
	int failed_errno;	/* SPACE_COMMAND_FAILED */
	bool heal;		/* for frame_load() */

	uint64_t root;		/* hpa of the shadow root it stands for */
	uint64_t used;		/* for LRU */
	int cpu;		/* that it is bound to, or -1 */

	bool forget_all;
	unsigned forget_count;
	struct space_range forget[SPACE_FORGET_MAX];

	/* What the thread has: changed by ptrace only. */
	uint64_t tls[3];
	uint64_t dr[4], dr7;
};

/**
 * space_create - start the process of an empty space, up to its first stop.
 * @why: one line on failure.
 * Returns 0, or -errno as nursery_clone(); -EPROTO: it could not be set up.
 */
int space_create(struct space *space, struct nursery *nursery, unsigned slot, char *why,
		 size_t why_size);

/* End the process, if there is one, and reap it: its pid means nothing after
 * this, and all translations are gone. */
void space_destroy(struct space *space);

/* Nothing of the former root may be seen under the next: forget everything,
 * and wipe the pages that the guest can read. */
void space_recycle(struct space *space, uint64_t root);

/* Forget the translations of [start, start+size), at the next entry. */
void space_forget(struct space *space, uint64_t start, uint64_t size);

/* Begin a list of commands with what must be forgotten: forgetting comes
 * first, so that no later order of the same commands brings anything back. */
void space_commands_begin(struct space *space);

/* Add a mapping of guest memory. @prot: PROT_*. @pkey: protection key or 0.
 * False: the list is full. */
bool space_command_map(struct space *space, uint64_t start, uint64_t size, int prot,
		       uint64_t offset, bool populate, unsigned pkey);

/* Carry out the commands, and do not run the guest. */
enum space_stop space_prepare(struct space *space);

/* Carry out the commands, run the guest as frame_load() left it, wait for the
 * stop. */
enum space_stop space_run(struct space *space);

/* "killed by signal 9 (Killed)", for messages. */
void space_describe_end(const struct space *space, char *text, size_t size);

#endif /* NATIVE_SPACE_H */
