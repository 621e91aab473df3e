/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Where the PVCS is: MSR_PVM_VCPU_STRUCT, and the pin that keeps its page in
 * place (S8). Never looks into the PVCS: its layout, and with that its size and alignment, is
 * the guest ABI's.
 *
 * spec: MSR_PVM_VCPU_CTRL_STRUCT
 */
#include "abi/abi.h"
#include "mmu/late.h"
#include "rules.h"

static uint64_t page_offset(uint64_t gpa)
{
	return gpa & (PVM_PAGE_SIZE - 1);
}

static bool gpa_allowed(const struct pvm_vcpu *vcpu, uint64_t gpa)
{
	const struct pvm_abi_ops *abi = vcpu->vm->abi;

	if (!abi->pvcs_size || gpa >> vcpu->vm->config.guest_maxphyaddr)
		return false;
	return !(gpa & (abi->pvcs_align - 1)) && page_offset(gpa) + abi->pvcs_size <= PVM_PAGE_SIZE;
}

/* The host could not pin the page now, which is no error of the guest's. */
static bool may_come(int error)
{
	return error == PVM_EAGAIN || error == PVM_ENOMEM || error == PVM_EFAULT;
}

/* The page of the PVCS that is attached now, NULL if none is. */
static char *current_page(const struct pvm_vcpu *vcpu)
{
	if (!vcpu->pvcs)
		return NULL;
	return (char *)vcpu->pvcs - page_offset(vcpu->msr.vcpu_struct);
}

static void release(struct pvm_vcpu *vcpu)
{
	if (vcpu->pvcs) {
		pvm_mmu_share(vcpu, pvm_gfn(0), false);
		vcpu->vm->ops->unpin(vcpu->vm->host,
				     pvm_gpa_to_gfn(pvm_gpa(vcpu->msr.vcpu_struct)), current_page(vcpu));
	}
	vcpu->pvcs = NULL;
	vcpu->msr.vcpu_struct = 0;
	vcpu->state_gen++;
}

void pvm_pvcs_leave(struct pvm_vcpu *vcpu)
{
	if (vcpu->vm->abi->pvcs_leaves)
		vcpu->vm->abi->pvcs_leaves(vcpu);
}

int pvm_pvcs_renew(struct pvm_vcpu *vcpu)
{
	uint64_t gpa = vcpu->msr.vcpu_struct;
	int rc;

	if (!gpa)
		return PVM_OK;
	pvm_pvcs_leave(vcpu);
	release(vcpu);
	rc = pvm_pvcs_attach(vcpu, gpa);
	if (may_come(rc))
		vcpu->msr.vcpu_struct = gpa;	/* M11: for the next attempt */
	if (vcpu->vm->abi->pvcs_moved)
		vcpu->vm->abi->pvcs_moved(vcpu);
	return rc;
}

int pvm_pvcs_attach(struct pvm_vcpu *vcpu, uint64_t gpa)
{
	uint64_t gfn = gpa >> PVM_PAGE_SHIFT;
	void *page = current_page(vcpu);

	if (!gpa) {
		if (vcpu->brief && vcpu->pvcs)
			return PVM_EAGAIN;	/* unpin() may sleep */
		release(vcpu);
		return PVM_OK;
	}
	if (!gpa_allowed(vcpu, gpa))
		return PVM_EINVAL;
	/* S8: the new page is pinned before the old one is let go; one that is
	 * pinned already stays so. */
	if (!page || vcpu->msr.vcpu_struct >> PVM_PAGE_SHIFT != gfn) {
		pvm_hpa_t pa;
		int error;

		/* M12: a page that is a table takes as long as there are ways to it. */
		if (vcpu->brief && pvm_mmu_is_table(vcpu, pvm_gfn(gfn)))
			return PVM_EAGAIN;
		error = vcpu->vm->ops->pin(vcpu->vm->host, pvm_gfn(gfn), &page, &pa);
		if ((error == PVM_ENOMEM || error == PVM_EFAULT) && vcpu->brief)
			error = PVM_EAGAIN;	/* with sleep there may be some, or its caller hears of it */
		if (error == PVM_EAGAIN)
			pvm_late_note(vcpu, pvm_gfn(gfn), true);
		if (error != PVM_OK)
			return may_come(error) ? error : PVM_EINVAL;
		release(vcpu);
		pvm_mmu_share(vcpu, pvm_gfn(gfn), true);	/* M9 */
		vcpu->pvcs_page = pa;
		vcpu->pins++;
	}
	vcpu->msr.vcpu_struct = gpa;
	vcpu->pvcs = (char *)page + page_offset(gpa);
	vcpu->state_gen++;	/* S8: a host's window is where it was, until it looks */
	return PVM_OK;
}
