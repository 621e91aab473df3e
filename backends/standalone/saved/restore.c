/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* As restore.h says. Guest memory is read to where it belongs, everything else is kept until the file's end.
 */
#include "restore.h"

#include <stdlib.h>
#include <string.h>

#include <pvm/xen_state.h>

#include "../loop.h"
#include "../platform.h"
#include "../xen/xen_disk.h"
#include "../xen/xen_guest.h"

#define PIECE	(1u << 20)	/* bytes of memory between two looks at what is to end it */

/* What is not memory. */
struct parts {
	struct pvm_xen_vm_state vm;
	uint8_t *registers;		/* one vCPU's after the other */
	struct pvm_xen_vcpu_state *vcpus;
	uint64_t *tables;
	uint64_t tables_size;		/* bytes */
	struct xen_record devices;
};

/* ------------------------------------------------------------------------
 * Options.
 */

static int wrong(const char *path, char *why, size_t why_size, const char *format, unsigned given,
		 unsigned had)
{
	size_t length;

	snprintf(why, why_size, "%s: ", path);
	length = strlen(why);
	snprintf(why + length, why_size - length, format, given, had);
	return -1;
}

static int take_disks(const struct saved_description *description, const char *path,
		      struct monitor_options *options, char *why, size_t why_size)
{
	bool replaced = options->disk_count;
	unsigned i;

	if (replaced && options->disk_count != description->disk_count)
		return wrong(path, why, why_size, "--disk is given %u times, and the guest has %u disks",
			     options->disk_count, description->disk_count);
	options->disk_count = description->disk_count;
	for (i = 0; i < description->disk_count; i++) {
		const struct saved_disk *saved = &description->disks[i];
		struct monitor_disk *disk = &options->disks[i];

		if (!replaced) {
			disk->path = saved->path;
			disk->raw = true;	/* the guest may have written anything */
			disk->written = *saved->written ? saved->written : NULL;
		}
		if (replaced && disk->read_only && !saved->read_only)
			return wrong(path, why, why_size,
				     "the %u. --disk cannot be 'ro': the guest writes it", i + 1, 0);
		disk->read_only = saved->read_only;
	}
	return 0;
}

static int take_nets(const struct saved_description *description, const char *path,
		     struct monitor_options *options, char *why, size_t why_size)
{
	if (options->net_count && options->net_count != description->net_count)
		return wrong(path, why, why_size,
			     "--net is given %u times, and the guest has %u network cards",
			     options->net_count, description->net_count);
	if (!options->net_count)
		memcpy(options->nets, description->nets, sizeof(options->nets));
	options->net_count = description->net_count;
	return 0;
}

int saved_options(const struct saved_description *description, const char *path,
		  struct monitor_options *options, char *why, size_t why_size)
{
	options->description = description;
	options->kernel = true;
	options->guest = description->kernel;
	options->command_line = description->command_line;
	options->memory = description->memory;
	options->vcpus = description->vcpus;
	if (take_disks(description, path, options, why, why_size))
		return -1;
	return take_nets(description, path, options, why, why_size);
}

/* ------------------------------------------------------------------------
 * The file.
 */

/* The next section is this one, with @size bytes. */
static int read_exactly(struct saved_reader *reader, enum saved_kind kind, uint64_t index, void *to,
			uint64_t size, char *why, size_t why_size)
{
	struct saved_section section;

	if (saved_read_section(reader, &section, why, why_size))
		return -1;
	if (section.kind != kind || section.index != index)
		return saved_damaged(reader, "its sections are not in order", why, why_size);
	if (section.length != size)
		return saved_damaged(reader, "a section has another length than here", why, why_size);
	return saved_read(reader, to, size, why, why_size);
}

static int read_devices(struct saved_reader *reader, struct xen_record *devices, char *why, size_t why_size)
{
	struct saved_section section;

	if (saved_read_section(reader, &section, why, why_size))
		return -1;
	if (section.kind != SAVED_DEVICES || section.index || section.length > XEN_GUEST_RECORD_MAX)
		return saved_damaged(reader, "its sections are not in order", why, why_size);
	devices->size = (uint32_t)section.length;
	return saved_read(reader, devices->bytes, section.length, why, why_size);
}

/* Gibibytes may take minutes. */
static int read_pages(struct monitor_vm *vm, struct saved_reader *reader, uint8_t *to, uint64_t size,
		      char *why, size_t why_size)
{
	uint64_t piece;

	for (; size; size -= piece, to += piece) {
		piece = size < PIECE ? size : PIECE;
		if (!loop_look(vm)) {
			snprintf(why, why_size, "%s: interrupted", saved_reader_path(reader));
			return -1;
		}
		if (saved_read(reader, to, piece, why, why_size))
			return -1;
	}
	return 0;
}

/* Up to SAVED_END. Pages come in order: none comes twice. */
static int read_memory(struct monitor_vm *vm, struct saved_reader *reader, char *why, size_t why_size)
{
	uint64_t pages = vm->memory.size / PVM_PAGE_SIZE, next = 0;
	struct saved_section section;

	for (;;) {
		if (saved_read_section(reader, &section, why, why_size))
			return -1;
		if (section.kind == SAVED_END)
			return saved_read_end(reader, why, why_size);
		if (section.kind != SAVED_MEMORY || section.index < next || section.index >= pages ||
		    !section.length || section.length % PVM_PAGE_SIZE ||
		    section.length / PVM_PAGE_SIZE > pages - section.index)
			return saved_damaged(reader, "it has memory that is none", why, why_size);
		next = section.index + section.length / PVM_PAGE_SIZE;
		if (read_pages(vm, reader, vm->memory.va + section.index * PVM_PAGE_SIZE, section.length, why,
			       why_size))
			return -1;
	}
}

static int read_all(struct monitor_vm *vm, struct saved_reader *reader, struct parts *parts, char *why,
		    size_t why_size)
{
	uint32_t bytes = vm->executor->saving->vcpu_bytes, i;

	if (read_exactly(reader, SAVED_VM, 0, &parts->vm, sizeof(parts->vm), why, why_size))
		return -1;
	for (i = 0; i < vm->vcpu_count; i++) {
		if (read_exactly(reader, SAVED_REGISTERS, i, parts->registers + (size_t)i * bytes, bytes, why,
				 why_size) ||
		    read_exactly(reader, SAVED_VCPU, i, &parts->vcpus[i], sizeof(parts->vcpus[i]), why,
				 why_size))
			return -1;
	}
	if (read_exactly(reader, SAVED_TABLES, 0, parts->tables, parts->tables_size, why, why_size) ||
	    read_devices(reader, &parts->devices, why, why_size))
		return -1;
	return read_memory(vm, reader, why, why_size);
}

/* ------------------------------------------------------------------------
 * The VM.
 */

static int use(struct monitor_vm *vm, struct parts *parts, char *why, size_t why_size)
{
	const struct executor_saving_ops *saving = vm->executor->saving;
	uint32_t i;

	for (i = 0; i < vm->vcpu_count; i++) {
		if (saving->vcpu_restore(vm->vcpus[i], parts->registers + (size_t)i * saving->vcpu_bytes, why,
					 why_size))
			return -1;
	}
	if (saving->xen_restore(vm, EXECUTOR_XEN_VM, 0, &parts->vm, sizeof(parts->vm), why, why_size))
		return -1;
	for (i = 0; i < vm->vcpu_count; i++) {
		if (saving->xen_restore(vm, EXECUTOR_XEN_VCPU, i, &parts->vcpus[i], sizeof(parts->vcpus[i]),
					why, why_size))
			return -1;
	}
	if (saving->xen_restore(vm, EXECUTOR_XEN_TABLES, 0, parts->tables, parts->tables_size, why, why_size))
		return -1;
	if (!platform_restore(vm->platform, &parts->devices)) {
		snprintf(why, why_size, "damaged: its serial port");
		return -1;
	}
	return xen_guest_restore(vm, &parts->devices, why, why_size);
}

/* A guest knows how large its disks are, and has in memory what is on them: another's write destroys them. */
static int check_disk(const struct xen_disk *disk, const struct monitor_disk *given, uint64_t had,
		      const char *path, char *why, size_t why_size)
{
	uint64_t has = xen_disk_bytes(disk);
	char written[XEN_DISK_TIME];

	if (had != has) {
		snprintf(why, why_size, "%s: disk %s has %llu bytes, and the guest's has %llu", path,
			 given->path, (unsigned long long)has, (unsigned long long)had);
		return -1;
	}
	xen_disk_written(disk, written);
	if (!given->written || !strcmp(given->written, written))
		return 0;
	snprintf(why, why_size,
		 "%s: disk %s is not as it was when the guest was saved: name a copy of that moment by --disk=, or this one if it is none the less right",
		 path, given->path);
	return -1;
}

static int check_disks(const struct monitor_vm *vm, const char *path, char *why, size_t why_size)
{
	const struct monitor_options *options = monitor_vm_options(vm);
	unsigned i;

	for (i = 0; i < options->disk_count; i++) {
		if (check_disk(xen_guest_disk(vm->xen, i), &options->disks[i],
			       options->description->disks[i].bytes, path, why, why_size))
			return -1;
	}
	return 0;
}

static bool make_room(const struct monitor_vm *vm, struct parts *parts)
{
	uint64_t pages = vm->memory.size / PVM_PAGE_SIZE;

	parts->tables_size = (pages + 63) / 64 * sizeof(*parts->tables);
	parts->tables = malloc(parts->tables_size);
	parts->registers = malloc((size_t)vm->vcpu_count * vm->executor->saving->vcpu_bytes);
	parts->vcpus = calloc(vm->vcpu_count, sizeof(*parts->vcpus));
	parts->devices.bytes = malloc(XEN_GUEST_RECORD_MAX);
	return parts->tables && parts->registers && parts->vcpus && parts->devices.bytes;
}

int saved_restore(struct monitor_vm *vm, struct saved_reader *reader, char *why, size_t why_size)
{
	const char *path = saved_reader_path(reader);
	struct parts *parts = calloc(1, sizeof(*parts));
	char reason[512];
	int error = -1;

	if (!parts || !make_room(vm, parts)) {
		snprintf(why, why_size, "%s: no memory to read it", path);
	} else if (!check_disks(vm, path, why, why_size) && !read_all(vm, reader, parts, why, why_size)) {
		error = use(vm, parts, reason, sizeof(reason));
		if (error)
			snprintf(why, why_size, "%s: %s", path, reason);
	}
	if (parts) {
		free(parts->tables);
		free(parts->registers);
		free(parts->vcpus);
		free(parts->devices.bytes);
	}
	free(parts);
	return atomic_load(&vm->over) ? 0 : error;
}
