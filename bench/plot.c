/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Rows that are measured with several sizes of guest memory, as an SVG: a panel for
 * each, both axes logarithmic, so that what does not grow with the guest is a
 * level line. Owns the points and the drawing.
 */
#include "plot.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define PANELS_MAX	16
#define SIZES_MAX	8
#define COLUMNS		3
#define WIDTH		300	/* of a panel, and of what is drawn in it */
#define HEIGHT		220
#define LEFT		56
#define RIGHT		16
#define TOP		44
#define BOTTOM		34

struct point {
	char size[8];		/* "64m": the end of the row's name */
	double value;
};

static struct panel {
	const struct bench_row *row;	/* the first of it: for the name and the unit */
	size_t name;			/* length of the name without its size */
	struct point point[SIZES_MAX];
	unsigned points;
} panels[PANELS_MAX];
static unsigned panel_count;

/* Length of the name before "_1m", "_16g"; 0: it has no size. */
static size_t name_without_size(const char *name)
{
	const char *end = strrchr(name, '_');
	size_t digits = end ? strspn(end + 1, "0123456789") : 0;

	if (!digits || !strchr("mg", end[1 + digits]) || strlen(end + 1) != digits + 1)
		return 0;
	return (size_t)(end - name);
}

static struct panel *find_panel(const struct bench_row *row, size_t name)
{
	unsigned i;

	for (i = 0; i < panel_count; i++)
		if (panels[i].name == name && !strncmp(panels[i].row->name, row->name, name))
			return &panels[i];
	if (panel_count == PANELS_MAX)
		return NULL;
	panels[panel_count] = (struct panel){ .row = row, .name = name };
	return &panels[panel_count++];
}

void bench_plot_add(const struct bench_row *row, const struct bench_result *result)
{
	size_t name = name_without_size(row->name);
	struct panel *panel;
	struct point *point;

	if (!result->measured || result->value <= 0 || !name)
		return;
	panel = find_panel(row, name);
	if (!panel || panel->points == SIZES_MAX)
		return;
	point = &panel->point[panel->points++];
	snprintf(point->size, sizeof(point->size), "%s", row->name + name + 1);
	point->value = result->value;
}

/* The powers of ten around all values and the target. */
static void limits(const struct panel *panel, double *low, double *high)
{
	unsigned i;

	*low = *high = panel->row->target > 0 ? panel->row->target : panel->point[0].value;
	for (i = 0; i < panel->points; i++) {
		*low = fmin(*low, panel->point[i].value);
		*high = fmax(*high, panel->point[i].value);
	}
	*low = floor(log10(*low));
	*high = fmax(ceil(log10(*high)), *low + 1);
}

static double x_of(const struct panel *panel, unsigned i)
{
	double step = panel->points > 1 ? (double)(WIDTH - LEFT - RIGHT) / (panel->points - 1) : 0;

	return LEFT + step * i;
}

static double y_of(double value, double low, double high)
{
	return HEIGHT - BOTTOM - (log10(value) - low) / (high - low) * (HEIGHT - TOP - BOTTOM);
}

static void draw_axes(FILE *file, const struct panel *panel, double low, double high)
{
	double power;
	unsigned i;

	fprintf(file, "<text x=\"%d\" y=\"16\" class=\"name\">%.*s</text>\n", LEFT, (int)panel->name,
		panel->row->name);
	fprintf(file, "<text x=\"%d\" y=\"32\">%s</text>\n", LEFT, panel->row->unit);
	for (power = low; power <= high; power++) {
		double y = y_of(pow(10, power), low, high);

		fprintf(file, "<path class=\"grid\" d=\"M%d %.1fH%d\"/>\n", LEFT, y, WIDTH - RIGHT);
		fprintf(file, "<text x=\"%d\" y=\"%.1f\" class=\"y\">%g</text>\n", LEFT - 6, y + 4,
			pow(10, power));
	}
	for (i = 0; i < panel->points; i++)
		fprintf(file, "<text x=\"%.1f\" y=\"%d\" class=\"x\">%s</text>\n", x_of(panel, i),
			HEIGHT - BOTTOM + 18, panel->point[i].size);
}

static void draw(FILE *file, const struct panel *panel)
{
	double low, high;
	unsigned i;

	limits(panel, &low, &high);
	draw_axes(file, panel, low, high);
	if (panel->row->target > 0)
		fprintf(file, "<path class=\"target\" d=\"M%d %.1fH%d\"/>\n", LEFT,
			y_of(panel->row->target, low, high), WIDTH - RIGHT);
	fprintf(file, "<path class=\"line\" d=\"");
	for (i = 0; i < panel->points; i++)
		fprintf(file, "%s%.1f %.1f", i ? "L" : "M", x_of(panel, i),
			y_of(panel->point[i].value, low, high));
	fprintf(file, "\"/>\n");
	for (i = 0; i < panel->points; i++)
		fprintf(file, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3\"><title>%s: %g %s</title></circle>\n",
			x_of(panel, i), y_of(panel->point[i].value, low, high), panel->point[i].size,
			panel->point[i].value, panel->row->unit);
}

bool bench_plot_write(const char *path)
{
	unsigned i, rows = (panel_count + COLUMNS - 1) / COLUMNS;
	FILE *file = fopen(path, "w");
	bool ok;

	if (!file)
		return false;
	fprintf(file, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%u\">\n"
		"<style>text{font:12px sans-serif;fill:#333}.name{font-weight:bold}.y{text-anchor:end}"
		".x{text-anchor:middle}.grid{stroke:#ddd}.line{stroke:#06c;fill:none;stroke-width:2}"
		".target{stroke:#c30;stroke-dasharray:4}circle{fill:#06c}</style>\n"
		"<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n", COLUMNS * WIDTH, rows * HEIGHT);
	for (i = 0; i < panel_count; i++) {
		fprintf(file, "<g transform=\"translate(%u %u)\">\n", i % COLUMNS * WIDTH,
			i / COLUMNS * HEIGHT);
		draw(file, &panels[i]);
		fprintf(file, "</g>\n");
	}
	fprintf(file, "</svg>\n");
	ok = !ferror(file);
	return fclose(file) == 0 && ok;
}
