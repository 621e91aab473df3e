/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* The kernel without a kernel. Owns the switches of struct fake_kernel. */
#define _GNU_SOURCE
#include "fake_kernel.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <pvm/abi.h>
#include <pvm/kvm.h>

#include "debug_exit.h"
#include "kvm/device.h"
#include "kvm/kvm.h"

#define TSC_KHZ		1234567
#define RUN_SIZE	8192
#define DATA_OFFSET	4096

struct fake_kernel fake_kernel;

/* Descriptors: real ones, so that they can be mapped, and tell their kind by their place. */
static struct {
	int fd;
	struct kvm_run *run;
} vcpus[FAKE_VCPUS];
static int device_fd[2], vm_fd;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static int new_fd(void)
{
	int fd = memfd_create("fake-kvm", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, RUN_SIZE))
		return -1;
	fake_kernel.descriptors++;
	return fd;
}

static int fail(int error)
{
	errno = error;
	return -1;
}

static int fake_open(const char *path)
{
	if (strcmp(path, "/dev/kvm"))
		return fail(ENOENT);
	if (fake_kernel.open_errno)
		return fail(fake_kernel.open_errno);
	device_fd[fake_kernel.opened++ % 2] = new_fd();
	return device_fd[(fake_kernel.opened - 1) % 2];
}

static void fake_close(int fd)
{
	unsigned i;

	for (i = 0; i < FAKE_VCPUS; i++)	/* the number is another's next */
		if (vcpus[i].fd == fd)
			vcpus[i].fd = -1;
	fake_kernel.descriptors--;
	close(fd);
}

static int feature_msr(struct kvm_msrs *msrs)
{
	if (msrs->entries[0].index != PVM_KVM_MSR_ABIS || !fake_kernel.is_pvm) {
		msrs->entries[0].data = 0;
		return fake_kernel.ignores_msrs;
	}
	msrs->entries[0].data = PVM_KVM_ABIS_SIGNATURE | fake_kernel.abis;
	return 1;
}

static int supported_cpuid(struct kvm_cpuid2 *cpuid)
{
	if (cpuid->nent < 2)
		return fail(E2BIG);
	memset(cpuid->entries, 0, 2 * sizeof(cpuid->entries[0]));
	cpuid->entries[0].function = 1;
	cpuid->entries[1].function = 0x80000008;
	cpuid->entries[1].eax = 0x3030;
	cpuid->nent = 2;
	return 0;
}

static int on_device(unsigned long request, void *arg)
{
	switch (request) {
	case KVM_GET_API_VERSION:
		return fake_kernel.version;
	case KVM_GET_MSRS:
		return feature_msr(arg);
	case KVM_GET_SUPPORTED_CPUID:
		return supported_cpuid(arg);
	case KVM_CHECK_EXTENSION:
		return FAKE_VCPUS;
	case KVM_GET_VCPU_MMAP_SIZE:
		return RUN_SIZE;
	case KVM_CREATE_VM:
		fake_kernel.vms++;
		vm_fd = new_fd();
		return vm_fd;
	}
	return fail(ENOTTY);
}

static int new_vcpu(uintptr_t id)
{
	vcpus[id].fd = new_fd();
	vcpus[id].run = mmap(NULL, RUN_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, vcpus[id].fd, 0);
	fake_kernel.vcpus++;
	return vcpus[id].fd;
}

/* What is saved is what was restored last: bytes to the fake. */
static int xen_state(const struct pvm_kvm_xen_state *request)
{
	struct fake_xen_state *state = &fake_kernel.xen_state[request->what];
	uint64_t at =
		request->what == PVM_KVM_XEN_STATE_VCPU ? request->index * request->size : request->index / 8;

	if (request->what >= FAKE_XEN_STATES || at + request->size > sizeof(state->bytes))
		return fail(EINVAL);
	if (request->op == PVM_KVM_XEN_RESTORE) {
		memcpy(state->bytes + at, (void *)(uintptr_t)request->data, request->size);
		return 0;
	}
	if (request->what == PVM_KVM_XEN_STATE_VCPU && fake_kernel.saves_fail) {
		fake_kernel.saves_fail--;
		return fail(EAGAIN);
	}
	memcpy((void *)(uintptr_t)request->data, state->bytes + at, request->size);
	return 0;
}

static int private_op(void *arg)
{
	const struct pvm_kvm_xen_port *port = arg;

	switch (*(uint32_t *)arg) {
	case PVM_KVM_SET_ABI:
		fake_kernel.abi = ((struct pvm_kvm_set_abi *)arg)->abi;
		return 0;
	case PVM_KVM_XEN_PORT:
		if (port->port < FAKE_PORTS)
			fake_kernel.port_fd[port->port] = port->fd;
		return (int)port->port;
	case PVM_KVM_XEN_NOTIFY:
		if (!__atomic_load_n(&fake_kernel.has_run, __ATOMIC_SEQ_CST))
			return fail(EAGAIN);
		__atomic_fetch_add(&fake_kernel.notified, 1, __ATOMIC_SEQ_CST);
		return 0;
	case PVM_KVM_XEN_SAVE:
	case PVM_KVM_XEN_RESTORE:
		return xen_state(arg);
	}
	return 0;
}

static int on_vm(unsigned long request, void *arg)
{
	switch (request) {
	case KVM_MEMORY_ENCRYPT_OP:
		return private_op(arg);
	case KVM_SET_USER_MEMORY_REGION:
		fake_kernel.memory = *(struct kvm_userspace_memory_region *)arg;
		return 0;
	case KVM_ENABLE_CAP:
		return 0;
	case KVM_CREATE_VCPU:
		return new_vcpu((uintptr_t)arg);
	}
	return fail(ENOTTY);
}

static int set_cpuid(const struct kvm_cpuid2 *cpuid)
{
	uint32_t i;

	for (i = 0; i < cpuid->nent; i++)
		if (cpuid->entries[i].function == MONITOR_CPUID_TIMING)
			fake_kernel.timing_khz = cpuid->entries[i].eax;
	return 0;
}

static int vcpu_msrs(unsigned id, struct kvm_msrs *msrs, bool set)
{
	if (msrs->entries[0].index != MSR_PVM_SWITCH_CR3)
		return 0;
	if (set)
		fake_kernel.switch_cr3[id] = msrs->entries[0].data;
	else
		msrs->entries[0].data = fake_kernel.switch_cr3[id];
	return 1;
}

static int run_vcpu(unsigned id)
{
	int error;

	if (vcpus[id].run->immediate_exit)
		return fail(EINTR);
	__atomic_store_n(&fake_kernel.has_run, true, __ATOMIC_SEQ_CST);
	error = fake_kernel.run(id, vcpus[id].run);
	return error ? fail(error) : 0;
}

static int on_vcpu(unsigned id, unsigned long request, void *arg)
{
	switch (request) {
	case KVM_RUN:
		return run_vcpu(id);
	case KVM_SET_CPUID2:
		return set_cpuid(arg);
	case KVM_GET_TSC_KHZ:
		return TSC_KHZ;
	case KVM_SET_REGS:
		fake_kernel.regs[id] = *(struct kvm_regs *)arg;
		return 0;
	case KVM_GET_REGS:
		*(struct kvm_regs *)arg = fake_kernel.regs[id];
		return 0;
	case KVM_SET_SREGS:
		fake_kernel.sregs[id] = *(struct kvm_sregs *)arg;
		return 0;
	case KVM_GET_SREGS:
		*(struct kvm_sregs *)arg = fake_kernel.sregs[id];
		return 0;
	case KVM_SET_MSRS:
	case KVM_GET_MSRS:
		return vcpu_msrs(id, arg, request == KVM_SET_MSRS);
	case KVM_SET_XSAVE:
		fake_kernel.xsave[id] = *(struct kvm_xsave *)arg;
		return 0;
	case KVM_GET_XSAVE:
		*(struct kvm_xsave *)arg = fake_kernel.xsave[id];
		return 0;
	case KVM_GET_XCRS:
		*(struct kvm_xcrs *)arg =
			(struct kvm_xcrs){ .nr_xcrs = 1, .xcrs[0].value = fake_kernel.xcr0 };
		return 0;
	case KVM_SET_XCRS:
	case KVM_SET_DEBUGREGS:
	case KVM_GET_DEBUGREGS:
	case KVM_SET_MP_STATE:
	case KVM_GET_MP_STATE:
	case KVM_SET_VCPU_EVENTS:
	case KVM_GET_VCPU_EVENTS:
		return 0;
	}
	return fail(ENOTTY);
}

static int fake_ioctl(int fd, unsigned long request, void *arg)
{
	unsigned i;

	if (request == fake_kernel.fails)
		return fail(fake_kernel.fails_errno);
	for (i = 0; i < FAKE_VCPUS; i++)	/* of some VMs in turn, there are more */
		if (fd == vcpus[i].fd)
			return on_vcpu(i, request, arg);
	if (fake_kernel.vms && fd == vm_fd)
		return on_vm(request, arg);
	pthread_mutex_lock(&lock);
	i = fd == device_fd[0] || fd == device_fd[1];
	pthread_mutex_unlock(&lock);
	return i ? on_device(request, arg) : fail(EBADF);
}

static int exit_0(unsigned vcpu, struct kvm_run *run)
{
	(void)vcpu;
	fake_port(run, DEBUG_EXIT_PORT, true, 0);
	return 0;
}

void fake_kernel_install(void)
{
	unsigned i;

	memset(&fake_kernel, 0, sizeof(fake_kernel));
	for (i = 0; i < FAKE_VCPUS; i++)
		vcpus[i].fd = -1;
	fake_kernel.version = KVM_API_VERSION;
	fake_kernel.is_pvm = true;
	fake_kernel.abis = 1u << PVM_ABI_DUAL_CR3 | 1u << PVM_ABI_SINGLE_CR3;
	fake_kernel.run = exit_0;
	kvm_device_calls = (struct kvm_device_calls){ fake_open, fake_ioctl, fake_close };
}

void fake_port(struct kvm_run *run, uint16_t port, bool write, uint8_t value)
{
	run->exit_reason = KVM_EXIT_IO;
	run->io.direction = write ? KVM_EXIT_IO_OUT : KVM_EXIT_IO_IN;
	run->io.size = 1;
	run->io.port = port;
	run->io.count = 1;
	run->io.data_offset = DATA_OFFSET;
	((uint8_t *)run)[DATA_OFFSET] = value;
}

int fake_until_kick(unsigned vcpu, struct kvm_run *run)
{
	(void)vcpu;
	while (!__atomic_load_n(&run->immediate_exit, __ATOMIC_SEQ_CST))
		usleep(1000);
	return EINTR;
}
