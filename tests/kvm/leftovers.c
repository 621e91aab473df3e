/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * leftovers: what must not stay: a guest's hand on memory that its VMM has taken back, and registers of a
 * guest's on the CPU.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>
#include <asm/ldt.h>

#include <pvm/abi.h>
#include <pvm/kvm.h>
#include <pvm/vcpu.h>
#include <pvm/x86.h>

#include "bare.h"

#define PAGE		4096ull
#define EXTRA		0x10000000ull	/* gpa of a slot that goes */
#define EXTRA_SIZE	(1ull << 20)
#define ENTRY		0x3100
#define STACK		0x8000
#define MMIO		0x40000000ull

/* ------------------------------------------------------------------------
 * M10: a PVCS whose slot goes.
 */

static struct machine m;

static bool untouched(const uint8_t *page)
{
	unsigned i;

	for (i = 0; i < PAGE; i++)
		if (page[i] != 0xff)
			return false;
	return true;
}

/* OUT 0x80; UD2, which is an event through the PVCS; there: OUT 0x81, again and again. */
static uint8_t *begin(uint64_t pvcs)
{
	uint8_t *extra = mmap(NULL, EXTRA_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct kvm_regs regs;

	bare_begin(&m, BARE_CODE("\xe6\x80\x0f\x0b"));
	memset(m.memory + ENTRY - 0x100, 0x90, 0x800);
	memcpy(m.memory + ENTRY + 0x500, "\xe6\x81\xeb\xfc", 4);
	machine_slot(&m, 1, 0, EXTRA, EXTRA_SIZE, extra);
	regs = bare_regs(&m);
	regs.rsp = STACK;
	ASK(m.vcpu[0], KVM_SET_REGS, &regs);
	bare_set_msr(&m, MSR_PVM_VCPU_STRUCT, pvcs);
	bare_set_msr(&m, MSR_PVM_EVENT_ENTRY, ENTRY);
	bare_run(&m);
	return extra;
}

static void pvcs_goes(void)
{
	uint8_t *extra = begin(EXTRA);

	check(!machine_slot(&m, 1, 0, EXTRA, 0, extra), "the slot of a PVCS goes");
	memset(extra, 0xff, PAGE);
	/* An exception of supervisor mode needs it for IF alone. */
	check(bare_run(&m) == 0 && m.run[0]->exit_reason == KVM_EXIT_IO && m.run[0]->io.port == 0x81,
	      "the next event is delivered without one");
	check(untouched(extra), "M10: the memory is the VMM's alone");
	machine_destroy(&m);
	munmap(extra, EXTRA_SIZE);
}

/* Other memory comes at the same address: its PVCS is there. */
static void pvcs_moves(void)
{
	uint8_t *extra = begin(EXTRA + 8 * 16);
	uint8_t *other = mmap(NULL, EXTRA_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct pvm_vcpu_struct *pvcs = (void *)(other + 8 * 16);

	machine_slot(&m, 1, 0, EXTRA, 0, extra);
	memset(extra, 0xff, PAGE);
	check(!machine_slot(&m, 1, 0, EXTRA, EXTRA_SIZE, other), "and other memory comes in its place");
	pvcs->event_flags = PVM_EVENT_FLAGS_IF;
	check(bare_run(&m) == 0 && m.run[0]->exit_reason == KVM_EXIT_IO && m.run[0]->io.port == 0x81,
	      "the next event is delivered");
	check(pvcs->event_flags == 0, "through the PVCS there");
	check(untouched(extra), "M10: and not where it was");
	machine_destroy(&m);
	munmap(extra, EXTRA_SIZE);
	munmap(other, EXTRA_SIZE);
}

/* ------------------------------------------------------------------------
 * XSETBV that KVM's emulator finds where the CPU has a load from a device: XCR0 on the CPU is the host's.
 */

extern const char leftovers_code[], leftovers_code_end[], leftovers_load[];

__asm__(".pushsection .rodata\n"
	"leftovers_code:\n"
	"	outb	%al, $0x80\n"
	"	movq	$0x2063, 0x100008\n"	/* the entry of this page: the copy, without a flush */
	"	movl	$0x1ff000, %esi\n"
	"	xorl	%ecx, %ecx\n"
	"	xorl	%edx, %edx\n"
	"	movl	$1, %eax\n"
	"leftovers_load:\n"
	"	.byte	0x3e, 0x8a, 0x1e\n"	/* movb %ds:(%rsi), %bl; in the copy XSETBV */
	"	.byte	0xc5, 0xf8, 0x57, 0xc0\n"	/* vxorps: #UD where XCR0 has no AVX */
	"	outb	%al, $0x81\n"
	"	hlt\n"
	"leftovers_code_end:\n"
	".popsection\n");

static void make_tables(void)
{
	struct kvm_sregs sregs;
	uint64_t *table, i;

	ASK(m.vcpu[0], KVM_GET_SREGS, &sregs);
	for (i = 0; i < 2; i++)
		*(uint64_t *)(m.memory + sregs.cr3 + i * PAGE) = (sregs.cr3 + (i + 1) * PAGE) | 0x63;
	*(uint64_t *)(m.memory + sregs.cr3 + 2 * PAGE) = 0x100063;
	table = (uint64_t *)(m.memory + 0x100000);
	for (i = 0; i < 511; i++)
		table[i] = i * PAGE | 0x63;
	table[511] = MMIO | 0x63;
	sregs.cr4 |= PVM_CR4_OSXSAVE;
	ASK(m.vcpu[0], KVM_SET_SREGS, &sregs);
}

static void xsetbv(void)
{
	size_t size = (size_t)(leftovers_code_end - leftovers_code);
	unsigned turns;

	machine_create_bare(&m, PVM_ABI_DUAL_CR3, BARE_MEMORY, 1);
	machine_set_registers(&m, 0, BARE_CODE_GPA, 0);
	memcpy(m.memory + BARE_CODE_GPA, leftovers_code, size);
	memcpy(m.memory + 0x2000, leftovers_code, size);
	memcpy(m.memory + 0x2000 + (leftovers_load - leftovers_code), "\x0f\x01\xd1", 3);
	make_tables();
	for (turns = 0; turns < 6; turns++)
		if (bare_run(&m) || m.run[0]->exit_reason == KVM_EXIT_SHUTDOWN ||
		    (m.run[0]->exit_reason == KVM_EXIT_IO && m.run[0]->io.port == 0x81))
			break;
	check(m.run[0]->exit_reason == KVM_EXIT_IO && m.run[0]->io.port == 0x81, "AVX works after an XSETBV");
	machine_destroy(&m);
}

/* ------------------------------------------------------------------------
 * FS and GS may name a descriptor that is gone: Linux lets them be when modify_ldt() takes it away. The
 * CPU has it until they are loaded the next time, which then is a fault.
 */

#define LDT_SELECTOR	7	/* the first entry, CPL 3 */

static void set_ldt(uint64_t limit)
{
	struct user_desc descriptor = { .limit = (unsigned)limit, .seg_32bit = 1, .useable = 1 };

	if (syscall(SYS_modify_ldt, 1, &descriptor, sizeof(descriptor)))
		machine_die("modify_ldt");
}

/* No function of C's library is called while FS is not its own. */
#define RUN_WITH(seg)									\
	__asm__ volatile("rdfsbase %%rbx; mov %1, %%" seg "\n"				\
			 "	movl %2, %%eax; movl $1, %%edi; movq %3, %%rsi; movl %4, %%edx; syscall\n" \
			 "	movl %5, %%eax; movl %6, %%edi; movl %7, %%esi; xorl %%edx, %%edx; syscall\n" \
			 "	mov %%" seg ", %k0; xorl %%ecx, %%ecx; mov %%ecx, %%" seg "; wrfsbase %%rbx" \
			 : "=&r"(left) : "r"(LDT_SELECTOR), "i"(SYS_modify_ldt), "r"(&none),	\
			   "i"(sizeof(none)), "i"(SYS_ioctl), "r"(m.vcpu[0]), "i"(KVM_RUN)	\
			 : "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r11", "memory")

static void stale_segments(void)
{
	struct user_desc none = { 0 };
	unsigned turn;
	uint64_t left = 0;

	bare_begin(&m, BARE_CODE("\xe6\x80\xeb\xfc"));
	for (turn = 0; turn < 8; turn++) {
		set_ldt(0xfff);
		if (turn & 1)
			RUN_WITH("gs");
		else
			RUN_WITH("fs");
	}
	check(m.run[0]->exit_reason == KVM_EXIT_IO && (uint16_t)left != 1,
	      "vCPUs run in a thread whose FS or GS name what is gone");
	machine_destroy(&m);
}

/* ------------------------------------------------------------------------
 * SYSCALL that KVM's emulator finds where a user program has a load from a device: the way into the kernel is
 * the engine's, which gives it its own stack and GS base.
 */

#define KERNEL_ENTRY	0x5000
#define KERNEL_STACK	0x9000ull
#define KERNEL_GS	0x5678000ull
#define USER_GS		0x1234000ull

extern const char leftovers_user[], leftovers_user_end[], leftovers_user_load[], leftovers_steps[],
	leftovers_steps_end[], leftovers_steps_load[];

__asm__(".pushsection .rodata\n"
	"leftovers_user:\n"
	"	movq	$0x2067, 0x100008\n"	/* the entry of this page: the copy, without a flush */
	"	movl	$0x1ff000, %esi\n"
	"leftovers_user_load:\n"
	"	movb	(%rsi), %bl\n"		/* in the copy SYSCALL */
	"	jmp	.\n"
	"leftovers_user_end:\n"
	"leftovers_steps:\n"
	"	movq	$0x2067, 0x100008\n"
	"	movl	$0x1ff000, %esi\n"
	"	pushq	$0x302\n"		/* TF, from after the next instruction on */
	"	popfq\n"
	"leftovers_steps_load:\n"
	"	movb	(%rsi), %bl\n"
	"	jmp	.\n"
	"leftovers_steps_end:\n"
	".popsection\n");

static void set_user_mode(void)
{
	struct kvm_regs regs = bare_regs(&m);
	struct kvm_sregs sregs;

	ASK(m.vcpu[0], KVM_GET_SREGS, &sregs);
	sregs.cs.selector = 0x33;
	sregs.ss.selector = 0x2b;
	sregs.cs.dpl = sregs.ss.dpl = 3;
	sregs.gs.base = USER_GS;
	ASK(m.vcpu[0], KVM_SET_SREGS, &sregs);
	regs.rsp = STACK;
	ASK(m.vcpu[0], KVM_SET_REGS, &regs);
}

/* User mode may use everything. */
static void make_user(void)
{
	uint64_t *table = (uint64_t *)(m.memory + 0x100000);
	struct kvm_sregs sregs;
	unsigned i;

	ASK(m.vcpu[0], KVM_GET_SREGS, &sregs);
	for (i = 0; i < 3; i++)
		*(uint64_t *)(m.memory + sregs.cr3 + i * PAGE) |= 4;
	for (i = 0; i < 512; i++)
		table[i] |= 4;
}

/* A vCPU that is in user mode is put back into the kernel, as by a snapshot that is loaded in place. */
static void user_to_kernel(void)
{
	struct kvm_regs regs;
	struct kvm_sregs sregs, kernel;

	machine_create_bare(&m, PVM_ABI_DUAL_CR3, BARE_MEMORY, 1);
	machine_set_registers(&m, 0, BARE_CODE_GPA, 0);
	memcpy(m.memory + BARE_CODE_GPA, "\x8a\x1e\xe6\x81", 4);	/* movb (%rsi), %bl; out %al, $0x81 */
	make_tables();
	make_user();
	ASK(m.vcpu[0], KVM_GET_SREGS, &kernel);
	set_user_mode();
	regs = bare_regs(&m);
	regs.rsi = 0x1ff000;
	ASK(m.vcpu[0], KVM_SET_REGS, &regs);
	check(bare_run(&m) == 0 && m.run[0]->exit_reason == KVM_EXIT_MMIO, "a program in user mode loads from a device");
	bare_complete(&m);
	ASK(m.vcpu[0], KVM_GET_SREGS, &sregs);
	check(sregs.ss.dpl == 3, "and is in user mode");
	ASK(m.vcpu[0], KVM_SET_SREGS, &kernel);
	check(bare_run(&m) == 0 && m.run[0]->exit_reason == KVM_EXIT_IO && m.run[0]->io.port == 0x81,
	      "the kernel's registers are set, and it runs");
	machine_destroy(&m);
}

/* A program's code; in the copy it has @found where it loads from the device. Its kernel has a stack. */
static void begin_user(const char *code, const char *end, const char *load, const char *found)
{
	machine_create_bare(&m, PVM_ABI_DUAL_CR3, BARE_MEMORY, 1);
	machine_set_registers(&m, 0, BARE_CODE_GPA, 0);
	memcpy(m.memory + BARE_CODE_GPA, code, (size_t)(end - code));
	memcpy(m.memory + 0x2000, code, (size_t)(end - code));
	memcpy(m.memory + 0x2000 + (load - code), found, 2);
	memcpy(m.memory + KERNEL_ENTRY, "\xe6\x81", 2);
	memcpy(m.memory + ENTRY, "\xe6\x82", 2);
	make_tables();
	make_user();
	bare_set_msr(&m, MSR_PVM_VCPU_STRUCT, 0x7000);
	bare_set_msr(&m, MSR_PVM_EVENT_ENTRY, ENTRY);
	bare_set_msr(&m, MSR_PVM_SUPERVISOR_RSP, KERNEL_STACK);
	bare_set_msr(&m, PVM_MSR_KERNEL_GS_BASE, KERNEL_GS);
	bare_set_msr(&m, PVM_MSR_LSTAR, KERNEL_ENTRY);
	set_user_mode();
}

static bool comes_to_port(unsigned port)
{
	return bare_run(&m) == 0 && m.run[0]->exit_reason == KVM_EXIT_IO && m.run[0]->io.port == port;
}

static void user_syscall(void)
{
	struct kvm_sregs sregs;

	begin_user(leftovers_user, leftovers_user_end, leftovers_user_load, "\x0f\x05");
	check(comes_to_port(0x81), "a SYSCALL that the emulator finds leads to the kernel");
	ASK(m.vcpu[0], KVM_GET_SREGS, &sregs);
	check(bare_regs(&m).rsp == KERNEL_STACK && sregs.gs.base == KERNEL_GS,
	      "with the kernel's stack and GS base");
	machine_destroy(&m);
}

/* The same where the program is stepped: the emulator has a #DB after its SYSCALL, the CPU has none. */
static void stepped_syscall(void)
{
	begin_user(leftovers_steps, leftovers_steps_end, leftovers_steps_load, "\x0f\x05");
	check(comes_to_port(0x81), "no #DB is left of a SYSCALL that the emulator finds: port 0x%x",
	      m.run[0]->io.port);
	machine_destroy(&m);
}

/* ------------------------------------------------------------------------
 * A far CALL found there, with a stack that is a device's: to a segment of the guest's GDT, which is none for
 * the CPU. What the emulator has pushed is no exit of KVM_RUN's.
 */

#define GDT		0x6000
#define GDT_CODE	0x43
#define FAR_POINTER	0x4000
#define FLAGS		0xa000	/* the handler is there; it may go on */

extern const char leftovers_call[], leftovers_call_end[], leftovers_call_load[], leftovers_waits[],
	leftovers_waits_end[];

__asm__(".pushsection .rodata\n"
	"leftovers_call:\n"
	"	movq	$0x2067, 0x100008\n"
	"	movl	$0x1ff000, %esi\n"
	"	movl	$0x1ff800, %esp\n"
	"	movl	$0x4000, %edi\n"
	"leftovers_call_load:\n"
	"	movb	(%rsi), %bl\n"		/* in the copy LCALL *(%rdi) */
	"	jmp	.\n"
	"leftovers_call_end:\n"
	"leftovers_waits:\n"
	"	lock incl 0xa000\n"
	"1:	cmpb	$0, 0xa004\n"
	"	je	1b\n"
	"	outb	%al, $0x81\n"
	"leftovers_waits_end:\n"
	".popsection\n");

static void nothing(int number)
{
	(void)number;
}

/* Until the guest is in its handler, and KVM_RUN ended by a signal there. */
static bool run_into_handler(void)
{
	struct itimerval timer = { .it_value.tv_usec = 20000 };
	struct sigaction action = { .sa_handler = nothing };
	unsigned tries;
	int error = 0;

	sigaction(SIGALRM, &action, NULL);
	for (tries = 0; tries < 200 && !m.memory[FLAGS]; tries++) {
		setitimer(ITIMER_REAL, &timer, NULL);
		error = bare_run(&m);
		if (error != EINTR)
			break;
	}
	return error == EINTR && m.memory[FLAGS];
}

static void far_call(void)
{
	struct kvm_sregs sregs;

	begin_user(leftovers_call, leftovers_call_end, leftovers_call_load, "\xff\x1f");
	memcpy(m.memory + FAR_POINTER, "\x00\x50\x00\x00\x43\x00", 6);
	((uint64_t *)(m.memory + GDT))[GDT_CODE / 8] = 0x00affb000000ffff;
	memcpy(m.memory + ENTRY, leftovers_waits, (size_t)(leftovers_waits_end - leftovers_waits));
	ASK(m.vcpu[0], KVM_GET_SREGS, &sregs);
	sregs.gdt.base = GDT;
	sregs.gdt.limit = 0xff;
	ASK(m.vcpu[0], KVM_SET_SREGS, &sregs);
	check(run_into_handler(), "a far CALL that the emulator finds is the CPU's to judge: exit %u",
	      m.run[0]->exit_reason);
	m.memory[FLAGS + 4] = 1;
	check(comes_to_port(0x81), "and what it has pushed to a device is nothing that KVM_RUN completes: exit %u",
	      m.run[0]->exit_reason);
	machine_destroy(&m);
}

int main(void)
{
	pvcs_goes();
	pvcs_moves();
	xsetbv();
	user_to_kernel();
	user_syscall();
	stepped_syscall();
	far_call();
	stale_segments();
	return check_finish();
}
