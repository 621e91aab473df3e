/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Reads .pvm.script from an ELF64 file, trusting no offset in it. */
#include "script_elf.h"

#include <elf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_SCRIPT (4u << 20)	/* bytes */

static bool read_at(FILE *file, uint64_t offset, void *buf, size_t size)
{
	return offset <= INT64_MAX && fseek(file, (long)offset, SEEK_SET) == 0 &&
	       fread(buf, 1, size, file) == size;
}

static bool read_section_header(FILE *file, const Elf64_Ehdr *elf, unsigned index, Elf64_Shdr *section)
{
	return index < elf->e_shnum && elf->e_shentsize == sizeof(*section) &&
	       elf->e_shoff <= INT64_MAX &&
	       read_at(file, elf->e_shoff + (uint64_t)index * sizeof(*section), section,
		       sizeof(*section));
}

static bool named(FILE *file, const Elf64_Shdr *names, const Elf64_Shdr *section)
{
	char name[sizeof(SCRIPT_SECTION)];

	return section->sh_name < names->sh_size && names->sh_offset <= INT64_MAX &&
	       read_at(file, names->sh_offset + section->sh_name, name, sizeof(name)) &&
	       memcmp(name, SCRIPT_SECTION, sizeof(name)) == 0;
}

/* False: no such section. */
static bool find(FILE *file, Elf64_Shdr *section)
{
	Elf64_Shdr names;
	Elf64_Ehdr elf;
	unsigned i;

	if (!read_at(file, 0, &elf, sizeof(elf)) || memcmp(elf.e_ident, ELFMAG, SELFMAG) != 0 ||
	    elf.e_ident[EI_CLASS] != ELFCLASS64 ||
	    !read_section_header(file, &elf, elf.e_shstrndx, &names))
		return false;
	for (i = 0; i < elf.e_shnum; i++)
		if (read_section_header(file, &elf, i, section) && named(file, &names, section))
			return true;
	return false;
}

static char *read_text(FILE *file, const Elf64_Shdr *section)
{
	char *text;

	if (section->sh_size > MAX_SCRIPT || section->sh_type == SHT_NOBITS)
		return NULL;
	text = calloc(1, section->sh_size + 1);
	if (text && !read_at(file, section->sh_offset, text, section->sh_size)) {
		free(text);
		return NULL;
	}
	return text;
}

char *script_elf_read(const char *path, char *why, size_t why_size)
{
	FILE *file = fopen(path, "rb");
	Elf64_Shdr section;
	char *text = NULL;

	if (!file) {
		snprintf(why, why_size, "%s: %s", path, strerror(errno));
		return NULL;
	}
	if (!find(file, &section)) {
		snprintf(why, why_size, "%s: no " SCRIPT_SECTION " section: the model executes scripted "
			 "accesses, not instructions", path);
	} else {
		text = read_text(file, &section);
		if (!text)
			snprintf(why, why_size, "%s: its " SCRIPT_SECTION " section is truncated or over "
				 "%u bytes", path, MAX_SCRIPT);
	}
	fclose(file);
	return text;
}
