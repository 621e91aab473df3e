/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* The command line. Its first word, the image's name, counts for nothing. */
#include "options.h"

#include "memory.h"
#include "print.h"

/* The next word from *@at, or NULL; its length without "=..." in @length. */
static const char *next_word(const char **at, size_t *length)
{
	const char *word, *end;

	while (**at == ' ')
		(*at)++;
	if (!**at)
		return NULL;
	word = end = *at;
	while (*end && *end != ' ' && *end != '=')
		end++;
	*length = (size_t)(end - word);
	while (*end && *end != ' ')
		end++;
	*at = end;
	return word;
}

static bool is(const char *word, size_t length, const char *name)
{
	return length == strlen(name) && !memcmp(word, name, length);
}

uint64_t option_number(const char *name, uint64_t otherwise)
{
	const char *at = boot.command_line, *word;
	uint64_t value = otherwise;
	size_t length;

	while ((word = next_word(&at, &length))) {
		if (!is(word, length, name))
			continue;
		if (word[length] != '=') {
			value = 1;
			continue;
		}
		value = 0;
		for (word += length + 1; *word && *word != ' '; word++) {
			if (*word < '0' || *word > '9')
				fail("option %s needs a number", name);
			value = value * 10 + (uint64_t)(*word - '0');
		}
	}
	return value;
}

const char *option_text(const char *name, size_t *length)
{
	const char *at = boot.command_line, *word, *text = NULL;
	size_t name_length;

	while ((word = next_word(&at, &name_length))) {
		if (!is(word, name_length, name) || word[name_length] != '=')
			continue;
		text = word + name_length + 1;
		*length = (size_t)(at - text);
	}
	return text;
}

void options_check(const char *const *names)
{
	const char *at = boot.command_line, *word;
	bool first = true;
	size_t length, i;
	char unknown[64];

	for (; (word = next_word(&at, &length)); first = false) {
		for (i = 0; names[i] && !is(word, length, names[i]); i++)
			;
		if (names[i] || first)
			continue;
		snprintf(unknown, length + 1 < sizeof(unknown) ? length + 1 : sizeof(unknown), "%s", word);
		fail("unknown option: %s", unknown);
	}
}
