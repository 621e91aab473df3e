/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * xen_fuzz SEED MACHINES: VMs of Xen PV of a hostile guest and a hostile VMM. Two vCPUs load selectors
 * and make hypercalls from a table that is rewritten all the time; meanwhile random ioctls: event
 * channels, slots, logs, registers, events, vCPUs whose number is taken. Each machine is a process,
 * and half of them are killed. Nothing is expected of them but that the host goes on, and that they
 * came as far as to have LDTs.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <pvm/x86.h>
#include <pvm/xen_state.h>

#include "xen_vm.h"

#define ACTS		300		/* of a machine */
#define ARGUMENTS	0x4000ull	/* two pages that hypercalls read and write */
#define CALLS		0x6000ull	/* 64, but the first: rdi, rsi, rdx, r10, r8, r9, rax, ES and FS */
#define CALL_WORDS	8
#define SEEN		0x3000ull	/* struct seen, in the guest, and which call is next */
#define TABLE		0x9000ull	/* two pages of descriptors */
#define TABLE_ENTRIES	1024
#define SECOND		0x400000ull	/* gpa of slot 1 */
#define SECOND_SIZE	(4 * XEN_VM_PAGE)

extern const uint8_t xen_fuzz_code[], xen_fuzz_code_end[];

/* A selector that is refused: on after the load, by R14, as the stack may be the other vCPU's. */
__asm__(".pushsection .rodata\n"
	"xen_fuzz_code:\n"
	"1:	movl	$0x1000 + traps - xen_fuzz_code, %edi\n"
	"	xorl	%eax, %eax\n"		/* set_trap_table, which the others may have changed */
	"	movl	$0x8000, %esp\n"
	"	syscall\n"
	"2:	movl	$64, %r15d\n"		/* the next call, also after one that was its end */
	"	lock xaddl %r15d, 0x3010\n"
	"	andl	$0xfc0, %r15d\n"
	"	jz	1b\n"
	"	movl	$0x8000, %esp\n"
	"	movl	0x6038(%r15), %ecx\n"
	"	leaq	3f(%rip), %r14\n"
	"	movl	%ecx, %es\n"
	"	movl	%es, %eax\n"
	"	testb	$4, %al\n"
	"	jz	3f\n"
	"	movabsq	$0x5eedf00dca11ab1e, %rax\n"
	"	movq	%rax, 0x3000\n"
	"3:	shrl	$16, %ecx\n"
	"	leaq	4f(%rip), %r14\n"
	"	movl	%ecx, %fs\n"
	"4:	movq	0x6000(%r15), %rdi\n"
	"	movq	0x6008(%r15), %rsi\n"
	"	movq	0x6010(%r15), %rdx\n"
	"	movq	0x6018(%r15), %r10\n"
	"	movq	0x6020(%r15), %r8\n"
	"	movq	0x6028(%r15), %r9\n"
	"	movq	0x6030(%r15), %rax\n"
	"	movl	$0x8000, %esp\n"
	"	syscall\n"
	"	jmp	2b\n"
	"refused:\n"
	"	movabsq	$0x5eedf00ddeadbea7, %rax\n"
	"	movq	%rax, 0x3008\n"
	"	jmp	*%r14\n"
	"traps:\n"				/* struct pvm_xen_trap_info: #NP, #SS, #GP */
	"	.quad	11, 0x1000 + refused - xen_fuzz_code\n"
	"	.quad	12, 0x1000 + refused - xen_fuzz_code\n"
	"	.quad	13, 0x1000 + refused - xen_fuzz_code\n"
	"	.quad	0, 0\n"
	"xen_fuzz_code_end:\n"
	".popsection\n");

/* What no hypercall writes there: ES has taken a selector of an LDT, and a selector was refused. */
#define LOADED		0x5eedf00dca11ab1eull
#define REFUSED		0x5eedf00ddeadbea7ull

struct seen {
	uint64_t loaded, refused;
};

static struct seen *seen;	/* of all machines: after how many acts */
static struct xen_vm x;
static uint8_t *second;
static pthread_t runners[2];
static uint64_t state;

static uint64_t rnd(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static uint64_t pick(const uint64_t *from, size_t count)
{
	return from[rnd() % count];
}

#define PICK(...) pick((const uint64_t[]){ __VA_ARGS__ }, \
		       sizeof((const uint64_t[]){ __VA_ARGS__ }) / sizeof(uint64_t))

/* ------------------------------------------------------------------------
 * The guest.
 */

static uint64_t value(void)
{
	switch (rnd() % 7) {
	case 0:
		return PICK(0, 1, 2, 7, 64, 255, 256, 4095, 4096, 1ull << 31, 1ull << 32, 1ull << 61,
			    1ull << 62, ~0ull, PVM_XEN_DOMID_SELF, 0x7fffffff);
	case 1:
		return PICK(0xffff800000000000, 0xffff878000000000, 0xffff87fffffff000, 0xffff880000000000,
			    0x7ffffffff000, 0x800000000000, ~0xfffull, 0xffffffff80000000) +
		       PICK(0, 8, 0xff8);
	case 2:
		return ARGUMENTS + rnd() % 0x2000;
	case 3:
		return ARGUMENTS + (rnd() % 0x2000 & ~7ull);
	case 4:
		return XEN_VM_TABLES + rnd() % 4 * XEN_VM_PAGE + rnd() % 512 * 8 + rnd() % 4;
	case 5:
		return SECOND + rnd() % 4 * XEN_VM_PAGE + PICK(0, 0xc40, 0xff8);
	}
	return rnd() % 600;
}

static uint64_t argument(void)
{
	return ARGUMENTS + (rnd() % 0x1000 & ~7ull);
}

/* What an LDT may have, and what it may not: gates, 64-bit code, a stack of 16 bits. */
static uint64_t descriptor(void)
{
	uint64_t entry = PICK(0x00cff3000000ffff, 0x00cffb000000ffff, 0x00cff70000000000,
			      0x00cff3ff0000ffff, 0x00affb000000ffff, 0x000ff3000000ffff,
			      0x00cf73000000ffff, 0x00cf93000000ffff, 0x0000ec0000101000,
			      0x0000ee0000101000, 0x0000e9009000ffff, 0x0000e2009000ffff, 0);

	return rnd() % 4 ? entry : entry ^ 1ull << rnd() % 64;
}

static uint16_t selector(void)
{
	switch (rnd() % 4) {
	case 0:
		return (uint16_t)rnd();
	case 1:
		return (uint16_t)PICK(0, 1, 2, 3, 0x18, 0x1b, 0x2b, 0x33, 0x23, 0x63, 0x6b, 0x73,
				      0xe02b, 0xe033, 0xfffc, 0xffff);
	}
	return (uint16_t)(rnd() % TABLE_ENTRIES << 3 | 4 | rnd() % 4);
}

/* Each is done as long as the one before it was. */
static void shape_mmuext(struct pvm_xen_mmuext_op *op)
{
	unsigned i;

	for (i = 0; i < 4; i++, op++) {
		op->cmd = rnd() % 3 ? rnd() % (PVM_XEN_FLUSH_CACHE_GLOBAL + 2) : PVM_XEN_SET_LDT;
		switch (rnd() % 5) {
		case 0:
		case 4:
			op->arg1 = TABLE + rnd() % 2 * XEN_VM_PAGE;
			break;
		case 1:
			op->arg1 = rnd() % 520 * XEN_VM_PAGE;
			break;
		case 2:
			op->arg1 = XEN_VM_TABLES / XEN_VM_PAGE + (rnd() % 2 ? 0 : rnd() % 4);
			break;
		case 3:
			op->arg1 = value();
			break;
		}
		op->arg2 = rnd() % 8 ? rnd() % 8200 : value();
	}
}

/* Something like what the call takes, often enough. */
static void shape(uint64_t *call)
{
	switch (call[6]) {
	case PVM_XEN_MMU_UPDATE:
	case PVM_XEN_MMUEXT_OP:
	case PVM_XEN_MULTICALL:
		call[0] = argument();
		call[1] = rnd() % 3 ? rnd() % 40 :
					  PICK(1ull << 61 | 3, 1ull << 62 | 4, 3ull << 61 | 2, ~0ull);
		call[2] = rnd() % 2 ? 0 : call[2];
		call[3] = rnd() % 8 ? PVM_XEN_DOMID_SELF : call[3];
		if (call[6] == PVM_XEN_MMUEXT_OP && rnd() % 4)
			shape_mmuext((struct pvm_xen_mmuext_op *)(x.memory + call[0]));
		break;
	case PVM_XEN_VCPU_OP:
		call[0] = rnd() % 14;
		call[1] = rnd() % 3;
		call[2] = argument();
		break;
	case PVM_XEN_SCHED_OP:
		call[0] = PICK(PVM_XEN_SCHEDOP_YIELD, PVM_XEN_SCHEDOP_BLOCK, PVM_XEN_SCHEDOP_POLL);
		call[1] = argument();
		break;
	case PVM_XEN_EVENT_CHANNEL_OP:
		call[0] = rnd() % 11;
		call[1] = argument();
		break;
	case PVM_XEN_UPDATE_VA_MAPPING:
		call[0] = rnd() % 512 * XEN_VM_PAGE;
		call[1] = rnd() % 512 * XEN_VM_PAGE | PICK(0x63, 0x61, 0x67, 0x3, 0, 0xe3, 1ull << 63 | 0x63);
		call[2] = rnd() % 3 | (rnd() % 2 ? argument() : 4);
		break;
	}
}

static void make_call(uint64_t *call)
{
	unsigned i;

	call[6] = PICK(0, 1, 2, 3, 5, 8, 9, 10, 12, 13, 14, 15, 17, 20, 21, 23, 24, 25, 26, 29, 30, 32, 33,
		       1, 13, 24, 26, 26, 26, 32);
	for (i = 0; i < 6; i++)
		call[i] = value();
	call[7] = (uint64_t)selector() << 16 | selector();
	if (rnd() % 4)
		shape(call);
}

/* What hypercalls read, and which come. */
static void scramble(void)
{
	uint64_t *words = (uint64_t *)(x.memory + ARGUMENTS), *calls = (uint64_t *)(x.memory + CALLS);
	uint64_t *table = (uint64_t *)(x.memory + TABLE);
	struct pvm_xen_multicall_entry *entry;
	uint64_t call[CALL_WORDS];
	unsigned i;

	for (i = 0; i < 40; i++)
		words[rnd() % 1024] = value();
	for (i = 0; i < 40; i++)
		table[rnd() % TABLE_ENTRIES] = descriptor();
	for (i = 0; i < 4; i++) {
		make_call(call);
		entry = (struct pvm_xen_multicall_entry *)(words + rnd() % 1000);
		entry->op = call[6];
		memcpy(entry->args, call, sizeof(entry->args));
	}
	for (i = 0; i < 64; i++)
		if (rnd() % 2)
			make_call(calls + i * CALL_WORDS);
}

static bool take(uint64_t *word, uint64_t value)
{
	return __atomic_exchange_n(word, 0, __ATOMIC_RELAXED) == value;
}

static void take_seen(void)
{
	struct seen *own = (struct seen *)(x.memory + SEEN);

	seen->loaded += take(&own->loaded, LOADED);
	seen->refused += take(&own->refused, REFUSED);
}

static void begin(unsigned id)
{
	xen_vm_load(&x, xen_fuzz_code, (size_t)(xen_fuzz_code_end - xen_fuzz_code));
	xen_vm_begin(&x, id);
}

static void *run(void *arg)
{
	unsigned id = (unsigned)(uintptr_t)arg;

	for (;;)
		if (!ioctl(x.vcpu[id], KVM_RUN, 0) || errno != EINTR)
			begin(id);
	return NULL;
}

/* ------------------------------------------------------------------------
 * The VMM.
 */

static void nothing(int signal)
{
	(void)signal;
}

static void set_slot(unsigned slot, uint64_t gpa, uint8_t *at, uint64_t size)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot, .guest_phys_addr = gpa, .memory_size = size, .userspace_addr = (uintptr_t)at,
		.flags = rnd() % 4 ? 0 : KVM_MEM_LOG_DIRTY_PAGES,
	};

	ioctl(x.vm, KVM_SET_USER_MEMORY_REGION, &region);
}

static void notify(void)
{
	struct pvm_kvm_xen_notify request = {
		.op = PVM_KVM_XEN_NOTIFY, .port = (uint32_t)(rnd() % 8 ? rnd() % 32 : value()),
	};

	ioctl(x.vm, KVM_MEMORY_ENCRYPT_OP, &request);
}

static void add_port(void)
{
	struct pvm_kvm_xen_port request = {
		.op = PVM_KVM_XEN_PORT, .fd = eventfd(0, EFD_NONBLOCK), .port = rnd() % 3 ? rnd() % 20 : 0,
		.vcpu = rnd() % 3,
	};

	ioctl(x.vm, KVM_MEMORY_ENCRYPT_OP, &request);
	close(request.fd);
}

static void read_log(void)
{
	static uint64_t bits[64];
	struct kvm_dirty_log log = { .slot = rnd() % 2, .dirty_bitmap = bits };

	ioctl(x.vm, KVM_GET_DIRTY_LOG, &log);
}

/* Any of these with a byte or two of its own. */
static void change_vcpu(int fd)
{
	union {
		struct kvm_vcpu_events events;
		struct kvm_regs regs;
		struct kvm_sregs sregs;
		struct kvm_lapic_state lapic;
		uint8_t bytes[1];
	} all;
	static const struct {
		unsigned long get, set;
		size_t size;
	} kinds[] = {
		{ KVM_GET_VCPU_EVENTS, KVM_SET_VCPU_EVENTS, sizeof(all.events) },
		{ KVM_GET_REGS, KVM_SET_REGS, sizeof(all.regs) },
		{ KVM_GET_SREGS, KVM_SET_SREGS, sizeof(all.sregs) },
		{ KVM_GET_LAPIC, KVM_SET_LAPIC, sizeof(all.lapic) },
	};
	unsigned kind = rnd() % (sizeof(kinds) / sizeof(kinds[0])), i;

	if (ioctl(fd, kinds[kind].get, &all))
		return;
	for (i = 0; i < 2; i++)
		all.bytes[rnd() % kinds[kind].size] ^= (uint8_t)(1 << rnd() % 8);
	ioctl(fd, kinds[kind].set, &all);
}

static void set_msr(int fd)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} msrs = { .head.nmsrs = 1 };

	msrs.entry.index = (uint32_t)PICK(0x4b564df0, 0x4b564df1, 0x4b564df2, 0x4b564df4, PVM_KVM_MSR_TLS0,
					  PVM_KVM_MSR_VCPU, PVM_KVM_MSR_EVENT, 0xc0000080, 0xc0000082,
					  0xc0000102, 0x10, 0x1b);
	msrs.entry.data = value();
	ioctl(fd, KVM_SET_MSRS, &msrs);
}

/* What is asked of a vCPU waits for its KVM_RUN to end. */
static void *interrupt(void *arg)
{
	for (;;) {
		usleep(1000);
		pthread_kill(runners[0], SIGUSR1);
		pthread_kill(runners[1], SIGUSR1);
	}
	return arg;
}

/* What a snapshot says, with a few words of its own; before the vCPUs run it may be taken. */
static void change_state(void)
{
	static uint64_t words[(sizeof(struct pvm_xen_vm_state) + sizeof(struct pvm_xen_vcpu_state)) / 8];
	struct pvm_kvm_xen_state request = {
		.op = PVM_KVM_XEN_SAVE, .what = (uint32_t)(rnd() % 3), .data = (uintptr_t)words,
	};
	unsigned i;

	if (request.what == PVM_KVM_XEN_STATE_VCPU)
		request.index = rnd() % 2;
	request.size = request.what == PVM_KVM_XEN_STATE_VM ? sizeof(struct pvm_xen_vm_state) :
		       request.what == PVM_KVM_XEN_STATE_VCPU ? sizeof(struct pvm_xen_vcpu_state) : 64;
	if (ioctl(x.vm, KVM_MEMORY_ENCRYPT_OP, &request))
		return;
	for (i = 0; i < 3; i++)
		words[2 + rnd() % (request.size / 8 - 2)] = rnd() % 2 ? rnd() % 8 : value();
	request.op = PVM_KVM_XEN_RESTORE;
	ioctl(x.vm, KVM_MEMORY_ENCRYPT_OP, &request);
}

static void act(void)
{
	unsigned id = rnd() % 2;
	int fd = x.vcpu[id];

	switch (rnd() % 17) {
	case 0:
	case 1:
	case 2:
		notify();
		break;
	case 3:
		add_port();
		break;
	case 4:
	case 5:
		set_slot(1, SECOND, second, rnd() % 2 ? 0 : SECOND_SIZE);
		break;
	case 6:
		madvise(x.memory + rnd() % 512 * XEN_VM_PAGE, XEN_VM_PAGE * (1 + rnd() % 8), MADV_DONTNEED);
		break;
	case 7:
		set_slot(0, 0, x.memory, XEN_VM_MEMORY);
		break;
	case 8:
		read_log();
		break;
	case 9:
		ioctl(fd, rnd() % 2 ? KVM_NMI : KVM_SMI, 0);
		break;
	case 10:
		ioctl(fd, KVM_SET_MP_STATE, &(struct kvm_mp_state){ rnd() % 6 });
		break;
	case 11:
	case 12:
		change_vcpu(fd);
		break;
	case 13:
		set_msr(fd);
		break;
	case 14:
		ioctl(x.vm, KVM_SIGNAL_MSI, &(struct kvm_msi){ .address_lo = 0xfee00000 | id << 12,
							       .data = (uint32_t)rnd() & 0x7ff });
		break;
	case 15:
		ioctl(x.vm, KVM_CREATE_VCPU, rnd() % 3);
		break;
	case 16:
		change_state();
		break;
	}
}

__attribute__((noreturn)) static void one_machine(unsigned number)
{
	struct pvm_kvm_set_xen set = xen_vm_sane(2);
	pthread_t interrupter;
	unsigned i;

	xen_vm_create(&x);
	second = mmap(NULL, SECOND_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	set_slot(1, SECOND, second, SECOND_SIZE);
	if (number % 4 == 0)
		set.shared_info = SECOND / XEN_VM_PAGE;
	ASK(x.vm, KVM_MEMORY_ENCRYPT_OP, &set);
	for (i = 0; i < 2; i++) {
		xen_vm_add_vcpu(&x, i);
		begin(i);
	}
	for (i = 0; i < 20; i++)
		scramble();
	for (i = 0; i < number % 8; i++)
		change_state();
	for (i = 0; i < 2; i++)
		if (pthread_create(&runners[i], NULL, run, (void *)(uintptr_t)i))
			machine_die("no thread for vCPU %u", i);
	if (pthread_create(&interrupter, NULL, interrupt, NULL))
		machine_die("no thread");
	for (i = 0; i < ACTS; i++) {
		scramble();
		act();
		take_seen();
		sched_yield();
	}
	if (number % 2)
		_exit(0);
	kill(getpid(), SIGKILL);
	for (;;)
		pause();
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = nothing };
	unsigned number, machines;
	int status;
	pid_t pid;

	if (argc != 3)
		machine_die("usage: xen_fuzz SEED MACHINES");
	fprintf(stderr, "seed %s\n", argv[1]);
	machines = (unsigned)strtoul(argv[2], NULL, 0);
	sigaction(SIGUSR1, &action, NULL);
	seen = mmap(NULL, sizeof(*seen), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (seen == MAP_FAILED)
		machine_die("no memory");
	for (number = 0; number < machines; number++) {
		state = (strtoull(argv[1], NULL, 0) * 0x10001 + number + 1) * 0x9e3779b97f4a7c15ull | 1;
		pid = fork();
		if (pid < 0)
			machine_die("fork: %s", strerror(errno));
		if (!pid)
			one_machine(number);
		waitpid(pid, &status, 0);
		if (WIFEXITED(status) && WEXITSTATUS(status))
			machine_die("machine %u ends with %d", number, WEXITSTATUS(status));
	}
	check(true, "the host goes on after %u machines", machines);
	check(seen->loaded && seen->refused,
	      "selectors of LDTs were loaded before %llu of %u acts, and some refused before %llu",
	      (unsigned long long)seen->loaded, machines * ACTS, (unsigned long long)seen->refused);
	return check_finish();
}
