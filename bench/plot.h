/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Rows whose names end in a size of guest memory (_1m, _16g), as a plot. */
#ifndef BENCH_PLOT_H
#define BENCH_PLOT_H

#include "bench.h"

/* Remember a point, if the row has a size and was measured. @row stays the caller's. */
void bench_plot_add(const struct bench_row *row, const struct bench_result *result);
/* Writes all points as an SVG to @path. False with errno. */
bool bench_plot_write(const char *path);

#endif /* BENCH_PLOT_H */
