/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Words of the command line: "name" or "name=number". */
#ifndef MINIVISOR_OPTIONS_H
#define MINIVISOR_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

/* The number behind "name=", 1 for the bare word, or @otherwise. */
uint64_t option_number(const char *name, uint64_t otherwise);

/* Fails with a line if there is a word that is none of @names (NULL-terminated). */
void options_check(const char *const *names);

#endif /* MINIVISOR_OPTIONS_H */
