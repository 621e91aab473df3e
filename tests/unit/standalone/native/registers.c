/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Every register of the guest, into the CPU and back. */
#include "machine.h"

#include <cpuid.h>

static struct machine m;

static void setup(void)
{
	machine_init(&m, 1);
}

static void teardown(void)
{
	machine_fini(&m);
}

TestSuite(native_registers, .init = setup, .fini = teardown);

static struct pvm_vcpu *cpu(void)
{
	return &m.vcpu[0]->pvm;
}

static void run_to_syscall(void)
{
	struct pvm_guest_exit exit = machine_run(m.vcpu[0]);

	assert_kind(exit, PVM_EXIT_SYSCALL);
}

GUEST_CODE(code_syscall, "syscall");
GUEST_CODE(code_increment,
	   "lea 1(%rax), %rax; lea 1(%rdx), %rdx; lea 1(%rbx), %rbx; lea 1(%rsp), %rsp;"
	   "lea 1(%rbp), %rbp; lea 1(%rsi), %rsi; lea 1(%rdi), %rdi; lea 1(%r8), %r8;"
	   "lea 1(%r9), %r9; lea 1(%r10), %r10; lea 1(%r12), %r12; lea 1(%r13), %r13;"
	   "lea 1(%r14), %r14; lea 1(%r15), %r15; syscall");
GUEST_CODE(code_int3, "int3");

Test(native_registers, general_registers_go_in_and_come_back)
{
	unsigned i;

	machine_code(&m, code_increment);
	for (i = 0; i < PVM_GPR_COUNT; i++)
		cpu()->gpr[i] = 0x1111111111111111ull * i + 0x77;
	run_to_syscall();
	for (i = 0; i < PVM_GPR_COUNT; i++) {
		if (i != PVM_RCX && i != PVM_R11)
			cr_assert_eq(cpu()->gpr[i], 0x1111111111111111ull * i + 0x78, "register %u", i);
	}
}

Test(native_registers, rcx_and_r11_survive_what_is_no_syscall)
{
	struct pvm_guest_exit exit;

	machine_code(&m, code_int3);
	cpu()->gpr[PVM_RCX] = 0x1234567890;
	cpu()->gpr[PVM_R11] = 0x9876543210;
	exit = machine_run(m.vcpu[0]);
	assert_exception(exit, PVM_VEC_BP);
	cr_assert_eq(cpu()->gpr[PVM_RCX], 0x1234567890);
	cr_assert_eq(cpu()->gpr[PVM_R11], 0x9876543210);
}

/* ------------------------------------------------------------------------
 * RFLAGS.
 */

GUEST_CODE(code_pushfq, "pushfq; popq %rax; int3");

/* spec: C-002, C-030, C-065 */
Test(native_registers, S2_rflags_that_reach_the_cpu_are_sanitized_whatever_the_vcpu_holds)
{
	const uint64_t forbidden = PVM_RFLAGS_IOPL | PVM_RFLAGS_VM | PVM_RFLAGS_VIF | PVM_RFLAGS_VIP;
	struct pvm_guest_exit exit;

	machine_code(&m, code_pushfq);
	cpu()->rflags = ~0ull & ~(uint64_t)(PVM_RFLAGS_TF | PVM_RFLAGS_RF | PVM_RFLAGS_DF);
	exit = machine_run(m.vcpu[0]);
	assert_exception(exit, PVM_VEC_BP);
	cr_assert_eq(cpu()->gpr[PVM_RAX], cpu()->rflags & ~(uint64_t)PVM_RFLAGS_RF);
	cr_assert_eq(cpu()->gpr[PVM_RAX] & forbidden, 0);
	cr_assert(cpu()->gpr[PVM_RAX] & PVM_RFLAGS_IF);
	cr_assert(cpu()->gpr[PVM_RAX] & PVM_RFLAGS_FIXED);
	/* The CPU would drop most of it at CPL 3: look at what it was given, too. */
	machine_code(&m, code_pushfq);
	cpu()->rflags = forbidden;
	exit = machine_run(m.vcpu[0]);
	assert_exception(exit, PVM_VEC_BP);
	cr_assert_eq(machine_space(m.vcpu[0])->control->registers.iret.rflags,
		     PVM_RFLAGS_IF | PVM_RFLAGS_FIXED);
}

Test(native_registers, every_flag_of_the_guest_is_loaded_and_none_leaks_from_before)
{
	static const uint64_t flags[] = {
		PVM_RFLAGS_CF, PVM_RFLAGS_PF, PVM_RFLAGS_AF, PVM_RFLAGS_ZF, PVM_RFLAGS_SF,
		PVM_RFLAGS_DF, PVM_RFLAGS_OF, PVM_RFLAGS_NT, PVM_RFLAGS_AC, PVM_RFLAGS_ID, 0,
	};
	struct pvm_guest_exit exit;
	unsigned i;

	for (i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		machine_code(&m, code_pushfq);
		cpu()->rflags = flags[i] | PVM_RFLAGS_FIXED | PVM_RFLAGS_IF;
		exit = machine_run(m.vcpu[0]);
		assert_exception(exit, PVM_VEC_BP);
		cr_assert_eq(cpu()->gpr[PVM_RAX], flags[i] | PVM_RFLAGS_FIXED | PVM_RFLAGS_IF,
			     "%#lx instead of %#lx", (unsigned long)cpu()->gpr[PVM_RAX],
			     (unsigned long)flags[i]);
	}
}

GUEST_CODE(code_nops, "nop; nop; nop");

Test(native_registers, trap_flag_steps_one_instruction_and_says_so_in_dr6)
{
	struct pvm_guest_exit exit;
	unsigned i;

	machine_code(&m, code_nops);
	for (i = 1; i <= 3; i++) {
		cpu()->rflags = PVM_RFLAGS_FIXED | PVM_RFLAGS_IF | PVM_RFLAGS_TF;
		exit = machine_run(m.vcpu[0]);
		assert_exception(exit, PVM_VEC_DB);
		cr_assert_eq(cpu()->rip, CODE + i);
		cr_assert_eq(cpu()->dr6, PVM_DR6_FIXED | PVM_DR6_BS);
	}
}

/* ------------------------------------------------------------------------
 * Segments.
 */

GUEST_CODE(code_cs_ss, "movl %cs, %eax; movl %ss, %ebx; movl %ds, %edx; movl %es, %esi; int3");

/* spec: C-012, C-013, C-041, C-043 */
Test(native_registers, supervisor_mode_runs_on_the_hosts_user_cs_and_ss)
{
	struct pvm_guest_exit exit;

	machine_code(&m, code_cs_ss);
	exit = machine_run(m.vcpu[0]);
	assert_exception(exit, PVM_VEC_BP);
	cr_assert_eq(cpu()->gpr[PVM_RAX], m.config.user_cs);
	cr_assert_eq(cpu()->gpr[PVM_RBX], m.config.user_ds);
	cr_assert_eq(cpu()->seg[PVM_CS], m.config.kernel_cs);
	cr_assert_eq(cpu()->seg[PVM_SS], m.config.kernel_ds);
}

GUEST_CODE(code_load_segments,
	   "movl %eax, %ds; movl %edx, %es; movl %esi, %fs; movl %edi, %gs; int3");

/* spec: C-008, C-045 */
Test(native_registers, data_segments_that_the_guest_loads_come_back_and_are_loaded_again)
{
	struct pvm_guest_exit exit;

	machine_code(&m, code_load_segments);
	cpu()->gpr[PVM_RAX] = m.config.user_ds;
	cpu()->gpr[PVM_RDX] = m.config.cpunode_sel;
	cpu()->gpr[PVM_RSI] = m.config.user_ds;
	cpu()->gpr[PVM_RDI] = 0;
	exit = machine_run(m.vcpu[0]);
	assert_exception(exit, PVM_VEC_BP);
	cr_assert_eq(cpu()->seg[PVM_DS], m.config.user_ds);
	cr_assert_eq(cpu()->seg[PVM_ES], m.config.cpunode_sel);
	cr_assert_eq(cpu()->seg[PVM_FS], m.config.user_ds);
	cr_assert_eq(cpu()->seg[PVM_GS], 0);
	machine_code(&m, code_cs_ss);
	exit = machine_run(m.vcpu[0]);
	assert_exception(exit, PVM_VEC_BP);
	cr_assert_eq(cpu()->gpr[PVM_RDX], m.config.user_ds);
	cr_assert_eq(cpu()->gpr[PVM_RSI], m.config.cpunode_sel);
}

/* spec: C-014 */
Test(native_registers, a_selector_that_could_not_be_loaded_becomes_null_and_kills_nothing)
{
	struct pvm_guest_exit exit;
	unsigned i;

	static const uint16_t bad[] = { 0x10, 0x1b, 0x63, 0x50, 0x0f, 0x7fff, 0xffff };

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		machine_code(&m, code_cs_ss);
		cpu()->seg[PVM_DS] = cpu()->seg[PVM_ES] = cpu()->seg[PVM_FS] = cpu()->seg[PVM_GS] = bad[i];
		exit = machine_run(m.vcpu[0]);
		assert_exception(exit, PVM_VEC_BP);
		cr_assert_eq(cpu()->gpr[PVM_RDX], 0, "%#x", bad[i]);
	}
}

/* push %cs; pop %es, as real code does. */
Test(native_registers, a_code_selector_that_can_be_read_stays)
{
	struct pvm_guest_exit exit;
	const uint16_t code[] = { m.config.user_cs, m.config.user32_cs };
	unsigned i;

	for (i = 0; i < 2; i++) {
		machine_code(&m, code_cs_ss);
		cpu()->seg[PVM_DS] = cpu()->seg[PVM_ES] = code[i];
		exit = machine_run(m.vcpu[0]);
		assert_exception(exit, PVM_VEC_BP);
		cr_assert_eq(cpu()->gpr[PVM_RDX], code[i]);
		cr_assert_eq(cpu()->gpr[PVM_RSI], code[i]);
	}
}

GUEST_CODE(code_bases, "rdfsbase %rax; rdgsbase %rbx; wrfsbase %rdx; wrgsbase %rsi; int3");

/* spec: C-005, C-068 */
Test(native_registers, fs_and_gs_bases_go_in_and_come_back)
{
	struct pvm_guest_exit exit;

	machine_code(&m, code_bases);
	cpu()->fs_base = 0x123456789000;
	cpu()->gs_base = 0x7ffffffff123;
	cpu()->gpr[PVM_RDX] = 0x1111;
	cpu()->gpr[PVM_RSI] = 0xffff888012345678;
	exit = machine_run(m.vcpu[0]);
	assert_exception(exit, PVM_VEC_BP);
	cr_assert_eq(cpu()->gpr[PVM_RAX], 0x123456789000);
	cr_assert_eq(cpu()->gpr[PVM_RBX], 0x7ffffffff123);
	cr_assert_eq(cpu()->fs_base, 0x1111);
	cr_assert_eq(cpu()->gs_base, 0xffff888012345678);
}

Test(native_registers, a_base_that_is_not_canonical_is_made_so_and_kills_nothing)
{
	struct pvm_guest_exit exit;

	machine_code(&m, code_bases);
	cpu()->fs_base = 0x0123800000001000;
	cpu()->gs_base = 0x0123400000001000;
	exit = machine_run(m.vcpu[0]);
	assert_exception(exit, PVM_VEC_BP);
	cr_assert_eq(cpu()->gpr[PVM_RAX], 0xffff800000001000);
	cr_assert_eq(cpu()->gpr[PVM_RBX], 0x0000400000001000);
}

GUEST_CODE(code_tls, "movl %eax, %fs; movl %fs:4, %ecx; movl %edx, %gs; int3");

/* spec: C-037 */
Test(native_registers, tls_descriptors_are_the_guests)
{
	/* 32-bit writable data, base DATA, limit 4 GiB. */
	const uint64_t desc = 0x00cff3000000ffff | (DATA & 0xffffff) << 16;
	const uint64_t tls[3] = { desc, 0, desc + (0x1000 << 16) };
	struct pvm_guest_exit exit;

	pvm_load_tls(cpu(), tls);
	machine_code(&m, code_tls);
	*(uint32_t *)machine_at(&m, DATA + 4) = 0xfeedface;
	cpu()->gpr[PVM_RAX] = 0x63;
	cpu()->gpr[PVM_RDX] = 0x73;
	exit = machine_run(m.vcpu[0]);
	assert_exception(exit, PVM_VEC_BP);
	cr_assert_eq(cpu()->gpr[PVM_RCX], 0xfeedface);
	cr_assert_eq(cpu()->fs_base, DATA);
	cr_assert_eq(cpu()->gs_base, DATA + 0x1000);
	/* The middle one is empty, and one can be taken away again. */
	machine_code(&m, code_tls);
	cpu()->gpr[PVM_RAX] = 0x6b;
	exit = machine_run(m.vcpu[0]);
	assert_exception(exit, PVM_VEC_GP);
	cr_assert_eq(exit.error_code, 0x68);
	pvm_load_tls(cpu(), (const uint64_t[3]){ 0, 0, 0 });
	cpu()->gpr[PVM_RAX] = 0x63;
	exit = machine_run(m.vcpu[0]);
	assert_exception(exit, PVM_VEC_GP);
}

GUEST_CODE(code_other_ss, "movl %eax, %ss; int3");

/* A user program must not make its supervisor's EVENT_RETURN_USER fail. */
Test(native_registers, S4_user_mode_has_the_two_code_segments_and_one_stack_segment)
{
	const uint64_t tls[3] = { 0x00cff3000000ffffull, 0, 0 };
	struct pvm_guest_exit exit;

	machine_user(&m, true);
	pvm_load_tls(cpu(), tls);
	machine_code(&m, code_other_ss);
	cpu()->gpr[PVM_RAX] = 0x63;
	exit = machine_run(m.vcpu[0]);
	assert_exception(exit, PVM_VEC_BP);
	cr_assert_eq(cpu()->seg[PVM_SS], 0x2b);
	cr_assert_eq(cpu()->seg[PVM_CS], 0x33);
}

GUEST_CODE(code_32, ".code32; movl %cs, %eax; movl $0x89abcdef, (%ebx); movl %esp, %ecx; int3;"
	   ".code64");

/* spec: C-020, C-042 */
Test(native_registers, compatible_user_mode_runs_32_bit_code_with_32_bit_registers)
{
	struct pvm_guest_exit exit;

	machine_user(&m, false);
	machine_code(&m, code_32);
	cpu()->gpr[PVM_RBX] = DATA;
	exit = machine_run(m.vcpu[0]);
	assert_exception(exit, PVM_VEC_BP);
	cr_assert_eq(cpu()->gpr[PVM_RAX], m.config.user32_cs);
	cr_assert_eq(*(uint32_t *)machine_at(&m, DATA), 0x89abcdef);
	cr_assert_eq(cpu()->gpr[PVM_RCX], STACK);
	cr_assert_eq(cpu()->seg[PVM_CS], m.config.user32_cs);
	cr_assert_eq(cpu()->seg[PVM_SS], m.config.user_ds);
}

/* ------------------------------------------------------------------------
 * Extended state.
 */

GUEST_CODE(code_xmm_get, "movq %xmm3, %rax; movq %xmm15, %rbx; stmxcsr (%rdx); fnstcw 4(%rdx); int3");
GUEST_CODE(code_xmm_set, "movq %rax, %xmm3; movq %rbx, %xmm15; fld1; int3");

Test(native_registers, extended_state_starts_reset)
{
	struct pvm_guest_exit exit;

	/* Dirty the stub with another state first. */
	machine_code(&m, code_xmm_set);
	cpu()->gpr[PVM_RAX] = 0x1234;
	exit = machine_run(m.vcpu[0]);
	assert_exception(exit, PVM_VEC_BP);
	m.vcpu[0]->xstate_size = 0;
	machine_code(&m, code_xmm_get);
	cpu()->gpr[PVM_RDX] = DATA;
	exit = machine_run(m.vcpu[0]);
	assert_exception(exit, PVM_VEC_BP);
	cr_assert_eq(cpu()->gpr[PVM_RAX], 0);
	cr_assert_eq(cpu()->gpr[PVM_RBX], 0);
	cr_assert_eq(*(uint32_t *)machine_at(&m, DATA), 0x1f80);
	cr_assert_eq(*(uint16_t *)machine_at(&m, DATA + 4), 0x37f);
}

Test(native_registers, extended_state_follows_the_vcpu_from_one_stub_to_another)
{
	struct pvm_guest_exit exit;
	pid_t first;

	machine_code(&m, code_xmm_set);
	cpu()->gpr[PVM_RAX] = 0x1234567890abcdef;
	cpu()->gpr[PVM_RBX] = 0xfedcba0987654321;
	exit = machine_run(m.vcpu[0]);
	assert_exception(exit, PVM_VEC_BP);
	first = machine_stub(m.vcpu[0]);
	machine_user(&m, true);
	machine_code(&m, code_xmm_get);
	cpu()->gpr[PVM_RDX] = DATA;
	exit = machine_run(m.vcpu[0]);
	assert_exception(exit, PVM_VEC_BP);
	cr_assert_neq(machine_stub(m.vcpu[0]), first);
	cr_assert_eq(cpu()->gpr[PVM_RAX], 0x1234567890abcdef);
	cr_assert_eq(cpu()->gpr[PVM_RBX], 0xfedcba0987654321);
}

Test(native_registers, extended_state_that_no_cpu_could_hold_kills_nothing)
{
	struct pvm_guest_exit exit;
	unsigned round;

	machine_code(&m, code_int3);
	exit = machine_run(m.vcpu[0]);
	cr_assert_gt(m.vcpu[0]->xstate_size, 576);
	for (round = 0; round < 2; round++) {
		memset(m.vcpu[0]->xstate, round ? 0xff : 0xa5, sizeof(m.vcpu[0]->xstate));
		machine_code(&m, code_int3);
		exit = machine_run(m.vcpu[0]);
		assert_exception(exit, PVM_VEC_BP);
	}
	m.vcpu[0]->xstate_size = MONITOR_XSTATE_MAX;
	machine_code(&m, code_int3);
	exit = machine_run(m.vcpu[0]);
	assert_exception(exit, PVM_VEC_BP);
	m.vcpu[0]->xstate_size = 1;
	machine_code(&m, code_int3);
	exit = machine_run(m.vcpu[0]);
	assert_exception(exit, PVM_VEC_BP);
}

GUEST_CODE(code_pkru, "xorl %ecx, %ecx; rdpkru; movl %eax, %ebx; movl %esi, %eax;"
	   "xorl %edx, %edx; wrpkru; int3");

/* spec: C-115, C-153 */
#define XSTATE_BV	512
#define XTILECFG	(1ull << 17)
#define APX		(1ull << 19)

/* A host that has more than guests are offered: their kernels do not know that there is anything to save. */
Test(native_registers, N4_state_that_no_guest_is_offered_goes_to_no_other_program)
{
	struct sigframe_place place;
	struct stub_control *control;
	uint64_t *bits = (uint64_t *)(void *)(m.vcpu[0]->xstate + XSTATE_BV);

	machine_code(&m, code_syscall);
	run_to_syscall();
	place = machine_space(m.vcpu[0])->frame;
	control = machine_space(m.vcpu[0])->control;
	place.layout.features |= XTILECFG | APX;
	*bits = 3 | XTILECFG | APX;
	frame_load(&place, control, m.vcpu[0], (uint64_t[3]){ 0 });
	bits = (uint64_t *)(void *)(control->xstate + XSTATE_BV);
	cr_expect_eq(*bits & (3 | XTILECFG | APX), 3, "loaded: %#lx", (unsigned long)*bits);
	cr_expect_eq(control->xfeatures & (XTILECFG | APX), XTILECFG | APX, "they are reset");
	*bits |= XTILECFG | APX;
	frame_store_xstate(&place, control->xstate, m.vcpu[0]);
	bits = (uint64_t *)(void *)(m.vcpu[0]->xstate + XSTATE_BV);
	cr_expect_eq(*bits & (XTILECFG | APX), 0, "stored: %#lx", (unsigned long)*bits);
}

Test(native_registers, S11_pkru_is_the_vcpus_and_comes_back)
{
	struct pvm_guest_exit exit;

	if (!m.config.host_pke)
		cr_skip_test("this CPU has no protection keys");
	machine_code(&m, code_pkru);
	cpu()->pkru = 0x55555550;
	cpu()->gpr[PVM_RSI] = 0xc0;
	exit = machine_run(m.vcpu[0]);
	assert_exception(exit, PVM_VEC_BP);
	cr_assert_eq(cpu()->gpr[PVM_RBX], 0x55555550);
	cr_assert_eq(cpu()->pkru, 0xc0);
}

GUEST_CODE(code_pkru_denied, "movq %rsp, %rbp; xorl %ecx, %ecx; rdpkru; movl %eax, %ebx; xorl %edx, %edx;"
	   "xorl %eax, %eax; wrpkru; int3");

/* The stub's own pages have key 0. */
Test(native_registers, S11_a_guest_may_be_entered_with_protection_key_0_denied)
{
	struct pvm_guest_exit exit;
	unsigned i;

	if (!m.config.host_pke)
		cr_skip_test("this CPU has no protection keys");
	for (i = 0; i < 3; i++) {
		machine_code(&m, code_pkru_denied);
		cpu()->pkru = 0x55555555;
		cpu()->gpr[PVM_RSP] = STACK - 8 * i;
		cpu()->gpr[PVM_R15] = 0x1234567890 + i;
		exit = machine_run(m.vcpu[0]);
		assert_exception(exit, PVM_VEC_BP);
		cr_assert_eq(cpu()->gpr[PVM_RBX], 0x55555555);
		cr_assert_eq(cpu()->gpr[PVM_RBP], STACK - 8 * i);
		cr_assert_eq(cpu()->gpr[PVM_R15], 0x1234567890 + i);
		cr_assert_eq(cpu()->pkru, 0);
	}
}

/* ------------------------------------------------------------------------
 * Debug registers.
 */

#define DR7_L(n)	(1ull << (2 * (n)))
#define DR7_IS(n, rw, len) ((uint64_t)((rw) | (len) << 2) << (16 + 4 * (n)))

GUEST_CODE(code_store, "movb $1, 5(%rbx); nop; nop; syscall");

static void break_at(unsigned n, uint64_t address, unsigned rw, unsigned len)
{
	cpu()->dr[n] = address;
	cpu()->dr7 = PVM_DR7_FIXED | DR7_L(n) | DR7_IS(n, rw, len);
}

Test(native_registers, an_instruction_breakpoint_is_db_at_it_with_its_bit_and_RF_passes_it)
{
	struct pvm_guest_exit exit;

	machine_code(&m, code_store);
	cpu()->gpr[PVM_RBX] = DATA;
	break_at(2, CODE + 4, 0, 0);
	exit = machine_run(m.vcpu[0]);
	assert_exception(exit, PVM_VEC_DB);
	cr_assert_eq(cpu()->rip, CODE + 4);
	cr_assert_eq(cpu()->dr6, PVM_DR6_FIXED | 4);
	cpu()->rflags |= PVM_RFLAGS_RF;
	run_to_syscall();
}

Test(native_registers, a_data_breakpoint_is_db_after_the_access)
{
	struct pvm_guest_exit exit;
	static const uint8_t lengths[] = { 0, 1, 3, 2 };	/* 1, 2, 4, 8 bytes */
	static const uint64_t addresses[] = { 5, 4, 4, 0 };
	unsigned n;

	for (n = 0; n < 4; n++) {
		machine_code(&m, code_store);
		cpu()->gpr[PVM_RBX] = DATA;
		break_at(n, DATA + addresses[n], 1, lengths[n]);
		exit = machine_run(m.vcpu[0]);
		assert_exception(exit, PVM_VEC_DB);
		cr_assert_eq(cpu()->rip, CODE + 4, "length code %u", lengths[n]);
		cr_assert_eq(cpu()->dr6, PVM_DR6_FIXED | 1ull << n);
	}
	cpu()->dr7 = PVM_DR7_FIXED;
	machine_code(&m, code_store);
	run_to_syscall();
}

Test(native_registers, the_length_of_a_breakpoint_can_change_in_place)
{
	struct pvm_guest_exit exit;

	machine_code(&m, code_store);
	cpu()->gpr[PVM_RBX] = DATA;
	break_at(0, DATA, 1, 2);
	exit = machine_run(m.vcpu[0]);
	assert_exception(exit, PVM_VEC_DB);
	machine_code(&m, code_store);
	break_at(0, DATA + 5, 1, 0);
	exit = machine_run(m.vcpu[0]);
	assert_exception(exit, PVM_VEC_DB);
	machine_code(&m, code_store);
	break_at(0, DATA + 6, 1, 1);
	run_to_syscall();
}

/* spec: C-017, C-102 */
Test(native_registers, M7_no_breakpoint_reaches_the_stubs_own_pages)
{
	static const uint64_t places[] = {
		STUB_TEXT, STUB_CONTROL, STUB_SHARED, STUB_REGION, STUB_REGION_END, STUB_TEXT + 0x10,
		0xffffffff81000000,
	};
	unsigned i, rw;

	cpu()->gpr[PVM_RBX] = DATA;
	for (i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		for (rw = 0; rw <= 3; rw++) {
			machine_code(&m, code_store);
			break_at(i % 4, places[i], rw, rw ? 2 : 0);
			run_to_syscall();
		}
	}
}
