/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Flushes, and getting a vCPU out of its guest. S13: the CR3 signal says which root a
 * CPU has loaded; who has another one loaded is not interrupted but owes the flush.
 * The argument for the order of stores and loads is docs/cr3-signal.md, its proof
 * tests/proof/.
 */
#include "switcher/hw.h"

static void relax(const struct pvm_switcher *switcher)
{
	if (switcher->ops->relax)
		switcher->ops->relax(switcher->host);
	__builtin_ia32_pause();
}

/* Is @tag of @cpu one whose translations @flush is about? A tag that changes hands now is
 * flushed by the CPU before it is used. */
static bool is_concerned(const struct pvm_switcher_cpu *cpu, unsigned tag,
			 const struct pvm_switcher_vm *vm, const struct pvm_tlb_flush *flush)
{
	if (__atomic_load_n(&cpu->tag_vm[tag], __ATOMIC_SEQ_CST) != vm->id)
		return false;
	return !flush->vcpu || __atomic_load_n(&cpu->tag_vcpu[tag], __ATOMIC_SEQ_CST) == flush->vcpu;
}

/* Those tags of a CPU, as bits. A root that has none there is flushed when it gets one. */
static uint32_t tags_of(const struct pvm_switcher_cpu *cpu, const struct pvm_switcher_vm *vm,
			const struct pvm_tlb_flush *flush)
{
	bool every_root = flush->scope == PVM_FLUSH_ALL || flush->root.v == PVM_INVALID_ADDR;
	uint64_t root = flush->root.v;
	uint32_t tags = 0;
	unsigned i;

	/* The root first: mostly it alone says no. */
	for (i = 0; i < PVM_SWITCHER_TAGS; i++)
		if ((__atomic_load_n(&cpu->tag_root[i].v, __ATOMIC_SEQ_CST) == root || every_root) &&
		    is_concerned(cpu, i, vm, flush))
			tags |= 1u << i;
	return tags;
}

/* The signal says that one of @tags is loaded, or about to be. */
static bool signals(const struct pvm_switcher_cpu *cpu, uint32_t tags)
{
	uint64_t signal = __atomic_load_n(&cpu->signal, __ATOMIC_SEQ_CST);

	return signal != HOST_SIGNAL && (tags >> (signal - 1) & 1);
}

/* Does a guest of @vm run on @cpu now, and is it @vcpu (NULL: any)? Another VM's vCPU may leave and be freed
 * meanwhile: it is compared with this VM's own, and not looked at. */
static bool runs_guest(const struct pvm_switcher_cpu *cpu, const struct pvm_switcher_vm *vm,
		       const struct pvm_vcpu *vcpu)
{
	const struct pvm_switcher_vcpu *active = __atomic_load_n(&cpu->active, __ATOMIC_SEQ_CST), *svcpu;

	for (svcpu = active ? vm->vcpus : NULL; svcpu; svcpu = svcpu->next)
		if (svcpu == active)
			return !vcpu || svcpu->vcpu == vcpu;
	return false;
}

/* One CPU. With PCIDs the debt is a bit, set by a locked instruction, so that the
 * signal is read after it and after the change of the tables; without PCIDs the
 * next CR3 write pays it. Returns true if the CPU must be interrupted. @runs: counted
 * after the debt, so that a run that is not counted has seen it. */
static bool owe(struct pvm_switcher_cpu *cpu, uint32_t tags, uint64_t *runs)
{
	if (cpu->switcher->config.features.pcid)
		__atomic_fetch_or(&cpu->owed, tags, __ATOMIC_SEQ_CST);
	else
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
	*runs = __atomic_load_n(&cpu->runs, __ATOMIC_SEQ_CST);
	if (signals(cpu, tags))
		return true;
	if (tags)
		__atomic_fetch_add(&cpu->stats.flushes_owed, 1, __ATOMIC_RELAXED);
	return false;
}

/* Until the CPU has left the root, or left the guest. */
static void wait_for(struct pvm_switcher_cpu *cpu, uint32_t tags, uint64_t runs)
{
	while (signals(cpu, tags) && __atomic_load_n(&cpu->runs, __ATOMIC_SEQ_CST) == runs)
		relax(cpu->switcher);
}

/* Until the run under way is over. */
static void wait_for_end(struct pvm_switcher_cpu *cpu, uint64_t runs)
{
	while (__atomic_load_n(&cpu->active, __ATOMIC_SEQ_CST) &&
	       __atomic_load_n(&cpu->runs, __ATOMIC_SEQ_CST) == runs)
		relax(cpu->switcher);
}

/*
 * A root is about to be freed: no CPU may have it loaded, nor load it again, by tag or
 * as published, nor because it was given to pvm_switcher_run() before. So every vCPU
 * of the VM comes out, or does not get in.
 */
static void forget_roots(struct pvm_switcher_vm *vm)
{
	struct pvm_switcher *switcher = vm->switcher;
	struct pvm_switcher_vcpu *svcpu;
	uint32_t i;

	pvm_switcher_void_tags_of(vm);
	for (svcpu = vm->vcpus; svcpu; svcpu = svcpu->next)
		__atomic_store_n(&svcpu->request, 1, __ATOMIC_SEQ_CST);
	for (i = 0; i < switcher->cpu_count; i++) {
		struct pvm_switcher_cpu *cpu = switcher->cpus[i];
		uint64_t runs;

		if (!cpu)
			continue;
		runs = __atomic_load_n(&cpu->runs, __ATOMIC_SEQ_CST);
		if (!runs_guest(cpu, vm, NULL))
			continue;
		__atomic_fetch_add(&cpu->stats.flush_kicks, 1, __ATOMIC_RELAXED);
		switcher->ops->kick(switcher->host, i);
		wait_for_end(cpu, runs);
	}
}

/* Are we on this CPU, between pvm_switcher_load() and _unload()? */
static bool is_this_cpu(const struct pvm_switcher_cpu *cpu)
{
	struct switcher_dtr gdtr;

	hw_sgdt(&gdtr);
	return gdtr.base == cpu->gdtr.base;
}

/* One address on the vCPU's own CPU, with INVPCID: no debt for one page. */
static bool flush_page(const struct pvm_tlb_flush *flush, struct pvm_switcher_cpu *cpu, uint32_t tags)
{
	const struct pvm_switcher_config *config = &cpu->switcher->config;
	unsigned i;

	if (flush->scope != PVM_FLUSH_GVA || flush->level != 1 || !config->features.pcid ||
	    !config->features.invpcid || !is_this_cpu(cpu))
		return false;
	for (i = 0; i < PVM_SWITCHER_TAGS; i++)
		if (tags >> i & 1)
			hw_invpcid_address(config->pcid_first + i, flush->gva.v);
	return true;
}

/* Without PCIDs a CPU that is in the host flushes when it writes CR3 for a guest. It says so by the
 * signal, after which it walks what is new. */
static bool is_flushed_anyway(const struct pvm_switcher_cpu *cpu)
{
	return !cpu->switcher->config.features.pcid &&
	       __atomic_load_n(&cpu->signal, __ATOMIC_SEQ_CST) == HOST_SIGNAL;
}

void pvm_switcher_flush(struct pvm_switcher_vm *vm, const struct pvm_tlb_flush *flush)
{
	struct pvm_switcher *switcher = vm->switcher;
	/* The walker must not even have the old tables in reach: the signal is not enough. */
	bool frees_tables = flush->scope == PVM_FLUSH_ALL && !flush->vcpu;
	uint32_t i;

	if (flush->root_dying) {
		forget_roots(vm);
		return;
	}
	/* The shadow entry is there for all before any tags are looked at: a CPU that
	 * gives the root one later walks what is new. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	for (i = 0; i < switcher->cpu_count; i++) {
		struct pvm_switcher_cpu *cpu = switcher->cpus[i];
		bool named;
		uint64_t runs;
		uint32_t tags;

		if (!cpu || (!frees_tables && is_flushed_anyway(cpu)))
			continue;
		tags = tags_of(cpu, vm, flush);
		if (flush_page(flush, cpu, tags))
			continue;
		named = owe(cpu, tags, &runs);
		if (!(named || frees_tables) || !runs_guest(cpu, vm, flush->vcpu))
			continue;
		__atomic_fetch_add(&cpu->stats.flush_kicks, 1, __ATOMIC_RELAXED);
		switcher->ops->kick(switcher->host, i);
		if (frees_tables)
			wait_for_end(cpu, runs);
		else
			wait_for(cpu, tags, runs);
	}
}

void pvm_switcher_kick(struct pvm_switcher_vcpu *svcpu)
{
	struct pvm_switcher *switcher = svcpu->vm->switcher;
	struct pvm_switcher_cpu *cpu;

	__atomic_store_n(&svcpu->request, 1, __ATOMIC_SEQ_CST);
	cpu = __atomic_load_n(&svcpu->cpu, __ATOMIC_SEQ_CST);
	if (cpu && __atomic_load_n(&cpu->active, __ATOMIC_SEQ_CST) == svcpu)
		switcher->ops->kick(switcher->host, cpu->id);
}
