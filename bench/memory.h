/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* How much memory a monitor and its stubs need, from /proc. Looks only. */
#ifndef BENCH_MEMORY_H
#define BENCH_MEMORY_H

#include <sys/types.h>

/* Bytes: the proportional set size of @pid and of all its descendants, without
 * what is mapped of the guest's memory, and with their page tables. Negative:
 * /proc does not say. */
double memory_beside_guest(pid_t pid);

#endif /* BENCH_MEMORY_H */
