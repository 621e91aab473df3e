/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* The operations of a PVM guest, dual CR3; see ops.h. */
#ifndef BENCH_KVM_OPS_PVM_H
#define BENCH_KVM_OPS_PVM_H

/* A number that has no function. */
#define MEASURE_HYPERCALL() \
	MEASURE("movl $" STRING(PVM_HC_BASE + PVM_HC_COUNT - 1) ", %%eax\n\tsyscall", "b"(0ul))
#define OWN_HYPERCALL	2

/* The entry at @pte becomes 0, and the TLB forgets @va. */
#define MEASURE_INVLPG(pte, va) \
	MEASURE("movq $0, (%%rsi)\n\tmovl $" STRING(PVM_HC_TLB_INVLPG) ", %%eax\n\tsyscall", "b"(va), "S"(pte))
#define OWN_INVLPG	3

#define MEASURE_LOAD(space) ({ \
	register u64 r9_ __asm__("r9") = (space)->user_root; \
	register u64 r10_ __asm__("r10") = (space)->supervisor_root; \
	MEASURE("movl $" STRING(PVM_HC_LOAD_PGTBL) ", %%eax\n\tmovq %%r9, %%rdx\n\tsyscall", \
		"b"(0ul), "r"(r9_), "r"(r10_)); })
#define OWN_LOAD	3

/* In user mode MOV and SYSCALL; here TEST, JNZ, SYSCALL. */
#define OWN_SYSCALL	5
#define OWN_PAGE_FAULT	17	/* the access that succeeds, and entry_pvm.S */
#define OWN_INTERRUPT	7

#endif /* BENCH_KVM_OPS_PVM_H */
