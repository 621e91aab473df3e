/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* The file of a saved guest: written and read, cut at every length, each byte garbled, and a host that cannot
 * take it. */
#define _GNU_SOURCE
#include "saved_file.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define TEXT	"{\"kernel\":\"/boot/vmlinuz\"}"
#define BYTES	5000u
#define MOST	(64u << 10)

static char path[64], why[512];
static uint8_t file[MOST], content[BYTES];
static size_t size;
static int stops_after;

static bool stop(void *opaque)
{
	(void)opaque;
	return stops_after >= 0 && !stops_after--;
}

static void setup(void)
{
	size_t i;

	strcpy(path, "/tmp/pvm-saved-XXXXXX");
	close(mkstemp(path));
	for (i = 0; i < BYTES; i++)
		content[i] = (uint8_t)(i * i >> 3);
	stops_after = -1;
}

static void fini(void)
{
	unlink(path);
}

TestSuite(saved_file, .init = setup, .fini = fini);

static int write_it(int fd)
{
	const struct saved_section vm = { SAVED_VM, 3, BYTES }, empty = { SAVED_DEVICES, 0, 0 };
	struct saved_writer *writer = saved_writer_create(fd, TEXT, stop, NULL, why, sizeof(why));
	int error;

	if (!writer)
		return -1;
	error = saved_write(writer, &vm, content, why, sizeof(why)) ||
		saved_write(writer, &empty, NULL, why, sizeof(why)) ||
		saved_write_end(writer, why, sizeof(why));
	saved_writer_destroy(writer);
	return error ? -1 : 0;
}

static void make_file(void)
{
	int fd = open(path, O_RDWR | O_TRUNC | O_CLOEXEC);
	ssize_t got;

	cr_assert_eq(write_it(fd), 0, "%s", why);
	got = pread(fd, file, sizeof(file), 0);
	cr_assert(got > 0 && got < (ssize_t)sizeof(file));
	size = (size_t)got;
	close(fd);
}

static void put_file(const uint8_t *bytes, size_t length)
{
	int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);

	cr_assert_eq(write(fd, bytes, length), (ssize_t)length);
	close(fd);
}

static int read_section(struct saved_reader *reader, enum saved_kind kind, uint64_t length)
{
	struct saved_section section;

	if (saved_read_section(reader, &section, why, sizeof(why)))
		return -1;
	if (section.kind == kind && section.length == length)
		return 0;
	return saved_damaged(reader, "another section", why, sizeof(why));
}

/* All of it, as a reader does; -1 with the line. */
static int read_it(void)
{
	struct saved_reader *reader = saved_reader_open(path, why, sizeof(why));
	uint8_t bytes[BYTES];
	size_t length;
	int error = -1;

	if (!reader)
		return -1;
	saved_reader_text(reader, &length);
	if (!read_section(reader, SAVED_VM, BYTES) && !saved_read(reader, bytes, BYTES, why, sizeof(why)) &&
	    !read_section(reader, SAVED_DEVICES, 0) && !read_section(reader, SAVED_END, 0))
		error = saved_read_end(reader, why, sizeof(why));
	if (!error)
		cr_expect_eq(memcmp(bytes, content, BYTES), 0);
	saved_reader_close(reader);
	return error;
}

static void expect_refused(const char *thing)
{
	why[0] = '\0';
	cr_expect_eq(read_it(), -1, "it is not refused: %s", thing);
	cr_expect(strstr(why, thing), "'%s' does not say '%s'", why, thing);
	cr_expect_eq(strncmp(why, path, strlen(path)), 0, "'%s' does not name the file", why);
	cr_expect_not(strchr(why, '\n'));
}

Test(saved_file, what_is_written_is_read)
{
	struct saved_reader *reader;
	size_t length;

	make_file();
	cr_expect_eq(read_it(), 0, "%s", why);
	cr_expect(saved_file_is_one(path));
	reader = saved_reader_open(path, why, sizeof(why));
	cr_expect_str_eq(saved_reader_text(reader, &length), TEXT);
	cr_expect_eq(length, strlen(TEXT));
	cr_expect_str_eq(saved_reader_path(reader), path);
	saved_reader_close(reader);
}

Test(saved_file, files_that_are_none)
{
	char folder[] = "/tmp/pvm-saved-XXXXXX";

	put_file((const uint8_t *)"", 0);
	expect_refused(": not a saved guest");
	put_file((const uint8_t *)"\177ELF............", 16);
	expect_refused(": not a saved guest");
	cr_expect_not(saved_file_is_one(path));
	put_file((const uint8_t *)SAVED_FILE_MAGIC, 8);
	expect_refused(": cut short");
	put_file((const uint8_t *)SAVED_FILE_MAGIC "\4\0\0\0\1\0\0\0", 16);
	expect_refused(": made by a newer pvm");
	put_file((const uint8_t *)SAVED_FILE_MAGIC "\2\0\0\0\1\0\0\0", 16);
	expect_refused(": made by an older pvm");
	put_file((const uint8_t *)SAVED_FILE_MAGIC "\0\0\0\0\1\0\0\0", 16);
	expect_refused(": damaged: it has no version");
	put_file((const uint8_t *)SAVED_FILE_MAGIC "\3\0\0\0\1\0\x10\0", 16);
	expect_refused(": damaged: its description has no possible length");
	put_file((const uint8_t *)SAVED_FILE_MAGIC "\3\0\0\0\0\0\0\0", 16);
	expect_refused(": damaged: its description has no possible length");
	unlink(path);
	expect_refused(": No such file or directory");
	cr_expect_not(saved_file_is_one(path));
	cr_assert_not_null(mkdtemp(folder));
	strcpy(path, folder);
	expect_refused(": not a file");
	rmdir(folder);
}

Test(saved_file, a_pipe_is_not_waited_for)
{
	unlink(path);
	cr_assert_eq(mkfifo(path, 0600), 0);
	expect_refused(": not a file");
}

Test(saved_file, cut_at_every_length)
{
	size_t length;

	make_file();
	for (length = 8; length < size; length++) {
		put_file(file, length);
		expect_refused(": cut short");
	}
}

/* zstd's own header has bits without a meaning: what is read then is what was written. */
Test(saved_file, each_byte_garbled)
{
	static const uint8_t masks[] = { 0xff, 0x01, 0x80 };
	size_t at, i;

	make_file();
	for (at = 0; at < size; at++) {
		for (i = 0; i < sizeof(masks); i++) {
			file[at] ^= masks[i];
			put_file(file, size);
			file[at] ^= masks[i];
			if (read_it())
				expect_refused(": ");
		}
	}
}

Test(saved_file, nothing_may_follow_it)
{
	make_file();
	file[size] = 0;
	put_file(file, size + 1);
	expect_refused(": damaged: it goes on after its end");
}

/* The same sections in a stream that was made without the description that the file has now. */
Test(saved_file, a_description_of_another_file)
{
	make_file();
	memcpy(memmem(file, size, "vmlinuz", 7), "VMLINUZ", 7);
	put_file(file, size);
	expect_refused(": damaged: its description is not the one it was saved with");
}

Test(saved_file, a_section_is_read_as_long_as_it_is)
{
	struct saved_section section;
	struct saved_reader *reader;
	uint8_t bytes[BYTES + 1];

	make_file();
	reader = saved_reader_open(path, why, sizeof(why));
	cr_assert_eq(saved_read_section(reader, &section, why, sizeof(why)), 0, "%s", why);
	cr_expect(section.kind == SAVED_VM && section.index == 3 && section.length == BYTES);
	cr_expect_eq(saved_read(reader, bytes, BYTES + 1, why, sizeof(why)), -1);
	cr_expect(strstr(why, "damaged: a section is too short"), "%s", why);
	cr_expect_eq(saved_read(reader, bytes, 10, why, sizeof(why)), 0);
	cr_expect_eq(saved_read_section(reader, &section, why, sizeof(why)), -1);
	cr_expect(strstr(why, "damaged: a section is too long"), "%s", why);
	saved_reader_close(reader);
}

/* ------------------------------------------------------------------------
 * Hosts that cannot take it.
 */

Test(saved_file, a_full_disk)
{
	int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);

	cr_assert_geq(fd, 0);
	cr_expect_eq(write_it(fd), -1);
	cr_expect_str_eq(why, "cannot write: No space left on device");
	close(fd);
}

Test(saved_file, a_limit_for_files)
{
	struct rlimit limit = { 100, 100 };
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	signal(SIGXFSZ, SIG_IGN);
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	cr_expect_eq(write_it(fd), -1);
	cr_expect_str_eq(why, "cannot write: File too large");
	close(fd);
}

Test(saved_file, what_is_of_no_use_any_more_is_given_up)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), after;

	for (after = 0; after < 3; after++) {
		stops_after = after;
		cr_expect_eq(write_it(fd), -1, "after %d", after);
		cr_expect_str_eq(why, "given up");
	}
	close(fd);
}
