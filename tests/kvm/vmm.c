/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * vmm GUEST.elf [MIB [VCPUS]]: a small virtual machine monitor for the tests of kvm-pvm, on nothing
 * but /dev/kvm's ioctls: memory, vCPUs in 64-bit mode by the Linux boot protocol, a serial port and
 * the debug-exit port. Ends with the status that the guest writes there.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <pvm/abi.h>
#include <pvm/kvm.h>
#include <pvm/vcpu.h>
#include <pvm/x86.h>

#include "boot.h"
#include "elf_file.h"
#include "serial16550.h"

#define VCPUS_MAX	16
#define SERIAL		0x3f8
#define DEBUG_EXIT	0xf4
#define CPUID_ENTRIES	256
#define X2APIC		(1u << 10 | 1u << 11)

static int kvm, vm;
static uint32_t abi = PVM_ABI_DUAL_CR3;
static int vcpu_fd[VCPUS_MAX];
static unsigned vcpu_count = 1;
static uint64_t memory_size = 64ull << 20;
static uint8_t *memory;
static int run_size;
static struct serial16550 uart;
static pthread_mutex_t devices = PTHREAD_MUTEX_INITIALIZER;

__attribute__((noreturn, format(printf, 1, 2))) static void die(const char *format, ...)
{
	va_list args;

	fflush(stdout);
	fprintf(stderr, "vmm: ");
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, "\n");
	_exit(125);
}

static int ask(int fd, unsigned long request, const char *name, void *arg)
{
	int ret = ioctl(fd, request, arg);

	if (ret < 0)
		die("%s: %s", name, strerror(errno));
	return ret;
}
#define ASK(fd, request, arg) ask(fd, request, #request, (void *)(uintptr_t)(arg))

static const char *read_file(void *source, void *buffer, uint64_t length, uint64_t offset)
{
	return pread(*(int *)source, buffer, length, (off_t)offset) == (ssize_t)length ? NULL : "short";
}

static uint64_t load(const char *path)
{
	struct elf_file elf = { .path = path, .read = read_file };
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	char why[256];

	if (fd < 0 || fstat(fd, &st))
		die("%s: %s", path, strerror(errno));
	elf.size = (uint64_t)st.st_size;
	elf.source = &fd;
	if (elf_file_parse(&elf, why, sizeof(why)) ||
	    elf_file_check_memory(&elf, memory_size, why, sizeof(why)) ||
	    elf_file_load(&elf, memory, memory_size, why, sizeof(why)) ||
	    boot_write(memory, memory_size, vcpu_count, "", why, sizeof(why)))
		die("%s", why);
	if (elf.has_abi)
		abi = elf.abi;
	return elf.start;
}

static void set_msr(int fd, uint32_t index, uint64_t value)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} msrs = { .head.nmsrs = 1, .entry = { .index = index, .data = value } };

	if (ASK(fd, KVM_SET_MSRS, &msrs) != 1)
		die("MSR 0x%x is refused", index);
}

static void set_registers(int fd, uint64_t rip, uint64_t rsi)
{
	struct kvm_segment code = {
		.selector = 0x10, .limit = ~0u, .type = 0xb, .present = 1, .s = 1, .l = 1, .g = 1,
	};
	struct kvm_segment data = {
		.selector = 0x18, .limit = ~0u, .type = 3, .present = 1, .s = 1, .db = 1, .g = 1,
	};
	struct kvm_regs regs = { .rip = rip, .rsi = rsi, .rflags = 2 };
	struct kvm_sregs sregs;

	ASK(fd, KVM_GET_SREGS, &sregs);
	sregs.cs = code;
	sregs.ds = sregs.es = sregs.ss = sregs.fs = sregs.gs = data;
	sregs.cr0 = 0x80050033;
	sregs.cr3 = BOOT_TABLES;
	sregs.cr4 = 1 << 5;
	sregs.efer = 0xd00 | 1;
	sregs.apic_base |= X2APIC;
	ASK(fd, KVM_SET_SREGS, &sregs);
	ASK(fd, KVM_SET_REGS, &regs);
	if (abi == PVM_ABI_DUAL_CR3)
		set_msr(fd, MSR_PVM_SWITCH_CR3, BOOT_TABLES);
}

/* KVM's, with what user space adds: its timer, and the clocks' rates where guests of any
 * hypervisor look for them. */
static void add_cpuid(struct kvm_cpuid2 *cpuid)
{
	int tsc_khz = ioctl(vcpu_fd[0], KVM_GET_TSC_KHZ, 0);
	unsigned i;

	for (i = 0; i < cpuid->nent; i++)
		if (cpuid->entries[i].function == 1)
			cpuid->entries[i].ecx |= 1u << 24 | 1u << 21;	/* TSC deadline, x2APIC */
	cpuid->entries[cpuid->nent++] = (struct kvm_cpuid_entry2){
		.function = 0x40000010, .eax = (uint32_t)tsc_khz, .ebx = 1000000,
	};
}

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
	struct kvm_run *run = mmap(NULL, (size_t)run_size, PROT_READ | PROT_WRITE, MAP_SHARED,
				   vcpu_fd[id], 0);
	struct kvm_regs regs;
	uint64_t vector;

	if (run == MAP_FAILED)
		die("vCPU %u: %s", id, strerror(errno));
	if (id) {
		while (!boot_mailbox_poll(memory, id, &vector))
			usleep(1000);
		set_registers(vcpu_fd[id], vector, 0);
		ASK(vcpu_fd[id], KVM_SET_MP_STATE, &(struct kvm_mp_state){ KVM_MP_STATE_RUNNABLE });
	}
	for (;;) {
		if (ioctl(vcpu_fd[id], KVM_RUN, 0) < 0) {
			if (errno == EINTR || errno == EAGAIN)
				continue;
			die("vCPU %u: KVM_RUN: %s", id, strerror(errno));
		}
		switch (run->exit_reason) {
		case KVM_EXIT_IO:
			do_io(run);
			break;
		case KVM_EXIT_SHUTDOWN:
			die("vCPU %u: triple fault", id);
		default:
			ASK(vcpu_fd[id], KVM_GET_REGS, &regs);
			die("vCPU %u: exit reason %u, suberror %u, rip 0x%llx", id, run->exit_reason,
			    run->internal.suberror, regs.rip);
		}
	}
}

int main(int argc, char **argv)
{
	static struct {
		struct kvm_cpuid2 head;
		struct kvm_cpuid_entry2 entry[CPUID_ENTRIES];
	} cpuid = { .head.nent = CPUID_ENTRIES };
	struct kvm_userspace_memory_region region = { 0 };
	struct pvm_kvm_set_abi set_abi = { .op = PVM_KVM_SET_ABI };
	pthread_t thread;
	uint64_t start;
	unsigned i;

	setvbuf(stdout, NULL, _IOLBF, 0);
	serial16550_init(&uart, print_byte, NULL);
	if (argc < 2)
		die("usage: vmm GUEST.elf [MIB [VCPUS]]");
	if (argc > 2)
		memory_size = strtoull(argv[2], NULL, 0) << 20;
	if (argc > 3)
		vcpu_count = (unsigned)strtoul(argv[3], NULL, 0);
	if (!vcpu_count || vcpu_count > VCPUS_MAX)
		die("1 to %u vCPUs", VCPUS_MAX);
	memory = mmap(NULL, memory_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		die("memory: %s", strerror(errno));
	start = load(argv[1]);
	kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (kvm < 0)
		die("/dev/kvm: %s", strerror(errno));
	vm = ASK(kvm, KVM_CREATE_VM, 0);
	set_abi.abi = abi;
	ASK(vm, KVM_MEMORY_ENCRYPT_OP, &set_abi);
	ASK(vm, KVM_CREATE_IRQCHIP, 0);
	region.memory_size = memory_size;
	region.userspace_addr = (uintptr_t)memory;
	ASK(vm, KVM_SET_USER_MEMORY_REGION, &region);
	run_size = ASK(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	cpuid.head.nent--;
	ASK(kvm, KVM_GET_SUPPORTED_CPUID, &cpuid);
	for (i = 0; i < vcpu_count; i++) {
		vcpu_fd[i] = ASK(vm, KVM_CREATE_VCPU, i);
		if (!i)
			add_cpuid(&cpuid.head);
		ASK(vcpu_fd[i], KVM_SET_CPUID2, &cpuid);
	}
	set_registers(vcpu_fd[0], start, BOOT_PARAMS);
	for (i = 1; i < vcpu_count; i++)
		if (pthread_create(&thread, NULL, run_vcpu, (void *)(uintptr_t)i))
			die("no thread");
	run_vcpu(NULL);
}
