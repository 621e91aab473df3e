/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * One run of a guest: the copies that entry.S works with are made, the world is
 * switched, and what happened meanwhile is put into the vCPU. Every instruction here
 * is paid at each exit: what changes seldom is looked at only when it has changed.
 *
 * spec: Underlying states, Events and Mode Changing
 */
#include <pvm/events.h>
#include <pvm/exit.h>
#include <pvm/hypercall.h>
#include <pvm/mmu.h>

#include "abi/abi.h"
#include "abi/switches.h"
#include "events/deliver.h"
#include "exit/fault.h"
#include "switcher/selectors.h"
#include "switcher/hw.h"
#include "vcpu/rules.h"

#define NEVER		(1ull << 63)	/* an address that no RIP equals: not canonical */
#define UPPER_HALF	(~0ull << 48)
#define PRED_CMD_IBPB	1
#define FLUSH_CMD_L1D	1

/* What of the last exit is still so in the area and in the vCPU, whatever the engine did meanwhile. */
enum kept {
	KEPT_NOTHING,
	KEPT_BUT_RESULT,	/* a hypercall that is PVM_SERVE_RESULT has been answered */
	KEPT_REGISTERS,		/* a page fault that the engine resolved */
};

/* S8: the page that is pinned (vcpu/pvcs.c), and not what the host has at that address
 * today: that is not held, and may be anybody's tomorrow. */
static void show_pvcs(struct pvm_switcher_vcpu *svcpu)
{
	struct pvm_vcpu *vcpu = svcpu->vcpu;
	uint64_t gpa = vcpu->msr.vcpu_struct;
	pvm_hpa_t page = vcpu->pvcs ? vcpu->pvcs_page : pvm_hpa(PVM_INVALID_ADDR);

	if (svcpu->pvcs || vcpu->pvcs)
		pvm_switcher_map_window(svcpu->vm, vcpu->id, page);
	svcpu->window_pins = vcpu->pins;
	svcpu->window_gpa = gpa;
	svcpu->pvcs = vcpu->pvcs ? svcpu->vm->switcher->config.window_va + vcpu->id * PVM_PAGE_SIZE +
				   (gpa & (PVM_PAGE_SIZE - 1)) : 0;
}

/* S8: the page that is pinned now, not one that was when the same address was used before. */
static bool window_is_right(const struct pvm_switcher_vcpu *svcpu)
{
	return svcpu->window_gpa == svcpu->vcpu->msr.vcpu_struct && svcpu->window_pins == svcpu->vcpu->pins;
}

/* Where a supervisor stack may be in the upper half: the range that legal addresses
 * have there (M7). The 5-level range is left to the engine. */
static void set_stack_range(struct pvm_switcher_cpu *cpu, const struct pvm_vcpu *vcpu)
{
	struct pvm_linear_range range = vcpu->vm->config.range;
	uint64_t msr = vcpu->msr.linear_address_range;

	cpu->range_start = ~0ull;
	cpu->range_end = 0;
	if (msr != pvm_linear_range_encode(&range) &&	/* which may end where no MSR's does */
	    pvm_linear_range_decode(msr, vcpu->vm->config.host_la57, &range) != PVM_OK)
		return;
	if (range.pml4_start == PVM_RANGE_INDEX_NONE)
		return;
	cpu->range_start = UPPER_HALF | (uint64_t)range.pml4_start << PVM_LEVEL_SHIFT(4);
	/* After the last slot comes 0. */
	cpu->range_end = UPPER_HALF + ((uint64_t)range.pml4_end << PVM_LEVEL_SHIFT(4)) -
			 sizeof(struct pvm_supervisor_frame);
}

/*
 * S10: what the CPU needs, and what this guest does: where it may execute at addresses at which the host has
 * text of its own, SMEP does not keep CPL 0 from following what it has left on the return stack.
 */
static void set_mitigations(struct pvm_switcher_cpu *cpu, const struct pvm_switcher_vcpu *svcpu)
{
	const struct pvm_linear_range *range = &svcpu->vcpu->vm->config.range;
	unsigned slot = PVM_LEVEL_INDEX((uint64_t)(uintptr_t)pvm_switcher_text_start, 4);

	cpu->mitigations = cpu->switcher->config.features.mitigations;
	if (slot >= range->pml4_start && slot < range->pml4_end)
		cpu->mitigations |= PVM_MITIGATE_RSB_FILL | PVM_MITIGATE_LFENCE;
	cpu->extras &= ~EXTRA_MITIGATE;
	if (cpu->mitigations)
		cpu->extras |= EXTRA_MITIGATE;
}

/* Another vCPU on this CPU. S10: nothing that one VM trained is used by another. */
static void change_vcpu(struct pvm_switcher_cpu *cpu, struct pvm_switcher_vcpu *svcpu)
{
	bool other_vm = cpu->loaded_vm != svcpu->vm->id;

	if (other_vm && (cpu->mitigations & PVM_MITIGATE_IBPB))
		hw_wrmsr(MSR_PRED_CMD, PRED_CMD_IBPB);
	if (other_vm && (cpu->mitigations & PVM_MITIGATE_L1D_FLUSH))
		hw_wrmsr(MSR_FLUSH_CMD, FLUSH_CMD_L1D);
	if (cpu->syscall != svcpu->switches->syscall) {
		cpu->syscall = svcpu->switches->syscall;
		hw_wrmsr(MSR_LSTAR, pvm_switcher_alias(cpu, cpu->syscall));
	}
	set_mitigations(cpu, svcpu);
	cpu->loaded = svcpu;
	cpu->loaded_vm = svcpu->vm->id;
	cpu->vcpu = (uint64_t)(uintptr_t)svcpu->vcpu;
}

/* CR4 with the guest: looked at here and in pvm_switcher_load(), so that it costs nothing where
 * nothing differs. A guest whose two modes differ comes out at each switch between them. */
static void set_cr4(struct pvm_switcher_cpu *cpu, struct pvm_switcher_vcpu *svcpu)
{
	const struct pvm_vcpu *vcpu = svcpu->vcpu;
	uint64_t host = hw_read_cr4();

	cpu->copies_cr4 = host;
	cpu->cr4_keep = pvm_vcpu_underlying_cr4(vcpu, ~0ull, false);
	cpu->cr4_user = pvm_vcpu_underlying_cr4(vcpu, 0, true);
	cpu->extras &= ~EXTRA_CR4;
	if (host & ~cpu->cr4_keep || cpu->cr4_user & ~host)
		cpu->extras |= EXTRA_CR4;
	if (cpu->cr4_user)
		svcpu->fixed_inhibit |= PVM_INHIBIT_CR4;
}

/* What changes by calls that count in pvm_vcpu::state_gen only. */
static void copy_registers(struct pvm_switcher_cpu *cpu, struct pvm_switcher_vcpu *svcpu)
{
	const struct pvm_switcher_config *config = &svcpu->vm->switcher->config;
	const struct pvm_vcpu *vcpu = svcpu->vcpu;
	unsigned width = vcpu->cr4 & PVM_CR4_LA57 ? 57 : 48;

	if (cpu->loaded != svcpu)
		change_vcpu(cpu, svcpu);
	cpu->state_gen = vcpu->state_gen;
	svcpu->special = vcpu->dr7 & SPECIAL_DEBUG ? pvm_vcpu_underlying_dr7(vcpu) : 0;
	svcpu->fixed_inhibit = svcpu->pvcs && vcpu->pvcs ? 0 : PVM_INHIBIT_PVCS;
	cpu->lstar = svcpu->switches->entry ? svcpu->switches->entry(vcpu) : vcpu->msr.lstar;
	if (cpu->lstar >> 47 && !pvm_legal_address(vcpu, pvm_gva(cpu->lstar)))
		svcpu->fixed_inhibit |= PVM_INHIBIT_ENTRY;	/* S1, M7 */
	svcpu->waits = vcpu->vm->abi->interrupt_waits ?
		       vcpu->vm->abi->interrupt_waits(vcpu, &svcpu->waits_bit) : NULL;
	set_cr4(cpu, svcpu);
	cpu->pvcs = svcpu->pvcs;
	cpu->retu_next = vcpu->msr.retu_rip ? vcpu->msr.retu_rip + PVM_SYSCALL_LENGTH : NEVER;
	cpu->rets_next = vcpu->msr.rets_rip ? vcpu->msr.rets_rip + PVM_SYSCALL_LENGTH : NEVER;
	cpu->supervisor_pkru = vcpu->cr4 & PVM_CR4_PKS ? (uint32_t)vcpu->msr.pkrs : 0;
	cpu->canonical_limit = 1ull << width;
	cpu->canonical_add = 1ull << (width - 1);
	cpu->pgtbl_flags = vcpu->cr4 & PVM_CR4_LA57 ? PVM_LOAD_PGTBL_LA57 : 0;
	set_stack_range(cpu, vcpu);
	memcpy(&cpu->gdt[config->tls_index], vcpu->tls, sizeof(vcpu->tls));
	cpu->guest_cpunode = vcpu->cpunode;
	cpu->extras &= ~EXTRA_CPUNODE;
	if (config->cpunode_sel && vcpu->cpunode && vcpu->cpunode != cpu->cpunode)
		cpu->extras |= EXTRA_CPUNODE;
	if (pvm_unlikely(vcpu->vm->config.host_ldt))
		pvm_switcher_take_ldt(cpu, svcpu);
}

/* S3: one word, a bit for each reason, as wide as what entry.S compares with 0. */
_Static_assert(sizeof(((struct pvm_switcher_cpu *)0)->inhibit) == sizeof(uint32_t), "CMPL");
_Static_assert((PVM_INHIBIT_HOST | PVM_INHIBIT_PVCS | PVM_INHIBIT_NMI | PVM_INHIBIT_INTERRUPT |
		PVM_INHIBIT_ROOT | PVM_INHIBIT_ENTRY | PVM_INHIBIT_CR4 | PVM_INHIBIT_RETRY) ==
		       (1 << 8) - 1,
	       "a bit for each reason");

/* S3: every reason not to switch directly, as one word. */
static uint32_t inhibited(const struct pvm_switcher_cpu *cpu, const struct pvm_switcher_vcpu *svcpu)
{
	const struct pvm_vcpu *vcpu = svcpu->vcpu;
	uint32_t inhibit = svcpu->inhibit | svcpu->fixed_inhibit;

	if (svcpu->waits && (*svcpu->waits & svcpu->waits_bit))
		inhibit |= PVM_INHIBIT_INTERRUPT;
	if (vcpu->mmu.retry.waits)
		inhibit |= PVM_INHIBIT_RETRY;
	if (vcpu->nmi_masked | vcpu->nmi_pending)
		inhibit |= PVM_INHIBIT_NMI;
	if (cpu->own_root[!vcpu->user_mode].v == PVM_INVALID_ADDR)
		inhibit |= PVM_INHIBIT_ROOT;
	return inhibit;
}

/* What the area has beside the registers, if it is not the vCPU's of now. Where anything is kept,
 * only another root's death can have come between: load_root() has looked at the rest. */
static inline void refresh_area(struct pvm_switcher_cpu *cpu, struct pvm_switcher_vcpu *svcpu,
				enum kept *kept)
{
	uint64_t gen = __atomic_load_n(&svcpu->vm->tags_gen, __ATOMIC_SEQ_CST);
	bool same_vcpu;

	if (*kept != KEPT_NOTHING && pvm_likely(cpu->tags_gen == gen))
		return;
	*kept = KEPT_NOTHING;
	same_vcpu = cpu->loaded == svcpu;
	if (pvm_unlikely(!same_vcpu || cpu->state_gen != svcpu->vcpu->state_gen))
		copy_registers(cpu, svcpu);
	if (pvm_likely(same_vcpu && pvm_switcher_roots_are(cpu, svcpu, gen)))
		return;
	cpu->tags_gen = gen;	/* S7: tags of an older one are not found any more */
	pvm_switcher_set_roots(cpu, svcpu, svcpu->root);
}

static void fill_area(struct pvm_switcher_cpu *cpu, struct pvm_switcher_vcpu *svcpu)
{
	struct pvm_vcpu *vcpu = svcpu->vcpu;

	cpu->inhibit = inhibited(cpu, svcpu);
	cpu->user_mode = vcpu->user_mode;
	cpu->kernel_gs_base = vcpu->msr.kernel_gs_base;
	cpu->supervisor_rsp = vcpu->msr.supervisor_rsp;
	cpu->rax = vcpu->gpr[PVM_RAX];
	cpu->rcx = vcpu->gpr[PVM_RCX];
	cpu->rdx = vcpu->gpr[PVM_RDX];
	cpu->r11 = vcpu->gpr[PVM_R11];
	cpu->frame.rip = vcpu->rip;
	cpu->frame.rsp = vcpu->gpr[PVM_RSP];
	pvm_switcher_fill_selectors(cpu, vcpu);
}

/* The direct switches since the entry: the other mode, another pair of tables. */
static void take_switches(struct pvm_switcher_cpu *cpu, const struct pvm_switcher_vcpu *svcpu)
{
	const struct pvm_switcher_roots *roots =
		(const struct pvm_switcher_roots *)(uintptr_t)(cpu->roots - cpu->alias);
	struct pvm_vcpu *vcpu = svcpu->vcpu;
	const struct pvm_vm_config *config = &vcpu->vm->config;
	bool user = cpu->user_mode;

	vcpu->user_mode = user;
	svcpu->switches->take_tables(vcpu, user, roots->guest_cr3, roots->guest_switch_cr3);
	if (roots != &cpu->own_roots)
		pvm_mmu_new_cr3(vcpu);
	vcpu->seg[PVM_CS] = user ? config->user_cs : config->kernel_cs;
	vcpu->seg[PVM_SS] = user ? config->user_ds : config->kernel_ds;
}

static void take_registers(struct pvm_switcher_cpu *cpu, const struct pvm_switcher_vcpu *svcpu)
{
	struct pvm_vcpu *vcpu = svcpu->vcpu;

	vcpu->gpr[PVM_RAX] = cpu->rax;
	vcpu->gpr[PVM_RCX] = cpu->rcx;
	vcpu->gpr[PVM_RDX] = cpu->rdx;
	vcpu->gpr[PVM_R11] = cpu->r11;
	vcpu->gpr[PVM_RSP] = cpu->frame.rsp;
	vcpu->rip = cpu->frame.rip;
	vcpu->rflags = cpu->frame.rflags;
	vcpu->gs_base = cpu->gs_base;
	vcpu->msr.kernel_gs_base = cpu->kernel_gs_base;
	vcpu->msr.supervisor_rsp = cpu->supervisor_rsp;
	if (cpu->flags & AREA_PKE)
		vcpu->pkru = cpu->pkru;
	if (cpu->roots != cpu->own_roots_seen || cpu->user_mode != vcpu->user_mode)
		take_switches(cpu, svcpu);
}

/*
 * Where the host has pages of its own at the guest's addresses, the guest may have met a global one of
 * them in the TLB. A #PF takes away what belongs to the PCID it came with, and need not take away that
 * (SDM vol. 3, 4.10.4.1): the guest would meet it again. It goes at the next entry, on the guest's root,
 * as the host may use it until then.
 */
static inline void forget_global_page(struct pvm_switcher_cpu *cpu)
{
	if (pvm_likely((int64_t)cpu->cr2 >= 0 || !(cpu->frame.error & PVM_PF_P)))
		return;
	cpu->global_gva = cpu->cr2;
	cpu->mitigations |= MITIGATE_GLOBAL;
}

static void explain_vector(struct pvm_switcher_cpu *cpu, struct pvm_vcpu *vcpu,
			   struct pvm_switcher_exit *exit)
{
	exit->guest.vector = (uint8_t)cpu->frame.vector;
	exit->guest.error_code = (uint32_t)cpu->frame.error;
	pvm_switcher_take_selectors(cpu, vcpu);
	if (exit->guest.vector == PVM_VEC_PF) {
		forget_global_page(cpu);
		exit->guest.gva = pvm_gva(cpu->cr2);
	}
	if (exit->guest.vector == PVM_VEC_DB)
		vcpu->dr6 = cpu->dr6;
	if (exit->guest.vector == PVM_VEC_BP || exit->guest.vector == PVM_VEC_OF ||
	    exit->guest.vector == PVM_VEC_SYSCALL32)
		exit->guest.kind = PVM_EXIT_SOFTWARE;
	else if (exit->guest.vector < PVM_VEC_EXCEPTIONS)
		exit->guest.kind = PVM_EXIT_EXCEPTION;
	else
		exit->guest.kind = PVM_EXIT_INTERRUPT;
}

/* A #PF, asked once for each: it is a kick then, with the guest before its instruction. */
static inline bool is_hosts_fault(struct pvm_switcher_cpu *cpu)
{
	if (pvm_likely(!cpu->owns_fault) || !cpu->owns_fault(cpu->switcher->host, cpu->cr2))
		return false;
	cpu->kind = KIND_KICK;
	return true;
}

static void explain(struct pvm_switcher_cpu *cpu, struct pvm_vcpu *vcpu,
		    struct pvm_switcher_exit *exit)
{
	switch (cpu->kind) {
	case KIND_SYSCALL:
	case KIND_HYPERCALL:
		exit->guest.kind = PVM_EXIT_SYSCALL;
		pvm_switcher_take_syscall_selectors(vcpu);
		break;
	case KIND_SYSCALL32:
		exit->guest.kind = PVM_EXIT_SYSCALL32;
		exit->guest.insn.op = PVM_INSN_UNKNOWN;
		if (vcpu->user_mode)
			vcpu->seg[PVM_CS] = vcpu->vm->config.user32_cs;
		vcpu->rip -= PVM_SYSCALL_LENGTH;
		break;
	case KIND_VECTOR:
		explain_vector(cpu, vcpu, exit);
		break;
	case KIND_ANSWERED:
		exit->guest.kind = PVM_EXIT_KICK;
		break;
	case KIND_FAULT:
		exit->guest.kind = PVM_EXIT_FAILED;
		exit->guest.message = "the switcher ran into an exception of its own";
		exit->guest.vector = (uint8_t)cpu->frame.vector;
		exit->guest.error_code = (uint32_t)cpu->frame.error;
		exit->address = cpu->fault_rip - cpu->alias;
		break;
	default:
		exit->guest.kind = PVM_EXIT_KICK;
		pvm_switcher_take_selectors(cpu, vcpu);
	}
}

/* ------------------------------------------------------------------------
 * Exits that are answered here: one engine call that does not sleep.
 */

/* Not #GP and #UD: what raised them is the host's to decode. #AC only where the guest has asked for
 * alignment checks: the host may have the CPU look for split locks. */
#define SERVED_VECTORS \
	(1u << PVM_VEC_DE | 1u << PVM_VEC_BP | 1u << PVM_VEC_BR | 1u << PVM_VEC_NP | 1u << PVM_VEC_SS | \
	 1u << PVM_VEC_MF | 1u << PVM_VEC_AC | 1u << PVM_VEC_XM)

static enum pvm_serve hypercall_serve(const struct pvm_vcpu *vcpu)
{
	const struct pvm_abi_ops *abi = vcpu->vm->abi;
	uint64_t nr = vcpu->gpr[PVM_RAX] - abi->hypercall_base;

	if (pvm_likely(nr < abi->hypercall_count))
		return abi->hypercalls[pvm_index_masked(nr, abi->hypercall_mask)].serve;
	/* A number of the ABI's without a row is answered with an error. */
	return nr < abi->hypercall_numbers ? PVM_SERVE_RESULT : PVM_SERVE_NOT;
}

/* The same, of a guest ABI whose every SYSCALL is an exit, and which every entry owes a call. */
static enum pvm_action serve_syscall(struct pvm_switcher_cpu *cpu, struct pvm_vcpu *vcpu)
{
	enum pvm_action action;

	pvm_switcher_take_syscall_selectors(vcpu);
	action = pvm_handle_syscall(vcpu);
	if (action != PVM_ACT_RESUME)
		return action;
	cpu->kind = KIND_ANSWERED;
	return vcpu->vm->abi->entry(vcpu);
}

/* PVM_ACT_RETRY: not ours, or it would sleep. */
static enum pvm_action serve_vector(struct pvm_switcher_cpu *cpu, struct pvm_vcpu *vcpu,
				    enum kept *kept)
{
	uint64_t vector = cpu->frame.vector;

	*kept = KEPT_NOTHING;
	if (vector >= PVM_VEC_EXCEPTIONS)
		return PVM_ACT_RETRY;
	pvm_switcher_take_selectors(cpu, vcpu);
	if (vector == PVM_VEC_PF) {
		enum pvm_action action;
		bool fixed;

		if (is_hosts_fault(cpu))
			return PVM_ACT_RETRY;
		forget_global_page(cpu);
		action = pvm_fault_answer(vcpu, pvm_gva(cpu->cr2), (uint32_t)cpu->frame.error, PVM_NO_SLEEP,
					  &fixed);
		if (fixed)
			*kept = KEPT_REGISTERS;
		return action;
	}
	if (vector == PVM_VEC_AC && !(vcpu->rflags & PVM_RFLAGS_AC))
		return PVM_ACT_RETRY;
	if (SERVED_VECTORS >> vector & 1)
		return pvm_deliver(vcpu, (uint8_t)vector, (uint32_t)cpu->frame.error);
	return PVM_ACT_RETRY;
}

/* ------------------------------------------------------------------------
 * Running.
 */

/* What takes the host's locks: before the vCPU is active, as who waits for it to come
 * out may hold them. */
static void prepare(struct pvm_switcher_vcpu *svcpu, pvm_hpa_t root)
{
	struct pvm_vcpu *vcpu = svcpu->vcpu;

	if (!window_is_right(svcpu)) {
		show_pvcs(svcpu);
		vcpu->state_gen++;
	}
	svcpu->root[vcpu->user_mode] = root;
	svcpu->root[!vcpu->user_mode] = pvm_mmu_other_root(vcpu);
	svcpu->roots_gen = vcpu->mmu.roots_gen;
}

/* What few guests and hosts have: armed breakpoints, an LDT. */
static PVM_NOINLINE void enter_special(struct pvm_switcher_cpu *cpu, struct pvm_switcher_vcpu *svcpu,
				       uint64_t host_dr7, uint64_t special)
{
	if (special & SPECIAL_DEBUG)
		pvm_switcher_enter_debug(cpu, svcpu->vcpu, host_dr7, svcpu->special & ~(uint64_t)SPECIAL_LDT);
	if (special & SPECIAL_LDT)
		pvm_switcher_enter_ldt(cpu, svcpu);
}

static PVM_NOINLINE void leave_special(struct pvm_switcher_cpu *cpu, uint64_t special)
{
	if (special & SPECIAL_LDT)
		pvm_switcher_leave_ldt(cpu);
	if (special & SPECIAL_DEBUG)
		pvm_switcher_leave_debug(cpu);
}

/* Into the guest and out again. False: an exit is asked for. */
static bool enter(struct pvm_switcher_cpu *cpu, struct pvm_switcher_vcpu *svcpu, enum kept kept)
{
	struct pvm_vcpu *vcpu = svcpu->vcpu;
	uint64_t dr7, special;

	/* A CPU that asks for an exit from here on finds the vCPU active and interrupts
	 * this CPU; one that asked before is found here. */
	cpu->runs++;
	__atomic_store_n(&svcpu->cpu, cpu, __ATOMIC_RELAXED);
	__atomic_store_n(&cpu->active, svcpu, __ATOMIC_SEQ_CST);
	if (pvm_unlikely(__atomic_load_n(&svcpu->request, __ATOMIC_SEQ_CST))) {
		__atomic_store_n(&cpu->active, NULL, __ATOMIC_RELEASE);
		cpu->turned_back++;
		return false;
	}
	refresh_area(cpu, svcpu, &kept);
	if (kept == KEPT_BUT_RESULT) {
		cpu->rax = vcpu->gpr[PVM_RAX];
		cpu->rcx = vcpu->gpr[PVM_RCX];
		cpu->frame.cs = cpu->user_cs;	/* a direct switch leaves the user's there */
	} else if (kept == KEPT_REGISTERS) {
		pvm_switcher_fill_selectors(cpu, vcpu);
	} else {
		fill_area(cpu, svcpu);
	}
	dr7 = hw_read_dr7();
	special = (dr7 | svcpu->special) & (SPECIAL_DEBUG | SPECIAL_LDT);
	if (pvm_unlikely(special))
		enter_special(cpu, svcpu, dr7, special);
	cpu->enter(cpu->seen, vcpu);
	__atomic_store_n(&cpu->active, NULL, __ATOMIC_RELEASE);
	if (pvm_unlikely(special))
		leave_special(cpu, special);
	take_registers(cpu, svcpu);
	return true;
}

/* The roots to run on next; false: the host must make one. */
static inline bool load_root(const struct pvm_switcher_cpu *cpu, struct pvm_switcher_vcpu *svcpu,
			     enum kept *kept)
{
	struct pvm_vcpu *vcpu = svcpu->vcpu;
	pvm_hpa_t root;

	if (pvm_likely(svcpu->roots_gen == vcpu->mmu.roots_gen && cpu->state_gen == vcpu->state_gen &&
		       (*kept != KEPT_NOTHING || svcpu->root[vcpu->user_mode].v != PVM_INVALID_ADDR)))
		return true;
	*kept = KEPT_NOTHING;
	if (pvm_mmu_load(vcpu, &root, PVM_NO_SLEEP) != PVM_OK)
		return false;
	prepare(svcpu, root);
	return true;
}

void pvm_switcher_run(struct pvm_switcher_cpu *cpu, struct pvm_switcher_vcpu *svcpu, pvm_hpa_t root,
		      struct pvm_switcher_exit *exit)
{
	struct pvm_vcpu *vcpu = svcpu->vcpu;
	enum pvm_action action;
	enum kept kept = KEPT_NOTHING;

	exit->guest.kind = PVM_EXIT_KICK;
	exit->nmi = exit->machine_check = false;
	vcpu->brief = true;		/* M12: interrupts are off */
	vcpu->mmu.flush_since = 0;	/* the guest goes on, so no flush is under way */
	if (pvm_unlikely(!cpu->is_loaded))
		pvm_switcher_load(cpu);
	if (pvm_unlikely(!window_is_right(svcpu) || svcpu->roots_gen != vcpu->mmu.roots_gen ||
			 svcpu->root[vcpu->user_mode].v != root.v))
		prepare(svcpu, root);
	do {
		action = PVM_ACT_RETRY;
		if (!enter(cpu, svcpu, kept)) {
			vcpu->brief = false;
			return;
		}
		if (!svcpu->serve || cpu->pending || svcpu->inhibit) {
			if (cpu->kind == KIND_VECTOR && cpu->frame.vector == PVM_VEC_PF)
				is_hosts_fault(cpu);
			break;
		}
		if (cpu->kind == KIND_HYPERCALL) {
			enum pvm_serve serve = hypercall_serve(vcpu);

			if (serve != PVM_SERVE_NOT)
				action = pvm_handle_syscall(vcpu);
			kept = serve == PVM_SERVE_RESULT && vcpu->rip == cpu->frame.rip ?
			       KEPT_BUT_RESULT : KEPT_NOTHING;
		} else if (cpu->kind == KIND_SYSCALL && vcpu->vm->abi->entry) {
			action = serve_syscall(cpu, vcpu);
			kept = KEPT_NOTHING;
		} else if (cpu->kind == KIND_SYSCALL && cpu->inhibit == PVM_INHIBIT_RETRY &&
			   !vcpu->user_mode) {
			action = pvm_handle_syscall(vcpu);
			kept = KEPT_NOTHING;
		} else if (cpu->kind == KIND_VECTOR) {
			action = serve_vector(cpu, vcpu, &kept);
		}
	} while (action == PVM_ACT_RESUME && load_root(cpu, svcpu, &kept));
	vcpu->brief = false;

	if (action == PVM_ACT_RETRY) {
		explain(cpu, vcpu, exit);
	} else if (action != PVM_ACT_RESUME) {
		exit->guest.kind = PVM_EXIT_ACTION;
		exit->guest.action = action;
	}
	if (pvm_unlikely(cpu->pending)) {
		exit->nmi = cpu->pending & PENDING_NMI;
		exit->machine_check = cpu->pending & PENDING_MC;
		cpu->pending = 0;
	}
}
