// SPDX-License-Identifier: GPL-2.0
/*
 * Counters. KVM's own statistics (KVM_GET_STATS_FD, debugfs) have fields for what shadow paging
 * counts; what the engine counts besides is in the file "pvm" of the VM's folder in debugfs.
 */
#include <linux/debugfs.h>
#include <linux/seq_file.h>

#include "kvm_pvm.h"

static int pvm_kvm_stats_show(struct seq_file *file, void *unused)
{
	struct pvm_kvm *vm = file->private;
	struct pvm_mmu_stats stats;

	pvm_mmu_get_stats(&vm->pvm, &stats);
	seq_printf(file, "abi %s\n", pvm_abi_name(vm->pvm.config.abi));
	seq_printf(file, "memory_pages %ld\n", atomic_long_read(&vm->memory.pages));
	seq_printf(file, "frame_pages %lu\n", READ_ONCE(vm->memory.frames.pages));
	seq_printf(file, "memory_pages_shrunk %lu\n", READ_ONCE(vm->memory.shrunk));
	seq_printf(file, "shadow_pages %u\n", stats.shadow_pages);
	seq_printf(file, "leaves %u\n", stats.rmap_entries);
	seq_printf(file, "faults %llu\n", stats.faults);
	seq_printf(file, "fills %llu\n", stats.fills);
	seq_printf(file, "injected %llu\n", stats.injected);
	seq_printf(file, "flushes %llu\n", stats.flushes);
	seq_printf(file, "unsyncs %llu\n", stats.unsyncs);
	seq_printf(file, "resyncs %llu\n", stats.resyncs);
	seq_printf(file, "zaps %llu\n", stats.zaps);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(pvm_kvm_stats);

void pvm_kvm_stats_init(struct pvm_kvm *vm)
{
	if (!IS_ERR_OR_NULL(vm->kvm.debugfs_dentry))
		debugfs_create_file("pvm", 0444, vm->kvm.debugfs_dentry, vm, &pvm_kvm_stats_fops);
}

/* Not in vcpu_put: there the scheduler's lock is held, and the MMU's must not be taken. */
void pvm_kvm_stats_update(struct kvm_vcpu *vcpu)
{
	struct pvm_kvm *vm = to_pvm_kvm(vcpu->kvm);
	struct pvm_mmu_stats stats;

	pvm_mmu_get_stats(&vm->pvm, &stats);
	vm->kvm.stat.mmu_shadow_zapped = stats.zaps;
	vm->kvm.stat.mmu_cache_miss = stats.resyncs;
	vm->kvm.stat.mmu_unsync = stats.unsyncs;
	vm->kvm.stat.generic.remote_tlb_flush = stats.flushes;
	atomic64_set(&vm->kvm.stat.pages_4k, stats.rmap_entries);
}
