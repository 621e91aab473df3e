/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The life of a VM: made of a guest's file, memory, devices, an executor and
 * vCPU threads; run once; taken apart in the opposite order. A VM that was
 * made only half is taken apart by the same code.
 */
#define _GNU_SOURCE
#include "vm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "boot.h"
#include "clock.h"
#include "control.h"
#include "elf_open.h"
#include "guest_abi.h"
#include "host.h"
#include "kernel_image.h"
#include "loop.h"
#include "memory.h"
#include "platform.h"
#include "run.h"
#include "saved/restore.h"
#include "trace.h"
#include "trace_glue.h"
#include "xen_disk_file.h"
#include "xen_guest.h"
#include "xen_start.h"

/* What monitor_vm keeps for vm.c alone. */
struct monitor_private {
	struct monitor_options options;
	struct pvm_cpuid_entry *cpuid;
	uint64_t start;			/* gpa of the first instruction */
	bool engine;			/* pvm_vm_init() was done */
	uint32_t engine_vcpus;		/* pvm_vcpu_init() was done for these */
	bool unread;			/* it was ended before its file was read: it has nothing to run */
};

static int check_options(const struct monitor_options *options, char *why, size_t why_size)
{
	unsigned i;

	if (options->vcpus > MONITOR_MAX_VCPUS) {
		snprintf(why, why_size, "%u vCPUs: at most %d are possible", options->vcpus,
			 MONITOR_MAX_VCPUS);
		return -1;
	}
	if (options->shadow_memory && (options->shadow_memory < SHADOW_MEMORY_MIN ||
				       options->shadow_memory > SHADOW_MEMORY_MAX)) {
		snprintf(why, why_size,
			 "%llu bytes of shadow memory: at least 16K and at most 64G are possible",
			 (unsigned long long)options->shadow_memory);
		return -1;
	}
	if (options->shadow_memory && options->executor->live) {
		snprintf(
			why, why_size,
			"--shadow-memory: the %s backend's shadow tables are the kernel's: limit them with a memory control group",
			options->executor->name);
		return -1;
	}
	for (i = 0; i < options->disk_count; i++) {
		if (xen_disk_file_check_format(&options->disks[i], why, why_size))
			return -1;
	}
	return 0;
}

const struct monitor_options *monitor_vm_options(const struct monitor_vm *vm)
{
	return &vm->private->options;
}

/* A guest that goes on has the table that it had, but for the rate of this host's clocks; @config has what it
 * would get here. */
static int take_saved_cpuid(struct monitor_vm *vm, struct pvm_vm_config *config, char *why, size_t why_size)
{
	const struct monitor_options *options = &vm->private->options;
	const struct saved_description *saved = options->description;
	const struct pvm_cpuid_entry *timing = &config->cpuid[config->cpuid_count - 1];
	struct pvm_cpuid_entry *cpuid = calloc(saved->cpuid_count + 1, sizeof(*cpuid));
	char missing[256];
	uint32_t i, count = 0;

	if (!cpuid) {
		snprintf(why, why_size, "no memory for the CPUID table");
		return -1;
	}
	if (saved_cpu_check(saved->cpuid, saved->cpuid_count, config->cpuid, config->cpuid_count, missing,
			    sizeof(missing))) {
		snprintf(why, why_size, "%s: has CPU features that this host lacks: %s",
			 saved_reader_path(options->saved), missing);
		free(cpuid);
		return -1;
	}
	for (i = 0; i < saved->cpuid_count; i++) {
		if (saved->cpuid[i].leaf != MONITOR_CPUID_TIMING)
			cpuid[count++] = saved->cpuid[i];
	}
	cpuid[count++] = *timing;
	free(vm->private->cpuid);
	vm->private->cpuid = cpuid;
	config->cpuid = cpuid;
	config->cpuid_count = count;
	return 0;
}

/* The executor's CPUID table without what another hypervisor below us says of
 * itself, and with our APIC and the frequencies of our clocks. */
static int make_cpuid(struct monitor_vm *vm, struct pvm_vm_config *config, char *why,
		      size_t why_size)
{
	struct pvm_cpuid_entry *cpuid = calloc(config->cpuid_count + 1, sizeof(*cpuid));
	uint32_t i, count = 0;

	if (!cpuid) {
		snprintf(why, why_size, "no memory for the CPUID table");
		return -1;
	}
	for (i = 0; i < config->cpuid_count; i++) {
		if (config->cpuid[i].leaf >> 28 == PVM_CPUID_SIGNATURE >> 28)
			continue;
		cpuid[count] = config->cpuid[i];
		/* The local APIC is ours, whatever the machine has. */
		if (cpuid[count].leaf == PVM_CPUID_LEAF_BASIC) {
			cpuid[count].ecx |= PVM_CPUID_1_ECX_X2APIC | PVM_CPUID_1_ECX_TSC_DEADLINE;
			cpuid[count].edx |= PVM_CPUID_1_EDX_APIC;
		}
		count++;
	}
	cpuid[count++] = (struct pvm_cpuid_entry){
		.leaf = MONITOR_CPUID_TIMING, .eax = clock_tsc_khz(), .ebx = APIC_TIMER_HZ / 1000,
	};
	vm->private->cpuid = cpuid;
	config->cpuid = cpuid;
	config->cpuid_count = count;
	return 0;
}

/* The executor's CPU, and what the monitor adds to it. */
static int configure(struct monitor_vm *vm, struct pvm_vm_config *config,
		     const struct elf_file *elf, char *why, size_t why_size)
{
	enum pvm_abi abi = config->abi;
	const char *field;

	if (abi == PVM_ABI_XEN_PV && !vm->executor->xen_port) {
		snprintf(
			why, why_size,
			"%s: a Xen PV kernel lives in the upper half, which the %s backend does not have: use --backend=kvm, on a host with kvm-pvm.ko",
			elf->path, vm->executor->name);
		return -1;
	}
	if (vm->executor->probe(config, elf->path, why, why_size))
		return -1;
	config->abi = abi;
	if (abi == PVM_ABI_XEN_PV)
		xen_guest_configure(vm, vm->vcpu_count, config);
	if (elf->upper_half && config->range.pml4_start == PVM_RANGE_INDEX_NONE &&
	    config->range.pml5_start == PVM_RANGE_INDEX_NONE) {
		snprintf(
			why, why_size,
			"%s: lives in the upper half, which a process does not have: use --backend=kvm or --backend=model",
			elf->path);
		return -1;
	}
	/* Our hpas are made up: they need these bits whatever the CPU has. */
	if (config->host_maxphyaddr < HOST_MAXPHYADDR)
		config->host_maxphyaddr = HOST_MAXPHYADDR;
	if (make_cpuid(vm, config, why, why_size) ||
	    (vm->restored && take_saved_cpuid(vm, config, why, why_size)))
		return -1;
	if (pvm_vm_config_check(config, &field)) {
		snprintf(why, why_size, "%s: this machine cannot run guests: %s",
			 vm->executor->name, field ? field : "its configuration is not possible");
		return -1;
	}
	return 0;
}

static int make_vcpus(struct monitor_vm *vm, uint32_t count, char *why, size_t why_size)
{
	pthread_condattr_t monotonic;
	uint32_t i;

	vm->vcpus = calloc(count, sizeof(*vm->vcpus));
	if (!vm->vcpus) {
		snprintf(why, why_size, "no memory for %u vCPUs", count);
		return -1;
	}
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	for (i = 0; i < count; i++) {
		struct monitor_vcpu *vcpu = aligned_alloc(64, (sizeof(*vcpu) + 63) & ~63ul);

		if (!vcpu) {
			snprintf(why, why_size, "no memory for vCPU %u", i);
			break;
		}
		memset(vcpu, 0, sizeof(*vcpu));
		vcpu->vm = vm;
		pthread_mutex_init(&vcpu->wake_lock, NULL);
		pthread_cond_init(&vcpu->wake, &monotonic);
		vm->vcpus[i] = vcpu;
		vm->vcpu_count = i + 1;
	}
	pthread_condattr_destroy(&monotonic);
	return vm->vcpu_count == count ? 0 : -1;
}

static int make_engine(struct monitor_vm *vm, const struct pvm_vm_config *config, char *why,
		       size_t why_size)
{
	struct monitor_private *private = vm->private;
	int error = pvm_vm_init(&vm->pvm, config, &vm->ops, vm);

	if (!error)
		private->engine = true;
	while (!error && private->engine_vcpus < vm->vcpu_count) {
		struct monitor_vcpu *vcpu = vm->vcpus[private->engine_vcpus];

		error = pvm_vcpu_init(&vcpu->pvm, &vm->pvm, private->engine_vcpus);
		vcpu->pvm.backend = vcpu;
		if (!error)
			private->engine_vcpus++;
	}
	if (!error && config->abi != PVM_ABI_XEN_PV)
		error = boot_vcpu(&vm->vcpus[0]->pvm, private->start, BOOT_PARAMS);
	if (error)
		snprintf(
			why, why_size,
			error == PVM_ENOMEM
				? "out of shadow memory while the VM is made; see --shadow-memory (error %d)"
				: "the engine refuses to make the VM (error %d)",
			error);
	return error ? -1 : 0;
}

static int make_memory(struct monitor_vm *vm, const struct elf_file *elf,
		       const struct monitor_options *options, char *why, size_t why_size)
{
	uint64_t size = options->kernel ? MONITOR_MEMORY_KERNEL : MONITOR_MEMORY_DEFAULT;

	if (options->memory)
		size = options->memory;
	if (guest_memory_create(&vm->memory, vm->executor->memory, size, why, why_size))
		return -1;
	if (options->kernel)	/* xen_guest_create() */
		return 0;
	if (elf_file_check_memory(elf, vm->memory.size, why, why_size) ||
	    elf_file_load(elf, vm->memory.va, vm->memory.size, why, why_size))
		return -1;
	return boot_write(vm->memory.va, vm->memory.size, options->vcpus ? options->vcpus : 1,
			  options->command_line, why, why_size);
}

/* A trace overwrites what is there. */
static bool trace_is_the_guest(const struct monitor_options *options, const char *kernel)
{
	unsigned i;

	for (i = 0; i < options->disk_count; i++) {
		if (trace_would_overwrite(options->trace, options->disks[i].path))
			return true;
	}
	if (options->saved && trace_would_overwrite(options->trace, saved_reader_path(options->saved)))
		return true;
	if (options->symbols && trace_would_overwrite(options->trace, options->symbols))
		return true;
	return trace_would_overwrite(options->trace, kernel) ||
	       (options->initrd && trace_would_overwrite(options->trace, options->initrd));
}

static int make_parts(struct monitor_vm *vm, const struct elf_file *elf,
		      const struct monitor_options *options, char *why, size_t why_size)
{
	struct pvm_vm_config config = { .abi = options->abi };
	bool record = !vm->executor->live && (options->trace || options->count_events);

	vm->private->start = elf->start;
	if (options->kernel)
		config.abi = PVM_ABI_XEN_PV;
	else if (!options->abi_given && guest_abi_of_file(elf, &config.abi, why, why_size))
		return -1;
	if (make_memory(vm, elf, options, why, why_size) ||
	    make_vcpus(vm, options->vcpus ? options->vcpus : 1, why, why_size) ||
	    configure(vm, &config, elf, why, why_size) ||
	    host_init(vm, options->shadow_memory ? options->shadow_memory : SHADOW_MEMORY_DEFAULT,
		      record ? trace_glue_record : NULL, why, why_size) ||
	    loop_create(vm, options->timeout, options->signals, why, why_size) ||
	    platform_create(vm, options, why, why_size) ||
	    make_engine(vm, &config, why, why_size))
		return -1;
	if (options->trace) {
		if (trace_would_overwrite_stream(options->trace)) {
			snprintf(why, why_size, "trace %s: that is a standard stream, too", options->trace);
			return -1;
		}
		if (trace_is_the_guest(options, elf->path)) {
			snprintf(why, why_size, "trace %s: that is the guest", options->trace);
			return -1;
		}
		vm->trace = trace_open(options->trace, config.abi, vm->loop->over_fd, why, why_size);
		if (!vm->trace)
			return -1;
	}
	if (vm->executor->vm_init(vm, why, why_size))
		return -1;
	vm->executor_ready = true;
	if (options->saved) {
		if (xen_guest_create_empty(vm, options, why, why_size) ||
		    saved_restore(vm, options->saved, why, why_size))
			return -1;
		vm->private->unread = atomic_load(&vm->over);
		return 0;
	}
	if (options->kernel)
		return xen_guest_create(vm, elf, options, why, why_size);
	return 0;
}

/* A kernel's file is a kernel's only if it says how it is started. */
static int open_kernel(struct kernel_image *image, const char *path, char *why, size_t why_size)
{
	if (kernel_image_open(image, path, why, why_size))
		return -1;
	if (!xen_start_check(&image->elf, why, why_size))
		return 0;
	kernel_image_close(image);
	return -1;
}

/* The file of its guest. What goes on needs none: it is in memory. */
static int open_guest(const struct monitor_options *options, struct kernel_image *image, struct elf_file *elf,
		      char *why, size_t why_size)
{
	if (options->saved) {
		elf->path = options->guest;
		elf->upper_half = true;
		return 0;
	}
	return options->kernel ? open_kernel(image, options->guest, why, why_size) :
				 elf_file_open(elf, options->guest, why, why_size);
}

struct monitor_vm *monitor_vm_create(const struct monitor_options *options, char *why,
				     size_t why_size)
{
	struct kernel_image image = { 0 };
	struct monitor_vm *vm;
	struct elf_file elf = { 0 };
	char ignored[256];
	int error;

	if (check_options(options, why, why_size) ||
	    open_guest(options, &image, &elf, why, why_size))
		return NULL;
	vm = calloc(1, sizeof(*vm));
	if (vm)
		vm->private = calloc(1, sizeof(*vm->private));
	if (!vm || !vm->private) {
		snprintf(why, why_size, "no memory for a VM");
		if (!options->kernel)
			elf_file_close(&elf);
		kernel_image_close(&image);
		free(vm);
		return NULL;
	}
	vm->private->options = *options;
	vm->restored = options->saved;
	vm->executor = options->executor;
	vm->guest = options->guest;
	vm->mailbox_reader = 1;
	vm->memory.fd = -1;
	error = make_parts(vm, options->kernel && !options->saved ? &image.elf : &elf, options, why,
			   why_size);
	if (!options->kernel)
		elf_file_close(&elf);
	kernel_image_close(&image);
	if (!error)
		return vm;
	monitor_vm_destroy(vm, ignored, sizeof(ignored));
	return NULL;
}

/* Threads for all, and their end. */
static void run(struct monitor_vm *vm)
{
	uint32_t i, started = 0;
	int devices = vm->xen ? xen_guest_start(vm->xen) : 0;

	if (devices)
		loop_end(vm, NULL, MONITOR_END_FAILED, MONITOR_STATUS_FAILED, "no thread for the devices: %s",
			 strerror(devices));
	for (; started < vm->vcpu_count; started++) {
		int error = pthread_create(&vm->vcpus[started]->thread, NULL, run_vcpu_thread,
					   vm->vcpus[started]);

		if (error) {
			loop_end(vm, vm->vcpus[started], MONITOR_END_FAILED, MONITOR_STATUS_FAILED,
				 "no thread for vCPU %u: %s", started, strerror(error));
			break;
		}
	}
	if (vm->xen)
		vm->control = control_start(vm);
	loop_run(vm);
	control_wait(vm->control);
	for (i = 0; i < started; i++)
		pthread_join(vm->vcpus[i]->thread, NULL);
	if (vm->xen)
		xen_guest_wait(vm->xen);
}

void monitor_vm_run(struct monitor_vm *vm, struct monitor_result *result)
{
	if (vm->private->unread)
		loop_run(vm);
	else
		run(vm);
	*result = vm->loop->result;
}

int monitor_vm_destroy(struct monitor_vm *vm, char *why, size_t why_size)
{
	uint32_t i;
	int result;

	if (vm->executor_ready) {
		vm->executor_ready = false;
		vm->executor->vm_destroy(vm);
	}
	xen_guest_destroy(vm);
	for (i = 0; i < vm->private->engine_vcpus; i++)
		pvm_vcpu_destroy(&vm->vcpus[i]->pvm);
	if (vm->private->engine)
		pvm_vm_destroy(&vm->pvm);
	platform_destroy(vm);
	result = trace_close(vm->trace, why, why_size);
	vm->trace = NULL;
	loop_destroy(vm);
	host_fini(vm);
	for (i = 0; i < vm->vcpu_count; i++) {
		pthread_mutex_destroy(&vm->vcpus[i]->wake_lock);
		pthread_cond_destroy(&vm->vcpus[i]->wake);
		free(vm->vcpus[i]);
	}
	free(vm->vcpus);
	guest_memory_destroy(&vm->memory);
	control_close(vm->control);
	free(vm->private->cpuid);
	free(vm->private);
	free(vm);
	return result;
}
