/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * SYSCALL: in user mode the guest's own, in the kernel a hypercall. The table of hypercalls, and
 * multicalls, which are lists of them.
 *
 * Every argument is hostile. Memory is read once into a copy (M6); a call that finds memory away
 * is made again from where it was, by the arguments that it leaves.
 */
#include "abi/xen_pv/xen_pv.h"
#include "events/resume.h"

#define BUDGET		512	/* units of work of one exit */
#define BUDGET_BRIEF	64	/* of one with interrupts off (M12) */

static const uint8_t registers[XEN_ARGS] = { PVM_RDI, PVM_RSI, PVM_RDX, PVM_R10, PVM_R8, PVM_R9 };

static enum xen_step failed_step(struct xen_call *call, int rc, bool *failed)
{
	*failed = rc != PVM_OK;
	if (rc == PVM_OK)
		return XEN_DONE;
	return rc == PVM_EAGAIN ? XEN_LATE : xen_done(call, PVM_XEN_EFAULT);
}

enum xen_step pvm_xen_read(struct xen_call *call, uint64_t gva, void *to, size_t length, bool *failed)
{
	struct pvm_fault_result fault;
	pvm_gva_t at;

	return failed_step(call,
			   pvm_mmu_read(call->vcpu, pvm_gva(gva), to, length, PVM_ACCESS_READ, &fault, &at),
			   failed);
}

enum xen_step pvm_xen_write(struct xen_call *call, uint64_t gva, const void *from, size_t length,
			    bool *failed)
{
	struct pvm_fault_result fault;
	pvm_gva_t at;

	return failed_step(call, pvm_mmu_write(call->vcpu, pvm_gva(gva), from, length, &fault, &at), failed);
}

/* Descriptor tables and the like need no FPU: TS is never set. */
static enum xen_step fpu_taskswitch(struct xen_call *call)
{
	return xen_done(call, 0);
}

static xen_handler multicall;

/* number, name, handler, may it be an entry of a multicall? */
#define CALLS(ROW)									\
	ROW(SET_TRAP_TABLE, "set_trap_table", pvm_xen_set_trap_table, true)			\
	ROW(MMU_UPDATE, "mmu_update", pvm_xen_mmu_update, true)				\
	ROW(SET_GDT, "set_gdt", pvm_xen_set_gdt, true)					\
	ROW(STACK_SWITCH, "stack_switch", pvm_xen_stack_switch, true)			\
	ROW(FPU_TASKSWITCH, "fpu_taskswitch", fpu_taskswitch, true)			\
	ROW(SET_DEBUGREG, "set_debugreg", pvm_xen_set_debugreg, true)			\
	ROW(GET_DEBUGREG, "get_debugreg", pvm_xen_get_debugreg, true)			\
	ROW(UPDATE_DESCRIPTOR, "update_descriptor", pvm_xen_update_descriptor, true)	\
	ROW(MEMORY_OP, "memory_op", pvm_xen_memory_op, true)				\
	ROW(MULTICALL, "multicall", multicall, false)					\
	ROW(UPDATE_VA_MAPPING, "update_va_mapping", pvm_xen_update_va_mapping, true)	\
	ROW(SET_TIMER_OP, "set_timer_op", pvm_xen_set_timer_op, true)			\
	ROW(XEN_VERSION, "xen_version", pvm_xen_version, true)				\
	ROW(GRANT_TABLE_OP, "grant_table_op", pvm_xen_grant_table_op, true)			\
	ROW(VM_ASSIST, "vm_assist", pvm_xen_vm_assist, true)				\
	ROW(VCPU_OP, "vcpu_op", pvm_xen_vcpu_op, false)					\
	ROW(SET_SEGMENT_BASE, "set_segment_base", pvm_xen_set_segment_base, true)		\
	ROW(MMUEXT_OP, "mmuext_op", pvm_xen_mmuext_op, true)				\
	ROW(SCHED_OP, "sched_op", pvm_xen_sched_op, false)					\
	ROW(CALLBACK_OP, "callback_op", pvm_xen_callback_op, true)				\
	ROW(EVENT_CHANNEL_OP, "event_channel_op", pvm_xen_event_channel_op, true)		\
	ROW(PHYSDEV_OP, "physdev_op", pvm_xen_physdev_op, true)

struct row {
	xen_handler *handler;
	bool in_multicall;
};

#define HANDLER(number, name, function, multi) [PVM_XEN_##number] = { function, multi },

static const struct row rows[PVM_XEN_HYPERCALLS] = { CALLS(HANDLER) };

static enum xen_step run_row(struct xen_call *call, uint64_t nr)
{
	if (nr >= PVM_XEN_HYPERCALLS)
		return xen_done(call, PVM_XEN_ENOSYS);
	nr = pvm_index_clamped(nr, PVM_XEN_HYPERCALLS);
	if (!rows[nr].handler)
		return xen_done(call, PVM_XEN_ENOSYS);
	if (call->multi && !rows[nr].in_multicall)
		return xen_done(call, PVM_XEN_EINVAL);
	return rows[nr].handler(call);
}

/* ------------------------------------------------------------------------
 * Multicalls.
 */

/* In the count of entries left: the first of them was begun, and memory was away where it is to be written
 * to its entry. What that is, is in the arguments that a multicall does not use. */
#define OWES_RESULT	(1ull << 62)	/* in OWED_RESULT; it is done */
#define OWES_ARGS	(1ull << 61)	/* from OWED_ARGS on; it is to go on with them */
#define OWED_RESULT	2
#define OWED_ARGS	2
#define ARGS_OWED	3	/* no call changes more of its arguments */

static uint64_t result_of(uint64_t entry)
{
	return entry + offsetof(struct pvm_xen_multicall_entry, result);
}

static uint64_t args_of(uint64_t entry)
{
	return entry + offsetof(struct pvm_xen_multicall_entry, args);
}

/* An entry is done, and so says its result. */
static enum xen_step finish_entry(struct xen_call *call, int64_t result)
{
	bool failed;
	enum xen_step step = pvm_xen_write(call, result_of(call->arg[0]), &result, sizeof(result), &failed);

	if (step == XEN_LATE) {
		call->arg[OWED_RESULT] = (uint64_t)result;
		call->arg[1] |= OWES_RESULT;
	}
	if (failed)
		return step;
	call->arg[0] += sizeof(struct pvm_xen_multicall_entry);
	call->arg[1]--;
	return XEN_DONE;
}

/* An entry is not done: @inner says how far it is, and @step why. */
static enum xen_step leave_entry(struct xen_call *call, const uint64_t *inner, enum xen_step step)
{
	bool failed;
	enum xen_step written = pvm_xen_write(call, args_of(call->arg[0]), inner, ARGS_OWED * sizeof(*inner),
					      &failed);

	if (!failed)
		return step;
	if (written == XEN_LATE) {
		memcpy(&call->arg[OWED_ARGS], inner, ARGS_OWED * sizeof(*inner));
		call->arg[1] |= OWES_ARGS;
	}
	return written;
}

/* The next entry. Its result has its place before it is run. */
static enum xen_step run_entry(struct xen_call *call)
{
	struct pvm_xen_multicall_entry entry;
	struct xen_call inner = { .vcpu = call->vcpu, .multi = true, .budget = call->budget };
	enum xen_step step;
	bool failed;

	step = pvm_xen_read(call, call->arg[0], &entry, sizeof(entry), &failed);
	if (failed)
		return step;
	step = pvm_xen_write(call, result_of(call->arg[0]), &entry.result, sizeof(entry.result), &failed);
	if (failed)
		return step;
	memcpy(inner.arg, entry.args, sizeof(inner.arg));
	step = run_row(&inner, entry.op);
	call->budget = inner.budget;
	return step == XEN_DONE ? finish_entry(call, inner.result) : leave_entry(call, inner.arg, step);
}

/* What was owed to the first entry when the call was made before. */
static enum xen_step pay_entry(struct xen_call *call)
{
	uint64_t args[ARGS_OWED];
	uint64_t owed = call->arg[1] & (OWES_RESULT | OWES_ARGS);

	call->arg[1] ^= owed;
	if (owed & OWES_RESULT)
		return finish_entry(call, (int64_t)call->arg[OWED_RESULT]);
	memcpy(args, &call->arg[OWED_ARGS], sizeof(args));
	return leave_entry(call, args, XEN_DONE);
}

static enum xen_step multicall(struct xen_call *call)
{
	enum xen_step step;

	while (call->arg[1]) {
		if (call->budget-- <= 0)
			return XEN_AGAIN;
		call->result = 0;
		step = call->arg[1] & (OWES_RESULT | OWES_ARGS) ? pay_entry(call) : run_entry(call);
		if (step != XEN_DONE || call->result < 0)
			return step;
	}
	return xen_done(call, 0);
}

/* ------------------------------------------------------------------------
 * SYSCALL.
 */

static enum pvm_action hypercall(struct pvm_vcpu *vcpu, uint64_t nr)
{
	struct xen_call call = { .vcpu = vcpu, .budget = vcpu->brief ? BUDGET_BRIEF : BUDGET };
	enum xen_step step;
	unsigned i;

	if (!pvm_rip_runnable(vcpu, vcpu->rip))		/* S1: also of calls that wait */
		return pvm_event_resume(vcpu);
	for (i = 0; i < XEN_ARGS; i++)
		call.arg[i] = vcpu->gpr[registers[i]];
	pvm_trace_vcpu(vcpu, PVM_TRACE_HYPERCALL, nr, call.arg[0], call.arg[1], call.arg[2]);
	step = run_row(&call, nr);
	switch (step) {
	case XEN_DONE:
		vcpu->gpr[PVM_RAX] = (uint64_t)call.result;
		return pvm_event_resume(vcpu);
	case XEN_ACTION:
		return call.action;
	case XEN_AGAIN:
	case XEN_LATE:
	case XEN_FAILED:
		break;
	}
	for (i = 0; i < XEN_ARGS; i++)
		vcpu->gpr[registers[i]] = call.arg[i];
	if (step != XEN_AGAIN)
		return step == XEN_LATE ? PVM_ACT_RETRY : PVM_ACT_ERROR;
	vcpu->rip -= PVM_SYSCALL_LENGTH;
	return PVM_ACT_RESUME;
}

enum pvm_action pvm_xen_syscall(struct pvm_vcpu *vcpu)
{
	uint64_t nr = vcpu->gpr[PVM_RAX];

	if (vcpu->user_mode)
		return pvm_xen_user_syscall(vcpu);
	return nr == PVM_XEN_IRET ? pvm_xen_iret(vcpu) : hypercall(vcpu, nr);
}

static enum pvm_action by_row(struct pvm_vcpu *vcpu)
{
	return hypercall(vcpu, vcpu->gpr[PVM_RAX]);
}

#define NAMED(number, name, function, multi) [PVM_XEN_##number] = { name, by_row, PVM_SERVE_NOT },

/* As the core has them: to be named, and to be called one by one. */
const struct pvm_hypercall_row pvm_xen_rows[XEN_ROWS] = {
	CALLS(NAMED)
	[PVM_XEN_IRET] = { "iret", pvm_xen_iret, PVM_SERVE_NOT },
};
