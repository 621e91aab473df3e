/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * A vCPU's registers as KVM's ioctls give them, and what kvm-pvm.ko has beyond: for guests that are saved.
 * What is restored is the kernel's to judge. Registers are KVM's own structures, whose layout is for good.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <pvm/kvm.h>
#include <pvm/x86.h>
#include <pvm/xen_state.h>

#include "device.h"
#include "kvm.h"

static const uint32_t msr_list[] = {
	PVM_MSR_KERNEL_GS_BASE, PVM_MSR_TSC_AUX, PVM_KVM_MSR_TLS0, PVM_KVM_MSR_TLS0 + 1, PVM_KVM_MSR_TLS0 + 2,
	PVM_KVM_MSR_EVENT,
};

#define MSRS	(sizeof(msr_list) / sizeof(msr_list[0]))

/* Without gaps: it is written as it is. */
struct state {
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct kvm_debugregs debugregs;
	struct kvm_vcpu_events events;
	struct kvm_xcrs xcrs;
	uint64_t msr[MSRS];	/* in the order of msr_list */
	uint64_t msr_there;	/* a bit for each: the CPU has it */
	struct kvm_xsave xsave;
};

struct one_msr {
	struct kvm_msrs head;
	struct kvm_msr_entry entry;
};

static int kvm_vcpu_save(struct monitor_vcpu *monitor, void *bytes, char *why, size_t why_size)
{
	int fd = kvm_vcpu(monitor)->fd;
	struct state *s = bytes;
	unsigned i;

	memset(s, 0, sizeof(*s));
	if (KVM_ASK(fd, KVM_GET_REGS, &s->regs, why, why_size) < 0 ||
	    KVM_ASK(fd, KVM_GET_SREGS, &s->sregs, why, why_size) < 0 ||
	    KVM_ASK(fd, KVM_GET_DEBUGREGS, &s->debugregs, why, why_size) < 0 ||
	    KVM_ASK(fd, KVM_GET_VCPU_EVENTS, &s->events, why, why_size) < 0 ||
	    KVM_ASK(fd, KVM_GET_XCRS, &s->xcrs, why, why_size) < 0 ||
	    KVM_ASK(fd, KVM_GET_XSAVE, &s->xsave, why, why_size) < 0)
		return -1;
	for (i = 0; i < MSRS; i++) {
		struct one_msr msr = { .head.nmsrs = 1, .entry.index = msr_list[i] };

		if (kvm_device_ioctl(fd, KVM_GET_MSRS, &msr) != 1)
			continue;
		s->msr[i] = msr.entry.data;
		s->msr_there |= 1ull << i;
	}
	return 0;
}

static unsigned long long xcr0(const struct kvm_xcrs *xcrs)
{
	return xcrs->nr_xcrs ? xcrs->xcrs[0].value : 0;
}

/* XSAVE's area has the layout of the parts that XCR0 turns on, which is the host's own. */
static int check_xcr0(int fd, const struct kvm_xcrs *saved, char *why, size_t why_size)
{
	struct kvm_xcrs xcrs = { 0 };

	if (KVM_ASK(fd, KVM_GET_XCRS, &xcrs, why, why_size) < 0)
		return -1;
	if (xcr0(saved) == xcr0(&xcrs))
		return 0;
	snprintf(why, why_size, "its XCR0 is 0x%llx, and this host's 0x%llx", xcr0(saved), xcr0(&xcrs));
	return -1;
}

static int set_msrs(int fd, const struct state *s, char *why, size_t why_size)
{
	unsigned i;

	for (i = 0; i < MSRS; i++) {
		struct one_msr msr = { .head.nmsrs = 1,
				       .entry = { .index = msr_list[i], .data = s->msr[i] } };

		if (!(s->msr_there >> i & 1))
			continue;
		if (kvm_device_ioctl(fd, KVM_SET_MSRS, &msr) == 1)
			continue;
		snprintf(why, why_size, "/dev/kvm: KVM_SET_MSRS refuses MSR 0x%x", msr_list[i]);
		return -1;
	}
	return 0;
}

static int kvm_vcpu_restore(struct monitor_vcpu *monitor, const void *bytes, char *why, size_t why_size)
{
	struct kvm_mp_state runnable = { KVM_MP_STATE_RUNNABLE };
	int fd = kvm_vcpu(monitor)->fd;
	const struct state *s = bytes;

	if (check_xcr0(fd, &s->xcrs, why, why_size) ||
	    KVM_ASK(fd, KVM_SET_XCRS, &s->xcrs, why, why_size) < 0 ||
	    KVM_ASK(fd, KVM_SET_XSAVE, &s->xsave, why, why_size) < 0 ||
	    KVM_ASK(fd, KVM_SET_SREGS, &s->sregs, why, why_size) < 0 || set_msrs(fd, s, why, why_size) ||
	    KVM_ASK(fd, KVM_SET_REGS, &s->regs, why, why_size) < 0 ||
	    KVM_ASK(fd, KVM_SET_DEBUGREGS, &s->debugregs, why, why_size) < 0 ||
	    KVM_ASK(fd, KVM_SET_VCPU_EVENTS, &s->events, why, why_size) < 0)
		return -1;
	return KVM_ASK(fd, KVM_SET_MP_STATE, &runnable, why, why_size) < 0 ? -1 : 0;
}

/* ------------------------------------------------------------------------
 * What is not KVM's.
 */

static const struct {
	uint32_t number;
	const char *name;
} kinds[] = {
	[EXECUTOR_XEN_VM] = { PVM_KVM_XEN_STATE_VM, "the VM" },
	[EXECUTOR_XEN_VCPU] = { PVM_KVM_XEN_STATE_VCPU, "a vCPU" },
	[EXECUTOR_XEN_TABLES] = { PVM_KVM_XEN_STATE_TABLES, "page tables" },
};

static int ask(struct monitor_vm *vm, uint32_t op, enum executor_xen_state what, uint64_t index,
	       const void *data, uint64_t size, char *why, size_t why_size)
{
	struct pvm_kvm_xen_state request = {
		.op = op, .what = kinds[what].number, .index = index, .data = (uintptr_t)data, .size = size,
	};
	int error;

	if (kvm_device_ioctl(kvm_vm(vm)->fd, KVM_MEMORY_ENCRYPT_OP, &request) >= 0)
		return 0;
	error = errno;
	snprintf(why, why_size, "/dev/kvm: %s of %s: %s%s",
		 op == PVM_KVM_XEN_SAVE ? "PVM_KVM_XEN_SAVE" : "PVM_KVM_XEN_RESTORE", kinds[what].name,
		 strerror(error), error == EINVAL ? "; the kernel's log may say which field" : "");
	return error == EAGAIN ? EXECUTOR_AGAIN : -1;
}

/* So many bytes of it at a time as the kernel takes. */
static int in_pieces(struct monitor_vm *vm, uint32_t op, enum executor_xen_state what, uint64_t index,
		     const void *data, uint64_t size, char *why, size_t why_size)
{
	uint64_t at, piece;

	for (at = 0; at < size; at += piece) {
		int rc;

		piece = size - at;
		if (what == EXECUTOR_XEN_TABLES && piece > PVM_KVM_XEN_TABLES_MAX)
			piece = PVM_KVM_XEN_TABLES_MAX;
		rc = ask(vm, op, what, index + (what == EXECUTOR_XEN_TABLES ? at * 8 : 0),
			 (const uint8_t *)data + at, piece, why, why_size);
		if (rc)
			return rc;
	}
	return 0;
}

static int kvm_xen_save(struct monitor_vm *vm, enum executor_xen_state what, uint64_t index, void *data,
			uint64_t size, char *why, size_t why_size)
{
	return in_pieces(vm, PVM_KVM_XEN_SAVE, what, index, data, size, why, why_size);
}

static int kvm_xen_restore(struct monitor_vm *vm, enum executor_xen_state what, uint64_t index,
			   const void *data, uint64_t size, char *why, size_t why_size)
{
	return in_pieces(vm, PVM_KVM_XEN_RESTORE, what, index, data, size, why, why_size) ? -1 : 0;
}

const struct executor_saving_ops kvm_saving = {
	.vcpu_bytes = sizeof(struct state),
	.vcpu_save = kvm_vcpu_save,
	.vcpu_restore = kvm_vcpu_restore,
	.xen_save = kvm_xen_save,
	.xen_restore = kvm_xen_restore,
};
