/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * A stub address space: one stub process, the translations mapped into it, and
 * the commands that change them. One vCPU thread owns it.
 */
#ifndef NATIVE_SPACE_H
#define NATIVE_SPACE_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "frame.h"
#include "nursery.h"

/* Ranges to forget before the guest runs here again; more: everything. */
#define SPACE_FORGET_MAX 24

/* Stretches of 2 MiB that are known to have a page table, by a hash. */
#define SPACE_REGIONS 64

/* Faults that are remembered, to be filled at once when everything had to be forgotten. */
#define SPACE_RECENT 16

struct space_range {
	uint64_t start, size;	/* bytes */
};

/* What ended a run of the stub. */
enum space_stop {
	SPACE_SIGNAL,		/* the frame says what happened */
	SPACE_KICKED,		/* a signal came before the guest ran: nothing has happened */
	SPACE_BAD_PEER,		/* of a supervisor's: the user's has handed over what no honest one does */
	SPACE_COMMAND_FAILED,	/* the guest has not run: see failed_errno */
	SPACE_TAMPERED,		/* the guest has damaged the stub: space_kill() */
	SPACE_DEAD,		/* it is gone, but not reaped: space_destroy() */
};

struct space {
	pid_t pid;		/* of the guest's thread; 0: no process */
	pid_t mapper;		/* the other thread */
	int pidfd;
	int go;			/* the pool's: it outlives the process */
	int order, stop;
	unsigned slot;		/* of the arena: even: for supervisor mode; the next one is its peer */
	struct stub_control *control;
	const struct stub_handed *handed;	/* a user's: written by the supervisor's stub */
	struct stub_record *record;	/* the guest can write there: believe nothing */
	struct sigframe_place frame;	/* where its signal frames lie */
	uint64_t turn;
	uint64_t orders;	/* given to the mapper */
	uint64_t questions;	/* space_settle() */
	siginfo_t status;	/* after space_destroy(): as nursery_kill() says */
	int failed_errno;	/* SPACE_COMMAND_FAILED */

	/* A supervisor's: what is mapped at STUB_PVCS, and will be after the commands; an offset in guest
	 * memory, PVM_INVALID_ADDR: nothing, or SPACE_PVCS_UNKNOWN. */
	uint64_t pvcs, pvcs_next;
	bool is_dead;		/* its process has ended, and is not reaped */

	uint64_t root;		/* hpa of the shadow root it stands for */
	uint64_t used;		/* the pool's clock when it was last */
	uint64_t mapped;	/* 4 KiB pages mapped since it was empty: what it costs to fill again */
	/* Bytes that the host has for what is mapped, at most, about: page tables and list entries. */
	uint64_t cost, charged;	/* of that, what the pool has counted */
	bool empties;		/* it costs too much: everything is forgotten before the next commands */
	uint64_t regions[SPACE_REGIONS];	/* numbers, plus one */
	int cpu;		/* that it is bound to, or -1 */
	uint64_t recent[SPACE_RECENT];	/* pages whose faults were filled last; 0: none */
	unsigned recent_next;
	unsigned cold;		/* entries left at which these are filled */

	bool forget_all;
	unsigned forget_count;
	struct space_range forget[SPACE_FORGET_MAX];

	/* What the guest's thread has: changed by ptrace only. */
	uint64_t tls[3];
	uint64_t dr[4], dr7;
};

#define SPACE_PVCS_UNKNOWN	(PVM_INVALID_ADDR - 1)

/* One without a process. */
#define SPACE_NONE ((struct space){ \
	.pidfd = -1, .go = -1, .order = -1, .stop = -1, .cpu = -1, .root = PVM_INVALID_ADDR, \
	.pvcs = PVM_INVALID_ADDR, .pvcs_next = PVM_INVALID_ADDR, \
})

static inline bool space_is_users(const struct space *space)
{
	return space->slot % 2;
}

/**
 * space_create - start the process of an empty space, up to its first stop.
 * @go, @peer: as nursery_clone() has them. No other stub or thread writes to @go during the call.
 * @why: one line on failure.
 * Returns 0, or -errno as nursery_clone(); -EPROTO: it could not be set up.
 */
int space_create(struct space *space, struct nursery *nursery, unsigned slot, int go, int peer, char *why,
		 size_t why_size);

/* End the process, before others are told that it has stopped: it may have a go that
 * it has not taken. To be reaped by space_destroy(). */
void space_kill(struct space *space);

/* End the process, if there is one, and reap it: no signal reaches it after this,
 * and all translations are gone. */
void space_destroy(struct space *space);

/* Its thread has stopped: whatever else was said to its go is void from here on. False: it is gone. */
bool space_settle(struct space *space);

/* The same for one that a user program had, and another will have: does its thread wait as honest code does,
 * with signals blocked? It gets a kick, and is ended by that if not: false. */
bool space_is_honest(struct space *space);

/* After space_destroy(): was it a signal that no guest can bring about, as of the
 * host's out-of-memory killer, of a limit or of an operator? */
bool space_was_ended_by_host(const struct space *space);

/* Nothing of the former root may be seen under the next: forget everything,
 * and wipe the pages that the guest can read. @like: one whose faults the next may have as well, or NULL. */
void space_recycle(struct space *space, uint64_t root, const struct space *like);

/* Forget the translations of [start, start+size), at the next entry. */
void space_forget(struct space *space, uint64_t start, uint64_t size);

/* What is mapped or forgotten next may lie amid what one command has mapped: the host has one more entry. */
void space_splits_mapping(struct space *space);

/* The process has no translations at all: it costs nothing. */
void space_costs_nothing(struct space *space);

/* Begin a list of commands with what must be forgotten. */
void space_commands_begin(struct space *space);

/* Add a mapping of guest memory. @prot: PROT_*. @pkey: protection key or 0.
 * False: the list is full. */
bool space_command_map(struct space *space, uint64_t start, uint64_t size, int prot,
		       uint64_t offset, bool populate, unsigned pkey);

/* Do the commands take so long that nobody should have to wait for a kick or a
 * flush meanwhile? Then space_prepare() before gate_enter(). */
bool space_commands_are_long(const struct space *space);

/* Carry out the commands, and do not run the guest. 0, -errno of one that the
 * host refused, or -ESRCH when the stub is gone. */
int space_prepare(struct space *space);
/* What @error of space_prepare() means, for a line to the user. */
const char *space_refusal(int error);

/* Carry out the commands, run the guest as frame_load() left it, wait for the
 * stop. */
enum space_stop space_run(struct space *space);

/* The same with @peer, the other stub of the pair: the two hand the vCPU over to each other as
 * handover_arm() has allowed. *@stopped is the one that has it in the end. Either may have is_dead then: of
 * a user's stub that says nothing of who has the vCPU. */
enum space_stop space_run_pair(struct space *space, struct space *peer, struct space **stopped);

/* Map the page of guest memory at @offset as the PVCS, with the commands; PVM_INVALID_ADDR: nothing is
 * there (M9). False: the list is full. */
bool space_command_pvcs(struct space *space, uint64_t offset);

/* "killed by signal 9 (Killed)", for messages. After space_destroy(). */
void space_describe_end(const struct space *space, char *text, size_t size);

#endif /* NATIVE_SPACE_H */
