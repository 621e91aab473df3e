/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * LDTs of guests. In a VM's slot, from pvm_switcher_config::ldt_va on, where the guest cannot reach them:
 *
 *	64 KiB		a table of entries that are all alike, see below
 *	64 KiB each	the LDT of vCPU 0, 1, ..: pvm_vcpu::ldt, read-only
 *
 * LDTR names one of the tables from shortly before the guest until it is left, and none while the host has
 * the CPU. As these tables are on the guest's roots only, segment registers get selectors of them there
 * (world.S), where a fault would be the switcher's own: what a register holds need not be in the LDT any
 * more. A CPU keeps such a register as it is, until it is loaded again. Here it gets the selector with an
 * entry of the first table: a byte that can be read.
 */
#include <pvm/x86.h>

#include "switcher/hw.h"
#include "vcpu/ldt.h"
#include "vcpu/rules.h"

#define SPARE_ENTRY	0x0040f10000000000ull	/* data, read-only, accessed, DPL 3, base and limit 0 */
#define LDT_SIZE	(PVM_LDT_ENTRIES * sizeof(uint64_t))
#define DATA_SEGMENTS	4

static const uint8_t data_segment[DATA_SEGMENTS] = { PVM_DS, PVM_ES, PVM_FS, PVM_GS };

static uint64_t table_of(const struct pvm_switcher *switcher, uint32_t id)
{
	return switcher->config.ldt_va + (id + 1) * LDT_SIZE;
}

uint64_t pvm_switcher_ldts_size(uint32_t count)
{
	return (count + 1) * LDT_SIZE;
}

/* M1: no U. */
static uint64_t data_bits(const struct pvm_switcher *switcher)
{
	return PVM_PTE_P | PVM_PTE_A | (switcher->config.features.nx ? PVM_PTE_NX : 0);
}

/* ------------------------------------------------------------------------
 * Places in the slot.
 */

static int make_spare(struct pvm_switcher_vm *vm)
{
	struct pvm_host_page page;
	uint64_t *entry, offset;
	unsigned i;

	if (pvm_switcher_slot_table(vm, &page) != PVM_OK)
		return PVM_ENOMEM;
	for (i = 0, entry = page.va; i < PVM_LDT_PER_PAGE; i++)
		entry[i] = SPARE_ENTRY;
	for (offset = 0; offset < LDT_SIZE; offset += PVM_PAGE_SIZE) {
		entry = pvm_switcher_slot_entry(vm, vm->switcher->config.ldt_va + offset, 1);
		if (!entry)
			return PVM_ENOMEM;
		*entry = page.pa.v | data_bits(vm->switcher);
	}
	return PVM_OK;
}

int pvm_switcher_vm_ldts(struct pvm_switcher_vm *vm, uint32_t count)
{
	struct pvm_switcher *switcher = vm->switcher;
	uint32_t i;
	int rc;

	if (!switcher->config.ldt_va || count > PVM_SWITCHER_LDTS || vm->ldts)
		return PVM_EINVAL;
	rc = make_spare(vm);
	for (i = 0; i < count && rc == PVM_OK; i++)
		if (!pvm_switcher_slot_entry(vm, table_of(switcher, i), 1))
			rc = PVM_ENOMEM;
	if (rc == PVM_OK)
		vm->ldts = count;
	return rc;
}

static void show(struct pvm_switcher_vcpu *svcpu, uint32_t index, struct pvm_host_page page)
{
	struct pvm_switcher_vm *vm = svcpu->vm;
	uint64_t va = table_of(vm->switcher, svcpu->vcpu->id) + index * PVM_PAGE_SIZE;
	volatile uint64_t *entry = pvm_switcher_slot_entry(vm, va, 1);

	*entry = page.va ? page.pa.v | data_bits(vm->switcher) : 0;	/* S6: not even the CPU writes them */
}

/* A page that is shown stays until the vCPU goes, and nothing was at its place before: no TLB has another. */
static void show_pages(struct pvm_switcher_vcpu *svcpu)
{
	const struct pvm_ldt *ldt = svcpu->vcpu->ldt;

	for (; svcpu->ldt_pages < PVM_LDT_PAGES && ldt->page[svcpu->ldt_pages].va; svcpu->ldt_pages++)
		show(svcpu, svcpu->ldt_pages, ldt->page[svcpu->ldt_pages]);
}

/* The pages are another's soon: their translations are not used again. */
void pvm_switcher_forget_ldt(struct pvm_switcher_vcpu *svcpu)
{
	const struct pvm_host_page none = { .va = NULL };

	if (!svcpu->ldt_pages)
		return;
	while (svcpu->ldt_pages)
		show(svcpu, --svcpu->ldt_pages, none);
	pvm_switcher_void_tags_of(svcpu->vm);
}

/* ------------------------------------------------------------------------
 * Descriptors in the area's GDT.
 */

void pvm_switcher_set_ldt_descriptor(struct pvm_switcher_cpu *cpu, uint16_t selector, uint64_t base,
				     uint32_t entries)
{
	uint64_t limit = entries * sizeof(uint64_t) - 1;
	uint64_t *entry = &cpu->gdt[selector >> 3];

	entry[0] = limit | (base & 0xffffff) << 16 | PVM_DESC_P | PVM_DESC_LDT | (base >> 24 & 0xff) << 56;
	entry[1] = base >> 32;
}

static uint16_t spare_selector(const struct pvm_switcher *switcher)
{
	return switcher->config.ldt_sel + LDT_SEL_SPARE;
}

void pvm_switcher_set_spare_ldt(struct pvm_switcher_cpu *cpu)
{
	const struct pvm_switcher *switcher = cpu->switcher;

	pvm_switcher_set_ldt_descriptor(cpu, spare_selector(switcher), switcher->config.ldt_va,
					PVM_LDT_ENTRIES);
}

/* ------------------------------------------------------------------------
 * Entries.
 */

static bool has_ldt(const struct pvm_vcpu *vcpu)
{
	return vcpu->ldt && vcpu->ldt->entries;
}

/* Does a register hold a selector that is not loaded as all others are? */
static bool needs_care(const struct pvm_vcpu *vcpu)
{
	unsigned i;

	for (i = 0; i < DATA_SEGMENTS; i++)
		if (vcpu->seg[data_segment[i]] & PVM_SEL_LDT)
			return true;
	return pvm_vcpu_underlying_ss(vcpu) != vcpu->vm->config.user_ds;
}

void pvm_switcher_take_ldt(struct pvm_switcher_cpu *cpu, struct pvm_switcher_vcpu *svcpu)
{
	struct pvm_vcpu *vcpu = svcpu->vcpu;
	struct pvm_switcher *switcher = cpu->switcher;

	svcpu->special &= ~SPECIAL_LDT;
	if (!has_ldt(vcpu) && !needs_care(vcpu))
		return;
	svcpu->special |= SPECIAL_LDT;
	if (!has_ldt(vcpu))
		return;
	show_pages(svcpu);
	pvm_switcher_set_ldt_descriptor(cpu, switcher->config.ldt_sel, table_of(switcher, vcpu->id),
					vcpu->ldt->entries);
}

/* CS and SS of user mode, in the area's frame: IRET judges them (S4). True: it has to be IRET. */
static bool fill_user_selectors(struct pvm_switcher_cpu *cpu, const struct pvm_vcpu *vcpu)
{
	cpu->frame.cs = pvm_vcpu_underlying_cs(vcpu);
	cpu->frame.ss = pvm_vcpu_underlying_ss(vcpu);
	return cpu->frame.ss != cpu->user_ds;
}

void pvm_switcher_enter_ldt(struct pvm_switcher_cpu *cpu, struct pvm_switcher_vcpu *svcpu)
{
	const struct pvm_switcher *switcher = cpu->switcher;
	struct pvm_vcpu *vcpu = svcpu->vcpu;
	bool care = false;
	unsigned i;

	cpu->guest_ldt = has_ldt(vcpu) ? switcher->config.ldt_sel : 0;
	for (i = 0; i < DATA_SEGMENTS; i++) {
		uint16_t *seg = &vcpu->seg[data_segment[i]], from = cpu->guest_ldt;

		cpu->segment[i] = 0;
		if (!(*seg & PVM_SEL_LDT))
			continue;
		if (!pvm_data_selector_valid(vcpu, *seg))
			from = spare_selector(switcher);
		cpu->segment[i] = *seg | (uint32_t)from << 16;
		*seg = 0;	/* until world.S has loaded it, and reads it back */
		care = true;
	}
	cpu->segment_base[0] = vcpu->fs_base;
	cpu->segment_base[1] = vcpu->gs_base;
	if (vcpu->user_mode && fill_user_selectors(cpu, vcpu))
		care = true;
	if (care)
		cpu->mitigations |= MITIGATE_SELECTORS;
	if (!care && !cpu->guest_ldt)
		svcpu->special &= ~SPECIAL_LDT;
	hw_lldt(cpu->guest_ldt);
}

/* What was put aside is not put into registers again: the vCPU may come back from another CPU, where it has
 * none of it any more, and nothing else tells (svcpu->special). */
void pvm_switcher_leave_ldt(struct pvm_switcher_cpu *cpu)
{
	cpu->mitigations &= ~MITIGATE_SELECTORS;
	hw_lldt(0);
}
