/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The guest's page tables. In dual CR3 a space has two roots, as the ABI wants:
 * the supervisor's maps the kernel below 1 GiB and all user pages from 1 GiB; the
 * user's maps the user pages and, below 1 GiB, what user code needs of the
 * image: code and constants read-only, .user.data. In single CR3 both are one
 * root, where the kernel's pages lack the U bit and its code is not user mode's.
 * Owns the tables' pages; never flushes a TLB by itself.
 */
#ifndef GUEST_PAGING_H
#define GUEST_PAGING_H

#include "types.h"
#include "x86.h"

/* A page below this belongs to the kernel in the supervisor's root. */
#define KERNEL_TOP	GiB
/* Free for guests: both roots share what is mapped in here. */
#define USER_BASE	0x10000000000ul		/* 1 TiB */
/* Neither below LOWEST nor from HIGHEST on: some hosts keep these. */
#define LOWEST_VA	0x20000ul
#define HIGHEST_VA	0x7ffe00000000ul

#define PTE_USER_RW	(PTE_P | PTE_W | PTE_U | PTE_NX)
#define PTE_USER_RO	(PTE_P | PTE_U | PTE_NX)
#define PTE_USER_RX	(PTE_P | PTE_U)
#define PTE_KERNEL_RW	(PTE_P | PTE_W | PTE_NX)

struct space {
	u64 supervisor_root, user_root;		/* physical; single CR3: the same */
};

/* The space that boot.c runs on. */
extern struct space boot_space;

/* 4, or 5 where the hypervisor started us on LA57 tables. */
int paging_levels(void);

/* Makes boot_space's tables. */
void paging_init(void);

void space_init(struct space *space);
/* LOAD_PGTBL of both roots; @flush: with flag bit 0. */
void space_load(const struct space *space, bool flush);

/* Map one page in user mode's root, and if it is at or above KERNEL_TOP in the
 * supervisor's as well. @flags: the leaf entry's, PTE_P included. */
void map_user(struct space *space, u64 va, u64 pa, u64 flags);
void map_user_range(struct space *space, u64 va, u64 pa, u64 size, u64 flags);
/* The same with a page of level 2 (2 MiB) or 3 (1 GiB). */
void map_user_large(struct space *space, u64 va, u64 pa, int level, u64 flags);

/*
 * The entry that maps @va at @level (1: the PTE) below @root. Missing tables
 * are made if @create (with all rights), else NULL is returned; NULL also
 * where a large page is in the way.
 */
u64 *pte_of(u64 root, u64 va, int level, bool create);
/* The 4 KiB entry of a user page. */
u64 *user_pte(const struct space *space, u64 va);

#endif /* GUEST_PAGING_H */
