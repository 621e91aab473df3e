/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * misuse SERVANT.elf: what a careless VMM does: a clear error each, and the host goes on.
 */
#define _GNU_SOURCE
#include "client.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <pvm/kvm.h>
#include <pvm/vcpu.h>

#define MEMORY	(2ull << 20)

static int tries(int fd, unsigned long request, void *arg)
{
	return ioctl(fd, request, arg) < 0 ? errno : 0;
}

static int run(struct machine *m)
{
	return tries(m->vcpu[0], KVM_RUN, NULL);
}

/* The private channel of a VM. */
static void dialects(void)
{
	struct pvm_kvm_set_abi set = { .op = PVM_KVM_SET_ABI, .abi = PVM_ABI_SINGLE_CR3 };
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC), vm, vcpu;

	vm = ASK(kvm, KVM_CREATE_VM, 0);
	check(tries(vm, KVM_MEMORY_ENCRYPT_OP, NULL) != 0, "no operation at all");
	check(tries(vm, KVM_MEMORY_ENCRYPT_OP, (void *)8) == EFAULT, "an operation at an address without memory");
	set.op = PVM_KVM_SET_ABI + 1;
	check(tries(vm, KVM_MEMORY_ENCRYPT_OP, &set) == EINVAL, "an unknown operation");
	set.op = PVM_KVM_SET_ABI;
	set.abi = 77;
	check(tries(vm, KVM_MEMORY_ENCRYPT_OP, &set) == EINVAL, "an unknown dialect");
	set.abi = PVM_ABI_SINGLE_CR3;
	set.reserved[1] = 1;
	check(tries(vm, KVM_MEMORY_ENCRYPT_OP, &set) == EINVAL, "a reserved field that is not 0");
	set.reserved[1] = 0;
	check(tries(vm, KVM_MEMORY_ENCRYPT_OP, &set) == 0, "a dialect that there is");
	vcpu = ASK(vm, KVM_CREATE_VCPU, 0);
	check(tries(vm, KVM_CREATE_IRQCHIP, NULL) == EINVAL, "an interrupt controller after the first vCPU");
	check(tries(vm, KVM_MEMORY_ENCRYPT_OP, &set) == EBUSY, "a dialect for a VM that has vCPUs");
	check(ioctl(vm, KVM_CREATE_VCPU, 0) < 0 && errno == EEXIST, "a second vCPU 0");
	close(vcpu);
	close(vm);
	close(kvm);
}

/* KVM_RUN ends, and says why. */
static void nothing_set(void)
{
	struct machine m;
	int error;

	machine_create_bare(&m, PVM_ABI_DUAL_CR3, MEMORY, 1);
	error = run(&m);
	check(error || m.run[0]->exit_reason == KVM_EXIT_MMIO ||
	      m.run[0]->exit_reason == KVM_EXIT_INTERNAL_ERROR,
	      "KVM_RUN before any register is set: no memory at the reset vector");
	machine_destroy(&m);
}

static void no_memory(void)
{
	struct machine m;

	machine_create_bare(&m, PVM_ABI_DUAL_CR3, MEMORY, 1);
	machine_set_registers(&m, 0, 0x1000, 0);
	check(!machine_slot(&m, 0, 0, 0, 0, m.memory), "a VM loses all its memory");
	check(run(&m) == 0 && m.run[0]->exit_reason == KVM_EXIT_SHUTDOWN, "and shuts down");
	check(run(&m) == 0 && m.run[0]->exit_reason == KVM_EXIT_SHUTDOWN, "again, if it is run again");
	machine_destroy(&m);
}

/* Page tables that map the first 2 MiB, and some code at 4096. */
static void with_code(struct machine *m, const char *code, size_t length)
{
	machine_create_bare(m, PVM_ABI_DUAL_CR3, MEMORY, 1);
	machine_set_registers(m, 0, 0x1000, 0);
	memcpy(m->memory + 0x1000, code, length);
	for (unsigned i = 0; i < 3; i++) {
		struct kvm_sregs sregs;

		ASK(m->vcpu[0], KVM_GET_SREGS, &sregs);
		((uint64_t *)(m->memory + sregs.cr3 + i * PAGE))[0] =
			(sregs.cr3 + (i + 1) * PAGE) | 7;
		if (i == 2)
			((uint64_t *)(m->memory + sregs.cr3 + i * PAGE))[0] = 0x87;
	}
}

#define CODE(text) text, sizeof(text) - 1

/* A guest that takes itself for alone on a CPU. */
static void not_aware(void)
{
	struct machine m;

	with_code(&m, CODE("\xfa\x0f\x0b"));	/* CLI; UD2 */
	check(run(&m) == 0 && m.run[0]->exit_reason == KVM_EXIT_SHUTDOWN,
	      "a guest without an entry for events, which executes CLI and UD2, shuts down");
	machine_destroy(&m);
	with_code(&m, CODE("\x0f\x01\x10\x0f\x22\xd8"));	/* LGDT [RAX]; MOV CR3, RAX */
	check(run(&m) == 0 && m.run[0]->exit_reason == KVM_EXIT_SHUTDOWN, "LGDT, the same");
	machine_destroy(&m);
	with_code(&m, CODE("\xe6\x80\xeb\xfc"));		/* OUT 0x80; again */
	check(run(&m) == 0 && m.run[0]->exit_reason == KVM_EXIT_IO && m.run[0]->io.port == 0x80,
	      "a port is user space's");
	machine_destroy(&m);
}

static bool refused(struct machine *m, struct kvm_sregs sregs)
{
	return tries(m->vcpu[0], KVM_SET_SREGS, &sregs) || (run(m) && errno == EINVAL);
}

/* State that no PVM guest has: refused when it is set, or by KVM_RUN. */
static void registers(void)
{
	struct kvm_sregs sregs, wrong;
	struct kvm_regs regs;
	struct machine m;

	with_code(&m, CODE("\xe6\x80\xeb\xfc"));
	ASK(m.vcpu[0], KVM_GET_SREGS, &sregs);
	ASK(m.vcpu[0], KVM_GET_REGS, &regs);
	wrong = sregs;
	wrong.cr4 |= 1ull << 63;
	check(refused(&m, wrong), "a CR4 bit that there is not");
	wrong = sregs;
	wrong.cr4 |= 1ull << 13;
	check(refused(&m, wrong), "CR4.VMXE");
	wrong = sregs;
	wrong.cr0 &= ~1ull;
	check(refused(&m, wrong), "CR0.PG without CR0.PE");
	wrong = sregs;
	wrong.efer |= 1ull << 12;
	check(refused(&m, wrong), "EFER.SVME");
	check(tries(m.vcpu[0], KVM_SET_SREGS, &sregs) == 0 && tries(m.vcpu[0], KVM_SET_REGS, &regs) == 0 &&
	      run(&m) == 0 && m.run[0]->exit_reason == KVM_EXIT_IO, "after all of them the guest runs");
	regs.rip = 0x8000000000000000;
	ASK(m.vcpu[0], KVM_SET_REGS, &regs);
	check(run(&m) == 0 ? m.run[0]->exit_reason == KVM_EXIT_SHUTDOWN : errno == EINVAL, "RIP that is not canonical");
	machine_destroy(&m);
}

/* The operation in flight is completed, and nothing is run. */
static void complete(struct machine *m)
{
	m->run[0]->immediate_exit = 1;
	run(m);
	m->run[0]->immediate_exit = 0;
}

/* QEMU's reset and loadvm. */
static void bits_that_go(void)
{
	const uint64_t de = 1ull << 3;
	struct kvm_sregs sregs;
	struct machine m;

	with_code(&m, CODE("\xe6\x80\xeb\xfc"));
	ASK(m.vcpu[0], KVM_GET_SREGS, &sregs);
	sregs.cr4 |= de;
	ASK(m.vcpu[0], KVM_SET_SREGS, &sregs);
	run(&m);
	complete(&m);
	ASK(m.vcpu[0], KVM_GET_SREGS, &sregs);
	check(sregs.cr4 & de, "CR4.DE is set by KVM_SET_SREGS");
	sregs.cr4 &= ~de;
	ASK(m.vcpu[0], KVM_SET_SREGS, &sregs);
	run(&m);
	complete(&m);
	ASK(m.vcpu[0], KVM_GET_SREGS, &sregs);
	check(!(sregs.cr4 & de), "and cleared by it");
	machine_destroy(&m);
}

static void set_msr(struct machine *m, uint32_t index, uint64_t value)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} msrs = { { .nmsrs = 1 }, { .index = index, .data = value } };

	if (ASK(m->vcpu[0], KVM_SET_MSRS, &msrs) != 1)
		machine_die("MSR %#x is refused", index);
}

static bool is_logged(struct machine *m, unsigned page)
{
	static uint64_t bits[MEMORY / PAGE / 64];
	struct kvm_dirty_log ask = { .slot = 0, .dirty_bitmap = bits };

	ASK(m->vm, KVM_GET_DIRTY_LOG, &ask);
	return bits[page / 64] >> page % 64 & 1;
}

/* They are the guest's own, whoever debugs it. */
static void debug_registers(void)
{
	struct kvm_guest_debug debug = { .control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_HW_BP,
					 .arch.debugreg = { [0] = 0x3000, [7] = 0x401 } };
	struct kvm_debugregs set = { .db = { 0x5000, 0x6000 }, .dr6 = 0xffff0ff2, .dr7 = 0x404 }, found;
	struct machine m;

	with_code(&m, CODE("\xe6\x80\xeb\xfc"));		/* OUT 0x80; again */
	run(&m);
	complete(&m);
	ASK(m.vcpu[0], KVM_SET_GUEST_DEBUG, &debug);
	ASK(m.vcpu[0], KVM_SET_DEBUGREGS, &set);
	run(&m);
	complete(&m);
	ASK(m.vcpu[0], KVM_GET_DEBUGREGS, &found);
	check(found.db[0] == set.db[0] && found.db[1] == set.db[1] && found.dr6 == set.dr6 &&
	      found.dr7 == set.dr7,
	      "KVM_SET_DEBUGREGS while user space has breakpoints of its own");
	debug.control = 0;
	ASK(m.vcpu[0], KVM_SET_GUEST_DEBUG, &debug);
	run(&m);
	complete(&m);
	ASK(m.vcpu[0], KVM_GET_DEBUGREGS, &found);
	check(found.db[0] == set.db[0] && found.dr7 == set.dr7, "and afterwards");
	machine_destroy(&m);
}

#define PVCS_PAGE	5
#define FLAG_IF		0x200	/* of the PVCS's first word */

/* The PVCS is written by the engine and the switcher, and never through the guest's tables here. */
static void log_of_the_pvcs(void)
{
	struct kvm_regs regs;
	struct machine m;

	with_code(&m, CODE("\xe6\x80\x0f\x0b"));		/* OUT 0x80; UD2 */
	memcpy(m.memory + 0x1200, "\xe6\x80\xeb\xfc", 4);	/* the event entry for supervisor mode */
	ASK(m.vcpu[0], KVM_GET_REGS, &regs);
	regs.rsp = 0x8000;
	ASK(m.vcpu[0], KVM_SET_REGS, &regs);
	set_msr(&m, MSR_PVM_VCPU_STRUCT, PVCS_PAGE * PAGE);
	set_msr(&m, MSR_PVM_EVENT_ENTRY, 0x1100);
	run(&m);
	complete(&m);
	check(!machine_slot(&m, 0, KVM_MEM_LOG_DIRTY_PAGES, 0, MEMORY, m.memory), "a log is begun");
	*(uint64_t *)(m.memory + PVCS_PAGE * PAGE) = FLAG_IF;
	is_logged(&m, 0);
	check(run(&m) == 0 && m.run[0]->exit_reason == KVM_EXIT_IO &&
	      !*(uint64_t *)(m.memory + PVCS_PAGE * PAGE), "an event clears IF in the PVCS");
	check(is_logged(&m, PVCS_PAGE), "and the log has the page");
	machine_destroy(&m);
}

static void dirty_ring(void)
{
	struct kvm_enable_cap ring = { .cap = KVM_CAP_DIRTY_LOG_RING, .args = { 65536 } };
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC), vm;

	vm = ASK(kvm, KVM_CREATE_VM, 0);
	check(tries(vm, KVM_ENABLE_CAP, &ring) || (ioctl(vm, KVM_CREATE_VCPU, 0) < 0 && errno == EOPNOTSUPP),
	      "a dirty ring, which would lose writes, is refused");
	close(vm);
	close(kvm);
}

int main(int argc, char **argv)
{
	static struct client c;

	if (argc != 2)
		machine_die("usage: misuse SERVANT.elf");
	dialects();
	nothing_set();
	no_memory();
	not_aware();
	registers();
	bits_that_go();
	debug_registers();
	log_of_the_pvcs();
	dirty_ring();
	client_create(&c, argv[1], 1);
	check(ioctl(c.m.vm, KVM_CREATE_VCPU, 0) < 0 && errno == EEXIST, "another vCPU 0, while there is one");
	check(client_writes(&c, 0, 8, 1, 1) && host_finds(c.region, 0, 8, 1, 1), "and a guest runs on this host");
	client_destroy(&c);
	return check_finish();
}
