/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Hypercalls about what the CPU has of the vCPU alone: traps and callbacks, the kernel's stack,
 * descriptors, bases, debug registers.
 *
 * Of the guest's GDT only the TLS entries count: the CPU runs on the switcher's, in which these
 * have their places and all others are the host's. LDTs are ldt.c's.
 */
#include "abi/xen_pv/xen_pv.h"
#include "vcpu/rules.h"

#define DESCRIPTOR	8u	/* bytes */
#define TLS_ENTRIES	3u

enum xen_step pvm_xen_set_trap_table(struct xen_call *call)
{
	struct xen_vcpu *xen = xen_vcpu(call->vcpu);
	struct pvm_xen_trap_info info;
	uint64_t at = call->arg[0];
	enum xen_step step;
	unsigned i;
	bool failed;

	call->budget -= XEN_VECTORS;
	if (!at) {
		memset(xen->trap, 0, sizeof(xen->trap));
		return xen_done(call, 0);
	}
	for (i = 0; i < XEN_VECTORS; i++, at += sizeof(info)) {
		step = pvm_xen_read(call, at, &info, sizeof(info), &failed);
		if (failed)
			return step;
		if (!info.address)
			break;
		xen->trap[info.vector] = info.address;
		xen->trap_flags[info.vector] = info.flags;
	}
	return xen_done(call, 0);
}

enum xen_step pvm_xen_callback_op(struct xen_call *call)
{
	struct xen_vcpu *xen = xen_vcpu(call->vcpu);
	struct pvm_xen_callback_register reg;
	enum xen_step step;
	bool failed;

	call->budget--;
	if (call->arg[0] != PVM_XEN_CALLBACKOP_REGISTER)
		return xen_done(call, PVM_XEN_ENOSYS);
	step = pvm_xen_read(call, call->arg[1], &reg, sizeof(reg), &failed);
	if (failed)
		return step;
	switch (reg.type) {
	case PVM_XEN_CALLBACK_EVENT:
	case PVM_XEN_CALLBACK_FAILSAFE:
	case PVM_XEN_CALLBACK_SYSCALL:
	case PVM_XEN_CALLBACK_NMI:
		break;
	default:	/* 32-bit code enters by INT 0x80 */
		return xen_done(call, PVM_XEN_ENOSYS);
	}
	if (!pvm_legal_address(call->vcpu, pvm_gva(reg.address)))
		return xen_done(call, PVM_XEN_EINVAL);
	xen->callback[pvm_index_clamped(reg.type, PVM_XEN_CALLBACKS)] = (struct xen_callback){
		.address = reg.address, .masks = reg.flags & PVM_XEN_CALLBACKF_MASK_EVENTS };
	call->vcpu->state_gen++;	/* pvm_abi_switches::entry */
	return xen_done(call, 0);
}

enum xen_step pvm_xen_stack_switch(struct xen_call *call)
{
	call->budget--;
	call->vcpu->msr.supervisor_rsp = call->arg[1];
	return xen_done(call, 0);
}

/* ------------------------------------------------------------------------
 * Descriptors.
 */

/*
 * Linux loads FS or GS again when it has taken away the entry that the register names, by which the base
 * goes, too. Here the register is NULL by then (pvm_drop_dangling()), and it does not: the base goes at
 * once. A program's, as the kernel's own registers name no entry.
 */
static void load_all_tls(struct pvm_vcpu *vcpu, const uint64_t tls[TLS_ENTRIES])
{
	uint16_t fs = vcpu->seg[PVM_FS], gs = vcpu->seg[PVM_GS];

	pvm_load_tls(vcpu, tls);
	if (vcpu->seg[PVM_FS] != fs)
		vcpu->fs_base = 0;
	if (vcpu->seg[PVM_GS] != gs)
		vcpu->msr.kernel_gs_base = 0;
}

/* Linux puts the numbers of CPU and node there, for getcpu(); not that of CPUs that it starts later. */
static void set_cpunode(struct pvm_vcpu *vcpu, uint64_t descriptor)
{
	vcpu->cpunode = pvm_cpunode_rectify(descriptor & PVM_DESC_P ? descriptor : vcpu->id);
	vcpu->state_gen++;
}

static void load_tls(struct pvm_vcpu *vcpu, unsigned entry, uint64_t descriptor)
{
	uint64_t tls[TLS_ENTRIES];

	memcpy(tls, vcpu->tls, sizeof(tls));
	tls[pvm_index_clamped(entry, TLS_ENTRIES)] = descriptor;
	load_all_tls(vcpu, tls);
}

int pvm_xen_load_cpunode(struct pvm_vcpu *vcpu)
{
	const struct xen_vcpu *xen = xen_vcpu(vcpu);
	uint64_t index = PVM_SEL_INDEX(vcpu->vm->config.cpunode_sel), desc;
	int rc;

	if (!index || xen->gdt_entries <= index)
		return PVM_OK;
	rc = pvm_mmu_read_gpa(vcpu, pvm_gpa((xen->gdt_frame << PVM_PAGE_SHIFT) + index * DESCRIPTOR), &desc,
			      sizeof(desc));
	if (rc == PVM_OK)
		set_cpunode(vcpu, desc);
	return rc;
}

enum xen_step pvm_xen_set_gdt(struct xen_call *call)
{
	struct pvm_vcpu *vcpu = call->vcpu;
	uint64_t frame, tls[TLS_ENTRIES], entries = call->arg[1];
	enum xen_step step;
	bool failed;
	int rc;

	call->budget--;
	if (entries > XEN_GDT_ENTRIES_MAX)
		return xen_done(call, PVM_XEN_EINVAL);
	if (!entries) {
		xen_vcpu(vcpu)->gdt_entries = 0;
		return xen_done(call, 0);
	}
	step = pvm_xen_read(call, call->arg[0], &frame, sizeof(frame), &failed);
	if (failed)
		return step;
	rc = pvm_mmu_read_gpa(vcpu, pvm_gpa((frame << PVM_PAGE_SHIFT) +
					    vcpu->vm->config.tls_index * DESCRIPTOR), tls, sizeof(tls));
	if (rc == PVM_EAGAIN)
		return XEN_LATE;
	if (rc != PVM_OK)
		return xen_done(call, PVM_XEN_EINVAL);
	xen_vcpu(vcpu)->gdt_frame = frame;
	xen_vcpu(vcpu)->gdt_entries = (uint32_t)entries;
	load_all_tls(vcpu, tls);
	return pvm_xen_load_cpunode(vcpu) == PVM_EAGAIN ? XEN_LATE : xen_done(call, 0);
}

enum xen_step pvm_xen_update_descriptor(struct xen_call *call)
{
	struct pvm_vcpu *vcpu = call->vcpu;
	const struct xen_vcpu *xen = xen_vcpu(vcpu);
	uint64_t at = call->arg[0], first = vcpu->vm->config.tls_index;
	uint64_t entry = (at & (PVM_PAGE_SIZE - 1)) / DESCRIPTOR;
	int rc;

	call->budget--;
	if (at % DESCRIPTOR)
		return xen_done(call, PVM_XEN_EINVAL);
	rc = pvm_mmu_write_entry(vcpu, pvm_gpa(at), call->arg[1], false);
	if (rc == PVM_EAGAIN)
		return XEN_LATE;
	if (rc != PVM_OK)
		return xen_done(call, PVM_XEN_EINVAL);
	if (!xen->gdt_entries || xen->gdt_frame != at >> PVM_PAGE_SHIFT)
		pvm_xen_ldt_changed(vcpu->vm);
	else if (entry - first < TLS_ENTRIES)
		load_tls(vcpu, (unsigned)(entry - first), call->arg[1]);
	else if (entry == PVM_SEL_INDEX(vcpu->vm->config.cpunode_sel))
		set_cpunode(vcpu, call->arg[1]);
	return xen_done(call, 0);
}

/* The selector is the CPU's at once, its base user mode's. */
static void load_user_gs(struct pvm_vcpu *vcpu, uint16_t selector)
{
	uint64_t kernel_base = vcpu->gs_base;

	vcpu->msr.kernel_gs_base = pvm_load_gs(vcpu, selector);
	vcpu->gs_base = kernel_base;
}

enum xen_step pvm_xen_set_segment_base(struct xen_call *call)
{
	static const uint32_t msrs[] = {
		[PVM_XEN_SEGBASE_FS] = PVM_MSR_FS_BASE,
		[PVM_XEN_SEGBASE_GS_USER] = PVM_MSR_KERNEL_GS_BASE,
		[PVM_XEN_SEGBASE_GS_KERNEL] = PVM_MSR_GS_BASE,
	};
	uint64_t which = call->arg[0], base = call->arg[1];

	call->budget--;
	if (which == PVM_XEN_SEGBASE_GS_USER_SEL) {
		load_user_gs(call->vcpu, (uint16_t)base);
		return xen_done(call, 0);
	}
	if (which > PVM_XEN_SEGBASE_GS_KERNEL)
		return xen_done(call, PVM_XEN_EINVAL);
	which = pvm_index_clamped(which, PVM_XEN_SEGBASE_GS_KERNEL + 1);
	return xen_done(call, pvm_msr_write(call->vcpu, msrs[which], base) == PVM_OK ? 0 : PVM_XEN_EINVAL);
}

/* ------------------------------------------------------------------------
 * Debug registers.
 */

enum xen_step pvm_xen_set_debugreg(struct xen_call *call)
{
	uint64_t dr = call->arg[0];

	call->budget--;
	if (dr > 7 || pvm_dr_write(call->vcpu, (unsigned)dr, call->arg[1]) != PVM_OK)
		return xen_done(call, PVM_XEN_EINVAL);
	return xen_done(call, 0);
}

enum xen_step pvm_xen_get_debugreg(struct xen_call *call)
{
	uint64_t value, dr = call->arg[0];

	call->budget--;
	if (dr > 7 || pvm_dr_read(call->vcpu, (unsigned)dr, &value) != PVM_OK)
		return xen_done(call, PVM_XEN_EINVAL);
	return xen_done(call, (int64_t)value);
}
