/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * native.demand: user mode touches pages that it has not got yet, and the supervisor maps a
 * zeroed one each: a fault delivered, an entry made, a return.
 */
#define PAGES 511ul	/* and one more in the same table */
#define STRIDE 4096ul

#include "touch.h"

static u64 pages[PAGES + 1], used;	/* that the supervisor has had before, as most are in a kernel */

static void give_page(u64 va)
{
	u64 page = pages[used++];

	memset(phys_to_virt(page), 0, 4096);
	*user_pte(&boot_space, va) = page | PTE_USER_RW | PTE_A | PTE_D;	/* as kernels make it */
}

void guest_main(void)
{
	map_user(&boot_space, USER_BASE + PAGES * 4096, page_alloc(), PTE_USER_RW);	/* the tables */
	for (used = 0; used <= PAGES; used++)
		pages[used] = page_alloc();
	while (used)	/* after the tables are made */
		memset(phys_to_virt(pages[--used]), 1, 4096);
	touch_run(give_page);
}
