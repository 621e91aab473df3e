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

/* attack_entry.S */
u64 attack_go(const void *target);

#if SINGLE_CR3
static u8 lock_left;		/* as the event or the system call left it */
#endif

u64 attack(const void *target)
{
	u64 by = attack_go(target);

#if SINGLE_CR3
	lock_left = pvcs()->event_vector >> 8;
	pvcs()->event_vector &= 0xff;
#endif
	return by;
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
	volatile struct guest_pvcs *p = pvcs();

	p->user_cs = user64_cs();
	p->user_ss = user_ss();
	p->user_gsbase = 0;
	p->eflags = FLAG_FIXED | FLAG_IF;
	p->pkru = 0;
	p->rip = rip;
	p->rcx = 0x2020202020202020ul;
	p->r11 = 0x3030303030303030ul;
	set_user_rsp(user_stack_top() - 64);
}

void set_user_rsp(u64 rsp)
{
#if SINGLE_CR3
	attack_in.gpr[RSP] = rsp;
#else
	pvcs()->rsp = rsp;
#endif
}

void fill_supervisor(const struct supervisor_context *context)
{
#if SINGLE_CR3
	volatile struct guest_pvcs *p = pvcs();

	p->rip = context->rip;
	p->eflags = (u32)context->rflags;
	p->rcx = context->rcx;
	p->r11 = context->r11;
	attack_in.gpr[RSP] = context->rsp;
#else
	struct pvm_supervisor_frame *frame = (void *)(attack_stack() - 1024);

	memset(frame, 0, sizeof(*frame));
	frame->rip = context->rip;
	frame->rflags = context->rflags;
	frame->rsp = context->rsp;
	frame->rcx = context->rcx;
	frame->r11 = context->r11;
	attack_in.gpr[RSP] = (u64)frame;
#endif
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

#if SINGLE_CR3

static bool was_event(u32 vector, u64 rip)
{
	return lock_left == PVM_SC_VECTOR_STD >> 8 && pvcs()->event_vector == vector && pvcs()->rip == rip;
}

bool was_exception(u64 by, u32 vector, u64 rip)
{
	return by == BY_EXCEPTION && was_event(vector, rip);
}

u64 exception_rip(void)
{
	return pvcs()->rip;
}

u32 exception_errcode(void)
{
	return pvcs()->event_errcode;
}

#else

static bool was_event(u32 vector, u64 rip)
{
	return pvcs()->event_vector == vector && pvcs()->rip == rip;
}

static const struct pvm_supervisor_frame *event_frame(void)
{
	return (const void *)attack_out.gpr[RSP];
}

bool was_exception(u64 by, u32 vector, u64 rip)
{
	u64 frame = (u64)event_frame();

	if (by != BY_EXCEPTION || frame < (u64)stack ||
	    frame + sizeof(struct pvm_supervisor_frame) > attack_stack())
		return false;
	return event_frame()->vector == vector && event_frame()->rip == rip;
}

u64 exception_rip(void)
{
	return event_frame()->rip;
}

u32 exception_errcode(void)
{
	return event_frame()->errcode;
}

#endif

bool was_user_event(u64 by, u32 vector, u64 rip)
{
	return by == BY_USER_EVENT && was_event(vector, rip);
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
