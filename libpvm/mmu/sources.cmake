# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
list(APPEND PVM_SOURCES
  mmu/batch.c
  mmu/check.c
  mmu/entry.c
  mmu/fault.c
  mmu/fill.c
  mmu/flush.c
  mmu/host.c
  mmu/late.c
  mmu/mark.c
  mmu/memory.c
  mmu/mmu.c
  mmu/near.c
  mmu/page.c
  mmu/pool.c
  mmu/radix.c
  mmu/recent.c
  mmu/root.c
  mmu/sync.c
  mmu/tables.c
  mmu/tlb.c
  mmu/track.c
  mmu/walk.c)
