/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Memory and string functions, those that compilers call included. Touches
 * nothing but its arguments, so user mode may call it as well.
 */
#include "types.h"

void *memcpy(void *to, const void *from, size_t n)
{
	void *result = to;

	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
	return result;
}

void *memmove(void *to, const void *from, size_t n)
{
	u8 *t = to;
	const u8 *f = from;

	if (t <= f)
		return memcpy(to, from, n);
	while (n--)
		t[n] = f[n];
	return to;
}

void *memset(void *to, int byte, size_t n)
{
	void *result = to;

	__asm__ volatile("rep stosb" : "+D"(to), "+c"(n) : "a"(byte) : "memory");
	return result;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const u8 *x = a, *y = b;

	for (; n; n--, x++, y++)
		if (*x != *y)
			return *x - *y;
	return 0;
}

size_t strlen(const char *s)
{
	size_t n = 0;

	while (s[n])
		n++;
	return n;
}

bool str_contains(const char *s, const char *word)
{
	size_t n = strlen(word);

	for (; *s; s++)
		if (strlen(s) >= n && memcmp(s, word, n) == 0)
			return true;
	return n == 0;
}
