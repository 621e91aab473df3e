/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The names of a kernel's functions by a text of lines "ffffffff81000000 T _stext", as nm prints it and a kernel's
 * build leaves it in System.map. Owns a copy of the text, which is untrusted.
 */
#ifndef STANDALONE_SYSTEM_MAP_H
#define STANDALONE_SYSTEM_MAP_H

#include <stddef.h>
#include <stdint.h>

struct system_map;

/* @text: @size bytes, taken over whatever the result. Returns NULL if no line of it names code. */
struct system_map *system_map_open(char *text, size_t size);
void system_map_close(struct system_map *map);

/* The function that holds @address, or NULL; valid until system_map_close(). */
const char *system_map_find(const struct system_map *map, uint64_t address, uint64_t *offset);

#endif /* STANDALONE_SYSTEM_MAP_H */
