# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
list(APPEND PVM_SOURCES
  events/debug.c
  events/deliver.c
  events/interrupt.c
)
