/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* As system_map.h says. A line that is none is passed over. */
#include "system_map.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define NAME_MAX_LENGTH	1023
#define FUNCTION_MAX	(256u << 10)	/* bytes: what is further from a name is something else */
#define DIGITS		16

struct entry {
	uint64_t address;
	const char *name;
};

struct system_map {
	char *text;
	struct entry *entries;		/* sorted */
	size_t count, room;
};

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* A line of @length bytes, and a byte behind it that may be written. False: no memory. */
static bool take_line(struct system_map *map, char *line, size_t length)
{
	uint64_t address = 0;
	size_t i;

	if (length < DIGITS + 4 || length > DIGITS + 3 + NAME_MAX_LENGTH)
		return true;
	for (i = 0; i < DIGITS; i++) {
		if (hex(line[i]) < 0)
			return true;
		address = address << 4 | (uint64_t)hex(line[i]);
	}
	/* Code only: a local or a global name, or a weak one. */
	if (line[DIGITS] != ' ' || line[DIGITS + 2] != ' ' || !strchr("tTwW", line[DIGITS + 1]))
		return true;
	if (map->count == map->room) {
		size_t more = map->room ? map->room * 2 : 4096;
		struct entry *grown = realloc(map->entries, more * sizeof(*grown));

		if (!grown)
			return false;
		map->entries = grown;
		map->room = more;
	}
	line[length] = '\0';
	map->entries[map->count++] = (struct entry){ address, line + DIGITS + 3 };
	return true;
}

/* Of several at one address the text's first is the last here. */
static int compare(const void *a, const void *b)
{
	const struct entry *left = a, *right = b;

	if (left->address != right->address)
		return left->address < right->address ? -1 : 1;
	return (left->name < right->name) - (left->name > right->name);
}

struct system_map *system_map_open(char *text, size_t size)
{
	struct system_map *map = calloc(1, sizeof(*map));
	size_t at = 0;

	if (!map) {
		free(text);
		return NULL;
	}
	map->text = text;
	while (at < size) {
		char *end = memchr(text + at, '\n', size - at);

		if (!end || !take_line(map, text + at, (size_t)(end - (text + at))))
			break;
		at = (size_t)(end - text) + 1;
	}
	if (!map->count) {
		system_map_close(map);
		return NULL;
	}
	qsort(map->entries, map->count, sizeof(*map->entries), compare);
	return map;
}

void system_map_close(struct system_map *map)
{
	if (!map)
		return;
	free(map->text);
	free(map->entries);
	free(map);
}

const char *system_map_find(const struct system_map *map, uint64_t address, uint64_t *offset)
{
	size_t low = 0, high = map->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (map->entries[middle].address <= address)
			low = middle + 1;
		else
			high = middle;
	}
	if (!low || address - map->entries[low - 1].address >= FUNCTION_MAX)
		return NULL;
	*offset = address - map->entries[low - 1].address;
	/* The end of the code is no function. */
	return strcmp(map->entries[low - 1].name, "_etext") ? map->entries[low - 1].name : NULL;
}
