/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * xen: a VM of Xen PV by its ioctls alone: what user space may get wrong, and a guest of thirty instructions
 * that reads a frame number, tells its host, is told, and ends.
 */
#define _GNU_SOURCE
#include "xen_vm.h"

#include <asm/ldt.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/klog.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SYSLOG_ACTION_READ_ALL 3
#define MANY		300
#define DATA		0x2000ull	/* the port; the reason of the end; what M2P says */

static const uint8_t code[] = {
	0x48, 0xa1, 0x28, 0, 0, 0, 0, 0x80, 0xff, 0xff,		/* rax = M2P[5] */
	0x48, 0xa3, 0x10, 0x20, 0, 0, 0, 0, 0, 0,		/* DATA + 16 = rax */
	0xbf, 4, 0, 0, 0, 0xbe, 0x00, 0x20, 0, 0,		/* edi = SEND, esi = DATA */
	0xb8, 32, 0, 0, 0, 0x0f, 0x05,				/* event_channel_op */
	0x48, 0xa3, 0x18, 0x20, 0, 0, 0, 0, 0, 0,		/* DATA + 24 = rax */
	0xbf, 3, 0, 0, 0, 0x31, 0xf6,				/* edi = IS_UP, esi = 0 */
	0xb8, 24, 0, 0, 0, 0x0f, 0x05,				/* vcpu_op */
	0x48, 0xa3, 0x20, 0x20, 0, 0, 0, 0, 0, 0,		/* DATA + 32 = rax */
	0xbf, 2, 0, 0, 0, 0xbe, 0x08, 0x20, 0, 0,		/* edi = SHUTDOWN, esi = DATA + 8 */
	0xb8, 29, 0, 0, 0, 0x0f, 0x05,				/* sched_op */
	0x0f, 0x0b,
};

static int tries(int fd, unsigned long request, void *arg)
{
	return ioctl(fd, request, arg) < 0 ? errno : 0;
}

/* ------------------------------------------------------------------------
 * What is refused.
 */

static void set_refused(int vm, struct pvm_kvm_set_xen set, const char *what)
{
	check(tries(vm, KVM_MEMORY_ENCRYPT_OP, &set) == EINVAL, "%s", what);
}

/* The first vCPU does not come. */
static void vcpu_refused(struct pvm_kvm_set_xen set, const char *what)
{
	struct xen_vm x;

	xen_vm_create(&x);
	if (set.op)
		ASK(x.vm, KVM_MEMORY_ENCRYPT_OP, &set);
	check(ioctl(x.vm, KVM_CREATE_VCPU, 0) < 0 && errno == EINVAL, "%s", what);
	xen_vm_destroy(&x);
}

static void refusals(void)
{
	struct pvm_kvm_set_xen set = xen_vm_sane(1);
	struct pvm_kvm_xen_port port = { .op = PVM_KVM_XEN_PORT, .fd = -1 };
	struct xen_vm x;

	xen_vm_create(&x);
	set.vcpus = 0;
	set_refused(x.vm, set, "no vCPUs");
	set.vcpus = PVM_XEN_VCPUS_MAX + 1;
	set_refused(x.vm, set, "too many vCPUs");
	set = xen_vm_sane(1);
	set.reserved = 1;
	set_refused(x.vm, set, "a reserved field that is not 0");
	set = xen_vm_sane(1);
	set.grant_frames = PVM_XEN_GRANT_FRAMES_MAX + 1;
	set_refused(x.vm, set, "too many grant frames");
	set = xen_vm_sane(1);
	set.pages = 0;
	set_refused(x.vm, set, "no memory");
	check(tries(x.vm, KVM_MEMORY_ENCRYPT_OP, &port) == EBADF, "a port without a file");
	port.fd = x.kvm;
	check(tries(x.vm, KVM_MEMORY_ENCRYPT_OP, &port) == EINVAL, "a port with a file that is no eventfd");
	xen_vm_destroy(&x);

	vcpu_refused((struct pvm_kvm_set_xen){ 0 }, "a vCPU before PVM_KVM_SET_XEN");
	set = xen_vm_sane(1);
	set.shared_info = XEN_VM_PAGES - 1;
	vcpu_refused(set, "a shared_info within the guest's own pages");
	set = xen_vm_sane(1);
	set.shared_info = XEN_VM_MEMORY / XEN_VM_PAGE;
	vcpu_refused(set, "a shared_info where no memory is");
	set = xen_vm_sane(1);
	set.pages = 1ull << 50;
	vcpu_refused(set, "more memory than any host has");
	set = xen_vm_sane(1);
	set.grants = XEN_VM_MEMORY / XEN_VM_PAGE - 2;
	vcpu_refused(set, "grants that reach beyond memory");
}

/* The calls for it, on a VM that is none of Xen PV. */
static void other_vm(void)
{
	struct pvm_kvm_xen_notify notify = { .op = PVM_KVM_XEN_NOTIFY, .port = 1 };
	struct pvm_kvm_xen_port port = { .op = PVM_KVM_XEN_PORT, .fd = eventfd(0, 0) };
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC), vm = ASK(kvm, KVM_CREATE_VM, 0);
	int vcpu = ASK(vm, KVM_CREATE_VCPU, 0);

	check(tries(vm, KVM_MEMORY_ENCRYPT_OP, &port) == EINVAL, "a port of a PVM guest");
	check(tries(vm, KVM_MEMORY_ENCRYPT_OP, &notify) == EINVAL, "a notification to a PVM guest");
	close(port.fd);
	close(vcpu);
	close(vm);
	close(kvm);
}

/* ------------------------------------------------------------------------
 * A guest.
 */

static bool told(int fd, uint64_t count)
{
	uint64_t value = 0;

	return read(fd, &value, sizeof(value)) == sizeof(value) && value == count;
}

/* Does the kernel's log have it? */
static bool log_has(const char *words)
{
	static char text[1 << 18];
	int length = klogctl(SYSLOG_ACTION_READ_ALL, text, sizeof(text) - 1);

	return length > 0 && strstr(text, words);
}

/* What is to be known of an end that was none. */
static const char *ended(const struct xen_vm *x, int error)
{
	static char text[160];
	const struct kvm_run *run = x->run[0];
	const struct pvm_kvm_shutdown *shutdown = (const void *)&run->internal;
	struct kvm_regs regs = { .rip = 0 };

	if (!error && run->exit_reason == KVM_EXIT_SYSTEM_EVENT)
		return "";
	ioctl(x->vcpu[0], KVM_GET_REGS, &regs);
	snprintf(text, sizeof(text), ": errno %d, exit %u, reason %u, vector %u, %#llx, RIP %#llx, RAX %#llx",
		 error, run->exit_reason, shutdown->reason, shutdown->vector,
		 (unsigned long long)shutdown->address, regs.rip, regs.rax);
	return text;
}

static void guest(void)
{
	struct pvm_kvm_set_xen set = xen_vm_sane(2);
	struct pvm_kvm_xen_port port = { .op = PVM_KVM_XEN_PORT, .fd = eventfd(0, EFD_NONBLOCK) };
	struct pvm_kvm_xen_notify notify = { .op = PVM_KVM_XEN_NOTIFY };
	const struct pvm_xen_shared_info *shared;
	uint64_t *data;
	struct xen_vm x;
	unsigned i;
	int error;

	xen_vm_create(&x);
	ASK(x.vm, KVM_MEMORY_ENCRYPT_OP, &set);
	check(tries(x.vm, KVM_MEMORY_ENCRYPT_OP, &port) == EINVAL, "a port before the first vCPU");
	xen_vm_load(&x, code, sizeof(code));
	xen_vm_add_vcpu(&x, 0);
	data = (uint64_t *)(x.memory + DATA);
	shared = (const void *)(x.memory + XEN_VM_SHARED * XEN_VM_PAGE);
	check(tries(x.vm, KVM_MEMORY_ENCRYPT_OP, &set) == EBUSY, "PVM_KVM_SET_XEN when there is a vCPU");
	check(ioctl(x.vm, KVM_CREATE_VCPU, 2) < 0 && errno == EINVAL && log_has("no vCPU 2: "),
	      "a vCPU that the guest is not told of, and the log says so");
	check(ioctl(x.vm, KVM_CREATE_VCPU, 0) < 0 && errno == EEXIST, "a second vCPU 0");
	notify.port = (uint32_t)ASK(x.vm, KVM_MEMORY_ENCRYPT_OP, &port);
	check(notify.port > 0, "a port");
	port.port = notify.port;
	check(tries(x.vm, KVM_MEMORY_ENCRYPT_OP, &port) == EINVAL, "a port that the guest has not allocated");
	port.port = 0;
	for (i = 0; i < MANY && ioctl(x.vm, KVM_MEMORY_ENCRYPT_OP, &port) > 0; i++)
		;
	check(i == MANY, "one eventfd has more ports than there can be eventfds");
	check(tries(x.vm, KVM_MEMORY_ENCRYPT_OP, &notify) == EAGAIN, "a notification before any vCPU has run");
	check(tries(x.vcpu[0], KVM_RUN, NULL) == EINVAL, "KVM_RUN before all vCPUs are there");
	xen_vm_add_vcpu(&x, 1);
	data[0] = notify.port;
	data[1] = PVM_XEN_SHUTDOWN_REBOOT;
	data[3] = 1;
	error = tries(x.vcpu[0], KVM_RUN, NULL);
	check(error == 0 && x.run[0]->exit_reason == KVM_EXIT_SYSTEM_EVENT &&
	      x.run[0]->system_event.data[0] == PVM_XEN_SHUTDOWN_REBOOT,
	      "the guest runs, and ends%s", ended(&x, error));
	check(data[2] == 5, "it has read the number of frame 5");
	check(data[4] == 1, "it is up, by its own question");
	check(data[3] == 0 && told(port.fd, 1), "and has told its host once");
	check(tries(x.vm, KVM_MEMORY_ENCRYPT_OP, &notify) == 0 &&
	      (shared->pending[notify.port / 64] >> notify.port % 64 & 1), "the host tells it");
	check(shared->vcpu_info[0].pending == 1 && shared->vcpu_info[0].time.tsc_to_system_mul,
	      "and it has a vcpu_info with the time");
	notify.port = 1000;
	check(tries(x.vm, KVM_MEMORY_ENCRYPT_OP, &notify) == EINVAL, "a port that there is not");
	close(port.fd);
	xen_vm_destroy(&x);
}

/* ------------------------------------------------------------------------
 * M10: the slot of the shared_info goes.
 */

#define GONE	0x400000ull		/* its gpa */

static const uint8_t lost_code[] = {
	0xbf, 10, 0, 0, 0, 0x31, 0xf6, 0xba, 0x40, 0x20, 0, 0,	/* REGISTER_VCPU_INFO, 0, DATA + 64 */
	0xb8, 24, 0, 0, 0, 0x0f, 0x05,				/* vcpu_op */
	0xbf, 7, 0, 0, 0, 0xbe, 0x60, 0x20, 0, 0,		/* BIND_IPI, DATA + 96 */
	0xb8, 32, 0, 0, 0, 0x0f, 0x05,				/* event_channel_op */
	0xbf, 2, 0, 0, 0, 0xbe, 0x08, 0x20, 0, 0,		/* SHUTDOWN, DATA + 8 */
	0xb8, 29, 0, 0, 0, 0x0f, 0x05,				/* sched_op */
	0xbf, 4, 0, 0, 0, 0xbe, 0x64, 0x20, 0, 0,		/* SEND, DATA + 100; */
	0xb8, 32, 0, 0, 0, 0x0f, 0x05,
	0x48, 0xff, 0x04, 0x25, 0x20, 0x20, 0, 0,		/* DATA + 32 counts */
	0xeb, 0xe5,						/* again */
};

static int set_slot(const struct xen_vm *x, uint8_t *at, uint64_t size)
{
	struct kvm_userspace_memory_region slot = {
		.slot = 1, .guest_phys_addr = GONE, .memory_size = size, .userspace_addr = (uintptr_t)at,
	};

	return tries(x->vm, KVM_SET_USER_MEMORY_REGION, &slot);
}

static bool is_zero(const uint8_t *page)
{
	unsigned i;

	for (i = 0; i < XEN_VM_PAGE; i++)
		if (page[i])
			return false;
	return true;
}

static void shared_info_goes(void)
{
	struct pvm_kvm_set_xen set = xen_vm_sane(1);
	uint8_t *page = mmap(NULL, XEN_VM_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	volatile uint64_t *data;
	struct xen_vm x;
	unsigned i;

	xen_vm_create(&x);
	set.shared_info = GONE / XEN_VM_PAGE;
	set_slot(&x, page, XEN_VM_PAGE);
	ASK(x.vm, KVM_MEMORY_ENCRYPT_OP, &set);
	xen_vm_load(&x, lost_code, sizeof(lost_code));
	xen_vm_add_vcpu(&x, 0);
	data = (uint64_t *)(x.memory + DATA);
	data[1] = PVM_XEN_SHUTDOWN_REBOOT;
	data[8] = 3;			/* the frame of its vcpu_info */
	check(tries(x.vcpu[0], KVM_RUN, NULL) == 0 && x.run[0]->exit_reason == KVM_EXIT_SYSTEM_EVENT,
	      "a guest with its vcpu_info elsewhere");
	check(!set_slot(&x, page, 0), "the slot of its shared_info goes");
	memset(page, 0, XEN_VM_PAGE);
	for (i = 0; i < 2; i++)
		check(tries(x.vcpu[0], KVM_RUN, NULL) == 0 &&
		      x.run[0]->exit_reason == KVM_EXIT_INTERNAL_ERROR, "KVM_RUN fails");
	check(is_zero(page), "M10: nothing is written there");
	check(data[4] == 0, "and the guest does not run");
	xen_vm_destroy(&x);
	munmap(page, XEN_VM_PAGE);
}

/* 64-bit mode only: before it there is nobody who would run it. */
static void real_mode(void)
{
	struct pvm_kvm_set_xen set = xen_vm_sane(1);
	struct kvm_sregs sregs;
	struct xen_vm x;

	xen_vm_create(&x);
	ASK(x.vm, KVM_MEMORY_ENCRYPT_OP, &set);
	xen_vm_load(&x, code, sizeof(code));
	xen_vm_add_vcpu(&x, 0);
	ASK(x.vcpu[0], KVM_GET_SREGS, &sregs);
	sregs.cr0 = 0x10;
	sregs.efer = 0;
	sregs.cs.l = 0;
	ASK(x.vcpu[0], KVM_SET_SREGS, &sregs);
	check(tries(x.vcpu[0], KVM_RUN, NULL) == 0 && x.run[0]->exit_reason == KVM_EXIT_INTERNAL_ERROR,
	      "a vCPU in real mode");
	xen_vm_destroy(&x);
}

/* ------------------------------------------------------------------------
 * S6: a guest with an LDT, in a program with an LDT of its own that another thread changes meanwhile: Linux
 * loads that on every CPU that runs the program. The guest looks at ES and through FS, again and again.
 */

#define LDT_REQUEST	0x5000ull
#define LDT_TABLE	0x6000ull
#define LDT_WORD	0x4000ull
#define LDT_TURNS	0x7000ull	/* and what ends it */
#define LDT_DATA	(0x00cff3000000ffffull | LDT_WORD << 16)
#define LDT_ROUNDS	3000u

extern const char xen_ldt[], xen_ldt_end[];

__asm__(".pushsection .rodata\n"
	"xen_ldt:\n"
	"	movl	$0x5000, %edi\n"
	"	movl	$1, %esi\n"
	"	xorl	%edx, %edx\n"
	"	movl	$0x7ff0, %r10d\n"
	"	movl	$26, %eax\n"		/* mmuext_op */
	"	syscall\n"
	"	movl	$7, %ebx\n"
	"	movl	%ebx, %es\n"
	"	movl	%ebx, %fs\n"
	"1:	movl	%es, %eax\n"
	"	cmpl	$7, %eax\n"
	"	jne	2f\n"
	"	movl	%fs:0, %eax\n"
	"	cmpl	$0x1d7, %eax\n"
	"	jne	2f\n"
	"	incl	0x7000\n"
	"	cmpl	$0, 0x7004\n"
	"	je	1b\n"
	"2:	movl	%eax, 0x7008\n"
	"	movl	$2, %edi\n"
	"	movl	$0x7010, %esi\n"
	"	movl	$29, %eax\n"		/* sched_op: it ends */
	"	syscall\n"
	"	ud2\n"
	"xen_ldt_end:\n"
	".popsection\n");

static void change_ldt(unsigned round)
{
	struct user_desc entry = { .entry_number = round % 2 ? round % 700 : 0, .limit = 0xfff,
				   .seg_32bit = 1 };

	if (syscall(SYS_modify_ldt, 1, &entry, sizeof(entry)))
		machine_die("modify_ldt");
}

/* Its own ES is of the program's LDT, before and after. */
static void *run_with_ldt(void *of)
{
	const struct xen_vm *x = of;
	uintptr_t es = 7;

	__asm__ volatile("mov %k0, %%es" : : "r"(es));
	while (ioctl(x->vcpu[0], KVM_RUN, 0) == 0 && x->run[0]->exit_reason != KVM_EXIT_SYSTEM_EVENT)
		;
	__asm__ volatile("mov %%es, %k0" : "=r"(es));
	__asm__ volatile("mov %k0, %%es" : : "r"(0));
	return (void *)es;
}

static void ldts_of_both(void)
{
	struct pvm_kvm_set_xen set = xen_vm_sane(1);
	volatile uint32_t *turns;
	pthread_t thread;
	struct xen_vm x;
	unsigned round;
	void *es;

	xen_vm_create(&x);
	ASK(x.vm, KVM_MEMORY_ENCRYPT_OP, &set);
	xen_vm_load(&x, (const uint8_t *)xen_ldt, (size_t)(xen_ldt_end - xen_ldt));
	*(struct pvm_xen_mmuext_op *)(x.memory + LDT_REQUEST) = (struct pvm_xen_mmuext_op){
		.cmd = PVM_XEN_SET_LDT, .arg1 = LDT_TABLE, .arg2 = 1 };
	*(uint64_t *)(x.memory + LDT_TABLE) = LDT_DATA;
	*(uint32_t *)(x.memory + LDT_WORD) = 0x1d7;
	turns = (uint32_t *)(x.memory + LDT_TURNS);
	xen_vm_add_vcpu(&x, 0);
	change_ldt(0);
	pthread_create(&thread, NULL, run_with_ldt, &x);
	for (round = 0; round < LDT_ROUNDS || !turns[0]; round++)
		change_ldt(round);
	turns[1] = 1;
	pthread_join(thread, &es);
	check(turns[2] == 0x1d7, "S6: a guest's LDT is its own: %u turns, then %#x", turns[0], turns[2]);
	check((uintptr_t)es == 7, "S6: and its host's thread has its own again: ES is %#lx", (uintptr_t)es);
	xen_vm_destroy(&x);
}

/* ------------------------------------------------------------------------
 * What a guest learns of others.
 */

#define FAR_FRAME	600

static const uint8_t far_code[] = {
	0x48, 0xa1, 0xc0, 0x12, 0, 0, 0, 0x80, 0xff, 0xff,	/* rax = M2P[FAR_FRAME] */
	0x48, 0xa3, 0x10, 0x20, 0, 0, 0, 0, 0, 0,		/* DATA + 16 = rax */
	0xbf, 2, 0, 0, 0, 0xbe, 0x08, 0x20, 0, 0,		/* SHUTDOWN, DATA + 8 */
	0xb8, 29, 0, 0, 0, 0x0f, 0x05,				/* sched_op */
};

/* Runs to its end. What it has read; 0: nothing. */
static uint64_t far_number(struct xen_vm *x, struct pvm_kvm_set_xen set)
{
	ASK(x->vm, KVM_MEMORY_ENCRYPT_OP, &set);
	xen_vm_load(x, far_code, sizeof(far_code));
	xen_vm_add_vcpu(x, 0);
	ioctl(x->vcpu[0], KVM_RUN, NULL);
	return *(uint64_t *)(x->memory + DATA + 16);
}

static void frames_of_others(void)
{
	uint8_t *pages = mmap(NULL, 2 * XEN_VM_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			      -1, 0);
	struct pvm_kvm_set_xen large = xen_vm_sane(1);
	struct xen_vm x, y;

	xen_vm_create(&x);
	set_slot(&x, pages, 2 * XEN_VM_PAGE);	/* its last, and the shared_info */
	large.pages = large.shared_info = GONE / XEN_VM_PAGE + 1;
	large.grant_frames = 0;
	check(far_number(&x, large) == FAR_FRAME, "a guest of 4 MiB reads the number of its frame 600");
	xen_vm_create(&y);
	check(far_number(&y, xen_vm_sane(1)) == 0 && y.run[0]->exit_reason != KVM_EXIT_SYSTEM_EVENT,
	      "M2: one of 2 MiB beside it does not");
	xen_vm_destroy(&y);
	xen_vm_destroy(&x);
	munmap(pages, 2 * XEN_VM_PAGE);
}

int main(void)
{
	refusals();
	other_vm();
	guest();
	frames_of_others();
	shared_info_goes();
	real_mode();
	ldts_of_both();
	return check_finish();
}
