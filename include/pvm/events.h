/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The event state machine: how a PVM guest enters its supervisor and returns
 * from it. Pure over struct pvm_vcpu and the PVCS, but for the supervisor
 * frame, which goes through the guest's page tables.
 *
 * Owned by libpvm/events/. Nothing here decides *whether* an event happens;
 * that is the backend's (interrupts) or the exit handlers' (exceptions).
 *
 * spec: Events and Mode Changing
 */
#ifndef PVM_EVENTS_H
#define PVM_EVENTS_H

#include <pvm/vcpu.h>

/* Does an exception with this vector carry an error code? @vector: 0..255; no
 * interrupt does. */
PVM_API bool pvm_vector_has_error_code(uint8_t vector);

/**
 * pvm_event_deliver - deliver a vector event (exception, INT3, INT 0x80, or an
 * interrupt that is allowed now) to the guest's supervisor.
 * @vector: 0..255. 8 is never delivered: it is a shutdown.
 * @error_code: stored if the vector has one.
 * For #PF, vcpu->cr2 holds the address; for #DB, vcpu->dr6 the cause. rip is
 * that of the faulting instruction, or after it for a trap.
 *
 * Returns PVM_ACT_RESUME; PVM_ACT_SHUTDOWN: it could not be delivered (no
 * PVCS, bad entry, bad stack), which is a triple fault; vcpu->request.shutdown
 * says why, and no register of the guest has changed. PVM_ACT_RETRY: the stack that it
 * goes to cannot be touched without sleeping: the vCPU keeps the event, and
 * pvm_handle_exit() delivers it before anything else.
 * spec: Vector events in user mode, Vector events in supervisor mode
 */
PVM_API enum pvm_action pvm_event_deliver(struct pvm_vcpu *vcpu, uint8_t vector,
					  uint32_t error_code);

/* #GP, #UD and #PF at the current instruction: shorthands of the above, with its
 * results. @gva goes to vcpu->cr2. */
PVM_API enum pvm_action pvm_event_gp(struct pvm_vcpu *vcpu, uint32_t error_code);
PVM_API enum pvm_action pvm_event_ud(struct pvm_vcpu *vcpu);
PVM_API enum pvm_action pvm_event_pf(struct pvm_vcpu *vcpu, pvm_gva_t gva, uint32_t error_code);

/**
 * pvm_event_debug - #DB with the cause in @dr6 (bits 0..3, BD, BS).
 * Hits of breakpoints outside the legal ranges are dropped (M7); a hit that
 * MOV/POP SS deferred into a supervisor entry is discarded. @dr6 without any
 * cause is INT1's #DB, which is delivered. Delivery clears DR7.GD, as x86 does.
 * Returns PVM_ACT_RESUME (also when nothing is left to deliver) or as deliver.
 * spec: Discarded #DB, Underlying DR6
 */
PVM_API enum pvm_action pvm_event_debug(struct pvm_vcpu *vcpu, uint64_t dr6);

/**
 * pvm_event_interrupt_allowed - can a maskable interrupt be delivered now?
 * True in user mode; in supervisor mode when PVCS IF is set; while an event is kept (see
 * pvm_event_deliver()) never.
 */
PVM_API bool pvm_event_interrupt_allowed(const struct pvm_vcpu *vcpu);

/**
 * pvm_event_interrupt - the backend has a maskable interrupt: deliver it, or
 * remember it for the guest.
 * @vector: 16..255, what an APIC can send; those below 32 arrive as the exceptions they
 * name, with an error code of 0 where there is one. @delivered: false when IF was clear; PVCS IP is then set,
 * the interrupt stays the backend's, which offers it again after IRQ_WIN,
 * IRQ_HLT, or a return to user mode.
 * Returns as pvm_event_deliver(); PVM_ACT_HALT: not delivered, and the vCPU is
 * still halted; PVM_ACT_ERROR for a @vector below 16. A delivered interrupt
 * ends a halt.
 * PVM_ACT_RETRY: an event is kept that comes first: call pvm_handle_exit(), then again.
 * spec: PVCS::event_flags
 */
PVM_API enum pvm_action pvm_event_interrupt(struct pvm_vcpu *vcpu, uint8_t vector, bool *delivered);

/**
 * pvm_event_nmi - an NMI arrives. While NMIs are masked it stays pending (one
 * at most) and is delivered by the return that unmasks. A vCPU that is halted
 * with NMIs masked stays so: PVM_ACT_HALT.
 * PVM_ACT_RETRY: an event is kept that comes first; the NMI is pending, and pvm_handle_exit()
 * delivers it after that event.
 * spec: NMI shadow mask
 */
PVM_API enum pvm_action pvm_event_nmi(struct pvm_vcpu *vcpu);

/**
 * pvm_event_user_syscall - SYSCALL in user mode enters the supervisor at LSTAR.
 * rip is after the SYSCALL, rcx and r11 as SYSCALL left them, rflags as before it.
 * Returns PVM_ACT_RESUME, or PVM_ACT_SHUTDOWN: no PVCS, or an LSTAR that is not
 * legal (any more). PVM_ACT_ERROR with PVM_ENOSYS: the guest ABI has no such event; so
 * with the two returns below.
 * spec: User SYSCALL event
 */
PVM_API enum pvm_action pvm_event_user_syscall(struct pvm_vcpu *vcpu);

/**
 * pvm_event_return_user - to user mode, with the registers that the PVCS holds.
 * rip is after the SYSCALL. Without a PVCS, with selectors other than the two
 * pairs (S4) or a RIP that cannot run (S1) nothing is loaded, and the instruction
 * raises #GP(0). A pending NMI is delivered at once, from user mode.
 * Returns PVM_ACT_RESUME, or PVM_ACT_SHUTDOWN where that #GP or NMI failed.
 * spec: Synthetic Instruction: EVENT_RETURN_USER
 */
PVM_API enum pvm_action pvm_event_return_user(struct pvm_vcpu *vcpu);

/**
 * pvm_event_may_switch - may an executor do user system calls and returns beside the engine?
 * True: as long as it makes no other call on @vcpu, what pvm_event_user_syscall() and
 * pvm_event_return_user() would do is: exchange the registers that the PVCS and the MSRs keep,
 * no more; if PVCS::event_flags has no IP at a return (M6: the guest may set it at any time).
 * The rest is told by pvm_event_switched(). No trace has these switches.
 */
PVM_API bool pvm_event_may_switch(const struct pvm_vcpu *vcpu);

/**
 * pvm_event_switched - an executor has done user system calls and returns by itself.
 * @user_mode: the mode that the guest is in now.
 * Mode, root tables, CS and SS of the mode follow; other registers, bases, PKRU,
 * MSR_KERNEL_GS_BASE and MSR_PVM_SUPERVISOR_RSP are the executor's to bring along.
 */
PVM_API void pvm_event_switched(struct pvm_vcpu *vcpu, bool user_mode);

/**
 * pvm_event_return_supervisor - to where the frame at RSP says. rip is after the
 * SYSCALL. A frame that cannot be read is a #PF (or #GP) of the instruction, a RIP
 * that cannot run (S1) a #GP(0); nothing is loaded then. A pending NMI is
 * delivered at once.
 * Returns PVM_ACT_RESUME, or PVM_ACT_SHUTDOWN: PVM_SHUTDOWN_BAD_STACK where the
 * frame is not in memory or its fault could not be delivered, else as deliver.
 * spec: Synthetic Instruction: EVENT_RETURN_SUPERVISOR
 */
PVM_API enum pvm_action pvm_event_return_supervisor(struct pvm_vcpu *vcpu);

/* spec: PVM_HC_IRQ_WIN: IP is cleared; the backend offers its interrupts again. */
PVM_API void pvm_event_irq_window(struct pvm_vcpu *vcpu);

/* spec: PVM_HC_IRQ_HLT: IF is set, IP cleared, halted. Returns PVM_ACT_HALT. */
PVM_API enum pvm_action pvm_event_irq_halt(struct pvm_vcpu *vcpu);

/* CLI and STI as instructions in supervisor mode: PVCS IF. Without a PVCS IF
 * stays 0. */
PVM_API void pvm_event_set_if(struct pvm_vcpu *vcpu, bool enabled);

/* request.shutdown.vector where there is none. */
#define PVM_NO_VECTOR	0xff

/* End the VM: fills vcpu->request.shutdown and returns PVM_ACT_SHUTDOWN. */
PVM_API enum pvm_action pvm_event_shutdown(struct pvm_vcpu *vcpu, enum pvm_shutdown reason,
					   uint8_t vector, uint64_t address);

#endif /* PVM_EVENTS_H */
