# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
list(APPEND PVM_SOURCES
  vcpu/config.c
  vcpu/cpuid.c
  vcpu/cr.c
  vcpu/debug.c
  vcpu/ldt.c
  vcpu/msr.c
  vcpu/names.c
  vcpu/pvcs.c
  vcpu/range.c
  vcpu/segment.c
  vcpu/state.c
  vcpu/vcpu.c)
