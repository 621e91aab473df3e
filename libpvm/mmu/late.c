/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Guest memory that cannot be touched now; see late.h. */
#include "late.h"

#include "internal.h"
#include "shadow.h"

bool pvm_is_late(struct pvm_vcpu *vcpu, pvm_gfn_t gfn, bool write)
{
	const struct pvm_host_ops *ops = vcpu->vm->ops;
	void *host = vcpu->vm->host;
	struct pvm_frame frame = { .device = false };

	if (!pvm_frames_are_taken(vcpu->vm->mmu, gfn, 1)) {
		int rc = ops->gfn_to_frame(host, gfn, write, PVM_NO_SLEEP, &frame);

		/* PVM_OK: it has come since gfn_to_va() was asked, and may have gone again. */
		if (rc != PVM_EAGAIN && (rc != PVM_OK || (write && !frame.writable) || frame.device))
			return false;
	}
	pvm_late_note(vcpu, gfn, write);
	return true;
}

void pvm_late_note(struct pvm_vcpu *vcpu, pvm_gfn_t gfn, bool write)
{
	vcpu->mmu.late = gfn;
	vcpu->mmu.late_write = write;
	vcpu->mmu.is_late = true;
}

int pvm_late_fetch(struct pvm_vcpu *vcpu)
{
	struct pvm_frame frame;
	int rc;

	if (!vcpu->mmu.is_late)
		return PVM_EAGAIN;
	vcpu->mmu.is_late = false;
	rc = vcpu->vm->ops->gfn_to_frame(vcpu->vm->host, vcpu->mmu.late, vcpu->mmu.late_write,
					 PVM_MAY_SLEEP, &frame);
	return rc == PVM_EAGAIN || rc == PVM_EFAULT || rc == PVM_ENOMEM ? rc : PVM_OK;
}
