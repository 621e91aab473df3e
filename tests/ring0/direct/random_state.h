/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Parts of random states: mostly such as a guest has, a few of every other sort. */
#ifndef RANDOM_STATE_H
#define RANDOM_STATE_H

#include <stdbool.h>
#include <stdint.h>

bool seldom(void);
/* Where a switch may end up: never mapped. */
uint64_t random_target(void);
/* Canonical with 48 bits. */
uint64_t random_base(void);
/* RFLAGS, seldom with what no guest may have. */
uint32_t random_flags(void);

#endif /* RANDOM_STATE_H */
