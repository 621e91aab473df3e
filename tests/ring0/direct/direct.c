/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The direct switches against the engine: the same random state goes through both,
 * and every register and every PVCS byte must come out the same. A direct switch ends
 * at an address where nothing is mapped, so that the page fault there shows the state
 * it has left. What the switcher hands on must be what the engine gets.
 *
 * Covers S1, S2, S3, S4, S11 and M6 of the direct paths. Prints to COM2; the exit
 * status says whether all agreed.
 */
#include <pvm/events.h>
#include <pvm/hypercall.h>
#include <pvm/mmu.h>

#include "minivisor.h"
#include "cpu.h"
#include "memory.h"
#include "options.h"
#include "print.h"
#include "random_state.h"
#include "test_vm.h"

enum kind { USER_TO_SUPERVISOR, RETURN_USER, RETURN_SUPERVISOR, LOAD_PGTBL, KINDS };

static const char *const kind_names[KINDS] = {
	"user SYSCALL", "EVENT_RETURN_USER", "EVENT_RETURN_SUPERVISOR", "LOAD_PGTBL"
};

/* All that a direct switch may read or change. */
struct state {
	uint64_t gpr[PVM_GPR_COUNT], rip, rflags, fs_base, gs_base, cr3, switch_cr3;
	uint64_t kernel_gs_base, supervisor_rsp, lstar, retu_rip, rets_rip;
	uint32_t pkru, pad;
	uint16_t seg[PVM_SEG_COUNT];
	uint8_t user_mode, nmi_masked, nmi_pending, halted;
	struct pvm_vcpu_struct pvcs;
	uint8_t stack[2 * PVM_PAGE_SIZE];
};

static struct state before, by_engine, by_switcher;
static bool single;	/* the VM is of single CR3 */
static uint64_t tried[KINDS], direct[KINDS];

static void save(struct state *state)
{
	const struct pvm_vcpu *vcpu = &test.vcpu;

	memset(state, 0, sizeof(*state));
	memcpy(state->gpr, vcpu->gpr, sizeof(state->gpr));
	memcpy(state->seg, vcpu->seg, sizeof(state->seg));
	state->rip = vcpu->rip;
	state->rflags = vcpu->rflags;
	state->fs_base = vcpu->fs_base;
	state->gs_base = vcpu->gs_base;
	state->cr3 = vcpu->cr3;
	state->switch_cr3 = vcpu->msr.switch_cr3;
	state->kernel_gs_base = vcpu->msr.kernel_gs_base;
	state->supervisor_rsp = vcpu->msr.supervisor_rsp;
	state->lstar = vcpu->msr.lstar;
	state->retu_rip = vcpu->msr.retu_rip;
	state->rets_rip = vcpu->msr.rets_rip;
	state->pkru = vcpu->pkru;
	state->user_mode = vcpu->user_mode;
	state->nmi_masked = vcpu->nmi_masked;
	state->nmi_pending = vcpu->nmi_pending;
	state->halted = vcpu->halted;
	state->pvcs = *test.pvcs;
	memcpy(state->stack, test.memory + STACK_GPA, sizeof(state->stack));
}

static void load(const struct state *state)
{
	struct pvm_vcpu *vcpu = &test.vcpu;

	memcpy(vcpu->gpr, state->gpr, sizeof(state->gpr));
	memcpy(vcpu->seg, state->seg, sizeof(state->seg));
	vcpu->rip = state->rip;
	vcpu->rflags = state->rflags;
	vcpu->fs_base = state->fs_base;
	vcpu->gs_base = state->gs_base;
	vcpu->msr.kernel_gs_base = state->kernel_gs_base;
	vcpu->msr.supervisor_rsp = state->supervisor_rsp;
	vcpu->msr.lstar = state->lstar;
	vcpu->msr.retu_rip = state->retu_rip;
	vcpu->msr.rets_rip = state->rets_rip;
	vcpu->state_gen++;
	vcpu->pkru = state->pkru;
	vcpu->user_mode = state->user_mode;
	vcpu->nmi_masked = state->nmi_masked;
	vcpu->nmi_pending = state->nmi_pending;
	vcpu->halted = state->halted;
	if (vcpu->cr3 != state->cr3 || vcpu->msr.switch_cr3 != state->switch_cr3) {
		vcpu->cr3 = state->cr3;
		vcpu->msr.switch_cr3 = state->switch_cr3;
		pvm_mmu_new_cr3(vcpu);
	}
	*test.pvcs = state->pvcs;
	memcpy(test.memory + STACK_GPA, state->stack, sizeof(state->stack));
}

/* ------------------------------------------------------------------------
 * Random states: mostly such as a guest has, a few of every other sort.
 */

static void random_pvcs(struct pvm_vcpu_struct *pvcs)
{
	uint8_t *bytes = (uint8_t *)pvcs;
	unsigned i;

	for (i = 0; i < sizeof(*pvcs); i++)
		bytes[i] = (uint8_t)test_random();
	if (!seldom())
		pvcs->event_flags &= ~PVM_EVENT_FLAGS_IP;
	if (!seldom())
		pvcs->user_cs = USER_CS;
	if (!seldom())
		pvcs->user_ss = USER_DS;
	else if (seldom())
		pvcs->user_cs = USER32_CS;
	pvcs->rip = random_target();
	if (test_below(2))
		pvcs->rcx = pvcs->rip;	/* as after a system call: SYSRET */
	pvcs->eflags = random_flags();
	if (test_below(2))
		pvcs->r11 = (pvcs->eflags & PVM_RFLAGS_GUEST) | PVM_RFLAGS_IF | PVM_RFLAGS_FIXED;
}

/* The same in single CR3's layout. Seldom an NMI or #MC waits for the return. */
static void random_sc_pvcs(struct pvm_sc_vcpu_struct *pvcs)
{
	uint8_t *bytes = (uint8_t *)pvcs;
	unsigned i;

	for (i = 0; i < sizeof(*pvcs); i++)
		bytes[i] = (uint8_t)test_random();
	if (!seldom())
		pvcs->event_flags &= ~PVM_EVENT_FLAGS_IP;
	if (!seldom())
		pvcs->event_vector &= (uint16_t)~(PVM_SC_VECTOR_NMI | PVM_SC_VECTOR_MCE);
	if (!seldom())
		pvcs->user_cs = USER_CS;
	if (!seldom())
		pvcs->user_ss = USER_DS;
	pvcs->rip = random_target();
	if (test_below(2))
		pvcs->rcx = pvcs->rip;	/* as after a system call: SYSRET */
	pvcs->eflags = random_flags();
	if (test_below(2))
		pvcs->r11 = (pvcs->eflags & PVM_RFLAGS_GUEST) | PVM_RFLAGS_IF | PVM_RFLAGS_FIXED;
}

/* A frame for EVENT_RETURN_SUPERVISOR, and RSP at it or somewhere else. */
static uint64_t random_frame(uint8_t *stack)
{
	struct pvm_supervisor_frame frame;
	uint64_t offset = 8 * test_below(PVM_PAGE_SIZE / 8 + 64);
	uint8_t *bytes = (uint8_t *)&frame;
	unsigned i;

	for (i = 0; i < sizeof(frame); i++)
		bytes[i] = (uint8_t)test_random();
	frame.rip = random_target();
	frame.rflags = random_flags() | (test_below(2) ? PVM_RFLAGS_IF : 0);
	if (test_below(2))
		frame.rcx = frame.rip;
	memcpy(stack + offset, &frame, sizeof(frame));
	switch (test_below(10)) {
	case 0:
		return random_target();
	case 1:
		return STACK_GPA + 2 * PVM_PAGE_SIZE - 8 * test_below(9);	/* over the end */
	case 2:
	case 3:
		return UPPER_BASE + STACK_GPA + offset;
	case 4:
		return 0x00007fffffffffc0ull + test_below(80);	/* over the lower half's end */
	default:
		return STACK_GPA + offset;
	}
}

static void random_gprs(struct state *state)
{
	unsigned i;

	for (i = 0; i < PVM_GPR_COUNT; i++)
		state->gpr[i] = test_random();
	state->rflags = (random_flags() & PVM_RFLAGS_GUEST &
			 ~(PVM_RFLAGS_TF | PVM_RFLAGS_RF | PVM_RFLAGS_AC)) |
			PVM_RFLAGS_IF | PVM_RFLAGS_FIXED;
	for (i = 0; i < PVM_SEG_COUNT; i++)
		state->seg[i] = 0;
	state->seg[PVM_DS] = test_below(2) ? USER_DS : 0;
	state->seg[PVM_FS] = test_below(4) ? 0 : USER_DS;
	state->fs_base = random_base();
	state->gs_base = random_base();
	state->kernel_gs_base = random_base();
	state->supervisor_rsp = test_random();
	state->lstar = NOWHERE + test_below(PVM_PAGE_SIZE);
	if (seldom())
		state->lstar = 0xffffd00000000000ull;
	state->retu_rip = seldom() ? 0 : RETU_SYSCALL;
	state->rets_rip = seldom() ? RETU_SYSCALL : RETS_SYSCALL;
	/* A key that is denied would also keep the guest from its own SYSCALL's page. */
	state->pkru = cpu_features.pke ? (uint32_t)test_random() & ~3u : 0;
	state->nmi_masked = seldom();
	state->nmi_pending = state->nmi_masked && test_below(2);
}

static void random_state(struct state *state, enum kind kind)
{
	unsigned pair = (unsigned)test_below(PAIRS);

	memset(state, 0, sizeof(*state));
	random_gprs(state);
	state->user_mode = kind == USER_TO_SUPERVISOR;
	if (single) {
		random_sc_pvcs((struct pvm_sc_vcpu_struct *)&state->pvcs);
		state->cr3 = test.cr3[pair];
	} else {
		random_pvcs(&state->pvcs);
		state->cr3 = state->user_mode ? test.switch_cr3[pair] : test.cr3[pair];
		state->switch_cr3 = state->user_mode ? test.cr3[pair] : test.switch_cr3[pair];
	}
	state->seg[PVM_CS] = state->user_mode ? USER_CS : KERNEL_CS;
	state->seg[PVM_SS] = state->user_mode ? USER_DS : KERNEL_DS;
	switch (kind) {
	case USER_TO_SUPERVISOR:
		state->rip = USER_SYSCALL;
		break;
	case RETURN_USER:
		state->rip = RETU_SYSCALL;
		break;
	case RETURN_SUPERVISOR:
		state->rip = RETS_SYSCALL;
		state->gpr[PVM_RSP] = random_frame(state->stack);
		break;
	default:
		state->rip = HYPERCALL;
		state->gpr[PVM_RAX] = seldom() ? PVM_HC_BASE + test_below(2) * 255 : PVM_HC_LOAD_PGTBL;
		state->gpr[PVM_RBX] = seldom() ? test_below(4) : 0;
		pair = (unsigned)test_below(PAIRS);
		state->gpr[PVM_R10] = test.cr3[pair];
		state->gpr[PVM_RDX] = test.switch_cr3[seldom() ? 0 : pair];
		if (seldom() && seldom())
			state->gpr[PVM_R10] = state->gpr[PVM_RDX] = state->gpr[PVM_RBX] = ~0ull;
	}
}

/* ------------------------------------------------------------------------
 * Both ways.
 */

/* From the SYSCALL on, by the engine. Returns its action. */
static enum pvm_action engine(void)
{
	enum pvm_action action = pvm_handle_syscall(&test.vcpu);

	if (action == PVM_ACT_HYPERCALL)
		action = pvm_complete_hypercall(&test.vcpu, (uint64_t)-PVM_KVM_ENOSYS);
	return action;
}

/* To the SYSCALL and what comes of it. False: it was not handed to us, and done. */
static bool run_syscall(void)
{
	struct pvm_switcher_exit exit;

	for (;;) {
		test_vm_run(&exit);
		if (exit.guest.kind == PVM_EXIT_SYSCALL)
			return true;
		if (exit.guest.kind != PVM_EXIT_EXCEPTION || exit.guest.vector != PVM_VEC_PF)
			if (exit.guest.vector != PVM_VEC_GP && exit.guest.vector != PVM_VEC_UD)
				fail("exit %d, vector %u at rip %lx", exit.guest.kind, exit.guest.vector,
				     test.vcpu.rip);
		if (test.vcpu.rip != before.rip)
			return false;
		/* The first touch of the code page. */
		if (pvm_mmu_fault(&test.vcpu, exit.guest.gva, exit.guest.error_code,
				  PVM_MAY_SLEEP)
			    .kind != PVM_FAULT_FIXED)
			fail("the code page cannot be filled: cr2 %lx", exit.guest.gva.v);
	}
}

static void complain(enum kind kind, uint64_t round)
{
	const uint64_t *a = (const uint64_t *)&by_engine, *b = (const uint64_t *)&by_switcher;
	const uint64_t *c = (const uint64_t *)&before;
	size_t i;

	print("round %lu, %s: different\n", round, kind_names[kind]);
	for (i = 0; i < sizeof(by_engine) / 8; i++)
		if (a[i] != b[i])
			print("  byte %zu: before %016lx, engine %016lx, switcher %016lx\n", i * 8, c[i],
			      a[i], b[i]);
	fail("the switcher and the engine disagree");
}

/* LOAD_PGTBL returns after its SYSCALL: there is an unmapped page for none of the
 * others, here UD2 follows. */
static bool ended_directly(enum kind kind)
{
	return kind == LOAD_PGTBL ? test.vcpu.rip == HYPERCALL + PVM_SYSCALL_LENGTH : true;
}

/* The guest has used its stack before it returns: it is in the shadow tables. */
static void fill_stack(void)
{
	unsigned i;

	for (i = 0; i < 4; i++)
		pvm_mmu_fault(&test.vcpu,
			      pvm_gva((i & 2 ? UPPER_BASE : 0) + STACK_GPA + (i & 1) * PVM_PAGE_SIZE),
			      PVM_PF_W | PVM_PF_U, PVM_MAY_SLEEP);
}

static void once(enum kind kind, uint64_t round)
{
	enum pvm_action action, other = PVM_ACT_RESUME;
	bool handed;

	random_state(&before, kind);
	load(&before);
	if (kind == RETURN_SUPERVISOR)
		fill_stack();
	test.svcpu.inhibit = PVM_INHIBIT_HOST;
	if (!run_syscall())
		fail("S3: inhibited, and switched directly");
	action = engine();
	save(&by_engine);

	load(&before);
	test.svcpu.inhibit = 0;
	handed = run_syscall();
	if (handed)
		other = engine();
	else if (!ended_directly(kind))
		fail("rip %lx after %s", test.vcpu.rip, kind_names[kind]);
	save(&by_switcher);
	tried[kind]++;
	direct[kind] += !handed;
	/* A fault pushes RF set, and the engine had none. */
	if (!handed)
		by_switcher.rflags = (by_switcher.rflags & ~PVM_RFLAGS_RF) |
				     (by_engine.rflags & PVM_RFLAGS_RF);
	if (action != other || memcmp(&by_engine, &by_switcher, sizeof(by_engine)))
		complain(kind, round);
}

void minivisor_main(void)
{
	uint64_t rounds = option_number("rounds", 20000), round;
	unsigned kind;

	test_vm_init();
	single = option_number("single", 0);
	test_seed(option_number("seed", 1));
	test.memory[HYPERCALL + 2] = 0x0f;	/* UD2 */
	test.memory[HYPERCALL + 3] = 0x0b;
	for (round = 0; round < rounds; round++)
		once((enum kind)test_below(KINDS), round);
	for (kind = 0; kind < KINDS; kind++) {
		print("%s: %lu tried, %lu direct\n", kind_names[kind], tried[kind], direct[kind]);
		if (single && kind == RETURN_SUPERVISOR)
			continue;	/* it returns by itself; the instruction is the engine's */
		if (direct[kind] * 4 < tried[kind])
			fail("%s: too few are direct to show anything", kind_names[kind]);
	}
	if (pvm_mmu_check(&test.vm))
		fail("MMU: %s", pvm_mmu_check(&test.vm));
	print("all agree\n");
	machine_exit(0);
}
