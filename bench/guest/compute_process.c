/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* The reference of native.compute: the same object file in an ordinary process. */
#include <stdio.h>

#include "compute_kernel.h"

static struct compute work;

int main(void)
{
	printf("result %llu\n", (unsigned long long)compute(&work));
	return work.hash == 0;
}
