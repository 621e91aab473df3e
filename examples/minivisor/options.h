/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Words of the command line: "name", "name=number" or "name=text". */
#ifndef MINIVISOR_OPTIONS_H
#define MINIVISOR_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The number after "name=", 1 for the bare word, or @otherwise. */
uint64_t option_number(const char *name, uint64_t otherwise);

/* What follows "name=", up to the next space, and its length; NULL if it is not there. */
const char *option_text(const char *name, size_t *length);

/* Fails with a line if there is a word that is none of @names (NULL-terminated). */
void options_check(const char *const *names);

#endif /* MINIVISOR_OPTIONS_H */
