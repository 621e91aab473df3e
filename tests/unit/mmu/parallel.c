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

#define MEMORY	(64ull << 20)
#define VCPUS	2
#define PAGES	4096u		/* of each vCPU */
#define BASE	0x40000000ull
#define ENTRY	(PVM_PTE_P | PVM_PTE_W | PVM_PTE_U)

static struct pvm_vm vm;
static struct pvm_vcpu vcpu[VCPUS];
static uint8_t *memory;
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

static int page_alloc(void *host, enum pvm_sleep sleep, struct pvm_host_page *page)
{
	(void)host;
	(void)sleep;
	page->va = aligned_alloc(PVM_PAGE_SIZE, PVM_PAGE_SIZE);
	if (!page->va)
		return PVM_ENOMEM;
	memset(page->va, 0, PVM_PAGE_SIZE);
	page->pa = pvm_hpa((uint64_t)(uintptr_t)page->va);
	return PVM_OK;
}

static void page_free(void *host, struct pvm_host_page page)
{
	(void)host;
	free(page.va);
}

static void *page_va(void *host, pvm_hpa_t pa)
{
	(void)host;
	return (void *)(uintptr_t)pa.v;
}

static int gfn_to_frame(void *host, pvm_gfn_t gfn, bool write, enum pvm_sleep sleep,
			struct pvm_frame *frame)
{
	(void)host;
	(void)write;
	(void)sleep;
	if (gfn.v >= MEMORY >> PVM_PAGE_SHIFT)
		return PVM_ENOENT;
	*frame = (struct pvm_frame){ { (1ull << 44) + (gfn.v << PVM_PAGE_SHIFT) }, 1, true };
	return PVM_OK;
}

static void *gfn_to_va(void *host, pvm_gfn_t gfn, bool write)
{
	(void)host;
	(void)write;
	return gfn.v < MEMORY >> PVM_PAGE_SHIFT ? memory + (gfn.v << PVM_PAGE_SHIFT) : NULL;
}

static int pin(void *host, pvm_gfn_t gfn, void **va)
{
	*va = gfn_to_va(host, gfn, true);
	return *va ? PVM_OK : PVM_EFAULT;
}

static void unpin(void *host, pvm_gfn_t gfn)
{
	(void)host;
	(void)gfn;
}

static void tlb_flush(void *host, const struct pvm_tlb_flush *flush)
{
	(void)host;
	(void)flush;
}

static void lock(void *host)
{
	(void)host;
	pthread_mutex_lock(&mmu_mutex);
	locks++;
}

static void unlock(void *host)
{
	(void)host;
	pthread_mutex_unlock(&mmu_mutex);
}

static const struct pvm_host_ops ops = {
	.page_alloc = page_alloc, .page_free = page_free, .page_va = page_va,
	.gfn_to_frame = gfn_to_frame, .gfn_to_va = gfn_to_va, .pin = pin, .unpin = unpin,
	.tlb_flush = tlb_flush, .mmu_lock = lock, .mmu_unlock = unlock,
};

static const struct pvm_vm_config config = {
	.abi = PVM_ABI_DUAL_CR3,
	.host_nx = true, .host_pke = true, .host_umip = true, .host_osxsave = true,
	.host_maxphyaddr = 46, .guest_maxphyaddr = 46,
	.user32_cs = 0x23, .user_ds = 0x2b, .user_cs = 0x33, .cpunode_sel = 0x7b, .tls_index = 12,
	.kernel_cs = 0x10, .kernel_ds = 0x18,
	.range = { 256, 510, PVM_RANGE_INDEX_NONE, PVM_RANGE_INDEX_NONE },
};

static uint64_t *entry_of(uint64_t gva)
{
	uint64_t table = vcpu[0].cr3;
	unsigned level;

	for (level = 4; level > 1; level--) {
		uint64_t *entry = (uint64_t *)(memory + table) + PVM_LEVEL_INDEX(gva, level);

		if (!*entry) {
			*entry = next_table | ENTRY;
			next_table += PVM_PAGE_SIZE;
		}
		table = *entry & PVM_PTE_ADDR_MASK;
	}
	return (uint64_t *)(memory + table) + PVM_LEVEL_INDEX(gva, 1);
}

/* The pages of the vCPUs alternate, so that they share tables and groups of entries. */
static uint64_t page_gva(unsigned n, unsigned i)
{
	return BASE + (i * VCPUS + n) * PVM_PAGE_SIZE;
}

static void set_up(void)
{
	unsigned n, i;

	memory = aligned_alloc(PVM_PAGE_SIZE, MEMORY);
	check(memory && pvm_vm_init(&vm, &config, &ops, NULL) == PVM_OK, "no VM");
	memset(memory, 0, MEMORY);
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
		pvm_mmu_unmap_gfns(&vm, pvm_gfn(i * 20), 16);
		pvm_mmu_age_gfns(&vm, pvm_gfn(0), 64);
		pvm_mmu_host_wrote(&vm, pvm_gfn((MEMORY / 2 >> PVM_PAGE_SHIFT) + 3 + i % 8));
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
	pvm_mmu_shrink(&vm, 0);
	together(true);
	for (n = 0; n < VCPUS; n++)
		pvm_vcpu_destroy(&vcpu[n]);
	pvm_vm_destroy(&vm);
	free(memory);
	return 0;
}
