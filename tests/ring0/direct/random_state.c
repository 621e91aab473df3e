/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* As random_state.h says. */
#include "random_state.h"

#include "memory.h"
#include "test_vm.h"

bool seldom(void)
{
	return test_below(12) == 0;
}

uint64_t random_target(void)
{
	uint64_t low = test_below(PVM_PAGE_SIZE);

	switch (test_below(8)) {
	case 0:
		return 0x00007ffffffff000ull + low;	/* the lower half's last page */
	case 1:
		return 0xffffd00000000000ull + low;	/* the upper half, legal */
	case 2:
		return 0xffff800000000000ull + low;
	case 3:
		return image_address(0x100000) + low;	/* the switcher's slot: not the guest's */
	case 4:
		return 0x0000800000000000ull + low;	/* not canonical with 48 bits */
	case 5:
		return test_random() | 0x4000000000000000ull;
	default:
		return NOWHERE + low;
	}
}

uint64_t random_base(void)
{
	return (uint64_t)((int64_t)(test_random() << 16) >> 16);
}

uint32_t random_flags(void)
{
	return seldom() ? (uint32_t)test_random() :
			  (uint32_t)test_random() &
				  (uint32_t)(PVM_RFLAGS_GUEST & ~PVM_RFLAGS_TF & ~PVM_RFLAGS_RF);
}
