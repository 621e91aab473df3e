# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
list(APPEND PVM_SOURCES
  hypercall/hypercall.c
  hypercall/insn.c
  hypercall/insn_descriptor.c
  hypercall/insn_register.c
  hypercall/io.c
  hypercall/msr.c
  hypercall/names.c
  hypercall/syscall.c)
