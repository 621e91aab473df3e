/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* The guest's machine: devices/ wired to ports, MSRs, vCPUs and the serial line. */
#include "apic.h"
#include "options.h"
#include "print.h"
#include "vm.h"

#define SERIAL_PORT	0x3f8
/* Enabled, x2APIC mode, at the customary address. SDM vol. 3, 10.4.4 */
#define APIC_BASE_VALUE	0xfee00c00ull
#define APIC_BASE_BSP	(1ull << 8)

static void serial_output(void *host, uint8_t byte)
{
	(void)host;
	guest_putc(byte);
}

static void print_stats(const struct cpu *cpu)
{
	struct pvm_switcher_stats stats;

	pvm_switcher_get_stats(cpu->switcher, &stats);
	print("minivisor: CPU %u: %lu timer ticks, %lu NMIs, %lu entries; direct: %lu system calls, "
	      "%lu returns to user, %lu to supervisor, %lu page tables; flushes: %lu owed, %lu paid, "
	      "%lu kicks\n", cpu->index, cpu->timer_ticks, cpu->nmis, stats.entries, stats.user_syscalls,
	      stats.returns_user, stats.returns_supervisor, stats.load_pgtbls, stats.flushes_owed,
	      stats.flushes_paid, stats.flush_kicks);
}

void platform_print_stats(void)
{
	uint32_t i;

	for (i = 0; option_number("stats", 0) && i < cpu_count; i++)
		print_stats(&cpus[i]);
}

static void guest_exits(void *host, uint8_t status)
{
	(void)host;
	irq_disable();
	print("minivisor: the guest exited with %u\n", status);
	platform_print_stats();
	machine_exit(status);
}

static uint64_t apic_now(void *host)
{
	(void)host;
	return clock_now();
}

static uint64_t apic_tsc_time(void *host, uint64_t tsc)
{
	(void)host;
	return clock_tsc_time(tsc);
}

static void apic_lock(void *host)
{
	(void)host;
	spin_lock(&vm.apic_lock);
}

static void apic_unlock(void *host)
{
	(void)host;
	spin_unlock(&vm.apic_lock);
}

static void apic_wake(void *host, uint32_t id)
{
	(void)host;
	run_kick(&vm.vcpu[id]);
}

/* On whichever CPU asks: a tick too many, on another one, is harmless. */
static void apic_set_timer(void *host, uint64_t time)
{
	(void)host;
	apic_timer_at(time);
}

static const struct local_apic_ops apic_ops = {
	.now = apic_now,
	.tsc_time = apic_tsc_time,
	.lock = apic_lock,
	.unlock = apic_unlock,
	.kick = apic_wake,
	.set_timer = apic_set_timer,
};

void platform_init(void)
{
	uint32_t i;

	serial16550_init(&vm.serial, serial_output, NULL);
	vm.debug_exit = (struct debug_exit){ guest_exits, NULL };
	local_apic_bus_init(&vm.apics, vm.apic, vm.vcpu_count, &apic_ops, NULL);
	for (i = 0; i < vm.vcpu_count; i++)
		vm.vcpu[i].apic = &vm.apic[i];
}

/* Wider accesses are byte accesses to consecutive ports, as on a bus; nobody home
 * reads as all ones. */
uint32_t platform_in(uint16_t port, uint8_t size)
{
	uint32_t value = UINT32_MAX;
	uint8_t i;

	if (port == DEBUG_EXIT_PORT)
		return debug_exit_read(&vm.debug_exit);
	for (i = 0; i < size; i++) {
		unsigned reg = port + i - SERIAL_PORT;

		if (reg >= SERIAL16550_REGISTERS)
			continue;
		spin_lock(&vm.serial_lock);
		value &= ~(0xffu << 8 * i);
		value |= (uint32_t)serial16550_read(&vm.serial, reg) << 8 * i;
		spin_unlock(&vm.serial_lock);
	}
	return value;
}

void platform_out(uint16_t port, uint8_t size, uint32_t value)
{
	uint8_t i;

	if (port == DEBUG_EXIT_PORT) {
		debug_exit_write(&vm.debug_exit, value);
		return;
	}
	for (i = 0; i < size; i++) {
		unsigned reg = port + i - SERIAL_PORT;

		if (reg >= SERIAL16550_REGISTERS)
			continue;
		spin_lock(&vm.serial_lock);
		serial16550_write(&vm.serial, reg, (uint8_t)(value >> 8 * i));
		spin_unlock(&vm.serial_lock);
	}
}

static bool is_apic_msr(uint32_t index)
{
	return (index >= APIC_MSR_FIRST && index <= APIC_MSR_LAST) || index == APIC_MSR_TSC_DEADLINE;
}

static uint64_t apic_base(const struct vm_vcpu *vcpu)
{
	return APIC_BASE_VALUE | (vcpu->pvm.id == 0 ? APIC_BASE_BSP : 0);
}

bool platform_rdmsr(struct vm_vcpu *vcpu, uint32_t index, uint64_t *value)
{
	if (is_apic_msr(index))
		return local_apic_read(vcpu->apic, index, value);
	switch (index) {
	case PVM_MSR_IA32_APIC_BASE:
		*value = apic_base(vcpu);
		return true;
	case PVM_MSR_IA32_TSC:
		*value = rdtsc();
		return true;
	case PVM_MSR_IA32_BIOS_SIGN_ID:	/* Linux 7.3 reads it without being asked to load microcode */
		*value = 0;
		return true;
	}
	return false;
}

/* APIC_BASE can be written with what it holds; the TSC is the host's and cannot be
 * set. TPR and CR8 are one register with two names. */
bool platform_wrmsr(struct vm_vcpu *vcpu, uint32_t index, uint64_t value)
{
	bool ok;

	if (!is_apic_msr(index))
		return index == PVM_MSR_IA32_APIC_BASE && value == apic_base(vcpu);
	ok = local_apic_write(vcpu->apic, index, value);
	if (ok && index == APIC_MSR_TPR)
		vcpu->pvm.cr8 = local_apic_get_cr8(vcpu->apic);
	return ok;
}
