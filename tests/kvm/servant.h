/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The servant: a guest that does with memory what the program that runs it says. Its first CPU
 * leaves by a write of the box's address to SERVANT_PORT, and executes the box's order when it is
 * entered again. Its other CPUs add to words of the hammered pages until the box says stop.
 */
#ifndef KVM_SERVANT_H
#define KVM_SERVANT_H

#define SERVANT_PORT	0x700
#define SERVANT_VECTOR	0x71
#define SERVANT_HIGHER	0x81	/* of a higher priority */
/* What the orders are about; the guest maps it all by 4 KiB pages, and once more by 2 MiB ones.
 * Behind its own memory. */
#define REGION		0x20000000ull
#define REGION_PAGES	4096ull
#define REGION_SIZE	(REGION_PAGES << 12)
/* The first pages of the region, two words of each for a CPU that hammers. */
#define HAMMER_PAGES	64
#define HAMMER_WORD	8
#define SERVANT_CPUS	64	/* at most */

enum servant_order {
	ORDER_NONE,
	ORDER_WRITE,	/* the first word of @count pages from @gpa: value, value + step, ... */
	ORDER_CHECK,	/* are they? result: of how many not; wrong: the first of those */
	ORDER_SPREAD,	/* maps the first page of @gpa at @count addresses, 2 MiB apart, and reads it at each:
			 * result: where it was not value */
	ORDER_FAR,	/* maps the page at @gpa, which may be anywhere. result: its first word, which is
			 * value then */
	ORDER_IRQS,	/* sleeps until @count interrupts of SERVANT_VECTOR have come */
	ORDER_OUT,	/* a write of @value to port @gpa, @count bytes: 1 or 4 */
	ORDER_WRMSR,	/* by hypercall: of @value to MSR @gpa. result: what it answers */
	ORDER_END,	/* result: does SERVANT_VECTOR come right behind the EOI of SERVANT_HIGHER? */
	ORDER_MASKED,	/* sends itself SERVANT_VECTOR @count times, which has to wait for SERVANT_HIGHER */
	ORDER_LATE,	/* result: does the interrupt of a past deadline come right behind its WRMSR? */
	ORDER_HYPERCALL, /* of KVM's: @gpa with @count, @value, @step, @large. result: what it answers */
	ORDER_KICK,	/* while the other CPUs hammer: the second one halts, until it is woken by hypercall
			 * @gpa for the CPU with APIC ID @count. result: it has slept, and goes on */
	ORDER_START,	/* the other CPUs hammer. result: how many */
	ORDER_STOP,	/* they stop. result: words that were not as a CPU had left them */
};

struct servant_box {
	unsigned long long order, gpa, count, value, step, large;
	unsigned long long result, wrong;
	unsigned long long stop, stopped, lost, rest;
	unsigned long long added[SERVANT_CPUS][HAMMER_PAGES];	/* by each CPU to each page */
};

#endif /* KVM_SERVANT_H */
