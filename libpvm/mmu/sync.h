/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * What the entries of a shadow page must be, by the guest's table. sync.c
 */
#ifndef MMU_SYNC_H
#define MMU_SYNC_H

#include "shadow.h"

/* The guest's table that the page mirrors, or NULL: no memory is there. */
uint64_t *pvm_sync_guest_table(struct pvm_mmu *mmu, const struct pvm_shadow_page *page);
/*
 * What a present entry must be if the guest's is @guest. *@entry: in, as it is.
 * Rights to write, and any rights of a link, are only taken here, never given:
 * giving them is the fault handler's. False: it must go.
 */
bool pvm_sync_expected(const struct pvm_mmu *mmu, const struct pvm_shadow_page *page, unsigned index,
		       uint64_t guest, uint64_t *entry);
void pvm_sync_entry(struct pvm_mmu *mmu, struct pvm_shadow_page *page, unsigned index);
/* All entries. True: some were stale. */
bool pvm_sync_page(struct pvm_mmu *mmu, struct pvm_shadow_page *page);

#endif /* MMU_SYNC_H */
