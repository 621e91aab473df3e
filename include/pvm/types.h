/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The basic types of libpvm: addresses that the compiler tells apart, errors,
 * and what an engine call asks the backend to do next.
 *
 * Owns no state. Usable in a hosted program, freestanding, and in a kernel.
 */
#ifndef PVM_TYPES_H
#define PVM_TYPES_H

#ifdef __KERNEL__
#include <linux/stddef.h>
#include <linux/types.h>
#else
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Marks what libpvm.so exports; everything else in the library is hidden. */
#if defined(PVM_BUILDING) && !defined(__KERNEL__)
#define PVM_API __attribute__((visibility("default")))
#else
#define PVM_API
#endif

/*
 * Addresses. Each is a struct of one word, so that passing a guest-physical
 * address where a guest-virtual one belongs does not compile. Unit: bytes,
 * except the frame numbers, which count 4 KiB frames.
 */
typedef struct { uint64_t v; } pvm_gva_t;	/* guest linear address */
typedef struct { uint64_t v; } pvm_gpa_t;	/* guest-physical address */
typedef struct { uint64_t v; } pvm_gfn_t;	/* guest frame number: gpa >> 12 */
typedef struct { uint64_t v; } pvm_hpa_t;	/* host-physical address, as the host defines it */

static inline pvm_gva_t pvm_gva(uint64_t v) { pvm_gva_t a = { v }; return a; }
static inline pvm_gpa_t pvm_gpa(uint64_t v) { pvm_gpa_t a = { v }; return a; }
static inline pvm_gfn_t pvm_gfn(uint64_t v) { pvm_gfn_t a = { v }; return a; }
static inline pvm_hpa_t pvm_hpa(uint64_t v) { pvm_hpa_t a = { v }; return a; }
static inline pvm_gfn_t pvm_gpa_to_gfn(pvm_gpa_t gpa) { return pvm_gfn(gpa.v >> 12); }
static inline pvm_gpa_t pvm_gfn_to_gpa(pvm_gfn_t gfn) { return pvm_gpa(gfn.v << 12); }

/* No address: never a valid hpa, gpa or gfn (guest memory ends below 2^52). */
#define PVM_INVALID_ADDR (~0ull)

/*
 * Errors are negative, results and successes are not. The values are Linux's
 * errno numbers, so that a Linux host may hand them on unchanged; on other
 * hosts they are just distinct numbers.
 */
enum pvm_error {
	PVM_OK		= 0,
	PVM_ENOENT	= -2,	/* nothing there: no memory at that gpa, no such MSR */
	PVM_EAGAIN	= -11,	/* would have to sleep, and the caller forbade it */
	PVM_ENOMEM	= -12,	/* the host could not allocate (M11: nothing was lost) */
	PVM_EFAULT	= -14,	/* guest memory access failed: see the call's out parameter */
	PVM_EBUSY	= -16,
	PVM_EINVAL	= -22,	/* an argument or a guest value is not allowed */
	PVM_ENOSYS	= -38,	/* not a function of this ABI dialect */
	PVM_EPERM	= -1,
};

/*
 * What the backend does next. Every engine call that handles an exit returns
 * one. Details of the actions that need them are in struct pvm_vcpu::request
 * (pvm/vcpu.h); the backend finishes those with the pvm_complete_*() calls
 * named here, and only then resumes the guest.
 */
enum pvm_action {
	PVM_ACT_RESUME = 0,	/* run the guest again */
	PVM_ACT_HALT,		/* wait for an interrupt or NMI, then run it again */
	PVM_ACT_HYPERCALL,	/* request.hypercall: not PVM's; pvm_complete_hypercall() */
	PVM_ACT_RDMSR,		/* request.msr: not the engine's; pvm_complete_rdmsr() */
	PVM_ACT_WRMSR,		/* request.msr: not the engine's; pvm_complete_wrmsr() */
	PVM_ACT_IO,		/* request.io: IN or OUT; pvm_complete_io() */
	PVM_ACT_MMIO,		/* request.mmio: access to a gpa that is no memory */
	PVM_ACT_SHUTDOWN,	/* request.shutdown: triple fault; the VM is over */
	PVM_ACT_SYSTEM_EVENT,	/* request.system_event: the guest has ended itself */
	PVM_ACT_RETRY,		/* it could not finish without sleeping: call again, with
				 * PVM_MAY_SLEEP; the guest notices nothing */
	PVM_ACT_ERROR,		/* request.error: the host failed, not the guest */
};

/* May the call sleep (allocate with reclaim, take page faults)? */
enum pvm_sleep {
	PVM_NO_SLEEP = 0,
	PVM_MAY_SLEEP = 1,
};

#ifdef __cplusplus
}
#endif
#endif /* PVM_TYPES_H */
