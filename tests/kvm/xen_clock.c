/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The clock of a Xen PV guest on a host that finds out, while the guest lives, that its CPUs' TSCs disagree.
 * On a host with one CPU, where they do not before, and with the module lies.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "xen_vm.h"

#define LIES	"/modules/lies.ko"
#define SLACK	10000000	/* ns: the host's clocks differ by their own adjustments */

static struct xen_vm x;

static const uint8_t code[] = {
	0xbf, 2, 0, 0, 0, 0xbe, 0x08, 0x20, 0, 0,		/* SHUTDOWN, of zeroes */
	0xb8, 29, 0, 0, 0, 0x0f, 0x05,				/* sched_op */
	0xeb, 0xed,						/* again */
};

static struct pvm_xen_time_info time_after_run(void)
{
	const struct pvm_xen_shared_info *shared = (const void *)(x.memory + XEN_VM_SHARED * XEN_VM_PAGE);

	if (ioctl(x.vcpu[0], KVM_RUN, 0))
		machine_die("exit %u", x.run[0]->exit_reason);
	return shared->vcpu_info[0].time;
}

/* What a guest makes of it now. */
static uint64_t guests_time(const struct pvm_xen_time_info *time)
{
	uint64_t passed = __builtin_ia32_rdtsc() - time->tsc_timestamp;

	passed = time->tsc_shift < 0 ? passed >> -time->tsc_shift : passed << time->tsc_shift;
	return time->system_time + (uint64_t)((unsigned __int128)passed * time->tsc_to_system_mul >> 32);
}

static uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC_RAW, &time);
	return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

int main(void)
{
	struct pvm_kvm_set_xen set = xen_vm_sane(1);
	struct pvm_xen_time_info before, after;
	uint64_t guests, start, later;
	int lies = open(LIES, O_RDONLY | O_CLOEXEC);

	if (lies < 0 || syscall(SYS_finit_module, lies, "", 0))
		machine_die("no " LIES);
	xen_vm_create(&x);
	ASK(x.vm, KVM_MEMORY_ENCRYPT_OP, &set);
	xen_vm_load(&x, code, sizeof(code));
	xen_vm_add_vcpu(&x, 0);
	before = time_after_run();
	check(before.flags & PVM_XEN_TIME_TSC_STABLE, "the guest may rely on the TSC, as the host does");
	guests = guests_time(&before);
	start = now();
	machine_put("/sys/module/lies/parameters/tsc", "1");
	after = time_after_run();
	later = guests_time(&after);
	check(!(after.flags & PVM_XEN_TIME_TSC_STABLE) && after.version > before.version,
	      "and hears of it when the host does no more");
	check(later >= guests && later - guests < 2 * (now() - start) + SLACK, "its clock goes on: %llu of %llu ns",
	      (unsigned long long)(later - guests), (unsigned long long)(now() - start));
	xen_vm_destroy(&x);
	return check_finish();
}
