/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The copy of a guest's LDT that a CPU may have. Of guest ABIs that have LDTs, on hosts that load them
 * (pvm_vm_config::host_ldt).
 */
#ifndef PVM_VCPU_LDT_H
#define PVM_VCPU_LDT_H

#include "internal.h"

#define PVM_LDT_ENTRIES	8192u
#define PVM_LDT_PER_PAGE (PVM_PAGE_SIZE / sizeof(uint64_t))	/* entries */
#define PVM_LDT_PAGES	(PVM_LDT_ENTRIES / PVM_LDT_PER_PAGE)

/* Nothing but code and data of DPL 3 is in it (S6). The host shows the pages to the CPU, and the guest cannot
 * reach them. */
struct pvm_ldt {
	struct pvm_host_page own;
	uint32_t entries;				/* 0: none is loaded */
	struct pvm_host_page page[PVM_LDT_PAGES];	/* va NULL: none yet. They stay as long as the vCPU */
};

/* The harmless form of an LDT entry from the guest; 0: none. */
uint64_t pvm_ldt_rectify(uint64_t desc);

/* An LDT of @entries, at most PVM_LDT_ENTRIES and not 0, is to come: its pages are there, and none is loaded.
 * PVM_OK, or PVM_ENOMEM: nothing is loaded all the same. It does not sleep where pvm_vcpu::brief is set. */
int pvm_ldt_open(struct pvm_vcpu *vcpu, uint32_t entries);
/* Its page @index holds what the guest has: make it harmless (S6). */
void pvm_ldt_rectify_page(struct pvm_vcpu *vcpu, unsigned index);
/* All of its pages are such: it is loaded from the next entry on. 0: none is. */
void pvm_ldt_load(struct pvm_vcpu *vcpu, uint32_t entries);

/* The entry that @sel names, which has PVM_SEL_LDT set; 0: there is none. */
uint64_t pvm_ldt_entry(const struct pvm_vcpu *vcpu, uint16_t sel);

/* The vCPU is destroyed. */
void pvm_ldt_destroy(struct pvm_vcpu *vcpu);

#endif /* PVM_VCPU_LDT_H */
