/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Segments: selectors that the guest may load, the three TLS descriptors it
 * may set, and the CS and SS that it runs on.
 *
 * Never lets a descriptor through that is anything but flat user data: what
 * pvm_tls_rectify() returns goes into the host's GDT. An LDT has rules of its own: ldt.c.
 *
 * spec: States or registers on PVM modes, PVM_HC_LOAD_GS, PVM_HC_LOAD_TLS
 */
#include "rules.h"
#include "vcpu/ldt.h"

#define TLS_ENTRIES	3

enum pvm_selector {
	SELECTOR_BAD,
	SELECTOR_NULL,
	SELECTOR_FLAT,		/* user_ds and the CPUNODE entry: base 0 */
	SELECTOR_TLS,
	SELECTOR_CODE,
	SELECTOR_LDT,
};

/* Segment checks compare the index; at CPL 3 a DPL-3 data segment loads with
 * any RPL. C-010: nothing loads from the LDT, where the guest ABI has none. */
static enum pvm_selector classify(const struct pvm_vm_config *config, uint16_t sel)
{
	unsigned index = PVM_SEL_INDEX(sel), tls = config->tls_index;

	if (sel & PVM_SEL_LDT)
		return config->host_ldt ? SELECTOR_LDT : SELECTOR_BAD;
	if (index == 0)
		return SELECTOR_NULL;
	if (index == PVM_SEL_INDEX(config->user_ds) || index == PVM_SEL_INDEX(config->cpunode_sel))
		return SELECTOR_FLAT;
	if (index >= tls && index < tls + TLS_ENTRIES)
		return SELECTOR_TLS;
	if (index == PVM_SEL_INDEX(config->user_cs) || index == PVM_SEL_INDEX(config->user32_cs))
		return SELECTOR_CODE;
	return SELECTOR_BAD;
}

static uint64_t tls_of(const struct pvm_vcpu *vcpu, uint16_t sel)
{
	return vcpu->tls[pvm_index_clamped(PVM_SEL_INDEX(sel) - vcpu->vm->config.tls_index, TLS_ENTRIES)];
}

/* Does DS take it, being DPL 3? Data, and code that can be read. */
static bool is_readable(uint64_t desc)
{
	return (desc & PVM_DESC_P) && (!(desc & PVM_DESC_CODE) || (desc & PVM_DESC_RW));
}

bool pvm_selector_possible(const struct pvm_vm_config *config, uint16_t sel)
{
	return classify(config, sel) != SELECTOR_BAD;
}

bool pvm_data_selector_valid(const struct pvm_vcpu *vcpu, uint16_t sel)
{
	switch (classify(&vcpu->vm->config, sel)) {
	case SELECTOR_NULL:
	case SELECTOR_FLAT:
		return true;
	case SELECTOR_TLS:
		return tls_of(vcpu, sel) & PVM_DESC_P;
	case SELECTOR_LDT:
		return is_readable(pvm_ldt_entry(vcpu, sel));
	default:
		return false;
	}
}

bool pvm_selector_loadable(const struct pvm_vcpu *vcpu, uint16_t sel)
{
	return classify(&vcpu->vm->config, sel) == SELECTOR_CODE || pvm_data_selector_valid(vcpu, sel);
}

uint64_t pvm_vcpu_descriptor(const struct pvm_vcpu *vcpu, uint16_t sel)
{
	switch (classify(&vcpu->vm->config, sel)) {
	case SELECTOR_TLS:
		return tls_of(vcpu, sel);
	case SELECTOR_LDT:
		return pvm_ldt_entry(vcpu, sel);
	default:
		return 0;
	}
}

uint64_t pvm_load_gs(struct pvm_vcpu *vcpu, uint16_t sel)
{
	if (!pvm_data_selector_valid(vcpu, sel))
		sel = 0;
	vcpu->seg[PVM_GS] = sel;
	vcpu->gs_base = PVM_DESC_BASE(pvm_vcpu_descriptor(vcpu, sel));
	return vcpu->gs_base;
}

/*
 * C-230: what goes into the host's GDT is 32-bit data with DPL 3. A 16-bit
 * stack segment would show the guest bits of the host's stack pointer (IRET),
 * so it does not count as data.
 */
uint64_t pvm_tls_rectify(uint64_t desc)
{
	uint64_t needed = PVM_DESC_P | PVM_DESC_S | PVM_DESC_DB;

	if ((desc & needed) != needed || (desc & PVM_DESC_CODE))
		return 0;
	return (desc | PVM_DESC_DPL3 | PVM_DESC_ACCESSED) & ~PVM_DESC_L;
}

uint64_t pvm_cpunode_rectify(uint64_t desc)
{
	return (desc & PVM_DESC_LIMIT) | PVM_DESC_P | PVM_DESC_S | PVM_DESC_DPL3 | PVM_DESC_DB |
	       PVM_DESC_ACCESSED;
}

/*
 * A CPU goes on with what it had loaded when its descriptor goes away. Here it is
 * loaded again at each entry, at CPL 0, where it would fault: it becomes NULL.
 */
void pvm_drop_dangling(struct pvm_vcpu *vcpu)
{
	unsigned i;

	for (i = 0; i < PVM_SEG_COUNT; i++)
		if (i != PVM_CS && i != PVM_SS &&
		    classify(&vcpu->vm->config, vcpu->seg[i]) == SELECTOR_TLS &&
		    !(tls_of(vcpu, vcpu->seg[i]) & PVM_DESC_P))
			vcpu->seg[i] = 0;
}

uint64_t pvm_load_tls(struct pvm_vcpu *vcpu, const uint64_t desc[3])
{
	unsigned i;

	for (i = 0; i < TLS_ENTRIES; i++)
		vcpu->tls[i] = pvm_tls_rectify(desc[i]);
	pvm_drop_dangling(vcpu);
	vcpu->state_gen++;
	return vcpu->vm->config.tls_index;
}

bool pvm_stack_selector_own(const struct pvm_vm_config *config, uint16_t sel)
{
	enum pvm_selector kind = classify(config, sel);

	return config->host_ldt && (sel & PVM_SEL_RPL) == PVM_SEL_RPL &&
	       (kind == SELECTOR_TLS || kind == SELECTOR_LDT);
}

uint16_t pvm_vcpu_underlying_cs(const struct pvm_vcpu *vcpu)
{
	const struct pvm_vm_config *config = &vcpu->vm->config;
	uint16_t cs = vcpu->seg[PVM_CS];

	if (!vcpu->user_mode)
		return config->user_cs;
	if (pvm_unlikely(cs & PVM_SEL_LDT) && config->host_ldt)
		return cs | PVM_SEL_RPL;
	return cs == config->user32_cs ? config->user32_cs : config->user_cs;
}

uint16_t pvm_vcpu_underlying_ss(const struct pvm_vcpu *vcpu)
{
	const struct pvm_vm_config *config = &vcpu->vm->config;
	uint16_t ss = vcpu->seg[PVM_SS];

	return vcpu->user_mode && pvm_stack_selector_own(config, ss) ? ss : config->user_ds;
}
