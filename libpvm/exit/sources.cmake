# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
list(APPEND PVM_SOURCES exit/exit.c exit/fault.c exit/trapped.c exit/entry.c exit/names.c)
