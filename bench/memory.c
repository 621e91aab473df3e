/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Reads /proc/PID/smaps and /proc/PID/status of a tree of processes. */
#include "memory.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GUEST_MEMORY	"/memfd:pvm-guest"	/* the monitor names it so */
#define MAX_TREE	512

/* KiB of all mappings but the guest's memory; negative: no such process. */
static double mappings(pid_t pid)
{
	char path[64], line[512];
	bool guest = false;
	double sum = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/smaps", (int)pid);
	file = fopen(path, "r");
	if (!file)
		return -1;
	while (fgets(line, sizeof(line), file)) {
		/* A mapping's first line starts with its address, in small letters. */
		if (strchr("0123456789abcdef", line[0]))
			guest = strstr(line, GUEST_MEMORY) != NULL;
		else if (!guest && !strncmp(line, "Pss:", 4))
			sum += strtod(line + 4, NULL);
	}
	fclose(file);
	return sum;
}

/* A number from /proc/PID/status, or negative. */
static double status(pid_t pid, const char *key)
{
	char path[64], line[256];
	double value = -1;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	file = fopen(path, "r");
	if (!file)
		return -1;
	while (value < 0 && fgets(line, sizeof(line), file))
		if (!strncmp(line, key, strlen(key)))
			value = strtod(line + strlen(key), NULL);
	fclose(file);
	return value;
}

static bool in_tree(const pid_t *tree, unsigned count, pid_t pid)
{
	unsigned i;

	for (i = 0; i < count; i++)
		if (tree[i] == pid)
			return true;
	return false;
}

/* One pass over /proc: add the children of what is in @tree. Returns how many came. */
static unsigned add_children(pid_t *tree, unsigned *count)
{
	DIR *proc = opendir("/proc");
	unsigned before = *count;
	struct dirent *entry;

	while (proc && (entry = readdir(proc))) {
		pid_t pid = (pid_t)atoi(entry->d_name);

		if (pid > 0 && *count < MAX_TREE && !in_tree(tree, *count, pid) &&
		    in_tree(tree, *count, (pid_t)status(pid, "PPid:")))
			tree[(*count)++] = pid;
	}
	if (proc)
		closedir(proc);
	return *count - before;
}

double memory_beside_guest(pid_t pid)
{
	pid_t tree[MAX_TREE] = { pid };
	unsigned count = 1, i;
	double sum = 0;

	while (add_children(tree, &count))
		;
	for (i = 0; i < count; i++) {
		double kib = mappings(tree[i]), tables = status(tree[i], "VmPTE:");

		if (kib < 0 && i == 0)
			return -1;
		if (kib > 0)
			sum += kib;
		if (tables > 0)
			sum += tables;
	}
	return sum * 1024;
}
