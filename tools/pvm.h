/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* The parts of the pvm command. Each takes argv from its own name on and returns the exit status. */
#ifndef TOOLS_PVM_H
#define TOOLS_PVM_H

#include <stdbool.h>
#include <stdint.h>

int run_command(int argc, char **argv);
int save_command(int argc, char **argv);
int restore_command(int argc, char **argv);
int info_command(int argc, char **argv);

/**
 * parse_size - "64M" to bytes. K, M and G (or none) are powers of 1024.
 * parse_count, parse_seconds - a whole number; seconds with a fraction, to nanoseconds.
 * All want the whole of @text; false for anything else, 0 or an overflow.
 */
bool parse_size(const char *text, uint64_t *bytes);
bool parse_count(const char *text, uint32_t *count);
bool parse_seconds(const char *text, uint64_t *nanoseconds);

#endif /* TOOLS_PVM_H */
