/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * fuzz SERVANT.elf SEED CALLS: ioctls with random state, on VMs that come and go, some with vCPUs
 * that run, and of half of them one all the while, in a thread of its own. Whatever they answer, the host
 * must not complain, and a guest must still run at the end.
 */
#define _GNU_SOURCE
#include "boot.h"
#include "client.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <pvm/abi.h>
#include <pvm/kvm.h>
#include <pvm/xen_state.h>

#define MEMORY		(4ull << 20)
#define VCPUS		3
#define RUNNER		0	/* the vCPU of the other thread */
#define RUNNER_IDLE	500	/* signals without an order of the servant's, before it starts anew */
#define SPREAD		256
#define IMAGE		(18ull << 20)	/* the servant ends before */
#define LIFE		400u	/* calls that a VM lives for, at most */

static uint64_t state;
static struct machine m;
static const char *servant;
static bool works;	/* the servant, in a thread of its own, has had an order */

static uint64_t random64(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static bool one_in(unsigned n)
{
	return random64() % n == 0;
}

/* Mostly values that mean something. */
static uint64_t value(void)
{
	static const uint64_t known[] = {
		0, 1, 2, 0xfff, 0x1000, 0x100000, 0x7fffffffffff, 0x800000000000, 0xffff800000000000,
		0xffffffff80000000, 0xfffffffffffff000, ~0ull, 0x80050033, 0xd01, 0xfee00000,
		0x10, 0x18, 0x23, 0x2b, 0x33,
	};

	switch (random64() % 4) {
	case 0:
		return known[random64() % (sizeof(known) / sizeof(known[0]))];
	case 1:
		return 1ull << random64() % 64;
	case 2:
		return random64() % MEMORY & ~(uint64_t)7;
	default:
		return random64();
	}
}

/* Some 8-byte words, or bytes, of @at become others. */
static void change(void *at, size_t size, unsigned times)
{
	while (times--) {
		uint64_t v = value();

		if (one_in(2) && size >= 8)
			memcpy((uint8_t *)at + random64() % (size / 8) * 8, &v, 8);
		else
			((uint8_t *)at)[random64() % size] = (uint8_t)v;
	}
}

static unsigned some(void)
{
	return (unsigned)(random64() % 4);
}

/* ------------------------------------------------------------------------
 * Calls. What an ioctl says is not looked at.
 */

#define CHANGED(type, get, set) do { \
		type data; \
		memset(&data, 0, sizeof(data)); \
		ioctl(fd, get, &data); \
		change(&data, sizeof(data), some()); \
		ioctl(fd, set, &data); \
	} while (0)

static void set_msrs(int fd)
{
	static const uint32_t known[] = {
		0x10, 0x1b, 0x174, 0x175, 0x176, 0x1d9, 0x277, 0x6e0, 0x830, 0x838,
		0xc0000080, 0xc0000081, 0xc0000082, 0xc0000083, 0xc0000084,
		0xc0000100, 0xc0000101,
		0xc0000102, 0xc0000103, 0x4b564d00, 0x4b564d01, 0x4b564d02, 0x4b564d03, 0x4b564d04,
		PVM_KVM_MSR_ABIS, PVM_KVM_MSR_TLS0, PVM_KVM_MSR_TLS0 + 2, PVM_KVM_MSR_VCPU, PVM_KVM_MSR_EVENT,
	};
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry[4];
	} msrs = { .head.nmsrs = 4 };
	unsigned i;

	for (i = 0; i < 4; i++) {
		msrs.entry[i].index = one_in(2) ? MSR_PVM_LINEAR_ADDRESS_RANGE + (uint32_t)(random64() % 24) :
			known[random64() % (sizeof(known) / sizeof(known[0]))];
		msrs.entry[i].data = value();
	}
	ioctl(fd, KVM_SET_MSRS, &msrs);
	ioctl(fd, KVM_GET_MSRS, &msrs);
}

static void set_cpuid(int fd)
{
	struct {
		struct kvm_cpuid2 head;
		struct kvm_cpuid_entry2 entry[256];
	} cpuid = { .head.nent = 256 };

	if (ioctl(m.kvm, KVM_GET_SUPPORTED_CPUID, &cpuid) < 0)
		return;
	change(cpuid.entry, cpuid.head.nent * sizeof(cpuid.entry[0]), some());
	if (one_in(4))
		cpuid.head.nent = (uint32_t)(random64() % 256);
	ioctl(fd, KVM_SET_CPUID2, &cpuid);
}

static void run(unsigned vcpu)
{
	static const struct itimerval again = { { 0, 1000 }, { 0, 1000 } }, never;
	unsigned i;

	m.run[vcpu]->immediate_exit = one_in(8);
	m.run[vcpu]->request_interrupt_window = one_in(8);
	change(m.run[vcpu], offsetof(struct kvm_run, mmio), one_in(8));
	/* Again and again: a signal before KVM_RUN interrupts nothing. */
	setitimer(ITIMER_REAL, &again, NULL);
	for (i = 0; i < 8; i++)
		if (ioctl(m.vcpu[vcpu], KVM_RUN, 0) < 0)
			break;
	setitimer(ITIMER_REAL, &never, NULL);
}

static void slot(void)
{
	struct kvm_userspace_memory_region region = {
		.slot = (uint32_t)(random64() % 4), .guest_phys_addr = value() & ~0xfffull,
		.memory_size = one_in(3) ? 0 : random64() % MEMORY & ~0xfffull,
		.userspace_addr = one_in(8) ? value() : (uintptr_t)m.memory,
		.flags = (uint32_t)(random64() % 4),
	};

	ioctl(m.vm, KVM_SET_USER_MEMORY_REGION, &region);
	if (one_in(4)) {
		static uint64_t bits[MEMORY >> 15];
		struct kvm_dirty_log log = { .slot = region.slot, .dirty_bitmap = bits };

		ioctl(m.vm, KVM_GET_DIRTY_LOG, &log);
	}
}

static void irq(int fd)
{
	struct kvm_irq_level level = { .irq = (uint32_t)(random64() % 24), .level = random64() % 2 };
	struct kvm_msi msi = {
		.address_lo = 0xfee00000u | (uint32_t)(random64() & 0xff000), .data = (uint32_t)random64(),
	};

	ioctl(m.vm, KVM_IRQ_LINE, &level);
	ioctl(m.vm, KVM_SIGNAL_MSI, &msi);
	ioctl(fd, KVM_NMI, 0);
}

static void debug(int fd)
{
	struct kvm_guest_debug debug = { .control = (uint32_t)(random64() & 0x3000f) };

	change(&debug.arch, sizeof(debug.arch), some());
	ioctl(fd, KVM_SET_GUEST_DEBUG, &debug);
}

static void translate(int fd)
{
	struct kvm_translation t = { .linear_address = value() };

	ioctl(fd, KVM_TRANSLATE, &t);
}

static uint64_t state_size(uint32_t what)
{
	switch (what) {
	case PVM_KVM_XEN_STATE_VM:
		return sizeof(struct pvm_xen_vm_state);
	case PVM_KVM_XEN_STATE_VCPU:
		return sizeof(struct pvm_xen_vcpu_state);
	default:
		return random64() % (PVM_KVM_XEN_TABLES_MAX + 16) & ~7ull;
	}
}

/* The private channel of a VM: <pvm/kvm.h>. */
static void private_call(int vm, uint32_t op)
{
	union {
		uint32_t op;
		struct pvm_kvm_set_abi abi;
		struct pvm_kvm_set_xen xen;
		struct pvm_kvm_xen_port port;
		struct pvm_kvm_xen_notify notify;
		struct pvm_kvm_xen_state state;
	} call;
	uint8_t *data = m.memory + MEMORY / 2;	/* a saved state comes back */
	int event = eventfd(0, 0);

	memset(&call, 0, sizeof(call));
	call.op = op;
	switch (call.op) {
	case PVM_KVM_SET_ABI:
		call.abi.abi = one_in(2) ? PVM_ABI_XEN_PV : (uint32_t)(random64() % 5);
		break;
	case PVM_KVM_SET_XEN:
		call.xen.vcpus = 1 + (uint32_t)(random64() % VCPUS);
		call.xen.pages = (MEMORY >> 12) - 8;
		call.xen.shared_info = call.xen.pages;
		call.xen.grants = call.xen.pages + 1;
		call.xen.grant_frames = (uint32_t)(random64() % 8);
		break;
	case PVM_KVM_XEN_PORT:
		call.port.fd = one_in(4) ? m.kvm : event;
		call.port.port = (uint32_t)(random64() % 3);
		call.port.vcpu = (uint32_t)(random64() % VCPUS);
		break;
	case PVM_KVM_XEN_NOTIFY:
		call.notify.port = (uint32_t)(random64() % 8);
		break;
	case PVM_KVM_XEN_SAVE:
	case PVM_KVM_XEN_RESTORE:
		call.state.what = (uint32_t)(random64() % 4);
		call.state.index = random64() % VCPUS;
		if (call.state.what == PVM_KVM_XEN_STATE_TABLES)
			call.state.index *= 64;
		call.state.data = (uintptr_t)data;
		call.state.size = state_size(call.state.what);
		if (one_in(2))
			change(data, call.state.size + 8, 1);
		break;
	}
	if (one_in(4))
		change((uint8_t *)&call + sizeof(call.op), sizeof(call) - sizeof(call.op), 1);
	ioctl(vm, KVM_MEMORY_ENCRYPT_OP, one_in(16) ? (void *)8 : &call);
	close(event);
}

static uint32_t private_op(void)
{
	return one_in(8) ? (uint32_t)value() : PVM_KVM_SET_ABI + (uint32_t)(random64() % 7);
}

/* A VM with vCPUs refuses most; so one that has none at first, and no memory at times. Half are of Xen. */
static void private_machine(void)
{
	struct kvm_userspace_memory_region region = {
		.slot = 0, .memory_size = MEMORY, .userspace_addr = (uintptr_t)m.memory,
	};
	int vm = ioctl(m.kvm, KVM_CREATE_VM, 0), vcpu = -1;
	unsigned times;

	if (vm < 0)
		return;
	if (!one_in(4))
		ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region);
	if (one_in(2)) {
		private_call(vm, PVM_KVM_SET_ABI);
		private_call(vm, PVM_KVM_SET_XEN);
	}
	for (times = 12; times; times--) {
		private_call(vm, private_op());
		if (vcpu < 0 && one_in(4))
			vcpu = ioctl(vm, KVM_CREATE_VCPU, random64() % VCPUS);
	}
	if (vcpu >= 0)
		close(vcpu);
	close(vm);
}

/* Of a VM, or of a vCPU. */
static void enable_cap(int fd)
{
	static const uint32_t known[] = {
		KVM_CAP_DISABLE_QUIRKS, KVM_CAP_DISABLE_QUIRKS2, KVM_CAP_EXCEPTION_PAYLOAD,
		KVM_CAP_X86_USER_SPACE_MSR, KVM_CAP_X86_DISABLE_EXITS, KVM_CAP_X2APIC_API,
		KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, KVM_CAP_DIRTY_LOG_RING, KVM_CAP_SPLIT_IRQCHIP,
		KVM_CAP_MSR_PLATFORM_INFO, KVM_CAP_EXIT_HYPERCALL, KVM_CAP_EXIT_ON_EMULATION_FAILURE,
		KVM_CAP_X86_TRIPLE_FAULT_EVENT, KVM_CAP_X86_BUS_LOCK_EXIT, KVM_CAP_X86_NOTIFY_VMEXIT,
		KVM_CAP_HALT_POLL, KVM_CAP_PMU_CAPABILITY, KVM_CAP_HYPERV_SYNIC, KVM_CAP_HYPERV_SYNIC2,
		KVM_CAP_HYPERV_ENLIGHTENED_VMCS, KVM_CAP_HYPERV_DIRECT_TLBFLUSH,
		KVM_CAP_HYPERV_ENFORCE_CPUID, KVM_CAP_ENFORCE_PV_FEATURE_CPUID,
	};
	struct kvm_enable_cap cap = {
		.cap = one_in(8) ? (uint32_t)(random64() % 256) :
			known[random64() % (sizeof(known) / sizeof(known[0]))],
		.args = { one_in(2) ? random64() & 0x3f : value() },
	};

	if (one_in(4))
		change(&cap, sizeof(cap), 1);
	ioctl(one_in(3) ? fd : m.vm, KVM_ENABLE_CAP, &cap);
}

static void msr_filter(void)
{
	static uint8_t bits[0x600];
	struct kvm_msr_filter filter = { .flags = (uint32_t)(random64() % 2) };
	unsigned i, count = (unsigned)(random64() % (KVM_MSR_FILTER_MAX_RANGES + 1));

	change(bits, sizeof(bits), 16);
	for (i = 0; i < count; i++)
		filter.ranges[i] = (struct kvm_msr_filter_range){
			.flags = 1 + (uint32_t)(random64() % 3), .nmsrs = (uint32_t)(random64() % 64),
			.base = one_in(2) ? MSR_PVM_LINEAR_ADDRESS_RANGE & ~0xfu : (uint32_t)value(),
			.bitmap = one_in(16) ? (uint8_t *)8 : bits,
		};
	if (one_in(4))
		change(&filter, sizeof(filter), 1);
	ioctl(m.vm, KVM_X86_SET_MSR_FILTER, &filter);
}

static void set_clock(int fd)
{
	struct kvm_clock_data data;

	memset(&data, 0, sizeof(data));
	ioctl(m.vm, KVM_GET_CLOCK, &data);
	change(&data, sizeof(data), some());
	ioctl(m.vm, KVM_SET_CLOCK, &data);
	ioctl(fd, KVM_SET_TSC_KHZ, one_in(2) ? (uint64_t)ioctl(fd, KVM_GET_TSC_KHZ, 0) : value());
}

/* Seldom one that works: after most calls it does so no more. */
static unsigned some_vcpu(void)
{
	unsigned vcpu = (unsigned)(random64() % VCPUS);
	bool is_spared = !one_in(16);	/* drawn whether or not it works: that is a matter of time */

	return vcpu == RUNNER && is_spared && __atomic_load_n(&works, __ATOMIC_RELAXED) ? RUNNER + 1 : vcpu;
}

/* Of a vCPU: what is got is set again, changed. */
static void state_call(int fd)
{
	struct kvm_mp_state mp = { .mp_state = (uint32_t)(random64() % 12) };

	switch (random64() % 13) {
	case 0:
		CHANGED(struct kvm_regs, KVM_GET_REGS, KVM_SET_REGS);
		break;
	case 1:
	case 2:
		CHANGED(struct kvm_sregs, KVM_GET_SREGS, KVM_SET_SREGS);
		break;
	case 3:
		CHANGED(struct kvm_vcpu_events, KVM_GET_VCPU_EVENTS, KVM_SET_VCPU_EVENTS);
		break;
	case 4:
		CHANGED(struct kvm_debugregs, KVM_GET_DEBUGREGS, KVM_SET_DEBUGREGS);
		break;
	case 5:
		CHANGED(struct kvm_xsave, KVM_GET_XSAVE, KVM_SET_XSAVE);
		break;
	case 6:
		CHANGED(struct kvm_xcrs, KVM_GET_XCRS, KVM_SET_XCRS);
		break;
	case 7:
		CHANGED(struct kvm_lapic_state, KVM_GET_LAPIC, KVM_SET_LAPIC);
		break;
	case 8:
		CHANGED(struct kvm_fpu, KVM_GET_FPU, KVM_SET_FPU);
		break;
	case 9:
		ioctl(fd, KVM_SET_MP_STATE, &mp);
		break;
	case 10:
	case 11:
		set_msrs(fd);
		break;
	default:
		set_cpuid(fd);
		break;
	}
}

static void one_call(void)
{
	unsigned vcpu = some_vcpu();
	int fd = m.vcpu[vcpu];

	switch (random64() % 30) {
	case 0:
		slot();
		break;
	case 1:
		irq(fd);
		break;
	case 2:
		debug(fd);
		break;
	case 3:
		translate(fd);
		break;
	case 4:
		private_call(m.vm, private_op());
		break;
	case 5:
		private_machine();
		break;
	case 6:
		enable_cap(fd);
		break;
	case 7:
		msr_filter();
		break;
	case 8:
		set_clock(fd);
		break;
	case 9:
		ioctl(fd, KVM_SMI, 0);
		break;
	case 10:
		change(m.memory, MEMORY, 16);
		break;
	case 11:
		madvise(m.memory + (random64() % MEMORY & ~0xfffull), 16 * PAGE, MADV_DONTNEED);
		break;
	case 12:	/* a state that runs */
		machine_try_registers(&m, vcpu, m.start, 0);
		break;
	case 13:
	case 14:
	case 15:
	case 16:
		run(vcpu);
		break;
	default:
		state_call(fd);
		break;
	}
}

/* ------------------------------------------------------------------------
 * A vCPU that runs meanwhile. It draws no numbers: those are the calls'.
 */

static bool stopping;
static uint8_t image[IMAGE];	/* the guest, as it was loaded */

/* The servant gets an order that has it walk through tables, whatever it was doing. False: it has asked for
 * none. */
static bool gives_order(struct kvm_run *run)
{
	uint8_t *data = (uint8_t *)run + run->io.data_offset;
	struct servant_box *box;
	uint32_t address;

	if (run->exit_reason != KVM_EXIT_IO || run->io.port != SERVANT_PORT)
		return false;
	memcpy(&address, data, sizeof(address));
	if (address > m.memory_size - sizeof(*box))
		return false;
	box = (struct servant_box *)(m.memory + address);
	box->order = ORDER_SPREAD;
	box->gpa = 0x100000;
	box->count = SPREAD;
	return true;
}

/* What is not zero; the rest is. */
static void copy(uint8_t *to, const uint8_t *from)
{
	static const uint8_t zero[PAGE];
	uint64_t i;

	for (i = 0; i < IMAGE && i < m.memory_size; i += PAGE)
		if (memcmp(from + i, zero, PAGE) != 0)
			memcpy(to + i, from + i, PAGE);
}

/* As it was made, whatever the calls have done to its memory and its slot. */
static void make_runnable(void)
{
	struct kvm_mp_state mp = { .mp_state = KVM_MP_STATE_RUNNABLE };

	machine_slot(&m, 0, 0, 0, 0, NULL);
	machine_slot(&m, 0, 0, 0, m.memory_size, m.memory);
	madvise(m.memory, m.memory_size, MADV_DONTNEED);
	copy(m.memory, image);
	ioctl(m.vcpu[RUNNER], KVM_SET_MP_STATE, &mp);
	machine_try_registers(&m, RUNNER, m.start, BOOT_PARAMS);
}

/* A signal every now and then: who wants this vCPU for an ioctl waits for the end of its KVM_RUN. */
static void *runner(void *unused)
{
	static const struct itimerspec again = { { 0, 2000000 }, { 0, 2000000 } };
	struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR1 };
	unsigned idle = RUNNER_IDLE;
	bool has_ended;
	timer_t timer;

	event._sigev_un._tid = gettid();
	if (timer_create(CLOCK_MONOTONIC, &event, &timer) || timer_settime(timer, 0, &again, NULL))
		machine_die("no timer: %s", strerror(errno));
	while (!__atomic_load_n(&stopping, __ATOMIC_RELAXED)) {
		if (idle++ >= RUNNER_IDLE) {
			idle = 0;
			make_runnable();
		}
		has_ended = ioctl(m.vcpu[RUNNER], KVM_RUN, 0) >= 0;
		if (!has_ended && errno == EINTR)
			continue;
		if (has_ended && gives_order(m.run[RUNNER])) {
			idle = 0;
			__atomic_store_n(&works, true, __ATOMIC_RELAXED);
		} else {
			idle += RUNNER_IDLE / 4;	/* it cannot run as it is */
		}
	}
	timer_delete(timer);
	return unused;
}

static pthread_t start_runner(void)
{
	sigset_t alarm, before;
	pthread_t thread;

	sigemptyset(&alarm);
	sigaddset(&alarm, SIGALRM);	/* run()'s */
	pthread_sigmask(SIG_BLOCK, &alarm, &before);
	if (pthread_create(&thread, NULL, runner, NULL))
		machine_die("no thread");
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return thread;
}

/* The servant has started, if it is one. */
static void wait_for_runner(void)
{
	unsigned tries;

	for (tries = 0; tries < 500 && !__atomic_load_n(&works, __ATOMIC_RELAXED); tries++)
		usleep(1000);
}

static void one_machine(unsigned long calls)
{
	bool is_servant = one_in(2), runs = one_in(2);
	pthread_t thread;

	if (is_servant)
		machine_create(&m, servant, 64ull << 20, VCPUS);
	else
		machine_create_bare(&m, (uint32_t)(random64() % 2), MEMORY, VCPUS);
	copy(image, m.memory);
	if (runs)
		thread = start_runner();
	if (runs && is_servant)
		wait_for_runner();
	while (calls--)
		one_call();
	if (runs) {
		__atomic_store_n(&stopping, true, __ATOMIC_RELAXED);
		pthread_join(thread, NULL);
	}
	machine_destroy(&m);
}

static void nothing(int signal)
{
	(void)signal;
}

/* A stream of its own for each machine, not the same one two draws later. */
static void mix(void)
{
	state = (state + 0x9e3779b97f4a7c15ull) * 0xbf58476d1ce4e5b9ull;
	state ^= state >> 27;
	state = state * 0x94d049bb133111ebull | 1;
}

/* A process for each machine: what it leaves open is closed by its end. */
static bool child(unsigned long calls)
{
	int status = 0;
	pid_t pid = fork();

	if (pid < 0)
		machine_die("fork: %s", strerror(errno));
	if (!pid) {
		mix();
		one_machine(calls);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	return status == 0;
}

int main(int argc, char **argv)
{
	static struct client c;
	struct sigaction action = { .sa_handler = nothing };
	unsigned long done = 0, calls;
	bool ended = true;

	if (argc != 4)
		machine_die("usage: fuzz SERVANT.elf SEED CALLS");
	servant = argv[1];
	state = strtoull(argv[2], NULL, 0) * 0x9e3779b97f4a7c15ull | 1;
	fprintf(stderr, "seed %s\n", argv[2]);
	sigaction(SIGALRM, &action, NULL);
	sigaction(SIGUSR1, &action, NULL);
	while (done < strtoul(argv[3], NULL, 0)) {
		calls = 1 + random64() % LIFE;
		ended &= child(calls);
		done += calls;
		random64();
	}
	check(ended, "every machine ends by itself");
	client_create(&c, servant, 1);
	check(client_writes(&c, 0, 8, 1, 1) && host_finds(c.region, 0, 8, 1, 1), "and a guest still runs");
	client_destroy(&c);
	return check_finish();
}
