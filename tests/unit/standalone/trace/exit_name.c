/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * run.c's guest_exit_name() without the run loop. Any names do: the trace only
 * prints them.
 */
#include "monitor.h"

const char *guest_exit_name(enum guest_exit_kind kind)
{
	return kind == GUEST_EXIT_EXCEPTION ? "EXCEPTION" : "OTHER";
}
