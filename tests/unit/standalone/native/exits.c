/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* What the guest does, and which exit comes of it. */
#include "machine.h"

static struct machine m;

static void setup(void)
{
	machine_init(&m, 1);
}

static void teardown(void)
{
	machine_fini(&m);
}

TestSuite(native_exits, .init = setup, .fini = teardown);

static struct pvm_guest_exit run(void)
{
	return machine_run(m.vcpu[0]);
}

static struct pvm_vcpu *cpu(void)
{
	return &m.vcpu[0]->pvm;
}

GUEST_CODE(code_syscall, "syscall");
GUEST_CODE(code_jump, "jmp *%rbx");

Test(native_exits, syscall_is_an_exit_after_it_with_rcx_and_r11)
{
	struct pvm_guest_exit exit;

	machine_code(&m, code_syscall);
	cpu()->gpr[PVM_RAX] = 0x1708820700000001;
	cpu()->rflags = PVM_RFLAGS_FIXED | PVM_RFLAGS_IF | PVM_RFLAGS_CF;
	exit = run();
	assert_kind(exit, PVM_EXIT_SYSCALL);
	cr_assert_eq(cpu()->rip, CODE + 2);
	cr_assert_eq(cpu()->gpr[PVM_RAX], 0x1708820700000001);
	cr_assert_eq(cpu()->gpr[PVM_RCX], CODE + 2);
	cr_assert_eq(cpu()->gpr[PVM_R11], PVM_RFLAGS_FIXED | PVM_RFLAGS_IF | PVM_RFLAGS_CF);
}

/* A system call number that the host knows is no more than a number. */
GUEST_CODE(code_exit_group, "movl $231, %eax; xorl %edi, %edi; syscall");

Test(native_exits, the_hosts_exit_group_is_only_a_syscall_exit)
{
	struct pvm_guest_exit exit;

	machine_code(&m, code_exit_group);
	exit = run();
	assert_kind(exit, PVM_EXIT_SYSCALL);
	cr_assert_eq(cpu()->gpr[PVM_RAX], 231);
}

GUEST_CODE(code_int80, "movl $1, %eax; int $0x80");

Test(native_exits, int_80_is_an_exit_of_its_own_in_64_bit_code)
{
	struct pvm_guest_exit exit;

	machine_code(&m, code_int80);
	exit = run();
	assert_kind(exit, PVM_EXIT_SOFTWARE);
	cr_assert_eq(cpu()->rip, CODE + 7);
	cr_assert_eq(cpu()->gpr[PVM_RAX], 1);
}

Test(native_exits, int_80_is_an_exit_of_its_own_in_32_bit_code)
{
	struct pvm_guest_exit exit;

	machine_user(&m, false);
	machine_code(&m, code_int80);
	exit = run();
	assert_kind(exit, PVM_EXIT_SOFTWARE);
	cr_assert_eq(cpu()->rip, CODE + 7);
	cr_assert_eq(cpu()->seg[PVM_CS], m.config.user32_cs);
}

GUEST_CODE(code_syscall32, ".code32; nop; movl $0x1234, %ebp; syscall; .code64");

Test(native_exits, syscall_in_32_bit_code_is_syscall32_at_the_instruction_or_ud)
{
	struct pvm_guest_exit exit;

	machine_user(&m, false);
	machine_code(&m, code_syscall32);
	exit = run();
	if (exit.kind == PVM_EXIT_EXCEPTION) {
		assert_exception(exit, PVM_VEC_UD);	/* Intel */
	} else {
		assert_kind(exit, PVM_EXIT_SYSCALL32);
		cr_assert_eq(exit.insn.op, PVM_INSN_SYSCALL32);
		cr_assert_eq(cpu()->gpr[PVM_RBP], 0x1234);
	}
	cr_assert_eq(cpu()->rip, CODE + 6);
}

/* The kernel fetches an argument from the stack first; where there is none it
 * does not come to the dispatch at all. */
Test(native_exits, syscall_in_32_bit_code_without_a_stack_does_not_look_like_a_jump)
{
	struct pvm_guest_exit exit;

	machine_user(&m, false);
	machine_code(&m, code_syscall32);
	cpu()->gpr[PVM_RSP] = 0x60000000;
	exit = run();
	cr_assert(exit.kind == PVM_EXIT_SYSCALL32 ||
		  (exit.kind == PVM_EXIT_EXCEPTION && exit.vector == PVM_VEC_UD));
	cr_assert_eq(cpu()->rip, CODE + 6);
}

/*
 * SYSENTER. AMD's CPUs do not have it in long mode. On Intel's it enters the host
 * kernel, which takes RBP for the stack and reads there; 64-bit code can do it too.
 */
GUEST_CODE(code_sysenter, "nop; sysenter");

#define SYSENTER_AT	(CODE + 1)
#define LINUX_EXIT	1	/* exit() for 32-bit code */

static void check_sysenter(uint64_t rbp)
{
	uint16_t cs = cpu()->seg[PVM_CS];
	struct pvm_guest_exit exit;

	machine_code(&m, code_sysenter);
	cpu()->gpr[PVM_RBP] = rbp;
	cpu()->gpr[PVM_RAX] = LINUX_EXIT;
	cpu()->gpr[PVM_RCX] = 0x1122334455667788;
	exit = run();
	if (exit.kind == PVM_EXIT_EXCEPTION) {
		/* AMD; or a host without 32-bit system calls */
		cr_assert(exit.vector == PVM_VEC_UD || exit.vector == PVM_VEC_GP,
			  "vector %u with rbp %#lx", exit.vector, (unsigned long)rbp);
	} else {
		assert_kind(exit, PVM_EXIT_SYSCALL32);
		cr_assert_eq(exit.insn.op, PVM_INSN_SYSENTER);
	}
	cr_assert_eq(cpu()->rip, SYSENTER_AT);
	cr_assert_eq(cpu()->gpr[PVM_RSP], STACK);
	cr_assert_eq(cpu()->gpr[PVM_RBP], rbp, "%#lx", (unsigned long)cpu()->gpr[PVM_RBP]);
	cr_assert_eq(cpu()->gpr[PVM_RAX], LINUX_EXIT);
	cr_assert_eq(cpu()->gpr[PVM_RCX], 0x1122334455667788);
	cr_assert_eq(cpu()->seg[PVM_CS], cs);
}

static void check_sysenter_with_any_rbp(void)
{
	pid_t stub;

	check_sysenter(CODE);			/* mapped: it has just been fetched from */
	stub = machine_stub(m.vcpu[0]);
	check_sysenter(CODE + 1);
	check_sysenter(0x60000000);		/* not mapped */
	check_sysenter(0);
	check_sysenter(STUB_SHARED & ~0u);
	check_sysenter(0xabcd00000000 | CODE);
	check_sysenter(0xffffffffffffffff);
	check_sysenter(0x8000000000000000);
	cr_assert_eq(machine_stub(m.vcpu[0]), stub, "the stub was lost");
}

/* spec: C-113 */
Test(native_exits, M2_sysenter_never_reaches_the_host)
{
	check_sysenter_with_any_rbp();
}

Test(native_exits, M2_sysenter_of_a_64_bit_user_program_never_reaches_the_host)
{
	machine_user(&m, true);
	check_sysenter_with_any_rbp();
}

Test(native_exits, M2_sysenter_of_a_32_bit_user_program_never_reaches_the_host)
{
	machine_user(&m, false);
	check_sysenter(CODE);
	check_sysenter(0x60000000);
	check_sysenter(0xffffffff);
}

/* The host returns to an address of its own choice. What of it code can reach
 * must be nowhere that a guest has a page. */
Test(native_exits, the_landing_of_32_bit_system_calls_is_in_page_0)
{
	cr_assert_eq(STUB_VDSO_GRAVE & 0xffffffff, 0);
	cr_assert_geq(native_vm(&m.vm)->lowest, PVM_PAGE_SIZE);
}

/* A call of a null pointer's member is no SYSENTER. */
Test(native_exits, a_jump_into_page_0_is_page_fault_there)
{
	struct pvm_guest_exit exit;

	machine_user(&m, false);
	machine_map(&m, m.user_cr3, 0, 0, 1, 0);
	machine_code(&m, code_jump);
	cpu()->gpr[PVM_RAX] = 0xfffffff2;
	cpu()->gpr[PVM_RBX] = 0x5e9;
	exit = run();
	assert_page_fault(exit, 0x5e9);
	cr_assert_eq(cpu()->rip, 0x5e9);
}

GUEST_CODE(code_read, "movq (%rbx), %rax");
GUEST_CODE(code_write, "movq %rax, (%rbx)");

Test(native_exits, a_read_of_nothing_is_page_fault_with_its_address)
{
	struct pvm_guest_exit exit;

	machine_code(&m, code_read);
	cpu()->gpr[PVM_RBX] = 0x7654321000;
	exit = run();
	assert_page_fault(exit, 0x7654321000);
	cr_assert_eq(exit.error_code, 0);
	cr_assert_eq(cpu()->rip, CODE);
}

Test(native_exits, a_write_to_a_read_only_page_is_page_fault)
{
	struct pvm_guest_exit exit;

	machine_map(&m, m.supervisor_cr3, DATA, DATA, 1, PVM_PTE_P | PVM_PTE_U);
	machine_code(&m, code_write);
	cpu()->gpr[PVM_RBX] = DATA + 8;
	exit = run();
	assert_page_fault(exit, DATA + 8);
	cr_assert_eq(exit.error_code, PVM_PF_P | PVM_PF_W);
}

/* spec: C-006 */
Test(native_exits, a_jump_into_a_no_execute_page_is_page_fault)
{
	struct pvm_guest_exit exit;

	machine_map(&m, m.supervisor_cr3, DATA, DATA, 1, RWX | PVM_PTE_NX);
	machine_code(&m, code_jump);
	cpu()->gpr[PVM_RBX] = DATA;
	exit = run();
	assert_page_fault(exit, DATA);
	cr_assert_eq(exit.error_code, PVM_PF_P | PVM_PF_I);
	cr_assert_eq(cpu()->rip, DATA);
}

Test(native_exits, a_page_of_the_upper_half_is_page_fault)
{
	struct pvm_guest_exit exit;

	machine_code(&m, code_read);
	cpu()->gpr[PVM_RBX] = 0xffff888000000000;
	exit = machine_run_once(m.vcpu[0]);	/* the code */
	assert_page_fault(exit, CODE);
	exit = run();
	assert_page_fault(exit, 0xffff888000000000);
}

Test(native_exits, an_address_that_is_not_canonical_is_gp)
{
	struct pvm_guest_exit exit;

	machine_code(&m, code_read);
	cpu()->gpr[PVM_RBX] = 0x0100000000000000;
	exit = run();
	assert_exception(exit, PVM_VEC_GP);
	cr_assert_eq(exit.error_code, 0);
	cr_assert_eq(cpu()->rip, CODE);
}

Test(native_exits, a_jump_to_an_address_that_is_not_canonical_is_gp)
{
	struct pvm_guest_exit exit;

	machine_code(&m, code_jump);
	cpu()->gpr[PVM_RBX] = 0x0100000000000000;
	exit = run();
	assert_exception(exit, PVM_VEC_GP);
}

Test(native_exits, an_entry_at_an_address_that_is_not_canonical_is_gp)
{
	struct pvm_guest_exit exit;

	cpu()->rip = 0x0100000000000000;
	exit = run();
	assert_exception(exit, PVM_VEC_GP);
	cr_assert_eq(cpu()->rip, 0x0100000000000000);
}


Test(native_exits, a_stack_that_is_not_canonical_is_ss)
{
	struct pvm_guest_exit exit;
	static const uint8_t code[] = { 0x58 };	/* pop %rax */

	machine_put(&m, m.vcpu[0], CODE, code, 1);
	cpu()->gpr[PVM_RSP] = 0x0100000000000000;
	exit = run();
	assert_exception(exit, PVM_VEC_SS);
	cr_assert_eq(exit.error_code, 0);
}

GUEST_CODE(code_ud2, "ud2");
GUEST_CODE(code_int3, "int3");
GUEST_CODE(code_icebp, ".byte 0xf1");
GUEST_CODE(code_div, "xorl %ecx, %ecx; xorl %edx, %edx; divl %ecx");
GUEST_CODE(code_hlt, "hlt");
GUEST_CODE(code_int20, "int $0x20");
GUEST_CODE(code_int4, "int $4");

Test(native_exits, ud2_is_ud_at_the_instruction)
{
	struct pvm_guest_exit exit;

	machine_code(&m, code_ud2);
	exit = run();
	assert_exception(exit, PVM_VEC_UD);
	cr_assert_eq(cpu()->rip, CODE);
}

Test(native_exits, int3_is_bp_after_it)
{
	struct pvm_guest_exit exit;

	machine_code(&m, code_int3);
	exit = run();
	assert_exception(exit, PVM_VEC_BP);
	cr_assert_eq(cpu()->rip, CODE + 1);
}

/* Where rip is then, hosts that are guests themselves do not agree about. */
Test(native_exits, icebp_is_db)
{
	struct pvm_guest_exit exit;

	machine_code(&m, code_icebp);
	exit = run();
	assert_exception(exit, PVM_VEC_DB);
	cr_assert_eq(cpu()->dr6 & PVM_DR6_BS, 0);
}

Test(native_exits, division_by_zero_is_de)
{
	struct pvm_guest_exit exit;

	machine_code(&m, code_div);
	exit = run();
	assert_exception(exit, PVM_VEC_DE);
	cr_assert_eq(cpu()->rip, CODE + 4);
}

/* spec: C-001, C-009 */
Test(native_exits, privileged_instructions_are_gp_at_the_instruction)
{
	static const uint8_t instructions[][3] = {
		{ 0xf4 },		/* hlt */
		{ 0xfa },		/* cli */
		{ 0xec },		/* in %dx, %al */
		{ 0xee },		/* out %al, %dx */
		{ 0x0f, 0x32 },		/* rdmsr */
		{ 0x0f, 0x30 },		/* wrmsr */
		{ 0x0f, 0x20, 0xc0 },	/* mov %cr0, %rax */
		{ 0x0f, 0x21, 0xc0 },	/* mov %db0, %rax */
	};
	struct pvm_guest_exit exit;
	unsigned i;

	for (i = 0; i < sizeof(instructions) / sizeof(instructions[0]); i++) {
		machine_put(&m, m.vcpu[0], CODE, instructions[i], 3);
		exit = run();
		assert_exception(exit, PVM_VEC_GP);
		cr_assert_eq(exit.error_code, 0);
		cr_assert_eq(cpu()->rip, CODE);
	}
}

Test(native_exits, int_n_is_gp_with_its_number)
{
	struct pvm_guest_exit exit;

	machine_code(&m, code_int20);
	exit = run();
	assert_exception(exit, PVM_VEC_GP);
	cr_assert_eq(exit.error_code, 0x20 * 8 + 2);
	cr_assert_eq(cpu()->rip, CODE);
}

/* spec: C-011 */
Test(native_exits, int_4_is_gp_although_its_gate_is_open)
{
	struct pvm_guest_exit exit;

	machine_code(&m, code_int4);
	exit = run();
	assert_exception(exit, PVM_VEC_GP);
	cr_assert_eq(exit.error_code, 4 * 8 + 2);
	cr_assert_eq(cpu()->rip, CODE);
}

GUEST_CODE(code_into, ".code32; movb $0x7f, %al; addb $1, %al; .byte 0xce; .code64");

Test(native_exits, into_in_32_bit_code_is_of)
{
	struct pvm_guest_exit exit;

	machine_user(&m, false);
	machine_code(&m, code_into);
	exit = run();
	assert_exception(exit, PVM_VEC_OF);
	cr_assert_eq(cpu()->rip, CODE + 5);
}

GUEST_CODE(code_bad_selector, "movl $0x50, %eax; movl %eax, %ds");
GUEST_CODE(code_ldt_selector, "movl $0x0f, %eax; movl %eax, %ds");

/* spec: C-010, C-014 */
Test(native_exits, a_selector_that_is_not_there_is_gp_with_it)
{
	struct pvm_guest_exit exit;

	machine_code(&m, code_bad_selector);
	exit = run();
	assert_exception(exit, PVM_VEC_GP);
	cr_assert_eq(exit.error_code, 0x50);
	machine_code(&m, code_ldt_selector);
	exit = run();
	assert_exception(exit, PVM_VEC_GP);
	cr_assert_eq(exit.error_code, 0x0c);
}

GUEST_CODE(code_alignment, "pushfq; orl $0x40000, (%rsp); popfq; movl 1(%rbx), %eax");

Test(native_exits, an_unaligned_access_with_AC_set_is_ac_and_the_stub_survives)
{
	struct pvm_guest_exit exit;

	machine_code(&m, code_alignment);
	cpu()->gpr[PVM_RBX] = DATA;
	exit = run();
	assert_exception(exit, PVM_VEC_AC);
	cr_assert_eq(exit.error_code, 0);
	cr_assert(cpu()->rflags & PVM_RFLAGS_AC);
	machine_code(&m, code_syscall);
	exit = run();
	assert_kind(exit, PVM_EXIT_SYSCALL);
	cr_assert(cpu()->rflags & PVM_RFLAGS_AC);
}

GUEST_CODE(code_sse_exception, "ldmxcsr (%rbx); xorps %xmm0, %xmm0; divps %xmm0, %xmm0");

Test(native_exits, an_unmasked_sse_exception_is_xm)
{
	struct pvm_guest_exit exit;

	machine_code(&m, code_sse_exception);
	*(uint32_t *)machine_at(&m, DATA) = 0x1f80 & ~0x80u;
	cpu()->gpr[PVM_RBX] = DATA;
	exit = run();
	assert_exception(exit, PVM_VEC_XM);
}

/* ------------------------------------------------------------------------
 * The vsyscall page is the host kernel's, and executable where it exists.
 */
static const uint64_t vsyscalls[] = { 0xffffffffff600000, 0xffffffffff600400, 0xffffffffff600800 };

Test(native_exits, a_call_of_the_vsyscall_page_is_a_fetch_fault_there)
{
	struct pvm_guest_exit exit;
	unsigned i;

	for (i = 0; i < 3; i++) {
		machine_code(&m, code_jump);
		cpu()->gpr[PVM_RBX] = vsyscalls[i];
		cpu()->gpr[PVM_RSP] = STACK - 64;
		cpu()->gpr[PVM_RDI] = DATA;
		*(uint64_t *)machine_at(&m, STACK - 64) = CODE + 0x100;
		exit = run();
		assert_page_fault(exit, vsyscalls[i]);
		cr_assert_eq(cpu()->rip, vsyscalls[i]);
		cr_assert_eq(cpu()->gpr[PVM_RSP], STACK - 64);
		cr_assert_eq(exit.error_code & PVM_PF_I, PVM_PF_I);
		cr_assert_eq(*(uint64_t *)machine_at(&m, DATA), 0, "the host kernel has written the time");
	}
}

Test(native_exits, a_call_of_the_vsyscall_page_without_a_stack_is_a_fetch_fault_too)
{
	struct pvm_guest_exit exit;

	machine_code(&m, code_jump);
	cpu()->gpr[PVM_RBX] = vsyscalls[1];
	cpu()->gpr[PVM_RSP] = 0x7654321000;
	exit = run();
	assert_page_fault(exit, vsyscalls[1]);
	cr_assert_eq(cpu()->rip, vsyscalls[1]);
}
