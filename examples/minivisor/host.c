/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Minivisor as libpvm's host: the operations that the engine and the switcher call.
 * Most of this runs under the MMU lock; nothing here calls the engine.
 */
#include "apic.h"
#include "decode.h"
#include "memory.h"
#include "print.h"
#include "vm.h"
#include "xen.h"

#define PCID_FIRST	16	/* minivisor itself uses PCID 0 */

struct pvm_switcher switcher;
static struct pvm_switcher_cpu *switcher_cpus[MAX_CPUS];

/* ------------------------------------------------------------------------
 * struct pvm_host_ops.
 */

static int take_page(struct pvm_host_page *page)
{
	page->va = page_alloc();
	if (!page->va)
		return PVM_ENOMEM;
	page->pa = pvm_hpa(direct_to_phys(page->va));
	return PVM_OK;
}

static int host_page_alloc(void *host, enum pvm_sleep sleep, struct pvm_host_page *page)
{
	(void)host;
	(void)sleep;
	return take_page(page);
}

static void host_page_free(void *host, struct pvm_host_page page)
{
	(void)host;
	page_free(page.va);
}

static void *host_page_va(void *host, pvm_hpa_t pa)
{
	(void)host;
	return phys_to_virt(pa.v);
}

/* Guest memory is one stretch, aligned to 2 MiB. */
static int host_gfn_to_frame(void *host, pvm_gfn_t gfn, bool write, enum pvm_sleep sleep,
			     struct pvm_frame *frame)
{
	uint64_t gpa = pvm_gfn_to_gpa(gfn).v, start = direct_to_phys(vm.memory);
	uint8_t level;

	(void)host;
	(void)write;
	(void)sleep;
	if (gfn.v >= vm.memory_size >> PVM_PAGE_SHIFT)
		return PVM_ENOENT;
	frame->pa = pvm_hpa(start + gpa);
	frame->writable = true;
	frame->max_level = 1;
	for (level = 2; level <= 3; level++) {
		uint64_t size = PVM_LEVEL_SIZE(level);

		if (start & (size - 1) || (gpa & -size) + size > vm.memory_size)
			break;
		frame->max_level = level;
	}
	return PVM_OK;
}

static void *host_gfn_to_va(void *host, pvm_gfn_t gfn, bool write)
{
	(void)host;
	(void)write;
	if (gfn.v >= vm.memory_size >> PVM_PAGE_SHIFT)
		return NULL;
	return vm.memory + pvm_gfn_to_gpa(gfn).v;
}

/* S8: guest memory never moves and is always writable. */
static int host_pin(void *host, pvm_gfn_t gfn, void **va, pvm_hpa_t *pa)
{
	*va = host_gfn_to_va(host, gfn, true);
	*pa = pvm_hpa(*va ? direct_to_phys(*va) : PVM_INVALID_ADDR);
	return *va ? PVM_OK : PVM_ENOENT;
}

static void host_unpin(void *host, pvm_gfn_t gfn, void *va)
{
	(void)host;
	(void)gfn;
	(void)va;
}

static void host_tlb_flush(void *host, const struct pvm_tlb_flush *flush)
{
	(void)host;
	pvm_switcher_flush(&vm.switcher, flush);
}

static void host_lock(void *host)
{
	(void)host;
	spin_lock(&vm.mmu_lock);
}

static void host_unlock(void *host)
{
	(void)host;
	spin_unlock(&vm.mmu_lock);
}

/* What the guest's local APIC has for it. */
static uint32_t host_events(void *host, struct pvm_vcpu *pvm, uint8_t *vector)
{
	struct vm_vcpu *vcpu = pvm->backend;

	(void)host;
	return local_apic_waits(vcpu->apic, pvm->cr8, vector);
}

static void host_event_taken(void *host, struct pvm_vcpu *pvm, uint32_t waits, uint8_t vector)
{
	struct vm_vcpu *vcpu = pvm->backend;

	(void)host;
	local_apic_taken(vcpu->apic, waits, vector);
}

/* The local APIC's, without the way out of the switcher; what can be delivered now has to have it. */
static bool host_wrmsr(void *host, struct pvm_vcpu *pvm, uint32_t index, uint64_t value)
{
	struct vm_vcpu *vcpu = pvm->backend;
	uint8_t vector;

	if (!platform_wrmsr(vcpu, index, value))
		return false;
	if (host_events(host, pvm, &vector))
		pvm_switcher_kick(&vcpu->switcher);
	return true;
}

const struct pvm_host_ops host_ops = {
	.page_alloc = host_page_alloc,
	.page_free = host_page_free,
	.page_va = host_page_va,
	.gfn_to_frame = host_gfn_to_frame,
	.gfn_to_va = host_gfn_to_va,
	.pin = host_pin,
	.unpin = host_unpin,
	.tlb_flush = host_tlb_flush,
	.mmu_lock = host_lock,
	.mmu_unlock = host_unlock,
	.decode = decode_insn,
	.events = host_events,
	.event_taken = host_event_taken,
	.wrmsr = host_wrmsr,
	.clock = xen_host_clock,
	.set_timer = xen_host_set_timer,
	.kick = xen_host_kick,
	.notify = xen_host_notify,
};

/* ------------------------------------------------------------------------
 * struct pvm_switcher_ops.
 */

static int table_alloc(void *host, struct pvm_host_page *page)
{
	(void)host;
	return take_page(page);
}

static pvm_hpa_t va_to_pa(void *host, const void *va)
{
	(void)host;
	return pvm_hpa(virt_to_phys(va));
}

static void kick(void *host, uint32_t cpu)
{
	(void)host;
	apic_kick(cpu);
}

const struct pvm_switcher_ops switcher_ops = {
	.page_alloc = table_alloc,
	.page_free = host_page_free,
	.va_to_pa = va_to_pa,
	.kick = kick,
};

static uint64_t area_va(uint32_t cpu)
{
	return image_address(AREAS_OFFSET + cpu * (uint64_t)PVM_SWITCHER_AREA_SIZE);
}

static void map_area(struct cpu *cpu)
{
	uint64_t va = area_va(cpu->index), offset;

	for (offset = 0; offset < PVM_SWITCHER_AREA_USED; offset += PVM_PAGE_SIZE) {
		void *page = page_alloc();

		if (!page)
			fail("no memory for CPU %u", cpu->index);
		memory_map(va + offset, direct_to_phys(page), PVM_PTE_W | PVM_PTE_NX);
	}
	cpu->area = (void *)va;
}

static void print_mitigations(uint32_t mitigations)
{
	uint32_t bit;

	print("minivisor: mitigations:");
	for (bit = 1; bit; bit <<= 1)
		if (mitigations & bit)
			print(" %s", pvm_switcher_mitigation_name(bit));
	print(mitigations ? "\n" : " none\n");
}

void host_init(void)
{
	struct pvm_switcher_config config = {
		.host_cs = KERNEL_CS,
		.host_ss = KERNEL_DS,
		.user32_cs = USER32_CS,
		.user_ds = USER_DS,
		.user_cs = USER_CS,
		.cpunode_sel = CPUNODE_SEL,
		.tls_index = TLS_INDEX,
		.tss_sel = SWITCHER_TSS_SEL,
		.ldt_sel = SWITCHER_LDT_SEL,
		.meltdown_accepted = true,	/* there is one VM, and no secret but its own */
		.pcid_first = PCID_FIRST,
		.pcid_count = PVM_SWITCHER_TAGS,
		.window_va = image_address(WINDOWS_OFFSET),
		.window_count = MAX_CPUS,
		.ldt_va = image_address(LDTS_OFFSET),
	};
	const char *why = NULL;
	uint32_t i;

	pvm_switcher_detect(&config.features);
	print_mitigations(config.features.mitigations);
	if (pvm_switcher_init(&switcher, &config, &switcher_ops, NULL, switcher_cpus, cpu_count, &why))
		fail("the switcher cannot work here: %s", why);
	for (i = 0; i < cpu_count; i++) {
		cpus[i].index = i;
		map_area(&cpus[i]);
	}
}

void host_init_cpu(struct cpu *cpu)
{
	const char *why = NULL;

	if (pvm_switcher_cpu_init(&switcher, cpu->area, cpu->index, &why))
		fail("the switcher cannot work on CPU %u: %s", cpu->index, why);
	cpu->switcher = switcher_cpus[cpu->index];
}
