/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * A VM for tests in ring 0: one vCPU on the boot CPU, guest memory with guest page
 * tables in it, and the switcher. No guest program: the test sets registers, runs to
 * the next exit and looks.
 */
#ifndef TEST_VM_H
#define TEST_VM_H

#include <pvm/switcher.h>
#include <pvm/vcpu.h>

#define MEMORY_SIZE	0x800000ull	/* guest memory, bytes */
#define PAIRS		6		/* of page tables, all with the same mappings */

/* What every pair maps, virtual = UPPER_BASE + physical too: the first 2 MiB. */
#define CODE_GPA	0x1000
#define STACK_GPA	0x2000		/* two pages, and none after them */
#define USER_GPA	0x6000		/* the one page that is user mode's in single CR3 */
#define PVCS_GPA	0x10000
#define TABLES_GPA	0x100000
#define SHARED_GPA	(MEMORY_SIZE - PVM_PAGE_SIZE)	/* Xen PV's shared_info, with its vcpu_info */
#define UPPER_BASE	0xffffc00000000000ull

/* Addresses of SYSCALL instructions, in the supervisor's code page but for the first. */
#define USER_SYSCALL	0x6100
#define RETU_SYSCALL	0x1200
#define RETS_SYSCALL	0x1300
#define HYPERCALL	0x1400
#define NOWHERE		0x40000000ull	/* legal, never mapped */

struct test_vm {
	struct pvm_vm vm;
	struct pvm_vcpu vcpu;
	struct pvm_switcher_vm svm;
	struct pvm_switcher_vcpu svcpu;
	struct pvm_switcher_cpu *cpu;
	uint8_t *memory;
	struct pvm_vcpu_struct *pvcs;
	uint64_t cr3[PAIRS], switch_cr3[PAIRS];
};

extern struct test_vm test;

/* Everything above; ends the machine with a line if it cannot. The option single=1: a VM of
 * single CR3, whose switch_cr3[] are not used; xen=1: of Xen PV, with no pvcs. */
void test_vm_init(void);
/* To the next exit that is not the host's own interrupt. */
void test_vm_run(struct pvm_switcher_exit *exit);

/* The host backs guest page @gpa, which is unmapped first, with another page from now on.
 * Returns it, zeroed. One page at a time. */
void *test_vm_replace(uint64_t gpa);
/* What pvm_switcher_ops::gdt answers; NULL: the GDT itself. */
extern uint64_t *test_writable_gdt;
/* The CR2 of a #PF that is the host's, the next one or none; 0: none. */
extern uint64_t test_hosts_fault;

/* xorshift64*, from a seed that test_seed() prints. */
void test_seed(uint64_t seed);
uint64_t test_random(void);
uint64_t test_below(uint64_t limit);

#endif /* TEST_VM_H */
