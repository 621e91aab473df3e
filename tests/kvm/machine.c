/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* /dev/kvm for the tests: a VM, its vCPUs in 64-bit mode, memory slots, and the lines of checks. */
#define _GNU_SOURCE
#include "machine.h"

#include <errno.h>
#include <fcntl.h>
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
#include <pvm/x86.h>

#include "boot.h"
#include "elf_file.h"

#define CPUID_ENTRIES	256
#define X2APIC		(1u << 10 | 1u << 11)

void machine_die(const char *format, ...)
{
	va_list args;

	fflush(stdout);
	fprintf(stderr, "machine: ");
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, "\n");
	_exit(125);
}

int machine_ask(int fd, unsigned long request, const char *name, void *arg)
{
	int ret = ioctl(fd, request, arg);

	if (ret < 0)
		machine_die("%s: %s", name, strerror(errno));
	return ret;
}

/* ------------------------------------------------------------------------
 * Registers.
 */

static bool set_msr(int fd, uint32_t index, uint64_t value)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} msrs = { .head.nmsrs = 1, .entry = { .index = index, .data = value } };

	return ioctl(fd, KVM_SET_MSRS, &msrs) == 1;
}

bool machine_try_registers(struct machine *m, unsigned vcpu, uint64_t rip, uint64_t rsi)
{
	struct kvm_segment code = {
		.selector = 0x10, .limit = ~0u, .type = 0xb, .present = 1, .s = 1, .l = 1, .g = 1,
	};
	struct kvm_segment data = {
		.selector = 0x18, .limit = ~0u, .type = 3, .present = 1, .s = 1, .db = 1, .g = 1,
	};
	struct kvm_regs regs = { .rip = rip, .rsi = rsi, .rflags = 2 };
	struct kvm_sregs sregs;
	int fd = m->vcpu[vcpu];

	if (ioctl(fd, KVM_GET_SREGS, &sregs) < 0)
		return false;
	sregs.cs = code;
	sregs.ds = sregs.es = sregs.ss = sregs.fs = sregs.gs = data;
	sregs.cr0 = 0x80050033;
	sregs.cr3 = BOOT_TABLES;
	sregs.cr4 = 1 << 5;
	sregs.efer = 0xd00 | 1;
	sregs.apic_base |= X2APIC;
	return ioctl(fd, KVM_SET_SREGS, &sregs) >= 0 && ioctl(fd, KVM_SET_REGS, &regs) >= 0 &&
		(m->abi != PVM_ABI_DUAL_CR3 || set_msr(fd, MSR_PVM_SWITCH_CR3, BOOT_TABLES));
}

void machine_set_registers(struct machine *m, unsigned vcpu, uint64_t rip, uint64_t rsi)
{
	if (!machine_try_registers(m, vcpu, rip, rsi))
		machine_die("vCPU %u: its registers are refused: %s", vcpu, strerror(errno));
}

void machine_wait_for_start(struct machine *m, unsigned vcpu)
{
	uint64_t vector;

	while (!boot_mailbox_poll(m->memory, vcpu, &vector))
		usleep(1000);
	machine_set_registers(m, vcpu, vector, 0);
	ASK(m->vcpu[vcpu], KVM_SET_MP_STATE, &(struct kvm_mp_state){ KVM_MP_STATE_RUNNABLE });
}

/* ------------------------------------------------------------------------
 * Making one.
 */

static const char *read_file(void *source, void *buffer, uint64_t length, uint64_t offset)
{
	return pread(*(int *)source, buffer, length, (off_t)offset) == (ssize_t)length ? NULL : "short";
}

static void load(struct machine *m, struct elf_file *elf, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	char why[256];

	if (fd < 0 || fstat(fd, &st))
		machine_die("%s: %s", path, strerror(errno));
	elf->path = path;
	elf->read = read_file;
	elf->size = (uint64_t)st.st_size;
	elf->source = &fd;
	if (elf_file_parse(elf, why, sizeof(why)) ||
	    elf_file_check_memory(elf, m->memory_size, why, sizeof(why)) ||
	    elf_file_load(elf, m->memory, m->memory_size, why, sizeof(why)) ||
	    boot_write(m->memory, m->memory_size, m->vcpus, "", why, sizeof(why)))
		machine_die("%s", why);
	close(fd);
}

/* KVM's, with what user space adds: its timer, and the clocks' rates where guests of any
 * hypervisor look for them. */
static void add_cpuid(struct machine *m, struct kvm_cpuid2 *cpuid)
{
	int tsc_khz = ioctl(m->vcpu[0], KVM_GET_TSC_KHZ, 0);
	unsigned i;

	for (i = 0; i < cpuid->nent; i++)
		if (cpuid->entries[i].function == 1)
			cpuid->entries[i].ecx |= 1u << 24 | 1u << 21;	/* TSC deadline, x2APIC */
	cpuid->entries[cpuid->nent++] = (struct kvm_cpuid_entry2){
		.function = 0x40000010, .eax = (uint32_t)tsc_khz, .ebx = 1000000,
	};
}

static void make_vcpus(struct machine *m)
{
	struct kvm_cpuid2 *cpuid = calloc(1, sizeof(*cpuid) + CPUID_ENTRIES * sizeof(cpuid->entries[0]));
	size_t run_size = (size_t)ASK(m->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	unsigned i;

	if (!cpuid)
		machine_die("no memory");
	cpuid->nent = CPUID_ENTRIES - 1;
	ASK(m->kvm, KVM_GET_SUPPORTED_CPUID, cpuid);
	for (i = 0; i < m->vcpus; i++) {
		m->vcpu[i] = ASK(m->vm, KVM_CREATE_VCPU, i);
		if (!i)
			add_cpuid(m, cpuid);
		ASK(m->vcpu[i], KVM_SET_CPUID2, cpuid);
		m->run[i] = mmap(NULL, run_size, PROT_READ | PROT_WRITE, MAP_SHARED, m->vcpu[i], 0);
		if (m->run[i] == MAP_FAILED)
			machine_die("vCPU %u: %s", i, strerror(errno));
	}
	free(cpuid);
}

static void make_memory(struct machine *m, uint64_t size, unsigned vcpus)
{
	memset(m, 0, sizeof(*m));
	if (!vcpus || vcpus > MACHINE_VCPUS)
		machine_die("1 to %u vCPUs", MACHINE_VCPUS);
	m->vcpus = vcpus;
	m->memory_size = size;
	m->memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (m->memory == MAP_FAILED)
		machine_die("memory: %s", strerror(errno));
}

static void make_vm(struct machine *m)
{
	struct pvm_kvm_set_abi set = { .op = PVM_KVM_SET_ABI, .abi = m->abi };
	int error;

	m->kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (m->kvm < 0)
		machine_die("/dev/kvm: %s", strerror(errno));
	m->vm = ASK(m->kvm, KVM_CREATE_VM, 0);
	if (m->abi != MACHINE_RING0)
		ASK(m->vm, KVM_MEMORY_ENCRYPT_OP, &set);
	ASK(m->vm, KVM_CREATE_IRQCHIP, 0);
	error = machine_slot(m, 0, 0, 0, m->memory_size, m->memory);
	if (error)
		machine_die("memory slot 0: %s", strerror(error));
	make_vcpus(m);
}

static void start(struct machine *m, const struct elf_file *elf)
{
	m->start = elf->start;
	make_vm(m);
	machine_set_registers(m, 0, m->start, BOOT_PARAMS);
}

void machine_create(struct machine *m, const char *guest, uint64_t memory_size, unsigned vcpus)
{
	struct elf_file elf = { 0 };

	make_memory(m, memory_size, vcpus);
	load(m, &elf, guest);
	m->abi = elf.has_abi ? elf.abi : (uint32_t)PVM_ABI_DUAL_CR3;
	start(m, &elf);
}

void machine_create_ring0(struct machine *m, const char *guest, uint64_t memory_size)
{
	struct elf_file elf = { 0 };

	make_memory(m, memory_size, 1);
	load(m, &elf, guest);
	m->abi = MACHINE_RING0;
	start(m, &elf);
}

#define ROM_SIZE	0x10000ull
#define ROM_SLOT	30
#define ROM		(0x100000000ull - ROM_SIZE)
#define ROM_LOW		(0x100000ull - ROM_SIZE)

static void add_rom(struct machine *m, const char *path)
{
	void *rom = mmap(NULL, ROM_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd = open(path, O_RDONLY | O_CLOEXEC), error;

	if (rom == MAP_FAILED || fd < 0 || pread(fd, rom, ROM_SIZE, 0) != (ssize_t)ROM_SIZE)
		machine_die("%s: %s", path, strerror(errno));
	close(fd);
	memcpy(m->memory + ROM_LOW, rom, ROM_SIZE);
	error = machine_slot(m, ROM_SLOT, KVM_MEM_READONLY, ROM, ROM_SIZE, rom);
	if (error)
		machine_die("the ROM's slot: %s", strerror(error));
}

void machine_create_with_firmware(struct machine *m, const char *guest, uint64_t memory_size, unsigned vcpus,
				  const char *firmware)
{
	struct machine_firmware told = { 0 };
	struct kvm_pit_config pit = { 0 };
	struct elf_file elf = { 0 };

	make_memory(m, memory_size, vcpus);
	load(m, &elf, guest);
	m->abi = elf.has_abi ? elf.abi : (uint32_t)PVM_ABI_DUAL_CR3;
	m->start = elf.start;
	make_vm(m);
	ASK(m->vm, KVM_CREATE_PIT2, &pit);
	add_rom(m, firmware);
	told.start = m->start;
	told.switch_cr3_msr = m->abi == PVM_ABI_DUAL_CR3 ? MSR_PVM_SWITCH_CR3 : 0;
	memcpy(m->memory + MACHINE_FIRMWARE, &told, sizeof(told));
}

void machine_create_bare(struct machine *m, uint32_t abi, uint64_t memory_size, unsigned vcpus)
{
	make_memory(m, memory_size, vcpus);
	m->abi = abi;
	make_vm(m);
}

unsigned long machine_exits(const struct machine *m)
{
	char path[128];
	unsigned long value;
	FILE *file;

	snprintf(path, sizeof(path), "/sys/kernel/debug/kvm/%d-%d/exits", (int)getpid(), m->vm);
	file = fopen(path, "re");
	if (!file || fscanf(file, "%lu", &value) != 1)
		machine_die("%s: %s", path, strerror(errno));
	fclose(file);
	return value;
}

void machine_destroy(struct machine *m)
{
	size_t run_size = (size_t)ASK(m->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	unsigned i;

	for (i = 0; i < m->vcpus; i++) {
		munmap(m->run[i], run_size);
		close(m->vcpu[i]);
	}
	close(m->vm);
	close(m->kvm);
	munmap(m->memory, m->memory_size);
}

int machine_slot(struct machine *m, unsigned slot, unsigned flags, uint64_t gpa, uint64_t size, void *memory)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot, .flags = flags, .guest_phys_addr = gpa, .memory_size = size,
		.userspace_addr = (uintptr_t)memory,
	};

	return ioctl(m->vm, KVM_SET_USER_MEMORY_REGION, &region) < 0 ? errno : 0;
}

/* ------------------------------------------------------------------------
 * The host.
 */

unsigned long machine_stat(struct machine *m, const char *name)
{
	char path[128], line[128];
	unsigned long value = 0;
	bool found = false;
	FILE *file;

	snprintf(path, sizeof(path), "/sys/kernel/debug/kvm/%d-%d/pvm", (int)getpid(), m->vm);
	file = fopen(path, "re");
	if (!file)
		machine_die("%s: %s", path, strerror(errno));
	while (!found && fgets(line, sizeof(line), file)) {
		size_t length = strlen(name);

		found = !strncmp(line, name, length) && line[length] == ' ';
		value = strtoul(line + length, NULL, 10);
	}
	fclose(file);
	if (!found)
		machine_die("%s has no %s", path, name);
	return value;
}

void machine_put(const char *file, const char *text)
{
	int fd = open(file, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		machine_die("%s: %s", file, strerror(errno));
	close(fd);
}

/* ------------------------------------------------------------------------
 * Checks.
 */
static unsigned checks, failures;

bool check(bool ok, const char *format, ...)
{
	va_list args;

	printf("%sok %u - ", ok ? "" : "not ", ++checks);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
	fflush(stdout);
	failures += !ok;
	return ok;
}

int check_finish(void)
{
	printf("# %u checks, %u failed, 0 skipped\n", checks, failures);
	fflush(stdout);
	return failures != 0;
}
