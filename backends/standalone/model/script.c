/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* The text of a script: lines, words, config lines, names, messages. It must
 * never run anything. */
#include "script.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_LINES	65536
#define DEFAULT_POOL	0x200000u	/* free guest memory for tables, below the ELF */
#define DEFAULT_POOL_END 0x800000u

enum script_result script_fail(struct script *script, const struct script_line *line,
			       const char *format, ...)
{
	char what[SCRIPT_MESSAGE];
	va_list args;

	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	if (line)
		snprintf(script->message, sizeof(script->message), "%.100s:%u: %.140s", script->file,
			 line->number, what);
	else
		snprintf(script->message, sizeof(script->message), "%.100s: %.140s", script->file, what);
	return SCRIPT_FAIL;
}

/* ------------------------------------------------------------------------
 * Names.
 */

const struct script_name *script_find_name(const struct script *script, const char *name,
					   size_t length)
{
	unsigned i;

	for (i = 0; i < script->names; i++)
		if (strlen(script->name[i].name) == length &&
		    memcmp(script->name[i].name, name, length) == 0)
			return &script->name[i];
	return NULL;
}

bool script_define(struct script *script, const char *name, uint64_t value, uint8_t levels)
{
	const struct script_name *old = script_find_name(script, name, strlen(name));
	struct script_name *grown;
	uint64_t constant;

	if (script_register_known(name, strlen(name)) || script_constant(name, strlen(name), &constant))
		return false;
	if (old) {
		script->name[old - script->name].value = value;
		script->name[old - script->name].levels = levels;
		return true;
	}
	grown = realloc(script->name, (script->names + 1) * sizeof(*grown));
	if (!grown)
		return false;
	script->name = grown;
	grown[script->names] = (struct script_name){ strdup(name), value, levels };
	if (!grown[script->names].name)
		return false;
	script->names++;
	return true;
}

/* ------------------------------------------------------------------------
 * config KEY VALUE...
 */

static bool config_flag(struct pvm_vm_config *c, const char *key, bool on)
{
	static const struct {
		const char *key;
		size_t offset;
	} flags[] = {
		{ "la57", offsetof(struct pvm_vm_config, host_la57) },
		{ "nx", offsetof(struct pvm_vm_config, host_nx) },
		{ "pke", offsetof(struct pvm_vm_config, host_pke) },
		{ "umip", offsetof(struct pvm_vm_config, host_umip) },
		{ "page1g", offsetof(struct pvm_vm_config, host_page1g) },
	};
	size_t i;

	for (i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		if (!strcmp(flags[i].key, key)) {
			*(bool *)((char *)c + flags[i].offset) = on;
			return true;
		}
	return false;
}

static bool config_line(struct script *s, const struct script_line *line, struct pvm_vm_config *c)
{
	uint64_t value[4] = { 0 };
	const char *key = line->count > 1 ? line->word[1] : "";
	unsigned i;

	for (i = 2; i < line->count && i < 6; i++)
		if (!script_eval(s, NULL, line, line->word[i], &value[i - 2]))
			return false;
	if (line->count == 6 && !strcmp(key, "range"))
		c->range = (struct pvm_linear_range){ (uint16_t)value[0], (uint16_t)value[1],
						      (uint16_t)value[2], (uint16_t)value[3] };
	else if (line->count == 3 && !strcmp(key, "maxphyaddr"))
		c->host_maxphyaddr = (uint8_t)value[0];
	else if (line->count == 3 && !strcmp(key, "guest_maxphyaddr"))
		c->guest_maxphyaddr = (uint8_t)value[0];
	else if (line->count != 3 || !config_flag(c, key, value[0] != 0))
		return script_fail(s, line, "config: \"%s\" is no setting with %u value(s)", key,
				   line->count > 2 ? line->count - 2 : 0) != SCRIPT_FAIL;
	return true;
}

/* ------------------------------------------------------------------------
 * Lines.
 */

static const struct script_command *find_command(const char *name)
{
	const struct script_command *const tables[] = {
		script_access_commands, script_setup_commands, script_insn_commands,
		script_boot_commands,
	};
	const struct script_command *c;
	size_t i;

	for (i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		for (c = tables[i]; c->name; c++)
			if (!strcmp(c->name, name))
				return c;
	return NULL;
}

/* One word from @text: up to white space outside parentheses, or a string in
 * quotation marks (which stay). Returns what follows it. */
static char *take_word(char *text, char **word)
{
	unsigned depth = 0;
	bool quoted = false;

	text += strspn(text, " \t\r");
	if (*text == '\0' || *text == '#') {
		*word = NULL;
		return text;
	}
	*word = text;
	for (; *text; text++) {
		if (*text == '"')
			quoted = !quoted;
		else if (!quoted && *text == '(')
			depth++;
		else if (!quoted && *text == ')' && depth)
			depth--;
		else if (!quoted && !depth && strchr(" \t\r", *text))
			break;
	}
	if (*text)
		*text++ = '\0';
	return text;
}

static bool split(struct script *s, struct script_line *line, char *text)
{
	char *word;

	for (;;) {
		text = take_word(text, &word);
		if (!word)
			return true;
		if (line->count == SCRIPT_MAX_WORDS)
			return script_fail(s, line, "more than %d words", SCRIPT_MAX_WORDS) != SCRIPT_FAIL;
		line->word[line->count++] = word;
	}
}

static bool parse_line(struct script *s, struct script_line *line, char *text,
		       struct pvm_vm_config *config, bool *keep)
{
	*keep = false;
	if (!split(s, line, text))
		return false;
	if (line->count == 0)
		return true;
	if (!strcmp(line->word[0], "config")) {
		if (s->lines)
			return script_fail(s, line, "config comes before every other command") != SCRIPT_FAIL;
		return config_line(s, line, config);
	}
	line->command = find_command(line->word[0]);
	if (!line->command)
		return script_fail(s, line, "unknown command \"%s\"", line->word[0]) != SCRIPT_FAIL;
	if (line->count - 1 < line->command->min || line->count - 1 > line->command->max)
		return script_fail(s, line, "usage: %s %s", line->command->name,
				   line->command->usage) != SCRIPT_FAIL;
	*keep = true;
	return true;
}

static bool parse_lines(struct script *s, struct pvm_vm_config *config)
{
	char *text = s->text, *end;
	unsigned number = 1;
	bool keep;

	for (; text; text = end, number++) {
		struct script_line line = { .number = number };

		end = strchr(text, '\n');
		if (end)
			*end++ = '\0';
		if (number > MAX_LINES)
			return script_fail(s, &line, "more than %d lines", MAX_LINES) != SCRIPT_FAIL;
		if (!parse_line(s, &line, text, config, &keep))
			return false;
		if (!keep)
			continue;
		if ((s->lines & (s->lines - 1)) == 0) {
			void *grown = realloc(s->line, (s->lines ? 2u * s->lines : 1u) * sizeof(line));

			if (!grown)
				return script_fail(s, &line, "out of memory") != SCRIPT_FAIL;
			s->line = grown;
		}
		s->line[s->lines++] = line;
	}
	return true;
}

bool script_parse(struct script *script, const char *file, char *text, struct pvm_vm_config *config)
{
	struct pvm_vm_config scratch = { 0 };

	memset(script, 0, sizeof(*script));
	script->file = file;
	script->text = text;
	script->pool = DEFAULT_POOL;
	script->pool_end = DEFAULT_POOL_END;
	pthread_mutex_init(&script->lock, NULL);
	pthread_cond_init(&script->turn, NULL);
	if (!parse_lines(script, config ? config : &scratch))
		return false;
	if (!script->lines || strcmp(script->line[script->lines - 1].word[0], "exit"))
		return script_fail(script, NULL, "the script does not end with exit") != SCRIPT_FAIL;
	return true;
}

void script_free(struct script *script)
{
	unsigned i;

	for (i = 0; i < script->names; i++)
		free(script->name[i].name);
	free(script->name);
	free(script->line);
	free(script->text);
	pthread_cond_destroy(&script->turn);
	pthread_mutex_destroy(&script->lock);
}
