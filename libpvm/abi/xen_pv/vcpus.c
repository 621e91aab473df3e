/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * vcpu_op: a vCPU is given its context, goes up and down, says where its shared memory is, and has
 * its timer set.
 *
 * Of another vCPU only what struct xen_vcpu marks as shared is touched, and its context while its
 * life is XEN_BUSY: only one vCPU at a time can make it that.
 */
#include "abi/xen_pv/xen_pv.h"

#define IN_KERNEL	4u	/* flag of a context */

/* ------------------------------------------------------------------------
 * Deadlines.
 */

void pvm_xen_set_deadline(struct pvm_vcpu *vcpu, enum xen_deadline which, uint64_t ns)
{
	struct xen_vcpu *xen = xen_vcpu(vcpu);
	uint64_t first;

	xen->deadline[which] = ns;
	first = xen->deadline[XEN_DEADLINE_TIMER];
	if (xen->deadline[XEN_DEADLINE_POLL] < first)
		first = xen->deadline[XEN_DEADLINE_POLL];
	vcpu->vm->ops->set_timer(vcpu->vm->host, vcpu, first);
}

void pvm_xen_deadlines(struct pvm_vcpu *vcpu)
{
	struct xen_vcpu *xen = xen_vcpu(vcpu);
	uint64_t now = pvm_xen_now(vcpu);

	if (xen->deadline[XEN_DEADLINE_POLL] <= now) {
		__atomic_store_n(&xen->woken, 1, __ATOMIC_SEQ_CST);
		xen->deadline[XEN_DEADLINE_POLL] = PVM_NO_DEADLINE;
	}
	if (xen->deadline[XEN_DEADLINE_TIMER] <= now) {
		pvm_xen_set_deadline(vcpu, XEN_DEADLINE_TIMER, PVM_NO_DEADLINE);
		pvm_xen_raise_virq(vcpu, PVM_XEN_VIRQ_TIMER);
	} else {
		pvm_xen_set_deadline(vcpu, XEN_DEADLINE_TIMER, xen->deadline[XEN_DEADLINE_TIMER]);
	}
}

static enum xen_step set_timer(struct xen_call *call, uint64_t ns, uint32_t flags)
{
	if ((flags & PVM_XEN_SSHOTTMR_FUTURE) && ns <= pvm_xen_now(call->vcpu))
		return xen_done(call, PVM_XEN_ETIME);
	pvm_xen_set_deadline(call->vcpu, XEN_DEADLINE_TIMER, ns);
	return xen_done(call, 0);
}

/* Nanoseconds of system time, as VCPUOP_set_singleshot_timer has them; 0: none. */
enum xen_step pvm_xen_set_timer_op(struct xen_call *call)
{
	call->budget--;
	return set_timer(call, call->arg[0] ? call->arg[0] : PVM_NO_DEADLINE, 0);
}

static enum xen_step set_singleshot(struct xen_call *call)
{
	struct {
		uint64_t ns;
		uint32_t flags, pad;
	} timer;
	enum xen_step step;
	bool failed;

	step = pvm_xen_read(call, call->arg[2], &timer, sizeof(timer), &failed);
	return failed ? step : set_timer(call, timer.ns, timer.flags);
}

/* ------------------------------------------------------------------------
 * Its context.
 */

/* Reading it, a part at a time: it is larger than a stack should hold. */
struct reader {
	struct xen_call *call;
	enum xen_step step;
	bool failed;
};

static void read_part(struct reader *r, unsigned offset, void *to, size_t length)
{
	if (!r->failed)
		r->step = pvm_xen_read(r->call, r->call->arg[2] + offset, to, length, &r->failed);
}

static uint64_t read_word(struct reader *r, unsigned offset)
{
	uint64_t word = 0;

	read_part(r, offset, &word, sizeof(word));
	return word;
}

static void read_traps(struct reader *r, struct xen_vcpu *xen)
{
	struct pvm_xen_trap_info info;
	unsigned i;

	for (i = 0; i < XEN_VECTORS && !r->failed; i++) {
		read_part(r, PVM_XEN_CONTEXT_TRAPS + i * sizeof(info), &info, sizeof(info));
		if (r->failed)
			break;
		/* In their place, whatever the entry says its vector is. */
		xen->trap[i] = info.address;
		xen->trap_flags[i] = info.flags;
	}
}

static void read_registers(struct reader *r, struct xen_start *start)
{
	static const uint8_t order[] = { PVM_R15, PVM_R14, PVM_R13, PVM_R12, PVM_RBP, PVM_RBX, PVM_R11,
					 PVM_R10, PVM_R9, PVM_R8, PVM_RAX, PVM_RCX, PVM_RDX, PVM_RSI,
					 PVM_RDI };
	unsigned i;

	for (i = 0; i < sizeof(order); i++)
		start->gpr[order[i]] = read_word(r, PVM_XEN_CONTEXT_REGS + i * sizeof(uint64_t));
	start->gpr[PVM_RSP] = read_word(r, PVM_XEN_CONTEXT_RSP);
	start->rip = read_word(r, PVM_XEN_CONTEXT_RIP);
	start->rflags = read_word(r, PVM_XEN_CONTEXT_RFLAGS);
	start->cr3 = read_word(r, PVM_XEN_CONTEXT_CR3);
	start->user_cr3 = read_word(r, PVM_XEN_CONTEXT_CR3_USER);
	start->fs_base = read_word(r, PVM_XEN_CONTEXT_FS_BASE);
	start->gs_base = read_word(r, PVM_XEN_CONTEXT_GS_BASE_KERNEL);
	start->user_gs_base = read_word(r, PVM_XEN_CONTEXT_GS_BASE_USER);
}

bool pvm_xen_start_is_valid(const struct pvm_vcpu *vcpu, const struct xen_start *start)
{
	const struct pvm_vm_config *config = &vcpu->vm->config;

	return pvm_legal_address(vcpu, pvm_gva(start->rip)) &&	/* S1 */
	       !(start->cr3 >> config->guest_maxphyaddr) && !(start->user_cr3 >> config->guest_maxphyaddr) &&
	       pvm_sign_extend_host(vcpu, start->fs_base) == start->fs_base &&
	       pvm_sign_extend_host(vcpu, start->gs_base) == start->gs_base &&
	       pvm_sign_extend_host(vcpu, start->user_gs_base) == start->user_gs_base;
}

static enum xen_step initialise(struct xen_call *call, struct pvm_vcpu *vcpu)
{
	struct xen_vcpu *xen = xen_vcpu(vcpu);
	struct reader r = { .call = call, .step = XEN_DONE };
	uint32_t life = XEN_FRESH;
	bool valid;

	call->budget -= XEN_VECTORS;
	if (!__atomic_compare_exchange_n(&xen->life, &life, XEN_BUSY, false, __ATOMIC_SEQ_CST,
					 __ATOMIC_SEQ_CST))
		return xen_done(call, life == XEN_BUSY ? PVM_XEN_EBUSY : PVM_XEN_EEXIST);
	valid = read_word(&r, PVM_XEN_CONTEXT_FLAGS) & IN_KERNEL;
	read_registers(&r, &xen->start);
	read_traps(&r, xen);
	xen->start.kernel_sp = read_word(&r, PVM_XEN_CONTEXT_KERNEL_SP);
	xen->callback[PVM_XEN_CALLBACK_EVENT].address = read_word(&r, PVM_XEN_CONTEXT_EVENT);
	xen->callback[PVM_XEN_CALLBACK_FAILSAFE].address = read_word(&r, PVM_XEN_CONTEXT_FAILSAFE);
	xen->callback[PVM_XEN_CALLBACK_SYSCALL].address = read_word(&r, PVM_XEN_CONTEXT_SYSCALL);
	valid = valid && pvm_xen_start_is_valid(vcpu, &xen->start);
	__atomic_store_n(&xen->life, r.failed || !valid ? XEN_FRESH : XEN_READY, __ATOMIC_SEQ_CST);
	if (r.failed)
		return r.step;
	return xen_done(call, valid ? 0 : PVM_XEN_EINVAL);
}

/* ------------------------------------------------------------------------
 * Up and down.
 */

static bool change_life(struct xen_vcpu *xen, uint32_t from, uint32_t to)
{
	return __atomic_compare_exchange_n(&xen->life, &from, to, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

static enum xen_step go_up(struct xen_call *call, struct pvm_vcpu *vcpu)
{
	struct xen_vcpu *xen = xen_vcpu(vcpu);

	if (change_life(xen, XEN_READY, XEN_STARTING) || change_life(xen, XEN_DOWN, XEN_UP))
		vcpu->vm->ops->kick(vcpu->vm->host, vcpu);
	else if (__atomic_load_n(&xen->life, __ATOMIC_SEQ_CST) < XEN_STARTING)
		return xen_done(call, PVM_XEN_EINVAL);
	return xen_done(call, 0);
}

/* It stops before its next entry. */
static enum xen_step go_down(struct xen_call *call, struct pvm_vcpu *vcpu)
{
	bool changed = change_life(xen_vcpu(vcpu), XEN_UP, XEN_DOWN) ||
		       change_life(xen_vcpu(vcpu), XEN_STARTING, XEN_READY);

	if (vcpu != call->vcpu) {
		if (changed)
			vcpu->vm->ops->kick(vcpu->vm->host, vcpu);
		return xen_done(call, 0);
	}
	vcpu->gpr[PVM_RAX] = 0;
	vcpu->halted = true;
	call->action = PVM_ACT_HALT;
	return XEN_ACTION;
}

/* ------------------------------------------------------------------------
 * Where it has what it shares.
 */

static enum xen_step register_info(struct xen_call *call, struct pvm_vcpu *vcpu)
{
	struct xen_vcpu *xen = xen_vcpu(vcpu);
	struct {
		uint64_t frame;
		uint32_t offset, pad;
	} place;
	uint64_t none = 0, gpa;
	enum xen_step step;
	bool failed;
	int rc;

	step = pvm_xen_read(call, call->arg[2], &place, sizeof(place), &failed);
	if (failed)
		return step;
	gpa = (place.frame << PVM_PAGE_SHIFT) + place.offset;
	if (place.offset > PVM_PAGE_SIZE - sizeof(struct pvm_xen_vcpu_info) ||
	    place.offset % sizeof(uint64_t) ||
	    place.frame >> (vcpu->vm->config.guest_maxphyaddr - PVM_PAGE_SHIFT) || !gpa)
		return xen_done(call, PVM_XEN_EINVAL);
	rc = pvm_mmu_probe_gpa(call->vcpu, pvm_gpa(gpa));
	if (rc != PVM_OK)
		return rc == PVM_EAGAIN ? XEN_LATE : xen_done(call, PVM_XEN_EINVAL);
	if (!__atomic_compare_exchange_n(&xen->info_gpa, &none, gpa, false, __ATOMIC_SEQ_CST,
					 __ATOMIC_SEQ_CST))
		return xen_done(call, PVM_XEN_EINVAL);
	return xen_done(call, 0);	/* it moves there before its next entry */
}

static enum xen_step register_area(struct xen_call *call, uint64_t *area)
{
	enum xen_step step;
	uint64_t gva;
	bool failed;

	step = pvm_xen_read(call, call->arg[2], &gva, sizeof(gva), &failed);
	if (failed)
		return step;
	__atomic_store_n(area, gva, __ATOMIC_RELEASE);
	return xen_done(call, 0);
}

static enum xen_step register_time(struct xen_call *call, struct pvm_vcpu *vcpu)
{
	enum xen_step step = register_area(call, &xen_vcpu(vcpu)->time_area);

	if (step == XEN_DONE && !call->result && vcpu == call->vcpu)
		xen_vcpu(vcpu)->timeless = true;
	return step;
}

static enum xen_step register_runstate(struct xen_call *call, struct pvm_vcpu *vcpu)
{
	enum xen_step step = register_area(call, &xen_vcpu(vcpu)->runstate_area);

	if (step == XEN_DONE && !call->result && vcpu == call->vcpu)
		pvm_xen_set_runstate(vcpu, PVM_XEN_RUNSTATE_RUNNING);
	return step;
}

static enum xen_step get_runstate(struct xen_call *call, const struct pvm_vcpu *vcpu)
{
	bool failed;
	enum xen_step step = pvm_xen_write(call, call->arg[2], &xen_vcpu(vcpu)->runstate,
				       sizeof(struct pvm_xen_runstate), &failed);

	return failed ? step : xen_done(call, 0);
}

enum xen_step pvm_xen_vcpu_op(struct xen_call *call)
{
	struct pvm_vcpu *vcpu = xen_find_vcpu(call->vcpu->vm, call->arg[1]);

	call->budget--;
	if (!vcpu)
		return xen_done(call, PVM_XEN_ENOENT);
	switch (call->arg[0]) {
	case PVM_XEN_VCPUOP_INITIALISE:
		return initialise(call, vcpu);
	case PVM_XEN_VCPUOP_UP:
		return go_up(call, vcpu);
	case PVM_XEN_VCPUOP_DOWN:
		return go_down(call, vcpu);
	case PVM_XEN_VCPUOP_IS_UP:
		return xen_done(call,
				__atomic_load_n(&xen_vcpu(vcpu)->life, __ATOMIC_SEQ_CST) >= XEN_STARTING);
	case PVM_XEN_VCPUOP_GET_RUNSTATE:
		return get_runstate(call, vcpu);
	case PVM_XEN_VCPUOP_REGISTER_RUNSTATE:
		return register_runstate(call, vcpu);
	case PVM_XEN_VCPUOP_STOP_PERIODIC_TIMER:
		return xen_done(call, 0);	/* there is none */
	case PVM_XEN_VCPUOP_REGISTER_VCPU_INFO:
		return register_info(call, vcpu);
	case PVM_XEN_VCPUOP_REGISTER_TIME:
		return register_time(call, vcpu);
	}
	if (vcpu != call->vcpu)
		return xen_done(call, PVM_XEN_EINVAL);
	switch (call->arg[0]) {
	case PVM_XEN_VCPUOP_SET_SINGLESHOT_TIMER:
		return set_singleshot(call);
	case PVM_XEN_VCPUOP_STOP_SINGLESHOT_TIMER:
		pvm_xen_set_deadline(vcpu, XEN_DEADLINE_TIMER, PVM_NO_DEADLINE);
		return xen_done(call, 0);
	}
	return xen_done(call, PVM_XEN_ENOSYS);
}
