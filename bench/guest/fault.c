/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * native.fault: user mode touches pages that its tables map already, so that
 * each first touch is a fault that the hypervisor resolves and the guest never
 * sees. One page in 64 KiB: mapping neighbours ahead is no help.
 */
#define PAGES	1024ul
#define STRIDE	(64 * KiB)

#include "touch.h"

void guest_main(void)
{
	u64 i;

	for (i = 0; i < PAGES; i++)
		map_user(&boot_space, USER_BASE + i * STRIDE, page_alloc(), PTE_USER_RW);
	touch_run(0);
}
