/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * A guest of a few bytes: one vCPU in supervisor mode, in 2 MiB of memory that it has at their addresses.
 */
#ifndef KVM_BARE_H
#define KVM_BARE_H

#include <stddef.h>

#include "machine.h"

#define BARE_MEMORY	(2ull << 20)
#define BARE_CODE_GPA	0x1000	/* where it begins */

/* For bare_begin(): an ABI and its code. */
#define BARE_CODE(text) PVM_ABI_DUAL_CR3, text, sizeof(text) - 1

void bare_begin(struct machine *m, uint32_t abi, const char *code, size_t length);
/* The page tables alone. */
void bare_map_memory(struct machine *m);

/* KVM_RUN: 0, or errno. */
int bare_run(struct machine *m);
/* What KVM_RUN ended with is completed, and nothing is run. */
void bare_complete(struct machine *m);

struct kvm_regs bare_regs(struct machine *m);
bool bare_set_msr(struct machine *m, uint32_t index, uint64_t value);
/* Of the last KVM_EXIT_IO. */
uint32_t *bare_data(struct machine *m);

#endif /* KVM_BARE_H */
