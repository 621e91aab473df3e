/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* pvm_switcher_init() at the edge: what just fits into the GDT, and what just does not. */
#include <criterion/criterion.h>

#include "host.h"

#define LAST 31		/* of the 32 entries of the switcher's GDT */

static struct pvm_switcher_config config;

static void start(void)
{
	config = host_config();
}

TestSuite(switcher_edges, .init = start);

static int init(void)
{
	static struct pvm_switcher tried;
	const char *why = NULL;
	int ret = pvm_switcher_init(&tried, &config, NULL, NULL, cpus, HOST_CPUS, &why);

	cr_assert_eq(ret == PVM_OK, why == NULL);
	config = host_config();
	return ret;
}

Test(switcher_edges, S9_three_tls_entries_fit_up_to_the_last)
{
	config.tls_index = LAST - 2;
	cr_assert_eq(init(), PVM_OK);
	config.tls_index = LAST - 1;
	cr_assert_eq(init(), PVM_EINVAL);
}

Test(switcher_edges, S9_each_selector_may_be_the_last)
{
	config.cpunode_sel = LAST * 8 + 3;
	cr_assert_eq(init(), PVM_OK);
	config.host_cs = (LAST - 1) * 8, config.host_ss = LAST * 8;
	cr_assert_eq(init(), PVM_OK);
	config.user32_cs = (LAST - 2) * 8 + 3;
	config.user_ds = (LAST - 1) * 8 + 3;
	config.user_cs = LAST * 8 + 3;
	cr_assert_eq(init(), PVM_OK);
}

Test(switcher_edges, S9_the_tss_takes_the_last_pair)
{
	config.tss_sel = (LAST - 1) * 8;
	cr_assert_eq(init(), PVM_OK);
	config.tss_sel = LAST * 8;
	cr_assert_eq(init(), PVM_EINVAL);
}
