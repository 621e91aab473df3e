/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * A whole VM as a library call: what `pvm run`, the tests and the benchmarks
 * use. One VM is made, run once, asked about, and destroyed.
 */
#ifndef STANDALONE_VM_H
#define STANDALONE_VM_H

#include <stdio.h>

#include "monitor.h"

#define MONITOR_MAX_VCPUS	64
#define MONITOR_MEMORY_DEFAULT	(64ull << 20)
#define MONITOR_MEMORY_KERNEL	(512ull << 20)

/* Exit statuses that are the monitor's and not the guest's. */
#define MONITOR_STATUS_TIMEOUT	124
#define MONITOR_STATUS_FAILED	125	/* bad input, or the monitor could not go on */
#define MONITOR_STATUS_DIED	126	/* the guest died: triple fault and the like */
#define MONITOR_STATUS_SIGNAL	128	/* plus the signal's number */

#define MONITOR_DISKS_MAX	16
#define MONITOR_NETS_MAX	4

struct monitor_disk {
	const char *path;		/* a file or a block device, raw */
	bool read_only;
	bool raw;			/* also if it looks like an image of another format */
	const char *written;		/* the time it has to have, of a guest that goes on; NULL: any */
};

struct monitor_net {
	const char *tap;		/* name of a tap device; NULL: a user-mode network, and of that: */
	uint16_t forward_from;		/* TCP port of 127.0.0.1 that is the guest's forward_to; 0: none */
	uint16_t forward_to;
	bool loopback;			/* the guest may reach the host's 127.0.0.1, as 10.0.2.2 */
};

struct saved_description;
struct saved_reader;

struct monitor_options {
	const char *guest;		/* path of the ELF file, or of a kernel */
	bool kernel;			/* it is a distribution's kernel, to be run as a Xen PV guest */
	const char *initrd;		/* path of its initial RAM disk; NULL: none */
	struct saved_reader *saved;	/* a guest that is to go on, as saved_options() says; NULL: none */
	const struct saved_description *description;	/* and what it is */
	struct monitor_disk disks[MONITOR_DISKS_MAX];	/* of a kernel's: xvda and on */
	unsigned disk_count;
	struct monitor_net nets[MONITOR_NETS_MAX];	/* and its network cards: eth0 and on */
	unsigned net_count;
	const struct executor_ops *executor;
	uint64_t memory;		/* bytes; 0: MONITOR_MEMORY_DEFAULT, _KERNEL for a kernel */
	bool abi_given;			/* else what the guest's ELF note says, or dual CR3 */
	enum pvm_abi abi;
	uint64_t shadow_memory;		/* bytes for the engine; 0: SHADOW_MEMORY_DEFAULT */
	uint32_t vcpus;			/* 1..MONITOR_MAX_VCPUS; 0: one */
	const char *command_line;	/* NULL: empty */
	const char *trace;		/* path of the trace to write; NULL: none */
	const char *symbols;		/* path of what names the guest's code; NULL: the guest */
	uint64_t timeout;		/* nanoseconds; 0: none */
	int console_in;			/* fd, or -1 */
	int console_out;		/* fd, or -1: what the guest prints is dropped */
	bool console_keys;		/* every key of a terminal is the guest's; Ctrl-A x ends the VM */
	bool signals;			/* signals.h: they end the VM, or stop it */
	bool count_events;		/* fill monitor_vcpu::events, for statistics */
};

/* How a VM ended. */
enum monitor_end {
	MONITOR_END_NONE,	/* it has not */
	MONITOR_END_EXIT,	/* the guest wrote to the debug-exit port */
	MONITOR_END_DIED,	/* triple fault, no memory there, killed its stub */
	MONITOR_END_TIMEOUT,
	MONITOR_END_SIGNAL,
	MONITOR_END_FAILED,	/* the monitor could not go on */
	MONITOR_END_SAVED,	/* it is to go on from a file */
};

struct monitor_result {
	enum monitor_end end;
	int status;		/* for exit(): the guest's, or MONITOR_STATUS_* */
	bool by_vcpu;		/* what a vCPU did ended it, and it was: */
	uint32_t vcpu;
	char message[320];	/* one line without the newline; "" for an exit with status 0 */
};

/* The executor with that name in this build, or NULL. */
const struct executor_ops *monitor_executor(const char *name);

/* The name of the @index'th executor of this build, or NULL after the last. */
const char *monitor_executor_name(unsigned index);

/* The executor for a user who names none: the first of this build that is available, and
 * that can limit shadow memory where @limits_shadow_memory. NULL: there is none. */
const struct executor_ops *monitor_executor_default(bool limits_shadow_memory);

/**
 * monitor_vm_create - read the guest, make its memory, vCPUs and devices.
 * @options: copied where needed; the strings must outlive the VM.
 * Returns NULL with one line in @why when anything is out of order. A signal or a key may have ended it
 * already: monitor_vm_run() says so then.
 */
struct monitor_vm *monitor_vm_create(const struct monitor_options *options, char *why,
				     size_t why_size);

/**
 * monitor_vm_run - run the guest to its end, in this thread and one per vCPU.
 * @result: how it ended. When this returns no other thread and no stub is left.
 */
void monitor_vm_run(struct monitor_vm *vm, struct monitor_result *result);

/* Any thread: end a running VM; the first reason given wins. */
void monitor_vm_stop(struct monitor_vm *vm, enum monitor_end end, int status, const char *message);

/* Those that the VM was made with. */
const struct monitor_options *monitor_vm_options(const struct monitor_vm *vm);

/* Who wants a guest saved; any thread. */
struct monitor_save_client {
	/* Asked now and then: is the file of no use any more? */
	bool (*is_gone)(void *opaque);
	/* Once the file is whole: tell the client so. False: it cannot be told, and the guest goes on. */
	bool (*commit)(void *opaque);
	/* After that, of a guest that goes on: it stands still until this returns. NULL: no longer. */
	void (*hold)(void *opaque);
	void *opaque;
};

/**
 * monitor_vm_save - write a running guest into an empty file, which is synchronised then. saved/save.c
 * @fd: stays the caller's. @goes_on: the guest does; else the VM ends as the file is whole.
 * The guest stands still meanwhile. Returns 0, or -1 with one line in @why, and the guest goes on.
 */
int monitor_vm_save(struct monitor_vm *vm, int fd, bool goes_on, const struct monitor_save_client *client,
		    char *why, size_t why_size);

/* Also finishes the trace. Returns 0, or -1 with one line in @why (a full disk). */
int monitor_vm_destroy(struct monitor_vm *vm, char *why, size_t why_size);

/* Exits by reason, hypercalls by name, events, MMU work, memory. After the run. report.c */
void monitor_print_stats(struct monitor_vm *vm, FILE *to);

/* A line of that table; none for a @count of 0. For executors that print their own. */
void monitor_print_row(FILE *to, const char *name, uint64_t count);

#endif /* STANDALONE_VM_H */
