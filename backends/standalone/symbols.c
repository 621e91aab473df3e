/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Function names and unwind tables of a guest's ELF file, or names from a System.map. Reads the file only,
 * never guest memory, and trusts nothing that it reads.
 */
#include "symbols.h"

#include <elf.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "system_map.h"

/* DWARF pointer encodings, as .eh_frame uses them (LSB, "DWARF Extensions"). */
#define DW_EH_PE_FORMAT		0x0f
#define DW_EH_PE_ABSPTR		0x00
#define DW_EH_PE_UDATA4		0x03
#define DW_EH_PE_UDATA8		0x04
#define DW_EH_PE_SDATA4		0x0b
#define DW_EH_PE_SDATA8		0x0c
#define DW_EH_PE_BASE		0x70
#define DW_EH_PE_PCREL		0x10
#define FILE_SIZE_MAX		(256 << 20)	/* bytes; a larger guest goes without names */
#define DWARF_LENGTH_64		0xffffffffu	/* a 64-bit length follows: not made by compilers */

/* What a hostile file may cost: a report is not ended by --timeout. Linux has some 300,000 symbols. */
#define SYMBOLS_MAX		(1u << 20)	/* looked at; as many entries of .eh_frame */
#define NAME_LENGTH_MAX		1023
#define AUGMENTATION_MAX	8		/* letters; compilers use "zPLRS" at most */
#define LEB128_MAX		10		/* bytes of 64 bits */
#define NESTED_MAX		1000		/* functions before an address that do not reach it */

struct symbols {
	struct system_map *map;		/* names, of a file that is no ELF file; nothing else is there then */
	uint8_t *file;
	size_t size;
	const Elf64_Shdr *sections;
	uint16_t section_count;

	const Elf64_Sym *table;
	size_t table_count;
	const char *names;
	size_t names_size;
	const Elf64_Sym **code;		/* those that may name code, by their value */
	size_t code_count;

	const uint8_t *eh_frame;
	uint64_t eh_frame_address;
	size_t eh_frame_size;
	struct symbols_fde *fdes;
	size_t fde_count;
};

/* @size bytes of the file at @offset, suitably aligned; NULL if it has not that many. */
static const void *file_part(const struct symbols *s, uint64_t offset, uint64_t size, size_t align)
{
	if (offset > s->size || size > s->size - offset || offset % align)
		return NULL;
	return s->file + offset;
}

static const void *section_bytes(const struct symbols *s, const Elf64_Shdr *section, size_t align)
{
	if (section->sh_type == SHT_NOBITS)
		return NULL;
	return file_part(s, section->sh_offset, section->sh_size, align);
}

/* All four of one section and its names, or none of them. */
static void take_table(struct symbols *s, const Elf64_Shdr *section, const Elf64_Shdr *strings)
{
	const Elf64_Sym *table = section_bytes(s, section, _Alignof(Elf64_Sym));
	const char *names = section_bytes(s, strings, 1);

	if (!table || !names)
		return;
	s->table = table;
	s->table_count = section->sh_size / sizeof(Elf64_Sym);
	s->names = names;
	s->names_size = strings->sh_size;
}

/* The sections that matter: .symtab with its names, and .eh_frame. */
static void find_sections(struct symbols *s, const Elf64_Ehdr *header)
{
	const Elf64_Shdr *names_section;
	const char *section_names;
	unsigned i;

	if (header->e_shstrndx >= s->section_count)
		return;
	names_section = &s->sections[header->e_shstrndx];
	section_names = section_bytes(s, names_section, 1);
	for (i = 0; i < s->section_count; i++) {
		const Elf64_Shdr *section = &s->sections[i];

		if (section->sh_type == SHT_SYMTAB && section->sh_link < s->section_count)
			take_table(s, section, &s->sections[section->sh_link]);
		if (section_names && names_section->sh_size >= sizeof(".eh_frame") &&
		    section->sh_name <= names_section->sh_size - sizeof(".eh_frame") &&
		    !memcmp(section_names + section->sh_name, ".eh_frame", sizeof(".eh_frame"))) {
			s->eh_frame = section_bytes(s, section, 1);
			s->eh_frame_address = section->sh_addr;
			s->eh_frame_size = s->eh_frame ? section->sh_size : 0;
		}
	}
}

/* A reader that never leaves its bytes: after an overrun everything reads as 0. */
struct reader {
	const uint8_t *at, *end;
	bool overrun;
};

static uint64_t read_fixed(struct reader *r, size_t size)
{
	uint64_t value = 0;

	if ((size_t)(r->end - r->at) < size) {
		r->overrun = true;
		return 0;
	}
	memcpy(&value, r->at, size);
	r->at += size;
	return value;
}

/* Signed or not: nothing here needs its value. */
static void skip_leb128(struct reader *r)
{
	unsigned i;

	for (i = 0; i < LEB128_MAX; i++)
		if (!(read_fixed(r, 1) & 0x80))
			return;
	r->overrun = true;
}

/* An encoded pointer; @address is where the reader stands in the guest. */
static uint64_t read_pointer(struct reader *r, uint8_t encoding, uint64_t address)
{
	uint64_t value;

	switch (encoding & DW_EH_PE_FORMAT) {
	case DW_EH_PE_UDATA4:
		value = read_fixed(r, 4);
		break;
	case DW_EH_PE_SDATA4:
		value = (uint64_t)(int32_t)read_fixed(r, 4);
		break;
	case DW_EH_PE_ABSPTR:
	case DW_EH_PE_UDATA8:
	case DW_EH_PE_SDATA8:
		value = read_fixed(r, 8);
		break;
	default:
		r->overrun = true;
		return 0;
	}
	return (encoding & DW_EH_PE_BASE) == DW_EH_PE_PCREL ? value + address : value;
}

/* How the FDEs of the CIE at @offset (its length field) encode addresses. */
static bool cie_encoding(const struct symbols *s, uint64_t offset, uint8_t *encoding)
{
	struct reader r = { s->eh_frame + offset, s->eh_frame + s->eh_frame_size, false };
	const char *augmentation;
	size_t length, left;

	read_fixed(&r, 4);			/* length */
	if (read_fixed(&r, 4) != 0)		/* not a CIE */
		return false;
	read_fixed(&r, 1);			/* version */
	augmentation = (const char *)r.at;
	left = (size_t)(r.end - r.at);
	length = strnlen(augmentation, left < AUGMENTATION_MAX + 1 ? left : AUGMENTATION_MAX + 1);
	if (length == left || length > AUGMENTATION_MAX)
		return false;
	r.at += length + 1;
	skip_leb128(&r);			/* code alignment */
	skip_leb128(&r);			/* data alignment */
	skip_leb128(&r);			/* return address register */
	*encoding = DW_EH_PE_ABSPTR;
	if (*augmentation != 'z')
		return !r.overrun;
	skip_leb128(&r);			/* length of what follows */
	for (augmentation++; *augmentation && !r.overrun; augmentation++) {
		if (*augmentation == 'R')
			*encoding = (uint8_t)read_fixed(&r, 1);
		else if (*augmentation == 'L')
			read_fixed(&r, 1);
		else if (*augmentation == 'P')
			read_pointer(&r, (uint8_t)read_fixed(&r, 1), 0);
		else if (*augmentation != 'S')
			break;
	}
	return !r.overrun;
}

static bool add_fde(struct symbols *s, size_t *room, uint64_t start, uint64_t offset)
{
	int64_t relative = (int64_t)(start - s->eh_frame_address);

	if (relative < INT32_MIN || relative > INT32_MAX || offset > INT32_MAX)
		return true;			/* further from its table than any real one */
	if (s->fde_count == *room) {
		size_t more = *room ? *room * 2 : 64;
		struct symbols_fde *grown = realloc(s->fdes, more * sizeof(*grown));

		if (!grown)
			return false;
		s->fdes = grown;
		*room = more;
	}
	s->fdes[s->fde_count].start = (int32_t)relative;
	s->fdes[s->fde_count++].fde = (int32_t)offset;
	return true;
}

static int compare_fdes(const void *a, const void *b)
{
	int32_t left = ((const struct symbols_fde *)a)->start;
	int32_t right = ((const struct symbols_fde *)b)->start;

	return (left > right) - (left < right);
}

/* Walk .eh_frame and note where each function's entry is. */
static void index_eh_frame(struct symbols *s)
{
	uint64_t offset = 0;
	size_t room = 0;
	unsigned entries;

	if (!s->eh_frame)
		return;
	for (entries = 0; entries < SYMBOLS_MAX && offset + 8 <= s->eh_frame_size; entries++) {
		struct reader r = { s->eh_frame + offset, s->eh_frame + s->eh_frame_size, false };
		uint64_t length = read_fixed(&r, 4), back, start;
		uint8_t encoding;

		if (length < 4 || length == DWARF_LENGTH_64 || length > s->eh_frame_size - offset - 4)
			break;
		back = read_fixed(&r, 4);	/* from here to the CIE; 0: this is one */
		if (back && back <= offset + 4 && cie_encoding(s, offset + 4 - back, &encoding)) {
			start = read_pointer(&r, encoding, s->eh_frame_address + offset + 8);
			if (!r.overrun && !add_fde(s, &room, start, offset))
				break;
		}
		offset += 4 + length;
	}
	if (s->fde_count)
		qsort(s->fdes, s->fde_count, sizeof(*s->fdes), compare_fdes);
}

/* The section of the code that @symbol names; NULL: it names none. */
static const Elf64_Shdr *code_of(const struct symbols *s, const Elf64_Sym *symbol)
{
	unsigned type = ELF64_ST_TYPE(symbol->st_info);
	const Elf64_Shdr *section;

	if ((type != STT_FUNC && type != STT_NOTYPE) || symbol->st_shndx >= s->section_count ||
	    symbol->st_name >= s->names_size || !s->names[symbol->st_name])
		return NULL;
	section = &s->sections[symbol->st_shndx];
	return section->sh_flags & SHF_EXECINSTR ? section : NULL;
}

/* By value; of several at one place the file's first is the last here. */
static int compare_code(const void *a, const void *b)
{
	const Elf64_Sym *left = *(const Elf64_Sym *const *)a, *right = *(const Elf64_Sym *const *)b;

	if (left->st_value != right->st_value)
		return left->st_value < right->st_value ? -1 : 1;
	return (left < right) - (left > right);
}

static void index_code(struct symbols *s)
{
	size_t i;

	if (s->table_count > SYMBOLS_MAX)
		s->table_count = SYMBOLS_MAX;
	s->code = s->table_count ? malloc(s->table_count * sizeof(*s->code)) : NULL;
	if (!s->code)
		return;
	for (i = 0; i < s->table_count; i++)
		if (code_of(s, &s->table[i]))
			s->code[s->code_count++] = &s->table[i];
	qsort(s->code, s->code_count, sizeof(*s->code), compare_code);
}

/* A copy, not a mapping: the file may be cut short while we read. */
static bool read_file(struct symbols *s, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat status;
	uint8_t *copy = NULL;

	if (fd < 0)
		return false;
	if (!fstat(fd, &status) && S_ISREG(status.st_mode) &&
	    status.st_size >= (off_t)sizeof(Elf64_Ehdr) && status.st_size <= FILE_SIZE_MAX)
		copy = malloc((size_t)status.st_size);
	while (copy && s->size < (size_t)status.st_size) {
		ssize_t got = read(fd, copy + s->size, (size_t)status.st_size - s->size);

		if (got <= 0)
			break;
		s->size += (size_t)got;
	}
	close(fd);
	s->file = copy;
	return s->size >= sizeof(Elf64_Ehdr);
}

struct symbols *symbols_open(const char *path)
{
	struct symbols *s = calloc(1, sizeof(*s));
	const Elf64_Ehdr *header;

	if (!s || !read_file(s, path)) {
		symbols_close(s);
		return NULL;
	}
	header = (const Elf64_Ehdr *)s->file;
	if (memcmp(header->e_ident, ELFMAG, SELFMAG)) {
		s->map = system_map_open((char *)s->file, s->size);
		s->file = NULL;
		if (s->map)
			return s;
		symbols_close(s);
		return NULL;
	}
	if (header->e_ident[EI_CLASS] != ELFCLASS64 ||
	    header->e_machine != EM_X86_64 || header->e_shentsize != sizeof(Elf64_Shdr)) {
		symbols_close(s);
		return NULL;
	}
	s->sections = file_part(s, header->e_shoff,
				(uint64_t)header->e_shnum * sizeof(Elf64_Shdr), _Alignof(Elf64_Shdr));
	s->section_count = s->sections ? header->e_shnum : 0;
	find_sections(s, header);
	index_code(s);
	index_eh_frame(s);
	return s;
}

void symbols_close(struct symbols *symbols)
{
	if (!symbols)
		return;
	system_map_close(symbols->map);
	free(symbols->file);
	free(symbols->fdes);
	free(symbols->code);
	free(symbols);
}

/* Is @address in the code that @symbol names? */
static bool covers(const struct symbols *s, const Elf64_Sym *symbol, uint64_t address)
{
	const Elf64_Shdr *section = code_of(s, symbol);

	if (address - section->sh_addr >= section->sh_size)
		return false;
	/* Labels of assembly have no size: they reach to the next symbol. */
	return symbol->st_value <= address &&
	       (!symbol->st_size || address - symbol->st_value < symbol->st_size);
}

/* How many of the code's symbols start at @address or before. */
static size_t count_until(const struct symbols *s, uint64_t address)
{
	size_t low = 0, high = s->code_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (s->code[middle]->st_value <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const char *symbols_find(const struct symbols *s, uint64_t address, uint64_t *offset)
{
	size_t last, i, left;
	const char *name;

	if (s->map)
		return system_map_find(s->map, address, offset);
	last = i = count_until(s, address);
	while (i && last - i < NESTED_MAX && !covers(s, s->code[i - 1], address))
		i--;
	if (!i || last - i == NESTED_MAX)
		return NULL;
	name = s->names + s->code[i - 1]->st_name;
	left = s->names_size - s->code[i - 1]->st_name;
	if (!memchr(name, 0, left < NAME_LENGTH_MAX + 1 ? left : NAME_LENGTH_MAX + 1))
		return NULL;
	*offset = address - s->code[i - 1]->st_value;
	return name;
}

const uint8_t *symbols_eh_frame(const struct symbols *s, uint64_t *address, size_t *size)
{
	*address = s->eh_frame_address;
	*size = s->eh_frame_size;
	return s->eh_frame;
}

const struct symbols_fde *symbols_fdes(const struct symbols *s, size_t *count)
{
	*count = s->fde_count;
	return s->fdes;
}
