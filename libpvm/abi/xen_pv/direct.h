/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Numbers of <pvm/xen.h>, where assembly can read them. switches.c says that they are the same. */
#ifndef PVM_ABI_XEN_PV_DIRECT_H
#define PVM_ABI_XEN_PV_DIRECT_H

#define XEN_STACK_SWITCH	3
#define XEN_XEN_VERSION		17
#define XEN_IRET		23
#define XEN_SET_SEGMENT_BASE	25

#define XEN_SEGBASE_GS_KERNEL	2
#define XEN_VERSION		(4 << 16 | 17)

/* Offsets of bytes in a vcpu_info. */
#define XEN_INFO_PENDING	0
#define XEN_INFO_MASK		1

#endif /* PVM_ABI_XEN_PV_DIRECT_H */
