// SPDX-License-Identifier: GPL-2.0
/*
 * Registers by KVM's names. The engine has the state of a vCPU in PVM mode; KVM's copies of the
 * general registers, RIP, CR2, CR3 and PKRU are made at each exit. What user space or KVM's
 * emulator sets beyond the general registers is collected here and taken over as a whole, with
 * the engine's checks, before the next entry.
 */
#include <linux/nospec.h>

#include "kvm_pvm.h"

static bool has_keys(void)
{
	return pvm_kvm_switcher.config.features.pke;
}

void pvm_kvm_general_out(struct pvm_kvm_vcpu *v)
{
	struct kvm_vcpu_arch *arch = &v->vcpu.arch;

	memcpy(arch->regs, v->pvm.gpr, sizeof(v->pvm.gpr));
	*pvm_kvm_rip(arch) = v->pvm.rip;
	pvm_kvm_cache_is_valid(arch);
}

void pvm_kvm_registers_out(struct pvm_kvm_vcpu *v)
{
	struct kvm_vcpu_arch *arch = &v->vcpu.arch;

	pvm_kvm_general_out(v);
	arch->cr2 = v->pvm.cr2;
	arch->cr3 = v->pvm.cr3;
	/* Not what it has whether it wants or not: by its CPUID, KVM_SET_SREGS might refuse that. */
	arch->cr4 = v->pvm.cr4 & ~(v->cr4_always & ~v->cr4_wanted);
	if (has_keys())
		arch->pkru = v->pvm.pkru;
	memcpy(arch->db, v->pvm.dr, sizeof(v->pvm.dr));
	arch->dr6 = v->pvm.dr6;
	arch->dr7 = v->pvm.dr7;
	pvm_kvm_cache_is_valid(arch);
}

void pvm_kvm_registers_in(struct pvm_kvm_vcpu *v)
{
	const struct kvm_vcpu_arch *arch = &v->vcpu.arch;

	memcpy(v->pvm.gpr, arch->regs, sizeof(v->pvm.gpr));
	v->pvm.rip = *pvm_kvm_rip(&v->vcpu.arch);
	v->pvm.cr2 = arch->cr2;
	if (has_keys())
		v->pvm.pkru = arch->pkru;
}

/* Every register has its value in KVM's copies. */
void pvm_kvm_cache_reg(struct kvm_vcpu *vcpu, enum kvm_reg reg)
{
	memset(&vcpu->arch.regs_avail, 0xff, sizeof(vcpu->arch.regs_avail));
}

/* ------------------------------------------------------------------------
 * Into 64-bit mode.
 */

static bool runs(const struct pvm_kvm_vcpu *v)
{
	return v->is_pvm && !v->is_new;
}

/* The engine's, but for an IF that could not be written yet: pvm_kvm_set_if(). */
static unsigned long running_rflags(const struct pvm_kvm_vcpu *v)
{
	unsigned long rflags = pvm_vcpu_rflags(&v->pvm);

	if (v->late_if != IF_IS_NOT_LATE && !v->pvm.user_mode)
		rflags = (rflags & ~X86_EFLAGS_IF) | (v->late_if == IF_IS_LATE_SET ? X86_EFLAGS_IF : 0);
	return rflags;
}

/* A vCPU that runs is taken back from the engine: what is not set now stays as it is there. */
static void take_back(struct pvm_kvm_vcpu *v)
{
	unsigned int i;

	if (!runs(v))
		return;
	for (i = 0; i <= VCPU_SREG_GS; i++)
		pvm_kvm_get_segment(&v->vcpu, &v->seg[i], i);
	pvm_kvm_get_idt(&v->vcpu, &v->idt);
	pvm_kvm_get_gdt(&v->vcpu, &v->gdt);
	v->rflags = running_rflags(v);
	v->late_if = IF_IS_NOT_LATE;
	v->is_new = true;
}

/* Something was set, here or in KVM's copies. What is kept here is set after take_back(). */
static void changed(struct pvm_kvm_vcpu *v)
{
	take_back(v);
	/* 32-bit code has no mode but the user's. */
	v->is_pvm = (v->vcpu.arch.efer & EFER_LMA) && (v->vcpu.arch.cr0 & X86_CR0_PG) &&
		    (v->seg[VCPU_SREG_CS].l || v->seg[VCPU_SREG_SS].dpl == 3);
	v->is_new = true;
}

/* User space has put it back into the modes before 64-bit mode: as after a reset it has no PVCS
 * then, nor anything else that a PVM guest sets up. */
void pvm_kvm_leave_pvm(struct pvm_kvm_vcpu *v)
{
	pvm_vcpu_reset(&v->pvm);
	v->exit.kind = PVM_EXIT_KICK;
	v->action = PVM_ACT_RESUME;
	v->late_if = IF_IS_NOT_LATE;
	v->acts = v->is_halted = v->was_pvm = false;
}

static u16 data_selector(struct pvm_kvm_vcpu *v, int seg)
{
	u16 selector = v->seg[seg].selector;

	/* One of an LDT is judged when the guest goes on: a snapshot's LDT is loaded later. */
	if ((selector & SEGMENT_TI_MASK) && v->pvm.vm->config.host_ldt)
		return selector;
	return pvm_selector_loadable(&v->pvm, selector) ? selector : 0;
}

/* What waits for user space's answer, or has it and waits for memory, goes on waiting. */
static int restore(struct pvm_kvm_vcpu *v, const struct pvm_vcpu_state *state, const char **field)
{
	struct pvm_request request = v->pvm.request;
	bool io_late = v->pvm.io_late;
	int error = pvm_vcpu_restore(&v->pvm, state, field);

	v->pvm.request = request;
	v->pvm.io_late = io_late;
	return error;
}

const char *pvm_kvm_take_over(struct pvm_kvm_vcpu *v)
{
	const struct kvm_vcpu_arch *arch = &v->vcpu.arch;
	struct pvm_vcpu_state state;
	const char *field = "state";
	unsigned int i;

	/* KVM_SET_SREGS does not hear of a refusal. */
	if (arch->efer & ~(u64)(EFER_SCE | EFER_LME | EFER_LMA | EFER_NX))
		return "efer";
	pvm_vcpu_save(&v->pvm, &state);
	for (i = 0; i < PVM_GPR_COUNT; i++)
		state.gpr[i] = arch->regs[i];
	state.rip = *pvm_kvm_rip(&v->vcpu.arch);
	state.rflags = pvm_rflags_sanitize(v->rflags);
	state.user_mode = v->seg[VCPU_SREG_SS].dpl == 3;
	state.halted = false;	/* KVM knows: KVM_SET_MP_STATE */
	if (state.user_mode) {
		state.seg[PVM_CS] = v->seg[VCPU_SREG_CS].selector;
		state.seg[PVM_SS] = v->seg[VCPU_SREG_SS].selector;
	} else {	/* also where it was in user mode until now */
		state.seg[PVM_CS] = v->pvm.vm->config.kernel_cs;
		state.seg[PVM_SS] = v->pvm.vm->config.kernel_ds;
	}
	state.seg[PVM_DS] = data_selector(v, VCPU_SREG_DS);
	state.seg[PVM_ES] = data_selector(v, VCPU_SREG_ES);
	state.seg[PVM_FS] = data_selector(v, VCPU_SREG_FS);
	state.seg[PVM_GS] = data_selector(v, VCPU_SREG_GS);
	state.fs_base = v->seg[VCPU_SREG_FS].base;
	state.gs_base = v->seg[VCPU_SREG_GS].base;
	state.cr2 = arch->cr2;
	if (has_keys())
		state.pkru = arch->pkru;
	state.cr3 = arch->cr3;
	state.cr4 = arch->cr4 | v->cr4_always;
	state.cr8 = kvm_get_cr8((struct kvm_vcpu *)&v->vcpu);
	for (i = 0; i < 4; i++)
		state.dr[i] = arch->db[i];
	state.dr6 = arch->dr6;
	state.dr7 = arch->dr7;
	state.gdtr_base = v->gdt.address;
	state.gdtr_limit = v->gdt.size;
	state.idtr_base = v->idt.address;
	state.idtr_limit = v->idt.size;
	if (restore(v, &state, &field) != PVM_OK)
		return field;
	if (!state.user_mode)
		pvm_event_set_if(&v->pvm, v->rflags & X86_EFLAGS_IF);
	pvm_kvm_log_pvcs(v);
	v->is_halted = false;
	v->is_new = false;
	v->was_pvm = true;
	return NULL;
}

/* ------------------------------------------------------------------------
 * Segments and tables.
 */

/* Flat, but for one of the guest's own, of the TLS or an LDT, which is as its descriptor says. */
static void describe(struct kvm_segment *var, const struct pvm_vcpu *pvm, u16 selector, bool code, bool is64,
		     int dpl)
{
	u64 desc = pvm_vcpu_descriptor(pvm, selector);

	*var = (struct kvm_segment){
		.limit = ~0u, .selector = selector, .type = code ? 0xb : 0x3,
		.present = 1, .dpl = dpl, .db = !is64, .s = 1, .l = code && is64, .g = 1,
	};
	if (!desc)
		return;
	var->base = PVM_DESC_BASE(desc);
	var->g = desc >> 55 & 1;
	var->limit = (desc & 0xffff) | (desc >> 32 & 0xf0000);
	if (var->g)
		var->limit = var->limit << 12 | 0xfff;
	var->type = desc >> 40 & 0xf;
	var->present = !!(desc & PVM_DESC_P);
	var->db = !!(desc & PVM_DESC_DB);
}

static bool is_64_bit(const struct pvm_kvm_vcpu *v)
{
	return pvm_vcpu_mode(&v->pvm) != PVM_MODE_USER32;
}

void pvm_kvm_get_segment(struct kvm_vcpu *vcpu, struct kvm_segment *var, int seg)
{
	struct pvm_kvm_vcpu *v = to_pvm_vcpu(vcpu);
	const struct pvm_vcpu *pvm = &v->pvm;
	int cpl = pvm->user_mode ? 3 : 0;

	*var = v->seg[seg];
	if (!runs(v))
		return;
	switch (seg) {
	case VCPU_SREG_CS:
		describe(var, pvm, pvm->seg[PVM_CS], true, is_64_bit(v), cpl);
		break;
	case VCPU_SREG_SS:
		describe(var, pvm, pvm->seg[PVM_SS], false, false, cpl);
		break;
	case VCPU_SREG_DS:
	case VCPU_SREG_ES:
		describe(var, pvm, pvm->seg[seg], false, false, 3);
		var->unusable = !pvm->seg[seg];
		break;
	case VCPU_SREG_TR:	/* a user program has no map of ports for KVM's emulator to look into */
		if (v->is_acting && pvm->user_mode)
			var->limit = 0;
		break;
	case VCPU_SREG_FS:
	case VCPU_SREG_GS:
		describe(var, pvm, pvm->seg[seg], false, false, 3);
		var->base = seg == VCPU_SREG_FS ? pvm->fs_base : pvm->gs_base;
		var->unusable = !pvm->seg[seg];
		break;
	}
}

void pvm_kvm_set_segment(struct kvm_vcpu *vcpu, struct kvm_segment *var, int seg)
{
	struct pvm_kvm_vcpu *v = to_pvm_vcpu(vcpu);

	take_back(v);
	v->seg[seg] = *var;
	changed(v);
}

u64 pvm_kvm_get_segment_base(struct kvm_vcpu *vcpu, int seg)
{
	struct kvm_segment var;

	pvm_kvm_get_segment(vcpu, &var, seg);
	return var.base;
}

int pvm_kvm_get_cpl(struct kvm_vcpu *vcpu)
{
	struct pvm_kvm_vcpu *v = to_pvm_vcpu(vcpu);

	if (runs(v))
		return v->pvm.user_mode ? 3 : 0;
	return v->seg[VCPU_SREG_SS].dpl;
}

void pvm_kvm_get_cs_db_l_bits(struct kvm_vcpu *vcpu, int *db, int *l)
{
	struct kvm_segment cs;

	pvm_kvm_get_segment(vcpu, &cs, VCPU_SREG_CS);
	*db = cs.db;
	*l = cs.l;
}

void pvm_kvm_get_idt(struct kvm_vcpu *vcpu, struct desc_ptr *dt)
{
	struct pvm_kvm_vcpu *v = to_pvm_vcpu(vcpu);

	*dt = v->idt;
	if (runs(v))
		*dt = (struct desc_ptr){ v->pvm.idtr.limit, v->pvm.idtr.base };
}

void pvm_kvm_set_idt(struct kvm_vcpu *vcpu, struct desc_ptr *dt)
{
	struct pvm_kvm_vcpu *v = to_pvm_vcpu(vcpu);

	take_back(v);
	v->idt = *dt;
	changed(v);
}

void pvm_kvm_get_gdt(struct kvm_vcpu *vcpu, struct desc_ptr *dt)
{
	struct pvm_kvm_vcpu *v = to_pvm_vcpu(vcpu);

	*dt = v->gdt;
	if (runs(v))
		*dt = (struct desc_ptr){ v->pvm.gdtr.limit, v->pvm.gdtr.base };
}

void pvm_kvm_set_gdt(struct kvm_vcpu *vcpu, struct desc_ptr *dt)
{
	struct pvm_kvm_vcpu *v = to_pvm_vcpu(vcpu);

	take_back(v);
	v->gdt = *dt;
	changed(v);
}

/* ------------------------------------------------------------------------
 * Control registers, flags.
 */

bool pvm_kvm_is_valid_cr0(struct kvm_vcpu *vcpu, unsigned long cr0)
{
	return true;
}

bool pvm_kvm_is_valid_cr4(struct kvm_vcpu *vcpu, unsigned long cr4)
{
	return !(cr4 & X86_CR4_VMXE);
}

void pvm_kvm_set_cr0(struct kvm_vcpu *vcpu, unsigned long cr0)
{
	vcpu->arch.cr0 = cr0;
	if (!(cr0 & X86_CR0_PG))
		vcpu->arch.efer &= ~EFER_LMA;
	else if (vcpu->arch.efer & EFER_LME)
		vcpu->arch.efer |= EFER_LMA;
	changed(to_pvm_vcpu(vcpu));
}

void pvm_kvm_post_set_cr3(struct kvm_vcpu *vcpu, unsigned long cr3)
{
	changed(to_pvm_vcpu(vcpu));
}

void pvm_kvm_set_cr4(struct kvm_vcpu *vcpu, unsigned long cr4)
{
	vcpu->arch.cr4 = cr4;
	to_pvm_vcpu(vcpu)->cr4_wanted = cr4;
	changed(to_pvm_vcpu(vcpu));
}

int pvm_kvm_set_efer(struct kvm_vcpu *vcpu, u64 efer)
{
	vcpu->arch.efer = efer;
	changed(to_pvm_vcpu(vcpu));
	return 0;
}

/* While user space has breakpoints of its own (debug.c), @value is theirs, and KVM calls this for them as
 * well as for what KVM_SET_DEBUGREGS has put into its copies of the guest's. */
void pvm_kvm_set_dr7(struct kvm_vcpu *vcpu, unsigned long value)
{
	const struct kvm_vcpu_arch *arch = &vcpu->arch;
	struct pvm_kvm_vcpu *v = to_pvm_vcpu(vcpu);

	if (!(vcpu->guest_debug & KVM_GUESTDBG_USE_HW_BP))
		vcpu->arch.dr7 = value;
	else if (arch->dr7 == v->pvm.dr7 && arch->dr6 == v->pvm.dr6 &&
		 !memcmp(arch->db, v->pvm.dr, sizeof(v->pvm.dr)))
		return;
	changed(v);
}

unsigned long pvm_kvm_get_rflags(struct kvm_vcpu *vcpu)
{
	struct pvm_kvm_vcpu *v = to_pvm_vcpu(vcpu);

	return runs(v) ? running_rflags(v) : v->rflags;
}

void pvm_kvm_set_rflags(struct kvm_vcpu *vcpu, unsigned long rflags)
{
	struct pvm_kvm_vcpu *v = to_pvm_vcpu(vcpu);

	v->rflags = rflags | X86_EFLAGS_FIXED;
	if (!runs(v))
		return;
	v->pvm.rflags = pvm_rflags_sanitize(rflags);
	if (!v->pvm.user_mode)
		pvm_kvm_set_if(v, rflags & X86_EFLAGS_IF);
	pvm_kvm_log_pvcs(v);
}

bool pvm_kvm_get_if_flag(struct kvm_vcpu *vcpu)
{
	return pvm_kvm_get_rflags(vcpu) & X86_EFLAGS_IF;
}

/* ------------------------------------------------------------------------
 * MSRs: the engine's, or else KVM's.
 */

static bool is_snapshot_msr(u32 index)
{
	return index - PVM_KVM_MSR_TLS0 < PVM_KVM_TLS_COUNT || index == PVM_KVM_MSR_VCPU ||
	       index == PVM_KVM_MSR_EVENT;
}

static u32 tls_index(u32 index)
{
	return array_index_nospec(index - PVM_KVM_MSR_TLS0, PVM_KVM_TLS_COUNT);
}

/* With the checks that a whole state gets. */
static int set_snapshot_msr(struct pvm_kvm_vcpu *v, u32 index, u64 value)
{
	struct pvm_vcpu_state state;
	const char *field;

	pvm_vcpu_save(&v->pvm, &state);
	if (index == PVM_KVM_MSR_EVENT)
		state.event = value;
	else if (index != PVM_KVM_MSR_VCPU)
		state.tls[tls_index(index)] = value;
	else if (value & ~PVM_KVM_VCPU_NMI_PENDING)
		return 1;
	else
		state.nmi_pending = value;
	return restore(v, &state, &field) != PVM_OK;
}

static u64 get_snapshot_msr(const struct pvm_kvm_vcpu *v, u32 index)
{
	struct pvm_vcpu_state state;

	pvm_vcpu_save(&v->pvm, &state);
	if (index == PVM_KVM_MSR_EVENT)
		return state.event;
	return index == PVM_KVM_MSR_VCPU ? state.nmi_pending : state.tls[tls_index(index)];
}

/* Before 64-bit mode STAR is as x86 has it, any value. What a PVM guest may not have is not taken along.
 * spec: States or registers on PVM modes */
static bool is_early_star(const struct pvm_kvm_vcpu *v, u32 index)
{
	return index == MSR_STAR && !v->is_pvm;
}

int pvm_kvm_get_msr(struct kvm_vcpu *vcpu, struct msr_data *msr)
{
	uint64_t value;
	int error;

	if (is_early_star(to_pvm_vcpu(vcpu), msr->index)) {
		msr->data = to_pvm_vcpu(vcpu)->early_star;
		return 0;
	}
	if (msr->host_initiated && is_snapshot_msr(msr->index)) {
		msr->data = get_snapshot_msr(to_pvm_vcpu(vcpu), msr->index);
		return 0;
	}
	error = msr->index == MSR_EFER ? PVM_ENOENT :
		pvm_msr_read(&to_pvm_vcpu(vcpu)->pvm, msr->index, &value);
	if (error == PVM_ENOENT)
		return kvm_get_msr_common(vcpu, msr);
	msr->data = value;
	return error != PVM_OK;
}

static int set_msr(struct pvm_kvm_vcpu *v, struct msr_data *msr)
{
	int error;

	if (msr->host_initiated && is_snapshot_msr(msr->index))
		return set_snapshot_msr(v, msr->index, msr->data);
	if (msr->index == MSR_EFER)
		error = PVM_ENOENT;
	else if (msr->host_initiated)
		error = pvm_msr_restore(&v->pvm, msr->index, msr->data);
	else
		error = pvm_msr_write(&v->pvm, msr->index, msr->data);
	if (error == PVM_ENOENT)
		return kvm_set_msr_common(&v->vcpu, msr);
	if (is_early_star(v, msr->index)) {
		v->early_star = msr->data;
		return 0;
	}
	/* As they will be taken over with the rest. Only these: KVM_SET_SREGS may have set the others. */
	if (msr->index == MSR_FS_BASE)
		v->seg[VCPU_SREG_FS].base = v->pvm.fs_base;
	if (msr->index == MSR_GS_BASE)
		v->seg[VCPU_SREG_GS].base = v->pvm.gs_base;
	return error != PVM_OK;
}

int pvm_kvm_set_msr(struct kvm_vcpu *vcpu, struct msr_data *msr)
{
	struct pvm_kvm_vcpu *v = to_pvm_vcpu(vcpu);
	int error;

	v->is_set = msr->host_initiated;
	error = set_msr(v, msr);
	v->is_set = false;
	return error;
}
