/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * What the CPU is like for a guest that runs in a process of this host, and
 * whether the host has what the native executor needs (S9). Owns the facts of
 * Linux's user space: no upper half, CPUID. Starts nothing.
 */
#include <cpuid.h>
#include <errno.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "native.h"

#ifndef signature_HYGON_ebx
#define signature_HYGON_ebx	0x6f677948	/* "Hygo" */
#endif

#ifndef PR_SET_SYSCALL_USER_DISPATCH
#define PR_SET_SYSCALL_USER_DISPATCH 59
#define PR_SYS_DISPATCH_OFF 0
#endif
#define HWCAP2_USER_FSGSBASE	(1ul << 1)

/* GUEST_HPA_BASE and the engine's pages at twice that must fit. */
#define HOST_MAXPHYADDR		46
#define GUEST_MAXPHYADDR	40

#define CPUID_ENTRIES 128

static struct pvm_cpuid_entry table[CPUID_ENTRIES];
static uint32_t entries;

static bool subleaves(uint32_t leaf)
{
	switch (leaf) {
	case 0x4: case 0x7: case 0xb: case 0xd: case 0xf: case 0x10: case 0x12: case 0x14:
	case 0x17: case 0x18: case 0x1d: case 0x1e: case 0x1f: case 0x20: case 0x24: case 0x8000001d:
	case 0x80000026:
		return true;
	default:
		return false;
	}
}

static uint32_t last_subleaf(uint32_t leaf)
{
	if (leaf == 0xd)
		return 18;	/* the components of user space */
	return leaf == 0x7 || leaf == 0x14 ? 2 : 4;
}

static void add_leaf(uint32_t leaf)
{
	uint32_t last = subleaves(leaf) ? last_subleaf(leaf) : 0;
	uint32_t i;

	for (i = 0; i <= last && entries < CPUID_ENTRIES; i++) {
		struct pvm_cpuid_entry *e = &table[entries++];

		*e = (struct pvm_cpuid_entry){ .leaf = leaf, .subleaf = i, .subleaf_matters = last > 0 };
		__cpuid_count(leaf, i, e->eax, e->ebx, e->ecx, e->edx);
	}
}

static void read_cpuid(void)
{
	uint32_t leaf, last;

	entries = 0;
	last = __get_cpuid_max(0, NULL);
	for (leaf = 0; leaf <= last && leaf <= 0x24; leaf++)
		add_leaf(leaf);
	last = __get_cpuid_max(0x80000000, NULL);
	for (leaf = 0x80000000; leaf <= last && leaf <= 0x80000028; leaf++)
		add_leaf(leaf);
}

static int refuse(char *why, size_t why_size, const char *what)
{
	snprintf(why, why_size, "the native executor needs %s", what);
	return -1;
}

/* S9 */
static int check_host(char *why, size_t why_size)
{
	uint32_t action = SECCOMP_RET_TRAP;
	int pidfd = pidfd_open(getpid(), 0), error;

	if (pidfd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM)) {
		snprintf(why, why_size, "native executor: no descriptor of a process: %s", strerror(errno));
		return -1;
	}
	if (pidfd < 0)
		return refuse(why, why_size, "pidfd_open (Linux 5.4, and no filter against it)");
	error = pidfd_send_signal(pidfd, 0, NULL, 0);
	close(pidfd);
	if (error < 0)
		return refuse(why, why_size, "pidfd_send_signal (Linux 5.4, and no filter against it)");
	if (!(getauxval(AT_HWCAP2) & HWCAP2_USER_FSGSBASE))
		return refuse(why, why_size, "FSGSBASE in user space (a CPU that has it, and Linux 5.9)");
	if (prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_OFF, 0, 0, 0) < 0)
		return refuse(why, why_size, "Syscall User Dispatch (Linux 5.11 with x86-64 generic entry)");
	if (syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) < 0)
		return refuse(why, why_size, "seccomp filters (CONFIG_SECCOMP_FILTER, Linux 4.14)");
	if (getauxval(AT_MINSIGSTKSZ) > STUB_ALTSTACK_SIZE - 1024)
		return refuse(why, why_size, "signal frames of less than 31 KiB (the CPU's extended state)");
	if (access("/proc/self/fd", X_OK) < 0)
		return refuse(why, why_size, "/proc to be mounted");
	return 0;
}

bool native_has_sysenter(void)
{
	uint32_t eax, ebx, ecx, edx;

	__cpuid(0, eax, ebx, ecx, edx);
	return ebx != signature_AMD_ebx && ebx != signature_HYGON_ebx;
}

int native_probe(struct pvm_vm_config *config, const char *guest, char *why, size_t why_size)
{
	(void)guest;
	if (check_host(why, why_size) < 0)
		return -1;
	read_cpuid();
	executor_linux_cpu(config);
	/* A process has 47 bits whatever the host's paging, and mprotect() has an X. */
	config->host_la57 = false;
	config->host_nx = true;
	/* Where it is on, Linux answers SGDT and the like for a process, and the #GP never comes. */
	config->host_umip = false;
	config->host_page1g = true;
	config->host_maxphyaddr = HOST_MAXPHYADDR;
	config->guest_maxphyaddr = GUEST_MAXPHYADDR;
	config->range = (struct pvm_linear_range){
		PVM_RANGE_INDEX_NONE, PVM_RANGE_INDEX_NONE, PVM_RANGE_INDEX_NONE, PVM_RANGE_INDEX_NONE,
	};
	config->cpuid = table;
	config->cpuid_count = entries;
	return 0;
}
