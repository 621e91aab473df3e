/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * What pvm_switcher_run() must leave as it found it, with values in all of it that
 * are there by no accident, around guests that change everything they can and leave in every
 * way there is. Then what pvm_switcher_unload() must give back. Where the CPU has CET, the
 * thread has a shadow stack and IBT at CPL 3, which no guest may run with.
 *
 * S5, S9, S11. Prints to COM2.
 */
#include <pvm/events.h>
#include <pvm/mmu.h>

#include "minivisor.h"
#include "cpu.h"
#include "memory.h"
#include "options.h"
#include "print.h"
#include "test_vm.h"

#define MSR_STAR	0xc0000081
#define MSR_LSTAR	0xc0000082
#define MSR_CSTAR	0xc0000083
#define MSR_FMASK	0xc0000084
#define MSR_SYSENTER_CS	0x174
#define MSR_U_CET	0x6a0
#define U_CET_THREAD	5ull		/* SH_STK_EN, ENDBR_EN */
#define ECX7_CET_SS	(1u << 7)
#define CODE		0x1800		/* of the guest's program */
#define DR7_HOST	0x501		/* DR0, an instruction that is never run */

struct __attribute__((packed)) dtr {
	uint16_t limit;
	uint64_t base;
};

/* As words, so that a difference can be named. */
struct host_state {
	uint64_t rflags, ds, es, fs, gs, ss, cs, fs_base, gs_base, kernel_gs_base;
	uint64_t idtr_base, idtr_limit, cr0, cr3, cr4, xcr0, pkru, dr0, dr1, dr2, dr3, dr7;
	uint64_t gdtr_base, gdtr_limit, ldtr, tr, star, lstar, cstar, fmask, sysenter_cs;
	uint64_t u_cet;
};

static const char *const names[] = {
	"RFLAGS", "DS", "ES", "FS", "GS", "SS", "CS", "FS base", "GS base", "IA32_KERNEL_GS_BASE",
	"IDTR base", "IDTR limit", "CR0", "CR3", "CR4", "XCR0", "PKRU", "DR0", "DR1", "DR2", "DR3", "DR7",
	"GDTR base", "GDTR limit", "LDTR", "TR", "STAR", "LSTAR", "CSTAR", "FMASK", "IA32_SYSENTER_CS",
	"IA32_U_CET",
};
_Static_assert(sizeof(names) / sizeof(names[0]) == sizeof(struct host_state) / 8, "a name each");
#define LAZY_FROM (__builtin_offsetof(struct host_state, gdtr_base) / 8)

#define READ(to, insn)	__asm__ volatile(insn ", %0" : "=r"(to))
#define SEGMENT(to, seg) __asm__ volatile("mov %%" seg ", %0" : "=r"(to))

static void look(struct host_state *state)
{
	struct dtr dtr;
	uint32_t low, high;
	uint16_t selector;

	__asm__ volatile("pushfq; pop %0" : "=r"(state->rflags));
	SEGMENT(state->ds, "ds");
	SEGMENT(state->es, "es");
	SEGMENT(state->fs, "fs");
	SEGMENT(state->gs, "gs");
	SEGMENT(state->ss, "ss");
	SEGMENT(state->cs, "cs");
	__asm__ volatile("rdfsbase %0" : "=r"(state->fs_base));
	__asm__ volatile("rdgsbase %0" : "=r"(state->gs_base));
	state->kernel_gs_base = rdmsr(PVM_MSR_KERNEL_GS_BASE);
	__asm__ volatile("sidt %0" : "=m"(dtr));
	state->idtr_base = dtr.base, state->idtr_limit = dtr.limit;
	state->cr0 = read_cr0(), state->cr3 = read_cr3(), state->cr4 = read_cr4();
	__asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	state->xcr0 = low | (uint64_t)high << 32;
	state->pkru = 0;
	if (cpu_features.pke) {
		__asm__ volatile("rdpkru" : "=a"(low), "=d"(high) : "c"(0));
		state->pkru = low;
	}
	READ(state->dr0, "mov %%dr0");
	READ(state->dr1, "mov %%dr1");
	READ(state->dr2, "mov %%dr2");
	READ(state->dr3, "mov %%dr3");
	READ(state->dr7, "mov %%dr7");
	__asm__ volatile("sgdt %0" : "=m"(dtr));
	state->gdtr_base = dtr.base, state->gdtr_limit = dtr.limit;
	__asm__ volatile("sldt %0" : "=r"(selector));
	state->ldtr = selector;
	__asm__ volatile("str %0" : "=r"(selector));
	state->tr = selector;
	state->star = rdmsr(MSR_STAR), state->lstar = rdmsr(MSR_LSTAR);
	state->cstar = rdmsr(MSR_CSTAR), state->fmask = rdmsr(MSR_FMASK);
	state->sysenter_cs = rdmsr(MSR_SYSENTER_CS);
	state->u_cet = state->cr4 & PVM_CR4_CET ? rdmsr(MSR_U_CET) : 0;
}

static void compare(const char *when, const struct host_state *before, const struct host_state *after,
		    size_t from, size_t to)
{
	const uint64_t *a = (const uint64_t *)before, *b = (const uint64_t *)after;
	size_t i;

	for (i = from; i < to; i++)
		if (a[i] != b[i])
			fail("%s: %s was %lx, is %lx", when, names[i], a[i], b[i]);
}

/* Values that a mistake does not hit by chance. GS base is minivisor's own. */
static void make_special(bool breakpoints)
{
	__asm__ volatile("mov %0, %%ds; mov %0, %%es" : : "r"(KERNEL_DS));
	__asm__ volatile("wrfsbase %0" : : "r"(0x123456789000ul));
	wrmsr(PVM_MSR_KERNEL_GS_BASE, 0x7654321000ul);
	if (cpu_features.pke)
		__asm__ volatile("wrpkru" : : "a"(0x5a5a5a58), "c"(0), "d"(0));
	__asm__ volatile("mov %0, %%dr0" : : "r"((uint64_t)CODE));
	__asm__ volatile("mov %0, %%dr1" : : "r"(0x1111ul));
	__asm__ volatile("mov %0, %%dr2" : : "r"(0x2222ul));
	__asm__ volatile("mov %0, %%dr3" : : "r"(0x3333ul));
	__asm__ volatile("mov %0, %%dr7" : : "r"(breakpoints ? (uint64_t)DR7_HOST : 0x400ul));
}

/* A guest that changes what CPL 3 can change, then does the instruction @end. */
static void write_program(const uint8_t *end, size_t size)
{
	static const uint8_t change[] = {
		0xb8, USER_DS, 0, 0, 0,				/* mov $USER_DS, %eax */
		0x8e, 0xd8, 0x8e, 0xc0,				/* mov %eax, %ds; %es */
		0x8e, 0xe0, 0x8e, 0xe8,				/* %fs; %gs */
		0x48, 0xb8, 0xef, 0xcd, 0xab, 0, 0, 0x7f, 0, 0,	/* mov $..., %rax */
		0xf3, 0x48, 0x0f, 0xae, 0xd0,			/* wrfsbase %rax */
		0xf3, 0x48, 0x0f, 0xae, 0xd8,			/* wrgsbase %rax */
		0xe8, 0, 0, 0, 0, 0x58,				/* call 1f; 1: pop %rax */
		0x48, 0x8d, 0x05, 2, 0, 0, 0, 0xff, 0xe0,	/* lea 1f(%rip), %rax; jmp *%rax; 1: */
		0xfd,						/* std */
		0x9c, 0x81, 0x0c, 0x24, 0, 0, 0x04, 0, 0x9d,	/* pushfq; orl $AC, (%rsp); popfq */
	};

	memcpy(test.memory + CODE, change, sizeof(change));
	memcpy(test.memory + CODE + sizeof(change), end, size);
}

/* The one of the guest's that the program runs into. */
static unsigned breakpoint;

static void start_program(bool user_mode)
{
	struct pvm_vcpu *vcpu = &test.vcpu;
	unsigned i;

	if (vcpu->user_mode != user_mode) {
		uint64_t cr3 = vcpu->cr3;

		vcpu->cr3 = vcpu->msr.switch_cr3;
		vcpu->msr.switch_cr3 = cr3;
		vcpu->user_mode = user_mode;
	}
	vcpu->seg[PVM_CS] = user_mode ? USER_CS : KERNEL_CS;
	vcpu->seg[PVM_SS] = user_mode ? USER_DS : KERNEL_DS;
	vcpu->seg[PVM_DS] = vcpu->seg[PVM_ES] = vcpu->seg[PVM_FS] = vcpu->seg[PVM_GS] = 0;
	vcpu->rip = CODE;
	vcpu->rflags = PVM_RFLAGS_IF | PVM_RFLAGS_FIXED;
	vcpu->gpr[PVM_RSP] = STACK_GPA + PVM_PAGE_SIZE;
	vcpu->gpr[PVM_RAX] = PVM_HC_IRQ_WIN;
	vcpu->pkru = 0;
	for (i = 0; i < 4; i++)
		vcpu->dr[i] = i == breakpoint ? CODE + 5 : 0xaaaa0000u + i;
}

/* The next run loads the CPU first: what is restored lazily changes with it. */
static bool unloaded = true;

/* Run it to the exit that it was written for; each run between is looked at, too. */
static void run_program(const char *name, bool user_mode, bool guest_breakpoints,
			enum pvm_exit_kind kind, unsigned vector)
{
	struct pvm_switcher_exit exit;
	struct host_state before, after;
	pvm_hpa_t root;
	unsigned tries;

	start_program(user_mode);
	pvm_dr_write(&test.vcpu, 7, guest_breakpoints ? 0x4ff : 0x400);
	for (tries = 0; tries < 20; tries++) {
		pvm_switcher_clear_request(&test.svcpu);
		if (pvm_mmu_load(&test.vcpu, &root, PVM_MAY_SLEEP) != PVM_OK)
			fail("no root");
		look(&before);
		pvm_switcher_run(test.cpu, &test.svcpu, root, &exit);
		look(&after);
		compare(name, &before, &after, 0, unloaded ? LAZY_FROM : sizeof(before) / 8);
		unloaded = false;
		if (exit.guest.kind == kind && (kind != PVM_EXIT_EXCEPTION || exit.guest.vector == vector))
			break;
		if (exit.guest.kind != PVM_EXIT_EXCEPTION || exit.guest.vector != PVM_VEC_PF)
			fail("%s: exit %d, vector %u, rip %lx", name, exit.guest.kind, exit.guest.vector, test.vcpu.rip);
		pvm_mmu_fault(&test.vcpu, exit.guest.gva, exit.guest.error_code, PVM_MAY_SLEEP);
	}
	if (tries == 20)
		fail("%s: does not get there", name);
	if (guest_breakpoints && (test.vcpu.dr6 & PVM_DR6_BP_MASK) != 1u << breakpoint)
		fail("%s: DR6 is %lx", name, test.vcpu.dr6);
	if (!guest_breakpoints && test.vcpu.seg[PVM_DS] != USER_DS)
		fail("%s: the guest's DS is %x", name, test.vcpu.seg[PVM_DS]);
	print("%s%s%s: all of the host's state is whole\n", name, user_mode ? ", user mode" : "",
	      guest_breakpoints ? ", with breakpoints" : "");
}

static void every_way_out(void)
{
	static const uint8_t syscall[] = { 0x0f, 0x05 }, ud2[] = { 0x0f, 0x0b }, hlt[] = { 0xf4 };
	static const uint8_t int3[] = { 0xcc };
	unsigned user;

	for (user = 0; user < 2; user++) {
		test.svcpu.inhibit = PVM_INHIBIT_HOST;
		write_program(syscall, sizeof(syscall));
		run_program("SYSCALL", user, false, PVM_EXIT_SYSCALL, 0);
		write_program(ud2, sizeof(ud2));
		run_program("#UD", user, false, PVM_EXIT_EXCEPTION, PVM_VEC_UD);
		write_program(hlt, sizeof(hlt));
		run_program("#GP", user, false, PVM_EXIT_EXCEPTION, PVM_VEC_GP);
		write_program(int3, sizeof(int3));
		run_program("INT3", user, false, PVM_EXIT_SOFTWARE, 0);
		for (breakpoint = 0; breakpoint < 4; breakpoint++)
			run_program("#DB", user, true, PVM_EXIT_EXCEPTION, PVM_VEC_DB);
	}
}

static void give_the_thread_cet(void)
{
	uint32_t leaf7[4];

	cpuid(7, 0, leaf7);
	if (!(leaf7[2] & ECX7_CET_SS))
		return;
	write_cr4(read_cr4() | PVM_CR4_CET);
	wrmsr(MSR_U_CET, U_CET_THREAD);
	print("the thread has a shadow stack\n");
}

void minivisor_main(void)
{
	struct host_state first, last;

	give_the_thread_cet();
	look(&first);
	test_vm_init();
	pvm_switcher_unload(test.cpu);
	make_special(false);
	every_way_out();
	make_special(true);
	__asm__ volatile("mov %0, %%ss" : : "r"(0));	/* as after an interrupt from CPL 3 */
	every_way_out();
	__asm__ volatile("mov %0, %%ss" : : "r"(KERNEL_DS));

	/* Back to what it was at first, but for what unloading must do by itself. */
	__asm__ volatile("mov %0, %%ds; mov %0, %%es" : : "r"((uint64_t)first.ds));
	pvm_switcher_unload(test.cpu);
	look(&last);
	compare("unload", &first, &last, LAZY_FROM, sizeof(first) / 8);
	unloaded = true;
	write_program((const uint8_t[]){ 0x0f, 0x05 }, 2);
	run_program("SYSCALL after unloading", false, false, PVM_EXIT_SYSCALL, 0);
	__asm__ volatile("mov %0, %%ds; mov %0, %%es" : : "r"((uint64_t)first.ds));
	pvm_switcher_unload(test.cpu);
	pvm_switcher_unload(test.cpu);
	look(&last);
	compare("a second unload", &first, &last, LAZY_FROM, sizeof(first) / 8);
	print("unloaded: all of the host's state is whole\n");
	machine_exit(0);
}
