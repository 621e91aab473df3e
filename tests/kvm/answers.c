/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * answers: what user space sets of a vCPU while that waits for it: at a port, halted, or to begin anew. And a
 * PVCS that is given up while its page moves.
 */
#define _GNU_SOURCE
#include "bare.h"
#include "client.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <pvm/abi.h>
#include <pvm/kvm.h>
#include <pvm/vcpu.h>

#define PVCS_GPA	0x5000
#define CPUID_MAX	256
#define TURNS		200

static struct machine m;

/* IN EAX, 0x80; MOV EAX, EBX; OUT 0x81, EAX; again */
#define IN_MOV_OUT BARE_CODE("\xe5\x80\x89\xd8\xe7\x81\xeb\xf8")

static void general_registers(void)
{
	struct kvm_regs set;

	bare_begin(&m, IN_MOV_OUT);
	bare_run(&m);
	set = bare_regs(&m);
	set.rbx = 0x1234;
	ASK(m.vcpu[0], KVM_SET_REGS, &set);
	bare_run(&m);
	check(*bare_data(&m) == 0x1234, "RBX that is set while IN waits for its answer is the guest's: 0x%x", *bare_data(&m));
	machine_destroy(&m);
}

static void other_registers(void)
{
	const uint64_t de = 1ull << 3;
	struct kvm_debugregs debug;
	struct kvm_sregs sregs;

	bare_begin(&m, BARE_CODE("\xe6\x80\xeb\xfc"));	/* OUT 0x80; again */
	bare_run(&m);
	ASK(m.vcpu[0], KVM_GET_SREGS, &sregs);
	sregs.cr4 |= de;
	sregs.cr2 = 0x7777000;
	ASK(m.vcpu[0], KVM_SET_SREGS, &sregs);
	ASK(m.vcpu[0], KVM_GET_DEBUGREGS, &debug);
	debug.db[0] = 0x5000;
	ASK(m.vcpu[0], KVM_SET_DEBUGREGS, &debug);
	bare_complete(&m);
	ASK(m.vcpu[0], KVM_GET_SREGS, &sregs);
	ASK(m.vcpu[0], KVM_GET_DEBUGREGS, &debug);
	check((sregs.cr4 & de) && sregs.cr2 == 0x7777000 && debug.db[0] == 0x5000,
	      "so are CR4, CR2 and DR0 that are set while OUT is under way");
	check(bare_regs(&m).rip == BARE_CODE_GPA + 2, "and the OUT is done");
	machine_destroy(&m);
}

static void snapshot_msr(void)
{
	bare_begin(&m, IN_MOV_OUT);
	bare_run(&m);
	*bare_data(&m) = 0xabcd;
	check(bare_set_msr(&m, PVM_KVM_MSR_TLS0, 0), "an MSR for snapshots is set while IN waits");
	bare_complete(&m);
	check(bare_regs(&m).rip == BARE_CODE_GPA + 2 && (uint32_t)bare_regs(&m).rax == 0xabcd, "and IN has its answer: 0x%llx",
	      bare_regs(&m).rax);
	machine_destroy(&m);
}

/* A VMM may show the guest less than the CPU has. */
static void sregs_as_they_were(uint32_t abi)
{
	struct kvm_cpuid2 *cpuid = calloc(1, sizeof(*cpuid) + CPUID_MAX * sizeof(cpuid->entries[0]));
	struct kvm_sregs sregs;
	unsigned i;

	machine_create_bare(&m, abi, BARE_MEMORY, 1);
	cpuid->nent = CPUID_MAX;
	ASK(m.kvm, KVM_GET_SUPPORTED_CPUID, cpuid);
	for (i = 0; i < cpuid->nent; i++)
		if (cpuid->entries[i].function == 7)
			cpuid->entries[i].ebx = cpuid->entries[i].ecx = cpuid->entries[i].edx = 0;
	ASK(m.vcpu[0], KVM_SET_CPUID2, cpuid);
	free(cpuid);
	machine_set_registers(&m, 0, BARE_CODE_GPA, 0);
	memcpy(m.memory + BARE_CODE_GPA, "\xe6\x80\xeb\xfc", 4);
	bare_map_memory(&m);
	bare_run(&m);
	bare_complete(&m);
	ASK(m.vcpu[0], KVM_GET_SREGS, &sregs);
	check(!ioctl(m.vcpu[0], KVM_SET_SREGS, &sregs) && !bare_run(&m) &&
	      m.run[0]->exit_reason == KVM_EXIT_IO,
	      "KVM_SET_SREGS takes what KVM_GET_SREGS gave, without CPUID leaf 7: CR4 0x%llx", sregs.cr4);
	machine_destroy(&m);
}

#define TLS0_SEL	0x63	/* Linux's first */
#define TLS0		0x00c0f32000000001ull	/* data, DPL 3, 8 KiB from 2 MiB on */

/* A 32-bit program loads from a device: MOV EAX, [0x10] by a segment of the TLS. */
static void segment_of_the_tls(void)
{
	struct kvm_sregs sregs;
	struct kvm_regs set;
	uint64_t *table;
	unsigned i;

	bare_begin(&m, BARE_CODE("\xa1\x10\x00\x00\x00\xeb\xfe"));
	ASK(m.vcpu[0], KVM_GET_SREGS, &sregs);
	for (i = 0; i < 3; i++)
		*(uint64_t *)(m.memory + sregs.cr3 + i * PAGE) |= 4;
	table = (uint64_t *)(m.memory + sregs.cr3 + 2 * PAGE);
	table[1] = BARE_MEMORY | 0x87;		/* where no memory is */
	check(bare_set_msr(&m, PVM_KVM_MSR_TLS0, TLS0), "an entry of the TLS is set");
	sregs.cs.selector = 0x23;
	sregs.cs.l = 0;
	sregs.ss.selector = 0x2b;
	sregs.cs.dpl = sregs.ss.dpl = 3;
	sregs.ds.selector = TLS0_SEL;
	ASK(m.vcpu[0], KVM_SET_SREGS, &sregs);
	set = bare_regs(&m);
	set.rip = BARE_CODE_GPA;
	ASK(m.vcpu[0], KVM_SET_REGS, &set);
	check(!bare_run(&m) && m.run[0]->exit_reason == KVM_EXIT_MMIO &&
	      m.run[0]->mmio.phys_addr == BARE_MEMORY + 0x10,
	      "a segment's base counts where a device is read: 0x%llx", m.run[0]->mmio.phys_addr);
	bare_complete(&m);
	ASK(m.vcpu[0], KVM_GET_SREGS, &sregs);
	check(sregs.ds.base == BARE_MEMORY && sregs.ds.limit == 0x1fff, "and user space sees it");
	machine_destroy(&m);
}

static void nothing(int number)
{
	(void)number;
}

/* OUT 0x80; PVM_HC_IRQ_HLT; again. At 0x1100: OUT 0x81; again */
static void halted(void)
{
	struct kvm_mp_state state = { .mp_state = KVM_MP_STATE_RUNNABLE };
	struct kvm_sregs sregs;
	struct kvm_regs set;

	sigaction(SIGALRM, &(struct sigaction){ .sa_handler = nothing }, NULL);
	bare_begin(&m, BARE_CODE("\xe6\x80\xb8\x02\x82\x08\x17\x0f\x05\xeb\xf7"));
	memcpy(m.memory + BARE_CODE_GPA + 0x100, "\xe6\x81\xeb\xfc", 4);
	ASK(m.vcpu[0], KVM_GET_SREGS, &sregs);
	bare_set_msr(&m, MSR_PVM_VCPU_STRUCT, PVCS_GPA);
	bare_run(&m);
	bare_complete(&m);
	alarm(2);
	check(bare_run(&m) == EINTR, "a guest halts");
	set = bare_regs(&m);
	set.rip = BARE_CODE_GPA + 0x100;
	ASK(m.vcpu[0], KVM_SET_MP_STATE, &state);
	ASK(m.vcpu[0], KVM_SET_REGS, &set);
	alarm(20);
	check(!bare_run(&m) && m.run[0]->exit_reason == KVM_EXIT_IO && m.run[0]->io.port == 0x81,
	      "and goes on where user space says, by KVM_SET_MP_STATE");
	alarm(0);
	machine_destroy(&m);
}

/* In real mode it is no PVM guest any more, and what that has set up is not written to. */
static void reset(void)
{
	struct kvm_sregs fresh, long_mode;
	struct kvm_regs set;
	unsigned i, other = 0;

	machine_create_bare(&m, PVM_ABI_DUAL_CR3, BARE_MEMORY, 1);
	ASK(m.vcpu[0], KVM_GET_SREGS, &fresh);
	machine_set_registers(&m, 0, BARE_CODE_GPA, 0);
	memcpy(m.memory + BARE_CODE_GPA, "\xe6\x80\xeb\xfc", 4);
	bare_map_memory(&m);
	ASK(m.vcpu[0], KVM_GET_SREGS, &long_mode);
	bare_set_msr(&m, MSR_PVM_VCPU_STRUCT, PVCS_GPA);
	bare_run(&m);
	bare_complete(&m);
	fresh.cs.base = 0;
	fresh.cs.selector = 0;
	ASK(m.vcpu[0], KVM_SET_SREGS, &fresh);
	set = bare_regs(&m);
	set.rip = BARE_CODE_GPA;
	set.rflags = 2;
	ASK(m.vcpu[0], KVM_SET_REGS, &set);
	check(!bare_run(&m) && m.run[0]->exit_reason == KVM_EXIT_IO, "a vCPU is put back into real mode, and runs");
	bare_complete(&m);
	memset(m.memory + PVCS_GPA, 0x55, PAGE);
	ASK(m.vcpu[0], KVM_SET_SREGS, &long_mode);
	set.rip = BARE_CODE_GPA;
	set.rflags = 0x202;
	ASK(m.vcpu[0], KVM_SET_REGS, &set);
	check(!bare_run(&m) && m.run[0]->exit_reason == KVM_EXIT_IO, "and into 64-bit mode again");
	for (i = 0; i < PAGE; i++)
		other += m.memory[PVCS_GPA + i] != 0x55;
	check(!other, "what was its PVCS before is not written: %u bytes", other);
	machine_destroy(&m);
}

static atomic_bool over;

static void *move_the_page(void *page)
{
	int node = 0, status;

	while (!atomic_load(&over)) {
		node ^= 1;
		syscall(SYS_move_pages, 0, 1ul, &page, &node, &status, 2);
	}
	return NULL;
}

/* PVM_HC_WRMSR of MSR_PVM_VCPU_STRUCT: the page; EBP times nothing; 0; OUT 0x80; again */
#define ATTACH "\xb8\x08\x82\x08\x17\xbb\xf1\x4d\x56\x4b\x41\xba\x00\x50\x00\x00\x0f\x05"
#define DETACH "\xb8\x08\x82\x08\x17\xbb\xf1\x4d\x56\x4b\x45\x31\xd2\x0f\x05"

/* It is given up with interrupts off, while others hold the page's lock. */
static void pvcs_that_moves(void)
{
	pthread_t thread[2];
	struct kvm_regs set;
	unsigned i, turns;

	bare_begin(&m, BARE_CODE(ATTACH "\xff\xcd\x75\xfc" DETACH "\xe6\x80\xeb\xd7"));
	madvise(m.memory, BARE_MEMORY, MADV_NOHUGEPAGE);
	for (i = 0; i < 2; i++)
		pthread_create(&thread[i], NULL, move_the_page, m.memory + PVCS_GPA);
	srandom(1);
	for (turns = 0; turns < TURNS; turns++) {
		madvise(m.memory + PVCS_GPA, PAGE, MADV_DONTNEED);
		set = bare_regs(&m);
		set.rbp = 1 + (uint64_t)random() % 500000;
		set.rip = BARE_CODE_GPA;
		ASK(m.vcpu[0], KVM_SET_REGS, &set);
		if (bare_run(&m) || m.run[0]->exit_reason != KVM_EXIT_IO)
			break;
		bare_complete(&m);
	}
	atomic_store(&over, true);
	for (i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	check(turns == TURNS, "a PVCS is attached and given up %u times while its page moves", turns);
	machine_destroy(&m);
}

int main(void)
{
	general_registers();
	other_registers();
	snapshot_msr();
	sregs_as_they_were(PVM_ABI_DUAL_CR3);
	sregs_as_they_were(PVM_ABI_SINGLE_CR3);
	segment_of_the_tls();
	halted();
	reset();
	pvcs_that_moves();
	return check_finish();
}
