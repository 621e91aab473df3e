/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Commands that prepare and check: names, guest tables, memory, assertions,
 * and what the host does. None of them makes the guest stop. */
#include "script.h"

#include <string.h>

#include <pvm/mmu.h>

static bool outside(const struct script *s, uint64_t gpa, uint64_t size)
{
	return gpa >= s->machine.memory_size || s->machine.memory_size - gpa < size;
}

static enum script_result define(struct script *s, const struct script_line *line, uint64_t value,
				 uint8_t levels)
{
	if (!script_define(s, line->word[1], value, levels))
		return script_fail(s, line, "the name \"%s\" is taken by a register or a constant",
				   line->word[1]);
	return SCRIPT_NEXT;
}

static enum script_result run_let(struct script_vcpu *v, const struct script_line *line,
				  struct pvm_guest_exit *exit)
{
	uint64_t value;

	(void)exit;
	SCRIPT_EVAL(v, line, 2, &value);
	return define(v->script, line, value, 0);
}

static enum script_result run_pool(struct script_vcpu *v, const struct script_line *line,
				   struct pvm_guest_exit *exit)
{
	struct script *s = v->script;
	uint64_t start, size;

	(void)exit;
	SCRIPT_EVAL(v, line, 1, &start);
	SCRIPT_EVAL(v, line, 2, &size);
	if (outside(s, start, size) || (start | size) % PVM_PAGE_SIZE)
		return script_fail(s, line, "the pool is outside guest memory or not page-aligned");
	s->pool = start;
	s->pool_end = start + size;
	return SCRIPT_NEXT;
}

/* A zeroed page of the pool; 0 when it is empty. */
static uint64_t new_page(struct script *s)
{
	uint64_t gpa = s->pool;

	if (gpa >= s->pool_end || outside(s, gpa, PVM_PAGE_SIZE))
		return 0;
	s->pool += PVM_PAGE_SIZE;
	memset(s->machine.memory + gpa, 0, PVM_PAGE_SIZE);
	pvm_mmu_host_wrote(s->machine.vm, pvm_gfn(gpa >> PVM_PAGE_SHIFT), PVM_MAY_SLEEP);
	return gpa;
}

static void poke(struct script *s, uint64_t gpa, uint64_t value, unsigned size)
{
	memcpy(s->machine.memory + gpa, &value, size);
	pvm_mmu_host_wrote(s->machine.vm, pvm_gfn(gpa >> PVM_PAGE_SHIFT), PVM_MAY_SLEEP);
}

static enum script_result run_table(struct script_vcpu *v, const struct script_line *line,
				    struct pvm_guest_exit *exit)
{
	uint64_t levels = 0, gpa = new_page(v->script);

	(void)exit;
	if (!gpa)
		return script_fail(v->script, line, "no guest page is left in the pool");
	if (!strcmp(line->word[0], "table")) {
		levels = 4;
		if (line->count == 3)
			SCRIPT_EVAL(v, line, 2, &levels);
		if (levels != 4 && levels != 5)
			return script_fail(v->script, line, "a root table has 4 or 5 levels");
	}
	return define(v->script, line, gpa, (uint8_t)levels);
}

/* map ROOT GVA GPA FLAGS [LEVEL] */
static enum script_result run_map(struct script_vcpu *v, const struct script_line *line,
				  struct pvm_guest_exit *exit)
{
	uint64_t root, gva, gpa, flags, level = 1, slot, table;
	struct script *s = v->script;
	unsigned l;

	(void)exit;
	SCRIPT_EVAL(v, line, 1, &root);
	SCRIPT_EVAL(v, line, 2, &gva);
	SCRIPT_EVAL(v, line, 3, &gpa);
	SCRIPT_EVAL(v, line, 4, &flags);
	if (line->count == 6)
		SCRIPT_EVAL(v, line, 5, &level);
	if (level < 1 || level > 5)
		return script_fail(s, line, "level %lu is not 1 to 5", (unsigned long)level);
	for (l = 5; l > level; l--) {
		uint64_t entry;

		slot = script_entry(s, v, root, gva, l);
		if (!slot)
			continue;	/* a 4-level table has no level 5 */
		memcpy(&entry, s->machine.memory + slot, 8);
		if (entry & PVM_PTE_P)
			continue;
		table = new_page(s);
		if (!table)
			return script_fail(s, line, "no guest page is left in the pool");
		poke(s, slot, table | PVM_PTE_P | PVM_PTE_W | PVM_PTE_U, 8);
	}
	slot = script_entry(s, v, root, gva, (unsigned)level);
	if (!slot)
		return script_fail(s, line, "a larger page is in the way at \"%s\"", line->word[2]);
	poke(s, slot, gpa | flags | (level == 2 || level == 3 ? PVM_PTE_PS : 0), 8);
	return SCRIPT_NEXT;
}

static enum script_result run_poke(struct script_vcpu *v, const struct script_line *line,
				   struct pvm_guest_exit *exit)
{
	uint64_t gpa, value, size = 8;

	(void)exit;
	SCRIPT_EVAL(v, line, 1, &gpa);
	SCRIPT_EVAL(v, line, 2, &value);
	if (line->count == 4)
		SCRIPT_EVAL(v, line, 3, &size);
	if (size < 1 || size > 8 || outside(v->script, gpa, size))
		return script_fail(v->script, line, "\"%s\" is outside guest memory", line->word[1]);
	poke(v->script, gpa, value, (unsigned)size);
	return SCRIPT_NEXT;
}

static bool compare(const char *operator, uint64_t a, uint64_t b, bool *known)
{
	*known = true;
	if (!strcmp(operator, "=="))
		return a == b;
	if (!strcmp(operator, "!="))
		return a != b;
	if (!strcmp(operator, "<"))
		return a < b;
	if (!strcmp(operator, ">"))
		return a > b;
	*known = false;
	return false;
}

static enum script_result run_assert(struct script_vcpu *v, const struct script_line *line,
				     struct pvm_guest_exit *exit)
{
	uint64_t a, b;
	bool known;

	(void)exit;
	SCRIPT_EVAL(v, line, 1, &a);
	SCRIPT_EVAL(v, line, 3, &b);
	if (compare(line->word[2], a, b, &known))
		return SCRIPT_NEXT;
	if (!known)
		return script_fail(v->script, line, "\"%s\" is no comparison", line->word[2]);
	return script_fail(v->script, line, "assert %s %s %s: it is %#lx, not %#lx", line->word[1],
			   line->word[2], line->word[3], (unsigned long)a, (unsigned long)b);
}

static enum script_result run_reg(struct script_vcpu *v, const struct script_line *line,
				  struct pvm_guest_exit *exit)
{
	uint64_t value;

	(void)exit;
	SCRIPT_EVAL(v, line, 2, &value);
	if (!script_register_set(v, line->word[1], value))
		return script_fail(v->script, line, "\"%s\" is no register that can be set here",
				   line->word[1]);
	return SCRIPT_NEXT;
}

static enum script_result run_vcpu(struct script_vcpu *v, const struct script_line *line,
				   struct pvm_guest_exit *exit)
{
	uint64_t id;

	(void)exit;
	SCRIPT_EVAL(v, line, 1, &id);
	if (id >= v->script->machine.vcpus)
		return script_fail(v->script, line, "the VM has no vCPU %lu: it was made with %u",
				   (unsigned long)id, v->script->machine.vcpus);
	v->script->current = (unsigned)id;
	return SCRIPT_NEXT;
}

/* host unmap|protect GPA PAGES, host shrink PAGES, host check */
static enum script_result run_host(struct script_vcpu *v, const struct script_line *line,
				   struct pvm_guest_exit *exit)
{
	struct pvm_vm *vm = v->script->machine.vm;
	const char *what = line->word[1], *rule;
	uint64_t value[2] = { 0, 1 };
	unsigned i;

	(void)exit;
	for (i = 2; i < line->count; i++)
		SCRIPT_EVAL(v, line, i, &value[i - 2]);
	if (!strcmp(what, "unmap") && line->count > 2) {
		pvm_mmu_unmap_gfns(vm, pvm_gfn(value[0] >> PVM_PAGE_SHIFT), value[1], PVM_MAY_SLEEP);
	} else if (!strcmp(what, "protect") && line->count > 2) {
		pvm_mmu_write_protect_gfns(vm, pvm_gfn(value[0] >> PVM_PAGE_SHIFT), value[1], PVM_MAY_SLEEP);
	} else if (!strcmp(what, "shrink") && line->count == 3) {
		pvm_mmu_shrink(vm, (uint32_t)value[0], PVM_MAY_SLEEP);
	} else if (!strcmp(what, "check") && line->count == 2) {
		rule = pvm_mmu_check(vm);
		if (rule)
			return script_fail(v->script, line, "pvm_mmu_check(): %s", rule);
	} else {
		return script_fail(v->script, line, "\"host %s\" is not what a host does", what);
	}
	return SCRIPT_NEXT;
}

const struct script_command script_setup_commands[] = {
	{ "let", 2, 2, "NAME VALUE", run_let },
	{ "pool", 2, 2, "GPA BYTES", run_pool },
	{ "table", 1, 2, "NAME [LEVELS]", run_table },
	{ "page", 1, 1, "NAME", run_table },
	{ "map", 4, 5, "ROOT GVA GPA FLAGS [LEVEL]", run_map },
	{ "poke", 2, 3, "GPA VALUE [BYTES]", run_poke },
	{ "assert", 3, 3, "VALUE ==|!=|<|> VALUE", run_assert },
	{ "reg", 2, 2, "NAME VALUE", run_reg },
	{ "vcpu", 1, 1, "NUMBER", run_vcpu },
	{ "host", 1, 3, "unmap GPA [PAGES] | protect GPA [PAGES] | shrink PAGES | check", run_host },
	{ NULL, 0, 0, NULL, NULL },
};
