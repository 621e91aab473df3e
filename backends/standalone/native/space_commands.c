/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The list of commands that a stub's mapper carries out before the next run: what must be forgotten, and what
 * is mapped. Owns what a command looks like; space.c gives the order.
 */
#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include <string.h>

#include "space.h"

/* What a mapping costs the host: an entry of its list; and a page table for each 2 MiB and 1 GiB that have
 * none yet. More than it takes where a hash forgets. */
#define ENTRY_COST	256u
#define REGION_SHIFT	PVM_LEVEL_SHIFT(2)
#define UPPER_MASK	((1ull << (PVM_LEVEL_SHIFT(3) - REGION_SHIFT)) - 1)

/* Commands on more bytes than this are long: at least a millisecond for the host. */
#define LONG_COMMANDS	(16ull << 20)

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

void space_splits_mapping(struct space *space)
{
	space->cost += ENTRY_COST;
}

/* N6: what is left may be an entry on either side, where one was. */
static void command_unmap(struct space *space, uint64_t start, uint64_t size)
{
	struct stub_command *command = next_command(space);

	space_splits_mapping(space);
	command->nr = SYS_munmap;
	command->arg[0] = start;
	command->arg[1] = size;
}

void space_costs_nothing(struct space *space)
{
	space->cost = 0;
	memset(space->regions, 0, sizeof(space->regions));
}

static void add_cost(struct space *space, uint64_t start, uint64_t size)
{
	uint64_t region = start >> REGION_SHIFT, last = (start + size - 1) >> REGION_SHIFT;

	space->cost += ENTRY_COST;
	for (; region <= last; region++) {
		uint64_t *known = &space->regions[region % SPACE_REGIONS];

		if (*known == region + 1)
			continue;
		*known = region + 1;
		space->cost += PVM_PAGE_SIZE;
		if (!(region & UPPER_MASK) || region == start >> REGION_SHIFT)
			space->cost += PVM_PAGE_SIZE / 2;	/* tables above are for more than one */
	}
}

void space_commands_begin(struct space *space)
{
	unsigned i;

	space->control->count = 0;
	space->pvcs_next = space->pvcs;
	space->forget_all |= space->empties;
	space->empties = false;
	if (space->forget_all) {
		command_unmap(space, 0, STUB_REGION);
		space_costs_nothing(space);
	}
	for (i = 0; !space->forget_all && i < space->forget_count; i++)
		command_unmap(space, space->forget[i].start, space->forget[i].size);
}

bool space_command_map(struct space *space, uint64_t start, uint64_t size, int prot,
		       uint64_t offset, bool populate, unsigned pkey)
{
	struct stub_command *command;

	space->mapped += size >> PVM_PAGE_SHIFT;
	add_cost(space, start, size);
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

bool space_command_pvcs(struct space *space, uint64_t offset)
{
	struct stub_command *command = next_command(space);
	bool none = offset == PVM_INVALID_ADDR;

	if (!command)
		return false;
	command->nr = SYS_mmap;
	command->arg[0] = STUB_PVCS;
	command->arg[1] = STUB_PVCS_SIZE;
	command->arg[2] = none ? PROT_NONE : PROT_READ | PROT_WRITE;
	command->arg[3] = MAP_SHARED | MAP_FIXED;
	command->arg[4] = STUB_FD_GUEST;
	command->arg[5] = none ? 0 : offset;
	space->pvcs_next = offset;
	return true;
}

bool space_commands_are_long(const struct space *space)
{
	uint64_t size = 0;
	unsigned i;

	for (i = 0; i < space->control->count; i++)
		size += space->control->commands[i].arg[1];
	return size > LONG_COMMANDS;
}

const char *space_refusal(int error)
{
	switch (error) {
	case -ESRCH:
		return "the stub died";
	case -EPERM:
	case -EACCES:
		return "memory that is written and executed is denied (PR_SET_MDWE, MemoryDenyWriteExecute=, execmem)";
	}
	return strerror(-error);
}
