/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * What the guest and the counter share: the rows, and the box in the guest's memory. The guest writes
 * the box's address to BOX_PORT before a row's operations and after them.
 */
#ifndef BENCH_KVM_BOX_H
#define BENCH_KVM_BOX_H

#define BOX_PORT	0x700
#define BOX_COUNT	256	/* operations of a row; one page table's half */
#define BOX_LOOP	1000	/* turns of the loop of known length, two instructions each */

/* A row's name in the table: number, name. */
#define BOX_ROWS(row) \
	row(ROW_EMPTY, "empty") \
	row(ROW_LOOP, "loop") \
	row(ROW_FILL_NEW, "fill_new") \
	row(ROW_FILL, "fill") \
	row(ROW_PAGE_FAULT_NEW, "page_fault_new") \
	row(ROW_PAGE_FAULT, "page_fault") \
	row(ROW_INVLPG, "invlpg") \
	row(ROW_HYPERCALL, "hypercall") \
	row(ROW_LOAD, "load") \
	row(ROW_LOAD_NEW, "load_new") \
	row(ROW_SYSCALL, "syscall") \
	row(ROW_SEND, "send") \
	row(ROW_INTERRUPT, "interrupt")

#define BOX_ROW_NUMBER(number, name) number,
enum box_row { BOX_ROWS(BOX_ROW_NUMBER) ROWS };

enum box_state { BOX_BEGIN, BOX_END };

struct box {
	unsigned int state, row;
	unsigned int own;		/* the guest's own instructions in each operation */
	unsigned int ticks[BOX_COUNT];	/* the TSC's, of each operation */
};

#endif /* BENCH_KVM_BOX_H */
