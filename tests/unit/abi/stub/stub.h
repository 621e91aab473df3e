/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The numbers of the stub dialect: what its guests would have of it. None of them is dual or
 * single CR3's, so that the core cannot answer with theirs.
 */
#ifndef STUB_H
#define STUB_H

#include <stdint.h>

#define STUB_MSR_SHARED		0x4b564d20	/* gpa of struct stub_shared */
#define STUB_MSR_ENTRY		0x4b564d21	/* where events enter */
#define STUB_MSR_HOSTS		0x4b564d22	/* in the range, and not the stub's */
#define STUB_MSR_COUNT		3

#define STUB_HC_BASE		0x100
#define STUB_HC_ADD		(STUB_HC_BASE + 0)	/* RBX + RCX */
#define STUB_HC_HALT		(STUB_HC_BASE + 2)	/* 1 is a gap */
#define STUB_HC_NUMBERS		4
#define STUB_NO_FUNCTION	77			/* the answer of gaps */

/* Half of a PVCS, and aligned to all of itself. */
struct stub_shared {
	uint64_t vector, error_code, rip, interrupts;
	uint64_t unused[4];
} __attribute__((aligned(64)));

#endif /* STUB_H */
