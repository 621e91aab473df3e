/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * A running guest into a file: monitor_vm_save(). First the vCPUs stand still, then the threads of the
 * devices; then all is written, flushed and synchronised, and only then it is decided whether the guest ends
 * here. In whatever other case it goes on, later than it was, and as if nothing else had been.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <pvm/xen_state.h>

#include "description.h"
#include "clock.h"
#include "saved_file.h"
#include "../loop.h"
#include "../pause.h"
#include "../platform.h"
#include "../xen/xen_disk.h"
#include "../xen/xen_guest.h"

#define PATIENCE_S	10	/* for what is under way */
#define TRIES		200	/* for vCPUs that cannot be saved where they are */
#define MOMENT_MS	5	/* for which they run on then */
#define PIECE		(1u << 20)	/* bytes of memory in a section */

struct save {
	struct monitor_vm *vm;
	const struct monitor_save_client *client;
	struct saved_writer *writer;
	char *why;
	size_t why_size;
};

static bool should_stop(void *opaque)
{
	struct save *save = opaque;

	return atomic_load(&save->vm->over) || save->client->is_gone(save->client->opaque);
}

/* ------------------------------------------------------------------------
 * What it is.
 */

static void describe(const struct monitor_vm *vm, struct saved_description *to)
{
	const struct monitor_options *options = monitor_vm_options(vm);
	const struct pvm_vm_config *config = &vm->pvm.config;

	to->kernel = options->guest;
	to->command_line = options->command_line ? options->command_line : "";
	to->memory = vm->memory.size;
	to->vcpus = vm->vcpu_count;
	to->net_count = options->net_count;
	memcpy(to->nets, options->nets, sizeof(to->nets));
	to->cpuid_count = config->cpuid_count < SAVED_CPUID_MAX ? config->cpuid_count : SAVED_CPUID_MAX;
	memcpy(to->cpuid, config->cpuid, to->cpuid_count * sizeof(*to->cpuid));
}

static int describe_disks(const struct save *save, struct saved_description *to)
{
	const struct monitor_options *options = monitor_vm_options(save->vm);
	unsigned i;

	to->disk_count = options->disk_count;
	for (i = 0; i < options->disk_count; i++) {
		const struct xen_disk *disk = xen_guest_disk(save->vm->xen, i);

		to->disks[i] = (struct saved_disk){
			.path = xen_disk_name(disk, save->why, save->why_size),
			.bytes = xen_disk_bytes(disk),
			.read_only = options->disks[i].read_only,
		};
		if (!to->disks[i].path)
			return -1;
		xen_disk_written(disk, to->disks[i].written);
	}
	return 0;
}

/* NULL with the line. */
static char *make_description(const struct save *save)
{
	struct saved_description *description = calloc(1, sizeof(*description));
	char *text = NULL;

	snprintf(save->why, save->why_size, "cannot describe it: no memory, or a name that is no text");
	if (description) {
		describe(save->vm, description);
		if (!describe_disks(save, description))
			text = saved_description_print(description);
	}
	free(description);
	return text;
}

/* ------------------------------------------------------------------------
 * Its parts. All rests.
 */

static int write_section(struct save *save, enum saved_kind kind, uint64_t index, const void *bytes,
			 uint64_t length)
{
	const struct saved_section section = { kind, index, length };

	return saved_write(save->writer, &section, bytes, save->why, save->why_size);
}

static int write_vm(struct save *save)
{
	const struct executor_saving_ops *saving = save->vm->executor->saving;
	struct pvm_xen_vm_state *state = calloc(1, sizeof(*state));
	int error = -1;

	if (!state)
		snprintf(save->why, save->why_size, "no memory to save it");
	else if (!saving->xen_save(save->vm, EXECUTOR_XEN_VM, 0, state, sizeof(*state), save->why,
				   save->why_size))
		error = write_section(save, SAVED_VM, 0, state, sizeof(*state));
	free(state);
	return error;
}

/* vCPUs that are as they were when it was found that they can be saved. */
static int write_vcpu(struct save *save, uint32_t id, void *registers)
{
	const struct executor_saving_ops *saving = save->vm->executor->saving;
	struct pvm_xen_vcpu_state state;

	if (saving->vcpu_save(save->vm->vcpus[id], registers, save->why, save->why_size) ||
	    saving->xen_save(save->vm, EXECUTOR_XEN_VCPU, id, &state, sizeof(state), save->why,
			     save->why_size) ||
	    write_section(save, SAVED_REGISTERS, id, registers, saving->vcpu_bytes))
		return -1;
	return write_section(save, SAVED_VCPU, id, &state, sizeof(state));
}

static int write_vcpus(struct save *save)
{
	void *registers = malloc(save->vm->executor->saving->vcpu_bytes);
	uint32_t i;
	int error = 0;

	if (!registers) {
		snprintf(save->why, save->why_size, "no memory to save it");
		return -1;
	}
	for (i = 0; i < save->vm->vcpu_count && !error; i++)
		error = write_vcpu(save, i, registers);
	free(registers);
	return error;
}

static int write_tables(struct save *save)
{
	uint64_t pages = save->vm->memory.size / PVM_PAGE_SIZE, size = (pages + 63) / 64 * sizeof(uint64_t);
	uint64_t *words = malloc(size);
	int error = -1;

	if (!words)
		snprintf(save->why, save->why_size, "no memory to save it");
	else if (!save->vm->executor->saving->xen_save(save->vm, EXECUTOR_XEN_TABLES, 0, words, size,
						       save->why, save->why_size))
		error = write_section(save, SAVED_TABLES, 0, words, size);
	free(words);
	return error;
}

static int write_devices(struct save *save)
{
	struct xen_record record = { .bytes = malloc(XEN_GUEST_RECORD_MAX), .size = XEN_GUEST_RECORD_MAX };
	int error = -1;

	if (record.bytes) {
		platform_save(save->vm->platform, &record);
		xen_guest_save(save->vm->xen, &record);
	}
	if (!record.bytes || record.is_bad)
		snprintf(save->why, save->why_size, "no memory to save its devices");
	else
		error = write_section(save, SAVED_DEVICES, 0, record.bytes, record.at);
	free(record.bytes);
	return error;
}

static bool is_zero(const uint8_t *page)
{
	return !page[0] && !memcmp(page, page + 1, PVM_PAGE_SIZE - 1);
}

/* The pages that are not zero, in pieces. One that the guest never touched costs nothing: what is read there
 * is the host's one page of zeros (GUEST_MEMORY_PRIVATE). */
static int write_memory(struct save *save)
{
	const uint8_t *memory = save->vm->memory.va;
	uint64_t at = 0, end = save->vm->memory.size;

	while (at < end) {
		uint64_t first = at;

		while (at < end && at - first < PIECE && !is_zero(memory + at))
			at += PVM_PAGE_SIZE;
		if (at > first &&
		    write_section(save, SAVED_MEMORY, first / PVM_PAGE_SIZE, memory + first, at - first))
			return -1;
		while (at < end && at - first < PIECE && is_zero(memory + at))
			at += PVM_PAGE_SIZE;
		if (should_stop(save)) {
			snprintf(save->why, save->why_size, "given up");
			return -1;
		}
	}
	return 0;
}

static int write_all(struct save *save, int fd)
{
	char *description;
	int error = -1;

	/* First: where the host writes late it sets the files' times then. */
	if (xen_guest_flush(save->vm->xen, save->why, save->why_size))
		return -1;
	description = make_description(save);
	if (!description)
		return -1;
	save->writer = saved_writer_create(fd, description, should_stop, save, save->why, save->why_size);
	if (save->writer && !write_vm(save) && !write_vcpus(save) && !write_tables(save) &&
	    !write_devices(save) && !write_memory(save))
		error = saved_write_end(save->writer, save->why, save->why_size);
	saved_writer_destroy(save->writer);
	free(description);
	if (error)
		return -1;
	if (fsync(fd) == 0)
		return 0;
	snprintf(save->why, save->why_size, "cannot write: %s", strerror(errno));
	return -1;
}

/* ------------------------------------------------------------------------
 * Standing still.
 */

/* 0; EXECUTOR_AGAIN: a vCPU cannot be saved where it is; -1. */
static int try_vcpus(struct save *save)
{
	const struct executor_saving_ops *saving = save->vm->executor->saving;
	struct pvm_xen_vcpu_state state;
	uint32_t i;
	int rc = 0;

	for (i = 0; i < save->vm->vcpu_count && !rc; i++)
		rc = saving->xen_save(save->vm, EXECUTOR_XEN_VCPU, i, &state, sizeof(state), save->why,
				      save->why_size);
	return rc;
}

/* Console input that came meanwhile is held, and nothing but a wake-up has the main thread look at it. */
static void go_on(struct monitor_vm *vm)
{
	pause_end(vm);
	loop_wake(vm);
}

/* A pause in which each vCPU can be saved. */
static int stop_vcpus(struct save *save)
{
	struct monitor_vm *vm = save->vm;
	unsigned tries;

	for (tries = 0; tries < TRIES && !should_stop(save); tries++) {
		struct monitor_vcpu *busy;
		int rc = -1;

		pause_begin(vm, PATIENCE_S * CLOCK_NS_PER_S);
		busy = pause_complete(vm, PATIENCE_S * CLOCK_NS_PER_S);
		if (busy)
			snprintf(save->why, save->why_size,
				 "vCPU %u does not come to rest: who reads its console%s takes nothing",
				 busy->pvm.id, vm->trace ? " or its trace" : "");
		else
			rc = try_vcpus(save);
		if (!rc)
			return 0;
		go_on(vm);
		if (rc < 0)
			return -1;
		poll(NULL, 0, MOMENT_MS);
	}
	if (should_stop(save))
		snprintf(save->why, save->why_size, "given up");
	return -1;
}

static int check(const struct monitor_vm *vm, char *why, size_t why_size)
{
	if (vm->xen && vm->executor->saving)
		return 0;
	snprintf(why, why_size, "only guests of --kernel can be saved");
	return -1;
}

int monitor_vm_save(struct monitor_vm *vm, int fd, bool goes_on, const struct monitor_save_client *client,
		    char *why, size_t why_size)
{
	struct save save = { .vm = vm, .client = client, .why = why, .why_size = why_size };
	bool done = false;

	if (check(vm, why, why_size) || stop_vcpus(&save))
		return -1;
	if (!xen_guest_rest(vm->xen, PATIENCE_S)) {
		snprintf(why, why_size, "a disk or a network of its host does not come to rest");
	} else {
		done = !write_all(&save, fd);
		if (done && (should_stop(&save) || !client->commit(client->opaque))) {
			done = false;
			snprintf(why, why_size, "given up");
		}
		if (done && goes_on && client->hold)
			client->hold(client->opaque);
		if (done && !goes_on)
			loop_end(vm, NULL, MONITOR_END_SAVED, 0, "saved: 'pvm restore' goes on with it");
		xen_guest_go_on(vm->xen, done && !goes_on);
	}
	go_on(vm);
	return done ? 0 : -1;
}
