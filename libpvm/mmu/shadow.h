/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The shadow MMU's own structures. Nobody outside libpvm/mmu/ includes this.
 */
#ifndef MMU_SHADOW_H
#define MMU_SHADOW_H

#include <pvm/mmu.h>

struct pvm_mmu {
	struct pvm_vm *vm;
	struct pvm_host_page page;	/* this structure's own */
};

#endif /* MMU_SHADOW_H */
