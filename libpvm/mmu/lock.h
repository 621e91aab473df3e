/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The MMU lock, and beside it: what every vCPU may do at once. A vCPU that is inside
 * changes nothing of the engine's but single words, each in one step, and bytes of
 * guest memory that are not tracked; a thread that takes the lock waits until no vCPU
 * is inside, and is alone then. To come inside costs a store to a word of the vCPU's own
 * and a load of a shared one, and a short wait for a thread that is alone.
 */
#ifndef MMU_LOCK_H
#define MMU_LOCK_H

#include "internal.h"
#include "shadow.h"

#define SPINS 100	/* before the host may let others run */
#define ENTER_SPINS 400	/* for the thread that is alone; then queue for the lock */

static inline void pvm_spin(struct pvm_vm *vm, unsigned spins)
{
	__builtin_ia32_pause();
	if (spins > SPINS && vm->ops->relax)
		vm->ops->relax(vm->host);
}

static inline void pvm_wait_outside(struct pvm_vm *vm, struct pvm_vcpu *vcpu)
{
	unsigned spins = 0;

	while (__atomic_load_n(&vcpu->mmu.inside, __ATOMIC_SEQ_CST))
		pvm_spin(vm, ++spins);
}

static inline void pvm_lock(struct pvm_vm *vm)
{
	struct pvm_mmu *mmu = vm->mmu;
	struct pvm_vcpu *vcpu;

	vm->ops->mmu_lock(vm->host);
	/* In one order with pvm_enter()'s two: one of us sees the other. */
	__atomic_store_n(&mmu->alone, true, __ATOMIC_SEQ_CST);
	for (vcpu = mmu->first_vcpu; vcpu; vcpu = vcpu->mmu.next)
		pvm_wait_outside(vm, vcpu);
}

static inline void pvm_unlock(struct pvm_vm *vm)
{
	__atomic_store_n(&vm->mmu->alone, false, __ATOMIC_RELEASE);
	vm->ops->mmu_unlock(vm->host);
}

/* Without the lock, in a call that takes long. */
static inline void pvm_yield(struct pvm_vm *vm, enum pvm_sleep sleep)
{
	if (sleep == PVM_MAY_SLEEP && vm->ops->yield)
		vm->ops->yield(vm->host);
}

/* Without the lock, in a call that may sleep, until another thread has finished. */
static inline void pvm_nap(struct pvm_vm *vm, unsigned spins)
{
	__builtin_ia32_pause();
	if (spins <= SPINS)
		return;
	if (vm->ops->nap)
		vm->ops->nap(vm->host);
	else
		pvm_yield(vm, PVM_MAY_SLEEP);
}

/* What a vCPU's own call may do. */
static inline enum pvm_sleep pvm_vcpu_sleep(const struct pvm_vcpu *vcpu)
{
	return vcpu->brief ? PVM_NO_SLEEP : PVM_MAY_SLEEP;
}

/*
 * False: take the lock. Whoever meets a thread that is alone waits first, because that is
 * mostly for one fill. If it queued for the lock instead, the next vCPU would meet it there and
 * queue as well, and from then on all would take the lock.
 */
static inline bool pvm_enter(struct pvm_vcpu *vcpu)
{
	struct pvm_vm *vm = vcpu->vm;
	unsigned spins = 0;

	if (pvm_unlikely(vcpu->preemptible))
		return false;
	for (;;) {
		__atomic_store_n(&vcpu->mmu.inside, true, __ATOMIC_SEQ_CST);
		if (pvm_likely(!__atomic_load_n(&vm->mmu->alone, __ATOMIC_SEQ_CST)))
			return true;
		__atomic_store_n(&vcpu->mmu.inside, false, __ATOMIC_RELEASE);
		do {
			if (++spins > ENTER_SPINS)
				return false;
			pvm_spin(vm, spins);
		} while (__atomic_load_n(&vm->mmu->alone, __ATOMIC_RELAXED));
	}
}

static inline void pvm_leave(struct pvm_vcpu *vcpu)
{
	__atomic_store_n(&vcpu->mmu.inside, false, __ATOMIC_RELEASE);
}

/* For what only reads the engine's tables, and may set bits of the guest's: inside (true)
 * or, while another thread has the lock, with it. */
static inline bool pvm_enter_or_lock(struct pvm_vcpu *vcpu)
{
	if (pvm_likely(pvm_enter(vcpu)))
		return true;
	pvm_lock(vcpu->vm);
	return false;
}

static inline void pvm_leave_or_unlock(struct pvm_vcpu *vcpu, bool inside)
{
	if (pvm_likely(inside))
		pvm_leave(vcpu);
	else
		pvm_unlock(vcpu->vm);
}

#endif /* MMU_LOCK_H */
