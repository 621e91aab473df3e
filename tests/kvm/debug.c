/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * debug SERVANT.elf: single steps and breakpoints that user space sets in a guest.
 */
#include "bare.h"
#include "client.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include <pvm/abi.h>
#include <pvm/vcpu.h>

#define USER_BASE	0x10000000000ull	/* of the servant's library: where it maps the region */
#define DR7_EXECUTE	0x401ull
#define DR7_WRITE_8	0x90401ull
#define DR6_BS		(1ull << 14)

static struct client c;

static void set_debug(uint32_t control, uint64_t dr0, uint64_t dr7)
{
	struct kvm_guest_debug debug = { .control = control };

	debug.arch.debugreg[0] = dr0;
	debug.arch.debugreg[7] = dr7;
	ASK(c.m.vcpu[0], KVM_SET_GUEST_DEBUG, &debug);
}

/* An order that the guest does not get to the end of. */
static bool stops(void)
{
	c.box->order = ORDER_WRITE;
	c.box->gpa = REGION;
	c.box->count = 1;
	c.box->value = 0x7e57;
	return ioctl(c.m.vcpu[0], KVM_RUN, 0) == 0 && c.m.run[0]->exit_reason == KVM_EXIT_DEBUG;
}

static bool stops_again(void)
{
	return ioctl(c.m.vcpu[0], KVM_RUN, 0) == 0 && c.m.run[0]->exit_reason == KVM_EXIT_DEBUG;
}

static uint64_t rip(void)
{
	struct kvm_regs regs;

	ASK(c.m.vcpu[0], KVM_GET_REGS, &regs);
	return regs.rip;
}

static uint64_t gs_base(void)
{
	struct kvm_sregs sregs;

	ASK(c.m.vcpu[0], KVM_GET_SREGS, &sregs);
	return sregs.gs.base;
}

/* ------------------------------------------------------------------------
 * Steps over instructions that the CPU does not carry out itself.
 */

static struct machine m;

#define HANDLER		0x1200
#define RETURN		0x1206
/* addq $2, 8(%rsp); EVENT_RETURN_SUPERVISOR: behind an instruction of two bytes. */
#define SKIP_AND_RETURN	"\x48\x83\x44\x24\x08\x02\x0f\x05"

/* The first steps end at these offsets of the code, and the guest has no #DB. */
static void step_over(const char *what, const char *code, size_t length, uint64_t rcx, uint64_t second,
		      uint64_t third)
{
	struct kvm_regs set;
	struct kvm_guest_debug debug = { .control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP };
	uint64_t at[3];
	unsigned i, runs;

	bare_begin(&m, PVM_ABI_DUAL_CR3, code, length);
	memcpy(m.memory + HANDLER, SKIP_AND_RETURN, sizeof(SKIP_AND_RETURN) - 1);
	bare_set_msr(&m, MSR_PVM_VCPU_STRUCT, 0x5000);
	bare_set_msr(&m, MSR_PVM_EVENT_ENTRY, 0x1100);
	bare_set_msr(&m, MSR_PVM_RETS_RIP, RETURN);
	set = bare_regs(&m);
	set.rcx = rcx;
	set.rsp = 0x121000;
	ASK(m.vcpu[0], KVM_SET_REGS, &set);
	ASK(m.vcpu[0], KVM_SET_GUEST_DEBUG, &debug);
	for (i = runs = 0; i < 3 && runs < 8; runs++) {
		bare_run(&m);
		if (m.run[0]->exit_reason == KVM_EXIT_DEBUG)
			at[i++] = m.run[0]->debug.arch.pc;
	}
	check(i == 3 && at[0] == BARE_CODE_GPA + 1 && at[1] == BARE_CODE_GPA + second &&
	      at[2] == BARE_CODE_GPA + third, "a step goes over %s: to 0x%llx", what, (unsigned long long)at[1]);
	machine_destroy(&m);
}

#define STEP_OVER(what, code, rcx) \
	step_over(what, "\x90" code "\x90\x90", sizeof(code) + 2, rcx, sizeof(code), sizeof(code) + 1)
/* A handler runs through, as TF is in its frame and not its own. */
#define STEP_THROUGH(what, code) step_over(what, "\x90" code "\x90\x90\x90", sizeof(code) + 3, 0, 4, 5)

static void steps(void)
{
	STEP_OVER("CLI", "\xfa", 0);
	STEP_OVER("MOV from CR3", "\x0f\x20\xd8", 0);
	STEP_OVER("OUT", "\xe6\x80", 0);
	STEP_OVER("RDMSR of PVM's", "\x0f\x32", MSR_PVM_VCPU_STRUCT);
	STEP_OVER("RDMSR of KVM's", "\x0f\x32", 0x10);
	/* MOV EAX, PVM_HC_IRQ_WIN; SYSCALL */
	step_over("a hypercall", "\x90\xb8\x01\x82\x08\x17\x0f\x05\x90", 9, 0, 6, 8);
	STEP_THROUGH("the handler of UD2", "\x0f\x0b");
	STEP_THROUGH("the handler of DIV by 0", "\xf7\xf1");
}

int main(int argc, char **argv)
{
	const struct kvm_debug_exit_arch *at;
	uint64_t first, second, base;
	uint8_t byte;

	if (argc != 2)
		machine_die("usage: debug SERVANT.elf");
	client_create(&c, argv[1], 1);
	at = &c.m.run[0]->debug.arch;
	client_writes(&c, 0, 1, 1, 0);
	base = gs_base();

	set_debug(KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP, 0, 0);
	check(stops() && at->exception == 1 && (at->dr6 & DR6_BS), "a single step is user space's");
	first = at->pc;
	check(rip() == first && stops_again() && at->pc != first, "and the next one is another instruction");
	second = at->pc;
	set_debug(0, 0, 0);
	check(client_again(&c) == DONE && host_finds(c.region, 0, 1, 0x7e57, 0), "without it the guest goes on");

	byte = c.m.memory[second];	/* its code is where it is linked */
	c.m.memory[second] = 0xcc;
	set_debug(KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_SW_BP, 0, 0);
	check(stops() && at->exception == 3 && at->pc == second && rip() == second, "INT3 is user space's");
	c.m.memory[second] = byte;
	check(client_again(&c) == DONE, "and the instruction that was there is executed after it");

	set_debug(KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_HW_BP, second, DR7_EXECUTE);
	check(stops() && at->exception == 1 && at->pc == second && (at->dr6 & 1), "a breakpoint of the CPU's");
	set_debug(KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_HW_BP, USER_BASE + REGION, DR7_WRITE_8);
	check(stops_again() && (at->dr6 & 1), "a watchpoint on memory");
	set_debug(0, 0, 0);
	check(client_again(&c) == DONE && client_finds(&c, 0, 1, 0x7e57, 0), "and at last nothing stops the guest");
	check(base && gs_base() == base, "and it has the GS base that it had set itself");
	client_destroy(&c);
	steps();
	return check_finish();
}
