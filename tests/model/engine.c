/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The engine under the model, where the host takes part: memory that moves or
 * goes away, dirty logging, little memory for tables, threads. What a guest
 * alone can show is in script/.
 */
#include <criterion/criterion.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

#include <pvm/mmu.h>

#include "model.h"

#define RIGHTS	(PVM_PTE_P | PVM_PTE_W | PVM_PTE_U)
#define DATA	0x600000ull		/* gpa of the page that tests play with */
#define HERE	0x40000000ull		/* gva of it */
#define THERE	0x7f0000000000ull	/* another */

static struct model_vm *vm_with(struct model_options options)
{
	char why[128];
	struct model_vm *vm = model_create(&options, why, sizeof(why));
	unsigned i;

	cr_assert_not_null(vm, "%s", why);
	for (i = 0; i < options.vcpus; i++)
		cr_assert_eq(model_boot(vm, i), PVM_OK);
	return vm;
}

/* vCPU 0's tables, which all vCPUs use, map DATA at HERE and THERE. */
static uint64_t map_data(struct model_vm *vm, unsigned vcpus)
{
	uint64_t root = model_vcpu(vm, 0)->cr3;
	unsigned i;

	cr_assert(model_map(vm, root, 4, HERE, DATA, 1, RIGHTS));
	cr_assert(model_map(vm, root, 4, THERE, DATA, 1, RIGHTS));
	for (i = 0; i < vcpus; i++)
		cr_assert_eq(model_hypercall(vm, i, PVM_HC_LOAD_PGTBL, PVM_LOAD_PGTBL_FLUSH, root,
					     root).kind, MODEL_WENT_ON);
	return root;
}

static void end(struct model_vm *vm)
{
	const char *rule = pvm_mmu_check(model_pvm(vm));

	cr_assert_null(rule, "%s", rule);
	cr_assert_eq(model_destroy(vm), 0, "engine pages or pins leaked");
}

static void reads(struct model_vm *vm, unsigned vcpu, uint64_t gva, uint64_t value)
{
	struct model_outcome out = model_read(vm, vcpu, gva);

	cr_assert_eq(out.kind, MODEL_WENT_ON, "%s", out.message);
	cr_assert_eq(out.value, value, "%#lx at %#lx, not %#lx", (unsigned long)out.value,
		     (unsigned long)gva, (unsigned long)value);
}

static void writes(struct model_vm *vm, unsigned vcpu, uint64_t gva, uint64_t value)
{
	struct model_outcome out = model_write(vm, vcpu, gva, value);

	cr_assert_eq(out.kind, MODEL_WENT_ON, "%s", out.message);
}

Test(model_engine, M10_a_frame_that_the_host_took_is_no_memory_any_more)
{
	struct model_vm *vm = vm_with(model_options());
	struct model_outcome out;

	map_data(vm, 1);
	writes(vm, 0, HERE, 1);
	reads(vm, 0, THERE, 1);
	reads(vm, 0, DATA, 1);
	cr_assert_eq(model_host_take(vm, DATA, 1), PVM_OK);
	out = model_read(vm, 0, HERE);
	cr_assert_eq(out.kind, MODEL_MMIO);
	cr_assert_eq(model_vcpu(vm, 0)->request.mmio.gpa.v, DATA);
	cr_assert_not(model_vcpu(vm, 0)->request.mmio.write);
	cr_assert_eq(model_write(vm, 0, THERE, 2).kind, MODEL_MMIO);
	cr_assert(model_vcpu(vm, 0)->request.mmio.write);
	cr_assert_eq(model_read(vm, 0, DATA).kind, MODEL_MMIO, "through the large page");
	end(vm);
}

Test(model_engine, M10_a_frame_that_the_host_moved_is_read_and_written_in_its_new_place)
{
	struct model_options options = model_options();
	struct model_vm *vm;
	unsigned i;

	options.vcpus = 2;
	vm = vm_with(options);
	map_data(vm, 2);
	for (i = 0; i < 10; i++) {
		writes(vm, 0, HERE, i);
		reads(vm, 1, HERE, i);
		reads(vm, 1, THERE, i);
		cr_assert_eq(model_host_move(vm, DATA), PVM_OK);
		reads(vm, 1, THERE, i);
		writes(vm, 1, HERE, 100 + i);
		reads(vm, 0, THERE, 100 + i);
		cr_assert_eq(*model_word(vm, DATA), 100 + i);
	}
	end(vm);
}

Test(model_engine, M10_a_large_page_is_splintered_when_the_host_moves_a_frame_of_it)
{
	struct model_options options = model_options();
	struct pvm_shadow_leaf leaf;
	struct model_vm *vm;
	pvm_hpa_t root;

	options.max_level = 2;
	vm = vm_with(options);
	cr_assert(model_map(vm, model_vcpu(vm, 0)->cr3, 4, HERE, 0x800000, 2, RIGHTS));
	writes(vm, 0, HERE, 1);
	writes(vm, 0, HERE + 0x5000, 5);
	cr_assert_eq(pvm_mmu_load(model_vcpu(vm, 0), &root, PVM_MAY_SLEEP), PVM_OK);
	cr_assert(pvm_mmu_shadow_walk(model_pvm(vm), root, pvm_gva(HERE), &leaf));
	cr_assert_eq(leaf.level, 2);
	cr_assert_eq(model_host_move(vm, 0x805000), PVM_OK);
	reads(vm, 0, HERE + 0x5000, 5);
	writes(vm, 0, HERE + 0x5000, 6);
	cr_assert_eq(*model_word(vm, 0x805000), 6);
	reads(vm, 0, HERE, 1);
	cr_assert(pvm_mmu_shadow_walk(model_pvm(vm), root, pvm_gva(HERE), &leaf));
	cr_assert_eq(leaf.level, 1);
	end(vm);
}

Test(model_engine, M10_dirty_logging_sees_the_first_write_and_no_read)
{
	struct model_vm *vm = vm_with(model_options());

	map_data(vm, 1);
	writes(vm, 0, HERE, 1);
	writes(vm, 0, DATA + 0x1000, 1);
	model_host_log(vm, DATA, 2);
	reads(vm, 0, HERE, 1);
	reads(vm, 0, THERE, 1);
	cr_assert_not(model_host_dirty(vm, DATA));
	writes(vm, 0, THERE, 2);
	cr_assert(model_host_dirty(vm, DATA));
	cr_assert_not(model_host_dirty(vm, DATA + 0x1000));
	model_host_log(vm, DATA, 1);
	cr_assert_not(model_host_dirty(vm, DATA));
	writes(vm, 0, HERE, 3);
	cr_assert(model_host_dirty(vm, DATA), "each log starts anew");
	end(vm);
}

Test(model_engine, M10_dirty_logging_sees_what_an_event_writes_to_the_stack)
{
	struct model_vm *vm = vm_with(model_options());
	uint64_t page = (MODEL_STACK(0) - 1) & ~(PVM_PAGE_SIZE - 1);

	writes(vm, 0, MODEL_STACK(0) - 8, 0);
	model_host_log(vm, page, 1);
	cr_assert_eq(model_exception(vm, 0, PVM_VEC_UD, 0).kind, MODEL_EVENT);
	cr_assert(model_host_dirty(vm, page));
	end(vm);
}

Test(model_engine, S8_the_page_of_the_pvcs_stays_pinned_until_there_is_another)
{
	struct model_vm *vm = vm_with(model_options());

	cr_assert_eq(model_host_take(vm, MODEL_PVCS(0), 1), PVM_EBUSY);
	cr_assert_eq(model_host_move(vm, MODEL_PVCS(0)), PVM_EBUSY);
	cr_assert_eq(model_hypercall(vm, 0, PVM_HC_WRMSR, MSR_PVM_VCPU_STRUCT, 0x7000, 0).kind,
		     MODEL_WENT_ON);
	cr_assert_eq(model_host_take(vm, MODEL_PVCS(0), 1), PVM_OK);
	cr_assert_eq(model_host_take(vm, 0x7000, 1), PVM_EBUSY);
	end(vm);
}

/* What the fill of a neighbouring page takes over from the last fill. */
Test(model_engine, M9_a_table_that_was_exchanged_between_two_neighbours_is_seen)
{
	struct model_vm *vm = vm_with(model_options());
	uint64_t root = model_vcpu(vm, 0)->cr3, other, pd;

	cr_assert(model_map(vm, root, 4, HERE, DATA, 1, RIGHTS));
	cr_assert(model_map(vm, root, 4, HERE + 0x1000, DATA + 0x1000, 1, RIGHTS));
	pd = model_map(vm, root, 4, HERE + 0x200000, 0, 2, 0);
	other = model_map(vm, root, 4, THERE + 0x1000, DATA + 0x9000, 1, RIGHTS) & ~0xfffull;
	*model_word(vm, DATA + 0x1000) = 1;
	*model_word(vm, DATA + 0x9000) = 9;
	reads(vm, 0, HERE, 0);
	/* The guest points its directory elsewhere, by its own store. */
	writes(vm, 0, pd - 8, other | RIGHTS);
	cr_assert_eq(model_hypercall(vm, 0, PVM_HC_TLB_FLUSH_CURRENT, 0, 0, 0).kind, MODEL_WENT_ON);
	reads(vm, 0, HERE + 0x1000, 9);
	end(vm);
}

/* The directory is already writable, so that the engine does not see the store. */
Test(model_engine, M9_a_table_exchanged_by_a_store_that_did_not_trap_keeps_its_own_pages)
{
	struct model_vm *vm = vm_with(model_options());
	uint64_t root = model_vcpu(vm, 0)->cr3, other, pd, old;

	cr_assert(model_map(vm, root, 4, HERE, DATA, 1, RIGHTS));
	cr_assert(model_map(vm, root, 4, HERE + 0x1000, DATA + 0x1000, 1, RIGHTS));
	pd = model_map(vm, root, 4, HERE + 0x200000, 0, 2, 0) - 8;
	other = model_map(vm, root, 4, THERE + 0x1000, DATA + 0x9000, 1, RIGHTS) & ~0xfffull;
	old = *model_word(vm, pd);
	model_poke(vm, pd + 8, old);		/* the old table is at a second place */
	*model_word(vm, DATA + 0x1000) = 1;
	*model_word(vm, DATA + 0x9000) = 9;
	reads(vm, 0, HERE + 0x200000, 0);
	writes(vm, 0, pd, old);
	reads(vm, 0, HERE, 0);
	writes(vm, 0, pd, other | RIGHTS);
	cr_assert_eq(model_read(vm, 0, HERE + 0x1000).kind, MODEL_WENT_ON);
	reads(vm, 0, HERE + 0x201000, 1);
	cr_assert_eq(model_hypercall(vm, 0, PVM_HC_TLB_FLUSH, 0, 0, 0).kind, MODEL_WENT_ON);
	reads(vm, 0, HERE + 0x1000, 9);
	reads(vm, 0, HERE + 0x201000, 1);
	end(vm);
}

Test(model_engine, M9_rights_taken_above_between_two_neighbours_are_seen)
{
	struct model_vm *vm = vm_with(model_options());
	uint64_t root = model_vcpu(vm, 0)->cr3, pd, entry;
	struct model_outcome out;

	cr_assert(model_map(vm, root, 4, HERE, DATA, 1, RIGHTS));
	cr_assert(model_map(vm, root, 4, HERE + 0x1000, DATA + 0x1000, 1, RIGHTS));
	pd = model_map(vm, root, 4, HERE + 0x200000, 0, 2, 0) - 8;
	writes(vm, 0, HERE, 1);
	entry = *model_word(vm, pd);
	writes(vm, 0, pd, entry & ~PVM_PTE_W);
	cr_assert_eq(model_hypercall(vm, 0, PVM_HC_TLB_INVLPG, HERE, 0, 0).kind, MODEL_WENT_ON);
	reads(vm, 0, HERE + 0x1000, 0);
	out = model_write(vm, 0, HERE + 0x1000, 1);
	cr_assert_eq(out.kind, MODEL_EVENT);
	cr_assert_eq(out.event.error_code, PVM_PF_P | PVM_PF_W);
	model_return_supervisor(vm, 0);
	writes(vm, 0, pd, entry);
	writes(vm, 0, HERE + 0x1000, 2);
	end(vm);
}

Test(model_engine, M9_shadow_pages_dropped_between_two_neighbours_are_made_again)
{
	struct model_vm *vm = vm_with(model_options());
	uint64_t root = model_vcpu(vm, 0)->cr3, i;

	for (i = 0; i < 64; i++)
		cr_assert(model_map(vm, root, 4, HERE + i * 0x1000, DATA + i * 0x1000, 1, RIGHTS));
	for (i = 0; i < 64; i++) {
		writes(vm, 0, HERE + i * 0x1000, i);
		cr_assert_null(pvm_mmu_check(model_pvm(vm)));
		if (i % 3 == 0)
			pvm_mmu_shrink(model_pvm(vm), 0, PVM_MAY_SLEEP);
	}
	for (i = 0; i < 64; i++)
		reads(vm, 0, HERE + i * 0x1000, i);
	end(vm);
}

Test(model_engine, a_fault_where_the_leaf_is_there_already_ends)
{
	struct model_vm *vm = vm_with(model_options());
	struct pvm_tlb_flush flush = { .scope = PVM_FLUSH_ALL };
	struct pvm_fault_result result;

	map_data(vm, 1);
	writes(vm, 0, HERE, 1);
	model_cpu_flush(model_cpu(vm, 0), &flush);
	result = pvm_mmu_fault(model_vcpu(vm, 0), pvm_gva(HERE), PVM_PF_U | PVM_PF_W, PVM_NO_SLEEP);
	cr_assert_eq(result.kind, PVM_FAULT_FIXED);
	reads(vm, 0, HERE, 1);
	end(vm);
}

/* Every page table of the guest needs some of the engine's; with so few pages it
 * must give up old ones all the time, and the guest must not notice. */
Test(model_engine, M11_with_little_memory_for_tables_the_guest_goes_on)
{
	struct model_options options = model_options();
	uint64_t root, i, round;
	struct model_vm *vm;

	options.table_pages = 64;
	vm = vm_with(options);
	root = model_vcpu(vm, 0)->cr3;
	for (i = 0; i < 100; i++)
		cr_assert(model_map(vm, root, 4, HERE + (i << 30), DATA + i * 0x1000, 1, RIGHTS));
	for (round = 0; round < 3; round++) {
		for (i = 0; i < 100; i++)
			writes(vm, 0, HERE + (i << 30), i + round);
		for (i = 0; i < 100; i++)
			reads(vm, 0, HERE + (i << 30), i + round);
	}
	end(vm);
}

/* ------------------------------------------------------------------------
 * Threads: two vCPUs count in one page that the host keeps moving. A stale
 * translation, or a fill of the old place, loses counts.
 */

#define MOVES	300

struct counter {
	struct model_vm *vm;
	unsigned vcpu;
	atomic_bool stop, failed;
	atomic_ulong count;
	struct model_outcome last;
};

static bool count_one(struct counter *c)
{
	uint64_t here = HERE + 8 * c->vcpu, there = THERE + 8 * c->vcpu;

	c->last = model_read(c->vm, c->vcpu, here);
	if (c->last.kind != MODEL_WENT_ON || c->last.value != c->count)
		return false;
	c->last = model_write(c->vm, c->vcpu, c->count % 2 ? here : there, c->count + 1);
	return c->last.kind == MODEL_WENT_ON;
}

static void *count(void *arg)
{
	struct counter *c = arg;

	while (!c->stop && !c->failed) {
		if (count_one(c))
			c->count++;
		else
			c->failed = true;
	}
	return NULL;
}

/* Both count on between two moves. */
static void wait_for_counts(struct counter *counter)
{
	unsigned long before[2] = { counter[0].count, counter[1].count };
	unsigned i;

	for (i = 0; i < 2; i++)
		while (counter[i].count == before[i] && !counter[i].failed)
			sched_yield();
}

Test(model_engine, M10_counts_survive_a_host_that_moves_the_page_all_the_time)
{
	struct model_options options = model_options();
	struct counter counter[2];
	pthread_t thread[2];
	struct model_vm *vm;
	unsigned i;

	options.vcpus = 2;
	vm = vm_with(options);
	map_data(vm, 2);
	memset(counter, 0, sizeof(counter));
	for (i = 0; i < 2; i++) {
		counter[i].vm = vm;
		counter[i].vcpu = i;
		cr_assert_eq(pthread_create(&thread[i], NULL, count, &counter[i]), 0);
	}
	for (i = 0; i < MOVES; i++) {
		wait_for_counts(counter);
		cr_assert_eq(model_host_move(vm, DATA), PVM_OK);
	}
	for (i = 0; i < 2; i++) {
		counter[i].stop = true;
		pthread_join(thread[i], NULL);
		cr_assert_not(counter[i].failed, "vCPU %u: kind %d, %lu, %s", i, counter[i].last.kind,
			      (unsigned long)counter[i].last.value, counter[i].last.message);
		cr_assert_eq(*model_word(vm, DATA + 8 * i), counter[i].count);
	}
	end(vm);
}
