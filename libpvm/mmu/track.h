/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Which shadow pages may be stale, and what brings them up to date. track.c
 */
#ifndef MMU_TRACK_H
#define MMU_TRACK_H

#include "shadow.h"

/* The first thing of a flush: what was synchronised at this time or later need not
 * be again for it. */
uint64_t pvm_track_flush(struct pvm_mmu *mmu);

/*
 * Bring up to date what can be reached from @root, with @upper only tables above
 * level 1; everything there is. False: the budget of one hold of the lock is spent.
 * Give the lock up and call again: it goes on where it was.
 */
bool pvm_track_sync_root(struct pvm_mmu *mmu, struct pvm_shadow_page *root, uint64_t since, bool upper);
bool pvm_track_sync_all(struct pvm_mmu *mmu, uint64_t since);

/* A link to @child is about to be made, or gets more rights: flushes that came before
 * did not see what is below it. What is too much for one call is cut off below. */
void pvm_track_below(struct pvm_mmu *mmu, struct pvm_shadow_page *child);
/* The entry links to @child now. */
void pvm_track_linked(struct pvm_mmu *mmu, struct pvm_shadow_page *page, unsigned index,
		      struct pvm_shadow_page *child);

/* Write-protect some of the tables that flushes keep finding unchanged. */
void pvm_track_harden(struct pvm_mmu *mmu);

/* May the frame become a table's in this call? False: too many leaves map it; some of
 * them are gone now: give the lock up and ask again. */
bool pvm_track_can_protect(struct pvm_mmu *mmu, pvm_gfn_t gfn);
/* A new shadow page: protect its table, or go out of sync with its other pages. */
void pvm_track_new(struct pvm_mmu *mmu, struct pvm_shadow_page *page);
/* The guest (or a device) has written a table, or will: its shadow pages go out
 * of sync, or away if nothing uses them. False: that is too much for one hold of the lock;
 * give it up and ask again, before anything of the table counts as not tracked. */
bool pvm_track_written(struct pvm_mmu *mmu, pvm_gfn_t gfn);
/* mmu->wide_full: a link was not made because too many tables are found by no marks. One of
 * them less, or some of the links to it; then give the lock up. */
void pvm_track_relieve(struct pvm_mmu *mmu);

#endif /* MMU_TRACK_H */
