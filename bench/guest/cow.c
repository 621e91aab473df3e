/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * native.cow: user mode writes to pages that are mapped read-only, and the
 * supervisor copies each: a fault delivered, an entry changed, a flush, a
 * return, and the fill of the new page.
 */
#define PAGES 512ul
#define STRIDE 4096ul

#include "touch.h"

static u64 pages[PAGES + 1], used;	/* that the supervisor has had before, as most are in a kernel */
static u8 shared[4096] __attribute__((aligned(4096)));

static void copy_on_write(u64 va)
{
	u64 page = pages[used++];

	memcpy(phys_to_virt(page), shared, 4096);
	*user_pte(&boot_space, va) = page | PTE_USER_RW | PTE_A | PTE_D;	/* as kernels make it */
	hc_invlpg(va);
}

void guest_main(void)
{
	u64 i;

	for (i = 0; i < PAGES; i++)
		map_user(&boot_space, USER_BASE + i * 4096, virt_to_phys(shared), PTE_USER_RO);
	for (used = 0; used <= PAGES; used++)
		pages[used] = page_alloc();
	while (used)	/* after the tables are made */
		memset(phys_to_virt(pages[--used]), 1, 4096);
	touch_run(copy_on_write);
}
