/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Interrupts and exceptions that arrive while minivisor's own IDT is loaded. */
#ifndef MINIVISOR_TRAP_H
#define MINIVISOR_TRAP_H

#include <stdint.h>

/* As trap.S pushes it. */
struct trap_frame {
	uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax;
	uint64_t vector, error_code;
	uint64_t rip, cs, rflags, rsp, ss;
};

typedef void (*trap_handler)(struct trap_frame *frame);

/* Vectors of ours. */
#define VECTOR_TIMER	0xec
#define VECTOR_KICK	0xed
#define VECTOR_SPURIOUS	0xff

/* A vector without a handler ends the machine with a line. NULL takes it away. */
void trap_set(uint8_t vector, trap_handler handler);

/* Load the IDT, which all CPUs share. */
void trap_init_cpu(void);

#endif /* MINIVISOR_TRAP_H */
