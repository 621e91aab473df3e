/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * vCPUs of one VM that fault at the same time, while the host takes frames away and
 * the guest changes its tables: built with ThreadSanitizer, which ends it with a report
 * when two threads touch a word without an order. What is counted: that first touches
 * proceed without the lock.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pvm/mmu.h>

#include "test_host.h"

#define MEMORY	(64ull << 20)
#define VCPUS	2
#define PAGES	4096u		/* of each vCPU */
#define BASE	0x40000000ull
#define ENTRY	(PVM_PTE_P | PVM_PTE_W | PVM_PTE_U)

static struct test_host host;
static struct pvm_vm vm;
static struct pvm_vcpu vcpu[VCPUS];
static uint64_t next_table = MEMORY / 2;
static pthread_mutex_t mmu_mutex = PTHREAD_MUTEX_INITIALIZER;
static unsigned long locks;

static void check(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "parallel: %s\n", what);
	exit(1);
}

static void check_mmu(void)
{
	const char *wrong = pvm_mmu_check(&vm);

	check(!wrong, wrong);
}

static void broken(const char *rule)
{
	check(false, rule);
}

/* Pages without a lock or a table of them: the host gives the threads no order that the
 * engine would have to give. */
static int page_alloc(void *arg, enum pvm_sleep sleep, struct pvm_host_page *page)
{
	(void)arg;
	(void)sleep;
	page->va = aligned_alloc(PVM_PAGE_SIZE, PVM_PAGE_SIZE);
	if (!page->va)
		return PVM_ENOMEM;
	memset(page->va, 0, PVM_PAGE_SIZE);
	page->pa = pvm_hpa((uint64_t)(uintptr_t)page->va);
	return PVM_OK;
}

static void page_free(void *arg, struct pvm_host_page page)
{
	(void)arg;
	free(page.va);
}

static void *page_va(void *arg, pvm_hpa_t pa)
{
	(void)arg;
	return (void *)(uintptr_t)pa.v;
}

static void lock(void *arg)
{
	(void)arg;
	pthread_mutex_lock(&mmu_mutex);
	locks++;
}

static void unlock(void *arg)
{
	(void)arg;
	pthread_mutex_unlock(&mmu_mutex);
}

static void make_host(void)
{
	test_host_init(&host, MEMORY, broken);
	host.ops.page_alloc = page_alloc;
	host.ops.page_free = page_free;
	host.ops.page_va = page_va;
	host.ops.mmu_lock = lock;
	host.ops.mmu_unlock = unlock;
	host.ops.trace = NULL;
}

static uint64_t *entry_of(uint64_t gva)
{
	uint64_t table = vcpu[0].cr3;
	unsigned level;

	for (level = 4; level > 1; level--) {
		uint64_t *entry = (uint64_t *)(host.memory + table) + PVM_LEVEL_INDEX(gva, level);

		if (!*entry) {
			*entry = next_table | ENTRY;
			next_table += PVM_PAGE_SIZE;
		}
		table = *entry & PVM_PTE_ADDR_MASK;
	}
	return (uint64_t *)(host.memory + table) + PVM_LEVEL_INDEX(gva, 1);
}

/* The pages of the vCPUs alternate, so that they share tables and groups of entries. */
static uint64_t page_gva(unsigned n, unsigned i)
{
	return BASE + (i * VCPUS + n) * PVM_PAGE_SIZE;
}

static void set_up(void)
{
	struct pvm_vm_config config = test_host_config();
	unsigned n, i;

	make_host();
	check(pvm_vm_init(&vm, &config, &host.ops, &host) == PVM_OK, "no VM");
	next_table = MEMORY / 2 + PVM_PAGE_SIZE;
	for (n = 0; n < VCPUS; n++) {
		check(pvm_vcpu_init(&vcpu[n], &vm, n) == PVM_OK, "no vCPU");
		vcpu[n].cr3 = vcpu[n].msr.switch_cr3 = MEMORY / 2;
	}
	for (n = 0; n < VCPUS; n++)
		for (i = 0; i < PAGES; i++)
			*entry_of(page_gva(n, i)) = (uint64_t)(i * VCPUS + n) * PVM_PAGE_SIZE | ENTRY;
}

static void touch(unsigned n, unsigned i)
{
	check(pvm_mmu_fault(&vcpu[n], pvm_gva(page_gva(n, i)), PVM_PF_U | PVM_PF_W,
			    PVM_MAY_SLEEP).kind == PVM_FAULT_FIXED, "a fault was not fixed");
}

static void *touch_all(void *arg)
{
	unsigned i, n = (unsigned)(uintptr_t)arg;

	for (i = 0; i < PAGES; i++)
		touch(n, i);
	return NULL;
}

/* What needs the lock, in between. */
static void *disturb(void *arg)
{
	unsigned i;

	(void)arg;
	for (i = 0; i < 200; i++) {
		pvm_mmu_unmap_gfns(&vm, pvm_gfn(i * 20), 16, PVM_MAY_SLEEP);
		pvm_mmu_age_gfns(&vm, pvm_gfn(0), 64);
		pvm_mmu_host_wrote(&vm, pvm_gfn((MEMORY / 2 >> PVM_PAGE_SHIFT) + 3 + i % 8), PVM_MAY_SLEEP);
		if (i % 16 == 0)
			check_mmu();
	}
	return NULL;
}

static void together(bool disturbed)
{
	pthread_t thread[VCPUS + 1];
	unsigned n, count = VCPUS + disturbed;

	for (n = 0; n < count; n++)
		check(!pthread_create(&thread[n], NULL, n < VCPUS ? touch_all : disturb,
				      (void *)(uintptr_t)n), "no thread");
	for (n = 0; n < count; n++)
		pthread_join(thread[n], NULL);
	check_mmu();
}

int main(void)
{
	struct pvm_mmu_stats stats;
	unsigned n;

	set_up();
	locks = 0;
	together(false);
	pvm_mmu_get_stats(&vm, &stats);
	check(stats.rmap_entries == VCPUS * PAGES, "a page is not filled");
	/* One in 32 pages makes room for its neighbours. */
	printf("parallel: %u first touches, the lock taken %lu times\n", VCPUS * PAGES, locks);
	check(locks < VCPUS * PAGES / 4, "first touches take the lock");
	pvm_mmu_shrink(&vm, 0, PVM_MAY_SLEEP);
	together(true);
	for (n = 0; n < VCPUS; n++)
		pvm_vcpu_destroy(&vcpu[n]);
	pvm_vm_destroy(&vm);
	test_host_fini(&host);
	return 0;
}
