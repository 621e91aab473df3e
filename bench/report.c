/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* What pvm-bench says: a table for people, JSON for programs. */
#include "bench.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool bench_met(const struct bench_row *row, const struct bench_result *result)
{
	return result->measured && (row->target <= 0 || result->value <= row->target);
}

void bench_print_header(void)
{
	printf("%-26s %10s %10s  %-12s %-5s %12s\n", "name", "value", "target", "unit", "met",
	       "one takes");
}

static void print_time(double ns)
{
	if (ns <= 0)
		printf(" %12s", "-");
	else if (ns < 1e3)
		printf(" %9.1f ns", ns);
	else if (ns < 1e6)
		printf(" %9.2f us", ns / 1e3);
	else
		printf(" %9.2f ms", ns / 1e6);
}

void bench_print_row(const struct bench_row *row, const struct bench_result *result)
{
	char target[32] = "-";

	if (row->target > 0)
		snprintf(target, sizeof(target), "%.4g", row->target);
	printf("%-26s ", row->name);
	if (result->measured)
		printf("%10.3f ", result->value);
	else
		printf("%10s ", "-");
	printf("%10s  %-12s %-5s", target, row->unit,
	       row->target <= 0 ? "-" : bench_met(row, result) ? "yes" : "no");
	print_time(result->measured ? result->absolute : 0);
	if (!result->measured)
		printf("  not measured: %s", result->why);
	else if (result->why[0])
		printf("  (%s)", result->why);
	printf("\n");
	fflush(stdout);
}

static void add(cJSON *object, const char *key, cJSON *item)
{
	if (item)
		cJSON_AddItemToObject(object, key, item);
}

cJSON *bench_json_row(const struct bench_row *row, const struct bench_result *result)
{
	cJSON *object = cJSON_CreateObject();

	if (!object)
		return NULL;
	add(object, "name", cJSON_CreateString(row->name));
	add(object, "value", result->measured ? cJSON_CreateNumber(result->value) : cJSON_CreateNull());
	add(object, "unit", cJSON_CreateString(row->unit));
	add(object, "target", row->target > 0 ? cJSON_CreateNumber(row->target) : cJSON_CreateNull());
	add(object, "met", cJSON_CreateBool(bench_met(row, result)));
	if (result->why[0])
		add(object, result->measured ? "remark" : "why", cJSON_CreateString(result->why));
	return object;
}

bool bench_json_write(const cJSON *json, const char *path)
{
	char *text = cJSON_Print(json);
	FILE *file = text ? fopen(path, "w") : NULL;
	bool ok = file && fprintf(file, "%s\n", text) >= 0;

	if (file && fclose(file) != 0)
		ok = false;
	cJSON_free(text);
	return ok;
}
