# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
list(APPEND PVM_SOURCES
  abi/registry.c
  abi/pvm/cpuid.c
  abi/pvm/msr.c
  abi/dual_cr3/abi.c
  abi/dual_cr3/events.c
  abi/dual_cr3/hypercalls.c
  abi/single_cr3/abi.c
  abi/single_cr3/events.c
  abi/single_cr3/hypercalls.c)
