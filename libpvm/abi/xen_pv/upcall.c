/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * What this ABI does before each entry: a vCPU that was started loads its context, one that waits
 * wakes if what it waits for has come, the guest's clock is written, and an event that is pending
 * and not masked enters the kernel.
 *
 * Runs in the vCPU's own thread. Others tell it something by a word of struct xen_vcpu or by
 * its vcpu_info, then by pvm_host_ops::kick.
 */
#include <pvm/events.h>

#include "abi/xen_pv/xen_pv.h"
#include "mmu/flush.h"
#include "mmu/late.h"
#include "mmu/lock.h"
#include "vcpu/ldt.h"

uint64_t pvm_xen_now(const struct pvm_vcpu *vcpu)
{
	struct pvm_clock clock;

	vcpu->vm->ops->clock(vcpu->vm->host, &clock);
	return clock.ns;
}

/* ------------------------------------------------------------------------
 * The clock.
 */

/* The version is odd while it is written; whatever the guest has made of it. */
static struct pvm_xen_time_info time_now(const struct pvm_vcpu *vcpu, uint32_t version)
{
	struct pvm_clock clock;

	vcpu->vm->ops->clock(vcpu->vm->host, &clock);
	return (struct pvm_xen_time_info){
		.version = (version | 1) + 3, .tsc_timestamp = clock.tsc, .system_time = clock.ns,
		.tsc_to_system_mul = clock.mul, .tsc_shift = clock.shift,
		.flags = clock.stable ? PVM_XEN_TIME_TSC_STABLE : 0,
	};
}

/* Into the linear address @area of the kernel's; memory that is away gets it at the next change. */
static void write_in_kernel(struct pvm_vcpu *vcpu, uint64_t area, const void *from, size_t size)
{
	struct pvm_fault_result fault;
	bool crosses = vcpu->user_mode;
	pvm_gva_t gva;

	if (!area)
		return;
	if (crosses)
		pvm_xen_cross(vcpu);
	pvm_mmu_write(vcpu, pvm_gva(area), from, size, &fault, &gva);
	if (crosses)
		pvm_xen_cross(vcpu);
}

/* They read on other CPUs meanwhile: by an odd version they know. */
static void write_for_programs(struct pvm_vcpu *vcpu, const struct pvm_xen_time_info *now)
{
	uint64_t area = xen_vcpu(vcpu)->time_area;
	struct pvm_xen_time_info changing = *now;

	changing.version--;
	write_in_kernel(vcpu, area, &changing.version, sizeof(changing.version));
	write_in_kernel(vcpu, area, &changing, sizeof(changing));
	write_in_kernel(vcpu, area, &now->version, sizeof(now->version));
}

void pvm_xen_write_time(struct pvm_vcpu *vcpu)
{
	volatile struct pvm_xen_time_info *time = &xen_info(vcpu)->time;
	struct pvm_xen_time_info now = time_now(vcpu, time->version);

	__atomic_store_n(&time->version, now.version - 1, __ATOMIC_SEQ_CST);
	time->tsc_timestamp = now.tsc_timestamp;
	time->system_time = now.system_time;
	time->tsc_to_system_mul = now.tsc_to_system_mul;
	time->tsc_shift = now.tsc_shift;
	time->flags = now.flags;
	__atomic_store_n(&time->version, now.version, __ATOMIC_RELEASE);
	write_for_programs(vcpu, &now);
}

/* Ticks are shifted until a second has 2^30 to 2^31 of them, so that the product keeps all 32 bits of mul. */
void pvm_clock_scale(uint32_t khz, uint32_t *mul, int8_t *shift)
{
	const uint64_t second = 1000000000;
	uint64_t hz = khz * 1000ull;

	for (*shift = 0; hz > 2 * second; --*shift)
		hz >>= 1;
	for (; hz <= second; ++*shift)
		hz <<= 1;
	*mul = (uint32_t)((second << 32) / hz);
}

void pvm_xen_clock_changed(struct pvm_vm *vm)
{
	__atomic_add_fetch(&xen_vm(vm)->clock_gen, 1, __ATOMIC_RELEASE);
}

void pvm_xen_set_runstate(struct pvm_vcpu *vcpu, uint32_t state)
{
	struct xen_vcpu *xen = xen_vcpu(vcpu);
	struct pvm_xen_runstate *run = &xen->runstate;
	uint64_t now = pvm_xen_now(vcpu);

	if (now > run->entry_time)
		run->time[run->state] += now - run->entry_time;
	run->state = state;
	run->entry_time = now;
	write_in_kernel(vcpu, xen->runstate_area, run, sizeof(*run));
}

/* ------------------------------------------------------------------------
 * Before the first entry.
 */

static void write_wall_clock(struct pvm_xen_shared_info *shared, const struct pvm_clock *clock)
{
	uint64_t at_zero = clock->wall_ns - clock->ns;

	__atomic_store_n(&shared->wc_version, 1, __ATOMIC_SEQ_CST);
	shared->wc_sec = (uint32_t)(at_zero / 1000000000);
	shared->wc_sec_hi = (uint32_t)(at_zero / 1000000000 >> 32);
	shared->wc_nsec = (uint32_t)(at_zero % 1000000000);
	__atomic_store_n(&shared->wc_version, 2, __ATOMIC_RELEASE);
}

/* The shared_info is pinned for as long as the VM lives. PVM_OK, or as pvm_host_ops::pin(). */
static int open_shared(struct pvm_vcpu *vcpu)
{
	struct pvm_vm *vm = vcpu->vm;
	struct xen_vm *xen = xen_vm(vm);
	pvm_gfn_t gfn = vm->config.xen.shared_info;
	struct pvm_clock clock;
	pvm_hpa_t pa;
	void *page;
	int rc;

	if (__atomic_load_n(&xen->shared, __ATOMIC_ACQUIRE))
		return PVM_OK;
	if (vcpu->brief && pvm_mmu_is_table(vcpu, gfn))		/* M12, as pvm_pvcs_attach() */
		return PVM_EAGAIN;
	rc = vm->ops->pin(vm->host, gfn, &page, &pa);
	if (rc == PVM_EAGAIN)
		pvm_late_note(vcpu, gfn, true);
	if (rc != PVM_OK)
		return rc;
	pvm_mmu_share_vm(vcpu, gfn);		/* M9 */
	pvm_lock(vm);
	if (xen->shared) {
		pvm_unlock(vm);
		vm->ops->unpin(vm->host, gfn, page);	/* another vCPU was faster */
		return PVM_OK;
	}
	vm->ops->clock(vm->host, &clock);
	write_wall_clock(page, &clock);
	xen->shared_page = page;
	__atomic_store_n(&xen->shared, (struct pvm_xen_shared_info *)page, __ATOMIC_RELEASE);
	pvm_unlock(vm);
	return PVM_OK;
}

/* Where its vcpu_info is to be; 0: nowhere yet. The first is in the shared_info, if there is place. */
static uint64_t info_place(const struct pvm_vcpu *vcpu)
{
	uint64_t registered = __atomic_load_n(&xen_vcpu(vcpu)->info_gpa, __ATOMIC_ACQUIRE);

	if (registered || vcpu->id >= PVM_XEN_SHARED_VCPUS)
		return registered;
	return pvm_gfn_to_gpa(vcpu->vm->config.xen.shared_info).v +
	       vcpu->id * sizeof(struct pvm_xen_vcpu_info);
}

void pvm_xen_show_info(struct pvm_vcpu *vcpu)
{
	__atomic_store_n(&xen_vcpu(vcpu)->info, (struct pvm_xen_vcpu_info *)vcpu->pvcs, __ATOMIC_SEQ_CST);
	pvm_xen_tell_everything(vcpu);
}

/* S8: threads that tell the vCPU have left the page of its vcpu_info before that is let go. PVM_EAGAIN: one
 * is in it, and is not waited for (M12). */
static int leave_old_info(struct pvm_vcpu *vcpu, uint64_t place)
{
	struct xen_vcpu *xen = xen_vcpu(vcpu);

	if (!vcpu->pvcs || vcpu->msr.vcpu_struct >> PVM_PAGE_SHIFT == place >> PVM_PAGE_SHIFT)
		return PVM_OK;
	if (!vcpu->brief) {
		pvm_xen_leave_info(vcpu);
		return PVM_OK;
	}
	__atomic_store_n(&xen->info, NULL, __ATOMIC_SEQ_CST);
	if (!__atomic_load_n(&xen->tellers, __ATOMIC_SEQ_CST))
		return PVM_OK;
	pvm_xen_show_info(vcpu);
	return PVM_EAGAIN;
}

/* What a restored vCPU was told, and its mask, are where they were. */
static int open_restored_info(struct pvm_vcpu *vcpu)
{
	struct xen_vcpu *xen = xen_vcpu(vcpu);
	int rc = pvm_pvcs_attach(vcpu, xen->restored_info);

	if (rc != PVM_OK)
		return rc;
	xen->restored_info = 0;
	pvm_xen_show_info(vcpu);
	return PVM_OK;
}

int pvm_xen_open_info(struct pvm_vcpu *vcpu)
{
	struct xen_vcpu *xen = xen_vcpu(vcpu);
	struct pvm_xen_vcpu_info old = { .mask = 1 };
	uint64_t place = info_place(vcpu);
	int rc = open_shared(vcpu);

	if (rc == PVM_OK && xen->restored_info)
		rc = open_restored_info(vcpu);
	if (rc != PVM_OK || !place || (vcpu->pvcs && vcpu->msr.vcpu_struct == place))
		return rc;
	rc = leave_old_info(vcpu, place);
	if (rc != PVM_OK)
		return rc;
	if (vcpu->pvcs)
		memcpy(&old, vcpu->pvcs, sizeof(old));
	rc = pvm_pvcs_attach(vcpu, place);
	if (rc == PVM_OK) {
		memcpy(vcpu->pvcs, &old, sizeof(old));
		xen->timeless = true;
	}
	if (vcpu->pvcs)
		pvm_xen_show_info(vcpu);	/* also where the old one stays */
	return rc;
}

/* False: it would take too long in one go (M12); loading again does no harm. */
static bool load_start(struct pvm_vcpu *vcpu)
{
	const struct xen_start *start = &xen_vcpu(vcpu)->start;

	memcpy(vcpu->gpr, start->gpr, sizeof(vcpu->gpr));
	vcpu->rip = start->rip;
	vcpu->rflags = pvm_rflags_sane(start->rflags);
	vcpu->cr3 = start->cr3;
	vcpu->msr.switch_cr3 = start->user_cr3;
	vcpu->fs_base = start->fs_base;
	vcpu->gs_base = start->gs_base;
	vcpu->msr.kernel_gs_base = start->user_gs_base;
	vcpu->msr.supervisor_rsp = start->kernel_sp;
	xen_vcpu(vcpu)->ldt_entries = 0;
	pvm_ldt_load(vcpu, 0);
	vcpu->halted = false;
	vcpu->state_gen++;
	pvm_mmu_new_cr3(vcpu);
	return pvm_flush_current(vcpu);
}

/* ------------------------------------------------------------------------
 * Before every entry.
 */

/* Does what it waits for let it go on? */
static bool may_wake(const struct pvm_vcpu *vcpu)
{
	struct xen_vcpu *xen = xen_vcpu(vcpu);

	switch (__atomic_load_n(&xen->wait, __ATOMIC_SEQ_CST)) {
	case XEN_WAIT_EVENT:
		return vcpu->pvcs && xen_info(vcpu)->pending;
	case XEN_WAIT_PORT:
		return __atomic_load_n(&xen->woken, __ATOMIC_SEQ_CST) ||
			(vcpu->pvcs && xen_info(vcpu)->pending && !xen_masked(vcpu));
	}
	return true;
}

/* PVM_ACT_RESUME: it is up; _HALT: it is not; _RETRY: it is not yet. */
static enum pvm_action begin_life(struct pvm_vcpu *vcpu)
{
	struct xen_vcpu *xen = xen_vcpu(vcpu);
	uint32_t life = __atomic_load_n(&xen->life, __ATOMIC_ACQUIRE);

	if (life == XEN_UP)
		return PVM_ACT_RESUME;
	if (life == XEN_STARTING) {
		if (!load_start(vcpu))
			return PVM_ACT_RETRY;
		/* Unless another vCPU has taken it down again. */
		if (__atomic_compare_exchange_n(&xen->life, &life, XEN_UP, false, __ATOMIC_SEQ_CST,
						__ATOMIC_SEQ_CST))
			return PVM_ACT_RESUME;
	}
	vcpu->halted = true;
	return PVM_ACT_HALT;
}

/* Of memory that the guest or the host has named. Where none is any more, the host may bring it back. */
static enum pvm_action failed(struct pvm_vcpu *vcpu, int rc)
{
	if (rc == PVM_EAGAIN)
		return PVM_ACT_RETRY;
	vcpu->request.error.code = rc == PVM_ENOMEM ? rc : PVM_EFAULT;
	return PVM_ACT_ERROR;
}

/* ------------------------------------------------------------------------
 * After a restore.
 */

/* The four words of a clock for programs, as pvm_xen_write_time() writes them. */
static int write_time_area(struct pvm_vcpu *vcpu, pvm_gpa_t gpa)
{
	union {
		struct pvm_xen_time_info time;
		uint64_t word[sizeof(struct pvm_xen_time_info) / sizeof(uint64_t)];
	} now;
	uint32_t version;
	unsigned i;
	int rc = pvm_mmu_read_gpa(vcpu, gpa, &version, sizeof(version));

	if (rc != PVM_OK)
		return rc;
	now.time = time_now(vcpu, version);
	now.time.version--;
	for (i = 0; i < sizeof(now) / sizeof(now.word[0]) && rc == PVM_OK; i++)
		rc = pvm_mmu_write_entry(vcpu, pvm_gpa(gpa.v + i * sizeof(now.word[0])), now.word[i], false);
	now.time.version++;
	return rc == PVM_OK ? pvm_mmu_write_entry(vcpu, gpa, now.word[0], false) : rc;
}

/* A program may read another vCPU's clock: the first vCPU that comes writes all of them, before any goes
 * on. */
static enum pvm_action write_time_areas(struct pvm_vcpu *vcpu)
{
	struct xen_vm *vm = xen_vm(vcpu->vm);
	uint32_t due = XEN_TIMES_DUE, i;
	int rc = PVM_OK;

	if (__atomic_load_n(&vm->times, __ATOMIC_ACQUIRE) == XEN_TIMES_DONE)
		return PVM_ACT_RESUME;
	if (vcpu->brief)	/* M12 */
		return PVM_ACT_RETRY;
	if (!__atomic_compare_exchange_n(&vm->times, &due, XEN_TIMES_BUSY, false, __ATOMIC_ACQUIRE,
					 __ATOMIC_RELAXED))
		return due == XEN_TIMES_DONE ? PVM_ACT_RESUME : PVM_ACT_RETRY;
	for (i = 0; i < PVM_XEN_VCPUS_MAX && rc != PVM_EAGAIN; i++) {
		struct pvm_vcpu *other = xen_find_vcpu(vcpu->vm, i);

		if (!other || !xen_vcpu(other)->time_area_gpa)
			continue;
		rc = write_time_area(vcpu, pvm_gpa(xen_vcpu(other)->time_area_gpa));
		if (rc != PVM_EAGAIN)	/* also where there is no memory any more */
			xen_vcpu(other)->time_area_gpa = 0;
	}
	__atomic_store_n(&vm->times, rc == PVM_EAGAIN ? XEN_TIMES_DUE : XEN_TIMES_DONE, __ATOMIC_RELEASE);
	return rc == PVM_EAGAIN ? PVM_ACT_RETRY : PVM_ACT_RESUME;
}

/* Its vcpu_info is open. */
static void go_on_restored(struct pvm_vcpu *vcpu)
{
	struct xen_vcpu *xen = xen_vcpu(vcpu);

	xen->restored = false;
	xen_info(vcpu)->time.version += 2;	/* another one than write_time_area() has written */
	vcpu->halted = xen->wait != XEN_WAIT_NOTHING;
	pvm_xen_set_deadline(vcpu, XEN_DEADLINE_TIMER, xen->deadline[XEN_DEADLINE_TIMER]);
}

/* What is rare: to look at it costs the entry one comparison. */
static enum pvm_action settle(struct pvm_vcpu *vcpu)
{
	struct xen_vcpu *xen = xen_vcpu(vcpu);
	uint32_t clock_gen = __atomic_load_n(&xen_vm(vcpu->vm)->clock_gen, __ATOMIC_ACQUIRE);
	enum pvm_action life = begin_life(vcpu);
	int rc;

	if (life != PVM_ACT_RESUME)
		return life;
	rc = pvm_xen_open_info(vcpu);
	if (rc != PVM_OK)
		return failed(vcpu, rc);
	if (vcpu->pvcs && (xen->timeless || xen->clock_gen != clock_gen)) {
		enum pvm_action action = write_time_areas(vcpu);

		if (action != PVM_ACT_RESUME)
			return action;
		if (xen->restored) {
			rc = pvm_xen_load_cpunode(vcpu);
			if (rc == PVM_EAGAIN)
				return failed(vcpu, rc);
			go_on_restored(vcpu);
		}
		xen->timeless = false;
		xen->clock_gen = clock_gen;
		pvm_xen_write_time(vcpu);
	}
	if (pvm_unlikely(xen->ldt_entries)) {
		rc = pvm_xen_refresh_ldt(vcpu);
		if (rc != PVM_OK)
			return failed(vcpu, rc);
	}
	if (__atomic_load_n(&xen->timer_fired, __ATOMIC_RELAXED) &&
	    __atomic_exchange_n(&xen->timer_fired, 0, __ATOMIC_SEQ_CST))
		pvm_xen_deadlines(vcpu);
	if (vcpu->halted) {
		if (!may_wake(vcpu))
			return PVM_ACT_HALT;
		__atomic_store_n(&xen->wait, XEN_WAIT_NOTHING, __ATOMIC_SEQ_CST);
		vcpu->halted = false;
		pvm_xen_set_runstate(vcpu, PVM_XEN_RUNSTATE_RUNNING);
	}
	return PVM_ACT_RESUME;
}

enum pvm_action pvm_xen_entry(struct pvm_vcpu *vcpu)
{
	enum pvm_action action = settle(vcpu);

	if (action != PVM_ACT_RESUME || vcpu->kept_event.waits)
		return action;
	if (!vcpu->pvcs || !xen_info(vcpu)->pending || xen_masked(vcpu) ||
	    !xen_vcpu(vcpu)->callback[PVM_XEN_CALLBACK_EVENT].address)
		return PVM_ACT_RESUME;
	return pvm_xen_deliver_upcall(vcpu);
}

void pvm_xen_timer(struct pvm_vcpu *vcpu)
{
	__atomic_store_n(&xen_vcpu(vcpu)->timer_fired, 1, __ATOMIC_SEQ_CST);
	vcpu->vm->ops->kick(vcpu->vm->host, vcpu);
}
