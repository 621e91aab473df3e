/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The guest's page tables by hypercall: an entry is written and its shadow with it, tables are
 * loaded, translations flushed. Nothing is checked of what the guest writes into its own
 * tables: shadow tables say no more than the guest's memory, whatever these say.
 *
 * A list of any length is gone through in steps (M12): what is left when the budget of one exit
 * is spent is in the call's arguments, and the guest comes back with them.
 */
#include "abi/xen_pv/xen_pv.h"
#include "mmu/flush.h"

/* The count of a list: requests left, whether it was begun, and requests done. */
#define COUNT_LEFT	0x7fffffffull
#define COUNT_CONTINUED	(1ull << 31)
#define COUNT_DONE_SHIFT 32

/* What requests cost of call->budget, beside 1: as many passes over tables may be behind them. */
#define COST_FLUSH	32
#define COST_MARK	32

/* A list of requests: ( pointer, count, pointer to the number done, domain ). */
struct list {
	uint64_t size;		/* bytes of one */
	/* One of them, in @request. XEN_DONE with the result; a negative one ends the list. */
	enum xen_step (*one)(struct xen_call *call, const void *request);
};

/* @arg[2], where there is one, is told how many were done. XEN_DONE: it is, and call->result is as it was. */
static enum xen_step tell_done(struct xen_call *call, uint32_t done)
{
	int64_t result = call->result;
	bool failed;
	enum xen_step step;

	if (!call->arg[2])
		return XEN_DONE;
	step = pvm_xen_write(call, call->arg[2], &done, sizeof(done), &failed);
	if (!failed)
		call->result = result;
	return step;
}

static enum xen_step for_list(struct xen_call *call, const struct list *list)
{
	uint64_t left = call->arg[1] & COUNT_LEFT;
	uint64_t done = call->arg[1] & COUNT_CONTINUED ? call->arg[1] >> COUNT_DONE_SHIFT : 0;
	enum xen_step step = XEN_DONE;
	uint64_t request[3];
	bool failed = false;

	if ((uint16_t)call->arg[3] != PVM_XEN_DOMID_SELF)
		return xen_done(call, PVM_XEN_EPERM);
	call->result = 0;
	while (left && call->budget > 0) {
		step = pvm_xen_read(call, call->arg[0], request, list->size, &failed);
		if (!failed)
			step = list->one(call, request);
		if (step != XEN_DONE || call->result < 0)
			break;
		call->arg[0] += list->size;
		left--;
		done++;
	}
	call->arg[1] = done << COUNT_DONE_SHIFT | COUNT_CONTINUED | left;
	if (step != XEN_DONE)
		return step;
	if (call->result >= 0 && left)
		return XEN_AGAIN;
	return tell_done(call, (uint32_t)done);
}

/* ------------------------------------------------------------------------
 * Entries.
 */

/* What the MMU said of memory that it was to write. */
static enum xen_step answered(struct xen_call *call, int rc)
{
	/* M11: the host is not out of memory where the call must only not wait for it. */
	if (rc == PVM_EAGAIN || (rc == PVM_ENOMEM && call->vcpu->brief))
		return XEN_LATE;
	if (rc == PVM_ENOMEM) {		/* M11: shadow pages are given back, and the guest comes again */
		call->vcpu->request.error.code = rc;
		return XEN_FAILED;
	}
	return xen_done(call, rc == PVM_OK ? 0 : rc == PVM_EFAULT ? PVM_XEN_EFAULT : PVM_XEN_EINVAL);
}

static enum xen_step write_entry(struct xen_call *call, const void *request)
{
	const struct pvm_xen_mmu_update *update = request;
	unsigned what = update->ptr & 3;

	call->budget--;
	if (what == PVM_XEN_MMU_MACHPHYS)	/* frames have one number only */
		return xen_done(call, 0);
	return answered(call, pvm_mmu_write_entry(call->vcpu, pvm_gpa(update->ptr & ~7ull), update->val,
						  what == PVM_XEN_MMU_PRESERVE_AD));
}

enum xen_step pvm_xen_mmu_update(struct xen_call *call)
{
	static const struct list list = { sizeof(struct pvm_xen_mmu_update), write_entry };

	return for_list(call, &list);
}

/* ------------------------------------------------------------------------
 * Flushes.
 */

/* Is a set of vCPUs, a pointer to bits, only this one? A set that cannot be read is taken to be all. */
static enum xen_step set_is_local(struct xen_call *call, uint64_t set, bool *local)
{
	uint64_t words[PVM_XEN_VCPUS_MAX / 64] = { 0 };
	uint32_t id = call->vcpu->id;
	enum xen_step step;
	bool failed;

	*local = !set;
	if (!set)
		return XEN_DONE;
	/* As many bytes as there can be vCPUs would read beyond the guest's set. */
	step = pvm_xen_read(call, set, words, (call->vcpu->vm->config.xen.vcpus + 7) / 8, &failed);
	if (failed && step == XEN_LATE)
		return step;
	if (failed)
		return XEN_DONE;
	words[id / 64] &= ~(1ull << id % 64);
	*local = !words[0] && !words[1];
	return XEN_DONE;
}

/* Done, or M12: it would take too long in one go (mmu/flush.h). */
static enum xen_step flushed(struct xen_call *call, bool done)
{
	return done ? xen_done(call, 0) : XEN_LATE;
}

static enum xen_step flush(struct xen_call *call, bool local)
{
	call->budget -= COST_FLUSH;
	return flushed(call, local ? pvm_flush_current(call->vcpu) : pvm_flush_everything(call->vcpu));
}

static enum xen_step invlpg(struct xen_call *call, uint64_t gva, bool local)
{
	call->budget -= COST_FLUSH;
	return flushed(call, local ? pvm_flush_address(call->vcpu, pvm_gva(gva)) :
				     pvm_flush_address_everywhere(call->vcpu, pvm_gva(gva)));
}

/* In the third argument, whose pointer is canonical: the entry is written, and the flush is left. */
#define WRITTEN	(1ull << 62)

static bool is_written(uint64_t pointer)
{
	return !(pointer & WRITTEN) != !(pointer >> 63);
}

enum xen_step pvm_xen_update_va_mapping(struct xen_call *call)
{
	struct pvm_vcpu *vcpu = call->vcpu;
	bool written = is_written(call->arg[2]), local = true;
	uint64_t flags, set;
	enum xen_step step;
	pvm_gpa_t entry;
	int rc;

	call->arg[2] ^= written ? WRITTEN : 0;
	flags = call->arg[2] & PVM_XEN_UVMF_FLAGS;
	set = call->arg[2] & ~(uint64_t)PVM_XEN_UVMF_FLAGS;
	call->budget--;
	if (!written) {
		rc = pvm_mmu_find_entry(vcpu, pvm_gva(call->arg[0]), &entry);
		if (rc == PVM_OK)
			rc = pvm_mmu_write_entry(vcpu, entry, call->arg[1], false);
		if (rc != PVM_OK)
			return answered(call, rc);
	}
	if (!(flags & (PVM_XEN_UVMF_TLB_FLUSH | PVM_XEN_UVMF_INVLPG)))
		return xen_done(call, 0);
	step = set_is_local(call, set, &local);
	if (flags & PVM_XEN_UVMF_ALL)
		local = false;
	if (step == XEN_DONE)
		step = flags & PVM_XEN_UVMF_TLB_FLUSH ? flush(call, local) :
							invlpg(call, call->arg[0], local);
	if (step != XEN_DONE)
		call->arg[2] ^= WRITTEN;	/* another vCPU may change the entry before it comes again */
	return step;
}

/* ------------------------------------------------------------------------
 * MMUEXT_*
 */

static enum xen_step load(struct xen_call *call, uint64_t *cr3, uint64_t frame)
{
	struct pvm_vcpu *vcpu = call->vcpu;

	if (frame >> (vcpu->vm->config.guest_maxphyaddr - PVM_PAGE_SHIFT))
		return xen_done(call, PVM_XEN_EINVAL);
	*cr3 = frame << PVM_PAGE_SHIFT;
	pvm_mmu_new_cr3(vcpu);
	return flush(call, true);
}

static enum xen_step one_mmuext(struct xen_call *call, const void *request)
{
	const struct pvm_xen_mmuext_op *op = request;
	struct pvm_vcpu *vcpu = call->vcpu;
	enum xen_step step;
	bool local;

	call->budget--;
	switch (op->cmd) {
	case PVM_XEN_PIN_L1_TABLE:
	case PVM_XEN_PIN_L2_TABLE:
	case PVM_XEN_PIN_L3_TABLE:
	case PVM_XEN_PIN_L4_TABLE:
	case PVM_XEN_UNPIN_TABLE:
		call->budget -= COST_MARK;
		return answered(call, pvm_mmu_mark_table(vcpu, pvm_gfn(op->arg1),
							 op->cmd != PVM_XEN_UNPIN_TABLE));
	case PVM_XEN_NEW_BASEPTR:
		return load(call, &vcpu->cr3, op->arg1);
	case PVM_XEN_NEW_USER_BASEPTR:
		return load(call, &vcpu->msr.switch_cr3, op->arg1);
	case PVM_XEN_TLB_FLUSH_LOCAL:
	case PVM_XEN_TLB_FLUSH_ALL:
		return flush(call, op->cmd == PVM_XEN_TLB_FLUSH_LOCAL);
	case PVM_XEN_INVLPG_LOCAL:
	case PVM_XEN_INVLPG_ALL:
		return invlpg(call, op->arg1, op->cmd == PVM_XEN_INVLPG_LOCAL);
	case PVM_XEN_TLB_FLUSH_MULTI:
	case PVM_XEN_INVLPG_MULTI:
		step = set_is_local(call, op->arg2, &local);
		if (step != XEN_DONE)
			return step;
		if (op->cmd == PVM_XEN_TLB_FLUSH_MULTI)
			return flush(call, local);
		return invlpg(call, op->arg1, local);
	case PVM_XEN_FLUSH_CACHE:
	case PVM_XEN_FLUSH_CACHE_GLOBAL:
		return xen_done(call, 0);	/* no device sees past the caches */
	case PVM_XEN_SET_LDT:
		return pvm_xen_set_ldt(call, op->arg1, (uint32_t)op->arg2);	/* a field of 32 bits */
	}
	return xen_done(call, PVM_XEN_ENOSYS);
}

enum xen_step pvm_xen_mmuext_op(struct xen_call *call)
{
	static const struct list list = { sizeof(struct pvm_xen_mmuext_op), one_mmuext };

	return for_list(call, &list);
}
