/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * What this ABI keeps for a VM and for a vCPU, to paper and back: <pvm/xen_state.h>.
 *
 * A state comes from outside and is not trusted. All of one is judged before any of it is taken over. What
 * needs the guest's memory is done when the vCPU is entered first (upcall.c): the host may not have it yet.
 */
#include <pvm/xen_state.h>

#include "abi/xen_pv/xen_pv.h"
#include "mmu/late.h"
#include "mmu/lock.h"
#include "mmu/mark.h"

#define PORT_STATE	0xffull
#define PORT_VIRQ	0xff00ull
#define PORT_VCPU	0xffff0000ull
#define POLL_PORTS_MAX	128

_Static_assert(PVM_XEN_STATE_VECTORS == XEN_VECTORS, "a trap table of all vectors");

/* ------------------------------------------------------------------------
 * Of the VM.
 */

static uint64_t port_to_word(struct xen_port port)
{
	return port.state | (uint64_t)port.virq << PVM_XEN_STATE_VIRQ_SHIFT |
	       (uint64_t)port.vcpu << PVM_XEN_STATE_VCPU_SHIFT;
}

static struct xen_port port_of_word(uint64_t word)
{
	return (struct xen_port){ .state = (uint8_t)(word & PORT_STATE),
				  .virq = (uint8_t)((word & PORT_VIRQ) >> PVM_XEN_STATE_VIRQ_SHIFT),
				  .vcpu = (uint16_t)((word & PORT_VCPU) >> PVM_XEN_STATE_VCPU_SHIFT) };
}

void pvm_xen_vm_save(struct pvm_vm *vm, struct pvm_xen_vm_state *state)
{
	struct pvm_clock clock;
	uint32_t i;

	memset(state, 0, sizeof(*state));
	state->version = PVM_XEN_STATE_VERSION;
	state->size = sizeof(*state);
	vm->ops->clock(vm->host, &clock);
	state->now = clock.ns;
	for (i = 1; i < PVM_XEN_PORTS_MAX; i++)
		state->port[i] = port_to_word(pvm_xen_port_get(vm, i));
}

static bool port_allowed(const struct pvm_vm *vm, uint64_t word)
{
	struct xen_port port = port_of_word(word);

	if (port_to_word(port) != word || port.vcpu >= vm->config.xen.vcpus)
		return false;
	switch (port.state) {
	case PVM_XEN_PORT_CLOSED:
		return !word;
	case PVM_XEN_PORT_UNBOUND:
	case PVM_XEN_PORT_INTERDOMAIN:
	case PVM_XEN_PORT_IPI:
		return !port.virq;
	case PVM_XEN_PORT_VIRQ:
		return port.virq < PVM_XEN_VIRQS;
	}
	return false;
}

static const char *judge_vm(const struct pvm_vm *vm, const struct pvm_xen_vm_state *s)
{
	uint32_t i;

	if (s->version != PVM_XEN_STATE_VERSION)
		return "version";
	if (s->size != sizeof(*s))
		return "size";
	if (s->now >> 63)
		return "now";
	if (s->port[0])
		return "port";
	for (i = 1; i < PVM_XEN_PORTS_MAX; i++)
		if (!port_allowed(vm, s->port[i]))
			return "port";
	return NULL;
}

int pvm_xen_vm_restore(struct pvm_vm *vm, const struct pvm_xen_vm_state *state, const char **field)
{
	struct xen_vm *xen = xen_vm(vm);
	uint32_t i;

	*field = judge_vm(vm, state);
	if (*field)
		return PVM_EINVAL;
	*field = "shared_info";
	pvm_lock(vm);
	if (xen->shared) {	/* by a vCPU that has run */
		pvm_unlock(vm);
		return PVM_EBUSY;
	}
	*field = NULL;
	for (i = 1; i < PVM_XEN_PORTS_MAX; i++) {
		struct xen_port port = port_of_word(state->port[i]);

		if (port.state == PVM_XEN_PORT_INTERDOMAIN)	/* until the host binds it */
			port.state = PVM_XEN_PORT_UNBOUND;
		pvm_xen_port_set(vm, i, port);
	}
	__atomic_store_n(&xen->times, XEN_TIMES_DUE, __ATOMIC_RELEASE);
	pvm_unlock(vm);
	pvm_xen_clock_changed(vm);
	return PVM_OK;
}

/* ------------------------------------------------------------------------
 * Of a vCPU.
 */

static void save_start(const struct xen_start *start, struct pvm_xen_start_state *state)
{
	memcpy(state->gpr, start->gpr, sizeof(state->gpr));
	state->rip = start->rip;
	state->rflags = start->rflags;
	state->cr3 = start->cr3;
	state->user_cr3 = start->user_cr3;
	state->fs_base = start->fs_base;
	state->gs_base = start->gs_base;
	state->user_gs_base = start->user_gs_base;
	state->kernel_sp = start->kernel_sp;
}

static struct xen_start load_start(const struct pvm_xen_start_state *state)
{
	struct xen_start start = {
		.rip = state->rip, .rflags = state->rflags, .cr3 = state->cr3, .user_cr3 = state->user_cr3,
		.fs_base = state->fs_base, .gs_base = state->gs_base, .user_gs_base = state->user_gs_base,
		.kernel_sp = state->kernel_sp,
	};

	memcpy(start.gpr, state->gpr, sizeof(start.gpr));
	return start;
}

static void save_runstate(const struct pvm_xen_runstate *run, struct pvm_xen_vcpu_state *state)
{
	state->runstate = run->state;
	state->runstate_entry_time = run->entry_time;
	memcpy(state->runstate_time, run->time, sizeof(state->runstate_time));
}

/* Where its clock for programs is, which one that runs on another CPU may read before this one is entered. */
static uint64_t time_area_gpa(struct pvm_vcpu *vcpu)
{
	uint64_t gva = xen_vcpu(vcpu)->time_area;
	struct pvm_fault_result result;
	bool crosses = vcpu->user_mode, found;
	unsigned tries = 0;

	if (!gva || gva % sizeof(uint64_t) ||
	    (gva & (PVM_PAGE_SIZE - 1)) > PVM_PAGE_SIZE - sizeof(struct pvm_xen_time_info))
		return 0;
	if (crosses)
		pvm_xen_cross(vcpu);
	do
		found = pvm_mmu_translate(vcpu, pvm_gva(gva), PVM_ACCESS_WRITE, false, &result);
	while (!found && result.kind == PVM_FAULT_WOULD_BLOCK && tries++ < LATE_TRIES &&
	       pvm_late_fetch(vcpu) == PVM_OK);
	if (crosses)
		pvm_xen_cross(vcpu);
	return found ? result.gpa.v : 0;
}

void pvm_xen_vcpu_save(struct pvm_vcpu *vcpu, struct pvm_xen_vcpu_state *state)
{
	const struct xen_vcpu *xen = xen_vcpu(vcpu);
	unsigned i;

	memset(state, 0, sizeof(*state));
	state->version = PVM_XEN_STATE_VERSION;
	state->size = sizeof(*state);
	state->life = xen->life;
	state->wait = xen->wait;
	state->woken = xen->woken;
	state->timer_fired = xen->timer_fired;
	state->poll_count = xen->poll_count;
	state->poll_port = xen->poll_port;
	state->deadline[0] = xen->deadline[XEN_DEADLINE_TIMER];
	state->deadline[1] = xen->deadline[XEN_DEADLINE_POLL];
	state->other_cr3 = vcpu->msr.switch_cr3;
	state->kernel_sp = vcpu->msr.supervisor_rsp;
	state->gdt_frame = xen->gdt_frame;
	state->gdt_entries = xen->gdt_entries;
	state->ldt = xen->ldt;
	state->ldt_entries = xen->ldt_entries;
	for (i = 0; i < XEN_VECTORS; i++) {
		state->trap[i] = xen->trap[i];
		state->trap_flags[i] = xen->trap_flags[i];
	}
	for (i = 0; i < PVM_XEN_CALLBACKS; i++) {
		state->callback[i] = xen->callback[i].address;
		state->callback_masks[i] = !!xen->callback[i].masks;
	}
	state->info_now = xen->restored_info ? xen->restored_info : vcpu->pvcs ? vcpu->msr.vcpu_struct : 0;
	state->info = xen->info_gpa;
	state->time_area = xen->time_area;
	state->time_area_gpa = xen->time_area_gpa ? xen->time_area_gpa : time_area_gpa(vcpu);
	state->runstate_area = xen->runstate_area;
	save_runstate(&xen->runstate, state);
	for (i = 0; i < PVM_XEN_VIRQS; i++)
		state->virq_port[i] = xen->virq_port[i];
	save_start(&xen->start, &state->start);
}

static const char *judge_waiting(const struct pvm_xen_vcpu_state *s)
{
	if (s->life > XEN_UP || s->life == XEN_BUSY)
		return "life";
	if (s->wait > XEN_WAIT_PORT)
		return "wait";
	if (s->woken > 1)
		return "woken";
	if (s->timer_fired > 1)
		return "timer_fired";
	if (s->poll_count > POLL_PORTS_MAX)
		return "poll_count";
	if (s->poll_port >> 32)
		return "poll_port";
	return NULL;
}

static const char *judge_entries(const struct pvm_xen_vcpu_state *s)
{
	unsigned i;

	for (i = 0; i < XEN_VECTORS; i++)
		if (s->trap_flags[i] >> 8)
			return "trap_flags";
	for (i = 0; i < PVM_XEN_CALLBACKS; i++)
		if (s->callback_masks[i] > 1)
			return "callback_masks";
	return NULL;
}

static bool ports_allowed(const struct pvm_vm *vm, const struct pvm_xen_vcpu_state *s)
{
	unsigned i;

	for (i = 0; i < PVM_XEN_VIRQS; i++) {
		struct xen_port port;

		if (!s->virq_port[i])
			continue;
		if (s->virq_port[i] >= PVM_XEN_PORTS_MAX)
			return false;
		port = pvm_xen_port_get(vm, (uint32_t)s->virq_port[i]);
		if (port.state != PVM_XEN_PORT_VIRQ || port.virq != i)
			return false;
	}
	return true;
}

static bool gpa_allowed(const struct pvm_vcpu *vcpu, uint64_t gpa, uint64_t size)
{
	return !(gpa >> vcpu->vm->config.guest_maxphyaddr) && !(gpa % sizeof(uint64_t)) &&
	       (gpa & (PVM_PAGE_SIZE - 1)) <= PVM_PAGE_SIZE - size;
}

static const char *judge_places(const struct pvm_vcpu *vcpu, const struct pvm_xen_vcpu_state *s)
{
	unsigned bits = vcpu->vm->config.guest_maxphyaddr;

	if (s->other_cr3 >> bits)
		return "other_cr3";
	if (s->gdt_frame >> (bits - PVM_PAGE_SHIFT))
		return "gdt_frame";
	if (s->gdt_entries > XEN_GDT_ENTRIES_MAX)
		return "gdt_entries";
	if (!pvm_xen_ldt_is_valid(s->ldt, s->ldt_entries) ||
	    (s->ldt_entries && !vcpu->vm->config.host_ldt))
		return "ldt";
	if (!gpa_allowed(vcpu, s->info_now, sizeof(struct pvm_xen_vcpu_info)))
		return "info_now";
	if (!gpa_allowed(vcpu, s->info, sizeof(struct pvm_xen_vcpu_info)))
		return "info";
	if (!gpa_allowed(vcpu, s->time_area_gpa, sizeof(struct pvm_xen_time_info)))
		return "time_area_gpa";
	return NULL;
}

static const char *judge_vcpu(const struct pvm_vcpu *vcpu, const struct pvm_xen_vcpu_state *s)
{
	bool starts = s->life == XEN_READY || s->life == XEN_STARTING;
	struct xen_start start = load_start(&s->start);
	const char *field = NULL;

	if (s->version != PVM_XEN_STATE_VERSION)
		return "version";
	if (s->size != sizeof(*s))
		return "size";
	field = judge_waiting(s);
	if (!field)
		field = judge_entries(s);
	if (!field)
		field = judge_places(vcpu, s);
	if (field)
		return field;
	if (s->runstate > PVM_XEN_RUNSTATE_OFFLINE)
		return "runstate";
	if (!ports_allowed(vcpu->vm, s))
		return "virq_port";
	if (starts && !pvm_xen_start_is_valid(vcpu, &start))
		return "start";
	return NULL;
}

static void load_places(struct xen_vcpu *xen, const struct pvm_xen_vcpu_state *s)
{
	unsigned i;

	xen->gdt_frame = s->gdt_frame;
	xen->gdt_entries = (uint32_t)s->gdt_entries;
	xen->ldt = s->ldt;
	xen->ldt_entries = (uint32_t)s->ldt_entries;
	for (i = 0; i < XEN_VECTORS; i++) {
		xen->trap[i] = s->trap[i];
		xen->trap_flags[i] = (uint8_t)s->trap_flags[i];
	}
	for (i = 0; i < PVM_XEN_CALLBACKS; i++)
		xen->callback[i] = (struct xen_callback){
			.address = s->callback[i],
			.masks = s->callback_masks[i] ? PVM_XEN_CALLBACKF_MASK_EVENTS : 0 };
	xen->restored_info = s->info_now;
	xen->info_gpa = s->info;
	xen->time_area = s->time_area;
	xen->time_area_gpa = s->time_area_gpa;
	xen->runstate_area = s->runstate_area;
}

static void load_waiting(struct xen_vcpu *xen, const struct pvm_xen_vcpu_state *s)
{
	xen->wait = (uint32_t)s->wait;
	xen->woken = (uint32_t)s->woken;
	xen->timer_fired = (uint32_t)s->timer_fired;
	xen->poll_count = (uint32_t)s->poll_count;
	xen->poll_port = (uint32_t)s->poll_port;
	xen->deadline[XEN_DEADLINE_TIMER] = s->deadline[0];
	xen->deadline[XEN_DEADLINE_POLL] = s->deadline[1];
	xen->runstate = (struct pvm_xen_runstate){ .state = (uint32_t)s->runstate,
						   .entry_time = s->runstate_entry_time };
	memcpy(xen->runstate.time, s->runstate_time, sizeof(xen->runstate.time));
}

/* Another vCPU may be at its context (vcpus.c), where the host has let it run: what is judged here is not
 * changed by it (S1). */
static bool take_context(struct xen_vcpu *xen)
{
	uint32_t life = __atomic_load_n(&xen->life, __ATOMIC_SEQ_CST);

	return life != XEN_BUSY &&
	       __atomic_compare_exchange_n(&xen->life, &life, XEN_BUSY, false, __ATOMIC_SEQ_CST,
					   __ATOMIC_SEQ_CST);
}

int pvm_xen_vcpu_restore(struct pvm_vcpu *vcpu, const struct pvm_xen_vcpu_state *state, const char **field)
{
	struct xen_vcpu *xen = xen_vcpu(vcpu);
	unsigned i;

	*field = judge_vcpu(vcpu, state);
	if (*field)
		return PVM_EINVAL;
	*field = "info_now";
	if (vcpu->pvcs)
		return PVM_EBUSY;
	*field = "life";
	if (!take_context(xen))
		return PVM_EBUSY;
	*field = NULL;
	load_places(xen, state);
	xen->ldt_gen = xen_vm(vcpu->vm)->ldt_gen - 1;	/* it is copied at the first entry */
	load_waiting(xen, state);
	for (i = 0; i < PVM_XEN_VIRQS; i++)
		xen->virq_port[i] = (uint16_t)state->virq_port[i];
	xen->start = load_start(&state->start);
	xen->restored = true;
	vcpu->msr.switch_cr3 = state->other_cr3;
	vcpu->msr.supervisor_rsp = state->kernel_sp;
	vcpu->state_gen++;
	__atomic_store_n(&xen->life, (uint32_t)state->life, __ATOMIC_SEQ_CST);
	return PVM_OK;
}

/* ------------------------------------------------------------------------
 * Pinned tables.
 */

void pvm_xen_tables_save(const struct pvm_vcpu *vcpu, pvm_gfn_t first, uint64_t *words, uint32_t count)
{
	struct pvm_vm *vm = vcpu->vm;
	uint32_t i;

	pvm_lock(vm);
	for (i = 0; i < count; i++)
		words[i] = pvm_mark_word(vm->mmu, pvm_gfn(first.v + (uint64_t)i * PVM_MARK_BITS));
	pvm_unlock(vm);
}

static int mark_table(struct pvm_vcpu *vcpu, pvm_gfn_t gfn)
{
	unsigned tries = 0;
	int rc;

	while ((rc = pvm_mmu_mark_table(vcpu, gfn, true)) == PVM_EAGAIN && tries++ < LATE_TRIES) {
		rc = pvm_late_fetch(vcpu);
		if (rc != PVM_OK)
			break;
	}
	return rc;
}

int pvm_xen_tables_restore(struct pvm_vcpu *vcpu, pvm_gfn_t first, const uint64_t *words, uint32_t count)
{
	uint64_t i;

	for (i = 0; i < (uint64_t)count * PVM_MARK_BITS; i++) {
		int rc = PVM_OK;

		if (words[i / PVM_MARK_BITS] >> i % PVM_MARK_BITS & 1)
			rc = mark_table(vcpu, pvm_gfn(first.v + i));
		if (rc != PVM_OK)
			return rc;
	}
	return PVM_OK;
}
