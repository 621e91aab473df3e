// SPDX-License-Identifier: GPL-2.0
/*
 * Snapshots of VMs whose guest speaks Xen PV: what KVM's own ioctls do not have of them, through the private
 * channel (<pvm/kvm.h>). What the state means, and its checks, are the engine's.
 */
#include <linux/slab.h>
#include <linux/timekeeping.h>
#include <asm/tsc.h>

#include <pvm/xen_state.h>

#include "kvm_pvm.h"

/* One of the three, on its way from or to user space. */
union state {
	struct pvm_xen_vm_state vm;
	struct pvm_xen_vcpu_state vcpu;
	u64 tables[PVM_KVM_XEN_TABLES_MAX / sizeof(u64)];
};

static struct pvm_kvm_vcpu *find_vcpu(struct pvm_kvm *vm, u64 id)
{
	struct kvm *kvm = &vm->kvm;
	struct kvm_vcpu *vcpu;
	unsigned long i;

	kvm_for_each_vcpu(i, vcpu, kvm)
		if (vcpu->vcpu_id == id)
			return to_pvm_vcpu(vcpu);
	return NULL;
}

static bool is_size(const struct pvm_kvm_xen_state *request)
{
	switch (request->what) {
	case PVM_KVM_XEN_STATE_VM:
		return request->size == sizeof(struct pvm_xen_vm_state);
	case PVM_KVM_XEN_STATE_VCPU:
		return request->size == sizeof(struct pvm_xen_vcpu_state);
	case PVM_KVM_XEN_STATE_TABLES:
		return request->size && request->size <= PVM_KVM_XEN_TABLES_MAX &&
		       !(request->size % sizeof(u64)) && !(request->index % BITS_PER_LONG);
	}
	return false;
}

static int refused(const char *what, const char *field)
{
	pr_err_ratelimited("%d: PVM_KVM_XEN_RESTORE: %s is refused: %s\n", task_tgid_nr(current), what, field);
	return -EINVAL;
}

static int error_of(int rc, const char *what, const char *field)
{
	switch (rc) {
	case PVM_OK:
		return 0;
	case PVM_EBUSY:
		return -EBUSY;
	case PVM_EAGAIN:
		return -EAGAIN;
	case PVM_ENOMEM:
		return -ENOMEM;
	}
	return refused(what, field);
}

/* Its clock goes on from where it was. */
static int restore_vm(struct pvm_kvm *vm, const struct pvm_xen_vm_state *state)
{
	const char *field = NULL;
	int rc;

	mutex_lock(&vm->lock);
	rc = pvm_xen_vm_restore(&vm->pvm, state, &field);
	if (rc == PVM_OK)
		pvm_kvm_xen_set_clock(vm, state->now);
	mutex_unlock(&vm->lock);
	return error_of(rc, "its state", field);
}

/* It looks for itself whether what it halts for has come, and has its timer set: also where KVM_SET_MP_STATE
 * said that it halts. */
static int restore_vcpu(struct pvm_kvm_vcpu *v, const struct pvm_xen_vcpu_state *state)
{
	const char *field = NULL;
	int rc = pvm_xen_vcpu_restore(&v->pvm, state, &field);

	if (rc == PVM_OK)
		WRITE_ONCE(v->vcpu.arch.pv.pv_unhalted, true);
	return error_of(rc, "a vCPU's state", field);
}

/* What of its last exit is not done is in no register. */
static int save_vcpu(struct pvm_kvm_vcpu *v, struct pvm_xen_vcpu_state *state)
{
	if (v->acts || v->exit.kind != PVM_EXIT_KICK)
		return -EAGAIN;
	pvm_xen_vcpu_save(&v->pvm, state);
	return 0;
}

static int save(struct pvm_kvm *vm, struct pvm_kvm_vcpu *v, const struct pvm_kvm_xen_state *request,
		union state *state)
{
	switch (request->what) {
	case PVM_KVM_XEN_STATE_VM:
		pvm_xen_vm_save(&vm->pvm, &state->vm);
		return 0;
	case PVM_KVM_XEN_STATE_VCPU:
		return save_vcpu(v, &state->vcpu);
	}
	pvm_xen_tables_save(&v->pvm, pvm_gfn(request->index), state->tables, request->size / sizeof(u64));
	return 0;
}

static int restore(struct pvm_kvm *vm, struct pvm_kvm_vcpu *v, const struct pvm_kvm_xen_state *request,
		   const union state *state)
{
	switch (request->what) {
	case PVM_KVM_XEN_STATE_VM:
		return restore_vm(vm, &state->vm);
	case PVM_KVM_XEN_STATE_VCPU:
		return restore_vcpu(v, &state->vcpu);
	}
	return error_of(pvm_xen_tables_restore(&v->pvm, pvm_gfn(request->index), state->tables,
					       request->size / sizeof(u64)),
			"a page table", "not the guest's memory");
}

/* For a VMM that has not stopped all of them: what it saved would be of different moments. One that comes
 * later is not kept out. */
static bool any_runs(struct kvm *kvm)
{
	struct kvm_vcpu *vcpu;
	unsigned long i;

	kvm_for_each_vcpu(i, vcpu, kvm)
		if (mutex_is_locked(&vcpu->mutex))
			return true;
	return false;
}

/* With the vCPU, which is in no ioctl of its own then; for what is the VM's, with the first. */
static int with_vcpu(struct pvm_kvm *vm, struct pvm_kvm_vcpu *v, const struct pvm_kvm_xen_state *request,
		     union state *state)
{
	int error, idx;

	if (any_runs(&vm->kvm) || !mutex_trylock(&v->vcpu.mutex))
		return -EBUSY;
	idx = srcu_read_lock(&vm->kvm.srcu);
	error = pvm_kvm_look_untold(v);
	if (!error)
		error = request->op == PVM_KVM_XEN_SAVE ? save(vm, v, request, state) :
							  restore(vm, v, request, state);
	srcu_read_unlock(&vm->kvm.srcu, idx);
	mutex_unlock(&v->vcpu.mutex);
	return error;
}

int pvm_kvm_xen_state(struct pvm_kvm *vm, const struct pvm_kvm_xen_state *request)
{
	void __user *data = u64_to_user_ptr(request->data);
	struct pvm_kvm_vcpu *v;
	union state *state;
	int error = 0;

	if (!smp_load_acquire(&vm->is_made) || !pvm_kvm_is_xen(vm) || !is_size(request))
		return -EINVAL;
	v = find_vcpu(vm, request->what == PVM_KVM_XEN_STATE_VCPU ? request->index : 0);
	if (!v)
		return -EINVAL;
	state = kvzalloc(sizeof(*state), GFP_KERNEL_ACCOUNT);
	if (!state)
		return -ENOMEM;
	if (request->op == PVM_KVM_XEN_RESTORE && copy_from_user(state, data, request->size))
		error = -EFAULT;
	if (!error)
		error = with_vcpu(vm, v, request, state);
	if (!error && request->op == PVM_KVM_XEN_SAVE && copy_to_user(data, state, request->size))
		error = -EFAULT;
	kvfree(state);
	return error;
}
