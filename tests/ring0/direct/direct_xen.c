/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Xen PV's direct switches against the engine, as direct.c does it for PVM's dialects: the same random state
 * goes through both, and every register, the vcpu_info and the stack must come out the same. A direct switch
 * ends at an address where nothing is mapped, so that the page fault there shows the state it has left.
 *
 * spec: XC-096, XC-097
 * Covers S1, S2, S3, S4, S6, S11 and M6 of the direct paths. Prints to COM2; the exit status says whether all
 * agreed.
 */
#include <pvm/exit.h>
#include <pvm/hypercall.h>
#include <pvm/mmu.h>
#include <pvm/xen.h>

#include "minivisor.h"
#include "cpu.h"
#include "memory.h"
#include "options.h"
#include "print.h"
#include "random_state.h"
#include "test_vm.h"

enum kind { USER_SYSCALL_KIND, IRET_USER, IRET_KERNEL, STACK_SWITCH, SEGMENT_BASE, VERSION, KINDS };

static const char *const kind_names[KINDS] = {
	"user SYSCALL", "iret to user mode", "iret to the kernel", "stack_switch", "set_segment_base", "xen_version"
};

#define FRAME_WORDS	9	/* RAX, R11, RCX, flags, RIP, CS, RFLAGS, RSP, SS */
#define STACK_SIZE	(2 * PVM_PAGE_SIZE)
/* After it no address is canonical. */
#define LAST_SYSCALL	(LAST_PAGE + PVM_PAGE_SIZE - PVM_SYSCALL_LENGTH)
#define LAST_PAGE	0x00007ffffffff000ull
#define LAST_TABLES	0x200000ull	/* gpa of three tables; the page is gpa 0 */
#define NEW_FLAGS	(PVM_RFLAGS_TF | PVM_RFLAGS_RF | PVM_RFLAGS_AC)

/* All that a direct switch may read or change. */
struct state {
	uint64_t gpr[PVM_GPR_COUNT], rip, rflags, fs_base, gs_base, cr3, switch_cr3;
	uint64_t kernel_gs_base, supervisor_rsp;
	uint32_t pkru, pad;
	uint16_t seg[PVM_SEG_COUNT];
	uint8_t user_mode, nmi_masked, nmi_pending, halted;
	struct pvm_xen_vcpu_info info;
	uint8_t stack[STACK_SIZE];
};

static struct state before, by_engine, by_switcher;
static bool told_first;		/* an event waits, and is not masked any more: not directly */
static uint64_t tried[KINDS], direct[KINDS], refused[KINDS];

static struct pvm_xen_vcpu_info *info(void)
{
	return test.vcpu.pvcs;
}

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
	state->pkru = vcpu->pkru;
	state->user_mode = vcpu->user_mode;
	state->nmi_masked = vcpu->nmi_masked;
	state->nmi_pending = vcpu->nmi_pending;
	state->halted = vcpu->halted;
	state->info = *info();
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
	*info() = state->info;
	memcpy(test.memory + STACK_GPA, state->stack, sizeof(state->stack));
}

/* ------------------------------------------------------------------------
 * Random states.
 */

/* Where a frame begins, or ends: within the stack, over its ends, where nothing is, in the switcher's own
 * memory, over the ends of the two halves. */
static uint64_t random_stack(uint64_t offset)
{
	switch (test_below(12)) {
	case 0:
		return random_target();
	case 1:
		return STACK_GPA + STACK_SIZE - 8 * test_below(12);
	case 2:
		return 0x00007fffffffffb0ull + test_below(0x60);
	case 3:
		return (uint64_t)(uintptr_t)test.cpu + PVM_SWITCHER_AREA_USED - PVM_PAGE_SIZE / 2;
	case 4:
		return UPPER_BASE + STACK_GPA + STACK_SIZE - 8 * test_below(12);
	case 5:
		return -(8 * test_below(20));
	case 6:
	case 7:
	case 8:
		return UPPER_BASE + STACK_GPA + offset;
	default:
		return STACK_GPA + offset;
	}
}

static uint64_t random_cs(bool user)
{
	if (!user)
		return seldom() ? test_random() & ~3ull : 0xe030;
	if (seldom())
		return test_below(2) ? USER32_CS : test_random() | 3;
	return test_below(2) ? USER_CS : 0xe033 | (uint64_t)test_below(2) << 32;
}

/* For iret; returns where it is. */
static uint64_t random_frame(uint8_t *stack, bool user)
{
	uint64_t word[FRAME_WORDS], offset = 8 * test_below((STACK_SIZE - sizeof(word)) / 8), at;
	unsigned i;

	for (i = 0; i < FRAME_WORDS; i++)
		word[i] = test_random();
	word[4] = random_target();
	if (test_below(2))
		word[2] = word[4];		/* as after a system call: SYSRET */
	word[5] = random_cs(user);
	word[6] = random_flags() | (test_below(2) ? PVM_RFLAGS_IF : 0);
	if (test_below(2))
		word[1] = (word[6] & PVM_RFLAGS_GUEST) | PVM_RFLAGS_IF | PVM_RFLAGS_FIXED;
	if (!seldom())
		word[8] = test_below(2) ? USER_DS : 0xe02b;
	memcpy(stack + offset, word, sizeof(word));
	at = random_stack(offset);
	told_first = (word[6] & PVM_RFLAGS_IF) &&
		     (at == STACK_GPA + offset || at == UPPER_BASE + STACK_GPA + offset);
	return at;
}

static void random_registers(struct state *state)
{
	unsigned i;

	for (i = 0; i < PVM_GPR_COUNT; i++)
		state->gpr[i] = test_random();
	state->rflags = (random_flags() & PVM_RFLAGS_GUEST & ~(uint64_t)NEW_FLAGS) | PVM_RFLAGS_IF |
			PVM_RFLAGS_FIXED;
	state->seg[PVM_DS] = test_below(2) ? USER_DS : 0;
	state->seg[PVM_FS] = test_below(4) ? 0 : USER_DS;
	state->fs_base = random_base();
	state->gs_base = random_base();
	state->kernel_gs_base = random_base();
	state->supervisor_rsp = random_stack(16 * (1 + test_below(STACK_SIZE / 16))) + (seldom() ? 8 : 0);
	for (i = 0; i < sizeof(state->info); i++)
		((uint8_t *)&state->info)[i] = (uint8_t)test_random();
	state->info.pending = test_below(4) ? 0 : 1;
	state->info.mask = test_below(4) ? 0 : (uint8_t)test_random();
	state->nmi_masked = seldom();
	state->nmi_pending = state->nmi_masked && test_below(2);
}

static void random_state(struct state *state, enum kind kind)
{
	static const uint8_t numbers[KINDS] = {
		[IRET_USER] = PVM_XEN_IRET, [IRET_KERNEL] = PVM_XEN_IRET,
		[STACK_SWITCH] = PVM_XEN_STACK_SWITCH, [SEGMENT_BASE] = PVM_XEN_SET_SEGMENT_BASE,
		[VERSION] = PVM_XEN_XEN_VERSION,
	};
	unsigned pair = (unsigned)test_below(PAIRS);

	memset(state, 0, sizeof(*state));
	told_first = false;
	random_registers(state);
	state->user_mode = kind == USER_SYSCALL_KIND;
	state->cr3 = state->user_mode ? test.switch_cr3[pair] : test.cr3[pair];
	state->switch_cr3 = state->user_mode ? test.cr3[pair] : test.switch_cr3[pair];
	state->seg[PVM_CS] = state->user_mode ? USER_CS : KERNEL_CS;
	state->seg[PVM_SS] = state->user_mode ? USER_DS : KERNEL_DS;
	state->rip = state->user_mode ? USER_SYSCALL : HYPERCALL;
	if (state->user_mode) {
		/* A key that is denied would also keep the guest from its own SYSCALL's page. */
		state->pkru = cpu_features.pke ? (uint32_t)test_random() & ~3u : 0;
		return;
	}
	if (seldom())
		state->rflags |= PVM_RFLAGS_TF;		/* FMASK keeps it from what comes after SYSCALL */
	state->gpr[PVM_RAX] = numbers[kind];
	if (kind == IRET_USER || kind == IRET_KERNEL)
		state->gpr[PVM_RSP] = random_frame(state->stack, kind == IRET_USER);
	if (kind == SEGMENT_BASE) {
		state->gpr[PVM_RDI] = seldom() ? test_random() : test_below(4);
		state->gpr[PVM_RSI] = seldom() ? test_random() : random_base();
	}
	if (kind == VERSION) {
		state->gpr[PVM_RDI] = 0;
		told_first = !state->info.mask;
	}
	told_first = told_first && state->info.pending;
}

/* ------------------------------------------------------------------------
 * Both ways.
 */

/* To the SYSCALL and what comes of it. False: it was not handed to us, and done. */
static bool run_syscall(void)
{
	struct pvm_switcher_exit exit;

	for (;;) {
		test_vm_run(&exit);
		if (exit.guest.kind == PVM_EXIT_SYSCALL)
			return true;
		if (exit.guest.kind != PVM_EXIT_EXCEPTION ||
		    (exit.guest.vector != PVM_VEC_PF && exit.guest.vector != PVM_VEC_GP &&
		     exit.guest.vector != PVM_VEC_UD))
			fail("exit %d, vector %u at rip %lx", exit.guest.kind, exit.guest.vector, test.vcpu.rip);
		if (test.vcpu.rip != before.rip)
			return false;
		/* The first touch of the code page. */
		if (pvm_mmu_fault(&test.vcpu, exit.guest.gva, exit.guest.error_code, PVM_MAY_SLEEP).kind !=
		    PVM_FAULT_FIXED)
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

/* The guest's kernel has used its stack: it is in the shadow tables of the kernel's root. */
static void fill_stack(void)
{
	bool user = test.vcpu.user_mode;
	uint64_t cr3 = test.vcpu.cr3, at;

	if (user) {
		test.vcpu.cr3 = test.vcpu.msr.switch_cr3;
		test.vcpu.user_mode = false;
		pvm_mmu_new_cr3(&test.vcpu);
	}
	for (at = STACK_GPA; at < STACK_GPA + STACK_SIZE; at += PVM_PAGE_SIZE) {
		pvm_mmu_fault(&test.vcpu, pvm_gva(at), PVM_PF_W | PVM_PF_U, PVM_MAY_SLEEP);
		pvm_mmu_fault(&test.vcpu, pvm_gva(UPPER_BASE + at), PVM_PF_W | PVM_PF_U, PVM_MAY_SLEEP);
	}
	pvm_mmu_fault(&test.vcpu, pvm_gva(UPPER_BASE + PVCS_GPA), PVM_PF_W | PVM_PF_U, PVM_MAY_SLEEP);
	if (user) {
		test.vcpu.cr3 = cr3;
		test.vcpu.user_mode = true;
		pvm_mmu_new_cr3(&test.vcpu);
	}
}

static void once(enum kind kind, uint64_t round)
{
	enum pvm_action action, other = PVM_ACT_RESUME;
	bool handed;

	random_state(&before, kind);
	load(&before);
	fill_stack();
	test.svcpu.inhibit = PVM_INHIBIT_HOST;
	if (!run_syscall())
		fail("S3: inhibited, and switched directly");
	action = pvm_handle_syscall(&test.vcpu);
	save(&by_engine);

	load(&before);
	test.svcpu.inhibit = 0;
	handed = run_syscall();
	if (!handed && told_first)
		fail("round %lu, %s: the kernel is not told of an event", round, kind_names[kind]);
	if (handed)
		other = pvm_handle_syscall(&test.vcpu);
	save(&by_switcher);
	tried[kind]++;
	direct[kind] += !handed;
	refused[kind] += action != PVM_ACT_RESUME;
	/* A fault pushes RF set, and the engine had none. */
	if (!handed)
		by_switcher.rflags = (by_switcher.rflags & ~PVM_RFLAGS_RF) |
				     (by_engine.rflags & PVM_RFLAGS_RF);
	if (action != other || memcmp(&by_engine, &by_switcher, sizeof(by_engine)))
		complain(kind, round);
}

/* ------------------------------------------------------------------------
 * S6: the host's pages at addresses that are the guest's, too: corners_global.c says why. A frame is neither
 * written to them nor read from them.
 */

#define PLACE	(UPPER_BASE + NOWHERE + 0x345000)	/* Bochs has one place in its TLB for each low half */
#define FRONT	(UPPER_BASE + PVCS_GPA - PVM_PAGE_SIZE)	/* of a page of the guest's */
#define STACK_END (UPPER_BASE + STACK_GPA + STACK_SIZE)

static bool is_zero(const uint64_t *page)
{
	unsigned i;

	for (i = 0; i < PVM_PAGE_SIZE / 8; i++)
		if (page[i])
			return false;
	return true;
}

static const uint64_t frame[FRAME_WORDS] = { [4] = NOWHERE, [5] = USER_CS, [8] = USER_DS };

/* A SYSCALL of @kind whose stack is @rsp, with the host's page at @hosts_va in the TLB. */
static void run_on_hosts_page(enum kind kind, uint64_t rsp, uint64_t hosts_va)
{
	unsigned i;

	random_state(&before, kind);
	before.nmi_masked = before.nmi_pending = 0;
	before.info.pending = 0;
	before.supervisor_rsp = before.gpr[PVM_RSP] = rsp;
	memcpy(before.stack + STACK_SIZE - 0x30, frame, 0x30);	/* the guest's part of a frame over its end */
	memcpy(test.memory + PVCS_GPA, frame + 3, 0x30);	/* and of one that begins before its page */
	for (i = 0; i < 2; i++) {	/* once to have its code in the shadow tables */
		load(&before);
		fill_stack();
		test.svcpu.inhibit = i ? 0 : PVM_INHIBIT_HOST;
		*(volatile uint64_t *)hosts_va = *(volatile uint64_t *)hosts_va;
		if (!run_syscall())
			fail("S6: %s went directly, by the host's page", kind_names[kind]);
	}
}

static uint64_t *map_hosts_page(uint64_t va)
{
	uint64_t *page = page_alloc();

	if (!page)
		fail("no memory");
	memory_map(va, virt_to_phys(page), PVM_PTE_NX | PVM_PTE_G | PVM_PTE_W);
	return page;
}

static void hosts_pages_are_its_own(void)
{
	uint64_t *page = map_hosts_page(PLACE), *after = map_hosts_page(STACK_END);
	uint64_t *front = map_hosts_page(FRONT), cr4 = read_cr4();

	write_cr4(cr4 | PVM_CR4_PGE);
	run_on_hosts_page(USER_SYSCALL_KIND, PLACE + 0x800, PLACE);
	run_on_hosts_page(USER_SYSCALL_KIND, STACK_END + 0x10, STACK_END);
	run_on_hosts_page(USER_SYSCALL_KIND, FRONT + PVM_PAGE_SIZE + 0x20, FRONT);
	if (!is_zero(page) || !is_zero(after) || !is_zero(front))
		fail("S6: a guest's frame is in a page of the host's");
	memcpy(page + 0x800 / 8, frame, sizeof(frame));
	run_on_hosts_page(IRET_USER, PLACE + 0x800, PLACE);
	memcpy(after, frame + 6, 0x18);
	run_on_hosts_page(IRET_USER, STACK_END - 0x30, STACK_END);
	run_on_hosts_page(IRET_USER, FRONT + PVM_PAGE_SIZE - 0x18, FRONT);
	write_cr4(cr4);
	print("the host's global pages are its own\n");
}

/* Of the lower half, with a SYSCALL at its end. */
static void map_last_page(void)
{
	const uint64_t bits = PVM_PTE_P | PVM_PTE_W | PVM_PTE_U;
	uint64_t *tables = (uint64_t *)(test.memory + LAST_TABLES);
	unsigned i, last = PVM_PTES_PER_TABLE - 1;

	for (i = 0; i < PAIRS; i++)
		*(uint64_t *)(test.memory + test.cr3[i] + 8 * PVM_LEVEL_INDEX(LAST_PAGE, 4)) =
			LAST_TABLES | bits;
	tables[last] = (LAST_TABLES + PVM_PAGE_SIZE) | bits;
	tables[PVM_PTES_PER_TABLE + last] = (LAST_TABLES + 2 * PVM_PAGE_SIZE) | bits;
	tables[2 * PVM_PTES_PER_TABLE + last] = 0 | bits;
	test.memory[PVM_PAGE_SIZE - 2] = 0x0f;
	test.memory[PVM_PAGE_SIZE - 1] = 0x05;
}

/* S1: SYSRET to where no address is canonical would fault in the switcher. */
static void last_address_of_a_half(void)
{
	unsigned kind, pass;

	map_last_page();
	for (kind = STACK_SWITCH; kind < KINDS; kind++) {
		random_state(&before, kind);
		before.nmi_masked = before.nmi_pending = before.info.pending = 0;
		before.gpr[PVM_RDI] = before.gpr[PVM_RSI] = 0;
		before.rflags &= ~(uint64_t)PVM_RFLAGS_TF;
		before.rip = LAST_SYSCALL;
		for (pass = 0; pass < 2; pass++) {	/* once to have its code in the shadow tables */
			load(&before);
			test.svcpu.inhibit = pass ? 0 : PVM_INHIBIT_HOST;
			if (!run_syscall())
				fail("S1: %s went directly to %lx", kind_names[kind], test.vcpu.rip);
		}
	}
	print("S1: nothing returns to the end of the lower half\n");
}

static void callback(uint16_t type, uint64_t address)
{
	struct pvm_xen_callback_register *callback = (void *)(test.memory + STACK_GPA);

	*callback = (struct pvm_xen_callback_register){ .type = type, .flags = 1, .address = address };
	test.vcpu.gpr[PVM_RAX] = PVM_XEN_CALLBACK_OP;
	test.vcpu.gpr[PVM_RDI] = PVM_XEN_CALLBACKOP_REGISTER;
	test.vcpu.gpr[PVM_RSI] = STACK_GPA;
	if (pvm_handle_syscall(&test.vcpu) != PVM_ACT_RESUME || test.vcpu.gpr[PVM_RAX])
		fail("a callback is refused");
}

/* S8: a vcpu_info that moves while the switcher answers by itself is at its new place for the next direct
 * switch. There an event waits, as where each is that moves, and the guest unmasks it. */
static void vcpu_info_moves(void)
{
	static const uint8_t code[] = {
		0x0f, 0x05,			/* vcpu_op(register_vcpu_info, 0, rdx) */
		0xc6, 0x03, 0,			/* movb $0, (%rbx): its mask */
		0xb8, PVM_XEN_XEN_VERSION, 0, 0, 0,
		0x31, 0xff,			/* xen_version(0) */
		0x0f, 0x05,
		0x0f, 0x0b,
	};
	static const uint64_t where[] = { PVCS_GPA >> PVM_PAGE_SHIFT, 0 };
	struct pvm_switcher_exit exit;
	pvm_hpa_t root;

	memcpy(test.memory + CODE_GPA + 0x900, code + sizeof(code) - 2, 2);
	random_state(&before, VERSION);
	before.nmi_masked = before.nmi_pending = before.info.pending = 0;
	before.info.mask = 1;
	before.rflags &= ~(uint64_t)PVM_RFLAGS_TF;
	before.rip = CODE_GPA + 0x800;
	before.gpr[PVM_RAX] = PVM_XEN_VCPU_OP;
	before.gpr[PVM_RDI] = PVM_XEN_VCPUOP_REGISTER_VCPU_INFO;
	before.gpr[PVM_RSI] = 0;
	before.gpr[PVM_RDX] = STACK_GPA;
	before.gpr[PVM_RSP] = STACK_GPA + STACK_SIZE;
	before.gpr[PVM_RBX] = UPPER_BASE + PVCS_GPA + offsetof(struct pvm_xen_vcpu_info, mask);
	memcpy(test.memory + before.rip, code, sizeof(code));
	memcpy(before.stack, where, sizeof(where));
	load(&before);
	fill_stack();
	callback(PVM_XEN_CALLBACK_EVENT, CODE_GPA + 0x900);
	load(&before);
	test.svcpu.inhibit = 0;
	test.svcpu.serve = true;
	do
		test_vm_run(&exit);
	while (exit.guest.kind == PVM_EXIT_KICK &&	/* to be told takes more than the switcher may */
	       pvm_handle_exit(&test.vcpu, &exit.guest, &root, PVM_MAY_SLEEP) == PVM_ACT_RESUME);
	test.svcpu.serve = false;
	if (exit.guest.kind != PVM_EXIT_EXCEPTION || exit.guest.vector != PVM_VEC_UD ||
	    test.vcpu.msr.vcpu_struct != PVCS_GPA)
		fail("the vcpu_info does not move: exit %d, vector %u, rip %lx", exit.guest.kind, exit.guest.vector,
		     test.vcpu.rip);
	if (test.vcpu.rip != CODE_GPA + 0x900)
		fail("S8: a direct switch reads where the vcpu_info was: rip %lx", test.vcpu.rip);
	print("S8: a vcpu_info moves\n");
}

static uint64_t limit_of(uint64_t selector)
{
	uint64_t limit = ~0ull;

	__asm__ volatile("lsl %1, %0" : "+r"(limit) : "r"(selector) : "cc");
	return limit;
}

/* S12: the guest's number of a CPU is the guest's alone. Linux's NMI handler finds its CPU's own data by the
 * entry that is in the GDT, which stays the switcher's while exits are answered. */
static void numbers_of_cpus(void)
{
	static const uint8_t code[] = {
		0xb8, CPUNODE_SEL, 0, 0, 0,	/* mov $CPUNODE_SEL, %eax */
		0x0f, 0x03, 0xc0,		/* lsl %eax, %eax */
		0x0f, 0x0b,
	};
	uint64_t hosts = limit_of(CPUNODE_SEL), entry = test.vcpu.cpunode;
	struct pvm_switcher_exit exit;
	unsigned pass;

	random_state(&before, VERSION);
	before.nmi_masked = before.nmi_pending = 0;
	before.rflags &= ~(uint64_t)PVM_RFLAGS_TF;
	before.rip = CODE_GPA + 0x800;
	memcpy(test.memory + before.rip, code, sizeof(code));
	for (pass = 0; pass < 2; pass++) {
		load(&before);
		test.vcpu.cpunode = (test.vcpu.cpunode & ~0xffffull) | (hosts + 1 + pass);
		test_vm_run(&exit);
		if (exit.guest.vector != PVM_VEC_UD || (test.vcpu.gpr[PVM_RAX] & 0xffff) != hosts + 1 + pass)
			fail("the guest has the number of CPU %lx, vector %u", test.vcpu.gpr[PVM_RAX],
			     exit.guest.vector);
		if (limit_of(CPUNODE_SEL) != hosts)
			fail("S12: the host has the guest's number of a CPU");
	}
	test.vcpu.cpunode = entry;
	test.vcpu.state_gen++;
	print("S12: numbers of CPUs are each one's own\n");
}

/* As a kernel does at its start, but by hand. */
static void begin(void)
{
	struct pvm_guest_exit exit = { .kind = PVM_EXIT_KICK };
	static const uint16_t types[] = { PVM_XEN_CALLBACK_EVENT, PVM_XEN_CALLBACK_FAILSAFE,
					  PVM_XEN_CALLBACK_SYSCALL };
	pvm_hpa_t root;
	unsigned i;

	if (pvm_handle_exit(&test.vcpu, &exit, &root, PVM_MAY_SLEEP) != PVM_ACT_RESUME || !info())
		fail("it has no vcpu_info");
	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		callback(types[i], NOWHERE + 0x10 * i);
}

extern volatile uint64_t minivisor_machine_checks;

#define LINT1	0xfee00360ull	/* the local APIC's, which the machine's NMI button is wired to */
#define LINT_NMI 0x400

void minivisor_main(void)
{
	uint64_t rounds = option_number("rounds", 20000), round;
	unsigned kind;

	test_vm_init();
	test_seed(option_number("seed", 1));
	begin();
	*(volatile uint32_t *)phys_to_virt(LINT1) = LINT_NMI;
	test.memory[HYPERCALL + 2] = 0x0f;	/* UD2 */
	test.memory[HYPERCALL + 3] = 0x0b;
	for (round = 0; round < rounds; round++)
		once((enum kind)test_below(KINDS), round);
	for (kind = 0; kind < KINDS; kind++) {
		print("%s: %lu tried, %lu direct, %lu refused\n", kind_names[kind], tried[kind], direct[kind],
		      refused[kind]);
		if (direct[kind] * 5 < tried[kind])
			fail("%s: too few are direct to show anything", kind_names[kind]);
	}
	if (pvm_mmu_check(&test.vm))
		fail("MMU: %s", pvm_mmu_check(&test.vm));
	hosts_pages_are_its_own();
	last_address_of_a_half();
	vcpu_info_moves();
	numbers_of_cpus();
	print("%lu NMIs, %lu machine checks\n", this_cpu()->nmis, minivisor_machine_checks);
	print("all agree\n");
	machine_exit(0);
}
