/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * See horrible_mmu.h. Written from the Intel manual (vol. 3, chapter 4) and the
 * PVM specification alone, with its own constants, so that a mistake in the
 * project's headers shows as well.
 */
#include "horrible_mmu.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { PRESENT = 0, WRITABLE = 1, USER = 2, ACCESSED = 5, DIRTY = 6, LARGE = 7, NO_EXECUTE = 63 };

/* Epochs of a table: the times between what empties the caches of upper levels. */
#define EPOCHS 48

struct version {
	uint64_t since, value;
};

struct word {
	struct version *versions;	/* oldest first; NULL: never changed since the start */
	uint32_t count;
};

/* The flushes of one CPU under one tag. */
struct tag {
	uint64_t cr3;
	uint64_t flushed;
	uint64_t epoch[EPOCHS];		/* starts, oldest first; at least one */
	unsigned epochs;
	struct tag *next;
};

/* The last INVLPG of one CPU, tag, and page of one size. */
struct invalidation {
	uint64_t cr3, page, time;
	unsigned n, level;
	struct invalidation *next;
};

#define BUCKETS 65536

struct horrible_mmu {
	uint8_t *memory;
	uint64_t size, hole_start, hole_end;
	uint64_t *seen;			/* every word as it was last seen */
	struct word *words;
	uint64_t now;
	unsigned cpus;
	uint64_t flushed[8];		/* by CPU: everything */
	struct tag *tags[8];
	struct invalidation *invalidations[BUCKETS];
};

static bool bit(uint64_t value, unsigned n)
{
	return (value >> n) & 1;
}

struct horrible_mmu *horrible_new(uint8_t *memory, uint64_t size, unsigned cpus)
{
	struct horrible_mmu *mmu = calloc(1, sizeof(*mmu));
	uint64_t i;

	mmu->memory = memory;
	mmu->size = size;
	mmu->cpus = cpus;
	mmu->seen = calloc(size / 8, 8);
	mmu->words = calloc(size / 8, sizeof(*mmu->words));
	for (i = 0; i < size / 8; i++)
		mmu->seen[i] = ((uint64_t *)memory)[i];
	mmu->now = 1;
	return mmu;
}

void horrible_free(struct horrible_mmu *mmu)
{
	uint64_t i;
	unsigned n;

	for (i = 0; i < mmu->size / 8; i++)
		free(mmu->words[i].versions);
	for (i = 0; i < BUCKETS; i++) {
		while (mmu->invalidations[i]) {
			struct invalidation *gone = mmu->invalidations[i];

			mmu->invalidations[i] = gone->next;
			free(gone);
		}
	}
	for (n = 0; n < mmu->cpus; n++) {
		while (mmu->tags[n]) {
			struct tag *gone = mmu->tags[n];

			mmu->tags[n] = gone->next;
			free(gone);
		}
	}
	free(mmu->seen);
	free(mmu->words);
	free(mmu);
}

void horrible_set_hole(struct horrible_mmu *mmu, uint64_t start, uint64_t end)
{
	mmu->hole_start = start;
	mmu->hole_end = end;
}

void horrible_tick(struct horrible_mmu *mmu)
{
	mmu->now++;
}

bool horrible_look_at(struct horrible_mmu *mmu, uint64_t gpa)
{
	struct word *word = &mmu->words[gpa / 8];
	uint64_t value = ((uint64_t *)mmu->memory)[gpa / 8];

	if (value == mmu->seen[gpa / 8])
		return false;
	if (!word->count) {
		word->versions = malloc(2 * sizeof(struct version));
		word->versions[0] = (struct version){ 0, mmu->seen[gpa / 8] };
		word->count = 1;
	} else if ((word->count & (word->count - 1)) == 0) {
		word->versions = realloc(word->versions, 2 * word->count * sizeof(struct version));
	}
	word->versions[word->count++] = (struct version){ mmu->now, value };
	mmu->seen[gpa / 8] = value;
	return true;
}

uint64_t horrible_last_seen(const struct horrible_mmu *mmu, uint64_t gpa)
{
	return mmu->seen[gpa / 8];
}

uint64_t horrible_unseen_change(const struct horrible_mmu *mmu)
{
	uint64_t i;

	for (i = 0; i < mmu->size / 8; i++)
		if (((uint64_t *)mmu->memory)[i] != mmu->seen[i])
			return i * 8;
	return ~0ull;
}

static bool is_memory(const struct horrible_mmu *mmu, uint64_t gpa)
{
	return gpa < mmu->size && !(gpa / 4096 >= mmu->hole_start && gpa / 4096 < mmu->hole_end);
}

/* Bits that address the place within a page of this level. */
static unsigned page_bits(unsigned level)
{
	return 12 + 9 * (level - 1);
}

static uint64_t field(uint64_t value, unsigned low, unsigned high)
{
	return (value >> low) & ((2ull << (high - low)) - 1);
}

static unsigned levels_of(const struct horrible_cpu *cpu)
{
	return cpu->five_levels ? 5 : 4;
}

static bool is_canonical(const struct horrible_cpu *cpu, uint64_t gva)
{
	unsigned top = cpu->five_levels ? 56 : 47;
	uint64_t above = gva >> top;

	return above == 0 || above == (~0ull >> top);
}

/* spec: MSR_PVM_LINEAR_ADDRESS_RANGE */
static bool is_legal(const struct horrible_cpu *cpu, uint64_t gva)
{
	uint64_t pml4 = gva >> 39, pml5 = gva >> 48;

	if (!bit(gva, 63))
		return true;
	if (pml4 >= (0x1fffe00ull | cpu->pml4_start) && pml4 < (0x1fffe00ull | cpu->pml4_end))
		return true;
	return cpu->five_levels && pml5 >= (0xfe00ull | cpu->pml5_start) &&
		pml5 < (0xfe00ull | cpu->pml5_end);
}

static bool is_page(uint64_t entry, unsigned level)
{
	return level == 1 || ((level == 2 || level == 3) && bit(entry, LARGE));
}

static bool breaks_reserved(const struct horrible_cpu *cpu, uint64_t entry, unsigned level)
{
	unsigned n;

	for (n = cpu->maxphyaddr; n < 52; n++)
		if (bit(entry, n))
			return true;
	if (bit(entry, NO_EXECUTE) && !cpu->nx)
		return true;
	if (level >= 4 && bit(entry, LARGE))
		return true;
	if (level == 2 && bit(entry, LARGE) && field(entry, 13, 20))
		return true;
	return level == 3 && bit(entry, LARGE) && field(entry, 13, 29);
}

static uint64_t frame_of(uint64_t entry, unsigned level)
{
	unsigned low = is_page(entry, level) ? page_bits(level) : 12;

	return field(entry, low, 51) << low;
}

static uint64_t entry_address(uint64_t table, uint64_t gva, unsigned level)
{
	return table + 8 * field(gva, page_bits(level), page_bits(level) + 8);
}

static bool key_refuses(const struct horrible_cpu *cpu, unsigned key, bool write)
{
	return bit(cpu->pkru, 2 * key) || (write && bit(cpu->pkru, 2 * key + 1));
}

/* A page is user mode's if all entries on the way have U. SDM vol. 3, 4.6 */
static bool us_refuses(const struct horrible_cpu *cpu, bool users_page, bool exec)
{
	if (!cpu->us)
		return false;
	return cpu->user_mode ? !users_page : exec && users_page;
}

static struct horrible_answer refusal(const struct horrible_cpu *cpu, struct horrible_access access,
				      bool present, bool reserved, bool key)
{
	struct horrible_answer answer = { .allowed = false };

	answer.error_code = (present ? 1 : 0) | (access.write ? 2 : 0) | (cpu->user_mode ? 4 : 0) |
		(reserved ? 8 : 0) | (access.exec && cpu->nx ? 16 : 0) | (key ? 32 : 0);
	return answer;
}

struct horrible_answer horrible_walk(const struct horrible_mmu *mmu, const struct horrible_cpu *cpu,
				     struct horrible_access access)
{
	uint64_t table = field(cpu->cr3, 12, 51) << 12, entry = 0;
	bool may_write = true, may_execute = true, users_page = true, key = false;
	unsigned level, pk;

	if (!is_canonical(cpu, access.gva))
		return (struct horrible_answer){ .gp = true };
	if (!is_legal(cpu, access.gva))
		return refusal(cpu, access, false, false, false);
	for (level = levels_of(cpu); level >= 1; level--) {
		if (!is_memory(mmu, table))
			return refusal(cpu, access, false, false, false);
		entry = *(uint64_t *)(mmu->memory + entry_address(table, access.gva, level));
		if (!bit(entry, PRESENT))
			return refusal(cpu, access, false, false, false);
		if (breaks_reserved(cpu, entry, level))
			return refusal(cpu, access, true, true, false);
		may_write = may_write && bit(entry, WRITABLE);
		may_execute = may_execute && !bit(entry, NO_EXECUTE);
		users_page = users_page && bit(entry, USER);
		table = frame_of(entry, level);
		if (is_page(entry, level))
			break;
	}
	if (us_refuses(cpu, users_page, access.exec))
		return refusal(cpu, access, true, false, false);
	pk = (unsigned)field(entry, 59, 62);
	if (!access.exec && (cpu->user_mode ? cpu->pke : cpu->pks))
		key = key_refuses(cpu, pk, access.write);
	if (key || (access.write && !may_write) || (access.exec && !may_execute))
		return refusal(cpu, access, true, false, key);
	/* The guest has keys off in this mode, but the CPU has them on. */
	if (!access.exec && key_refuses(cpu, cpu->pke ? pk : 0, access.write))
		return refusal(cpu, access, true, false, true);
	return (struct horrible_answer){
		.allowed = true, .gpa = table + field(access.gva, 0, page_bits(level) - 1) };
}

unsigned horrible_entries(const struct horrible_mmu *mmu, const struct horrible_cpu *cpu,
			  uint64_t gva, uint64_t entries[5])
{
	uint64_t table = field(cpu->cr3, 12, 51) << 12;
	unsigned level, count = 0;

	for (level = levels_of(cpu); level >= 1; level--) {
		uint64_t entry;

		if (!is_memory(mmu, table))
			break;
		entries[count] = entry_address(table, gva, level);
		entry = *(uint64_t *)(mmu->memory + entries[count++]);
		if (!bit(entry, PRESENT) || is_page(entry, level))
			break;
		table = frame_of(entry, level);
	}
	return count;
}

/* ------------------------------------------------------------------------
 * The past.
 */

static struct tag *find_tag(struct horrible_mmu *mmu, unsigned n, uint64_t cr3)
{
	struct tag *tag;

	cr3 = field(cr3, 12, 51);
	for (tag = mmu->tags[n]; tag; tag = tag->next)
		if (tag->cr3 == cr3)
			return tag;
	tag = calloc(1, sizeof(*tag));
	tag->cr3 = cr3;
	tag->epochs = 1;
	tag->next = mmu->tags[n];
	mmu->tags[n] = tag;
	return tag;
}

static struct invalidation **invalidation_slot(struct horrible_mmu *mmu, unsigned n, uint64_t cr3,
					       uint64_t page, unsigned level)
{
	uint64_t hash = (n * 31 + field(cr3, 12, 51)) * 0x9e3779b97f4a7c15ull + page * 8 + level;
	struct invalidation **slot;

	hash ^= hash >> 29;
	for (slot = &mmu->invalidations[hash % BUCKETS]; *slot; slot = &(*slot)->next)
		if ((*slot)->n == n && (*slot)->cr3 == field(cr3, 12, 51) && (*slot)->page == page &&
		    (*slot)->level == level)
			break;
	return slot;
}

void horrible_flush_all(struct horrible_mmu *mmu, unsigned n)
{
	mmu->flushed[n] = mmu->now;
}

static void new_epoch(struct tag *tag, uint64_t now)
{
	unsigned i;

	if (tag->epochs == EPOCHS) {
		/* The two oldest become one: that allows more than there was. */
		for (i = 1; i + 1 < EPOCHS; i++)
			tag->epoch[i] = tag->epoch[i + 1];
		tag->epochs--;
	}
	tag->epoch[tag->epochs++] = now;
}

void horrible_flush_tag(struct horrible_mmu *mmu, unsigned n, uint64_t cr3)
{
	struct tag *tag = find_tag(mmu, n, cr3);

	tag->flushed = mmu->now;
	tag->epochs = 1;
	tag->epoch[0] = mmu->now;
}

/* Of whatever size the page is that the TLB holds there: gone. SDM vol. 3, 4.10.4.1 */
void horrible_invlpg(struct horrible_mmu *mmu, unsigned n, const struct horrible_cpu *cpu,
		     uint64_t cr3, uint64_t gva)
{
	unsigned level;

	if (!is_canonical(cpu, gva) || !is_legal(cpu, gva))
		return;
	for (level = 1; level <= 3; level++) {
		uint64_t page = gva >> page_bits(level);
		struct invalidation **slot = invalidation_slot(mmu, n, cr3, page, level);

		if (!*slot) {
			*slot = calloc(1, sizeof(**slot));
			(*slot)->n = n;
			(*slot)->cr3 = field(cr3, 12, 51);
			(*slot)->page = page;
			(*slot)->level = level;
		}
		(*slot)->time = mmu->now;
	}
	new_epoch(find_tag(mmu, n, cr3), mmu->now);
}

/* A question to the past. */
struct question {
	struct horrible_mmu *mmu;
	const struct horrible_cpu *cpu;
	struct horrible_access access;
	unsigned n;
	uint64_t gpa;
	uint64_t until;		/* the epoch's end: nothing is read then or later */
};

/* Could the entry have been read as @value, in a walk that may do the access? */
static bool entry_serves(const struct question *q, uint64_t value, unsigned level)
{
	if (!bit(value, PRESENT) || !bit(value, ACCESSED) || breaks_reserved(q->cpu, value, level))
		return false;
	if (q->access.write && !bit(value, WRITABLE))
		return false;
	if (q->access.exec && bit(value, NO_EXECUTE))
		return false;
	if (!is_page(value, level))
		return true;
	if (q->access.write && !bit(value, DIRTY))
		return false;
	if (!q->access.exec &&
	    key_refuses(q->cpu, q->cpu->pke ? (unsigned)field(value, 59, 62) : 0, q->access.write))
		return false;
	return frame_of(value, level) + field(q->access.gva, 0, page_bits(level) - 1) == q->gpa;
}

/* Is there a walk from @table down, each entry read at @from or later? @users: U so far. */
static bool walk_past(const struct question *q, uint64_t table, unsigned level, uint64_t from,
		      bool users)
{
	uint64_t where = entry_address(table, q->access.gva, level), end = q->until;
	const struct word *word;
	uint64_t value;
	uint32_t i;

	if (table >= q->mmu->size)
		return false;
	word = &q->mmu->words[where / 8];
	for (i = word->count ? word->count : 1; i-- > 0; ) {
		uint64_t time = from;

		value = word->count ? word->versions[i].value : q->mmu->seen[where / 8];
		if (word->count && word->versions[i].since > time)
			time = word->versions[i].since;
		if (entry_serves(q, value, level)) {
			bool users_page = users && bit(value, USER);

			if (is_page(value, level)) {
				struct invalidation *gone =
					*invalidation_slot(q->mmu, q->n, q->cpu->cr3,
							   q->access.gva >> page_bits(level), level);

				if (gone && gone->time > time)
					time = gone->time;
				if (time < end && !us_refuses(q->cpu, users_page, q->access.exec))
					return true;
			} else if (time < end && walk_past(q, frame_of(value, level), level - 1, time,
							   users_page)) {
				return true;
			}
		}
		if (word->count && word->versions[i].since < end)
			end = word->versions[i].since;
		if (end <= from)
			break;	/* older ones were gone by then */
	}
	return false;
}

bool horrible_may(struct horrible_mmu *mmu, unsigned n, const struct horrible_cpu *cpu,
		  struct horrible_access access, uint64_t gpa)
{
	struct question q = { .mmu = mmu, .cpu = cpu, .access = access, .n = n, .gpa = gpa };
	struct tag *tag = find_tag(mmu, n, cpu->cr3);
	unsigned i;

	if (!is_canonical(cpu, access.gva) || !is_legal(cpu, access.gva))
		return false;
	q.until = ~0ull;
	for (i = tag->epochs; i-- > 0; ) {
		uint64_t from = tag->epoch[i];

		if (from < mmu->flushed[n])
			from = mmu->flushed[n];
		if (from < tag->flushed)
			from = tag->flushed;
		if (from < q.until &&
		    walk_past(&q, field(cpu->cr3, 12, 51) << 12, levels_of(cpu), from, true))
			return true;
		q.until = tag->epoch[i];
	}
	return false;
}

void horrible_explain(struct horrible_mmu *mmu, unsigned n, const struct horrible_cpu *cpu,
		      uint64_t gva)
{
	uint64_t entries[5];
	unsigned i, count = horrible_entries(mmu, cpu, gva, entries);
	const struct tag *tag = find_tag(mmu, n, cpu->cr3);

	fprintf(stderr, "now %" PRIu64 "; flushed: everything %" PRIu64 ", tag %" PRIu64
		", last epoch %" PRIu64 "\n", mmu->now, mmu->flushed[n], tag->flushed,
		tag->epoch[tag->epochs - 1]);
	for (i = 0; i < count; i++) {
		const struct word *word = &mmu->words[entries[i] / 8];
		uint32_t v = word->count > 12 ? word->count - 12 : 0;

		fprintf(stderr, "  entry at %" PRIx64 ":", entries[i]);
		if (!word->count)
			fprintf(stderr, " always %" PRIx64, mmu->seen[entries[i] / 8]);
		for (; v < word->count; v++)
			fprintf(stderr, " %" PRIu64 ":%" PRIx64, word->versions[v].since,
				word->versions[v].value);
		fprintf(stderr, "\n");
	}
}
