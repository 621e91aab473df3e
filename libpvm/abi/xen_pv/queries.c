/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Hypercalls that ask what there is: memory, versions, grant frames. They change nothing but the
 * guest's own answer. */
#include "abi/xen_pv/xen_pv.h"

#define E820_RAM	1
#define FEATURES	(1u << 5 | 1u << 7)	/* entries may keep A and D; grants have bits to spare */
#define GRANT_OK	0
#define GRANT_ERROR	-1

/* The interface's structures. */
struct memory_map {
	uint32_t entries, pad;
	uint64_t buffer;
};

struct e820_entry {
	uint64_t address, size;
	uint32_t type;
} __attribute__((packed));

struct machphys_mapping {
	uint64_t start, end, max_frame;
};

struct feature_info {
	uint32_t index, bits;
};

struct setup_table {
	uint16_t domain, pad;
	uint32_t frames;
	int16_t status, pad2;
	uint32_t pad3;
	uint64_t list;
};

struct query_size {
	uint16_t domain, pad;
	uint32_t frames, max_frames;
	int16_t status, pad2;
};

static enum xen_step answer(struct xen_call *call, uint64_t at, const void *from, size_t length)
{
	bool failed;
	enum xen_step step = pvm_xen_write(call, at, from, length, &failed);

	return failed ? step : xen_done(call, 0);
}

static enum xen_step memory_map(struct xen_call *call)
{
	const struct pvm_xen_config *config = &call->vcpu->vm->config.xen;
	struct e820_entry ram = { .size = config->pages << PVM_PAGE_SHIFT, .type = E820_RAM };
	struct memory_map map;
	enum xen_step step;
	bool failed;

	step = pvm_xen_read(call, call->arg[1], &map, sizeof(map), &failed);
	if (failed)
		return step;
	if (!map.entries)
		return xen_done(call, PVM_XEN_EINVAL);
	step = answer(call, map.buffer, &ram, sizeof(ram));
	if (step != XEN_DONE || call->result)
		return step;
	map.entries = 1;
	return answer(call, call->arg[1], &map, sizeof(map));
}

static enum xen_step machphys_mapping(struct xen_call *call)
{
	const struct pvm_xen_config *config = &call->vcpu->vm->config.xen;
	struct machphys_mapping mapping;

	if (!config->m2p_entry)
		return xen_done(call, PVM_XEN_ENOSYS);
	/* Guests have 4 levels, whatever the host has. */
	mapping.start = (uint64_t)((int64_t)((uint64_t)config->m2p_slot << (16 + PVM_LEVEL_SHIFT(4))) >> 16);
	mapping.end = mapping.start + config->m2p_frames * sizeof(uint64_t);
	mapping.max_frame = config->m2p_frames - 1;
	return answer(call, call->arg[1], &mapping, sizeof(mapping));
}

enum xen_step pvm_xen_memory_op(struct xen_call *call)
{
	const struct pvm_xen_config *config = &call->vcpu->vm->config.xen;

	call->budget--;
	switch (call->arg[0]) {
	case PVM_XEN_MEMORY_MAXIMUM_RAM_PAGE:
		return xen_done(call, (int64_t)config->pages - 1);
	case PVM_XEN_MEMORY_CURRENT:
	case PVM_XEN_MEMORY_MAXIMUM:
		return xen_done(call, (int64_t)config->pages);
	case PVM_XEN_MEMORY_MAP:
		return memory_map(call);
	case PVM_XEN_MEMORY_MACHPHYS_MAPPING:
		return machphys_mapping(call);
	}
	return xen_done(call, PVM_XEN_ENOSYS);
}

static enum xen_step features(struct xen_call *call)
{
	struct feature_info info;
	enum xen_step step;
	bool failed;

	step = pvm_xen_read(call, call->arg[1], &info, sizeof(info), &failed);
	if (failed)
		return step;
	if (info.index)
		return xen_done(call, PVM_XEN_EINVAL);
	info.bits = FEATURES;
	return answer(call, call->arg[1], &info, sizeof(info));
}

/* Asked with 0 also to have events delivered that are pending: that follows every hypercall. */
enum xen_step pvm_xen_version(struct xen_call *call)
{
	static const char extra[16] = ".0";

	call->budget--;
	switch (call->arg[0]) {
	case 0:
		return xen_done(call, PVM_XEN_VERSION);
	case 1:
		return answer(call, call->arg[1], extra, sizeof(extra));
	case 6:
		return features(call);
	case 7:
		return xen_done(call, PVM_PAGE_SIZE);
	}
	return xen_done(call, PVM_XEN_ENOSYS);
}

/* ------------------------------------------------------------------------
 * Grants: the guest writes them into frames of its own; the host reads them there.
 */

static enum xen_step setup_table(struct xen_call *call)
{
	const struct pvm_xen_config *config = &call->vcpu->vm->config.xen;
	struct setup_table table;
	enum xen_step step;
	uint64_t frame;
	uint32_t i;
	bool failed;

	step = pvm_xen_read(call, call->arg[1], &table, sizeof(table), &failed);
	if (failed)
		return step;
	table.status = table.frames <= config->grant_frames ? GRANT_OK : GRANT_ERROR;
	for (i = 0; table.status == GRANT_OK && i < table.frames; i++) {
		frame = config->grants.v + i;
		step = answer(call, table.list + i * sizeof(frame), &frame, sizeof(frame));
		if (step != XEN_DONE || call->result)
			return step;
	}
	return answer(call, call->arg[1], &table, sizeof(table));
}

static enum xen_step query_size(struct xen_call *call)
{
	const struct pvm_xen_config *config = &call->vcpu->vm->config.xen;
	struct query_size query;
	enum xen_step step;
	bool failed;

	step = pvm_xen_read(call, call->arg[1], &query, sizeof(query), &failed);
	if (failed)
		return step;
	query.frames = query.max_frames = config->grant_frames;
	query.status = GRANT_OK;
	return answer(call, call->arg[1], &query, sizeof(query));
}

static enum xen_step set_version(struct xen_call *call)
{
	enum xen_step step;
	uint32_t version;
	bool failed;

	step = pvm_xen_read(call, call->arg[1], &version, sizeof(version), &failed);
	if (failed)
		return step;
	return xen_done(call, version == 1 ? 0 : PVM_XEN_EINVAL);
}

static enum xen_step get_version(struct xen_call *call)
{
	static const uint32_t version = 1;

	return answer(call, call->arg[1] + 4, &version, sizeof(version));
}

/* Each with one request, as Linux has them. */
enum xen_step pvm_xen_grant_table_op(struct xen_call *call)
{
	call->budget -= (int)call->vcpu->vm->config.xen.grant_frames + 1;
	if (!call->vcpu->vm->config.xen.grant_frames)
		return xen_done(call, PVM_XEN_ENOSYS);
	if (call->arg[2] != 1)
		return xen_done(call, call->arg[2] ? PVM_XEN_EINVAL : 0);
	switch (call->arg[0]) {
	case PVM_XEN_GRANT_SETUP_TABLE:
		return setup_table(call);
	case PVM_XEN_GRANT_QUERY_SIZE:
		return query_size(call);
	case PVM_XEN_GRANT_SET_VERSION:
		return set_version(call);
	case PVM_XEN_GRANT_GET_VERSION:
		return get_version(call);
	}
	return xen_done(call, PVM_XEN_ENOSYS);
}

/* ------------------------------------------------------------------------
 * What is granted without doing anything.
 */

/* Tables that may be written, which they may. Not marks in runstates while they change. */
enum xen_step pvm_xen_vm_assist(struct xen_call *call)
{
	call->budget--;
	return xen_done(call, call->arg[0] <= 1 && call->arg[1] == 2 ? 0 : PVM_XEN_EINVAL);
}

/* Ports read as ones for everyone, so the privilege to use them needs no keeping. */
enum xen_step pvm_xen_physdev_op(struct xen_call *call)
{
	enum { SET_IOPL = 6, SET_IOBITMAP = 7 };

	call->budget--;
	return xen_done(call, call->arg[0] == SET_IOPL || call->arg[0] == SET_IOBITMAP ? 0 : PVM_XEN_ENOSYS);
}
