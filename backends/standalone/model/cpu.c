/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* The walker and the access path of the model's CPU. It must never know why an
 * entry is as it is: everything here follows from the entries' bits alone. */
#include "cpu.h"

#include <string.h>

/* An access as the walker sees it. */
struct request {
	uint64_t root, gva;
	enum model_kind kind;
	uint32_t pkru;
};

void model_cpu_init(struct model_cpu *cpu, const struct pvm_vm_config *config,
		    const struct model_memory *memory)
{
	cpu->config = config;
	cpu->memory = *memory;
	cpu->dead_root = 0;
	model_tlb_reset(&cpu->tlb);
	pthread_mutex_init(&cpu->lock, NULL);
}

void model_cpu_destroy(struct model_cpu *cpu)
{
	pthread_mutex_destroy(&cpu->lock);
}

static unsigned root_level(const struct model_cpu *cpu)
{
	return cpu->config->host_la57 ? 5 : 4;
}

/* SDM vol. 1, 3.3.7.1: canonical for the depth the CPU runs at. */
static bool canonical(const struct model_cpu *cpu, uint64_t gva)
{
	unsigned unused = 64 - (cpu->config->host_la57 ? 57 : 48);

	return (uint64_t)((int64_t)(gva << unused) >> unused) == gva;
}

/* Bits that must be zero in a present entry. SDM vol. 3, 4.5.4, tables 4-15..4-20 */
static uint64_t reserved_bits(const struct model_cpu *cpu, unsigned level, uint64_t entry)
{
	const struct pvm_vm_config *c = cpu->config;
	uint64_t bits = PVM_PTE_ADDR_MASK & ~((1ull << c->host_maxphyaddr) - 1);

	if (!c->host_nx)
		bits |= PVM_PTE_NX;
	if (level >= 4 || (level == 3 && !c->host_page1g))
		bits |= PVM_PTE_PS;
	else if (level > 1 && (entry & PVM_PTE_PS))
		bits |= (PVM_LEVEL_SIZE(level) - 1) & PVM_PTE_ADDR_MASK & ~PVM_PTE_PAT_LARGE;
	return bits;
}

static uint32_t access_bits(const struct model_cpu *cpu, enum model_kind kind)
{
	if (kind == MODEL_WRITE)
		return PVM_PF_U | PVM_PF_W;
	if (kind == MODEL_EXEC && cpu->config->host_nx)
		return PVM_PF_U | PVM_PF_I;
	return PVM_PF_U;
}

static enum model_result page_fault(struct model_cpu *cpu, const struct request *r, uint32_t cause,
				    struct model_fault *fault)
{
	fault->vector = PVM_VEC_PF;
	fault->error_code = cause | access_bits(cpu, r->kind);
	fault->gva = r->gva;
	model_tlb_drop(&cpu->tlb, r->root, r->gva, PVM_PAGE_SIZE);
	return MODEL_FAULT;
}

static enum model_result broken(struct model_fault *fault, const char *what, uint64_t gva)
{
	fault->what = what;
	fault->gva = gva;
	return MODEL_BROKEN;
}

/* Does the key of @entry refuse a data access? SDM vol. 3, 4.6.2 */
static bool key_refuses(const struct model_cpu *cpu, const struct request *r, uint64_t entry)
{
	unsigned key = (entry & PVM_PTE_PK_MASK) >> PVM_PTE_PK_SHIFT;
	uint32_t rights = r->pkru >> (2 * key);

	if (!cpu->config->host_pke || r->kind == MODEL_EXEC || !(entry & PVM_PTE_U))
		return false;
	return (rights & 1) || ((rights & 2) && r->kind == MODEL_WRITE);
}

/* The rights check on a translation, remembered or new. 0, or the causes. */
static uint32_t refusal(const struct model_cpu *cpu, const struct request *r, uint64_t entry)
{
	uint32_t cause = 0;

	if (!(entry & PVM_PTE_U))
		cause |= PVM_PF_P;
	if (r->kind == MODEL_WRITE && !(entry & PVM_PTE_W))
		cause |= PVM_PF_P;
	if (r->kind == MODEL_EXEC && (entry & PVM_PTE_NX))
		cause |= PVM_PF_P;
	if (key_refuses(cpu, r, entry))
		cause |= PVM_PF_P | PVM_PF_PK;
	return cause;
}

static uint64_t combine(uint64_t rights, uint64_t entry)
{
	uint64_t both = rights & entry & (PVM_PTE_W | PVM_PTE_U);

	return both | ((rights | entry) & PVM_PTE_NX);
}

/* A and D are set as the hardware does it: atomically, and only if the entry
 * is still the one that was read. False: it changed, walk again. */
static bool set_bits(uint64_t *slot, uint64_t seen, uint64_t bits)
{
	if ((seen & bits) == bits)
		return true;
	return __atomic_compare_exchange_n(slot, &seen, seen | bits, false, __ATOMIC_SEQ_CST,
					   __ATOMIC_SEQ_CST);
}

struct walk {
	unsigned level;		/* of the table to read next */
	uint64_t table;
	uint64_t rights;
};

static struct walk walk_start(struct model_cpu *cpu, const struct request *r)
{
	const struct model_structure *s = model_tlb_find_structure(&cpu->tlb, r->root, r->gva);
	struct walk w = { root_level(cpu), r->root, PVM_PTE_W | PVM_PTE_U };

	if (s) {
		w.level = s->level - 1u;
		w.table = s->table;
		w.rights = s->rights;
	}
	return w;
}

static void remember_structure(struct model_cpu *cpu, const struct request *r, const struct walk *w,
			       unsigned level)
{
	struct model_structure s = {
		.root = r->root, .base = r->gva & ~(PVM_LEVEL_SIZE(level) - 1),
		.table = w->table, .rights = w->rights, .level = (uint8_t)level,
	};

	model_tlb_insert_structure(&cpu->tlb, &s);
}

/* Finish a walk at its leaf: rights, A and D, remember. @again: it changed. */
static enum model_result walk_leaf(struct model_cpu *cpu, const struct request *r, struct walk *w,
				   uint64_t *slot, uint64_t entry, bool *again,
				   struct model_fault *fault)
{
	uint64_t bits = PVM_PTE_A | (r->kind == MODEL_WRITE ? PVM_PTE_D : 0);
	uint64_t rights = combine(w->rights, entry);
	struct model_translation t = {
		.root = r->root,
		.page = r->gva & ~(PVM_LEVEL_SIZE(w->level) - 1),
		.pa = entry & PVM_PTE_ADDR_MASK & ~(PVM_LEVEL_SIZE(w->level) - 1),
		.entry = (entry & ~(PVM_PTE_W | PVM_PTE_U | PVM_PTE_NX)) | rights | bits,
		.level = (uint8_t)w->level,
	};
	uint32_t cause = refusal(cpu, r, t.entry);

	if (cause)
		return page_fault(cpu, r, cause, fault);
	if (!set_bits(slot, entry, bits)) {
		*again = true;
		return MODEL_OK;
	}
	model_tlb_insert(&cpu->tlb, &t);
	return MODEL_OK;
}

static enum model_result walk_once(struct model_cpu *cpu, const struct request *r, bool *again,
				   struct model_fault *fault)
{
	struct walk w = walk_start(cpu, r);

	for (;;) {
		uint64_t *table = cpu->memory.table(cpu->memory.owner, w.table), *slot, entry;
		unsigned level = w.level;

		if (!table)
			return broken(fault, "the walker reached a table page that the engine does not own",
				      r->gva);
		slot = &table[PVM_LEVEL_INDEX(r->gva, level)];
		entry = __atomic_load_n(slot, __ATOMIC_ACQUIRE);
		if (!(entry & PVM_PTE_P))
			return page_fault(cpu, r, 0, fault);
		if (entry & reserved_bits(cpu, level, entry))
			return page_fault(cpu, r, PVM_PF_P | PVM_PF_RSVD, fault);
		if (level == 1 || (entry & PVM_PTE_PS))
			return walk_leaf(cpu, r, &w, slot, entry, again, fault);
		if (!set_bits(slot, entry, PVM_PTE_A)) {
			*again = true;
			return MODEL_OK;
		}
		w.table = entry & PVM_PTE_ADDR_MASK;
		w.rights = combine(w.rights, entry);
		w.level = level - 1;
		remember_structure(cpu, r, &w, level);
	}
}

/* A translation that allows the access, with A (and D) set in the tables. */
static enum model_result translate(struct model_cpu *cpu, const struct request *r, uint64_t *pa,
				   struct model_fault *fault)
{
	struct model_translation *t;
	enum model_result result;
	uint32_t cause;
	bool again;

	if (!canonical(cpu, r->gva)) {
		*fault = (struct model_fault){ .vector = PVM_VEC_GP, .gva = r->gva };
		return MODEL_FAULT;
	}
	t = model_tlb_find(&cpu->tlb, r->root, r->gva);
	cause = t ? refusal(cpu, r, t->entry) : 0;
	if (cause)
		return page_fault(cpu, r, cause, fault);
	if (t && (r->kind != MODEL_WRITE || (t->entry & PVM_PTE_D))) {
		cpu->tlb.hits++;
	} else {
		cpu->tlb.misses++;
		do {
			again = false;
			result = walk_once(cpu, r, &again, fault);
			if (result != MODEL_OK)
				return result;
		} while (again);
		t = model_tlb_find(&cpu->tlb, r->root, r->gva);
	}
	*pa = t->pa + (r->gva - t->page);
	return MODEL_OK;
}

/* Bytes of [gva, gva + size) that lie in gva's own page. */
static unsigned first_part(uint64_t gva, unsigned size)
{
	uint64_t left = PVM_PAGE_SIZE - (gva & (PVM_PAGE_SIZE - 1));

	return left < size ? (unsigned)left : size;
}

static enum model_result copy(struct model_cpu *cpu, const struct request *r, uint64_t pa,
			      uint8_t *bytes, unsigned size, struct model_fault *fault)
{
	uint8_t *memory = cpu->memory.frame(cpu->memory.owner, pa);

	if (!memory)
		return broken(fault, "a shadow entry points outside guest memory (M2)", r->gva);
	if (r->kind == MODEL_WRITE)
		memcpy(memory, bytes, size);
	else
		memcpy(bytes, memory, size);
	return MODEL_OK;
}

static enum model_result access_locked(struct model_cpu *cpu, struct request *r, unsigned size,
				       uint64_t *value, struct model_fault *fault)
{
	unsigned head = first_part(r->gva, size);
	struct request tail = *r;
	uint64_t pa, tail_pa = 0;
	uint8_t bytes[8] = { 0 };
	enum model_result result;

	tail.gva = r->gva + head;
	result = translate(cpu, r, &pa, fault);
	if (result == MODEL_OK && head < size)
		result = translate(cpu, &tail, &tail_pa, fault);
	if (result != MODEL_OK)
		return result;
	if (r->kind == MODEL_WRITE)
		memcpy(bytes, value, size);
	result = copy(cpu, r, pa, bytes, head, fault);
	if (result == MODEL_OK && head < size)
		result = copy(cpu, &tail, tail_pa, bytes + head, size - head, fault);
	if (result == MODEL_OK && r->kind != MODEL_WRITE)
		memcpy(value, bytes, sizeof(bytes));
	return result;
}

enum model_result model_cpu_access(struct model_cpu *cpu, uint64_t root, uint32_t pkru, uint64_t gva,
				   enum model_kind kind, unsigned size, uint64_t *value,
				   struct model_fault *fault)
{
	struct request r = { root, gva, kind, pkru };
	enum model_result result;

	memset(fault, 0, sizeof(*fault));
	pthread_mutex_lock(&cpu->lock);
	if (root == cpu->dead_root) {
		cpu->dead_root = 0;
		result = MODEL_RELOAD;
	} else {
		result = access_locked(cpu, &r, size, value, fault);
	}
	pthread_mutex_unlock(&cpu->lock);
	return result;
}

bool model_cpu_remembers(struct model_cpu *cpu, uint64_t root, uint64_t gva)
{
	bool found;

	pthread_mutex_lock(&cpu->lock);
	found = model_tlb_find(&cpu->tlb, root, gva) != NULL;
	pthread_mutex_unlock(&cpu->lock);
	return found;
}

void model_cpu_flush(struct model_cpu *cpu, const struct pvm_tlb_flush *flush)
{
	pthread_mutex_lock(&cpu->lock);
	model_tlb_flush(&cpu->tlb, flush);
	if (flush->root_dying)
		cpu->dead_root = flush->root.v;
	pthread_mutex_unlock(&cpu->lock);
}
