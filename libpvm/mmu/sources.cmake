# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
list(APPEND PVM_SOURCES
  mmu/flush.c
  mmu/memory.c
  mmu/mmu.c
  mmu/root.c
  mmu/walk.c)
