/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The guest's LDT: a vCPU runs on a copy (vcpu/ldt.h), which is made when the kernel loads the table, and
 * again when an entry may have been written since. Linux makes a new table for each change, and loads it on
 * every vCPU that runs the program; older kernels write entries.
 *
 * The kernel's address is read anew each time, by the tables it has then: no frame is remembered.
 */
#include "abi/xen_pv/xen_pv.h"
#include "vcpu/ldt.h"

#define COST_PAGE	16	/* of call->budget, for a page of entries */

static uint32_t changes(const struct pvm_vcpu *vcpu)
{
	return __atomic_load_n(&xen_vm(vcpu->vm)->ldt_gen, __ATOMIC_SEQ_CST);
}

/* Its own kernel's memory, in the mode that it is in. */
static int read_in_kernel(struct pvm_vcpu *vcpu, uint64_t at, void *to, size_t size)
{
	struct pvm_fault_result fault;
	bool crosses = vcpu->user_mode;
	pvm_gva_t gva;
	int rc;

	if (crosses)
		pvm_xen_cross(vcpu);
	rc = pvm_mmu_read(vcpu, pvm_gva(at), to, size, PVM_ACCESS_READ, &fault, &gva);
	if (crosses)
		pvm_xen_cross(vcpu);
	return rc;
}

/*
 * What the kernel has there becomes the vCPU's LDT. PVM_OK; PVM_EFAULT: nothing is there; PVM_EAGAIN;
 * PVM_ENOMEM. But for the first none is loaded then. M6: each entry is read once, and judged where the guest
 * cannot write it.
 */
static int copy(struct pvm_vcpu *vcpu)
{
	struct xen_vcpu *xen = xen_vcpu(vcpu);
	uint32_t gen = changes(vcpu), entries = xen->ldt_entries, i;
	int rc;

	if (vcpu->brief && entries > PVM_LDT_PER_PAGE)	/* M12 */
		return PVM_EAGAIN;
	rc = pvm_ldt_open(vcpu, entries);
	if (rc != PVM_OK)
		return vcpu->brief ? PVM_EAGAIN : rc;	/* M11 */
	for (i = 0; i * PVM_LDT_PER_PAGE < entries; i++) {
		uint64_t first = i * PVM_LDT_PER_PAGE;
		uint64_t count = entries - first < PVM_LDT_PER_PAGE ? entries - first : PVM_LDT_PER_PAGE;

		rc = read_in_kernel(vcpu, xen->ldt + first * sizeof(uint64_t), vcpu->ldt->page[i].va,
				    count * sizeof(uint64_t));
		if (rc != PVM_OK)
			return rc;
		pvm_ldt_rectify_page(vcpu, i);
	}
	pvm_ldt_load(vcpu, entries);
	xen->ldt_gen = gen;
	return PVM_OK;
}

static void unload(struct pvm_vcpu *vcpu)
{
	xen_vcpu(vcpu)->ldt_entries = 0;
	pvm_ldt_load(vcpu, 0);
}

enum xen_step pvm_xen_set_ldt(struct xen_call *call, uint64_t address, uint64_t entries)
{
	struct pvm_vcpu *vcpu = call->vcpu;
	struct xen_vcpu *xen = xen_vcpu(vcpu);
	int rc;

	/* Linux calls this at each switch to a program that has one, and warns of any other answer. */
	if (!vcpu->vm->config.host_ldt)
		return xen_done(call, 0);
	if (!pvm_xen_ldt_is_valid(address, entries))
		return xen_done(call, PVM_XEN_EINVAL);
	if (!entries) {
		unload(vcpu);
		return xen_done(call, 0);
	}
	call->budget -= (int)((entries + PVM_LDT_PER_PAGE - 1) / PVM_LDT_PER_PAGE) * COST_PAGE;
	xen->ldt = address;
	xen->ldt_entries = (uint32_t)entries;
	xen->ldt_gen = changes(vcpu) - 1;	/* until it is copied */
	rc = copy(vcpu);
	switch (rc) {
	case PVM_OK:
		return xen_done(call, 0);
	case PVM_EAGAIN:
		return XEN_LATE;
	case PVM_ENOMEM:
		vcpu->request.error.code = rc;
		return XEN_FAILED;
	}
	unload(vcpu);
	return xen_done(call, PVM_XEN_EINVAL);
}

bool pvm_xen_ldt_is_valid(uint64_t address, uint64_t entries)
{
	return entries <= PVM_LDT_ENTRIES && (!entries || !(address & (PVM_PAGE_SIZE - 1)));
}

void pvm_xen_ldt_changed(struct pvm_vm *vm)
{
	__atomic_add_fetch(&xen_vm(vm)->ldt_gen, 1, __ATOMIC_SEQ_CST);
}

int pvm_xen_refresh_ldt(struct pvm_vcpu *vcpu)
{
	int rc;

	if (xen_vcpu(vcpu)->ldt_gen == changes(vcpu))
		return PVM_OK;
	rc = copy(vcpu);
	if (rc != PVM_EFAULT)
		return rc;
	unload(vcpu);		/* its memory is gone: the guest has none */
	return PVM_OK;
}
