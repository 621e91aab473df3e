/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* A VM of the kvm executor, from what it tells the kernel to each of its ends. */
#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <pvm/kvm.h>

#include "boot.h"
#include "debug_exit.h"
#include "elf_builder.h"
#include "fake_kernel.h"
#include "platform.h"
#include "vm.h"

static struct monitor_options options;
static struct monitor_result result;
static char path[ELF_BUILDER_PATH], why[512];

static void setup(void)
{
	struct elf_builder elf;

	cr_assert(elf_builder_file(path));
	elf_builder_init(&elf);
	cr_assert(elf_builder_write(&elf, path));
	fake_kernel_install();
	options = (struct monitor_options){
		.guest = path, .executor = &kvm_executor, .console_in = -1, .console_out = -1,
	};
	why[0] = 0;
}

static void teardown(void)
{
	unlink(path);
	cr_assert_eq(fake_kernel.descriptors, 0, "a descriptor is left");
}

TestSuite(kvm_vm, .init = setup, .fini = teardown, .timeout = 30);

static void run(void)
{
	struct monitor_vm *vm = monitor_vm_create(&options, why, sizeof(why));

	cr_assert_not_null(vm, "%s", why);
	monitor_vm_run(vm, &result);
	cr_assert_eq(monitor_vm_destroy(vm, why, sizeof(why)), 0, "%s", why);
}

static void expect_end(enum monitor_end end, int status, const char *thing)
{
	cr_assert_eq(result.end, end, "%s", result.message);
	cr_assert_eq(result.status, status, "%d", result.status);
	cr_assert(strstr(result.message, thing), "'%s' does not say '%s'", result.message, thing);
}

static void expect_not_created(const char *thing)
{
	cr_assert_null(monitor_vm_create(&options, why, sizeof(why)));
	cr_assert(strstr(why, thing), "'%s' does not say '%s'", why, thing);
	cr_assert(!strchr(why, '\n'));
}

/* ------------------------------------------------------------------------
 * The start.
 */

Test(kvm_vm, a_guest_starts_as_the_boot_protocol_says)
{
	const struct kvm_sregs *sregs = &fake_kernel.sregs[0];

	run();
	expect_end(MONITOR_END_EXIT, 0, "");
	cr_assert_eq(fake_kernel.regs[0].rip, ELF_BUILDER_CODE);
	cr_assert_eq(fake_kernel.regs[0].rsi, BOOT_PARAMS);
	cr_assert_eq(sregs->cr3, BOOT_TABLES);
	cr_assert_eq(fake_kernel.switch_cr3[0], BOOT_TABLES);
	cr_assert(sregs->cs.l && !sregs->cs.dpl && sregs->efer & 1u << 10);
	cr_assert_eq(fake_kernel.memory.memory_size, MONITOR_MEMORY_DEFAULT);
	cr_assert_eq(fake_kernel.timing_khz, 1234567, "the rate of KVM's clock, not a measured one");
}

Test(kvm_vm, the_guests_abi_is_handed_on)
{
	options.abi_given = true;
	options.abi = PVM_ABI_SINGLE_CR3;
	run();
	cr_assert_eq(fake_kernel.abi, PVM_ABI_SINGLE_CR3);
	cr_assert_eq(fake_kernel.switch_cr3[0], 0, "single CR3 has no other table");
}

Test(kvm_vm, an_abi_that_the_module_lacks_is_named)
{
	fake_kernel.abis = 1u << PVM_ABI_DUAL_CR3;
	options.abi_given = true;
	options.abi = PVM_ABI_SINGLE_CR3;
	expect_not_created("kvm-pvm.ko does not have the guest ABI single-cr3");
}

Test(kvm_vm, another_modules_device_is_refused)
{
	fake_kernel.is_pvm = false;
	expect_not_created("/dev/kvm is not PVM's");
	cr_assert_eq(fake_kernel.vms, 0);
}

Test(kvm_vm, more_vcpus_than_the_kernel_has_are_refused_by_the_options_name)
{
	options.vcpus = FAKE_VCPUS + 1;
	expect_not_created("--smp=5: this KVM has at most 4 vCPUs");
}

Test(kvm_vm, shadow_memory_is_the_kernels)
{
	options.shadow_memory = 1 << 20;
	expect_not_created("--shadow-memory: the kvm backend's shadow tables are the kernel's");
}

Test(kvm_vm, each_operation_that_fails_is_named_and_leaves_nothing)
{
	static const struct {
		unsigned long request;
		const char *name;
	} rows[] = {
		{ KVM_GET_SUPPORTED_CPUID, "KVM_GET_SUPPORTED_CPUID" },
		{ KVM_GET_VCPU_MMAP_SIZE, "KVM_GET_VCPU_MMAP_SIZE" },
		{ KVM_CREATE_VM, "KVM_CREATE_VM" },
		{ KVM_MEMORY_ENCRYPT_OP, "KVM_MEMORY_ENCRYPT_OP" },
		{ KVM_SET_USER_MEMORY_REGION, "KVM_SET_USER_MEMORY_REGION" },
		{ KVM_CREATE_VCPU, "KVM_CREATE_VCPU" },
		{ KVM_SET_CPUID2, "KVM_SET_CPUID2" },
	};
	size_t i;

	fake_kernel.fails_errno = EMFILE;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		fake_kernel.fails = rows[i].request;
		expect_not_created(rows[i].name);
		cr_assert(strstr(why, "Too many open files"), "%s", why);
		cr_assert_eq(fake_kernel.descriptors, 0, "after %s", rows[i].name);
	}
}

Test(kvm_vm, registers_that_are_refused_end_the_vm)
{
	fake_kernel.fails = KVM_SET_SREGS;
	fake_kernel.fails_errno = EINVAL;
	run();
	expect_end(MONITOR_END_FAILED, MONITOR_STATUS_FAILED, "vCPU 0: /dev/kvm: KVM_SET_SREGS");
}

/* ------------------------------------------------------------------------
 * Devices.
 */

static unsigned step;

static int print_and_exit(unsigned vcpu, struct kvm_run *run)
{
	static const char text[] = "ok";

	(void)vcpu;
	if (step < 2)
		fake_port(run, SERIAL_PORT, true, (uint8_t)text[step]);
	else
		fake_port(run, DEBUG_EXIT_PORT, true, 7);
	step++;
	return 0;
}

Test(kvm_vm, ports_are_the_machines_devices)
{
	char text[8] = "";
	int ends[2];

	cr_assert_eq(pipe(ends), 0);
	options.console_out = ends[1];
	fake_kernel.run = print_and_exit;
	run();
	expect_end(MONITOR_END_EXIT, 7, "status 7");
	cr_assert_eq(read(ends[0], text, sizeof(text)), 2);
	cr_assert_str_eq(text, "ok");
}

static int read_nothing(unsigned vcpu, struct kvm_run *run)
{
	(void)vcpu;
	if (!step++)
		fake_port(run, 0x20, false, 0);
	else
		fake_port(run, DEBUG_EXIT_PORT, true, ((uint8_t *)run)[run->io.data_offset]);
	return 0;
}

Test(kvm_vm, a_port_without_a_device_reads_all_ones)
{
	fake_kernel.run = read_nothing;
	run();
	expect_end(MONITOR_END_EXIT, 0xff, "");
}

static int out_of_bounds(unsigned vcpu, struct kvm_run *run)
{
	(void)vcpu;
	fake_port(run, SERIAL_PORT, true, 0);
	if (step++)
		fake_port(run, DEBUG_EXIT_PORT, true, 0);
	else
		run->io.data_offset = ~0ull - 8;
	return 0;
}

Test(kvm_vm, data_outside_the_shared_page_is_not_touched)
{
	fake_kernel.run = out_of_bounds;
	run();
	expect_end(MONITOR_END_EXIT, 0, "");
}

/* ------------------------------------------------------------------------
 * Ends.
 */

Test(kvm_vm, a_timeout_kicks_every_vcpu)
{
	options.vcpus = FAKE_VCPUS;
	options.timeout = 200000000;
	fake_kernel.run = fake_until_kick;
	run();
	expect_end(MONITOR_END_TIMEOUT, MONITOR_STATUS_TIMEOUT, "timeout");
}

static int signals_come(unsigned vcpu, struct kvm_run *run)
{
	(void)vcpu;
	if (step++ == 100)
		fake_port(run, DEBUG_EXIT_PORT, true, 0);
	return step > 100 ? 0 : step % 2 ? EINTR : EAGAIN;
}

Test(kvm_vm, a_signal_of_another_sender_ends_nothing)
{
	fake_kernel.run = signals_come;
	run();
	expect_end(MONITOR_END_EXIT, 0, "");
	cr_assert_eq(step, 101);
}

static void *stop(void *vm)
{
	monitor_vm_stop(vm, MONITOR_END_SIGNAL, 143, "ended by SIGTERM");
	return NULL;
}

/* As the kernel does: immediate_exit once, then nothing but a signal. */
static int until_a_signal(unsigned vcpu, struct kvm_run *run)
{
	sigset_t all, before;

	(void)vcpu;
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	if (!__atomic_load_n(&run->immediate_exit, __ATOMIC_SEQ_CST))
		sigsuspend(&before);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return EINTR;
}

Test(kvm_vm, a_kick_is_not_lost_whenever_it_comes)
{
	sigset_t all;
	int i;

	/* As a parent may leave it. */
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, NULL);
	for (i = 0; i < 200; i++) {
		struct monitor_vm *vm;
		pthread_t thread;

		fake_kernel.run = i % 2 ? fake_until_kick : until_a_signal;
		fake_kernel.vms = fake_kernel.vcpus = 0;
		vm = monitor_vm_create(&options, why, sizeof(why));
		cr_assert_not_null(vm, "%s", why);
		cr_assert_eq(pthread_create(&thread, NULL, stop, vm), 0);
		monitor_vm_run(vm, &result);
		pthread_join(thread, NULL);
		expect_end(MONITOR_END_SIGNAL, 143, "SIGTERM");
		monitor_vm_destroy(vm, why, sizeof(why));
	}
}

static int triple_fault(unsigned vcpu, struct kvm_run *run)
{
	struct pvm_kvm_shutdown shutdown = {
		.signature = PVM_KVM_SHUTDOWN_SIGNATURE, .reason = PVM_SHUTDOWN_BAD_CR3, .vector = 14,
		.address = 0x7ffffff000,
	};

	fake_kernel.regs[vcpu].rip = 0x1234;
	run->exit_reason = KVM_EXIT_SHUTDOWN;
	memcpy(&run->internal, &shutdown, sizeof(shutdown));
	return 0;
}

Test(kvm_vm, a_triple_fault_is_said_as_elsewhere)
{
	fake_kernel.run = triple_fault;
	run();
	expect_end(MONITOR_END_DIED, MONITOR_STATUS_DIED,
		   "vCPU 0: triple fault while delivering #PF (vector 14) at rip 0x1234 in supervisor mode");
	cr_assert(strstr(result.message, "page table root outside guest memory, 0x7ffffff000"));
}

static int other_triple_fault(unsigned vcpu, struct kvm_run *run)
{
	(void)vcpu;
	memset(&run->internal, 0xff, sizeof(run->internal));
	run->exit_reason = KVM_EXIT_SHUTDOWN;
	return 0;
}

Test(kvm_vm, a_triple_fault_without_a_reason_is_one_too)
{
	fake_kernel.run = other_triple_fault;
	run();
	expect_end(MONITOR_END_DIED, MONITOR_STATUS_DIED, "vCPU 0: triple fault at rip");
}

static int no_memory(unsigned vcpu, struct kvm_run *run)
{
	(void)vcpu;
	run->exit_reason = KVM_EXIT_MMIO;
	run->mmio.phys_addr = 0x123456000;
	run->mmio.is_write = 1;
	return 0;
}

Test(kvm_vm, an_access_where_no_memory_is_ends_the_guest)
{
	fake_kernel.run = no_memory;
	run();
	expect_end(MONITOR_END_DIED, MONITOR_STATUS_DIED, "the guest wrote to guest-physical 0x123456000");
}

static int internal_error(unsigned vcpu, struct kvm_run *run)
{
	fake_kernel.regs[vcpu].rip = 0x4711;
	run->exit_reason = KVM_EXIT_INTERNAL_ERROR;
	run->internal.suberror = KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON;
	return 0;
}

Test(kvm_vm, an_internal_error_says_where_and_why)
{
	fake_kernel.run = internal_error;
	run();
	expect_end(MONITOR_END_FAILED, MONITOR_STATUS_FAILED,
		   "KVM's internal error 4 at rip 0x4711: the switcher failed; the kernel's log says more");
}

static int unknown_exit(unsigned vcpu, struct kvm_run *run)
{
	(void)vcpu;
	run->exit_reason = 4711;
	return 0;
}

Test(kvm_vm, an_exit_of_an_unknown_number_ends_the_vm)
{
	fake_kernel.run = unknown_exit;
	run();
	expect_end(MONITOR_END_FAILED, MONITOR_STATUS_FAILED, "KVM's exit 4711 (other)");
}

static int error_of_run;

static int fail_with_it(unsigned vcpu, struct kvm_run *run)
{
	(void)vcpu;
	(void)run;
	return error_of_run;
}

Test(kvm_vm, a_failing_KVM_RUN_ends_the_vm)
{
	error_of_run = EFAULT;
	fake_kernel.run = fail_with_it;
	run();
	expect_end(MONITOR_END_FAILED, MONITOR_STATUS_FAILED, "KVM_RUN: Bad address: the host has lost guest memory");
}

Test(kvm_vm, a_KVM_RUN_without_memory_ends_the_vm)
{
	error_of_run = ENOMEM;
	fake_kernel.run = fail_with_it;
	run();
	expect_end(MONITOR_END_FAILED, MONITOR_STATUS_FAILED, "KVM_RUN: Cannot allocate memory: for shadow tables");
}
