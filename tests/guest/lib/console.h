/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The console: a 16550 at 0x3f8, polled. Owns the port and the line lock.
 * Supervisor mode only; user mode asks by a system call.
 */
#ifndef GUEST_CONSOLE_H
#define GUEST_CONSOLE_H

#include "types.h"

void console_init(void);
void console_write(const char *s, size_t n);

/* %c %s %d %u %x %p, with l, #, 0 and a width; one call is one whole piece of
 * output, whatever the other CPUs print. At most 255 characters. */
__attribute__((format(printf, 1, 2))) void printf(const char *format, ...);

#endif /* GUEST_CONSOLE_H */
