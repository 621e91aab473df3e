/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Numbers on the command line. Accepts nothing that is only half a number. */
#include "pvm.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#define MAX_SECONDS 1e9

/* strtoull() alone would take spaces and signs. */
static bool parse_number(const char *text, const char **end, unsigned long long *value)
{
	char *stop;

	if (!isdigit((unsigned char)text[0]))
		return false;
	errno = 0;
	*value = strtoull(text, &stop, 10);
	*end = stop;
	return !errno;
}

bool parse_size(const char *text, uint64_t *bytes)
{
	unsigned long long value;
	const char *end;
	unsigned shift = 0;

	if (!parse_number(text, &end, &value))
		return false;
	switch (toupper((unsigned char)*end)) {
	case 'K':
		shift = 10;
		break;
	case 'M':
		shift = 20;
		break;
	case 'G':
		shift = 30;
		break;
	}
	if (shift)
		end++;
	if (*end || !value || value > UINT64_MAX >> shift)
		return false;
	*bytes = (uint64_t)value << shift;
	return true;
}

bool parse_count(const char *text, uint32_t *count)
{
	unsigned long long value;
	const char *end;

	if (!parse_number(text, &end, &value) || *end || !value || value > UINT32_MAX)
		return false;
	*count = (uint32_t)value;
	return true;
}

bool parse_seconds(const char *text, uint64_t *nanoseconds)
{
	double seconds;
	char *end;

	if (!isdigit((unsigned char)text[0]) && text[0] != '.')
		return false;
	seconds = strtod(text, &end);
	if (*end || end == text || !isfinite(seconds) || seconds < 1e-9 || seconds > MAX_SECONDS)
		return false;
	*nanoseconds = (uint64_t)(seconds * 1e9);
	return true;
}
