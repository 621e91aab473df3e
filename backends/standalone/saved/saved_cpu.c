/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * description.h: may a guest go on with the CPU of another host? What it was told that the CPU can do, it has
 * to be able to do; where the parts of XSAVE's area are has to be the same.
 */
#include <stdio.h>
#include <string.h>

#include "description.h"

enum { EAX, EBX, ECX, EDX };

/* Registers of leaves in which each bit is something that the CPU can do. */
static const struct {
	uint32_t leaf, subleaf;
	unsigned reg;
} features[] = {
	{ 1, 0, ECX },		{ 1, 0, EDX },		{ 7, 0, EBX },		{ 7, 0, ECX },
	{ 7, 0, EDX },		{ 7, 1, EAX },		{ 7, 1, EBX },		{ 7, 1, ECX },
	{ 7, 1, EDX },		{ 7, 2, EDX },		{ 0xd, 0, EAX },	{ 0xd, 0, EDX },
	{ 0xd, 1, EAX },	{ 0x80000001, 0, ECX }, { 0x80000001, 0, EDX }, { 0x80000007, 0, EDX },
	{ 0x80000008, 0, EBX }, { 0x80000021, 0, EAX }, { 0x80000021, 0, ECX },
};

#define FEATURES	(sizeof(features) / sizeof(features[0]))
#define XSAVE_LEAF	0xdu
#define XSAVE_PARTS	64u

static const struct pvm_cpuid_entry *find(const struct pvm_cpuid_entry *table, uint32_t count, uint32_t leaf,
					  uint32_t subleaf)
{
	uint32_t i;

	for (i = 0; i < count; i++) {
		if (table[i].leaf == leaf && (!table[i].subleaf_matters || table[i].subleaf == subleaf) &&
		    (table[i].subleaf_matters || !subleaf))
			return &table[i];
	}
	return NULL;
}

static uint32_t value(const struct pvm_cpuid_entry *entry, unsigned reg)
{
	if (!entry)
		return 0;
	switch (reg) {
	case EAX:
		return entry->eax;
	case EBX:
		return entry->ebx;
	case ECX:
		return entry->ecx;
	default:
		return entry->edx;
	}
}

static void add_bits(uint32_t bits, char *to, size_t size)
{
	const char *before = " bits ";
	unsigned i;

	for (i = 0; i < 32; i++) {
		size_t length = strlen(to);

		if (!(bits >> i & 1))
			continue;
		snprintf(to + length, size - length, "%s%u", before, i);
		before = ", ";
	}
}

int saved_cpu_check(const struct pvm_cpuid_entry *saved, uint32_t saved_count,
		    const struct pvm_cpuid_entry *host, uint32_t host_count, char *why, size_t why_size)
{
	static const char *const name[] = { "eax", "ebx", "ecx", "edx" };
	uint32_t i;

	why[0] = '\0';
	for (i = 0; i < FEATURES; i++) {
		uint32_t had = value(find(saved, saved_count, features[i].leaf, features[i].subleaf),
				     features[i].reg);
		uint32_t has = value(find(host, host_count, features[i].leaf, features[i].subleaf),
				     features[i].reg);
		size_t length = strlen(why);

		if (!(had & ~has))
			continue;
		snprintf(why + length, why_size - length, "%sleaf 0x%x", length ? "; " : "",
			 features[i].leaf);
		length = strlen(why);
		if (features[i].subleaf)
			snprintf(why + length, why_size - length, ".%u", features[i].subleaf);
		length = strlen(why);
		snprintf(why + length, why_size - length, " %s", name[features[i].reg]);
		add_bits(had & ~has, why, why_size);
	}
	for (i = 2; i < XSAVE_PARTS && !why[0]; i++) {
		const struct pvm_cpuid_entry *had = find(saved, saved_count, XSAVE_LEAF, i);
		const struct pvm_cpuid_entry *has = find(host, host_count, XSAVE_LEAF, i);

		if (had && had->eax && (!has || had->eax != has->eax || had->ebx != has->ebx))
			snprintf(why, why_size, "leaf 0xd.%u: its part of XSAVE's area is elsewhere", i);
	}
	return why[0] ? -1 : 0;
}
