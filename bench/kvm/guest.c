/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The guest of the counted table: each operation BOX_COUNT times, between two RDTSCs. Compiled twice:
 * see ops.h. What an operation needs is made ready before its row begins, so that its exits are its own.
 */
#include "ops.h"

#define TOUCHED		USER_BASE	/* one page table */
#define NEW_PAGES	(32 * MiB)	/* neither the guest has touched them nor KVM for it */
#define SPACES		8
#define PUBLISHED	4		/* spaces that a PVM hypervisor may load without the engine */

static user_data struct box box;
static struct space spaces[SPACES];
static u64 pages_pa;			/* as many that the guest has written */

u64 *fault_ptes, fault_values[512];

USER_CODE(user_nothing, "	xorl %eax, %eax\n	syscall\n	ud2\n");
USER_CODE(user_spin, "1:	jmp 1b\n");

static user_code void user_leave(void)
{
	__asm__ volatile("xorl %%eax, %%eax\n\tsyscall\n\tud2" : : : "memory");
}

static noinline user_code void user_touch(u64 va)
{
	for (unsigned i = 0; i < BOX_COUNT; i++)
		box.ticks[i] = MEASURE("movb $1, (%%rbx)", "b"(va + i * PAGE_SIZE));
	user_leave();
}

static noinline user_code void user_syscalls(void)
{
	for (unsigned i = 0; i < BOX_COUNT; i++)
		box.ticks[i] = MEASURE_SYSCALL();
	user_leave();
}

static void tell(enum box_state state)
{
	box.state = state;
	barrier();
	outl(BOX_PORT, (u32)virt_to_phys(&box));
}

static void begin(enum box_row row, unsigned own)
{
	box.row = row;
	box.own = own;
	tell(BOX_BEGIN);
}

static void end(void)
{
	tell(BOX_END);
}

/* ------------------------------------------------------------------------
 * The instrument: nothing, and a loop of known length.
 */

static void empty(void)
{
	begin(ROW_EMPTY, 0);
	for (unsigned i = 0; i < BOX_COUNT; i++)
		box.ticks[i] = MEASURE("");
	end();
}

static void loop(void)
{
	begin(ROW_LOOP, 0);
	for (unsigned i = 0; i < BOX_COUNT; i++)
		box.ticks[i] = MEASURE("movl $" STRING(BOX_LOOP) ", %%ecx\n1:\tdecl %%ecx\n\tjnz 1b");
	end();
}

static noinline void hypercalls(void)
{
	begin(ROW_HYPERCALL, OWN_HYPERCALL);
	for (unsigned i = 0; i < BOX_COUNT; i++)
		box.ticks[i] = MEASURE_HYPERCALL();
	end();
}

/* ------------------------------------------------------------------------
 * Pages.
 */

static void unmap(void)
{
	for (unsigned i = 0; i < BOX_COUNT; i++)
		fault_ptes[i] = 0;
	flush();
}

static void give(u64 *entries, u64 pa, u64 flags)
{
	for (unsigned i = 0; i < BOX_COUNT; i++)
		entries[i] = (pa + i * PAGE_SIZE) | PTE_USER_RW | flags;
}

/* The guest's entries are there, nothing has used them. */
static void fill(enum box_row row, u64 pa)
{
	unmap();
	give(fault_ptes, pa, 0);
	begin(row, 1);
	user_mode(user_touch, TOUCHED);
	end();
}

/* The handler makes entries as kernels do: with A and D. */
static void page_faults(enum box_row row, u64 pa)
{
	unmap();
	give(fault_values, pa, PTE_A | PTE_D);
	begin(row, OWN_PAGE_FAULT);
	user_mode(user_touch, TOUCHED);
	end();
}

static noinline void invlpg(void)
{
	unmap();
	give(fault_ptes, pages_pa, PTE_A | PTE_D);
	user_mode(user_touch, TOUCHED);
	begin(ROW_INVLPG, OWN_INVLPG);
	for (unsigned i = 0; i < BOX_COUNT; i++)
		box.ticks[i] = MEASURE_INVLPG(&fault_ptes[i], TOUCHED + i * PAGE_SIZE);
	end();
}

static void pages(void)
{
	guest_assert(page_alloc() < NEW_PAGES && memory_end() > NEW_PAGES + 4 * MiB);
	pages_pa = pages_alloc(BOX_COUNT, PAGE_SIZE);
	map_user(&boot_space, TOUCHED, pages_pa, PTE_USER_RW);
	fault_ptes = user_pte(&boot_space, TOUCHED);
	unmap();
	give(fault_ptes, pages_pa, 0);
	user_mode(user_nothing, 0);		/* its code is there now, */
	user_mode(user_touch, TOUCHED);		/* and the box */
	fill(ROW_FILL_NEW, NEW_PAGES);
	fill(ROW_FILL, pages_pa);
	page_faults(ROW_PAGE_FAULT_NEW, NEW_PAGES + 2 * MiB);
	page_faults(ROW_PAGE_FAULT, pages_pa);
	invlpg();
}

/* ------------------------------------------------------------------------
 * Address spaces.
 */

/* @n spaces in turn. */
static __attribute__((__noinline__)) void load(enum box_row row, unsigned n)
{
	__asm__("" : "+r"(n));	/* the same code for each */
	for (unsigned i = 0; i < n; i++) {	/* each has been in use */
		space_enter(&spaces[i]);
		user_mode(user_nothing, 0);
	}
	begin(row, OWN_LOAD);
	for (unsigned i = 0; i < BOX_COUNT; i++)
		box.ticks[i] = MEASURE_LOAD(&spaces[i % n]);
	end();
	flush();
}

static void loads(void)
{
	for (unsigned i = 0; i < SPACES; i++)
		space_init(&spaces[i]);
	load(ROW_LOAD, PUBLISHED);
	load(ROW_LOAD_NEW, SPACES);
}

/* ------------------------------------------------------------------------
 * User mode.
 */

static void syscalls(void)
{
	begin(ROW_SYSCALL, OWN_SYSCALL);
	user_mode(user_syscalls, 0);
	end();
}

/* An interrupt that waits for the return to user mode. What it takes to send it is a row of its own, for
 * the exits: while one waits, the others are lost. */
static void interrupts(void)
{
	begin(ROW_SEND, 0);
	for (unsigned i = 0; i < BOX_COUNT; i++) {
		send_self();
		box.ticks[i] = 0;
	}
	end();
	user_mode(user_spin, 0);
	begin(ROW_INTERRUPT, OWN_INTERRUPT);
	for (unsigned i = 0; i < BOX_COUNT; i++) {
		send_self();
		box.ticks[i] = user_mode(user_spin, 0);
	}
	end();
}

void guest_main(void)
{
	ops_init();
	empty();
	loop();
	pages();
	hypercalls();
	loads();
	syscalls();
	interrupts();
	guest_exit(0);
}
