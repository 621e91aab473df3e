/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The kvm executor: a VM of /dev/kvm whose vCPUs run in the kernel until something is wanted from
 * user space. Owns the order of things in a vCPU's life, and the kick that ends it.
 *
 * A kick is only ever the end of the VM or a pause: interrupts and timers are the kernel's. It must not be
 * lost, wherever the thread is: monitor_vm::over, or that there is a pause, is set first, then
 * immediate_exit, then the signal is sent; the thread clears immediate_exit first and looks at the two then,
 * so that either it sees one, or KVM_RUN comes back at once, or the signal ends KVM_RUN.
 */
#include "kvm.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <pvm/kvm.h>

#include "device.h"
#include "../loop.h"
#include "../pause.h"
#include "../trace_glue.h"

#define KICK_SIGNAL	SIGRTMIN

/* ------------------------------------------------------------------------
 * Life.
 */

static void kick_handler(int signal)
{
	(void)signal;
}

/* For the whole process, and for good: a handler that does nothing is no disturbance. SA_RESTART, so
 * that it ends nothing but KVM_RUN. */
static void catch_kicks(void)
{
	struct sigaction action = { .sa_handler = kick_handler, .sa_flags = SA_RESTART };

	sigemptyset(&action.sa_mask);
	sigaction(KICK_SIGNAL, &action, NULL);
}

static void kvm_vm_destroy(struct monitor_vm *monitor)
{
	struct kvm_vm *vm = kvm_vm(monitor);
	uint32_t i;

	for (i = 0; i < vm->count; i++) {
		if (vm->vcpus[i].run)
			munmap(vm->vcpus[i].run, vm->vcpus[i].run_size);
		kvm_device_close(vm->vcpus[i].fd);
	}
	if (vm->fd >= 0)
		kvm_device_close(vm->fd);
	if (vm->device >= 0)
		kvm_device_close(vm->device);
	free(vm->vcpus);
	free(vm);
	monitor->executor_vm = NULL;
}

/* The monitor's table, with the rate of the TSC as KVM's timers have it. */
static int set_cpuid(const struct pvm_vm_config *config, int fd, char *why, size_t why_size)
{
	struct {
		struct kvm_cpuid2 head;
		struct kvm_cpuid_entry2 entry[KVM_CPUID_MAX];
	} cpuid = { 0 };
	int tsc_khz = kvm_device_ioctl(fd, KVM_GET_TSC_KHZ, NULL);
	uint32_t i;

	if (config->cpuid_count > KVM_CPUID_MAX) {
		snprintf(why, why_size, "%u CPUID leaves are more than KVM takes", config->cpuid_count);
		return -1;
	}
	for (i = 0; i < config->cpuid_count; i++) {
		const struct pvm_cpuid_entry *entry = &config->cpuid[i];

		cpuid.entry[i] = (struct kvm_cpuid_entry2){
			.function = entry->leaf, .index = entry->subleaf,
			.flags = entry->subleaf_matters ? KVM_CPUID_FLAG_SIGNIFCANT_INDEX : 0,
			.eax = entry->eax, .ebx = entry->ebx, .ecx = entry->ecx, .edx = entry->edx,
		};
		if (entry->leaf == MONITOR_CPUID_TIMING && tsc_khz > 0)
			cpuid.entry[i].eax = (uint32_t)tsc_khz;
	}
	cpuid.head.nent = config->cpuid_count;
	return KVM_ASK(fd, KVM_SET_CPUID2, &cpuid, why, why_size) < 0 ? -1 : 0;
}

static int make_vcpu(struct monitor_vm *monitor, uint32_t id, int run_size, char *why, size_t why_size)
{
	struct kvm_vm *vm = kvm_vm(monitor);
	struct kvm_vcpu *vcpu = &vm->vcpus[id];

	vcpu->fd = KVM_ASK(vm->fd, KVM_CREATE_VCPU, id, why, why_size);
	if (vcpu->fd < 0)
		return -1;
	vm->count = id + 1;
	if (set_cpuid(&monitor->pvm.config, vcpu->fd, why, why_size))
		return -1;
	vcpu->run_size = (size_t)run_size;
	vcpu->run = mmap(NULL, vcpu->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, 0);
	if (vcpu->run == MAP_FAILED) {
		vcpu->run = NULL;
		snprintf(why, why_size, "mapping vCPU %u of /dev/kvm: %s", id, strerror(errno));
		return -1;
	}
	return 0;
}

static int make_vm(struct monitor_vm *monitor, struct kvm_vm *vm, char *why, size_t why_size)
{
	struct pvm_kvm_set_abi abi = { .op = PVM_KVM_SET_ABI, .abi = monitor->pvm.config.abi };
	struct kvm_userspace_memory_region memory = {
		.memory_size = monitor->memory.size, .userspace_addr = (uintptr_t)monitor->memory.va,
	};
	/* Local APICs in the kernel, and no other interrupt controller, as the machine has it. */
	struct kvm_enable_cap apics = { .cap = KVM_CAP_SPLIT_IRQCHIP };
	const struct pvm_xen_config *config = &monitor->pvm.config.xen;
	struct pvm_kvm_set_xen xen = {
		.op = PVM_KVM_SET_XEN, .vcpus = config->vcpus, .pages = config->pages,
		.shared_info = config->shared_info.v, .grants = config->grants.v,
		.grant_frames = config->grant_frames,
	};
	int most = kvm_device_ioctl(vm->device, KVM_CHECK_EXTENSION, (void *)KVM_CAP_MAX_VCPUS);
	int run_size = KVM_ASK(vm->device, KVM_GET_VCPU_MMAP_SIZE, 0, why, why_size);
	uint32_t i;

	if (run_size < 0)
		return -1;
	if (run_size < (int)sizeof(struct kvm_run)) {
		snprintf(why, why_size, "this KVM is too old: its struct kvm_run has %d bytes", run_size);
		return -1;
	}
	if (most > 0 && monitor->vcpu_count > (uint32_t)most) {
		snprintf(why, why_size, "--smp=%u: this KVM has at most %d vCPUs", monitor->vcpu_count, most);
		return -1;
	}
	vm->fd = KVM_ASK(vm->device, KVM_CREATE_VM, 0, why, why_size);
	if (vm->fd < 0 || KVM_ASK(vm->fd, KVM_MEMORY_ENCRYPT_OP, &abi, why, why_size) < 0 ||
	    KVM_ASK(vm->fd, KVM_ENABLE_CAP, &apics, why, why_size) < 0 ||
	    KVM_ASK(vm->fd, KVM_SET_USER_MEMORY_REGION, &memory, why, why_size) < 0 ||
	    (abi.abi == PVM_ABI_XEN_PV && KVM_ASK(vm->fd, KVM_MEMORY_ENCRYPT_OP, &xen, why, why_size) < 0))
		return -1;
	for (i = 0; i < monitor->vcpu_count; i++)
		if (make_vcpu(monitor, i, run_size, why, why_size))
			return -1;
	return 0;
}

static int kvm_vm_init(struct monitor_vm *monitor, char *why, size_t why_size)
{
	struct kvm_vm *vm = calloc(1, sizeof(*vm));
	uint32_t abis;

	if (vm)
		vm->vcpus = calloc(monitor->vcpu_count, sizeof(*vm->vcpus));
	if (!vm || !vm->vcpus) {
		free(vm);
		snprintf(why, why_size, "kvm executor: out of memory");
		return -1;
	}
	vm->fd = -1;
	monitor->executor_vm = vm;
	catch_kicks();
	vm->device = kvm_device_open(&abis, why, why_size);
	if (vm->device >= 0 && !make_vm(monitor, vm, why, why_size))
		return 0;
	kvm_vm_destroy(monitor);
	return -1;
}

/* The caller of the process may have blocked the signal. */
static int kvm_vcpu_init(struct monitor_vcpu *vcpu, char *why, size_t why_size)
{
	sigset_t kick;

	(void)why;
	(void)why_size;
	sigemptyset(&kick);
	sigaddset(&kick, KICK_SIGNAL);
	pthread_sigmask(SIG_UNBLOCK, &kick, NULL);
	kvm_vcpu(vcpu)->thread = pthread_self();
	return 0;
}

static void kvm_vcpu_destroy(struct monitor_vcpu *vcpu)
{
	(void)vcpu;	/* its descriptors are read for statistics, and closed with the VM's */
}

/* ------------------------------------------------------------------------
 * Running.
 */

static void set_immediate_exit(struct kvm_vcpu *vcpu, uint8_t value)
{
	__atomic_store_n(&vcpu->run->immediate_exit, value, __ATOMIC_SEQ_CST);
}

static void kvm_kick(struct monitor_vcpu *monitor)
{
	struct kvm_vcpu *vcpu = kvm_vcpu(monitor);

	set_immediate_exit(vcpu, 1);
	pthread_kill(vcpu->thread, KICK_SIGNAL);
}

static void trace_exit(struct monitor_vcpu *vcpu, int error)
{
	struct pvm_guest_exit exit = { .kind = error ? PVM_EXIT_KICK : PVM_EXIT_ACTION };

	kvm_registers_place(vcpu);
	trace_glue_exit(vcpu, &exit);
}

static const char *advice(int error)
{
	switch (error) {
	case EFAULT:
		return ": the host has lost guest memory, or cannot give any";
	case ENOMEM:
		return ": for shadow tables; the control group may have a limit";
	default:
		return "; the kernel's log may say more";
	}
}

/* KVM_RUN has failed with @error. */
static void look_at_error(struct monitor_vcpu *vcpu, int error)
{
	if (error == EINTR) {
		kvm_vcpu(vcpu)->interrupted++;
		return;
	}
	if (error == EAGAIN) {	/* an INIT has come, and no SIPI yet; the kernel has waited */
		sched_yield();
		return;
	}
	loop_end(vcpu->vm, vcpu, MONITOR_END_FAILED, MONITOR_STATUS_FAILED,
		 "vCPU %u: KVM_RUN: %s%s", vcpu->pvm.id, strerror(error), advice(error));
}

static int run_once(struct kvm_vcpu *vcpu)
{
	int error = kvm_device_calls.ioctl(vcpu->fd, KVM_RUN, NULL) < 0 ? errno : 0;

	vcpu->io_pending = false;
	return error;
}

/* The kernel completes an OUT at the next KVM_RUN: the guest's rip is after it then. That may be another
 * exit, of the same instruction. */
static void settle(struct monitor_vcpu *monitor)
{
	struct kvm_vcpu *vcpu = kvm_vcpu(monitor);

	while (vcpu->io_pending) {
		set_immediate_exit(vcpu, 1);
		if (!run_once(vcpu))
			kvm_exit_handle(monitor);
	}
}

static void kvm_live(struct monitor_vcpu *monitor)
{
	struct kvm_vcpu *vcpu = kvm_vcpu(monitor);
	struct monitor_vm *vm = monitor->vm;
	char why[256] = "";

	if (!vm->restored && kvm_registers_put(monitor, why, sizeof(why))) {
		loop_end(vm, monitor, MONITOR_END_FAILED, MONITOR_STATUS_FAILED, "vCPU %u: %s",
			 monitor->pvm.id, why);
		return;
	}
	for (;;) {
		int error;

		set_immediate_exit(vcpu, 0);
		if (!pause_may_enter(monitor)) {
			settle(monitor);
			if (atomic_load(&vm->over))
				break;
			pause_wait(monitor);
			continue;
		}
		if (vm->trace)
			trace_glue_enter(monitor);
		error = run_once(vcpu);
		pause_leave(monitor);
		if (vm->trace)
			trace_exit(monitor, error);
		if (error)
			look_at_error(monitor, error);
		else
			kvm_exit_handle(monitor);
	}
	if (kvm_registers_get(monitor))
		kvm_registers_place(monitor);	/* better than nothing */
}

/* ------------------------------------------------------------------------
 * Event channels of Xen PV.
 */

static int kvm_xen_port(struct monitor_vm *monitor, uint32_t port, int fd, char *why, size_t why_size)
{
	struct pvm_kvm_xen_port request = { .op = PVM_KVM_XEN_PORT, .fd = fd, .port = port };

	return KVM_ASK(kvm_vm(monitor)->fd, KVM_MEMORY_ENCRYPT_OP, &request, why, why_size);
}

static bool kvm_xen_notify(struct monitor_vm *monitor, uint32_t port)
{
	struct pvm_kvm_xen_notify request = { .op = PVM_KVM_XEN_NOTIFY, .port = port };

	return kvm_device_ioctl(kvm_vm(monitor)->fd, KVM_MEMORY_ENCRYPT_OP, &request) >= 0 || errno != EAGAIN;
}

const struct executor_ops kvm_executor = {
	.name = "kvm",
	.memory = GUEST_MEMORY_PRIVATE,
	.available = kvm_available,
	.probe = kvm_probe,
	.vm_init = kvm_vm_init,
	.vm_destroy = kvm_vm_destroy,
	.vcpu_init = kvm_vcpu_init,
	.vcpu_destroy = kvm_vcpu_destroy,
	.live = kvm_live,
	.kick = kvm_kick,
	.xen_port = kvm_xen_port,
	.xen_notify = kvm_xen_notify,
	.saving = &kvm_saving,
	.print_stats = kvm_print_stats,
};
