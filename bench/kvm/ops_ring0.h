/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* The operations of an ordinary guest at ring 0 of an AMD CPU; see ops.h. */
#ifndef BENCH_KVM_OPS_RING0_H
#define BENCH_KVM_OPS_RING0_H

/* A number that KVM has no hypercall for. */
#define MEASURE_HYPERCALL() MEASURE("movl $0x1000, %%eax\n\tvmmcall", "b"(0ul))
#define OWN_HYPERCALL	2

#define MEASURE_INVLPG(pte, va) MEASURE("movq $0, (%%rsi)\n\tinvlpg (%%rbx)", "b"(va), "S"(pte))
#define OWN_INVLPG	2

#define MEASURE_LOAD(space) MEASURE("movq %%rbx, %%cr3", "b"((space)->supervisor_root))
#define OWN_LOAD	1

/* In user mode MOV and SYSCALL; here TEST, JNZ, SYSRET. */
#define OWN_SYSCALL	5
#define OWN_PAGE_FAULT	15	/* the access that succeeds, and entry_ring0.S */
#define OWN_INTERRUPT	5

#endif /* BENCH_KVM_OPS_RING0_H */
