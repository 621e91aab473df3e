/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * counter GUEST.elf pvm|ring0 [check]: runs the guest of bench/kvm and prints a line for each of its rows:
 *
 *	row NAME INSTRUCTIONS EXITS
 *
 * the median of its operations, without the guest's own instructions, and exits for each. The TSC has to
 * count instructions: QEMU's -icount shift=0. With check: whether each row came, whatever it counted,
 * and whether a PVM guest's rows left to KVM's loop no more often than they have to.
 */
#include "machine.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "box.h"

#define MEMORY		(64ull << 20)
#define SERIAL		0x3f8
#define SERIAL_STATUS	(SERIAL + 5)
#define SERIAL_EMPTY	0x60
#define DEBUG_EXIT	0xf4

#define ROW_NAME(number, name) [number] = name,
static const char *const names[ROWS] = { BOX_ROWS(ROW_NAME) };

static struct machine m;
static bool checking, is_pvm;
static unsigned long exits_before;
static unsigned overhead, rows;		/* of a measurement; that came */

static int order(const void *a, const void *b)
{
	unsigned x = *(const unsigned *)a, y = *(const unsigned *)b;

	return (x > y) - (x < y);
}

/* What kvm-pvm serves in the switcher: an exit now and then is the host's timer. An interrupt is
 * sent and delivered by KVM, its EOI is not. */
static double exits_wanted(enum box_row row)
{
	return row == ROW_SEND ? 1 : row == ROW_INTERRUPT ? 2 : 0;
}

static void row_ends(const struct box *box)
{
	/* The exit that brought us here is not the row's. */
	double each = (double)(machine_exits(&m) - exits_before - 1) / BOX_COUNT;
	unsigned ticks[BOX_COUNT], median;

	memcpy(ticks, box->ticks, sizeof(ticks));
	qsort(ticks, BOX_COUNT, sizeof(ticks[0]), order);
	median = ticks[BOX_COUNT / 2];
	if (box->row == ROW_EMPTY)
		overhead = median;
	if (checking)
		check(box->row == rows && (!is_pvm || each < exits_wanted(box->row) + 0.5), "row %s",
		      names[box->row]);
	else
		printf("row %s %d %.2f\n", names[box->row], (int)(median - overhead - box->own), each);
	rows++;
}

static void box_came(uint32_t address)
{
	const struct box *box = (const struct box *)(m.memory + address);

	if (address > m.memory_size - sizeof(*box) || box->row >= ROWS)
		machine_die("a box at 0x%x that is none", address);
	if (box->state == BOX_BEGIN)
		exits_before = machine_exits(&m);
	else
		row_ends(box);
}

/* Returns true at the guest's end; @status is its own then. */
static bool do_io(const struct kvm_run *run, unsigned *status)
{
	uint8_t *data = (uint8_t *)run + run->io.data_offset;
	uint32_t address;

	if (run->io.direction == KVM_EXIT_IO_IN) {
		*data = run->io.port == SERIAL_STATUS ? SERIAL_EMPTY : 0;
	} else if (run->io.port == BOX_PORT) {
		memcpy(&address, data, sizeof(address));
		box_came(address);
	} else if (run->io.port == SERIAL && !checking) {
		putchar(*data);		/* of a guest that fails */
	}
	*status = *data;
	return run->io.direction == KVM_EXIT_IO_OUT && run->io.port == DEBUG_EXIT;
}

static unsigned run_guest(void)
{
	struct kvm_run *run = m.run[0];
	struct kvm_regs regs;
	unsigned status;

	for (;;) {
		if (ioctl(m.vcpu[0], KVM_RUN, 0) < 0) {
			if (errno == EINTR || errno == EAGAIN)
				continue;
			machine_die("KVM_RUN: %s", strerror(errno));
		}
		if (run->exit_reason != KVM_EXIT_IO) {
			ASK(m.vcpu[0], KVM_GET_REGS, &regs);
			machine_die("exit reason %u, suberror %u, rip 0x%llx", run->exit_reason,
				    run->internal.suberror, regs.rip);
		}
		if (do_io(run, &status))
			return status;
	}
}

/* All of it is there, in small pages: the host's own work for a new page is not in any row. */
static void populate(void)
{
	uint64_t i;

	if (madvise(m.memory, m.memory_size, MADV_NOHUGEPAGE))
		machine_die("madvise: %s", strerror(errno));
	for (i = 0; i < m.memory_size; i += 4096)
		*(volatile uint8_t *)(m.memory + i) = *(volatile uint8_t *)(m.memory + i);
}

int main(int argc, char **argv)
{
	unsigned status;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc < 3)
		machine_die("usage: counter GUEST.elf pvm|ring0 [check]");
	checking = argc > 3;
	is_pvm = strcmp(argv[2], "ring0");
	if (is_pvm)
		machine_create(&m, argv[1], MEMORY, 1);
	else
		machine_create_ring0(&m, argv[1], MEMORY);
	populate();
	status = run_guest();
	if (!checking)
		return (int)status;
	check(!status && rows == ROWS, "all rows came");
	return check_finish();
}
