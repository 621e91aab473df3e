/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * A vCPU to paper and back: struct pvm_vcpu_state, for snapshots.
 *
 * A state comes from outside and is not trusted. Everything is judged first;
 * nothing is taken over before all of it is found good. What pvm_vcpu_save()
 * writes of a vCPU that owes no completion, pvm_vcpu_restore() takes.
 *
 * spec: MSR_PVM_LINEAR_ADDRESS_RANGE (migration)
 */
#include <pvm/mmu.h>
#include <pvm/state.h>

#include "abi/abi.h"
#include "rules.h"

static void save_registers(const struct pvm_vcpu *vcpu, struct pvm_vcpu_state *state)
{
	unsigned i;

	memcpy(state->gpr, vcpu->gpr, sizeof(state->gpr));
	state->rip = vcpu->rip;
	state->rflags = vcpu->rflags;
	for (i = 0; i < PVM_SEG_COUNT; i++)
		state->seg[i] = vcpu->seg[i];
	state->fs_base = vcpu->fs_base;
	state->gs_base = vcpu->gs_base;
	memcpy(state->tls, vcpu->tls, sizeof(state->tls));
	state->cr0 = vcpu->cr0;
	state->cr2 = vcpu->cr2;
	state->cr3 = vcpu->cr3;
	state->cr4 = vcpu->cr4;
	state->cr8 = vcpu->cr8;
	state->efer = vcpu->efer;
	memcpy(state->dr, vcpu->dr, sizeof(state->dr));
	state->dr6 = vcpu->dr6;
	state->dr7 = vcpu->dr7;
	state->pkru = vcpu->pkru;
	state->gdtr_base = vcpu->gdtr.base;
	state->gdtr_limit = vcpu->gdtr.limit;
	state->idtr_base = vcpu->idtr.base;
	state->idtr_limit = vcpu->idtr.limit;
	state->ldtr = vcpu->ldtr;
	state->tr = vcpu->tr;
}

static void save_msrs(const struct pvm_msrs *msr, struct pvm_vcpu_state *state)
{
	state->star = msr->star;
	state->lstar = msr->lstar;
	state->cstar = msr->cstar;
	state->syscall_mask = msr->syscall_mask;
	state->kernel_gs_base = msr->kernel_gs_base;
	state->sysenter_cs = msr->sysenter_cs;
	state->sysenter_esp = msr->sysenter_esp;
	state->sysenter_eip = msr->sysenter_eip;
	state->pkrs = msr->pkrs;
	state->pat = msr->pat;
	state->tsc_aux = msr->tsc_aux;
	state->linear_address_range = msr->linear_address_range;
	state->vcpu_struct = msr->vcpu_struct;
	state->supervisor_rsp = msr->supervisor_rsp;
	state->supervisor_redzone = msr->supervisor_redzone;
	state->event_entry = msr->event_entry;
	state->retu_rip = msr->retu_rip;
	state->rets_rip = msr->rets_rip;
	state->switch_cr3 = msr->switch_cr3;
}

void pvm_vcpu_save(const struct pvm_vcpu *vcpu, struct pvm_vcpu_state *state)
{
	memset(state, 0, sizeof(*state));
	state->version = PVM_STATE_VERSION;
	state->size = sizeof(*state);
	state->abi = vcpu->vm->config.abi;
	state->user_mode = vcpu->user_mode;
	state->nmi_masked = vcpu->nmi_masked;
	state->nmi_pending = vcpu->nmi_pending;
	state->halted = vcpu->halted;
	if (vcpu->kept_event.waits)
		state->event = PVM_STATE_EVENT | vcpu->kept_event.error_code |
			       (uint64_t)vcpu->kept_event.vector << PVM_STATE_EVENT_VECTOR_SHIFT;
	save_registers(vcpu, state);
	save_msrs(&vcpu->msr, state);
}

/* ------------------------------------------------------------------------
 * Judging. Each returns the name of the first field that is not allowed, or
 * NULL. A rule that looks at another register (canonical at what width? legal
 * in which range?) is used in its widest form, as registers may have been
 * written in any order; events check entry points again (M7).
 */

/* Of those that can wait: exceptions and NMIs, and INT 0x80, but not #DF, which there is none of. */
static bool event_allowed(uint64_t event)
{
	uint64_t vector = (event & ~PVM_STATE_EVENT) >> PVM_STATE_EVENT_VECTOR_SHIFT;

	if (!(event & PVM_STATE_EVENT))
		return !event;
	return vector == PVM_VEC_SYSCALL32 || (vector < PVM_VEC_EXCEPTIONS && vector != PVM_VEC_DF);
}

static const char *judge_header(const struct pvm_vcpu *vcpu, const struct pvm_vcpu_state *s)
{
	if (s->version != PVM_STATE_VERSION)
		return "version";
	if (s->size != sizeof(*s))
		return "size";
	if (s->abi != (uint64_t)vcpu->vm->config.abi)
		return "abi";
	if (s->user_mode > 1)
		return "user_mode";
	if (s->nmi_masked > 1)
		return "nmi_masked";
	if (s->nmi_pending > 1)
		return "nmi_pending";
	if (!event_allowed(s->event))
		return "event";
	/* Only supervisor mode halts, and every event that leads on ends a halt. */
	if (s->halted > 1 || (s->halted && s->user_mode))
		return "halted";
	return NULL;
}

/* S4 */
static bool is_ldt_code(const struct pvm_vm_config *config, uint64_t cs)
{
	return config->host_ldt && (cs & PVM_SEL_LDT) && (cs & PVM_SEL_RPL) == PVM_SEL_RPL;
}

static bool segments_allowed(const struct pvm_vm_config *config, const struct pvm_vcpu_state *s)
{
	uint64_t cs = s->seg[PVM_CS], ss = s->seg[PVM_SS];
	unsigned i;

	for (i = 0; i < PVM_SEG_COUNT; i++) {
		if (s->seg[i] >> 16)
			return false;
		if (i != PVM_CS && i != PVM_SS &&
		    !pvm_selector_possible(config, (uint16_t)s->seg[i]))
			return false;
	}
	if (!s->user_mode)
		return cs == config->kernel_cs && ss == config->kernel_ds;
	return (cs == config->user_cs || cs == config->user32_cs || is_ldt_code(config, cs)) &&
	       pvm_selector_possible(config, (uint16_t)ss);
}

static const char *judge_segments(const struct pvm_vm_config *config,
				  const struct pvm_vcpu_state *s)
{
	unsigned bits = pvm_host_address_bits(config), i;

	if (!segments_allowed(config, s))
		return "seg";
	if (!pvm_canonical_in(s->fs_base, bits))
		return "fs_base";
	if (!pvm_canonical_in(s->gs_base, bits))
		return "gs_base";
	for (i = 0; i < sizeof(s->tls) / sizeof(s->tls[0]); i++)
		if (s->tls[i] != pvm_tls_rectify(s->tls[i]))
			return "tls";
	if (s->gdtr_limit >> 16)
		return "gdtr_limit";
	if (s->idtr_limit >> 16)
		return "idtr_limit";
	if (s->ldtr >> 16)
		return "ldtr";
	if (s->tr >> 16)
		return "tr";
	return NULL;
}

/* S1: the vCPU goes on there, with no instruction before it that could fault. */
static bool rip_allowed(const struct pvm_vm_config *config, const struct pvm_vcpu_state *s)
{
	if (s->user_mode && s->seg[PVM_CS] != config->user_cs)
		return pvm_fits_u32(s->rip);
	return pvm_canonical_in(s->rip, pvm_host_address_bits(config));
}

static const char *judge_control(const struct pvm_vcpu *vcpu, const struct pvm_vcpu_state *s)
{
	const struct pvm_vm_config *config = &vcpu->vm->config;

	if (!rip_allowed(config, s))
		return "rip";
	if (s->rflags != pvm_rflags_sanitize(s->rflags))
		return "rflags";
	if (s->cr0 != PVM_CR0_ONES)
		return "cr0";
	if (!pvm_cr3_allowed(config, s->cr3))
		return "cr3";
	if (!pvm_cr4_allowed(vcpu, s->cr4) || pvm_cr4_always(vcpu->vm) & ~s->cr4)
		return "cr4";
	if (s->cr8 & ~(uint64_t)PVM_CR8_TPR)
		return "cr8";
	if (s->efer != pvm_efer_of_host(config))
		return "efer";
	if (!pvm_fits_u32(s->dr6) || s->dr6 != pvm_dr6_stored(s->dr6))
		return "dr6";
	if (!pvm_fits_u32(s->dr7) || s->dr7 != pvm_dr7_stored(s->dr7))
		return "dr7";
	if (!pvm_fits_u32(s->pkru))
		return "pkru";
	return NULL;
}

static const char *judge_x86_msrs(const struct pvm_vm_config *config,
				  const struct pvm_vcpu_state *s)
{
	unsigned bits = pvm_host_address_bits(config);

	if (!pvm_star_allowed(config, s->star))
		return "star";
	if (!pvm_legal_in(s->lstar, pvm_linear_range_encode(&config->range), bits))
		return "lstar";
	if (!pvm_canonical_in(s->kernel_gs_base, bits))
		return "kernel_gs_base";
	if (!pvm_fits_u32(s->pkrs) || (s->pkrs && !config->host_pke))
		return "pkrs";
	if (!pvm_pat_allowed(s->pat))
		return "pat";
	if (!pvm_fits_u32(s->tsc_aux))
		return "tsc_aux";
	return NULL;
}

static const char *judge(const struct pvm_vcpu *vcpu, const struct pvm_vcpu_state *state)
{
	const struct pvm_vm_config *config = &vcpu->vm->config;
	const char *field = judge_header(vcpu, state);

	if (!field)
		field = judge_segments(config, state);
	if (!field)
		field = judge_control(vcpu, state);
	if (!field)
		field = judge_x86_msrs(config, state);
	if (!field && vcpu->vm->abi->judge)
		field = vcpu->vm->abi->judge(config, state);
	return field;
}

/* ------------------------------------------------------------------------
 * Taking over.
 */

static void load_registers(struct pvm_vcpu *vcpu, const struct pvm_vcpu_state *state)
{
	unsigned i;

	memcpy(vcpu->gpr, state->gpr, sizeof(vcpu->gpr));
	vcpu->rip = state->rip;
	vcpu->rflags = state->rflags;
	for (i = 0; i < PVM_SEG_COUNT; i++)
		vcpu->seg[i] = (uint16_t)state->seg[i];
	vcpu->fs_base = state->fs_base;
	vcpu->gs_base = state->gs_base;
	memcpy(vcpu->tls, state->tls, sizeof(vcpu->tls));
	pvm_drop_dangling(vcpu);
	vcpu->cr0 = state->cr0;
	vcpu->cr2 = state->cr2;
	vcpu->cr3 = state->cr3;
	vcpu->cr4 = state->cr4;
	vcpu->cr8 = state->cr8;
	vcpu->efer = state->efer;
	memcpy(vcpu->dr, state->dr, sizeof(vcpu->dr));
	vcpu->dr6 = state->dr6;
	vcpu->dr7 = state->dr7;
	vcpu->pkru = (uint32_t)state->pkru;
	vcpu->gdtr = (struct pvm_dtr){ state->gdtr_base, (uint16_t)state->gdtr_limit };
	vcpu->idtr = (struct pvm_dtr){ state->idtr_base, (uint16_t)state->idtr_limit };
	vcpu->ldtr = (uint16_t)state->ldtr;
	vcpu->tr = (uint16_t)state->tr;
}

/* All but vcpu_struct, which pvm_pvcs_attach() has set. */
static void load_msrs(struct pvm_msrs *msr, const struct pvm_vcpu_state *state)
{
	msr->star = state->star;
	msr->lstar = state->lstar;
	msr->cstar = state->cstar;
	msr->syscall_mask = state->syscall_mask;
	msr->kernel_gs_base = state->kernel_gs_base;
	msr->sysenter_cs = state->sysenter_cs;
	msr->sysenter_esp = state->sysenter_esp;
	msr->sysenter_eip = state->sysenter_eip;
	msr->pkrs = state->pkrs;
	msr->pat = state->pat;
	msr->tsc_aux = state->tsc_aux;
	msr->linear_address_range = state->linear_address_range;
	msr->supervisor_rsp = state->supervisor_rsp;
	msr->supervisor_redzone = state->supervisor_redzone;
	msr->event_entry = state->event_entry;
	msr->retu_rip = state->retu_rip;
	msr->rets_rip = state->rets_rip;
	msr->switch_cr3 = state->switch_cr3;
}

int pvm_vcpu_restore(struct pvm_vcpu *vcpu, const struct pvm_vcpu_state *state,
		     const char **field)
{
	struct pvm_vcpu_state copy = *state;
	int ret;

	*field = judge(vcpu, &copy);
	if (*field)
		return PVM_EINVAL;
	/* The last thing that can fail, and the first that changes anything. */
	ret = pvm_pvcs_attach(vcpu, copy.vcpu_struct);
	if (ret != PVM_OK) {
		*field = "vcpu_struct";
		return ret;
	}
	vcpu->user_mode = copy.user_mode;
	vcpu->nmi_masked = copy.nmi_masked;
	vcpu->nmi_pending = copy.nmi_pending;
	vcpu->halted = copy.halted;
	vcpu->kept_event.waits = copy.event;
	vcpu->kept_event.vector = (uint8_t)(copy.event >> PVM_STATE_EVENT_VECTOR_SHIFT);
	vcpu->kept_event.error_code = (uint32_t)copy.event;
	vcpu->io_late = false;
	load_registers(vcpu, &copy);
	load_msrs(&vcpu->msr, &copy);
	memset(&vcpu->request, 0, sizeof(vcpu->request));
	vcpu->state_gen++;
	/* Nothing made for the old CR3, CR4 and ranges may be used again (M7). */
	pvm_mmu_new_cr3(vcpu);
	pvm_mmu_flush_all(vcpu);
	return PVM_OK;
}
