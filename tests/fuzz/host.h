/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * What fuzz targets share: a small VM with one vCPU on the test host, made anew for
 * every input, whose state the input decides; and the invariants that must hold
 * after any engine call. The test host's pages are single allocations, so that
 * AddressSanitizer sees a use after free.
 */
#ifndef FUZZ_HOST_H
#define FUZZ_HOST_H

#include <pvm/events.h>
#include <pvm/hypercall.h>
#include <pvm/mmu.h>
#include <pvm/state.h>

#include "test_host.h"

#define FUZZ_MEMORY	(128u << 10)	/* bytes of guest memory, gpa 0.. */
#define FUZZ_HOLE	0x1e000u	/* gpa of a page that is no memory; its last page is read-only */
#define FUZZ_PVCS	0x3000u
#define FUZZ_TABLES	0x10000u	/* gpa of the page tables that fuzz_vcpu() makes */

struct fuzz_host {
	struct test_host host;
	struct pvm_vm vm;
	struct pvm_vcpu vcpu;
};

/* The input, taken from the front; zeroes when it is used up. */
struct fuzz_input {
	const uint8_t *data;
	size_t left;
};

uint8_t fuzz_u8(struct fuzz_input *in);
uint16_t fuzz_u16(struct fuzz_input *in);
uint32_t fuzz_u32(struct fuzz_input *in);
uint64_t fuzz_u64(struct fuzz_input *in);
void fuzz_bytes(struct fuzz_input *in, void *buf, size_t len);
/* Often a value at which something changes, seldom any value. */
uint64_t fuzz_value(struct fuzz_input *in);

/* A VM with a vCPU in its reset state; the input chooses among configurations. */
void fuzz_host_init(struct fuzz_host *h, struct fuzz_input *in);
/* Also checks that nothing leaked. */
void fuzz_host_fini(struct fuzz_host *h);

/* Give the vCPU a state that a guest can bring it into: page tables, PVCS,
 * MSRs, control registers, mode, general registers. */
void fuzz_vcpu(struct fuzz_host *h, struct fuzz_input *in);

/* What must hold whenever an engine call has returned @action (enum pvm_action;
 * -1 for a call that has none). Aborts with the rule's name if not. */
void fuzz_check(struct fuzz_host *h, int action);

/* Abort with a line that names the rule unless @cond. */
void fuzz_require(bool cond, const char *rule);

/* Answer @action as a backend would, with values of the input, until the guest
 * can run again or is over; checks after every step. Returns the last action. */
enum pvm_action fuzz_complete(struct fuzz_host *h, struct fuzz_input *in, enum pvm_action action);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif /* FUZZ_HOST_H */
