/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* The ordinary guest's selectors; it is started with those of ring 0. Usable from assembly. */
#ifndef BENCH_KVM_RING0_H
#define BENCH_KVM_RING0_H

#define KERNEL_CS	0x10
#define KERNEL_SS	0x18
#define USER_BASE_SEL	0x20	/* SYSRET: SS is the next one, CS the one after it */
#define USER_SS		0x2b
#define USER_CS		0x33
#define TSS_SEL		0x38
#define GDT_ENTRIES	9

#endif /* BENCH_KVM_RING0_H */
