/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* The disks of a guest that is saved: by what they are found again, and which are not the guest's any more.
 */
#define _GNU_SOURCE
#include <criterion/criterion.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "restore.h"
#include "saving.h"

#define BYTES 4096

static char image[80], link_name[80], other[80];

static void make_image(const char *path)
{
	int fd = open(path, O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0600);

	cr_assert(fd >= 0 && !ftruncate(fd, BYTES));
	close(fd);
}

/* link_name leads to image. */
static void setup(void)
{
	saving_begin();
	snprintf(image, sizeof(image), "%s.image", first);
	snprintf(link_name, sizeof(link_name), "%s.link", first);
	snprintf(other, sizeof(other), "%s.other", first);
	make_image(image);
	cr_assert_eq(symlink(image, link_name), 0);
}

static void fini(void)
{
	unlink(image);
	unlink(link_name);
	unlink(other);
	saving_end();
}

TestSuite(save_disk, .init = setup, .fini = fini, .timeout = 120);

static void start_with(const char *path)
{
	const struct saved_disk disk = { .path = path, .bytes = BYTES };

	saving_make_first(&disk);
	saving_start(first);
}

/* Of the first disk of the second file. The text lives until the next call. */
static const struct saved_disk *saved_disk(void)
{
	static struct saved_description of;
	struct saved_reader *reader = saved_reader_open(second, why, sizeof(why));
	const char *text;
	size_t length;

	cr_assert_not_null(reader, "%s", why);
	text = saved_reader_text(reader, &length);
	saved_description_close(&of);
	cr_assert_null(saved_description_parse(&of, text, length));
	cr_assert_eq(of.disk_count, 1);
	saved_reader_close(reader);
	return &of.disks[0];
}

/* ------------------------------------------------------------------------
 * Names.
 */

/* Of a block device what it leads to is another one after a reboot. */
Test(save_disk, a_symbolic_link_stays_one)
{
	start_with(link_name);
	cr_expect_eq(saving_save(second, &saving_ends).status, 0);
	saving_finish(MONITOR_END_SAVED);
	cr_expect_str_eq(saved_disk()->path, link_name);
	cr_expect_eq(saved_disk()->bytes, BYTES);
}

static void expect_not_saved(const char *line)
{
	struct control_reply reply = saving_save(second, &saving_ends);

	cr_expect_eq(reply.status, 1);
	cr_expect(strstr(reply.line, line) && strstr(reply.line, link_name), "'%s' does not say '%s'", reply.line,
		  line);
	unlink(second);
}

Test(save_disk, a_name_that_is_anothers_is_not_written_down)
{
	start_with(link_name);
	make_image(other);
	cr_assert_eq(rename(other, image), 0);
	expect_not_saved("another file has that name now");
	cr_assert_eq(unlink(image), 0);
	expect_not_saved("cannot be found by its name any more: No such file");
	saving_stop();
}

/* ------------------------------------------------------------------------
 * What was written since.
 */

static void write_image(const char *text)
{
	int fd = open(image, O_WRONLY | O_CLOEXEC);

	usleep(20000);		/* clocks of files have ticks */
	cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static void save_with_image(const struct control_request *request)
{
	start_with(link_name);
	cr_expect_eq(saving_save(second, request).status, 0);
	if (request == &saving_ends)
		saving_finish(MONITOR_END_SAVED);
	else
		saving_stop();
}

static void expect_refused(const char *line)
{
	cr_expect_null(saving_restore(second));
	cr_expect(strstr(why, line) && strstr(why, link_name), "'%s' does not say '%s'", why, line);
	cr_expect_eq(strncmp(why, second, strlen(second)), 0, "'%s' does not name the file", why);
	saving_forget();
}

Test(save_disk, a_disk_that_was_not_written)
{
	save_with_image(&saving_ends);
	saving_start(second);
	saving_stop();
}

Test(save_disk, a_disk_that_was_written_since)
{
	save_with_image(&saving_goes_on);
	write_image("x");
	expect_refused(" is not as it was when the guest was saved: name a copy of that moment by --disk=");
	/* Who names it knows what it is. */
	saving_disk = link_name;
	saving_start(second);
	saving_stop();
}

Test(save_disk, a_disk_that_is_another_file_since)
{
	save_with_image(&saving_ends);
	make_image(other);
	cr_assert_eq(rename(other, image), 0);
	expect_refused(" is not as it was when the guest was saved");
}

Test(save_disk, a_disk_without_a_time_is_not_compared)
{
	start_with(image);
	saving_stop();
}

/* It is the guest's, who may write anything there. One that the user names is looked at. */
Test(save_disk, a_disk_that_looks_like_an_image)
{
	write_image("QFI\xfb");
	start_with(link_name);
	saving_stop();
	saving_disk = link_name;
	cr_expect_null(saving_restore(first));
	cr_expect(strstr(why, ": a qcow2 image, and no raw disk"), "%s", why);
	saving_forget();
}
