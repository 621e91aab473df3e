/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Events in supervisor mode: handlers per vector, and TRY() for an instruction
 * whose exception is the thing under test. Owns the three event entries and
 * the two return instructions (event.S). Events from user mode end user_run()
 * instead, see user.h.
 */
#ifndef GUEST_EVENT_H
#define GUEST_EVENT_H

#include "abi.h"
#include "layout.h"
#include "types.h"

/* The interrupted registers, as event.S leaves them on the stack. A handler
 * may change all but entry_*. */
struct frame {
	u64 r15, r14, r13, r12, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rax;
	u64 entry_rcx, entry_r11, entry_rflags;	/* loaded by the hypervisor at the entry */
	struct pvm_supervisor_frame hw;		/* dual CR3: made from the PVCS for vectors >= 32;
						 * single CR3: always, with CS and SS 0 */
};

_Static_assert(offsetof(struct frame, hw) == 8 * FRAME_PUSHED_WORDS, "event.S");

/* Returns true if the event is dealt with; false: TRY() or the end. */
typedef bool (*event_handler)(struct frame *frame);

/* Set the handler of a vector, NULL for none. Returns the previous one. */
event_handler on_event(u8 vector, event_handler handler);

/* Points a CPU's MSRs at the entries; boot.c and smp.c call it. */
void event_init_cpu(void);

/* One event in C; called by event.S. */
void supervisor_exception(struct frame *frame);
void supervisor_interrupt(struct frame *frame);

/* Single CR3: one event, with the lock as it was found. Which way back: true, by
 * EVENT_RETURN_SUPERVISOR. */
bool supervisor_event(struct frame *frame, u8 lock);
/* Sees to the NMI that @lock has kept, if there is one. */
void event_unlocked(u8 lock, const struct frame *frame);

/* Single CR3: return from the next events by EVENT_RETURN_SUPERVISOR, all of them.
 * Without it only those do that need it: NMIs, and frames with RF or TF. */
extern bool return_by_hypervisor;
/* The lock as the last event in supervisor mode had set it. */
extern u8 lock_at_event;

/* Names and entry points of event.S. */
extern char event_entry[], syscall_entry[], retu_syscall[], rets_syscall[];
extern char user_return_refused[];

/* Emulated CS and SS of supervisor mode, learnt from the first event. */
extern u16 supervisor_cs, supervisor_ss;

/* The exception that the last TRY() took. */
#define NO_TRAP (-1)
struct trap {
	int vector;		/* NO_TRAP: none */
	u32 errcode;
	u64 rip;		/* as pushed */
	u64 cr2;		/* #PF: PVCS::cr2 */
	u64 insn, next;		/* where the instruction starts and ends */
	u64 frame_at;		/* where the hypervisor's frame lay */
	struct frame frame;
};
extern struct trap trap;

/*
 * TRY(instruction, operands as in asm: outputs : inputs : clobbers) runs one
 * instruction and says which exception it raised, or NO_TRAP. Execution goes
 * on after it. For faults rip is the instruction's, for traps (INT3, INT
 * 0x80) the next one's; nothing else counts as a hit. Use %% for registers.
 */
#define TRY(insn, ...) TRY_BETWEEN("", insn, "", __VA_ARGS__)

/* The same with instructions around it that must not raise anything. */
#define TRY_BETWEEN(before, insn, after, ...) ({ \
	write_once(trap.vector, NO_TRAP); \
	__asm__ volatile(before "\n" EX(insn) after "\n" : __VA_ARGS__); \
	barrier(); \
	trap.vector; })

#define EX(insn) \
	"771:\t" insn "\n772:\n" \
	".pushsection .ex_table, \"a\", @progbits\n" \
	".quad 771b, 772b\n" \
	".popsection\n"

/* Prints the registers and ends the guest. */
noreturn void die(const struct frame *frame, const char *why);

#endif /* GUEST_EVENT_H */
