/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Names from a System.map, and from texts that only look like one. */
#include "symbols.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char path[] = "/tmp/pvm-system-map-XXXXXX";

static struct symbols *open_text(const char *text, size_t size)
{
	struct symbols *symbols;
	int fd;

	strcpy(path, "/tmp/pvm-system-map-XXXXXX");
	fd = mkstemp(path);
	cr_assert(fd >= 0 && write(fd, text, size) == (ssize_t)size);
	close(fd);
	symbols = symbols_open(path);
	unlink(path);
	return symbols;
}

static const char map[] =
	"0000000000000000 D fixed_percpu_data\n"
	"ffffffff81000100 t one\n"
	"ffffffff81000000 T _text\n"
	"ffffffff81000000 T startup\n"
	"ffffffff81000200 D data_between\n"
	"ffffffff81000300 W two\n"
	"ffffffff81400000 T _etext\n"
	"ffffffff82000000 D jiffies\n";

static const char *name_at(const struct symbols *symbols, uint64_t address, uint64_t want)
{
	uint64_t offset = 0;
	const char *name = symbols_find(symbols, address, &offset);

	if (!name)
		return "none";
	cr_expect_eq(offset, want, "%s+0x%lx", name, offset);
	return name;
}

Test(system_map, names_of_code)
{
	struct symbols *symbols = open_text(map, sizeof(map) - 1);
	uint64_t address;
	size_t size;

	cr_assert_not_null(symbols);
	cr_expect_str_eq(name_at(symbols, 0xffffffff81000000, 0), "_text", "the first of two");
	cr_expect_str_eq(name_at(symbols, 0xffffffff81000123, 0x23), "one");
	cr_expect_str_eq(name_at(symbols, 0xffffffff81000210, 0x110), "one", "data are no function's end");
	cr_expect_str_eq(name_at(symbols, 0xffffffff81000300, 0), "two");
	cr_expect_str_eq(name_at(symbols, 0xffffffff80ffffff, 0), "none");
	cr_expect_str_eq(name_at(symbols, 0xffffffff81300000, 0), "none", "too far from a name");
	cr_expect_str_eq(name_at(symbols, 0xffffffff81400010, 0), "none", "behind the code");
	cr_expect_str_eq(name_at(symbols, 0, 0), "none");
	cr_expect_null(symbols_eh_frame(symbols, &address, &size));
	symbols_close(symbols);
}

Test(system_map, texts_that_are_none)
{
	static char text[200000];
	unsigned i;

	cr_expect_null(open_text("", 0));
	cr_expect_null(open_text(map, 30), "a line that is cut, and one of data");
	memset(text, 'f', sizeof(text));
	cr_expect_null(open_text(text, sizeof(text)), "one endless line");
	memset(text, '\n', sizeof(text));
	cr_expect_null(open_text(text, sizeof(text)), "empty lines");
	memset(text, 0, sizeof(text));
	cr_expect_null(open_text(text, sizeof(text)));
	/* Each byte of a map in turn any other. */
	for (i = 0; i < sizeof(map) - 1; i++) {
		struct symbols *symbols;
		uint64_t offset, address;

		memcpy(text, map, sizeof(map));
		text[i] = (char)(i * 37);
		symbols = open_text(text, sizeof(map) - 1);
		for (address = 0xffffffff81000000; symbols && address < 0xffffffff81000400; address += 64)
			symbols_find(symbols, address, &offset);
		symbols_close(symbols);
	}
}
