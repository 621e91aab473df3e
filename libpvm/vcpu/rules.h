/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * What the registers of a vCPU may hold: the checks that a write by the guest
 * and the restoring of a snapshot have in common. Each is over plain values, so
 * that a snapshot can be judged before anything of it is taken over.
 *
 * Internal to libpvm/vcpu/. Never changes a vCPU.
 */
#ifndef PVM_VCPU_RULES_H
#define PVM_VCPU_RULES_H

#include "internal.h"

/* CR0 has one value. spec: States or registers on PVM modes (C-024) */
#define PVM_CR0_ONES	(PVM_CR0_PE | PVM_CR0_MP | PVM_CR0_ET | PVM_CR0_NE | PVM_CR0_WP | \
			 PVM_CR0_AM | PVM_CR0_PG)
#define PVM_CR0_ZEROS	(PVM_CR0_EM | PVM_CR0_TS | PVM_CR0_NW | PVM_CR0_CD)

/* CR4 bits that are always set. (C-025) */
#define PVM_CR4_ONES	(PVM_CR4_PAE | PVM_CR4_FSGSBASE)

/* EFER bits that are always set; NXE follows the host. (C-029) */
#define PVM_EFER_ONES	(PVM_EFER_SCE | PVM_EFER_LME | PVM_EFER_LMA)

/* cr.c */

/* May CR3 or MSR_PVM_SWITCH_CR3 hold @cr3 (PVM_CR3_NOFLUSH is no part of it)? */
bool pvm_cr3_allowed(const struct pvm_vm_config *config, uint64_t cr3);
/* May the guest write @cr4? Does not look at what CR4 was. */
bool pvm_cr4_allowed(const struct pvm_vcpu *vcpu, uint64_t cr4);
/* The bits for which it may not: none is no reason to refuse. */
uint64_t pvm_cr4_refused(const struct pvm_vcpu *vcpu, uint64_t cr4);
/* What a guest of this VM may ever have set. */
uint64_t pvm_cr4_mask(const struct pvm_vm *vm);
/* The bits of CR4 that are set whatever the guest writes: the host's, the ABI's. */
uint64_t pvm_cr4_always(const struct pvm_vm *vm);
/* The ABI's of these. */
uint64_t pvm_cr4_of_abi(const struct pvm_vm *vm);
/* EFER as it always is. */
uint64_t pvm_efer_of_host(const struct pvm_vm_config *config);

/* msr.c */

/* M7: @size bytes from an entry point on are legal: *@entry = @value; else PVM_EINVAL. */
int pvm_msr_write_entry(const struct pvm_vcpu *vcpu, uint64_t *entry, uint64_t value, uint64_t size);

/* S9: is none of x86's MSRs in the ABI's range? */
bool pvm_msr_range_is_free(const struct pvm_abi_ops *abi);

bool pvm_star_allowed(const struct pvm_vm_config *config, uint64_t star);
uint64_t pvm_star_reset(const struct pvm_vm_config *config);
bool pvm_pat_allowed(uint64_t pat);

/* range.c */

/* Are bits 63..@bits-1 of @addr equal? */
bool pvm_canonical_in(uint64_t addr, unsigned bits);
/* Is @addr in the lower half or in a range of @msr (an encoded, checked range)?
 * @bits: linear address width. (M7) */
bool pvm_legal_in(uint64_t addr, uint64_t msr, unsigned bits);
/* Linear address width in bits: the guest's as CR4.LA57 is now, the host's. */
unsigned pvm_guest_address_bits(const struct pvm_vcpu *vcpu);
unsigned pvm_host_address_bits(const struct pvm_vm_config *config);
/* May MSR_PVM_LINEAR_ADDRESS_RANGE hold @msr? */
bool pvm_linear_range_allowed(const struct pvm_vm_config *config, uint64_t msr);

/* segment.c */

/* The harmless form of a GDT descriptor from the guest; 0: none. */
uint64_t pvm_tls_rectify(uint64_t desc);
/* @desc's limit, in which Linux keeps the numbers of CPU and node (LSL), as data to read from 0 on. */
uint64_t pvm_cpunode_rectify(uint64_t desc);
/* Does @sel name NULL or an entry with DPL 3, code included, present or not? Any of an LDT does. */
bool pvm_selector_possible(const struct pvm_vm_config *config, uint16_t sel);

/* May user mode have @sel in SS beside user_ds? It names an entry of the LDT or of the TLS, with RPL 3 (S4),
 * on a host that has LDTs: what that is the CPU judges. */
bool pvm_stack_selector_own(const struct pvm_vm_config *config, uint16_t sel);

/* Make NULL of DS, ES, FS and GS that name a TLS entry which is not there. */
void pvm_drop_dangling(struct pvm_vcpu *vcpu);

/* debug.c */

uint64_t pvm_dr6_stored(uint64_t value);
uint64_t pvm_dr7_stored(uint64_t value);

/* vcpu.c */

/* Is @value one that a 32-bit register can hold? */
static inline bool pvm_fits_u32(uint64_t value)
{
	return value >> 32 == 0;
}

#endif /* PVM_VCPU_RULES_H */
