/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Expressions of a script: 64-bit numbers, C's operators and precedence
 * (| ^ & << >> + - * / and unary - ~), names, and a few functions that look at
 * the machine. Owns the grammar; it changes nothing. */
#include "script.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <pvm/mmu.h>

#define MAX_ARGUMENTS	4
#define MAX_DEPTH	32

struct parser {
	struct script *script;
	struct script_vcpu *v;
	const struct script_line *line;
	const char *at, *word;
	unsigned depth;
	bool failed;
};

static uint64_t fail(struct parser *p, const char *what)
{
	if (!p->failed)
		script_fail(p->script, p->line, "%s in \"%s\"", what, p->word);
	p->failed = true;
	return 0;
}

static bool accept(struct parser *p, const char *text)
{
	size_t length = strlen(text);

	while (*p->at == ' ' || *p->at == '\t')
		p->at++;
	if (strncmp(p->at, text, length) != 0)
		return false;
	p->at += length;
	return true;
}

static uint64_t binary(struct parser *p, unsigned rank);

/* ------------------------------------------------------------------------
 * Functions.
 */

static uint64_t memory_at(struct parser *p, uint64_t gpa, unsigned size)
{
	const struct script_machine *m = &p->script->machine;
	uint64_t value = 0;

	if (gpa >= m->memory_size || m->memory_size - gpa < size)
		return fail(p, "an address outside guest memory");
	memcpy(&value, m->memory + gpa, size);
	return value;
}

/* The leaf of @gva in the tables of the mode the vCPU is in now. */
static bool shadow(const struct script_vcpu *v, uint64_t gva, struct pvm_shadow_leaf *leaf)
{
	pvm_hpa_t root;

	return pvm_mmu_load(v->vcpu, &root, PVM_MAY_SLEEP) == PVM_OK &&
	       pvm_mmu_shadow_walk(v->vcpu->vm, root, pvm_gva(gva), leaf);
}

static bool remembered(const struct script_vcpu *v, uint64_t gva)
{
	pvm_hpa_t root;

	return pvm_mmu_load(v->vcpu, &root, PVM_MAY_SLEEP) == PVM_OK &&
	       model_cpu_remembers(v->cpu, root.v, gva);
}

uint64_t script_entry(struct script *script, const struct script_vcpu *v, uint64_t root,
		      uint64_t gva, unsigned level)
{
	uint64_t table = root & PVM_CR3_ADDR_MASK, entry;
	unsigned levels = v->vcpu->cr4 & PVM_CR4_LA57 ? 5 : 4, l, i;

	for (i = 0; i < script->names; i++)
		if (script->name[i].levels && script->name[i].value == table)
			levels = script->name[i].levels;
	for (l = levels; l >= level && l >= 1; l--) {
		uint64_t slot = table + 8 * PVM_LEVEL_INDEX(gva, l);

		if (slot >= script->machine.memory_size - 7)
			return 0;
		if (l == level)
			return slot;
		memcpy(&entry, script->machine.memory + slot, 8);
		if (!(entry & PVM_PTE_P) || (l <= 3 && (entry & PVM_PTE_PS)))
			return 0;
		table = entry & PVM_PTE_ADDR_MASK;
	}
	return 0;
}

static uint64_t msr(struct parser *p, uint64_t index)
{
	uint64_t value;

	if (pvm_msr_read(p->v->vcpu, (uint32_t)index, &value) != PVM_OK)
		return fail(p, "an MSR that the engine does not know");
	return value;
}

static uint64_t call(struct parser *p, const char *name, size_t length, const uint64_t *arg,
		     unsigned count)
{
	struct pvm_shadow_leaf leaf;
	uint64_t entry;

#define IS(text, arguments) (length == sizeof(text) - 1 && !memcmp(name, text, length) && \
			     count == (arguments))
	if (!p->v)
		return fail(p, "a function before the guest runs");
	if (IS("mem", 1))
		return memory_at(p, arg[0], 8);
	if (IS("mem32", 1))
		return memory_at(p, arg[0], 4);
	if (IS("mem8", 1))
		return memory_at(p, arg[0], 1);
	if (IS("msr", 1))
		return msr(p, arg[0]);
	if (IS("tlb", 1))
		return remembered(p->v, arg[0]);
	if (IS("shadow", 1))
		return shadow(p->v, arg[0], &leaf) ? leaf.entry : 0;
	if (IS("shadow_level", 1))
		return shadow(p->v, arg[0], &leaf) ? leaf.level : 0;
	if (IS("key", 1))
		return arg[0] << PVM_PTE_PK_SHIFT;
	if (IS("pte", 3)) {
		entry = script_entry(p->script, p->v, arg[0], arg[1], (unsigned)arg[2]);
		return entry ? entry : fail(p, "an entry that the guest's tables do not have");
	}
#undef IS
	return fail(p, "an unknown function, or the wrong number of arguments,");
}

/* ------------------------------------------------------------------------
 * Grammar.
 */

static bool name_character(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '.';
}

static uint64_t arguments(struct parser *p, const char *name, size_t length)
{
	uint64_t arg[MAX_ARGUMENTS] = { 0 };
	unsigned count = 0;

	do {
		if (count == MAX_ARGUMENTS)
			return fail(p, "too many arguments");
		arg[count++] = binary(p, 0);
	} while (!p->failed && accept(p, ","));
	if (!p->failed && !accept(p, ")"))
		return fail(p, "a missing \")\"");
	return p->failed ? 0 : call(p, name, length, arg, count);
}

static uint64_t name(struct parser *p)
{
	const char *start = p->at;
	const struct script_name *own;
	uint64_t value;
	size_t length;

	while (name_character(*p->at))
		p->at++;
	length = (size_t)(p->at - start);
	if (accept(p, "("))
		return arguments(p, start, length);
	own = script_find_name(p->script, start, length);
	if (own)
		return own->value;
	if (script_constant(start, length, &value))
		return value;
	if (p->v && script_register_get(p->v, start, length, &value))
		return value;
	return fail(p, script_register_known(start, length) ? "a register without a value now"
							    : "an unknown name");
}

static uint64_t number(struct parser *p)
{
	uint64_t value;
	char *end;

	errno = 0;
	value = strtoull(p->at, &end, 0);
	if (errno || name_character(*end))
		return fail(p, "a malformed number");
	p->at = end;
	return value;
}

static uint64_t primary(struct parser *p)
{
	uint64_t value;

	if (++p->depth > MAX_DEPTH)
		return fail(p, "too many levels of parentheses");
	if (accept(p, "-")) {
		value = 0 - primary(p);
	} else if (accept(p, "~")) {
		value = ~primary(p);
	} else if (accept(p, "(")) {
		value = binary(p, 0);
		if (!p->failed && !accept(p, ")"))
			value = fail(p, "a missing \")\"");
	} else if (isdigit((unsigned char)*p->at)) {
		value = number(p);
	} else if (name_character(*p->at)) {
		value = name(p);
	} else {
		value = fail(p, *p->at ? "an unexpected character" : "nothing where a value belongs");
	}
	p->depth--;
	return value;
}

static uint64_t apply(struct parser *p, unsigned operation, uint64_t a, uint64_t b)
{
	switch (operation) {
	case 0: return a | b;
	case 1: return a ^ b;
	case 2: return a & b;
	case 3: return b < 64 ? a << b : 0;
	case 4: return b < 64 ? a >> b : 0;
	case 5: return a + b;
	case 6: return a - b;
	case 7: return a * b;
	default: return b ? a / b : fail(p, "a division by zero");
	}
}

static uint64_t binary(struct parser *p, unsigned rank)
{
	static const struct {
		const char *text;
		unsigned rank;
	} operators[] = {
		{ "|", 0 }, { "^", 1 }, { "&", 2 }, { "<<", 3 }, { ">>", 3 },
		{ "+", 4 }, { "-", 4 }, { "*", 5 }, { "/", 5 },
	};
	uint64_t value;
	unsigned i;

	if (rank > 5)
		return primary(p);
	value = binary(p, rank + 1);
	while (!p->failed) {
		for (i = 0; i < sizeof(operators) / sizeof(operators[0]); i++)
			if (operators[i].rank == rank && accept(p, operators[i].text))
				break;
		if (i == sizeof(operators) / sizeof(operators[0]))
			break;
		value = apply(p, i, value, binary(p, rank + 1));
	}
	return value;
}

bool script_eval(struct script *script, struct script_vcpu *v, const struct script_line *line,
		 const char *word, uint64_t *value)
{
	struct parser p = { .script = script, .v = v, .line = line, .at = word, .word = word };

	*value = binary(&p, 0);
	if (!p.failed && *p.at)
		fail(&p, "an unexpected character");
	return !p.failed;
}
