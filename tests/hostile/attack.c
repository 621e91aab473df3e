/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The C side of attacks: what they start with, and what must not have changed.
 */
#include "attack.h"

#define STACK_SIZE (16 * KiB)
#define DEFAULT_SEED 0x9e3779b97f4a7c15ul

_Static_assert(offsetof(struct attack_regs, gpr) + 8 * RSP == REGS_RSP, "attack.h");
_Static_assert(offsetof(struct attack_regs, gpr) + 8 * R15 == REGS_R15, "attack.h");
_Static_assert(offsetof(struct attack_regs, rflags) == REGS_RFLAGS, "attack.h");
_Static_assert(offsetof(struct attack_regs, gsbase) == REGS_GSBASE, "attack.h");
_Static_assert(offsetof(struct attack_regs, fsbase) == REGS_FSBASE, "attack.h");

extern const char attack_syscall_entry[], attack_event_entry[];

struct attack_regs attack_in, attack_out;

static u8 stack[STACK_SIZE] __attribute__((aligned(4096)));
static u64 random_state = DEFAULT_SEED;

u64 attack_stack(void)
{
	return (u64)stack + sizeof(stack);
}

static void entries(const void *event, const void *syscall, const void *retu, const void *rets)
{
	guest_assert(hc_wrmsr(MSR_PVM_EVENT_ENTRY, (u64)event) == 0);
	guest_assert(hc_wrmsr(MSR_LSTAR, (u64)syscall) == 0);
	guest_assert(hc_wrmsr(MSR_PVM_RETU_RIP, (u64)retu) == 0);
	guest_assert(hc_wrmsr(MSR_PVM_RETS_RIP, (u64)rets) == 0);
}

void attack_begin(void)
{
	irq_disable();
	entries(attack_event_entry, attack_syscall_entry, attack_retu, attack_rets);
	fill_registers();
}

void attack_end(void)
{
	entries(event_entry, syscall_entry, retu_syscall, rets_syscall);
}

void fill_registers(void)
{
	for (unsigned i = 0; i < 16; i++)
		attack_in.gpr[i] = 0x0101010101010101ul * (i + 1);
	attack_in.gpr[RSP] = attack_stack();
}

void fill_pvcs(u64 rip)
{
	volatile struct pvm_vcpu_struct *p = pvcs();

	p->user_cs = user64_cs();
	p->user_ss = user_ss();
	p->user_gsbase = 0;
	p->eflags = FLAG_FIXED | FLAG_IF;
	p->pkru = 0;
	p->rip = rip;
	p->rsp = user_stack_top() - 64;
	p->rcx = 0x2020202020202020ul;
	p->r11 = 0x3030303030303030ul;
}

void fill_pvcs_for_sysret(u64 rip, u32 flags)
{
	fill_pvcs(rip);
	pvcs()->eflags = flags;
	pvcs()->rcx = rip;
	pvcs()->r11 = flags;
}

void visit_user_mode(void)
{
	for (unsigned i = 0; i < 2; i++) {
		fill_registers();
		fill_pvcs((u64)attack_user_syscall);
		guest_assert(attack(attack_retu) == BY_SYSCALL);
	}
}

bool kept_registers(u32 except)
{
	for (unsigned i = 0; i < 16; i++)
		if (!(except >> i & 1) && attack_in.gpr[i] != attack_out.gpr[i])
			return false;
	return true;
}

bool was_exception(u64 by, u32 vector, u64 rip)
{
	const struct pvm_supervisor_frame *frame = (const void *)attack_out.gpr[RSP];

	if (by != BY_EXCEPTION || (u64)frame < (u64)stack ||
	    (u64)frame + sizeof(*frame) > attack_stack())
		return false;
	return frame->vector == vector && frame->rip == rip;
}

bool was_user_event(u64 by, u32 vector, u64 rip)
{
	return by == BY_USER_EVENT && pvcs()->event_vector == vector && pvcs()->rip == rip;
}

void seed_random(u64 seed)
{
	random_state = seed;
	printf("# seed %#lx\n", seed);
}

u64 random64(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

unsigned address_bits(void)
{
	return paging_levels() == 5 ? 57 : 48;
}

bool has_upper_half(void)
{
	u64 range = hc_rdmsr(MSR_PVM_LINEAR_ADDRESS_RANGE);

	return (range >> PVM_RANGE_PML4_START_SHIFT & PVM_RANGE_INDEX_MASK) != PVM_RANGE_INDEX_NONE;
}

/* A lone bit from the sign bit up, and all of those but one. */
unsigned non_canonical(u64 list[NON_CANONICAL_MAX])
{
	unsigned n = 0;

	for (unsigned bit = address_bits() - 1; bit < 64; bit++) {
		list[n++] = 1ul << bit;
		list[n++] = ~(1ul << bit);
	}
	return n;
}

void check_tally(const struct tally *t, const char *what)
{
	check(t->tried && !t->failed, what);
	if (t->failed)
		printf("# %lu of %lu failed, the first is %#lx\n", t->failed, t->tried, t->first);
}
