/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * What the engines share and no other code sees: the four memory functions that
 * every freestanding C compiler expects, trace, and the MMU's life cycle.
 */
#ifndef PVM_INTERNAL_H
#define PVM_INTERNAL_H

#include <pvm/vcpu.h>

#ifdef __KERNEL__
#include <linux/string.h>
#else
void *memcpy(void *restrict dst, const void *restrict src, size_t len);
void *memmove(void *dst, const void *src, size_t len);
void *memset(void *dst, int byte, size_t len);
int memcmp(const void *a, const void *b, size_t len);
#endif

#define pvm_likely(x)	__builtin_expect(!!(x), 1)
#define pvm_unlikely(x)	__builtin_expect(!!(x), 0)

/* Read guest-writable memory once (M6): the compiler may not read it again. */
#define PVM_READ_ONCE(x)	__atomic_load_n(&(x), __ATOMIC_RELAXED)
#define PVM_WRITE_ONCE(x, v)	__atomic_store_n(&(x), (v), __ATOMIC_RELAXED)

/* @index; 0 where it is not below @count, also while the CPU runs ahead of a test that said so: what a guest
 * chooses reaches no memory beyond a table (Spectre v1). */
static inline uint64_t pvm_index_clamped(uint64_t index, uint64_t count)
{
	uint64_t mask;

	__asm__ volatile("cmpq %2, %1; sbbq %0, %0" : "=r"(mask) : "r"(index), "re"(count) : "cc");
	return index & mask;
}

/* The same by a mask that covers the table, where the index was found to be below its count: one instruction,
 * which no compiler takes for idle. */
static inline uint64_t pvm_index_masked(uint64_t index, uint64_t mask)
{
	__asm__ volatile("andq %1, %0" : "+r"(index) : "rme"(mask) : "cc");
	return index;
}

/* pvm_rflags_sanitize() and pvm_semi_canonical() for the paths that are counted
 * in nanoseconds: inlined. */
static inline uint64_t pvm_rflags_sane(uint64_t rflags)
{
	/* S2: IOPL, VM, VIF, VIP and what is reserved go, IF and bit 1 come. */
	return (rflags & PVM_RFLAGS_GUEST) | PVM_RFLAGS_IF | PVM_RFLAGS_FIXED;
}

static inline uint64_t pvm_sign_extend_host(const struct pvm_vcpu *vcpu, uint64_t addr)
{
	unsigned unused = vcpu->vm->config.host_la57 ? 64 - 57 : 64 - 48;

	return (uint64_t)((int64_t)(addr << unused) >> unused);
}

static inline void pvm_trace(struct pvm_vm *vm, uint32_t vcpu, enum pvm_trace_kind kind,
			     uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
	if (pvm_unlikely(vm->ops->trace)) {	/* one instruction; read again, as it may have gone */
		void (*trace)(void *host, const struct pvm_trace_record *record) =
			PVM_READ_ONCE(vm->ops->trace);
		struct pvm_trace_record record = { kind, vcpu, a, b, c, d };

		if (trace)
			trace(vm->host, &record);
	}
}

static inline void pvm_trace_vcpu(struct pvm_vcpu *vcpu, enum pvm_trace_kind kind,
				  uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
	pvm_trace(vcpu->vm, vcpu->id, kind, a, b, c, d);
}

/* Kept out of a function whose common way is short. */
#define PVM_NOINLINE	__attribute__((__noinline__, __cold__))

#define PVM_ERROR_CODE_VECTORS \
	(1u << PVM_VEC_DF | 1u << PVM_VEC_TS | 1u << PVM_VEC_NP | 1u << PVM_VEC_SS | \
	 1u << PVM_VEC_GP | 1u << PVM_VEC_PF | 1u << PVM_VEC_AC | 1u << PVM_VEC_CP)

/* pvm_vector_has_error_code(), inlined. */
static inline bool pvm_has_error_code(uint8_t vector)
{
	return vector < PVM_VEC_EXCEPTIONS && (PVM_ERROR_CODE_VECTORS >> vector & 1);
}

/* libpvm/mmu/: called by pvm_vm_init(), pvm_vcpu_init() and their opposites. */
int pvm_mmu_init(struct pvm_vm *vm);
void pvm_mmu_destroy(struct pvm_vm *vm);
int pvm_mmu_vcpu_init(struct pvm_vcpu *vcpu);
void pvm_mmu_vcpu_destroy(struct pvm_vcpu *vcpu);
/* Takes the MMU lock. From now on the engine writes @gfn, and only that frame, beside the MMU
 * (M9): guest tables in it are never taken to be what they were. @shared false: no frame. */
void pvm_mmu_share(struct pvm_vcpu *vcpu, pvm_gfn_t gfn, bool shared);
/* The same of one frame of the VM, whoever runs it, as long as it lives. */
void pvm_mmu_share_vm(struct pvm_vcpu *vcpu, pvm_gfn_t gfn);
/* Does a shadow page mirror the frame? */
bool pvm_mmu_is_table(struct pvm_vcpu *vcpu, pvm_gfn_t gfn);

/* libpvm/mmu/near.c, without the lock: the guest is about to try the access of @vcpu->mmu.retry again. */
void pvm_mmu_retry(struct pvm_vcpu *vcpu);

/* After EVENT_RETURN_*: to where a #PF came from? */
static inline void pvm_returned(struct pvm_vcpu *vcpu)
{
	if (vcpu->mmu.retry.waits)
		pvm_mmu_retry(vcpu);
}

/* libpvm/vcpu/pvcs.c: attach the PVCS at @gpa (0: none), pinning it (S8).
 * PVM_OK, PVM_EINVAL (misaligned, crosses a page, no memory); PVM_EAGAIN, PVM_ENOMEM or
 * PVM_EFAULT (the host lost the memory): not now, and nothing has changed (M11). */
int pvm_pvcs_attach(struct pvm_vcpu *vcpu, uint64_t gpa);

#endif /* PVM_INTERNAL_H */
