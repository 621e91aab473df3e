/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* The life of a VM and every way it ends, on an executor that does what the test says. */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <pvm/hypercall.h>

#include "boot.h"
#include "clock.h"
#include "debug_exit.h"
#include "elf_builder.h"
#include "fake_executor.h"
#include "platform.h"

static struct monitor_options options;
static struct monitor_result result;
static char path[ELF_BUILDER_PATH], why[512];

static void setup(void)
{
	struct elf_builder elf;

	cr_assert(elf_builder_file(path));
	elf_builder_init(&elf);
	cr_assert(elf_builder_write(&elf, path));
	fake_reset();
	options = (struct monitor_options){
		.guest = path, .executor = &fake_executor, .console_in = -1, .console_out = -1,
	};
	why[0] = 0;
}

static void teardown(void)
{
	unlink(path);
	cr_assert_eq(fake.vcpus_alive, 0, "a vCPU of the executor is left");
	cr_assert_eq(fake.vms_alive, 0, "a VM of the executor is left");
}

TestSuite(vm, .init = setup, .fini = teardown, .timeout = 30);

static struct monitor_vm *create(void)
{
	struct monitor_vm *vm = monitor_vm_create(&options, why, sizeof(why));

	cr_assert_not_null(vm, "%s", why);
	return vm;
}

static void run(void)
{
	struct monitor_vm *vm = create();

	monitor_vm_run(vm, &result);
	cr_assert_eq(fake.vcpus_alive, 0, "run() returned before its vCPUs ended");
	cr_assert_eq(monitor_vm_destroy(vm, why, sizeof(why)), 0, "%s", why);
}

static void expect_not_created(const char *thing)
{
	cr_assert_null(monitor_vm_create(&options, why, sizeof(why)));
	cr_assert(strstr(why, thing), "'%s' does not say '%s'", why, thing);
	cr_assert(!strchr(why, '\n'));
}

static void expect_end(enum monitor_end end, int status, const char *thing)
{
	cr_assert_eq(result.end, end, "%s", result.message);
	cr_assert_eq(result.status, status);
	cr_assert(strstr(result.message, thing), "'%s' does not say '%s'", result.message, thing);
	cr_assert(!strchr(result.message, '\n'));
}

/* ------------------------------------------------------------------------
 * How guests end.
 */

Test(vm, a_guest_that_exits_with_0_needs_no_words)
{
	run();
	expect_end(MONITOR_END_EXIT, 0, "");
	cr_assert_str_eq(result.message, "");
	cr_assert_eq(fake.runs, 1);
}

static void exit_42(struct monitor_vcpu *vcpu, struct pvm_guest_exit *exit)
{
	fake_out(vcpu, exit, DEBUG_EXIT_PORT, 42);
}

Test(vm, a_guest_s_status_is_the_vm_s)
{
	fake.run = exit_42;
	run();
	expect_end(MONITOR_END_EXIT, 42, "exited with status 42");
	cr_assert(result.by_vcpu);
}

static void fault_without_a_stack(struct monitor_vcpu *vcpu, struct pvm_guest_exit *exit)
{
	vcpu->pvm.gpr[PVM_RSP] = 0x8000000000000000;
	fake_exception(exit, PVM_VEC_DE, 0);
}

Test(vm, a_triple_fault_names_the_event_and_the_place)
{
	fake.run = fault_without_a_stack;
	run();
	expect_end(MONITOR_END_DIED, MONITOR_STATUS_DIED,
		   "vCPU 0: triple fault while delivering #DE");
	expect_end(MONITOR_END_DIED, MONITOR_STATUS_DIED, "at rip 0x1000000 in supervisor mode");
}

static void touch_the_end_of_memory(struct monitor_vcpu *vcpu, struct pvm_guest_exit *exit)
{
	(void)vcpu;
	fake_exception(exit, PVM_VEC_PF, PVM_PF_W | PVM_PF_U);
	exit->gva = pvm_gva(17 << 20);
}

Test(vm, an_access_where_no_memory_is_names_the_address)
{
	options.memory = 17 << 20;
	fake.run = touch_the_end_of_memory;
	run();
	expect_end(MONITOR_END_DIED, MONITOR_STATUS_DIED, "wrote to guest-physical 0x1100000");
}

static void lose_cr3(struct monitor_vcpu *vcpu, struct pvm_guest_exit *exit)
{
	cr_assert_eq(pvm_cr_write(&vcpu->pvm, 3, 0x7ffffff000), PVM_OK);
	exit->kind = PVM_EXIT_KICK;
}

Test(vm, a_root_table_outside_memory_is_a_triple_fault)
{
	fake.run = lose_cr3;
	run();
	expect_end(MONITOR_END_DIED, MONITOR_STATUS_DIED,
		   "page table root outside guest memory, 0x7ffffff000");
}

static void die(struct monitor_vcpu *vcpu, struct pvm_guest_exit *exit)
{
	(void)vcpu;
	executor_fail(exit, PVM_EXIT_DEAD, "the guest tore its stub apart");
}

Test(vm, a_guest_that_ends_what_executes_it_dies)
{
	fake.run = die;
	run();
	expect_end(MONITOR_END_DIED, MONITOR_STATUS_DIED, "vCPU 0: the guest tore its stub apart");
}

static void give_up(struct monitor_vcpu *vcpu, struct pvm_guest_exit *exit)
{
	(void)vcpu;
	executor_fail(exit, PVM_EXIT_FAILED, "no more processes");
}

Test(vm, an_executor_that_gives_up_is_the_monitor_s_failure)
{
	fake.run = give_up;
	run();
	expect_end(MONITOR_END_FAILED, MONITOR_STATUS_FAILED, "no more processes");
}

Test(vm, a_timeout_ends_a_guest_that_runs)
{
	fake.run = fake_wait_for_kick;
	options.timeout = 50000000;
	run();
	expect_end(MONITOR_END_TIMEOUT, MONITOR_STATUS_TIMEOUT,
		   "timeout: the guest still ran after 0.05 s");
	cr_assert_not(result.by_vcpu);
}

static void halt(struct monitor_vcpu *vcpu, struct pvm_guest_exit *exit)
{
	(void)vcpu;
	exit->kind = PVM_EXIT_INSN;
	exit->vector = PVM_VEC_GP;
	exit->insn = (struct pvm_insn){ .op = PVM_INSN_HLT, .length = 1 };
}

Test(vm, a_timeout_ends_a_guest_that_halts)
{
	fake.run = halt;
	options.timeout = 50000000;
	run();
	expect_end(MONITOR_END_TIMEOUT, MONITOR_STATUS_TIMEOUT, "timeout");
	cr_assert_eq(fake.runs, 1, "a halted vCPU was run");
}

static void raise_sigterm(struct monitor_vcpu *vcpu, struct pvm_guest_exit *exit)
{
	kill(getpid(), SIGTERM);
	fake_wait_for_kick(vcpu, exit);
}

Test(vm, a_signal_ends_the_vm)
{
	options.signals = true;
	fake.run = raise_sigterm;
	run();
	expect_end(MONITOR_END_SIGNAL, MONITOR_STATUS_SIGNAL + SIGTERM, "SIGTERM");
}

static void stop_twice(struct monitor_vcpu *vcpu, struct pvm_guest_exit *exit)
{
	monitor_vm_stop(vcpu->vm, MONITOR_END_FAILED, 77, "first");
	monitor_vm_stop(vcpu->vm, MONITOR_END_DIED, 78, "second");
	exit->kind = PVM_EXIT_KICK;
}

Test(vm, the_first_reason_wins)
{
	fake.run = stop_twice;
	run();
	expect_end(MONITOR_END_FAILED, 77, "first");
}

Test(vm, all_vcpus_end_with_the_one_that_exits)
{
	options.vcpus = 8;
	fake.run = exit_42;
	run();
	expect_end(MONITOR_END_EXIT, 42, "");
	cr_assert_eq(fake.runs, 1, "an AP ran without being started");
}

/* ------------------------------------------------------------------------
 * VMs that cannot be.
 */

Test(vm, S9_a_host_that_cannot_run_guests_is_refused_with_a_line)
{
	fake.probe_fails = true;
	expect_not_created("this host lacks a wheel");
}

Test(vm, an_executor_that_cannot_make_a_vm_is_reported)
{
	fake.vm_init_fails = true;
	expect_not_created("no room for a VM");
}

Test(vm, a_vcpu_that_cannot_be_made_ends_the_vm)
{
	options.vcpus = 3;
	fake.vcpu_init_fails = 2;
	fake.run = fake_wait_for_kick;
	run();
	expect_end(MONITOR_END_FAILED, MONITOR_STATUS_FAILED, "no room for vCPU 2");
	cr_assert_eq(fake.runs, 0, "the guest has run before that was known");
}

Test(vm, an_upper_half_guest_needs_an_upper_half)
{
	struct elf_builder elf;

	elf_builder_init(&elf);
	elf.phdr[0].p_vaddr = 0xffff888001000000;
	cr_assert(elf_builder_write(&elf, path));
	expect_not_created(
		"lives in the upper half, which a process does not have: use --backend=kvm or --backend=model");
	fake.upper_half = true;
	run();
	expect_end(MONITOR_END_EXIT, 0, "");
}

static void print_for_ever(struct monitor_vcpu *vcpu, struct pvm_guest_exit *exit)
{
	fake_out(vcpu, exit, SERIAL_PORT, 'x');
}

Test(vm, a_console_without_a_reader_does_not_keep_a_vm_that_is_over)
{
	int ends[2];

	cr_assert_eq(pipe(ends), 0);
	options.console_out = ends[1];
	options.timeout = 300000000;
	fake.run = print_for_ever;
	run();
	expect_end(MONITOR_END_TIMEOUT, MONITOR_STATUS_TIMEOUT, "timeout");
	close(ends[0]);
	close(ends[1]);
}

Test(vm, too_many_vcpus_are_refused)
{
	options.vcpus = MONITOR_MAX_VCPUS + 1;
	expect_not_created("65 vCPUs");
}

Test(vm, M11_shadow_memory_that_is_too_small_for_the_vm_is_named)
{
	options.shadow_memory = 1;
	expect_not_created("shadow memory");
}

static void fault_at_home(struct monitor_vcpu *vcpu, struct pvm_guest_exit *exit)
{
	fake_exception(exit, PVM_VEC_PF, PVM_PF_U);
	exit->gva = pvm_gva(vcpu->pvm.rip);
}

Test(vm, M11_shadow_memory_that_holds_no_path_is_named_after_trying_again)
{
	struct monitor_vm *vm = NULL;

	fake.run = fault_at_home;
	options.timeout = 5000000000;
	for (options.shadow_memory = 4 * PVM_PAGE_SIZE; !vm;
	     options.shadow_memory += PVM_PAGE_SIZE) {
		vm = monitor_vm_create(&options, why, sizeof(why));
		cr_assert(vm || strstr(why, "out of shadow memory"), "%s", why);
	}
	monitor_vm_run(vm, &result);
	expect_end(MONITOR_END_FAILED, MONITOR_STATUS_FAILED, "out of shadow memory");
	monitor_vm_destroy(vm, why, sizeof(why));
}

/* ------------------------------------------------------------------------
 * What a vCPU meets.
 */

static uint64_t entries[2];

static void look_at_registers(struct monitor_vcpu *vcpu, struct pvm_guest_exit *exit)
{
	entries[0] = vcpu->pvm.rip;
	entries[1] = vcpu->pvm.gpr[PVM_RSI];
	fake_out(vcpu, exit, DEBUG_EXIT_PORT, 0);
}

Test(vm, the_first_vcpu_starts_at_the_entry_with_boot_params_in_rsi)
{
	fake.run = look_at_registers;
	run();
	cr_assert_eq(entries[0], ELF_BUILDER_CODE);
	cr_assert_eq(entries[1], BOOT_PARAMS);
}

static void start_the_other(struct monitor_vcpu *vcpu, struct pvm_guest_exit *exit)
{
	uint8_t *mailbox = vcpu->vm->memory.va + BOOT_MAILBOX;

	if (vcpu->pvm.id == 1) {
		look_at_registers(vcpu, exit);
		return;
	}
	*(uint32_t *)(mailbox + BOOT_MAILBOX_APIC_ID) = 1;
	*(uint64_t *)(mailbox + BOOT_MAILBOX_VECTOR) = 0x1000080;
	__atomic_store_n((uint16_t *)mailbox, BOOT_MAILBOX_WAKEUP, __ATOMIC_RELEASE);
	fake_wait_for_kick(vcpu, exit);
}

Test(vm, another_vcpu_starts_where_the_mailbox_says)
{
	options.vcpus = 2;
	fake.run = start_the_other;
	run();
	expect_end(MONITOR_END_EXIT, 0, "");
	cr_assert_eq(entries[0], 0x1000080);
	cr_assert_eq(entries[1], 0);
}

static unsigned step;

static void wrmsr(struct monitor_vcpu *vcpu, struct pvm_guest_exit *exit, uint32_t msr, uint64_t value)
{
	vcpu->pvm.gpr[PVM_RCX] = msr;
	vcpu->pvm.gpr[PVM_RAX] = (uint32_t)value;
	vcpu->pvm.gpr[PVM_RDX] = value >> 32;
	exit->kind = PVM_EXIT_INSN;
	exit->vector = PVM_VEC_GP;
	exit->insn = (struct pvm_insn){ .op = PVM_INSN_WRMSR, .length = 2 };
}

/* Enable the APIC, arm its timer, IRQ_HLT; then exit with the vector in the PVCS. */
static void sleep_until_the_timer(struct monitor_vcpu *vcpu, struct pvm_guest_exit *exit)
{
	static const struct { uint32_t msr; uint64_t value; } setup_msrs[] = {
		{ APIC_MSR_SVR, APIC_SVR_ENABLE | 0xff }, { APIC_MSR_DIVIDE, 0xb },
		{ APIC_MSR_LVT_TIMER, 0x62 }, { APIC_MSR_INITIAL_COUNT, 2000000 },
		{ MSR_PVM_VCPU_STRUCT, 0x2000000 }, { MSR_PVM_EVENT_ENTRY, 0x1000000 },
	};

	if (step < sizeof(setup_msrs) / sizeof(setup_msrs[0])) {
		wrmsr(vcpu, exit, setup_msrs[step].msr, setup_msrs[step].value);
	} else if (step == sizeof(setup_msrs) / sizeof(setup_msrs[0])) {
		vcpu->pvm.gpr[PVM_RSP] = 0x2004000;
		vcpu->pvm.gpr[PVM_RAX] = PVM_HC_IRQ_HLT;
		exit->kind = PVM_EXIT_SYSCALL;
	} else {
		entries[0] = vcpu->pvm.rip;
		fake_out(vcpu, exit, DEBUG_EXIT_PORT,
			 (uint8_t)((struct pvm_vcpu_struct *)vcpu->pvm.pvcs)->event_vector);
	}
	step++;
}

Test(vm, the_timer_wakes_a_halted_vcpu_with_its_interrupt)
{
	uint64_t begin = clock_now();

	step = 0;
	fake.run = sleep_until_the_timer;
	run();
	expect_end(MONITOR_END_EXIT, 0x62, "");
	cr_assert_geq(clock_now() - begin, 2000000);
	cr_assert_eq(entries[0], 0x1000000 + PVM_ENTRY_SUPERVISOR_INTERRUPT);
}

/* ------------------------------------------------------------------------
 * Ports and MSRs.
 */

Test(vm, a_port_without_a_device_reads_as_all_ones)
{
	struct monitor_vm *vm = create();

	cr_assert_eq(platform_in(vm->vcpus[0], 0x60, 1), UINT32_MAX);
	cr_assert_eq(platform_in(vm->vcpus[0], 0xcf8, 4), UINT32_MAX);
	platform_out(vm->vcpus[0], 0x60, 1, 5);
	monitor_vm_destroy(vm, why, sizeof(why));
}

Test(vm, a_wide_access_reaches_consecutive_registers_of_the_uart)
{
	struct monitor_vm *vm = create();

	platform_out(vm->vcpus[0], SERIAL_PORT + SERIAL_SCR, 2, 0x7755);
	cr_assert_eq(platform_in(vm->vcpus[0], SERIAL_PORT + SERIAL_SCR, 1) & 0xff, 0x55);
	cr_assert_eq(platform_in(vm->vcpus[0], SERIAL_PORT + SERIAL_SCR, 2), 0xffffff55);
	monitor_vm_destroy(vm, why, sizeof(why));
}

Test(vm, msrs_that_are_not_the_engine_s)
{
	struct monitor_vm *vm;
	uint64_t value;

	options.vcpus = 2;
	vm = create();
	cr_assert(platform_rdmsr(vm->vcpus[0], PVM_MSR_IA32_APIC_BASE, &value));
	cr_assert_eq(value, 0xfee00d00, "enabled, x2APIC, BSP");
	cr_assert(platform_wrmsr(vm->vcpus[0], PVM_MSR_IA32_APIC_BASE, value));
	cr_assert_not(platform_wrmsr(vm->vcpus[0], PVM_MSR_IA32_APIC_BASE, value & ~(1ull << 10)));
	cr_assert(platform_rdmsr(vm->vcpus[1], PVM_MSR_IA32_APIC_BASE, &value));
	cr_assert_eq(value, 0xfee00c00);
	cr_assert(platform_rdmsr(vm->vcpus[1], APIC_MSR_ID, &value));
	cr_assert_eq(value, 1);
	cr_assert(platform_rdmsr(vm->vcpus[0], PVM_MSR_IA32_TSC, &value));
	cr_assert_leq(value, clock_tsc());
	cr_assert_not(platform_wrmsr(vm->vcpus[0], PVM_MSR_IA32_TSC, 0));
	cr_assert_not(platform_rdmsr(vm->vcpus[0], 0x1234, &value));
	cr_assert_not(platform_wrmsr(vm->vcpus[0], 0x1234, 0));
	monitor_vm_destroy(vm, why, sizeof(why));
}

Test(vm, console_output_and_input_go_through_the_uart)
{
	int in[2], out[2];
	struct monitor_vm *vm;
	char byte = 0;

	cr_assert(!pipe(in) && !pipe(out));
	options.console_in = in[0];
	options.console_out = out[1];
	vm = create();
	platform_out(vm->vcpus[0], SERIAL_PORT, 1, 'x');
	cr_assert_eq(read(out[0], &byte, 1), 1);
	cr_assert_eq(byte, 'x');
	cr_assert_eq(write(in[1], "yz", 2), 2);
	cr_assert(platform_wants_input(vm->platform));
	cr_assert(platform_input(vm->platform));
	cr_assert_not(platform_wants_input(vm->platform), "there is no room without the FIFO");
	cr_assert_eq(platform_in(vm->vcpus[0], SERIAL_PORT, 1) & 0xff, 'y');
	cr_assert(platform_wants_input(vm->platform));
	close(in[1]);
	cr_assert(platform_input(vm->platform));
	cr_assert_eq(platform_in(vm->vcpus[0], SERIAL_PORT, 1) & 0xff, 'z');
	cr_assert_not(platform_input(vm->platform), "the end of the input");
	monitor_vm_destroy(vm, why, sizeof(why));
}

Test(vm, cpuid_has_the_clocks_and_hides_another_hypervisor)
{
	struct monitor_vm *vm = create();
	uint32_t out[4];

	pvm_cpuid(&vm->vcpus[0]->pvm, 0x40000010, 0, out);
	cr_assert_eq(out[0], clock_tsc_khz());
	cr_assert_eq(out[1], APIC_TIMER_HZ / 1000);
	pvm_cpuid(&vm->vcpus[0]->pvm, 0x40000003, 0, out);
	cr_assert_eq(out[0] | out[1] | out[2] | out[3], 0);
	monitor_vm_destroy(vm, why, sizeof(why));
}
