/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * away: memory that the engine needs, and that user space has not, or not yet; and a vCPU whose state is
 * read, set or moved meanwhile. What KVM's emulator writes for the guest. Poisoned memory, and
 * memory that a signal ends the wait for. The last writes to a PVCS that is given up.
 */
#define _GNU_SOURCE
#include "bare.h"
#include "client.h"
#include "vcpu_state.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <pvm/abi.h>
#include <pvm/kvm.h>
#include <pvm/vcpu.h>

#define PVCS_GPA	0x5000
#define ENTRY_GPA	0x1100			/* exceptions in supervisor mode: 0x100 behind it */
#define HANDLER_GPA	(ENTRY_GPA + 0x100)
#define TABLE_GPA	0x100000		/* of level 1, for what lies behind the 2 MiB */
#define DATA_GVA	BARE_MEMORY
#define DATA_GPA	0x110000
#define STACK_GPA	0x120000		/* a page */
#define OTHER_GPA	0x130000

/* OUT 0x83; again */
#define HANDLER		"\xe6\x83\xeb\xfc"

static struct machine m;

static void nothing(int number)
{
	(void)number;
}

static bool stopped_at(unsigned port)
{
	return m.run[0]->exit_reason == KVM_EXIT_IO && m.run[0]->io.port == port;
}

/* A guest that takes exceptions on STACK_GPA, and has DATA_GPA at DATA_GVA, by a table of its own. It has
 * come to its first OUT. */
static void begin(const char *code, size_t length, uint64_t rflags)
{
	struct kvm_sregs sregs;
	struct kvm_regs set;

	bare_begin(&m, PVM_ABI_DUAL_CR3, code, length);
	memcpy(m.memory + HANDLER_GPA, HANDLER, sizeof(HANDLER) - 1);
	ASK(m.vcpu[0], KVM_GET_SREGS, &sregs);
	*(uint64_t *)(m.memory + sregs.cr3 + 2 * PAGE + 8) = TABLE_GPA | 0x63;
	*(uint64_t *)(m.memory + TABLE_GPA) = DATA_GPA | 0x63;
	m.memory[DATA_GPA] = m.memory[STACK_GPA] = 1;
	set = bare_regs(&m);
	set.rsp = STACK_GPA + PAGE;
	set.rflags |= rflags;
	ASK(m.vcpu[0], KVM_SET_REGS, &set);
	bare_set_msr(&m, MSR_PVM_VCPU_STRUCT, PVCS_GPA);
	bare_set_msr(&m, MSR_PVM_EVENT_ENTRY, ENTRY_GPA);
	if (bare_run(&m) || !stopped_at(0x80))
		machine_die("the guest does not begin: exit %u", m.run[0]->exit_reason);
}

#define BEGIN(code, rflags) begin(code, sizeof(code) - 1, rflags)

static void lose(uint64_t gpa)
{
	mprotect(m.memory + gpa, PAGE, PROT_NONE);
}

static void find(uint64_t gpa)
{
	mprotect(m.memory + gpa, PAGE, PROT_READ | PROT_WRITE);
}

/* ------------------------------------------------------------------------
 * KVM_RUN says so, and may be tried again.
 */

/* OUT 0x80; MOV EAX, [DATA_GVA]; INT3; OUT 0x81 */
#define READ_AND_INT3	"\xe6\x80\x8b\x04\x25\x00\x00\x20\x00\xcc\xe6\x81"

static void is_told(const char *what, uint64_t gpa)
{
	int error;

	BEGIN(READ_AND_INT3, 0);
	lose(gpa);
	alarm(20);
	error = bare_run(&m);
	alarm(0);
	check(error == EFAULT, "M11: KVM_RUN says EFAULT where %s is away: %s", what, strerror(error));
	find(gpa);
	check(!bare_run(&m) && stopped_at(0x83), "and the guest goes on when it is back");
	machine_destroy(&m);
}

/* ------------------------------------------------------------------------
 * What waits then is the vCPU's.
 */

static void do_nothing(void)
{
}

static void set_regs(void)
{
	struct kvm_regs regs = bare_regs(&m);

	ASK(m.vcpu[0], KVM_SET_REGS, &regs);
}

static void set_sregs(void)
{
	struct kvm_sregs sregs;

	ASK(m.vcpu[0], KVM_GET_SREGS, &sregs);
	ASK(m.vcpu[0], KVM_SET_SREGS, &sregs);
}

static void move(void)
{
	static struct vcpu_state state;
	struct machine old = m;

	vcpu_state_get(old.vcpu[0], &state);
	mprotect(old.memory, BARE_MEMORY, PROT_READ | PROT_WRITE);
	machine_create_bare(&m, old.abi, old.memory_size, 1);
	memcpy(m.memory, old.memory, old.memory_size);
	vcpu_state_set(m.vcpu[0], &state);
	machine_destroy(&old);
}

static const struct way {
	const char *name;
	void (*fn)(void);
} ways[] = {
	{ "nothing else", do_nothing },
	{ "KVM_SET_REGS", set_regs },
	{ "KVM_SET_SREGS", set_sregs },
	{ "a new VM", move },
};

static uint64_t frame_rip(void)
{
	uint64_t rip;

	memcpy(&rip, m.memory + bare_regs(&m).rsp + 8, sizeof(rip));
	return rip;
}

/* OUT 0x80; NOP; OUT 0x81, in single steps: the #DB comes when user space has answered. */
static void debug_exception(const struct way *way)
{
	int error;

	BEGIN("\xe6\x80\x90\xe6\x81", 0x100);
	lose(STACK_GPA);
	error = bare_run(&m);
	way->fn();
	find(STACK_GPA);
	check(error == EFAULT && !bare_run(&m) && stopped_at(0x83) && frame_rip() == BARE_CODE_GPA + 2,
	      "a #DB that waits for its stack is not lost by %s", way->name);
	machine_destroy(&m);
}

/* With all in its place there is one, whoever carries the instruction out: the handler's first is no
 * second. */
static void one_debug_exception(const char *what, const char *code, size_t length)
{
	uint64_t rsp;

	begin(code, length, 0x100);
	bare_run(&m);
	if (!stopped_at(0x83))
		bare_run(&m);
	memcpy(&rsp, m.memory + bare_regs(&m).rsp + 32, sizeof(rsp));
	check(stopped_at(0x83) && frame_rip() == BARE_CODE_GPA + 2 && rsp == STACK_GPA + PAGE,
	      "one #DB comes behind %s: at 0x%llx, from a stack at 0x%llx", what, (unsigned long long)frame_rip(),
	      (unsigned long long)rsp);
	machine_destroy(&m);
}

static void breakpoint(const struct way *way)
{
	int error;

	BEGIN("\xe6\x80\xcc\xe6\x81", 0);
	lose(STACK_GPA);
	error = bare_run(&m);
	way->fn();
	find(STACK_GPA);
	check(error == EFAULT && !bare_run(&m) && stopped_at(0x83) && frame_rip() == BARE_CODE_GPA + 3,
	      "nor is a #BP by %s", way->name);
	machine_destroy(&m);
}

/* INSB into a page that nobody has touched, completed with immediate_exit as the API wants it
 * before state is read. OUT 0x80; MOV EDX, 0x82; MOV EDI, OTHER_GPA; INSB; OUT 0x81 */
static void byte_of_a_port(const struct way *way)
{
	BEGIN("\xe6\x80\xba\x82\x00\x00\x00\xbf\x00\x00\x13\x00\x6c\xe6\x81", 0);
	bare_run(&m);
	if (!stopped_at(0x82))
		machine_die("no INSB");
	*(uint8_t *)bare_data(&m) = 0x5a;
	bare_complete(&m);
	way->fn();
	check(!bare_run(&m) && stopped_at(0x81) && m.memory[OTHER_GPA] == 0x5a,
	      "nor is what INS got from a port by %s", way->name);
	machine_destroy(&m);
}

/* ------------------------------------------------------------------------
 * What KVM's emulator writes for the guest.
 */

#define MMIO_GVA	0x400000
#define MMIO_GPA	0x40000000ull
#define READ_DATA	"\x8b\x04\x25\x00\x00\x20\x00"	/* MOV EAX, [DATA_GVA] */

/* OUT 0x80; READ_DATA; MOVSQ from MMIO_GVA to the table of DATA_GVA; PVM_HC_INVLPG; READ_DATA;
 * OUT 0x81, EAX */
static void table_from_a_device(void)
{
	const uint64_t entry = OTHER_GPA | 0x63;
	struct kvm_sregs sregs;
	struct kvm_run *run;
	int error;

	BEGIN("\xe6\x80" READ_DATA "\xbe\x00\x00\x40\x00\xbf\x00\x00\x10\x00\x48\xa5"
	      "\xb8\x05\x82\x08\x17\xbb\x00\x00\x20\x00\x0f\x05" READ_DATA "\xe7\x81", 0);
	run = m.run[0];
	ASK(m.vcpu[0], KVM_GET_SREGS, &sregs);
	*(uint64_t *)(m.memory + sregs.cr3 + 2 * PAGE + 16) = MMIO_GPA | 0xe3;
	m.memory[OTHER_GPA] = 2;
	bare_run(&m);
	if (run->exit_reason != KVM_EXIT_MMIO || run->mmio.is_write || run->mmio.phys_addr != MMIO_GPA)
		machine_die("no MMIO: exit %u", run->exit_reason);
	memcpy(run->mmio.data, &entry, sizeof(entry));
	error = bare_run(&m);
	check(!error && stopped_at(0x81) && *bare_data(&m) == 2,
	      "M9: an entry that a guest stores from a device's memory counts: 0x%x", *bare_data(&m));
	machine_destroy(&m);
}

/* ------------------------------------------------------------------------
 * Signals.
 */

static volatile sig_atomic_t bus_code;

static void on_bus(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)context;
	bus_code = info->si_code;
}

static void poisoned(void)
{
	int error;

	BEGIN(READ_AND_INT3, 0);
	if (madvise(m.memory + DATA_GPA, PAGE, MADV_HWPOISON))
		machine_die("MADV_HWPOISON: %s", strerror(errno));
	bus_code = 0;
	error = bare_run(&m);
	check(error == EINTR && bus_code == BUS_MCEERR_AR,
	      "poisoned memory that a guest reads is SIGBUS for the VMM: %s, code %d", strerror(error), bus_code);
	machine_destroy(&m);
}

static int userfault_fd(uint64_t gpa)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register range = {
		.range = { (uintptr_t)m.memory + gpa, PAGE }, .mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);

	if (fd < 0)
		machine_die("userfaultfd: %s", strerror(errno));
	madvise(m.memory + gpa, PAGE, MADV_DONTNEED);
	ASK(fd, UFFDIO_API, &api);
	ASK(fd, UFFDIO_REGISTER, &range);
	return fd;
}

static atomic_bool over;

static void *bring(void *fd)
{
	struct uffdio_zeropage zero = { .range = { (uintptr_t)m.memory + DATA_GPA, PAGE } };
	unsigned i;

	for (i = 0; i < 30 && !atomic_load(&over); i++)
		sleep(1);
	ASK(*(int *)fd, UFFDIO_ZEROPAGE, &zero);
	return NULL;
}

/* Linux 6.1 has no such wait. */
static void waited_for(void)
{
	struct utsname host;
	pthread_t thread;
	int fd, error;

	uname(&host);
	BEGIN(READ_AND_INT3, 0);
	fd = userfault_fd(DATA_GPA);
	pthread_create(&thread, NULL, bring, &fd);
	atomic_store(&over, !strncmp(host.release, "6.1.", 4));
	alarm(3);
	error = bare_run(&m);
	alarm(0);
	check(error == (atomic_load(&over) ? 0 : EINTR), "a signal ends a wait for userfaultfd: %s", strerror(error));
	atomic_store(&over, true);
	pthread_join(thread, NULL);
	check((!error || !bare_run(&m)) && stopped_at(0x83), "and the guest goes on when the memory has come");
	close(fd);
	machine_destroy(&m);
}

/* ------------------------------------------------------------------------
 * The log.
 */

static uint64_t get_log(void)
{
	uint64_t bits[BARE_MEMORY / PAGE / 64];
	struct kvm_dirty_log ask = { .dirty_bitmap = bits };

	ASK(m.vm, KVM_GET_DIRTY_LOG, &ask);
	return bits[0];
}

/* PVM_HC_WRMSR of MSR_PVM_VCPU_STRUCT: 0 */
#define DETACH	"\xb8\x08\x82\x08\x17\xbb\xf1\x4d\x56\x4b\x45\x31\xd2\x0f\x05"
#define ROUNDS	10

/* OUT 0x80; a #DE, whose delivery clears a flag in the PVCS, which the handler gives up: nothing of it ends
 * KVM_RUN, and no PVCS is there when KVM_RUN ends. */
static void last_writes(void)
{
	volatile uint64_t *flags;
	unsigned round, changed = 0, logged = 0;

	for (round = 0; round < ROUNDS; round++) {
		BEGIN("\xe6\x80\x31\xc9\xf7\xf1", 0);
		memcpy(m.memory + HANDLER_GPA, DETACH HANDLER, sizeof(DETACH HANDLER) - 1);
		bare_complete(&m);
		machine_slot(&m, 0, KVM_MEM_LOG_DIRTY_PAGES, 0, BARE_MEMORY, m.memory);
		get_log();
		flags = (volatile uint64_t *)(m.memory + PVCS_GPA);
		*flags = PVM_EVENT_FLAGS_IF;
		if (!bare_run(&m) && stopped_at(0x83))
			changed += *flags != PVM_EVENT_FLAGS_IF;
		logged += get_log() >> (PVCS_GPA / PAGE) & 1;
		machine_destroy(&m);
	}
	check(changed == ROUNDS && logged == ROUNDS,
	      "the last writes to a PVCS that is given up are in the log: %u written, %u logged", changed, logged);
}

static bool is_logged(void)
{
	return get_log() >> (PVCS_GPA / PAGE) & 1;
}

/* OUT 0x80; MOV ECX, 0x12345; WRMSR: its #GP is delivered when user space has answered, and by
 * KVM_SET_REGS, too, the PVCS is written without the guest's running. */
static void writes_without_a_run(void)
{
	struct kvm_enable_cap cap = {
		.cap = KVM_CAP_X86_USER_SPACE_MSR,
		.args = { KVM_MSR_EXIT_REASON_UNKNOWN | KVM_MSR_EXIT_REASON_INVAL |
			  KVM_MSR_EXIT_REASON_FILTER },
	};
	volatile uint64_t *flags;
	struct kvm_regs set;
	uint64_t before;

	BEGIN("\xe6\x80\xb9\x45\x23\x01\x00\x0f\x30", 0);
	ASK(m.vm, KVM_ENABLE_CAP, &cap);
	flags = (volatile uint64_t *)(m.memory + PVCS_GPA);
	if (bare_run(&m) || m.run[0]->exit_reason != KVM_EXIT_X86_WRMSR)
		machine_die("no exit for an MSR: %u", m.run[0]->exit_reason);
	machine_slot(&m, 0, KVM_MEM_LOG_DIRTY_PAGES, 0, BARE_MEMORY, m.memory);
	get_log();
	*flags = PVM_EVENT_FLAGS_IF;
	m.run[0]->msr.error = 1;
	bare_complete(&m);
	check(bare_regs(&m).rip == HANDLER_GPA && *flags != PVM_EVENT_FLAGS_IF && is_logged(),
	      "what the completion of an exit writes to the PVCS is in the log");
	get_log();
	set = bare_regs(&m);
	set.rflags ^= PVM_RFLAGS_IF;
	before = *flags;
	ASK(m.vcpu[0], KVM_SET_REGS, &set);
	check(*flags != before && is_logged(), "and what KVM_SET_REGS writes there");
	machine_destroy(&m);
}

int main(void)
{
	struct sigaction bus = { .sa_sigaction = on_bus, .sa_flags = SA_SIGINFO };
	unsigned i;

	prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);	/* single pages are lost here */
	sigaction(SIGALRM, &(struct sigaction){ .sa_handler = nothing }, NULL);
	sigaction(SIGBUS, &bus, NULL);
	is_told("a page", DATA_GPA);
	is_told("a page table", TABLE_GPA);
	is_told("the stack of an event", STACK_GPA);
	for (i = 0; i < 4; i++) {
		debug_exception(&ways[i]);
		breakpoint(&ways[i]);
		byte_of_a_port(&ways[i]);
	}
	one_debug_exception("OUT", "\xe6\x80\x90\x90", 4);
	table_from_a_device();
	poisoned();
	waited_for();
	last_writes();
	writes_without_a_run();
	return check_finish();
}
