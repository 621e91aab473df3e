/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * A kernel that means harm: every hypercall, known or not, with arguments at edges, lists of them with
 * entries of the same kind, in either mode, by one vCPU of three. It may end itself. What must hold after
 * each call is what the CPU would be loaded with, and what the shadow tables are. The seed is printed.
 */
#include "guest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vcpu/ldt.h"

#define ROUNDS		300
#define CALLS		200	/* of a round, which begins with the guest's memory as it was */
#define LISTS		64	/* words of arguments */
#define IRET_FRAME	(OTHER_STACK - 0x200)
#define SEED		20261127

static uint64_t state;
static uint8_t *memory;

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

#define PICK(array) pick(array, sizeof(array) / sizeof((array)[0]))

/* What an argument may be: a number, an address, a frame, an entry of a table. */
static uint64_t value(void)
{
	static const uint64_t numbers[] = {
		0, 1, 2, 3, 7, 8, 15, 16, 31, 32, 63, 64, 255, 256, 511, 512, 4095, 4096, PVM_XEN_DOMID_SELF,
		0x7fffffff, 0x80000000, 0xffffffff, 0x100000000, 0x7fffffffffffffff, 0x8000000000000000,
		~0ull, ~0ull - 7, ~0ull - 4095,
	};
	static const uint64_t addresses[] = {
		ARGUMENTS, ARGUMENTS, ARGUMENTS, ARGUMENTS + 8, ARGUMENTS + 0xff8, ARGUMENTS + 0xfff, KERNEL,
		KERNEL_STACK, OTHER_STACK, KERNEL + KERNEL_SIZE - 8, KERNEL + KERNEL_SIZE - 1,
		KERNEL + KERNEL_SIZE, USER, USER + 0xffc, 0xffff800000000000, 0xffff800000000ff8,
		0xffff87ffffffffff, 0xffff878000000000, 0xffff880000000000, 0x00007fffffffffff,
		0x0000800000000000, 0xffff7fffffffffff, 0xfffffffffffff000,
	};
	uint64_t gfn = rnd() % (PAGES + 8);

	switch (rnd() % 8) {
	case 0:
	case 1:
		return PICK(numbers);
	case 2:
	case 3:
		return PICK(addresses);
	case 4:
		return gfn;
	case 5:		/* an entry, or a pointer to one */
		return gfn << PVM_PAGE_SHIFT | (rnd() & 0xfff) | (rnd() % 4 ? 0 : PVM_PTE_NX);
	case 6:
		return (rnd() % 2 ? g.kernel_table : g.user_table) + (rnd() % 512) * 8 + rnd() % 3;
	default:
		return rnd() >> rnd() % 64;
	}
}

/* A call, and what its arguments are for: o an operation, p a list, c a count, d the domain, g an address of
 * the guest's, e an entry, i a vCPU, z where a count goes, v any. */
struct shape {
	uint64_t nr;
	const char *arguments;
};

static const struct shape shapes[] = {
	{ PVM_XEN_SET_TRAP_TABLE, "p" }, { PVM_XEN_MMU_UPDATE, "pczd" }, { PVM_XEN_SET_GDT, "pc" },
	{ PVM_XEN_STACK_SWITCH, "vg" }, { PVM_XEN_FPU_TASKSWITCH, "c" }, { PVM_XEN_SET_DEBUGREG, "ov" },
	{ PVM_XEN_GET_DEBUGREG, "o" }, { PVM_XEN_UPDATE_DESCRIPTOR, "ev" }, { PVM_XEN_MEMORY_OP, "op" },
	{ PVM_XEN_MULTICALL, "pc" }, { PVM_XEN_UPDATE_VA_MAPPING, "gec" }, { PVM_XEN_SET_TIMER_OP, "v" },
	{ PVM_XEN_XEN_VERSION, "op" }, { PVM_XEN_CONSOLE_IO, "ocp" }, { PVM_XEN_GRANT_TABLE_OP, "opc" },
	{ PVM_XEN_VM_ASSIST, "oo" }, { PVM_XEN_IRET, "" }, { PVM_XEN_VCPU_OP, "oip" },
	{ PVM_XEN_SET_SEGMENT_BASE, "ov" }, { PVM_XEN_MMUEXT_OP, "pczd" }, { PVM_XEN_SCHED_OP, "op" },
	{ PVM_XEN_CALLBACK_OP, "op" }, { PVM_XEN_EVENT_CHANNEL_OP, "op" }, { PVM_XEN_PHYSDEV_OP, "op" },
};

static uint64_t entry(void)
{
	return (rnd() % (PAGES + 8)) << PVM_PAGE_SHIFT | (rnd() & 0x67) | (rnd() % 4 ? 0 : rnd() & 0xfff) |
	       (rnd() % 4 ? 0 : PVM_PTE_NX);
}

static uint64_t argument(char kind)
{
	static const uint64_t tables[] = { MEMORY / 2, MEMORY / 2 + 0x1000, MEMORY / 2 + 0x2000,
					   MEMORY / 2 + 0x3000, MEMORY / 2 + 0x4000, MEMORY / 2 + 0x5000 };

	if (rnd() % 8 == 0)
		return value();
	switch (kind) {
	case 'o':
		return rnd() % 20;
	case 'p':
		return ARGUMENTS + rnd() % 4 * 0x40;
	case 'c':
		return rnd() % 5;
	case 'd':
		return PVM_XEN_DOMID_SELF;
	case 'z':
		return rnd() % 2 ? 0 : argument('p');
	case 'g':
		return KERNEL + rnd() % (KERNEL_SIZE + PVM_PAGE_SIZE);
	case 'e':
		return entry();
	case 'i':
		return rnd() % 4;
	case 't':	/* a pointer to an entry, with what is to be done there */
		return PICK(tables) + rnd() % 512 * 8 + rnd() % 3;
	}
	return value();
}

static const struct shape *shape_of(uint64_t nr)
{
	size_t i;

	for (i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
		if (shapes[i].nr == nr)
			return &shapes[i];
	return NULL;
}

/* What IRET takes: nine words. */
static void fill_frame(void)
{
	static const uint64_t selectors[] = { USER_CS, USER32_CS, USER_CS & ~3ull, KERNEL_CS, 0, 0x1b, 7 };
	uint64_t *frame = xen_at(IRET_FRAME);
	unsigned i;

	for (i = 0; i < 9; i++)
		frame[i] = value();
	if (rnd() % 4 == 0)
		return;
	frame[4] = rnd() % 2 ? USER : value();
	frame[5] = PICK(selectors);
	frame[6] = rnd() & 0x3fffff;
	frame[8] = rnd() % 2 ? USER_DS : PICK(selectors);
}

/* As many as the call has, and any beyond. */
static void arguments(uint64_t nr, uint64_t out[5])
{
	const struct shape *shape = shape_of(nr);
	const char *kind = shape ? shape->arguments : "";
	unsigned i;

	for (i = 0; i < 5; i++)
		out[i] = argument(*kind ? *kind++ : 'v');
}

static uint64_t number(void)
{
	return rnd() % 16 ? shapes[rnd() % (sizeof(shapes) / sizeof(shapes[0]))].nr : value();
}

/* What the call's list holds: half of the time by its form, else anything. */
static void fill_list(uint64_t nr)
{
	uint64_t *words = xen_at(ARGUMENTS);
	unsigned i;

	for (i = 0; i < LISTS; i++)
		words[i] = value();
	if (rnd() % 4 == 0)
		return;
	for (i = 0; i < LISTS; i++) {
		switch (nr) {
		case PVM_XEN_MMU_UPDATE:
			words[i] = argument(i % 2 ? 'e' : 't');
			break;
		case PVM_XEN_MMUEXT_OP:
			words[i] = i % 3 ? rnd() % 2 ? rnd() % PAGES : argument('g') : argument('o');
			break;
		case PVM_XEN_MULTICALL:		/* { number, result, six arguments } */
			if (i % 8 == 0) {
				words[i] = number();
				arguments(words[i], &words[i + 2]);
			}
			i += 7;
			break;
		default:
			words[i] = rnd() % 2 ? rnd() % 4 : words[i];
		}
	}
}

/* S2, S4, S5: what the CPU would fault on, or the host be harmed by, is in no register. */
static void assert_loadable(const struct pvm_vcpu *vcpu, const char *what)
{
	const uint64_t must = PVM_RFLAGS_IF | PVM_RFLAGS_FIXED, never = 0x3000 | 1ull << 17;	/* IOPL, VM */
	unsigned i;

	cr_assert_eq(vcpu->rflags & (must | never), must, "S2: RFLAGS %#lx after %s", vcpu->rflags, what);
	cr_assert(pvm_canonical(vcpu, vcpu->fs_base), "S5: FS base %#lx after %s", vcpu->fs_base, what);
	cr_assert(pvm_canonical(vcpu, vcpu->gs_base), "S5: GS base %#lx after %s", vcpu->gs_base, what);
	cr_assert(pvm_canonical(vcpu, vcpu->msr.kernel_gs_base), "S5: after %s", what);
	cr_assert_lt(vcpu->cr3 >> PVM_PAGE_SHIFT, 1ull << (52 - PVM_PAGE_SHIFT), "CR3 after %s", what);
	for (i = 0; vcpu->ldt && i < vcpu->ldt->entries; i++) {
		uint64_t desc = pvm_ldt_entry(vcpu, (uint16_t)(i << 3 | 4));

		cr_assert_eq(desc, pvm_ldt_rectify(desc), "S6: entry %u after %s", i, what);
	}
}

/* Back to a kernel that runs, whatever it has done to itself. */
static void begin_round(void)
{
	struct pvm_vcpu *vcpu = &g.f.vcpu[0];

	memcpy(g.f.host.memory, memory, MEMORY);
	pvm_mmu_unmap_gfns(&g.f.vm, pvm_gfn(0), MEMORY / PVM_PAGE_SIZE, PVM_MAY_SLEEP);
	vcpu->halted = false;
	vcpu->user_mode = false;
	cr_assert_eq(pvm_cr_write(vcpu, 3, g.kernel_table), PVM_OK);
	pvm_mmu_flush_all(vcpu);
}

static void one_call(void)
{
	struct pvm_vcpu *vcpu = &g.f.vcpu[0];
	struct pvm_guest_exit stop = { .kind = PVM_EXIT_SYSCALL };
	enum pvm_action action = PVM_ACT_RETRY;
	uint64_t nr = number(), a[5];
	pvm_hpa_t root;
	char what[96];
	unsigned turns;

	fill_list(nr);
	fill_frame();
	arguments(nr, a);
	vcpu->rip = vcpu->gpr[PVM_RCX] = rnd() % 8 ? KERNEL + 0x100 : value();
	vcpu->gpr[PVM_R11] = value();
	vcpu->gpr[PVM_RSP] = rnd() % 4 ? IRET_FRAME : value();
	vcpu->gpr[PVM_RAX] = nr;
	vcpu->gpr[PVM_RDI] = a[0];
	vcpu->gpr[PVM_RSI] = a[1];
	vcpu->gpr[PVM_RDX] = a[2];
	vcpu->gpr[PVM_R10] = a[3];
	vcpu->gpr[PVM_R8] = a[4];
	snprintf(what, sizeof(what), "hypercall %lu(%#lx, %#lx, %#lx)", nr, vcpu->gpr[PVM_RDI], vcpu->gpr[PVM_RSI],
		 vcpu->gpr[PVM_RDX]);
	/* As a host does: without sleep first, and with it what is not done so. */
	for (turns = 0; action == PVM_ACT_RETRY && turns < 4; turns++)
		action = pvm_handle_exit(vcpu, &stop, &root, turns ? PVM_MAY_SLEEP : PVM_NO_SLEEP);
	cr_assert_neq(action, PVM_ACT_ERROR, "%s", what);
	cr_assert_neq(action, PVM_ACT_RETRY, "%s is never done", what);
	assert_loadable(vcpu, what);
	if (vcpu->user_mode && rnd() % 2) {
		pvm_mmu_fault(vcpu, pvm_gva(value()), PVM_ACCESS_READ | PVM_PF_U, PVM_MAY_SLEEP);
		vcpu->user_mode = false;
	} else if (!vcpu->user_mode) {
		/* And it uses what it has mapped. */
		pvm_mmu_fault(vcpu, pvm_gva(argument('g')), PVM_ACCESS_WRITE | PVM_PF_U, PVM_MAY_SLEEP);
		pvm_mmu_fault(vcpu, pvm_gva(value()), PVM_ACCESS_WRITE | PVM_PF_U, PVM_MAY_SLEEP);
	}
	vcpu->halted = false;
}

/* spec: XC-018 */
Test(hostile, S2_S5_S6_M1_every_hypercall_with_any_arguments, .timeout = 300)
{
	unsigned round, call;

	state = getenv("SEED") ? strtoull(getenv("SEED"), NULL, 0) : SEED;
	fprintf(stderr, "seed %llu\n", (unsigned long long)state);
	xen_guest_init(3);
	memory = malloc(MEMORY);
	memcpy(memory, g.f.host.memory, MEMORY);
	for (round = 0; round < ROUNDS; round++) {
		const char *wrong;

		begin_round();
		for (call = 0; call < CALLS; call++)
			one_call();
		wrong = pvm_mmu_check(&g.f.vm);
		cr_assert_null(wrong, "round %u: %s", round, wrong);
		xen_enter(1 + round % 2);
	}
	begin_round();
	free(memory);
	xen_guest_fini();
}
