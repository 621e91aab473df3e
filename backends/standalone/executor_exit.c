/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Exits of an executor that cannot go on. Owns the text, one for each thread. */
#include "monitor.h"

#include <stdarg.h>
#include <stdio.h>

void executor_fail(struct pvm_guest_exit *exit, enum pvm_exit_kind kind, const char *format, ...)
{
	static _Thread_local char message[256];
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	exit->kind = kind;
	exit->message = message;
}
