// SPDX-License-Identifier: GPL-2.0
/*
 * The switcher's slot in the host's address spaces. Where the module is, in the last slot of 512 GiB, a
 * distribution's own kernel is, too, when it is a guest. So guests have the switcher in slot 271, in which
 * Linux has nothing (Documentation/arch/x86/x86_64/mm.rst: "guard hole, also reserved for hypervisor"); and
 * so has the process that runs them, as the CPU is on its tables while the switcher is loaded.
 *
 * One entry, which leads to tables of the module's own: in the process's top-level table, and with 5 levels
 * in the kernel's table of level 4, which is everybody's. Nothing of Linux's looks at it, and fork() does
 * not copy it.
 */
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <asm/pgtable.h>

#include "kvm_pvm.h"

/* An entry that is ours now. */
struct alias_entry {
	struct list_head link;
	u64 *at;
	unsigned int users;	/* VMs */
};

static struct pvm_switcher_vm tables;	/* of no guest */
static LIST_HEAD(entries);
static DEFINE_MUTEX(lock);		/* of them */

static u64 *entry_of(struct mm_struct *mm)
{
	pgd_t *pgd = pgd_offset(mm, PVM_KVM_SLOT_VA);

	return pgtable_l5_enabled() ? (u64 *)p4d_offset(pgd, PVM_KVM_SLOT_VA) : (u64 *)pgd;
}

static struct alias_entry *find(const u64 *at)
{
	struct alias_entry *entry;

	list_for_each_entry(entry, &entries, link)
		if (entry->at == at)
			return entry;
	return NULL;
}

static int add(u64 *at)
{
	struct alias_entry *entry;

	if (READ_ONCE(*at)) {
		pr_err_ratelimited("slot %u of this host's upper half is in use\n", PVM_KVM_SLOT);
		return -EBUSY;
	}
	entry = kzalloc(sizeof(*entry), GFP_KERNEL_ACCOUNT);
	if (!entry)
		return -ENOMEM;
	entry->at = at;
	entry->users = 1;
	list_add(&entry->link, &entries);
	WRITE_ONCE(*at, pgtable_l5_enabled() ? tables.pml4_entry : tables.entry);
	return 0;
}

int pvm_kvm_alias_get(struct mm_struct *mm)
{
	struct alias_entry *entry;
	int error = 0;

	mutex_lock(&lock);
	entry = find(entry_of(mm));
	if (entry)
		entry->users++;
	else
		error = add(entry_of(mm));
	mutex_unlock(&lock);
	return error;
}

void pvm_kvm_alias_put(struct mm_struct *mm)
{
	struct alias_entry *entry;

	mutex_lock(&lock);
	entry = find(entry_of(mm));
	if (!--entry->users) {
		WRITE_ONCE(*entry->at, 0);
		list_del(&entry->link);
		kfree(entry);
	}
	mutex_unlock(&lock);
}

int pvm_kvm_alias_init(void)
{
	int error = pvm_switcher_vm_init(&tables, &pvm_kvm_switcher);

	if (error)
		pr_err("no memory for the switcher's tables\n");
	return error;
}

/* All PCIDs, and global pages. SDM vol. 3, 4.10.4.1 */
static void forget_everything(void *unused)
{
	unsigned long cr4 = native_read_cr4();

	asm volatile("mov %0, %%cr4" : : "r"(cr4 ^ X86_CR4_PGE) : "memory");
	asm volatile("mov %0, %%cr4" : : "r"(cr4) : "memory");
}

void pvm_kvm_alias_destroy(void)
{
	on_each_cpu(forget_everything, NULL, 1);	/* what they have of tables that are freed now */
	pvm_switcher_vm_destroy(&tables);
}
