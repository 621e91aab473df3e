/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * vmm GUEST.elf [MIB [VCPUS [FIRMWARE]]]: a small virtual machine monitor for the tests of kvm-pvm: a machine
 * with a serial port and the debug-exit port. Ends with the status that the guest writes there. With a
 * firmware (firmware.S) the vCPUs start in real mode.
 */
#include "machine.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "serial16550.h"

#define SERIAL		0x3f8
#define DEBUG_EXIT	0xf4

static struct machine m;
static struct serial16550 uart;
static bool by_firmware;
static pthread_mutex_t devices = PTHREAD_MUTEX_INITIALIZER;

static void print_byte(void *host, uint8_t byte)
{
	(void)host;
	putchar(byte);
}

static void out(uint16_t port, const uint8_t *data)
{
	if (port >= SERIAL && port < SERIAL + 8) {
		pthread_mutex_lock(&devices);
		serial16550_write(&uart, port - SERIAL, data[0]);
		pthread_mutex_unlock(&devices);
	}
	if (port != DEBUG_EXIT)
		return;
	fflush(stdout);
	_exit(data[0]);
}

static void in(uint16_t port, uint8_t *data, unsigned size)
{
	memset(data, 0xff, size);
	if (port < SERIAL || port >= SERIAL + 8)
		return;
	pthread_mutex_lock(&devices);
	data[0] = serial16550_read(&uart, port - SERIAL);
	pthread_mutex_unlock(&devices);
}

static void do_io(struct kvm_run *run)
{
	uint8_t *data = (uint8_t *)run + run->io.data_offset;
	unsigned i;

	for (i = 0; i < run->io.count; i++, data += run->io.size) {
		if (run->io.direction == KVM_EXIT_IO_OUT)
			out(run->io.port, data);
		else
			in(run->io.port, data, run->io.size);
	}
}

static void *run_vcpu(void *arg)
{
	unsigned id = (unsigned)(uintptr_t)arg;
	struct kvm_run *run = m.run[id];
	struct kvm_regs regs;

	if (id && !by_firmware)
		machine_wait_for_start(&m, id);
	for (;;) {
		if (ioctl(m.vcpu[id], KVM_RUN, 0) < 0) {
			if (errno == EINTR || errno == EAGAIN)
				continue;
			machine_die("vCPU %u: KVM_RUN: %s", id, strerror(errno));
		}
		switch (run->exit_reason) {
		case KVM_EXIT_IO:
			do_io(run);
			break;
		case KVM_EXIT_SHUTDOWN:
			machine_die("vCPU %u: triple fault", id);
		default:
			ASK(m.vcpu[id], KVM_GET_REGS, &regs);
			machine_die("vCPU %u: exit reason %u, suberror %u, rip 0x%llx", id, run->exit_reason,
				    run->internal.suberror, regs.rip);
		}
	}
}

int main(int argc, char **argv)
{
	pthread_t thread;
	unsigned i, vcpus;
	uint64_t memory;

	setvbuf(stdout, NULL, _IOLBF, 0);
	serial16550_init(&uart, print_byte, NULL);
	if (argc < 2)
		machine_die("usage: vmm GUEST.elf [MIB [VCPUS [FIRMWARE]]]");
	memory = (argc > 2 ? strtoull(argv[2], NULL, 0) : 64) << 20;
	vcpus = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 0) : 1;
	by_firmware = argc > 4;
	if (by_firmware)
		machine_create_with_firmware(&m, argv[1], memory, vcpus, argv[4]);
	else
		machine_create(&m, argv[1], memory, vcpus);
	for (i = 1; i < m.vcpus; i++)
		if (pthread_create(&thread, NULL, run_vcpu, (void *)(uintptr_t)i))
			machine_die("no thread");
	run_vcpu(NULL);
}
