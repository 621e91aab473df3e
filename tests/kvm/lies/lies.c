// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * What hosts rarely are, by /sys/module/lies/parameters/:
 * count	perf wants so many MSRs changed in guests, though no emulated CPU has counters: IA32_TSC_AUX,
 *		which a guest sees with RDTSCP, and others
 * tsc		CPUs disagree on the TSC, from here on
 */
#include <linux/kprobes.h>
#include <linux/module.h>
#include <asm/msr.h>
#include <asm/mtrr.h>
#include <asm/perf_event.h>
#include <asm/tsc.h>

#define MSRS 9
#define IN_GUEST 0x5eed

static unsigned int count;
module_param(count, uint, 0644);

static int tsc_set(const char *value, const struct kernel_param *parameter)
{
	mark_tsc_unstable("a test");
	return 0;
}

static const struct kernel_param_ops tsc_ops = { .set = tsc_set };
module_param_cb(tsc, &tsc_ops, NULL, 0200);

static struct perf_guest_switch_msr msrs[MSRS];

struct call {
	int *count;
};

static int called(struct kretprobe_instance *instance, struct pt_regs *regs)
{
	((struct call *)instance->data)->count = (int *)regs->di;
	return 0;
}

static int returns(struct kretprobe_instance *instance, struct pt_regs *regs)
{
	*((struct call *)instance->data)->count = min_t(unsigned int, READ_ONCE(count), MSRS);
	regs->ax = (unsigned long)msrs;
	return 0;
}

static struct kretprobe probe = {
	.kp.symbol_name = "perf_guest_get_msrs", .entry_handler = called, .handler = returns,
	.data_size = sizeof(struct call), .maxactive = 64,
};

static int __init lies_init(void)
{
	unsigned int i;

	msrs[0] = (struct perf_guest_switch_msr){ .msr = MSR_TSC_AUX, .guest = IN_GUEST };
	for (i = 1; i < MSRS; i++)	/* nothing that an emulated CPU looks at */
		msrs[i] = (struct perf_guest_switch_msr){ .msr = MTRRphysBase_MSR(i - 1), .host = 1 };
	return register_kretprobe(&probe);
}

static void __exit lies_exit(void)
{
	unregister_kretprobe(&probe);
}

module_init(lies_init);
module_exit(lies_exit);
MODULE_DESCRIPTION("For a test of kvm-pvm");
MODULE_LICENSE("Dual BSD/GPL");
