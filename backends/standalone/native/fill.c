/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * From shadow leaves to mmap commands. Owns the translation of rights and the
 * limits of a process's address space. Never writes the shadow tables and never
 * maps what they do not hold (M2).
 *
 * The walk takes the MMU lock, so it happens before the vCPU enters the gate. A
 * flush that comes after the walk is found pending at the gate, and the commands
 * are made anew (M9).
 */
#include "fill.h"
#include "native.h"
#include "output.h"

#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include <pvm/mmu.h>

#define LOWEST_DEFAULT	65536

/* Pages mapped at one fault, when the neighbours are translated alike. */
#define AROUND		16

uint64_t fill_lowest(void)
{
	FILE *file = fopen("/proc/sys/vm/mmap_min_addr", "re");
	unsigned long lowest;

	if (!file || fscanf(file, "%lu", &lowest) != 1)
		lowest = LOWEST_DEFAULT;
	if (file)
		fclose(file);
	/* Page 0 stays away from us even where the host allows it. */
	if (lowest < PVM_PAGE_SIZE)
		lowest = PVM_PAGE_SIZE;
	return (lowest + PVM_PAGE_SIZE - 1) & ~(PVM_PAGE_SIZE - 1);
}

static int prot_of(uint64_t entry)
{
	return PROT_READ | (entry & PVM_PTE_W ? PROT_WRITE : 0) | (entry & PVM_PTE_NX ? 0 : PROT_EXEC);
}

static unsigned pkey_of(const struct monitor_vm *vm, uint64_t entry)
{
	/* M8 */
	return vm->pvm.config.host_pke ? (unsigned)((entry & PVM_PTE_PK_MASK) >> PVM_PTE_PK_SHIFT) : 0;
}

static bool allows(uint64_t entry, uint32_t error_code)
{
	return !((error_code & PVM_PF_W) && !(entry & PVM_PTE_W)) &&
	       !((error_code & PVM_PF_I) && (entry & PVM_PTE_NX));
}

/* How far the neighbours of @gva go on like it, in the direction of @step
 * (bytes), within the aligned group of AROUND pages. Returns a page address. */
static uint64_t run_end(struct monitor_vm *vm, pvm_hpa_t root, uint64_t gva,
			const struct pvm_shadow_leaf *leaf, int64_t step)
{
	const uint64_t group = ~(AROUND * PVM_PAGE_SIZE - 1);
	struct pvm_shadow_leaf next;
	uint64_t pa = leaf->pa.v, last = gva;

	for (;;) {
		uint64_t page = last + (uint64_t)step;

		pa += (uint64_t)step;
		if ((page & group) != (gva & group) ||
		    !pvm_mmu_shadow_walk(&vm->pvm, root, pvm_gva(page), &next) ||
		    next.level != 1 || next.pa.v != pa ||
		    prot_of(next.entry) != prot_of(leaf->entry) ||
		    pkey_of(vm, next.entry) != pkey_of(vm, leaf->entry))
			return last;
		last = page;
	}
}

/* Queue the leaf at @gva: all of a large one, as far as a process may have it. */
static enum fill_result map_leaf(struct space *space, struct monitor_vm *vm, uint64_t gva,
				 const struct pvm_shadow_leaf *leaf, uint64_t *pages)
{
	uint64_t lowest = native_vm(vm)->lowest;
	uint64_t page = gva & ~(PVM_PAGE_SIZE - 1);
	uint64_t start, end, offset = leaf->pa.v - GUEST_HPA_BASE;

	if (page < lowest || page >= STUB_REGION)
		return FILL_RESERVED;
	if (leaf->level == 1) {
		start = run_end(vm, pvm_hpa(space->root), page, leaf, -(int64_t)PVM_PAGE_SIZE);
		end = run_end(vm, pvm_hpa(space->root), page, leaf, PVM_PAGE_SIZE) + PVM_PAGE_SIZE;
	} else {
		start = gva & ~(PVM_LEVEL_SIZE(leaf->level) - 1);
		end = start + PVM_LEVEL_SIZE(leaf->level);
	}
	if (start < lowest)
		start = lowest;
	if (end > STUB_REGION)
		end = STUB_REGION;
	offset -= page - start;
	/* M2: a leaf that does not point into guest memory is not mapped. */
	if (offset >= vm->memory.size || end - start > vm->memory.size - offset)
		return FILL_NOT_MEMORY;
	if (space_command_map(space, start, end - start, prot_of(leaf->entry), offset, leaf->level == 1,
			      pkey_of(vm, leaf->entry)))
		*pages += (end - start) >> PVM_PAGE_SHIFT;
	return FILL_OK;
}

/* The guest will want it again, after a flush. */
static void remember(struct space *space, uint64_t gva)
{
	uint64_t page = gva & ~(PVM_PAGE_SIZE - 1);
	unsigned i;

	for (i = 0; i < SPACE_RECENT; i++)
		if (space->recent[i] == page)
			return;
	space->recent[space->recent_next++ % SPACE_RECENT] = page;
}

enum fill_result fill_fault(struct space *space, struct monitor_vm *vm, struct fill_fault *fault,
			    uint64_t *pages)
{
	struct pvm_shadow_leaf leaf;

	if (!fault->pending || fault->root != space->root)
		return FILL_OK;
	if (!pvm_mmu_shadow_walk(&vm->pvm, pvm_hpa(space->root), pvm_gva(fault->gva), &leaf) ||
	    !allows(leaf.entry, fault->error_code))
		return FILL_OK;
	remember(space, fault->gva);
	/* N6: it is mapped, with fewer rights, as part of a run perhaps. */
	if (fault->error_code & PVM_PF_P)
		space_splits_mapping(space);
	return map_leaf(space, vm, fault->gva, &leaf, pages);
}

#define HOLE	"guest address %#lx lies in the native executor's reserved hole: a guest in a process can have %#lx to %#lx"

void fill_explain_reserved(struct monitor_vcpu *vcpu, struct fill_fault *fault, struct pvm_guest_exit *exit)
{
	struct native_vm *native = native_vm(vcpu->vm);
	unsigned long lowest = native->lowest, last = STUB_REGION - 1;

	if (!vcpu->pvm.user_mode) {
		executor_fail(exit, PVM_EXIT_FAILED, HOLE, (unsigned long)fault->gva, lowest, last);
		return;
	}
	if (!atomic_exchange(&native->hole_told, true))
		output_say("pvm: native executor: " HOLE ": #GP for its user program\n", (unsigned long)fault->gva,
			   lowest, last);
	fault->pending = false;
	exit->kind = PVM_EXIT_EXCEPTION;
	exit->vector = PVM_VEC_GP;
	exit->error_code = 0;
}

bool fill_memory_is_lost(const struct space *space, struct monitor_vm *vm, uint64_t gva, uint64_t *gpa)
{
	struct pvm_shadow_leaf leaf;

	if (!pvm_mmu_shadow_walk(&vm->pvm, pvm_hpa(space->root), pvm_gva(gva), &leaf))
		return false;
	*gpa = (leaf.pa.v - GUEST_HPA_BASE) & ~(PVM_PAGE_SIZE - 1);
	/* Before Linux 5.14: EINVAL, and who says so is not believed. */
	return *gpa < vm->memory.size &&
	       madvise(vm->memory.va + *gpa, PVM_PAGE_SIZE, MADV_POPULATE_WRITE) < 0 && errno != EINVAL &&
	       errno != EINTR;
}

/* Is there a command already that maps it? */
static bool is_queued(const struct space *space, uint64_t gva)
{
	const struct stub_command *command;

	for (command = space->control->commands; command != space->control->commands + space->control->count;
	     command++)
		if (command->nr == SYS_mmap && gva - command->arg[0] < command->arg[1])
			return true;
	return false;
}

static void map_again(struct space *space, struct monitor_vm *vm, uint64_t gva, uint64_t *pages)
{
	struct pvm_shadow_leaf leaf;

	if (!is_queued(space, gva) &&
	    pvm_mmu_shadow_walk(&vm->pvm, pvm_hpa(space->root), pvm_gva(gva), &leaf))
		map_leaf(space, vm, gva, &leaf, pages);
}

void fill_first(struct space *space, const struct monitor_vcpu *vcpu, uint64_t *pages)
{
	unsigned i;

	map_again(space, vcpu->vm, vcpu->pvm.rip, pages);
	map_again(space, vcpu->vm, vcpu->pvm.gpr[PVM_RSP] - sizeof(uint64_t), pages);
	for (i = 0; i < SPACE_RECENT; i++)
		if (space->recent[i])
			map_again(space, vcpu->vm, space->recent[i], pages);
}
