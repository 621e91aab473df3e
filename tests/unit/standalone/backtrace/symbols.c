/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Names and unwind tables from a guest's ELF file, and from files that only
 * look like one.
 */
#include "symbols.h"

#include <criterion/criterion.h>
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PROGRAM_BASE	0x400000

/* Use every part of a file that could be opened. */
static void exercise(const char *path)
{
	struct symbols *symbols = symbols_open(path);
	uint64_t offset, address;
	size_t size, count, i;
	const struct symbols_fde *fdes;
	const uint8_t *bytes;
	unsigned sum = 0;

	if (!symbols)
		return;
	for (address = PROGRAM_BASE - 8; address < PROGRAM_BASE + 0x600; address += 16) {
		const char *name = symbols_find(symbols, address, &offset);

		sum += name ? (unsigned)strlen(name) : 0;
	}
	fdes = symbols_fdes(symbols, &count);
	for (i = 0; i < count; i++)
		sum += (unsigned)fdes[i].start;
	bytes = symbols_eh_frame(symbols, &address, &size);
	for (i = 0; bytes && i < size; i++)
		sum += bytes[i];
	*(volatile unsigned *)&sum = sum;
	symbols_close(symbols);
}

static uint8_t *read_program(size_t *size)
{
	FILE *file = fopen(PROGRAM, "r");
	uint8_t *bytes = malloc(1 << 20);

	cr_assert_not_null(file, "%s", PROGRAM);
	*size = fread(bytes, 1, 1 << 20, file);
	fclose(file);
	return bytes;
}

static void write_file(const char *path, const uint8_t *bytes, size_t size)
{
	FILE *file = fopen(path, "w");

	cr_assert_not_null(file);
	cr_assert_eq(fwrite(bytes, 1, size, file), size);
	fclose(file);
}

Test(symbols, an_address_is_named_by_the_function_around_it)
{
	struct symbols *symbols = symbols_open(PROGRAM);
	uint64_t offset = 99;

	cr_assert_not_null(symbols);
	cr_assert_str_eq(symbols_find(symbols, PROGRAM_BASE, &offset), "outermost");
	cr_assert_eq(offset, 0);
	cr_assert_str_eq(symbols_find(symbols, PROGRAM_BASE + 0x209, &offset), "middle");
	cr_assert_eq(offset, 9);
	symbols_close(symbols);
}

Test(symbols, a_label_without_a_size_reaches_to_the_end_of_its_section)
{
	struct symbols *symbols = symbols_open(PROGRAM);
	uint64_t offset;

	cr_assert_not_null(symbols);
	cr_assert_str_eq(symbols_find(symbols, PROGRAM_BASE + 0x401, &offset), "entry_point");
	cr_assert_eq(offset, 1);
	symbols_close(symbols);
}

Test(symbols, an_address_outside_the_code_has_no_name)
{
	struct symbols *symbols = symbols_open(PROGRAM);
	uint64_t offset;

	cr_assert_not_null(symbols);
	cr_assert_null(symbols_find(symbols, PROGRAM_BASE - 1, &offset));
	cr_assert_null(symbols_find(symbols, PROGRAM_BASE + 0x402, &offset), "after the section");
	cr_assert_null(symbols_find(symbols, PROGRAM_BASE + 0x180, &offset), "between functions");
	cr_assert_null(symbols_find(symbols, ~0ull, &offset));
	symbols_close(symbols);
}

Test(symbols, every_function_with_unwind_information_is_in_the_table_in_order)
{
	struct symbols *symbols = symbols_open(PROGRAM);
	const struct symbols_fde *fdes;
	uint64_t address;
	size_t count, size, i;

	cr_assert_not_null(symbols);
	cr_assert_not_null(symbols_eh_frame(symbols, &address, &size));
	fdes = symbols_fdes(symbols, &count);
	cr_assert_eq(count, 3);
	for (i = 0; i < count; i++)
		cr_assert_eq(address + (uint64_t)(int64_t)fdes[i].start, PROGRAM_BASE + 0x100 * (i + 1));
	symbols_close(symbols);
}

Test(symbols, what_is_no_elf_file_has_no_symbols)
{
	cr_assert_null(symbols_open("/nonexistent"));
	cr_assert_null(symbols_open("/"));
	cr_assert_null(symbols_open("/dev/zero"));
	cr_assert_null(symbols_open("/etc/passwd"));
	symbols_close(NULL);
}

Test(symbols, a_truncated_file_is_read_no_further_than_it_goes)
{
	char path[] = "/tmp/pvm-symbols-test-XXXXXX";
	size_t size, cut;
	uint8_t *bytes = read_program(&size);
	int fd = mkstemp(path);

	cr_assert_geq(fd, 0);
	close(fd);
	for (cut = 0; cut < size; cut += cut < 128 ? 1 : 61) {
		/* malloc'ed to size, so that ASan sees a read after the end */
		write_file(path, bytes, cut);
		exercise(path);
	}
	unlink(path);
	free(bytes);
}

Test(symbols, a_file_with_random_bytes_changed_is_read_within_its_bounds)
{
	char path[] = "/tmp/pvm-symbols-test-XXXXXX";
	size_t size;
	uint8_t *bytes = read_program(&size), *copy = malloc(size);
	int fd = mkstemp(path), round, change;

	cr_assert_geq(fd, 0);
	close(fd);
	srand(17);
	for (round = 0; round < 500; round++) {
		memcpy(copy, bytes, size);
		for (change = 0; change < 20; change++)
			copy[(size_t)rand() % size] = (uint8_t)rand();
		memcpy(copy, bytes, 20);	/* it still says that it is an ELF file */
		write_file(path, copy, size);
		exercise(path);
	}
	unlink(path);
	free(copy);
	free(bytes);
}

/* PROGRAM with two more sections; the file is the caller's to unlink. */
static void write_with_sections(char *path, Elf64_Shdr first, Elf64_Shdr second)
{
	size_t size, table;
	uint8_t *bytes = read_program(&size);
	Elf64_Ehdr *header = (Elf64_Ehdr *)bytes;
	Elf64_Shdr *sections;
	int fd = mkstemp(path);

	cr_assert_geq(fd, 0);
	close(fd);
	table = header->e_shnum * sizeof(Elf64_Shdr);
	size = (size + 15) & ~15ul;
	memcpy(bytes + size, bytes + header->e_shoff, table);
	header->e_shoff = size;
	sections = (Elf64_Shdr *)(bytes + size);
	sections[header->e_shnum] = first;
	second.sh_link = header->e_shnum;
	sections[header->e_shnum + 1] = second;
	header->e_shnum += 2;
	write_file(path, bytes, size + table + 2 * sizeof(Elf64_Shdr));
	free(bytes);
}

Test(symbols, a_second_table_whose_names_are_not_in_the_file_changes_nothing)
{
	char path[] = "/tmp/pvm-symbols-test-XXXXXX";
	struct symbols *symbols;
	uint64_t offset;

	write_with_sections(path, (Elf64_Shdr){ .sh_type = SHT_NOBITS, .sh_size = 16 },
			    (Elf64_Shdr){ .sh_type = SHT_SYMTAB, .sh_offset = 0x40, .sh_size = 48 });
	symbols = symbols_open(path);
	cr_assert_not_null(symbols);
	cr_assert_str_eq(symbols_find(symbols, PROGRAM_BASE + 0x209, &offset), "middle");
	symbols_close(symbols);
	unlink(path);
}

Test(symbols, a_second_table_that_is_not_in_the_file_changes_nothing)
{
	char path[] = "/tmp/pvm-symbols-test-XXXXXX";
	struct symbols *symbols;
	uint64_t offset;

	write_with_sections(path, (Elf64_Shdr){ .sh_type = SHT_STRTAB, .sh_size = 16 },
			    (Elf64_Shdr){ .sh_type = SHT_SYMTAB, .sh_offset = 1ull << 40, .sh_size = 48 });
	symbols = symbols_open(path);
	cr_assert_not_null(symbols);
	cr_assert_str_eq(symbols_find(symbols, PROGRAM_BASE + 0x209, &offset), "middle");
	symbols_close(symbols);
	unlink(path);
}

/* ------------------------------------------------------------------------
 * What a report costs is bounded whatever the file is: no --timeout ends it.
 */

#define WALKED_MAX	(1u << 20)	/* symbols, entries of .eh_frame */

static char costly[] = "/tmp/pvm-symbols-test-XXXXXX";

/* PROGRAM with other bytes in the section of that type, or in .eh_frame. */
static void write_costly(uint32_t type, const void *section, size_t section_size)
{
	size_t size, i;
	uint8_t *bytes = read_program(&size), *all;
	const Elf64_Ehdr *header = (Elf64_Ehdr *)bytes;
	Elf64_Shdr *sections = (Elf64_Shdr *)(bytes + header->e_shoff);
	const char *names = (char *)bytes + sections[header->e_shstrndx].sh_offset;
	int fd = mkstemp(costly);

	cr_assert_geq(fd, 0);
	close(fd);
	size = (size + 15) & ~15ul;
	for (i = 0; i < header->e_shnum; i++) {
		if (type ? sections[i].sh_type != type : strcmp(names + sections[i].sh_name, ".eh_frame"))
			continue;
		sections[i].sh_offset = size;
		sections[i].sh_size = section_size;
	}
	all = malloc(size + section_size);
	memcpy(all, bytes, size);
	memcpy(all + size, section, section_size);
	write_file(costly, all, size + section_size);
	free(all);
	free(bytes);
}

/* The functions found in an .eh_frame of one CIE, with @body after its version, and @count short FDEs. */
static size_t functions_found(const void *body, size_t body_size, size_t count)
{
	uint32_t words[2] = { (uint32_t)(5 + body_size), 0 };
	size_t at = 0, found, i, size = sizeof(words) + 1 + body_size + count * sizeof(words);
	uint8_t *bytes = calloc(1, size + sizeof(words));
	struct symbols *symbols;

	memcpy(bytes, words, sizeof(words));
	bytes[sizeof(words)] = 1;
	memcpy(bytes + sizeof(words) + 1, body, body_size);
	at = sizeof(words) + 1 + body_size;
	for (i = 0; i < count; i++, at += sizeof(words)) {
		words[0] = 4;
		words[1] = (uint32_t)at + 4;
		memcpy(bytes + at, words, sizeof(words));
	}
	write_costly(0, bytes, size);
	symbols = symbols_open(costly);
	cr_assert_not_null(symbols);
	symbols_fdes(symbols, &found);
	symbols_close(symbols);
	unlink(costly);
	free(bytes);
	return found;
}

Test(symbols, an_unwind_entry_of_a_compiler_is_found_whatever_stands_before_it)
{
	/* zPLR: 12 bytes of data, a personality and two encodings; R says 4 bytes, pc-relative */
	static const uint8_t body[] = "zPLR\0\1\x78\x10\7\3\0\0\0\0\3\x1b";

	cr_assert_geq(functions_found(body, sizeof(body), 3), 2);
}

Test(symbols, an_augmentation_that_no_compiler_writes_is_not_read_for_each_entry)
{
	static const uint8_t rest[] = { 'R', 0, 1, 1, 1, 1, 0x03 };	/* addresses of 4 bytes */
	size_t length = 1 << 16;
	uint8_t *body = malloc(length + sizeof(rest));

	memset(body, 'S', length);
	body[0] = 'z';
	memcpy(body + length, rest, sizeof(rest));
	cr_assert_eq(functions_found(body, length + sizeof(rest), 1000), 0);
	free(body);
}

Test(symbols, a_number_without_an_end_is_not_read_for_each_entry)
{
	static const uint8_t rest[] = { 1, 1, 1, 1, 0x03 };
	size_t length = 1 << 16;
	uint8_t *body = malloc(length + sizeof(rest));

	memset(body, 0x80, length);
	memcpy(body, "zR", 3);
	memcpy(body + length, rest, sizeof(rest));
	cr_assert_eq(functions_found(body, length + sizeof(rest), 1000), 0);
	free(body);
}

Test(symbols, a_million_unwind_entries_are_read_and_no_more)
{
	static const uint8_t body[] = { 'z', 'R', 0, 1, 1, 1, 1, 0x03 };

	cr_assert_eq(functions_found(body, sizeof(body), WALKED_MAX + 100), WALKED_MAX - 1, "less the CIE");
}

/* PROGRAM's first function again, last of @count symbols; the name that its code is found by. */
static bool is_named_as_last_of(size_t count)
{
	Elf64_Sym *table = calloc(count, sizeof(*table));
	struct symbols *symbols;
	uint64_t offset;
	bool named;

	table[count - 1] = (Elf64_Sym){ .st_name = 1, .st_info = STT_FUNC, .st_shndx = 1,
					.st_value = PROGRAM_BASE, .st_size = 4 };
	write_costly(SHT_SYMTAB, table, count * sizeof(*table));
	symbols = symbols_open(costly);
	cr_assert_not_null(symbols);
	named = symbols_find(symbols, PROGRAM_BASE + 2, &offset) && offset == 2;
	symbols_close(symbols);
	unlink(costly);
	free(table);
	return named;
}

Test(symbols, a_million_symbols_are_looked_at_and_no_more)
{
	cr_assert(is_named_as_last_of(WALKED_MAX));
	memcpy(costly + sizeof(costly) - 7, "XXXXXX", 6);
	cr_assert_not(is_named_as_last_of(WALKED_MAX + 1));
}

Test(symbols, an_address_after_a_thousand_short_functions_is_not_looked_for_in_all)
{
	size_t count = 3000, i;
	Elf64_Sym *table = calloc(count, sizeof(*table));
	struct symbols *symbols;
	uint64_t offset;

	for (i = 0; i < count; i++)
		table[i] = (Elf64_Sym){ .st_name = 1, .st_info = STT_FUNC, .st_shndx = 1,
					.st_value = PROGRAM_BASE + i / 100, .st_size = i ? 1 : 0x200 };
	write_costly(SHT_SYMTAB, table, count * sizeof(*table));
	symbols = symbols_open(costly);
	cr_assert_not_null(symbols);
	cr_assert_not_null(symbols_find(symbols, PROGRAM_BASE + 8, &offset), "900 do not reach it, one does");
	cr_assert_eq(offset, 0);
	cr_assert_null(symbols_find(symbols, PROGRAM_BASE + 0x100, &offset), "too far from the one that does");
	symbols_close(symbols);
	unlink(costly);
	free(table);
}

/* Is the first function found, when all strings of PROGRAM are one of @length letters? */
static bool has_name_of(size_t length)
{
	char *strings = calloc(1, length + 2);
	struct symbols *symbols;
	uint64_t offset;
	bool has;

	memset(strings + 1, 'a', length);
	write_costly(SHT_STRTAB, strings, length + 2);
	symbols = symbols_open(costly);
	cr_assert_not_null(symbols);
	has = symbols_find(symbols, PROGRAM_BASE, &offset) != NULL;
	symbols_close(symbols);
	unlink(costly);
	memcpy(costly + sizeof(costly) - 7, "XXXXXX", 6);
	free(strings);
	return has;
}

Test(symbols, a_name_that_no_screen_holds_is_none)
{
	cr_assert(has_name_of(1000));
	cr_assert_not(has_name_of(5000));
}
