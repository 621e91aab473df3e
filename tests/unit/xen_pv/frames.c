/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Entries into the kernel and iret: every word of their frames, the mask of events, both modes. */
#include "guest.h"

#include <string.h>

static struct pvm_vcpu *vcpu = &g.f.vcpu[0];

static void setup(void)
{
	xen_guest_init(1);
}

TestSuite(frames, .init = setup, .fini = xen_guest_fini);

/* A frame at @rsp, low to high. */
static void assert_frame(uint64_t rsp, const uint64_t *words, unsigned count)
{
	unsigned i;

	for (i = 0; i < count; i++)
		cr_expect_eq(xen_word(rsp + 8 * i), words[i], "word %u: %#lx, not %#lx", i, xen_word(rsp + 8 * i),
			     words[i]);
}

/* spec: XC-029, XC-030, XC-032 */
Test(frames, iret_goes_to_user_mode)
{
	vcpu->gs_base = 0x1111;
	vcpu->msr.kernel_gs_base = 0x2222;
	xen_go_user(true);
	cr_expect(vcpu->user_mode);
	cr_expect_eq(vcpu->rip, USER);
	cr_expect_eq(vcpu->gpr[PVM_RSP], USER + 0x800);
	cr_expect_eq(vcpu->gpr[PVM_RAX], 1);
	cr_expect_eq(vcpu->gpr[PVM_R11], 2);
	cr_expect_eq(vcpu->gpr[PVM_RCX], 3);
	cr_expect_eq(vcpu->seg[PVM_CS], USER_CS);
	cr_expect_eq(vcpu->cr3, g.user_table);
	cr_expect_eq(vcpu->gs_base, 0x2222);
	cr_expect_eq(vcpu->msr.kernel_gs_base, 0x1111);
	cr_expect_eq(xen_vcpu_info(0)->mask, 0);
}

/* spec: XC-021, XC-035 */
Test(frames, a_users_system_call)
{
	xen_go_user(true);
	vcpu->rflags |= PVM_RFLAGS_CF;
	cr_assert_eq(xen_syscall(0), PVM_ACT_RESUME);
	cr_expect_not(vcpu->user_mode);
	cr_expect_eq(vcpu->rip, SYSCALL_ENTRY);
	cr_expect_eq(vcpu->cr3, g.kernel_table);
	cr_expect_eq(vcpu->gpr[PVM_RSP], KERNEL_STACK - 7 * 8);
	cr_expect_eq(xen_vcpu_info(0)->mask, 1);
	assert_frame(vcpu->gpr[PVM_RSP],
		     (uint64_t[]){ USER + 2, PVM_RFLAGS_IF | PVM_RFLAGS_FIXED | PVM_RFLAGS_CF, USER + 2,
				   USER_CS, PVM_RFLAGS_IF | PVM_RFLAGS_FIXED | PVM_RFLAGS_CF, USER + 0x800,
				   USER_DS }, 7);
}

/* spec: XC-021, XC-023, XC-024 */
Test(frames, a_users_page_fault)
{
	xen_go_user(true);
	cr_assert_eq(xen_exit(0, PVM_EXIT_EXCEPTION, PVM_VEC_PF, PVM_PF_W | PVM_PF_U, 0x700123),
		     PVM_ACT_RESUME);
	cr_expect_eq(vcpu->rip, TRAP(PVM_VEC_PF));
	cr_expect_eq(xen_vcpu_info(0)->cr2, 0x700123);
	assert_frame(vcpu->gpr[PVM_RSP],
		     (uint64_t[]){ 3, 2, PVM_PF_W | PVM_PF_U, USER, USER_CS, PVM_RFLAGS_IF | PVM_RFLAGS_FIXED,
				   USER + 0x800, USER_DS }, 8);
	cr_expect_eq(xen_vcpu_info(0)->mask, 1);
}

/* spec: XC-021, XC-022, XC-024 */
Test(frames, a_page_fault_of_the_kernels)
{
	xen_vcpu_info(0)->mask = 0;
	cr_assert_eq(xen_exit(0, PVM_EXIT_EXCEPTION, PVM_VEC_PF, PVM_PF_W | PVM_PF_U, 0x700123),
		     PVM_ACT_RESUME);
	cr_expect_eq(vcpu->rip, TRAP(PVM_VEC_PF));
	cr_expect_eq(vcpu->gpr[PVM_RSP], OTHER_STACK - 8 * 8);
	cr_expect_eq(xen_word(vcpu->gpr[PVM_RSP] + 16), PVM_PF_W, "no U: it is not user mode's");
	cr_expect_eq(xen_word(vcpu->gpr[PVM_RSP] + 32), KERNEL_CS, "events were open");
	cr_expect_eq(xen_word(vcpu->gpr[PVM_RSP] + 40) & PVM_RFLAGS_IF, PVM_RFLAGS_IF);
}

/* spec: XC-022 */
Test(frames, the_mask_is_in_the_word_of_cs)
{
	cr_assert_eq(xen_exit(0, PVM_EXIT_EXCEPTION, PVM_VEC_DE, 0, 0), PVM_ACT_RESUME);
	cr_expect_eq(xen_word(vcpu->gpr[PVM_RSP] + 24), KERNEL_CS | 1ull << 32);
	cr_expect_eq(xen_word(vcpu->gpr[PVM_RSP] + 32) & PVM_RFLAGS_IF, 0);
	cr_expect_eq(xen_word(vcpu->gpr[PVM_RSP] + 48), USER_DS, "SS has RPL 3");
}

/* spec: XC-023 */
Test(frames, a_trap_that_masks_nothing)
{
	struct pvm_xen_trap_info *traps = xen_at(ARGUMENTS);

	traps[0] = (struct pvm_xen_trap_info){ .vector = PVM_VEC_DE, .address = TRAP(1) };
	traps[1] = (struct pvm_xen_trap_info){ .address = 0 };
	cr_assert_eq(xen_call(PVM_XEN_SET_TRAP_TABLE, ARGUMENTS, 0, 0, 0), 0);
	xen_go_user(true);
	cr_assert_eq(xen_exit(0, PVM_EXIT_EXCEPTION, PVM_VEC_DE, 0, 0), PVM_ACT_RESUME);
	cr_expect_eq(vcpu->rip, TRAP(1));
	cr_expect_eq(xen_vcpu_info(0)->mask, 0);
}

/* spec: XC-030 */
Test(frames, iret_within_the_kernel)
{
	const uint64_t frame[9] = { 1, 2, 3, 0, KERNEL + 0x40, 0xe030, PVM_RFLAGS_IF,
				    OTHER_STACK - 0x40, 0xe02b };

	memcpy(xen_at(OTHER_STACK - 0x100), frame, sizeof(frame));
	vcpu->gpr[PVM_RSP] = OTHER_STACK - 0x100;
	vcpu->gpr[PVM_RAX] = PVM_XEN_IRET;
	cr_assert_eq(xen_syscall(0), PVM_ACT_RESUME);
	cr_expect_not(vcpu->user_mode);
	cr_expect_eq(vcpu->rip, KERNEL + 0x40);
	cr_expect_eq(vcpu->gpr[PVM_RSP], OTHER_STACK - 0x40);
	cr_expect_eq(vcpu->cr3, g.kernel_table);
	cr_expect_eq(xen_vcpu_info(0)->mask, 0);
}

static void assert_failsafe(uint64_t rip, uint64_t cs, uint64_t ss)
{
	const uint64_t frame[9] = { 1, 2, 3, 0, rip, cs, PVM_RFLAGS_IF, USER + 0x800, ss };

	memcpy(xen_at(OTHER_STACK - 0x100), frame, sizeof(frame));
	vcpu->gpr[PVM_RSP] = OTHER_STACK - 0x100;
	vcpu->gpr[PVM_RAX] = PVM_XEN_IRET;
	cr_assert_eq(xen_syscall(0), PVM_ACT_RESUME);
	cr_expect_not(vcpu->user_mode);
	cr_expect_eq(vcpu->rip, FAILSAFE, "%#lx:%#lx", cs, rip);
	cr_expect_eq(vcpu->gpr[PVM_RAX], 1);
	assert_frame(vcpu->gpr[PVM_RSP], (uint64_t[]){ 3, 2, vcpu->seg[PVM_DS], vcpu->seg[PVM_ES],
						       vcpu->seg[PVM_FS], vcpu->seg[PVM_GS], rip, cs,
						       PVM_RFLAGS_IF, USER + 0x800, ss }, 11);
	cr_expect_eq(xen_vcpu_info(0)->mask, 1);
	vcpu->rip = KERNEL;
}

/* spec: XC-033 */
Test(frames, what_iret_cannot_load_is_the_failsafe_callbacks_S1_S4)
{
	assert_failsafe(1ull << 47, USER_CS, USER_DS);		/* S1 */
	assert_failsafe(1ull << 32, USER32_CS, USER_DS);
	assert_failsafe(USER, 0x3b, USER_DS);			/* S4 */
	assert_failsafe(USER, USER_CS, 0x33);
	assert_failsafe(USER, USER_CS, 0);
}

/* spec: XC-030, XC-032 */
Test(frames, other_names_of_the_flat_selectors)
{
	const uint64_t frame[9] = { 1, 2, 3, 0, USER, 0xe023, 0, USER + 0x800, 0xe02b };

	memcpy(xen_at(OTHER_STACK - 0x100), frame, sizeof(frame));
	vcpu->gpr[PVM_RSP] = OTHER_STACK - 0x100;
	vcpu->gpr[PVM_RAX] = PVM_XEN_IRET;
	cr_assert_eq(xen_syscall(0), PVM_ACT_RESUME);
	cr_expect_eq(pvm_vcpu_mode(vcpu), PVM_MODE_USER32);
	cr_expect_eq(xen_vcpu_info(0)->mask, 1, "IF was clear");
}

/* spec: XC-031 */
Test(frames, rflags_are_sane_S2)
{
	const uint64_t frame[9] = { 1, 2, 3, 0, USER, USER_CS, ~0ull, USER + 0x800, USER_DS };

	memcpy(xen_at(OTHER_STACK - 0x100), frame, sizeof(frame));
	vcpu->gpr[PVM_RSP] = OTHER_STACK - 0x100;
	vcpu->gpr[PVM_RAX] = PVM_XEN_IRET;
	cr_assert_eq(xen_syscall(0), PVM_ACT_RESUME);
	cr_expect_eq(vcpu->rflags, pvm_rflags_sanitize(~0ull));
}

/* spec: XC-027 */
Test(frames, no_stack_is_the_end)
{
	xen_call(PVM_XEN_STACK_SWITCH, USER_DS, 0x5000, 0, 0);	/* nothing is mapped there */
	xen_go_user(true);
	cr_assert_eq(xen_syscall(0), PVM_ACT_SHUTDOWN);
	cr_expect_eq(vcpu->request.shutdown.reason, PVM_SHUTDOWN_DOUBLE_FAULT);
}

/* spec: XC-019, XC-027 */
Test(frames, no_handler_is_the_end)
{
	xen_call(PVM_XEN_SET_TRAP_TABLE, 0, 0, 0, 0);
	cr_assert_eq(xen_exit(0, PVM_EXIT_EXCEPTION, PVM_VEC_DE, 0, 0), PVM_ACT_SHUTDOWN);
	cr_expect_eq(vcpu->request.shutdown.reason, PVM_SHUTDOWN_BAD_ENTRY);
}

/* spec: XC-017 */
Test(frames, a_stack_that_is_away_comes)
{
	test_host_send_away(&g.f.host, (KERNEL_STACK - 1 - KERNEL) >> PVM_PAGE_SHIFT, true);
	xen_go_user(true);
	cr_assert_eq(xen_syscall(0), PVM_ACT_RESUME);
	cr_expect_eq(vcpu->rip, SYSCALL_ENTRY);
	cr_expect_eq(g.f.host.fetched, 1);
	cr_expect_eq(xen_word(vcpu->gpr[PVM_RSP] + 16), USER + 2);
}

static enum pvm_action software(uint8_t vector)
{
	struct pvm_guest_exit stop = { .kind = PVM_EXIT_INSN, .vector = PVM_VEC_GP,
				       .error_code = vector * 8u + PVM_ERROR_IDT };
	pvm_hpa_t root;

	stop.insn = (struct pvm_insn){ .op = PVM_INSN_INT, .length = 2, .value = vector };
	return pvm_handle_exit(vcpu, &stop, &root, PVM_MAY_SLEEP);
}

static enum pvm_action port(struct pvm_insn insn)
{
	struct pvm_guest_exit stop = { .kind = PVM_EXIT_INSN, .vector = PVM_VEC_GP, .insn = insn };
	pvm_hpa_t root;

	return pvm_handle_exit(vcpu, &stop, &root, PVM_MAY_SLEEP);
}

/* spec: XC-086 */
Test(frames, ports_are_ones_without_the_host)
{
	uint64_t rip = vcpu->rip;

	vcpu->gpr[PVM_RAX] = 0x1234;
	cr_assert_eq(port((struct pvm_insn){ .op = PVM_INSN_IN, .length = 2, .size = 1, .port = 0x60 }),
		     PVM_ACT_RESUME);
	cr_expect_eq(vcpu->gpr[PVM_RAX], 0x12ff);
	cr_assert_eq(port((struct pvm_insn){ .op = PVM_INSN_OUT, .length = 2, .size = 4, .port = 0x60 }),
		     PVM_ACT_RESUME);
	cr_expect_eq(vcpu->rip, rip + 4);
	vcpu->gpr[PVM_RDI] = ARGUMENTS;
	vcpu->gpr[PVM_RCX] = 2;
	cr_assert_eq(port((struct pvm_insn){ .op = PVM_INSN_INS, .length = 2, .size = 4, .rep = true,
					     .address_size = 8, .address = ARGUMENTS }), PVM_ACT_RESUME);
	cr_expect_eq(xen_word(ARGUMENTS), 0xffffffff);
	cr_expect_eq(vcpu->gpr[PVM_RCX], 1);
	xen_go_user(true);
	cr_assert_eq(port((struct pvm_insn){ .op = PVM_INSN_IN, .length = 2, .size = 1, .port = 0x60 }),
		     PVM_ACT_RESUME);
	cr_expect_eq(vcpu->rip, TRAP(PVM_VEC_GP), "a program has none at all");
}

/* spec: XC-026 */
Test(frames, int_n_asks_the_gate)
{
	xen_go_user(true);
	cr_assert_eq(software(0x80), PVM_ACT_RESUME);
	cr_expect_eq(vcpu->rip, TRAP(0x80));
	cr_expect_eq(xen_word(vcpu->gpr[PVM_RSP] + 16), USER + 2);
	xen_go_user(true);
	cr_assert_eq(software(PVM_VEC_PF), PVM_ACT_RESUME);
	cr_expect_eq(vcpu->rip, TRAP(PVM_VEC_GP));
	cr_expect_eq(xen_word(vcpu->gpr[PVM_RSP] + 16), PVM_VEC_PF * 8u + PVM_ERROR_IDT);
	xen_go_user(true);
	cr_assert_eq(software(0x81), PVM_ACT_RESUME);
	cr_expect_eq(vcpu->rip, TRAP(PVM_VEC_GP));
}

/* INT3 and INT 0x80 reach the host by gates of the CPU's that are open to anyone. */
/* spec: XC-019, XC-026 */
Test(frames, a_trap_asks_the_gate)
{
	const struct { uint8_t vector, length; } traps[] = { { 3, 1 }, { 0x80, 2 } };
	unsigned i;

	for (i = 0; i < 2; i++) {
		struct pvm_xen_trap_info *table = xen_at(ARGUMENTS);

		/* DPL 0 */
		table[0] = (struct pvm_xen_trap_info){ .vector = traps[i].vector, .cs = KERNEL_CS,
						       .address = TRAP(3) };
		table[1] = (struct pvm_xen_trap_info){ 0 };
		vcpu->gpr[PVM_RSP] = OTHER_STACK;
		cr_assert_eq(xen_call(PVM_XEN_SET_TRAP_TABLE, ARGUMENTS, 0, 0, 0), 0);
		xen_go_user(true);
		vcpu->rip = USER + traps[i].length;
		cr_assert_eq(xen_exit(0, PVM_EXIT_SOFTWARE, traps[i].vector, 0, 0), PVM_ACT_RESUME);
		cr_expect_eq(vcpu->rip, TRAP(13), "vector %#x enters %#lx", traps[i].vector, vcpu->rip);
	}
}

/* ------------------------------------------------------------------------
 * Edges of frames and callbacks.
 */

static int64_t callback(uint16_t type, uint16_t flags, uint64_t address)
{
	*(struct pvm_xen_callback_register *)xen_at(ARGUMENTS) =
		(struct pvm_xen_callback_register){ .type = type, .flags = flags, .address = address };
	return xen_call(PVM_XEN_CALLBACK_OP, PVM_XEN_CALLBACKOP_REGISTER, ARGUMENTS, 0, 0);
}

/* With these words from RAX on. */
static enum pvm_action iret(const uint64_t frame[9])
{
	memcpy(xen_at(OTHER_STACK - 0x100), frame, 9 * sizeof(*frame));
	vcpu->gpr[PVM_RSP] = OTHER_STACK - 0x100;
	vcpu->gpr[PVM_RAX] = PVM_XEN_IRET;
	return xen_syscall(0);
}

static enum pvm_action iret_to_kernel(void)
{
	return iret((uint64_t[]){ 1, 2, 3, 0, KERNEL + 0x40, 0xe030, 0, OTHER_STACK - 0x40, 0xe02b });
}

/* spec: XC-020 */
Test(frames, stacks_are_aligned_before_the_frame)
{
	cr_assert_eq(xen_call(PVM_XEN_STACK_SWITCH, USER_DS, KERNEL_STACK - 4, 0, 0), 0);
	xen_go_user(true);
	cr_assert_eq(xen_exit(0, PVM_EXIT_EXCEPTION, PVM_VEC_DE, 0, 0), PVM_ACT_RESUME);
	cr_expect_eq(vcpu->gpr[PVM_RSP], KERNEL_STACK - 16 - 7 * 8);
	vcpu->gpr[PVM_RSP] = OTHER_STACK + 8;
	cr_assert_eq(xen_exit(0, PVM_EXIT_EXCEPTION, PVM_VEC_DE, 0, 0), PVM_ACT_RESUME);
	cr_expect_eq(vcpu->gpr[PVM_RSP], OTHER_STACK - 7 * 8);
	cr_expect_eq(xen_word(vcpu->gpr[PVM_RSP] + 40), OTHER_STACK + 8, "as it was");
}

/* spec: XC-025 */
Test(frames, a_handler_has_its_kernels_bases_and_plain_flags)
{
	const uint64_t odd = PVM_RFLAGS_TF | PVM_RFLAGS_DF | PVM_RFLAGS_AC | PVM_RFLAGS_CF;

	vcpu->gs_base = 0x1111;
	vcpu->msr.kernel_gs_base = 0x2222;
	xen_go_user(true);
	vcpu->rflags |= odd;
	cr_assert_eq(xen_exit(0, PVM_EXIT_EXCEPTION, PVM_VEC_DE, 0, 0), PVM_ACT_RESUME);
	cr_expect_eq(vcpu->rflags, PVM_RFLAGS_IF | PVM_RFLAGS_FIXED);
	cr_expect_eq(xen_word(vcpu->gpr[PVM_RSP] + 32), PVM_RFLAGS_IF | PVM_RFLAGS_FIXED | odd);
	cr_expect_eq(vcpu->gs_base, 0x1111);
	cr_expect_eq(vcpu->msr.kernel_gs_base, 0x2222);
	cr_expect_eq(vcpu->cr3, g.kernel_table);
	cr_expect_eq(vcpu->msr.switch_cr3, g.user_table);
}

/* spec: XC-027 */
Test(frames, a_gate_at_no_legal_address_is_taken_and_is_the_end)
{
	struct pvm_xen_trap_info *traps = xen_at(ARGUMENTS);

	traps[0] = (struct pvm_xen_trap_info){ .vector = PVM_VEC_DE, .address = 1ull << 62 };
	traps[1] = (struct pvm_xen_trap_info){ .address = 0 };
	cr_assert_eq(xen_call(PVM_XEN_SET_TRAP_TABLE, ARGUMENTS, 0, 0, 0), 0);
	cr_assert_eq(xen_exit(0, PVM_EXIT_EXCEPTION, PVM_VEC_DE, 0, 0), PVM_ACT_SHUTDOWN);
	cr_expect_eq(vcpu->request.shutdown.reason, PVM_SHUTDOWN_BAD_ENTRY);
}

/* spec: XC-028, XC-036 */
Test(frames, an_nmi_waits_for_iret)
{
	cr_assert_eq(pvm_event_nmi(vcpu), PVM_ACT_RESUME);
	cr_expect_eq(vcpu->rip, TRAP(PVM_VEC_NMI), "its gate");
	vcpu->rip = KERNEL;
	cr_assert_eq(callback(PVM_XEN_CALLBACK_NMI, 0, KERNEL + 0x1300), 0);
	cr_assert_eq(pvm_event_nmi(vcpu), PVM_ACT_RESUME);
	cr_expect_neq(vcpu->rip, KERNEL + 0x1300, "the first is not over");
	cr_assert_eq(iret_to_kernel(), PVM_ACT_RESUME);
	cr_expect_eq(vcpu->rip, KERNEL + 0x1300, "its callback");
	cr_expect_eq(xen_word(vcpu->gpr[PVM_RSP] + 16), KERNEL + 0x40);
	cr_expect_eq(xen_vcpu_info(0)->mask, 1);
	cr_assert_eq(iret_to_kernel(), PVM_ACT_RESUME);
	cr_expect_eq(vcpu->rip, KERNEL + 0x40, "there were two");
}

/* spec: XC-029 */
Test(frames, the_fourth_word_of_irets_frame_is_not_looked_at)
{
	cr_assert_eq(iret((uint64_t[]){ 1, 2, 3, ~0ull, USER, USER_CS, 0, USER + 0x800, USER_DS }),
		     PVM_ACT_RESUME);
	cr_expect(vcpu->user_mode);
	cr_expect_eq(vcpu->rip, USER);
	cr_expect_eq(vcpu->gpr[PVM_RAX], 1);
	cr_expect_eq(vcpu->gpr[PVM_R11], 2);
	cr_expect_eq(vcpu->gpr[PVM_RCX], 3);
}

/* spec: XC-032 */
Test(frames, each_name_of_a_flat_selector)
{
	static const struct {
		uint16_t name, cs;
	} names[] = { { USER_CS, USER_CS }, { 0xe033, USER_CS }, { USER32_CS, USER32_CS },
		      { 0xe023, USER32_CS } };
	unsigned i;

	for (i = 0; i < 8; i++) {
		cr_assert_eq(iret((uint64_t[]){ 1, 2, 3, 0, USER, names[i / 2].name, 0, USER + 0x800,
						i % 2 ? 0xe02b : USER_DS }), PVM_ACT_RESUME);
		cr_expect_eq(vcpu->seg[PVM_CS], names[i / 2].cs, "%#x", names[i / 2].name);
		cr_expect_eq(vcpu->seg[PVM_SS], USER_DS);
		cr_expect_eq(vcpu->rip, USER);
		cr_assert_eq(xen_syscall(0), PVM_ACT_RESUME);
	}
}

/* spec: XC-034 */
Test(frames, iret_without_a_frame_is_the_end)
{
	vcpu->gpr[PVM_RSP] = 0x5000;	/* nothing is mapped there */
	vcpu->gpr[PVM_RAX] = PVM_XEN_IRET;
	cr_assert_eq(xen_syscall(0), PVM_ACT_SHUTDOWN);
	cr_expect_eq(vcpu->request.shutdown.reason, PVM_SHUTDOWN_BAD_STACK);
}

/* spec: XC-036, XC-038 */
Test(frames, callbacks_mask_events_whatever_their_flags)
{
	cr_assert_eq(callback(PVM_XEN_CALLBACK_SYSCALL, 0, SYSCALL_ENTRY), 0);
	cr_assert_eq(callback(PVM_XEN_CALLBACK_FAILSAFE, 0, FAILSAFE), 0);
	xen_go_user(true);
	cr_assert_eq(xen_syscall(0), PVM_ACT_RESUME);
	cr_expect_eq(vcpu->rip, SYSCALL_ENTRY);
	cr_expect_eq(xen_vcpu_info(0)->mask, 1);
	xen_vcpu_info(0)->mask = 0;
	cr_assert_eq(iret((uint64_t[]){ 1, 2, 3, 0, USER, 0x3b, 0, USER + 0x800, USER_DS }), PVM_ACT_RESUME);
	cr_expect_eq(vcpu->rip, FAILSAFE);
	cr_expect_eq(xen_vcpu_info(0)->mask, 1);
	cr_assert_eq(callback(PVM_XEN_CALLBACK_EVENT, 0, EVENT_CALLBACK), 0);
	xen_vcpu_info(0)->mask = 0;
	xen_vcpu_info(0)->pending = 1;
	cr_assert_eq(xen_enter(0), PVM_ACT_RESUME);
	cr_expect_eq(vcpu->rip, EVENT_CALLBACK);
	cr_expect_eq(xen_vcpu_info(0)->mask, 1);
	cr_assert_eq(callback(PVM_XEN_CALLBACK_NMI, 0, KERNEL + 0x1300), 0);
	xen_vcpu_info(0)->mask = 0;
	cr_assert_eq(pvm_event_nmi(vcpu), PVM_ACT_RESUME);
	cr_expect_eq(vcpu->rip, KERNEL + 0x1300);
	cr_expect_eq(xen_vcpu_info(0)->mask, 1);
}

/* spec: XC-036 */
Test(frames, callbacks_of_other_types_are_not_there)
{
	static const uint16_t types[] = { 3, PVM_XEN_CALLBACK_SYSENTER, 6, PVM_XEN_CALLBACK_SYSCALL32, 8,
					  0xffff };
	unsigned i;

	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		cr_expect_eq(callback(types[i], 1, SYSCALL_ENTRY), PVM_XEN_ENOSYS, "type %u", types[i]);
	cr_expect_eq(xen_call(PVM_XEN_CALLBACK_OP, PVM_XEN_CALLBACKOP_UNREGISTER, ARGUMENTS, 0, 0),
		     PVM_XEN_ENOSYS);
}

/* spec: XC-037 */
Test(frames, callbacks_are_at_legal_addresses)
{
	cr_expect_eq(callback(PVM_XEN_CALLBACK_SYSCALL, 1, 1ull << 62), PVM_XEN_EINVAL);
	cr_expect_eq(callback(PVM_XEN_CALLBACK_SYSCALL, 1, 0xffff800000000000), PVM_XEN_EINVAL);
	xen_go_user(true);
	cr_assert_eq(xen_syscall(0), PVM_ACT_RESUME);
	cr_expect_eq(vcpu->rip, SYSCALL_ENTRY, "the one that was registered before");
	cr_assert_eq(callback(PVM_XEN_CALLBACK_SYSCALL, 1, 0), 0);
	xen_go_user(true);
	cr_assert_eq(xen_syscall(0), PVM_ACT_SHUTDOWN, "none");
	cr_expect_eq(vcpu->request.shutdown.reason, PVM_SHUTDOWN_BAD_ENTRY);
}
