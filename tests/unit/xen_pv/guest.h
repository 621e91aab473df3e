/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * A Xen PV guest for unit tests: a kernel in the last slot, a user page in the first, callbacks, a
 * trap table, and a host with a clock that a test sets. Nothing runs: a test does what the guest
 * would, one exit at a time.
 */
#ifndef TESTS_XEN_PV_GUEST_H
#define TESTS_XEN_PV_GUEST_H

#include <criterion/criterion.h>
#include <pvm/events.h>
#include <pvm/exit.h>
#include <pvm/mmu.h>
#include <pvm/xen.h>

#include "fixture.h"

#define KERNEL		0xffffffff80000000ull	/* gpa 0 on, without U */
#define KERNEL_SIZE	(4ull << 20)
#define USER		0x400000ull		/* one page of user mode's */
#define USER_GPA	0x80000ull
#define MEMORY		(16ull << 20)
#define SHARED_GFN	(MEMORY / PVM_PAGE_SIZE - 1)
#define GRANTS_GFN	(SHARED_GFN - 4)
#define PAGES		(GRANTS_GFN)

#define EVENT_CALLBACK	(KERNEL + 0x1000)
#define FAILSAFE	(KERNEL + 0x1100)
#define SYSCALL_ENTRY	(KERNEL + 0x1200)
#define TRAP(n)		(KERNEL + 0x2000 + 16 * (n))
#define KERNEL_STACK	(KERNEL + 0x10000)	/* of entries from user mode; its top */
#define OTHER_STACK	(KERNEL + 0x20000)	/* where the kernel is */
#define ARGUMENTS	(KERNEL + 0x30000)	/* for what hypercalls read */
#define USER_CS		0x33
#define USER32_CS	0x23
#define USER_DS		0x2b
#define KERNEL_CS	0x10

struct xen_guest {
	struct fixture f;
	uint64_t now;			/* ns */
	uint64_t deadline;		/* of the first vCPU that asked last */
	unsigned kicks[FIXTURE_VCPUS];
	uint32_t notified_port, notified_remote;
	unsigned notified;
	void (*on_notify)(void);	/* NULL: nothing else is done */
	bool brief;			/* exits are handled without sleep */
	uint64_t kernel_table, user_table;
};

extern struct xen_guest g;

/* So many vCPUs; the first is up, in its kernel, with events masked. */
void xen_guest_init(unsigned vcpus);
void xen_guest_init_config(const struct pvm_vm_config *config);
void xen_guest_fini(void);

/* The configuration that it uses. */
struct pvm_vm_config xen_guest_config(unsigned vcpus);

/* Host memory of a gva of the kernel's. */
void *xen_at(uint64_t gva);
uint64_t xen_word(uint64_t gva);
struct pvm_xen_shared_info *xen_shared(void);
struct pvm_xen_vcpu_info *xen_vcpu_info(unsigned id);

/* The vCPU's next exit is handled, and what it comes to. */
enum pvm_action xen_exit(unsigned id, enum pvm_exit_kind kind, uint8_t vector, uint32_t error_code,
			 uint64_t gva);
/* It is entered with nothing new. */
enum pvm_action xen_enter(unsigned id);
/* SYSCALL. */
enum pvm_action xen_syscall(unsigned id);
/* A hypercall of vCPU 0 that is done at once, again until it is; its result. */
int64_t xen_call(uint64_t nr, uint64_t a, uint64_t b, uint64_t c, uint64_t d);
/* The same of any vCPU, which need not be done: its action. */
enum pvm_action xen_call_of(unsigned id, uint64_t nr, uint64_t a, uint64_t b, uint64_t c, uint64_t d);

/* vCPU 0 goes to user mode by iret, at USER, with events open or not. */
void xen_go_user(bool events);

#endif /* TESTS_XEN_PV_GUEST_H */
