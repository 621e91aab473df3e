// SPDX-License-Identifier: GPL-2.0
/*
 * A VM whose guest speaks Xen PV: what the engine asks of its host beyond memory, which is a clock, timers
 * and telling; and what user space says of the guest and of the event channels that end with it, through
 * the private channel (<pvm/kvm.h>).
 *
 * Such a guest has no interrupt controller: KVM's own is there for halts alone, and what it has is dropped.
 */
#include <linux/eventfd.h>
#include <linux/file.h>
#include <linux/math64.h>
#include <linux/mm.h>
#include <linux/srcu.h>
#include <linux/timekeeping.h>
#include <asm/tsc.h>

#include <pvm/xen.h>

#include "kvm_pvm.h"

#define M2P_SLOT	256
#define LONGEST_NS	NSEC_PER_SEC	/* of a timer: the engine asks again */
#define PAGES_TIMES	4		/* what a guest may have of the host's memory, at most */

/* ------------------------------------------------------------------------
 * Time. The guest's clock goes by the TSC; so does ours, unless CPUs disagree on it: then each CPU that a
 * vCPU comes to, and each of its timers, tells it the time anew. Linux may find that out at any time.
 */

static u64 scale(u64 ticks, u32 mul, s8 shift)
{
	return mul_u64_u32_shr(shift < 0 ? ticks >> -shift : ticks << shift, mul, 32);
}

void pvm_kvm_xen_clock(void *host, struct pvm_clock *now)
{
	const struct pvm_kvm_xen *xen = &((struct pvm_kvm *)host)->xen;

	*now = (struct pvm_clock){ .mul = xen->mul, .shift = xen->shift };
	now->tsc = rdtsc_ordered();
	now->stable = smp_load_acquire(&xen->tsc_is_stable);
	if (now->stable)
		now->ns = xen->ns_start + scale(now->tsc - xen->tsc_start, xen->mul, xen->shift);
	else
		now->ns = xen->ns_start + (ktime_get_raw_ns() - xen->raw_start);
	now->wall_ns = ktime_get_real_ns();
}

void pvm_kvm_xen_set_clock(struct pvm_kvm *vm, u64 ns)
{
	vm->xen.tsc_start = rdtsc_ordered();
	vm->xen.raw_start = ktime_get_raw_ns();
	vm->xen.ns_start = ns;
}

/* The clock goes on by another one, from where it is. */
static void look_at_tsc(struct pvm_kvm *vm)
{
	struct pvm_kvm_xen *xen = &vm->xen;
	u64 passed;

	if (likely(!READ_ONCE(xen->tsc_is_stable) || !check_tsc_unstable()) ||
	    test_and_set_bit(0, &xen->tsc_was_left))
		return;
	passed = scale(rdtsc_ordered() - xen->tsc_start, xen->mul, xen->shift);
	xen->raw_start = ktime_get_raw_ns() - passed;
	smp_store_release(&xen->tsc_is_stable, false);
	pvm_xen_clock_changed(&vm->pvm);
}

static enum hrtimer_restart timer_fires(struct hrtimer *timer)
{
	struct pvm_kvm_vcpu *v = container_of(timer, struct pvm_kvm_vcpu, xen_timer);
	struct pvm_kvm *vm = to_pvm_kvm(v->vcpu.kvm);

	look_at_tsc(vm);
	if (!vm->xen.tsc_is_stable)
		pvm_xen_clock_changed(&vm->pvm);
	pvm_xen_timer(&v->pvm);
	return HRTIMER_NORESTART;
}

void pvm_kvm_xen_set_timer(void *host, struct pvm_vcpu *pvm, uint64_t ns)
{
	struct hrtimer *timer = &pvm_kvm_vcpu_of(pvm)->xen_timer;
	struct pvm_clock now;

	if (ns == PVM_NO_DEADLINE) {
		hrtimer_try_to_cancel(timer);	/* one that fires meanwhile finds nothing due */
		return;
	}
	pvm_kvm_xen_clock(host, &now);
	ns = ns > now.ns ? min_t(u64, ns - now.ns, LONGEST_NS) : 0;
	hrtimer_start(timer, ns_to_ktime(ns), HRTIMER_MODE_REL_HARD);
}

void pvm_kvm_xen_vcpu_init(struct pvm_kvm_vcpu *v)
{
	pvm_kvm_hrtimer_setup(&v->xen_timer, timer_fires, HRTIMER_MODE_REL_HARD);
}

void pvm_kvm_xen_vcpu_destroy(struct pvm_kvm_vcpu *v)
{
	hrtimer_cancel(&v->xen_timer);
}

void pvm_kvm_xen_vcpu_load(struct pvm_kvm_vcpu *v, int cpu)
{
	struct pvm_kvm *vm = to_pvm_kvm(v->vcpu.kvm);

	if (pvm_kvm_is_xen(vm)) {
		look_at_tsc(vm);
		if (!vm->xen.tsc_is_stable && v->last_cpu != cpu)
			pvm_xen_clock_changed(&vm->pvm);
	}
	v->last_cpu = cpu;
}

/* ------------------------------------------------------------------------
 * Telling.
 */

/* A vCPU's own thread, in the switcher perhaps, has woken another one, perhaps on this CPU, where no
 * interrupt says so. */
static void look_at_others(void)
{
	struct kvm_vcpu *running = in_interrupt() ? NULL : kvm_get_running_vcpu();

	if (running && __xfer_to_guest_mode_work_pending())
		pvm_switcher_kick(&to_pvm_vcpu(running)->switcher);
}

/* A vCPU that halts is woken as by another one's KVM_HC_KICK_CPU. It looks for itself whether it may run. */
void pvm_kvm_xen_kick(void *host, struct pvm_vcpu *pvm)
{
	struct pvm_kvm_vcpu *v = pvm_kvm_vcpu_of(pvm);

	if (!in_interrupt() && kvm_get_running_vcpu() == &v->vcpu)
		return;		/* itself, in the engine, which looks before it goes on */
	WRITE_ONCE(v->vcpu.arch.pv.pv_unhalted, true);
	kvm_make_request(KVM_REQ_EVENT, &v->vcpu);
	preempt_disable();	/* the CPU that it runs on does not go offline before it is interrupted */
	pvm_switcher_kick(&v->switcher);
	preempt_enable();
	kvm_vcpu_kick(&v->vcpu);
	look_at_others();
}

void pvm_kvm_xen_notify(void *host, uint32_t port, uint32_t remote)
{
	struct pvm_kvm *vm = host;
	struct eventfd_ctx *context = remote < PVM_KVM_XEN_PORTS ? READ_ONCE(vm->xen.told[remote]) : NULL;

	if (!context)
		return;
	pvm_kvm_eventfd_signal(context);
	look_at_others();
}

/* ------------------------------------------------------------------------
 * Life.
 */

/* Is there memory, now? */
static bool is_memory(struct kvm *kvm, gfn_t first, u64 count)
{
	bool is;
	int idx = srcu_read_lock(&kvm->srcu);

	is = count && kvm_is_visible_gfn(kvm, first) && kvm_is_visible_gfn(kvm, first + count - 1);
	srcu_read_unlock(&kvm->srcu, idx);
	return is;
}

static const char *refusal(struct pvm_kvm *vm, const struct pvm_xen_config *config)
{
	if (!config->pages)
		return "PVM_KVM_SET_XEN comes before the first vCPU";
	if (config->pages > PAGES_TIMES * totalram_pages())
		return "more memory than four times the host's";
	if (!is_memory(&vm->kvm, config->pages - 1, 1) || !is_memory(&vm->kvm, config->shared_info.v, 1) ||
	    (config->grant_frames && !is_memory(&vm->kvm, config->grants.v, config->grant_frames)))
		return "frames of PVM_KVM_SET_XEN are not memory";
	if (config->shared_info.v < config->pages ||
	    (config->grant_frames && config->grants.v < config->pages))
		return "the shared_info and grants are above the guest's own pages";
	if (!tsc_khz)
		return "the rate of this host's TSC is not known";
	return NULL;
}

int pvm_kvm_xen_configure(struct pvm_kvm *vm, struct pvm_vm_config *config)
{
	struct pvm_kvm_xen *xen = &vm->xen;
	const char *why = refusal(vm, &xen->config);
	int error;

	if (why) {
		pr_err_ratelimited("%d: no Xen PV guest: %s\n", task_tgid_nr(current), why);
		return -EINVAL;
	}
	xen->tsc_is_stable = !check_tsc_unstable();
	pvm_kvm_xen_set_clock(vm, 0);
	pvm_clock_scale(tsc_khz, &xen->mul, &xen->shift);
	config->xen = xen->config;
	config->xen.m2p_slot = M2P_SLOT;
	config->xen.m2p_frames = xen->config.pages;
	error = pvm_kvm_m2p_get(&xen->m2p, config->xen.m2p_frames, &config->xen.m2p_entry);
	xen->has_m2p = !error;
	config->range.pml4_end = PTRS_PER_PGD;	/* the kernel's own slot */
	config->host_ldt = true;
	return error ? error : pvm_switcher_vm_ldts(&vm->switcher, config->xen.vcpus);
}

void pvm_kvm_xen_destroy(struct pvm_kvm *vm)
{
	unsigned int i;

	if (vm->xen.has_m2p)
		pvm_kvm_m2p_put(&vm->xen.m2p);
	vm->xen.has_m2p = false;
	for (i = 0; i < PVM_KVM_XEN_PORTS; i++)
		if (vm->xen.told[i])
			eventfd_ctx_put(vm->xen.told[i]);
}

bool pvm_kvm_xen_is_complete(struct pvm_kvm *vm)
{
	return !pvm_kvm_is_xen(vm) || atomic_read(&vm->kvm.online_vcpus) == vm->pvm.config.xen.vcpus;
}

/* ------------------------------------------------------------------------
 * User space's side.
 */

int pvm_kvm_xen_set(struct pvm_kvm *vm, const struct pvm_kvm_set_xen *set)
{
	int error = 0;

	if (set->reserved || !set->vcpus || set->vcpus > PVM_XEN_VCPUS_MAX || !set->pages ||
	    set->grant_frames > PVM_XEN_GRANT_FRAMES_MAX)
		return -EINVAL;
	mutex_lock(&vm->lock);
	if (vm->is_made)
		error = -EBUSY;
	else
		vm->xen.config = (struct pvm_xen_config){
			.vcpus = set->vcpus, .pages = set->pages, .shared_info = { set->shared_info },
			.grants = { set->grants }, .grant_frames = set->grant_frames,
		};
	mutex_unlock(&vm->lock);
	return error;
}

/*
 * With the lock: what the port's notifications go to has a number, the same for each port that leads
 * there, so that a driver may connect as often as it likes. *@is_new: the reference is kept.
 */
static int add_port(struct pvm_kvm *vm, u32 port, u32 vcpu, struct eventfd_ctx *context, bool *is_new)
{
	unsigned int i;
	int error;

	for (i = 0; i < PVM_KVM_XEN_PORTS && vm->xen.told[i] && vm->xen.told[i] != context; i++)
		;
	if (i == PVM_KVM_XEN_PORTS)
		return -ENOSPC;
	*is_new = !vm->xen.told[i];
	WRITE_ONCE(vm->xen.told[i], context);	/* first: the guest may tell at once */
	if (port)
		error = pvm_xen_bind_port(&vm->pvm, port, i) ? -EINVAL : (int)port;
	else
		error = pvm_xen_alloc_port(&vm->pvm, i, vcpu);
	if (error < 0 && *is_new) {
		WRITE_ONCE(vm->xen.told[i], NULL);
		*is_new = false;
	}
	return error < 0 && !port ? -ENOSPC : error;
}

int pvm_kvm_xen_port(struct pvm_kvm *vm, const struct pvm_kvm_xen_port *request)
{
	struct eventfd_ctx *context;
	bool is_new = false;
	int port = -EINVAL;

	if (request->reserved)
		return -EINVAL;
	context = eventfd_ctx_fdget(request->fd);
	if (IS_ERR(context))
		return PTR_ERR(context);
	mutex_lock(&vm->lock);
	if (pvm_kvm_is_xen(vm) && vm->is_made && request->vcpu < vm->xen.config.vcpus)
		port = add_port(vm, request->port, request->vcpu, context, &is_new);
	mutex_unlock(&vm->lock);
	if (!is_new)	/* no port has led to it, or others do */
		eventfd_ctx_put(context);
	return port;
}

int pvm_kvm_xen_tell(struct pvm_kvm *vm, const struct pvm_kvm_xen_notify *request)
{
	int idx, error = PVM_EINVAL;

	if (!smp_load_acquire(&vm->is_made) || !pvm_kvm_is_xen(vm))
		return -EINVAL;
	idx = srcu_read_lock(&vm->kvm.srcu);	/* M10: KVM waits for it before a slot is gone */
	if (!READ_ONCE(vm->xen.is_lost))
		error = pvm_xen_notify(&vm->pvm, request->port);
	srcu_read_unlock(&vm->kvm.srcu, idx);
	if (error == PVM_EAGAIN)
		return -EAGAIN;
	return error == PVM_OK ? 0 : -EINVAL;
}
