/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The machine: wires devices/ to ports, MSRs, vCPUs and the main loop. Must not
 * know how the guest executes.
 */
#include "platform.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "loop.h"
#include "run.h"
#include "xen_guest.h"

/* Enabled, x2APIC mode, at the customary address. SDM vol. 3, 10.4.4 */
#define APIC_BASE_VALUE		0xfee00c00ull
#define APIC_BASE_BSP		(1ull << 8)

#define INPUT_PIECE		64	/* bytes of console input at a time */

void platform_print(struct platform *platform, const uint8_t *bytes, unsigned count)
{
	int error = console_put(&platform->console, bytes, count);

	if (error)
		loop_end(platform->vm, NULL, MONITOR_END_FAILED, MONITOR_STATUS_FAILED,
			 "cannot write the guest's console: %s", strerror(error));
}

static void serial_output(void *host, uint8_t byte)
{
	((struct platform *)host)->printed = byte;
}

static void guest_exits(void *host, uint8_t status)
{
	struct platform *platform = host;

	if (status)
		loop_end(platform->vm, run_this_vcpu(), MONITOR_END_EXIT, status,
			 "the guest exited with status %u", status);
	else
		loop_end(platform->vm, run_this_vcpu(), MONITOR_END_EXIT, 0, "%s", "");
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
	pthread_mutex_lock(&((struct platform *)host)->apic_lock);
}

static void apic_unlock(void *host)
{
	pthread_mutex_unlock(&((struct platform *)host)->apic_lock);
}

/* A vCPU that raises something for itself looks before it runs on anyway. */
static void apic_kick(void *host, uint32_t id)
{
	struct monitor_vcpu *vcpu = ((struct platform *)host)->vm->vcpus[id];

	if (vcpu != run_this_vcpu())
		run_kick(vcpu);
}

static void apic_set_timer(void *host, uint64_t time)
{
	loop_set_timer(((struct platform *)host)->vm, time);
}

static const struct local_apic_ops apic_ops = {
	.now = apic_now,
	.tsc_time = apic_tsc_time,
	.lock = apic_lock,
	.unlock = apic_unlock,
	.kick = apic_kick,
	.set_timer = apic_set_timer,
};

int platform_create(struct monitor_vm *vm, const struct monitor_options *options, char *why, size_t why_size)
{
	struct platform *platform = calloc(1, sizeof(*platform));
	uint32_t i;

	if (platform && !vm->executor->live)
		platform->apic = calloc(vm->vcpu_count, sizeof(*platform->apic));
	if (!platform || (!platform->apic && !vm->executor->live)) {
		free(platform);
		snprintf(why, why_size, "no memory for the devices");
		return -1;
	}
	platform->vm = vm;
	vm->platform = platform;
	pthread_mutex_init(&platform->print_lock, NULL);
	pthread_mutex_init(&platform->serial_lock, NULL);
	pthread_mutex_init(&platform->apic_lock, NULL);
	serial16550_init(&platform->serial, serial_output, platform);
	platform->debug_exit = (struct debug_exit){ guest_exits, platform };
	if (platform->apic)
		local_apic_bus_init(&platform->apics, platform->apic, vm->vcpu_count, &apic_ops, platform);
	for (i = 0; platform->apic && i < vm->vcpu_count; i++)
		vm->vcpus[i]->apic = &platform->apic[i];
	platform->escapes = options->console_keys;
	console_open(&platform->console, options->console_in, options->console_out, vm->loop->over_fd,
		     options->console_keys);
	return 0;
}

void platform_destroy(struct monitor_vm *vm)
{
	struct platform *platform = vm->platform;

	if (!platform)
		return;
	console_close(&platform->console);
	pthread_mutex_destroy(&platform->serial_lock);
	pthread_mutex_destroy(&platform->print_lock);
	pthread_mutex_destroy(&platform->apic_lock);
	free(platform->apic);
	free(platform);
	vm->platform = NULL;
}

/* ------------------------------------------------------------------------
 * Ports.
 */

static bool is_serial(uint16_t port)
{
	return port >= SERIAL_PORT && port < SERIAL_PORT + SERIAL16550_REGISTERS;
}

static uint8_t serial_in(struct platform *platform, uint16_t port)
{
	unsigned before, after;
	uint8_t value;

	pthread_mutex_lock(&platform->serial_lock);
	before = serial16550_room(&platform->serial);
	value = serial16550_read(&platform->serial, port - SERIAL_PORT);
	after = serial16550_room(&platform->serial);
	pthread_mutex_unlock(&platform->serial_lock);
	if (!before && after)
		loop_wake(platform->vm);
	return value;
}

static void serial_out(struct platform *platform, uint16_t port, uint8_t value)
{
	unsigned before, after;
	uint8_t byte;
	int printed;

	pthread_mutex_lock(&platform->print_lock);
	pthread_mutex_lock(&platform->serial_lock);
	platform->printed = -1;
	before = serial16550_room(&platform->serial);
	serial16550_write(&platform->serial, port - SERIAL_PORT, value);
	after = serial16550_room(&platform->serial);
	printed = platform->printed;
	pthread_mutex_unlock(&platform->serial_lock);
	byte = (uint8_t)printed;
	if (printed >= 0)
		platform_print(platform, &byte, 1);
	pthread_mutex_unlock(&platform->print_lock);
	if (!before && after)
		loop_wake(platform->vm);
}

/* Wider accesses are byte accesses to consecutive ports, as on a bus. */
uint32_t platform_in(struct monitor_vcpu *vcpu, uint16_t port, uint8_t size)
{
	uint32_t value = UINT32_MAX;
	uint8_t i;

	if (port == DEBUG_EXIT_PORT)
		return debug_exit_read(&vcpu->vm->platform->debug_exit);
	for (i = 0; i < size; i++) {
		uint16_t at = (uint16_t)(port + i);

		if (is_serial(at)) {
			value &= ~(0xffu << 8 * i);
			value |= (uint32_t)serial_in(vcpu->vm->platform, at) << 8 * i;
		}
	}
	return value;
}

void platform_out(struct monitor_vcpu *vcpu, uint16_t port, uint8_t size, uint32_t value)
{
	uint8_t i;

	if (port == DEBUG_EXIT_PORT) {
		debug_exit_write(&vcpu->vm->platform->debug_exit, value);
		return;
	}
	for (i = 0; i < size; i++) {
		uint16_t at = (uint16_t)(port + i);

		if (is_serial(at))
			serial_out(vcpu->vm->platform, at, (uint8_t)(value >> 8 * i));
	}
}

void platform_save(const struct platform *platform, struct xen_record *to)
{
	serial16550_save(&platform->serial, to);
}

bool platform_restore(struct platform *platform, struct xen_record *from)
{
	return serial16550_restore(&platform->serial, from);
}

/* ------------------------------------------------------------------------
 * MSRs.
 */

static bool is_apic_msr(uint32_t index)
{
	return (index >= APIC_MSR_FIRST && index <= APIC_MSR_LAST) ||
	       index == APIC_MSR_TSC_DEADLINE;
}

static uint64_t apic_base(const struct monitor_vcpu *vcpu)
{
	return APIC_BASE_VALUE | (vcpu->pvm.id == 0 ? APIC_BASE_BSP : 0);
}

bool platform_rdmsr(struct monitor_vcpu *vcpu, uint32_t index, uint64_t *value)
{
	if (is_apic_msr(index))
		return local_apic_read(vcpu->apic, index, value);
	switch (index) {
	case PVM_MSR_IA32_APIC_BASE:
		*value = apic_base(vcpu);
		return true;
	case PVM_MSR_IA32_TSC:
		*value = clock_tsc();
		return true;
	}
	return false;
}

/* APIC_BASE can be written with what it holds: x2APIC mode is not left. The
 * TSC is the host's and cannot be set. */
bool platform_wrmsr(struct monitor_vcpu *vcpu, uint32_t index, uint64_t value)
{
	if (is_apic_msr(index))
		return local_apic_write(vcpu->apic, index, value);
	return index == PVM_MSR_IA32_APIC_BASE && value == apic_base(vcpu);
}

/* ------------------------------------------------------------------------
 * Console input.
 */

static unsigned input_room(struct platform *platform)
{
	unsigned room;

	if (platform->vm->xen)
		return xen_guest_input_room(platform->vm->xen);
	pthread_mutex_lock(&platform->serial_lock);
	room = serial16550_room(&platform->serial);
	pthread_mutex_unlock(&platform->serial_lock);
	return room;
}

static unsigned give_input(struct platform *platform, const uint8_t *bytes, unsigned count)
{
	unsigned i;

	if (platform->vm->xen)
		return xen_guest_input(platform->vm->xen, bytes, count);
	pthread_mutex_lock(&platform->serial_lock);
	for (i = 0; i < count; i++)
		serial16550_input(&platform->serial, bytes[i]);
	pthread_mutex_unlock(&platform->serial_lock);
	return count;
}

/* What of @bytes is the guest's, in its place; never more than came in. */
static unsigned take_escapes(struct platform *platform, uint8_t *bytes, unsigned count)
{
	unsigned i, kept = 0;

	for (i = 0; i < count; i++) {
		if (!platform->escaped && bytes[i] == PLATFORM_ESCAPE) {
			platform->escaped = true;
			continue;
		}
		if (platform->escaped && (bytes[i] == 'x' || bytes[i] == 'X'))
			loop_end(platform->vm, NULL, MONITOR_END_EXIT, 0, "ended at the console");
		platform->escaped = false;
		bytes[kept++] = bytes[i];
	}
	return kept;
}

/* As much of what is held as there is room for. When bytes are left there was no room at the last look: the
 * guest's next read wakes the main loop. */
static void give_held(struct platform *platform)
{
	unsigned room;

	while (platform->held_count && (room = input_room(platform))) {
		unsigned count = PLATFORM_HELD - platform->held_first;	/* in one piece */

		if (count > platform->held_count)
			count = platform->held_count;
		if (count > room)
			count = room;
		count = give_input(platform, platform->held + platform->held_first, count);
		if (!count)
			return;		/* it is being saved: the main loop is woken afterwards */
		platform->held_first = (platform->held_first + count) % PLATFORM_HELD;
		platform->held_count -= count;
	}
}

static void hold(struct platform *platform, const uint8_t *bytes, unsigned count)
{
	unsigned i;

	for (i = 0; i < count && platform->held_count < PLATFORM_HELD; i++)
		platform->held[(platform->held_first + platform->held_count++) % PLATFORM_HELD] = bytes[i];
}

/* A terminal where a key may end the VM is read also if the guest reads nothing. What no guest has read of
 * a pipe or a file stays there. */
static unsigned input_wanted(struct platform *platform)
{
	unsigned room = platform->held_count ? 0 : input_room(platform);

	if (platform->escapes && platform->console.terminal)
		return INPUT_PIECE;
	return room < INPUT_PIECE ? room : INPUT_PIECE;
}

bool platform_wants_input(struct platform *platform)
{
	give_held(platform);
	return console_input(&platform->console) >= 0 && input_wanted(platform);
}

bool platform_input(struct platform *platform)
{
	uint8_t bytes[INPUT_PIECE];
	unsigned wanted = input_wanted(platform);
	int n;

	if (!wanted)
		return true;
	n = console_get(&platform->console, bytes, wanted);
	if (n <= 0)
		return n == 0;
	hold(platform, bytes, platform->escapes ? take_escapes(platform, bytes, (unsigned)n) : (unsigned)n);
	give_held(platform);
	return true;
}
