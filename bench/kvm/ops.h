/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * What differs between the two guests that guest.c is compiled to: a PVM guest, and with BENCH_RING0
 * an ordinary one. Each operation is a macro whose value is the ticks between two RDTSCs around it.
 * OWN_* says how many instructions of it are the guest's: they are not what the operation costs.
 */
#ifndef BENCH_KVM_OPS_H
#define BENCH_KVM_OPS_H

#include "guest.h"

#include "box.h"

/* The ticks of @insns, and those of the MOV and the second RDTSC, which are ROW_EMPTY's. */
#define MEASURE(insns, ...) ({ \
	u32 ticks_; \
	__asm__ volatile("rdtsc\n\tmovl %%eax, %%r8d\n\t" insns "\n\trdtsc\n\tsubl %%r8d, %%eax" \
			 : "=a"(ticks_) : __VA_ARGS__ : "rcx", "rdx", "r8", "r11", "memory", "cc"); \
	ticks_; })

#define STRING_OF(x) #x
#define STRING(x) STRING_OF(x)

/* User mode's system calls, in RAX. */
#define USER_LEAVE	0	/* ends user_mode() */
#define USER_NULL	1	/* comes back at once */
#define MEASURE_SYSCALL() MEASURE("movl $" STRING(USER_NULL) ", %%eax\n\tsyscall")

#define BENCH_VECTOR	0x71

#ifdef BENCH_RING0
#include "ops_ring0.h"
#else
#include "ops_pvm.h"
#endif

/* Sets up the entries of bench/kvm; supervisor mode's exceptions end the guest. */
void ops_init(void);

/* User mode at @rip with @argument in RDI, until its USER_LEAVE or an interrupt. Of an interrupt: the
 * ticks from before the return to user mode until after the EOI. */
u32 user_mode(const void *rip, u64 argument);
u32 user_enter_measured(void);		/* in assembly: its last step */

/* An interrupt to this CPU, whose interrupts are off. */
void send_self(void);

/* Loads boot_space, of which the TLB has nothing then. */
void flush(void);
/* Loads @space. */
void space_enter(const struct space *space);

/*
 * The #PF handlers of user mode find the entry's place by the lower bits of the address: they write
 * fault_values[page] to fault_ptes[page]. Both are tables of 512.
 */
extern u64 *fault_ptes, fault_values[512];

#endif /* BENCH_KVM_OPS_H */
