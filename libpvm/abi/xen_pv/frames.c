/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Ways into the guest's kernel, and iret, the one way back. Every entry leaves a frame on the
 * kernel's stack: from user mode at the place that stack_switch named, from kernel mode below RSP.
 *
 * What iret loads is read once (M6) and checked before anything of it counts.
 */
#include "abi/xen_pv/xen_pv.h"
#include "events/deliver.h"
#include "events/resume.h"
#include "vcpu/rules.h"

#define STACK_ALIGNMENT	16	/* of RSP before the frame is pushed, bytes */
#define CS_MASK_SHIFT	32	/* the mask of events, in the frame's word for CS */
#define FLAT_CS64	0xe033	/* other names that the interface has for the flat selectors */
#define FLAT_CS32	0xe023
#define FLAT_SS		0xe02b
#define RIP32_MAX	0xffffffffull

/* Words of a frame, low to high. */
struct frame {
	uint64_t word[12];
	unsigned count;
};

static void push(struct frame *frame, uint64_t word)
{
	frame->word[frame->count++] = word;
}

/* What iret returns to. */
struct context {
	uint64_t rax, r11, rcx, flags, rip, cs, rflags, rsp, ss;
};

/* As the frames show it: RFLAGS.IF is the guest's own. */
static uint64_t shown_rflags(const struct pvm_vcpu *vcpu)
{
	return (vcpu->rflags & ~(uint64_t)PVM_RFLAGS_IF) | (xen_masked(vcpu) ? 0 : PVM_RFLAGS_IF);
}

/* RIP, CS, RFLAGS, RSP and SS of what is interrupted. */
static void push_interrupted(struct frame *frame, const struct pvm_vcpu *vcpu)
{
	push(frame, vcpu->rip);
	push(frame, vcpu->seg[PVM_CS] | (uint64_t)xen_masked(vcpu) << CS_MASK_SHIFT);
	push(frame, shown_rflags(vcpu));
	push(frame, vcpu->gpr[PVM_RSP]);
	push(frame, vcpu->user_mode ? vcpu->seg[PVM_SS] : vcpu->vm->config.user_ds);
}

void pvm_xen_cross(struct pvm_vcpu *vcpu)
{
	uint64_t cr3 = vcpu->cr3, gs_base = vcpu->gs_base;

	vcpu->cr3 = vcpu->msr.switch_cr3;
	vcpu->msr.switch_cr3 = cr3;
	vcpu->gs_base = vcpu->msr.kernel_gs_base;
	vcpu->msr.kernel_gs_base = gs_base;
	vcpu->user_mode = !vcpu->user_mode;
}

static void load_kernel(struct pvm_vcpu *vcpu, uint64_t rip, uint64_t rsp)
{
	const struct pvm_vm_config *config = &vcpu->vm->config;

	vcpu->seg[PVM_CS] = config->kernel_cs;
	vcpu->seg[PVM_SS] = config->kernel_ds;
	if (config->host_pke)
		vcpu->pkru = 0;		/* S11: a key of user mode's is none in the kernel */
	vcpu->rip = rip;
	vcpu->gpr[PVM_RSP] = rsp;
	vcpu->rflags = PVM_RFLAGS_IF | PVM_RFLAGS_FIXED;	/* S2 */
	vcpu->halted = false;
}

/* @frame onto the kernel's stack, and on at @rip. PVM_ACT_RESUME; PVM_ACT_RETRY with nothing changed;
 * PVM_ACT_SHUTDOWN. @vector: for the reason. */
static enum pvm_action enter(struct pvm_vcpu *vcpu, uint64_t rip, const struct frame *frame, bool masks,
			     uint8_t vector)
{
	bool from_user = vcpu->user_mode;
	size_t size = frame->count * sizeof(frame->word[0]);
	uint64_t rsp = from_user ? vcpu->msr.supervisor_rsp : vcpu->gpr[PVM_RSP];
	struct pvm_fault_result fault;
	pvm_gva_t gva;
	int rc;

	if (!vcpu->pvcs)
		return pvm_event_shutdown(vcpu, PVM_SHUTDOWN_NO_PVCS, vector, vcpu->rip);
	if (!rip || !pvm_legal_address(vcpu, pvm_gva(rip)))	/* S1, M7 */
		return pvm_event_shutdown(vcpu, PVM_SHUTDOWN_BAD_ENTRY, vector, rip);
	rsp = (rsp & ~(uint64_t)(STACK_ALIGNMENT - 1)) - size;
	if (from_user)
		pvm_xen_cross(vcpu);
	rc = pvm_mmu_write(vcpu, pvm_gva(rsp), frame->word, size, &fault, &gva);
	if (rc != PVM_OK) {
		if (from_user)
			pvm_xen_cross(vcpu);
		if (rc == PVM_EAGAIN)
			return PVM_ACT_RETRY;
		return pvm_event_shutdown(vcpu, PVM_SHUTDOWN_DOUBLE_FAULT, vector, gva.v);
	}
	load_kernel(vcpu, rip, rsp);
	if (masks)
		xen_set_mask(vcpu, true);
	return PVM_ACT_RESUME;
}

enum pvm_action pvm_xen_deliver(struct pvm_vcpu *vcpu, uint8_t vector, uint32_t error_code)
{
	const struct xen_vcpu *xen = xen_vcpu(vcpu);
	const struct xen_callback *nmi = &xen->callback[PVM_XEN_CALLBACK_NMI];
	bool masks = xen->trap_flags[vector] & PVM_XEN_TRAP_MASKS;
	uint64_t rip = xen->trap[vector];
	struct frame frame = { .count = 0 };
	enum pvm_action action;

	if (vector == PVM_VEC_NMI && nmi->address) {
		rip = nmi->address;
		masks = true;
	}
	push(&frame, vcpu->gpr[PVM_RCX]);
	push(&frame, vcpu->gpr[PVM_R11]);
	if (pvm_has_error_code(vector))
		push(&frame, error_code);
	push_interrupted(&frame, vcpu);
	action = enter(vcpu, rip, &frame, masks, vector);
	if (action == PVM_ACT_RETRY)
		return pvm_event_keep(vcpu, vector, error_code);
	if (action != PVM_ACT_RESUME)
		return action;
	if (vector == PVM_VEC_PF)
		xen_info(vcpu)->cr2 = vcpu->cr2;
	if (vector == PVM_VEC_NMI)
		vcpu->nmi_masked = true;
	return PVM_ACT_RESUME;
}

static enum pvm_action enter_callback(struct pvm_vcpu *vcpu, enum pvm_xen_callback which)
{
	struct frame frame = { .count = 0 };

	push(&frame, vcpu->gpr[PVM_RCX]);
	push(&frame, vcpu->gpr[PVM_R11]);
	push_interrupted(&frame, vcpu);
	return enter(vcpu, xen_vcpu(vcpu)->callback[which].address, &frame, true, PVM_NO_VECTOR);
}

enum pvm_action pvm_xen_deliver_upcall(struct pvm_vcpu *vcpu)
{
	pvm_trace_vcpu(vcpu, PVM_TRACE_EVENT, PVM_NO_VECTOR, 0, vcpu->user_mode, vcpu->rip);
	return enter_callback(vcpu, PVM_XEN_CALLBACK_EVENT);
}

enum pvm_action pvm_xen_user_syscall(struct pvm_vcpu *vcpu)
{
	enum pvm_action action;

	pvm_trace_vcpu(vcpu, PVM_TRACE_SYSCALL, vcpu->rip, vcpu->gpr[PVM_RAX], 0, 0);
	action = enter_callback(vcpu, PVM_XEN_CALLBACK_SYSCALL);
	if (action != PVM_ACT_RESUME)
		return action;
	/* They are in the frame. So it goes on by SYSRET, here and in direct.S. */
	vcpu->gpr[PVM_RCX] = vcpu->rip;
	vcpu->gpr[PVM_R11] = vcpu->rflags;
	return PVM_ACT_RESUME;
}

/* ------------------------------------------------------------------------
 * iret
 */

/* What cannot be returned to is the failsafe callback's, with the selectors as they are: its guest sees
 * by that that none of them is to blame. */
static enum pvm_action fail_safe(struct pvm_vcpu *vcpu, const struct context *c)
{
	struct frame frame = { .count = 0 };
	enum pvm_action action;

	push(&frame, c->rcx);
	push(&frame, c->r11);
	push(&frame, vcpu->seg[PVM_DS]);
	push(&frame, vcpu->seg[PVM_ES]);
	push(&frame, vcpu->seg[PVM_FS]);
	push(&frame, vcpu->seg[PVM_GS]);
	push(&frame, c->rip);
	push(&frame, c->cs);
	push(&frame, c->rflags);
	push(&frame, c->rsp);
	push(&frame, c->ss);
	action = enter(vcpu, xen_vcpu(vcpu)->callback[PVM_XEN_CALLBACK_FAILSAFE].address, &frame, true,
		       PVM_NO_VECTOR);
	if (action == PVM_ACT_RESUME)
		vcpu->gpr[PVM_RAX] = c->rax;
	return action;
}

/* The selector of user mode that the guest means, of RPL 3; 0: none. */
static uint16_t user_cs(const struct pvm_vm_config *config, uint16_t cs)
{
	if (cs == FLAT_CS64)
		return config->user_cs;
	if (cs == FLAT_CS32)
		return config->user32_cs;
	if ((cs & PVM_SEL_LDT) && config->host_ldt)
		return cs;
	return cs == config->user_cs || cs == config->user32_cs ? cs : 0;
}

static uint16_t user_ss(const struct pvm_vm_config *config, uint16_t ss)
{
	if (ss == config->user_ds || ss == FLAT_SS)
		return config->user_ds;
	return pvm_stack_selector_own(config, ss) ? ss : 0;
}

static bool user_is_valid(const struct pvm_vcpu *vcpu, const struct context *c, uint16_t cs)
{
	const struct pvm_vm_config *config = &vcpu->vm->config;

	if (!user_ss(config, (uint16_t)c->ss))		/* S4 */
		return false;
	if (cs == config->user_cs)
		return pvm_rip_runnable(vcpu, c->rip);	/* S1 */
	return cs && c->rip <= RIP32_MAX;
}

static void load_user_selectors(struct pvm_vcpu *vcpu, uint16_t cs, uint16_t ss)
{
	const struct pvm_vm_config *config = &vcpu->vm->config;

	vcpu->seg[PVM_CS] = cs;
	vcpu->seg[PVM_SS] = user_ss(config, ss);
	if (vcpu->seg[PVM_SS] != config->user_ds)
		vcpu->state_gen++;	/* a host looks at it only then */
}

static void load_context(struct pvm_vcpu *vcpu, const struct context *c)
{
	vcpu->rip = c->rip;
	vcpu->rflags = pvm_rflags_sane(c->rflags);	/* S2 */
	vcpu->gpr[PVM_RAX] = c->rax;
	vcpu->gpr[PVM_RCX] = c->rcx;
	vcpu->gpr[PVM_R11] = c->r11;
	vcpu->gpr[PVM_RSP] = c->rsp;
	xen_set_mask(vcpu, !(c->rflags & PVM_RFLAGS_IF));
	vcpu->nmi_masked = false;
}

enum pvm_action pvm_xen_iret(struct pvm_vcpu *vcpu)
{
	struct pvm_fault_result fault;
	struct context c;
	pvm_gva_t gva;
	uint16_t cs;
	int rc = pvm_mmu_read(vcpu, pvm_gva(vcpu->gpr[PVM_RSP]), &c, sizeof(c), PVM_ACCESS_READ, &fault,
			      &gva);

	if (rc == PVM_EAGAIN)
		return PVM_ACT_RETRY;
	if (rc != PVM_OK)
		return pvm_event_shutdown(vcpu, PVM_SHUTDOWN_BAD_STACK, PVM_NO_VECTOR, gva.v);
	if ((c.cs & PVM_SEL_RPL) == PVM_SEL_RPL) {
		cs = user_cs(&vcpu->vm->config, (uint16_t)c.cs);
		if (!user_is_valid(vcpu, &c, cs))
			return fail_safe(vcpu, &c);
		load_context(vcpu, &c);
		pvm_xen_cross(vcpu);
		load_user_selectors(vcpu, cs, (uint16_t)c.ss);
		pvm_trace_vcpu(vcpu, PVM_TRACE_RETURN_USER, c.rip, 0, 0, 0);
	} else {
		if (!pvm_rip_runnable(vcpu, c.rip))	/* S1 */
			return fail_safe(vcpu, &c);
		load_context(vcpu, &c);
		pvm_trace_vcpu(vcpu, PVM_TRACE_RETURN_SUPERVISOR, c.rip, 0, 0, 0);
	}
	pvm_returned(vcpu);
	return vcpu->nmi_pending ? pvm_event_nmi(vcpu) : PVM_ACT_RESUME;
}
