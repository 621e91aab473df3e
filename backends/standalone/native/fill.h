/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Filling a stub's address space from the shadow tables: the page walk that a
 * CPU would do on a TLB miss.
 */
#ifndef NATIVE_FILL_H
#define NATIVE_FILL_H

#include "../monitor.h"
#include "space.h"

/* A page fault of the guest that the engine has been told about. */
struct fill_fault {
	bool pending;
	uint64_t root;		/* it happened under this one */
	uint64_t gva;
	uint32_t error_code;	/* PVM_PF_* */
};

enum fill_result {
	FILL_OK,		/* also when there is nothing to map */
	FILL_RESERVED,		/* the page lies where the guest can have nothing */
	FILL_NOT_MEMORY,	/* the shadow tables point outside guest memory: a bug of theirs */
};

/* Queue what resolves @fault, if the shadow tables do by now. *@pages grows by
 * the number of 4 KiB pages mapped. */
enum fill_result fill_fault(struct space *space, struct monitor_vm *vm, struct fill_fault *fault,
			    uint64_t *pages);

/* FILL_RESERVED, in @exit: of a user program the program's own #GP, as of an address that is none. */
void fill_explain_reserved(struct monitor_vcpu *vcpu, struct fill_fault *fault, struct pvm_guest_exit *exit);

/* The space is empty: queue what the next instruction needs anyhow, and what the last faults here
 * were for. */
void fill_first(struct space *space, const struct monitor_vcpu *vcpu, uint64_t *pages);

/*
 * A stub says that the host has no memory for guest address @gva. It may be forged, and the memory may be
 * there by now: the page itself is asked. True: it is lost, and *@gpa says which.
 */
bool fill_memory_is_lost(const struct space *space, struct monitor_vm *vm, uint64_t gva, uint64_t *gpa);

/* The lowest address that a process may map, as the host says. */
uint64_t fill_lowest(void);

#endif /* NATIVE_FILL_H */
