/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Signals back into CPU exceptions and system calls. Owns what Linux does to
 * each of them on the way. Pure: looks at the frame, never at the stub.
 *
 * The frame may be forged: a guest that jumps into the stub's text can show any
 * frame. All it gains is an exit that it could have caused honestly; so only
 * vectors and error codes that code at CPL 3 can raise come out of here.
 */
#include "cause.h"

#include <linux/audit.h>
#include <signal.h>
#include <stdio.h>

#ifndef SYS_SECCOMP
#define SYS_SECCOMP 1
#endif
#define SYS_DISPATCH 2		/* SYS_USER_DISPATCH */

#define VSYSCALL_PAGE	0xffffffffff600000ull
/* How far to look for an instruction whose address is lost. */
#define SEARCH_BYTES	256

#define INSN_INTO	0xce
#define INSN_INT_LENGTH	2	/* CD imm8 */
/* Error codes that name an IDT entry, SDM vol. 3, 6.13. */
#define SELECTOR_ERROR_SHIFT	3
#define SELECTOR_ERROR_IDT	2
/* All but EXT, which is of events that the guest's code has not caused. */
#define SELECTOR_ERROR	0xfffeu

#define INSN_SYSCALL	0x05	/* after 0F */
#define INSN_SYSENTER	0x34

#define LOWER_HALF	0xffffffffull

/* What an error code of #PF can say of an access at CPL 3, beside U. */
#define PF_OF_USER_CODE	(PVM_PF_P | PVM_PF_W | PVM_PF_I | PVM_PF_PK)

/* RAX of a 32-bit system call whose argument on the stack can not be read. */
#define LINUX_EFAULT	(-(uint64_t)14)

static bool in_page(uint64_t address, uint64_t page)
{
	return (address & ~(PVM_PAGE_SIZE - 1)) == page;
}

static enum cause exception(struct pvm_guest_exit *exit, uint8_t vector, uint64_t error_code)
{
	exit->kind = PVM_EXIT_EXCEPTION;
	exit->vector = vector;
	exit->error_code = (uint32_t)error_code;
	return CAUSE_EXIT;
}

static enum cause fetch_fault(struct pvm_guest_exit *exit, struct pvm_vcpu *vcpu)
{
	exit->gva = pvm_gva(vcpu->rip);
	return exception(exit, PVM_VEC_PF, PVM_PF_U | PVM_PF_I);
}

/* The kernel parks rip of 32-bit SYSCALL and SYSENTER in the vdso, which the
 * zygote moved to a known place, or, without a vdso, in page 0. */
static bool landed(uint64_t rip)
{
	return (rip >= STUB_VDSO_GRAVE && rip < STUB_VDSO_GRAVE + STUB_VDSO_GRAVE_SIZE) ||
	       rip < PVM_PAGE_SIZE;
}

/*
 * The kernel reads an argument from the stack before it comes to the dispatch.
 * Where it can not, it goes on at the landing: on AMD's CPUs the address does not
 * fit its code segment, on Intel's IRET cuts it to 32 bits. Then it is in page 0,
 * which no guest has, and such an RAX is not to be seen in honest 32-bit code.
 */
static bool landed_without_stack(const struct sigframe *frame, const struct pvm_vcpu *vcpu)
{
	if (!landed(frame->rip))
		return false;
	return frame->rip >= STUB_VDSO_GRAVE ||
	       (frame->vector == PVM_VEC_PF && frame->cr2 == frame->rip &&
		frame->cs == vcpu->vm->config.user32_cs && frame->rax == LINUX_EFAULT);
}

/* Where the instruction probably was: the first such one from where the guest
 * was entered last. A guess, for want of anything better. */
static uint64_t find_syscall32(struct pvm_vcpu *vcpu, const struct cause_entry *entry,
			       cause_fetch_fn *fetch)
{
	uint8_t opcode = entry->host_sysenter ? INSN_SYSENTER : INSN_SYSCALL;
	uint8_t code[2];
	uint64_t rip;

	for (rip = entry->rip; rip < entry->rip + SEARCH_BYTES; rip++) {
		if (!fetch(vcpu, rip, code, sizeof(code)))
			break;
		if (code[0] == 0x0f && code[1] == opcode)
			return rip;
	}
	return entry->rip;
}

/* SYSCALL keeps rip and rflags in rcx and r11, and Linux has rbp in rcx then.
 * SYSENTER keeps nothing: Linux takes rbp for the stack, reads the lower half of
 * another one there, and says 32-bit code. */
static enum cause syscall32(struct pvm_guest_exit *exit, struct pvm_vcpu *vcpu,
			    const struct cause_entry *entry, cause_fetch_fn *fetch)
{
	vcpu->rip = find_syscall32(vcpu, entry, fetch);
	if (entry->host_sysenter) {
		vcpu->gpr[PVM_RBP] = (vcpu->gpr[PVM_RBP] & ~LOWER_HALF) |
				     (vcpu->gpr[PVM_RSP] & LOWER_HALF);
		vcpu->gpr[PVM_RSP] = entry->rsp;
		vcpu->seg[PVM_CS] = entry->cs;
	} else {
		vcpu->gpr[PVM_RBP] = vcpu->gpr[PVM_RCX];
	}
	exit->kind = PVM_EXIT_SYSCALL32;
	exit->insn = (struct pvm_insn){
		.op = entry->host_sysenter ? PVM_INSN_SYSENTER : PVM_INSN_SYSCALL32,
		.length = 2,
	};
	return CAUSE_EXIT;
}

static enum cause system_call(const struct sigframe *frame, struct pvm_vcpu *vcpu,
			      const struct cause_entry *entry, cause_fetch_fn *fetch,
			      struct pvm_guest_exit *exit)
{
	if (frame->info.code == SYS_SECCOMP && in_page(frame->info.address, VSYSCALL_PAGE)) {
		/* The kernel has executed the RET of the vsyscall already. */
		vcpu->rip = frame->info.address;
		vcpu->gpr[PVM_RSP] -= sizeof(uint64_t);
		return fetch_fault(exit, vcpu);
	}
	if (frame->info.code != SYS_DISPATCH)
		return fetch_fault(exit, vcpu);
	if (frame->info.arch == AUDIT_ARCH_I386) {
		if (landed(frame->rip))
			return syscall32(exit, vcpu, entry, fetch);
		exit->kind = PVM_EXIT_SOFTWARE;
		exit->vector = PVM_VEC_SYSCALL32;
		return CAUSE_EXIT;
	}
	vcpu->gpr[PVM_RCX] = vcpu->rip;
	vcpu->gpr[PVM_R11] = vcpu->rflags;
	exit->kind = PVM_EXIT_SYSCALL;
	return CAUSE_EXIT;
}

/* Linux lets INT 4 through, because INTO (32-bit code) needs its gate. The
 * specification allows INT 3 and INT 0x80 only. */
static enum cause overflow(struct pvm_guest_exit *exit, struct pvm_vcpu *vcpu, const struct sigframe *frame,
			   cause_fetch_fn *fetch)
{
	uint8_t code = 0;

	if (frame->cs == vcpu->vm->config.user32_cs &&
	    (!fetch(vcpu, vcpu->rip - 1, &code, 1) || code == INSN_INTO))
		return exception(exit, PVM_VEC_OF, 0);
	vcpu->rip -= INSN_INT_LENGTH;
	return exception(exit, PVM_VEC_GP, PVM_VEC_OF << SELECTOR_ERROR_SHIFT | SELECTOR_ERROR_IDT);
}

static enum cause segment_fault(const struct sigframe *frame, struct pvm_vcpu *vcpu,
				const struct cause_entry *entry, cause_fetch_fn *fetch,
				struct pvm_guest_exit *exit)
{
	/* A vsyscall whose return address can not be read: no vector of its own. */
	if (in_page(frame->rip, VSYSCALL_PAGE))
		return fetch_fault(exit, vcpu);
	if (landed_without_stack(frame, vcpu)) {
		vcpu->gpr[PVM_RAX] = entry->rax;
		return syscall32(exit, vcpu, entry, fetch);
	}
	switch (frame->vector) {
	case PVM_VEC_PF:
		exit->gva = pvm_gva(frame->cr2);
		return exception(exit, PVM_VEC_PF, (frame->error_code & PF_OF_USER_CODE) | PVM_PF_U);
	case PVM_VEC_GP:
		return exception(exit, PVM_VEC_GP, frame->error_code & SELECTOR_ERROR);
	case PVM_VEC_TS:
	case PVM_VEC_CP:	/* of what no guest has: tasks, shadow stacks */
		return exception(exit, PVM_VEC_GP, 0);
	case PVM_VEC_OF:
		return overflow(exit, vcpu, frame, fetch);
	case PVM_VEC_BR:
		return exception(exit, PVM_VEC_BR, 0);
	default:
		return CAUSE_NOTHING;
	}
}

static enum cause debug(const struct sigframe *frame, struct pvm_vcpu *vcpu, struct pvm_guest_exit *exit)
{
	if (frame->vector == PVM_VEC_BP)
		return exception(exit, PVM_VEC_BP, 0);
	if (frame->vector != PVM_VEC_DB)
		return CAUSE_NOTHING;
	vcpu->dr6 = PVM_DR6_FIXED;
	exception(exit, PVM_VEC_DB, 0);
	if (frame->info.code == TRAP_TRACE)
		vcpu->dr6 |= PVM_DR6_BS;
	return frame->info.code == TRAP_HWBKPT ? CAUSE_DEBUG : CAUSE_EXIT;
}

static enum cause bus(const struct sigframe *frame, struct pvm_guest_exit *exit)
{
	switch (frame->vector) {
	case PVM_VEC_NP:
	case PVM_VEC_SS:
		return exception(exit, (uint8_t)frame->vector, frame->error_code & SELECTOR_ERROR);
	case PVM_VEC_AC:
		return exception(exit, PVM_VEC_AC, 0);
	default:
		exit->gva = pvm_gva(frame->info.address);
		return CAUSE_MEMORY;
	}
}

static enum cause arithmetic(const struct sigframe *frame, struct pvm_guest_exit *exit)
{
	switch (frame->vector) {
	case PVM_VEC_DE:
	case PVM_VEC_MF:
	case PVM_VEC_XM:
		return exception(exit, (uint8_t)frame->vector, 0);
	default:
		return CAUSE_NOTHING;
	}
}

enum cause cause_of_stop(const struct sigframe *frame, struct pvm_vcpu *vcpu,
			 const struct cause_entry *entry, cause_fetch_fn *fetch,
			 struct pvm_guest_exit *exit)
{
	/* Sent by some process, not made by the CPU. */
	if (frame->info.code <= 0)
		return CAUSE_NOTHING;
	switch (frame->info.number) {
	case SIGSYS:
		return system_call(frame, vcpu, entry, fetch, exit);
	case SIGSEGV:
		return segment_fault(frame, vcpu, entry, fetch, exit);
	case SIGTRAP:
		return debug(frame, vcpu, exit);
	case SIGBUS:
		return bus(frame, exit);
	case SIGFPE:
		return arithmetic(frame, exit);
	case SIGILL:
		return exception(exit, PVM_VEC_UD, 0);
	default:
		return CAUSE_NOTHING;
	}
}
