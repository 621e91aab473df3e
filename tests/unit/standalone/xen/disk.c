/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Disks: files that cannot be one, a driver's whole life, and a host that cannot read or write. */
#define _GNU_SOURCE
#include "xen_disk.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "guest.h"
#include "xen_disk_file.h"
#include "xen_blk.h"

#define FRONT	"device/vbd/51712/"
#define BACK	"/local/domain/0/backend/vbd/1/51712/"
#define PORT	5u
#define RING	GUEST_FREE
#define DATA	(GUEST_FREE + 1)

static char folder[] = "/tmp/pvm-disk-XXXXXX", path[64];
static struct xen_disk *disk;
static struct monitor_disk from = { .path = path };
static char why[256];
static uint32_t answers;

/* The library's: a host's disk that loses what it was given is not had otherwise. */
static atomic_int flush_error, flushes, syncs;

int fdatasync(int fd)
{
	atomic_fetch_add(&flushes, 1);
	errno = atomic_load(&flush_error);
	return errno ? -1 : (int)syscall(SYS_fdatasync, fd);
}

/* With the time: what is saved is compared with it later. */
int fsync(int fd)
{
	atomic_fetch_add(&syncs, 1);
	errno = atomic_load(&flush_error);
	return errno ? -1 : (int)syscall(SYS_fsync, fd);
}

static void make_file(const char *name, off_t size)
{
	int fd;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	cr_assert(fd >= 0 && ftruncate(fd, size) == 0);
	close(fd);
}

static void setup(void)
{
	strcpy(folder, "/tmp/pvm-disk-XXXXXX");
	cr_assert_not_null(mkdtemp(folder));
	guest_begin();
	from.read_only = false;
	answers = 0;
}

static void fini(void)
{
	char command[80];

	guest_end();
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	cr_assert_eq(system(command), 0);
}

TestSuite(xen_disk, .init = setup, .fini = fini);

static bool is_refused(const char *words)
{
	disk = xen_disk_create(bus, 0, &from, why, sizeof(why));
	if (disk)
		xen_disk_destroy(disk);
	return !disk && strstr(why, path) && strstr(why, words);
}

Test(xen_disk, what_cannot_be_one)
{
	struct xen_disk *other;

	snprintf(path, sizeof(path), "%s/nothing", folder);
	cr_expect(is_refused("No such file"), "%s", why);
	snprintf(path, sizeof(path), "%s/fifo", folder);
	cr_assert_eq(mkfifo(path, 0600), 0);
	cr_expect(is_refused("neither a file nor a block device"), "%s", why);
	snprintf(path, sizeof(path), "/dev/null");
	cr_expect(is_refused("neither a file nor a block device"), "%s", why);
	snprintf(path, sizeof(path), "%s", folder);
	from.read_only = true;
	cr_expect(is_refused("neither a file nor a block device"), "%s", why);
	from.read_only = false;
	make_file("empty", 0);
	cr_expect(is_refused("its 0 bytes"), "%s", why);
	make_file("odd", 1000);
	cr_expect(is_refused("its 1000 bytes are not a number of sectors"), "%s", why);
	/* In use: one writer, or readers. */
	make_file("used", 4096);
	other = xen_disk_create(bus, 0, &from, why, sizeof(why));
	cr_assert_not_null(other, "%s", why);
	cr_expect(is_refused("in use by another"), "%s", why);
	from.read_only = true;
	cr_expect(is_refused("in use by another that writes it"), "%s", why);
	xen_disk_destroy(other);
	other = xen_disk_create(bus, 0, &from, why, sizeof(why));
	cr_assert_not_null(other, "%s", why);
	cr_expect_not(is_refused(""), "two that read");
	from.read_only = false;
	cr_expect(is_refused("in use by another"), "%s", why);
	xen_disk_destroy(other);
}

/* ------------------------------------------------------------------------
 * Formats.
 */

static int check_format(unsigned at, const char *bytes, size_t length)
{
	int fd;

	make_file("image", 4096);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	cr_assert_eq(pwrite(fd, bytes, length, at), (ssize_t)length);
	close(fd);
	return xen_disk_file_check_format(&from, why, sizeof(why));
}

Test(xen_disk, images_of_other_formats_are_not_taken_for_disks)
{
	static const struct {
		const char *name, *bytes;
		unsigned at, length;
	} rows[] = {
		{ "qcow2", "QFI\xfb\0\0\0\3", 0, 8 }, { "QED", "QED\0", 0, 4 }, { "VMDK", "KDMV", 0, 4 },
		{ "VMDK", "# Disk DescriptorFile\n", 0, 22 }, { "VHDX", "vhdxfile", 0, 8 },
		{ "VHD", "conectix", 0, 8 }, { "VDI", "\x7f\x10\xda\xbe", 0x40, 4 },
	};
	char said[32];
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		from.raw = false;
		cr_expect_eq(check_format(rows[i].at, rows[i].bytes, rows[i].length), -1, "row %zu", i);
		snprintf(said, sizeof(said), ": a %s image", rows[i].name);
		cr_expect(strstr(why, said) && strstr(why, path), "%s", why);
		cr_expect(strstr(why, "'qemu-img convert -O raw'"), "%s", why);
		from.raw = true;
		cr_expect_eq(check_format(rows[i].at, rows[i].bytes, rows[i].length), 0, "row %zu", i);
		from.raw = false;
		cr_expect_eq(check_format(rows[i].at + 1, rows[i].bytes, rows[i].length), 0, "row %zu", i);
	}
	cr_expect_eq(check_format(0, "QED!", 4), 0, "its fourth byte is 0");
	/* Others say what is wrong with these, and a pipe is not waited for. */
	snprintf(path, sizeof(path), "%s/nothing", folder);
	cr_expect_eq(xen_disk_file_check_format(&from, why, sizeof(why)), 0);
	cr_assert_eq(mkfifo(path, 0600), 0);
	cr_expect_eq(xen_disk_file_check_format(&from, why, sizeof(why)), 0);
}

/* ------------------------------------------------------------------------
 * Names.
 */

static void expect_name(const char *name)
{
	disk = xen_disk_create(bus, 0, &from, why, sizeof(why));
	cr_assert_not_null(disk, "%s", why);
	cr_expect_str_eq(xen_disk_name(disk, why, sizeof(why)), name);
}

static void expect_no_name(const char *words)
{
	cr_expect_null(xen_disk_name(disk, why, sizeof(why)));
	cr_expect(strstr(why, path) && strstr(why, words), "%s", why);
	xen_disk_destroy(disk);
}

Test(xen_disk, its_name_is_what_the_user_named)
{
	char image[64], name[128];

	make_file("image", 4096);
	strcpy(image, path);
	snprintf(path, sizeof(path), "%s/link", folder);
	cr_assert_eq(symlink("image", path), 0);
	expect_name(path);
	xen_disk_destroy(disk);
	/* Made whole where pvm was started. */
	cr_assert_eq(chdir(folder), 0);
	strcpy(path, "link");
	snprintf(name, sizeof(name), "%s/link", folder);
	expect_name(name);
	cr_assert_eq(chdir("/"), 0);
	cr_expect_str_eq(xen_disk_name(disk, why, sizeof(why)), name);
	xen_disk_destroy(disk);
	snprintf(path, sizeof(path), "%s", image + 1);
	expect_name(image);
	xen_disk_destroy(disk);
}

Test(xen_disk, a_name_that_is_not_its_any_more)
{
	char moved[80], gone[80];

	make_file("image", 4096);
	snprintf(moved, sizeof(moved), "%s/moved", folder);
	expect_name(path);
	cr_assert_eq(rename(path, moved), 0);
	cr_expect_null(xen_disk_name(disk, why, sizeof(why)));
	cr_expect(strstr(why, "cannot be found by its name any more: No such file"), "%s", why);
	make_file("image", 4096);
	expect_no_name("another file has that name now");
	/* A folder without a name. */
	snprintf(gone, sizeof(gone), "%s/gone", folder);
	cr_assert(mkdir(gone, 0700) == 0 && chdir(gone) == 0 && rmdir(gone) == 0);
	strcpy(path, "../image");
	disk = xen_disk_create(bus, 0, &from, why, sizeof(why));
	cr_assert_not_null(disk, "%s", why);
	expect_no_name("its folder had no name when the guest started");
	cr_assert_eq(chdir("/"), 0);
}

/* ------------------------------------------------------------------------
 * A driver.
 */

static void start(off_t size)
{
	make_file("disk", size);
	disk = xen_disk_create(bus, 0, &from, why, sizeof(why));
	cr_assert_not_null(disk, "%s", why);
	guest_start();
}

static void connect_driver(void)
{
	char number[16];

	memset(guest_page(RING), 0, 4096);
	answers = 0;
	guest_wait(BACK "state", "2");
	snprintf(number, sizeof(number), "%u", RING);
	guest_write(FRONT "ring-ref", number);
	snprintf(number, sizeof(number), "%u", PORT);
	guest_write(FRONT "event-channel", number);
	guest_write(FRONT "state", "3");
	guest_wait(BACK "state", "4");
}

static void end(void)
{
	guest_over();
	xen_disk_destroy(disk);
}

struct request {
	uint8_t op, count;
	uint16_t handle;
	uint32_t pad;
	uint64_t id, sector;
	struct { uint32_t ref; uint8_t first, last; uint16_t pad; } segment[11];
};

/* The status of one request, when it is answered. */
static int ask(struct request request)
{
	struct xen_ring_page *ring = guest_page(RING);
	uint8_t *entry = ring->entries + ring->req_prod % 32 * sizeof(request);
	int16_t status;

	memcpy(entry, &request, sizeof(request));
	ring->rsp_event = ring->rsp_prod + 1;
	__atomic_store_n(&ring->req_prod, ring->req_prod + 1, __ATOMIC_SEQ_CST);
	guest_notify(PORT);
	guest_wait_for_events(PORT, ++answers);
	memcpy(&status, entry + 10, sizeof(status));
	return status;
}

static struct request page_of(uint8_t op, uint64_t sector)
{
	return (struct request){
		.op = op, .count = 1, .sector = sector, .segment = { { .ref = DATA, .last = 7 } }
	};
}

static void file_has(char byte, off_t at)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char got = 0;

	cr_assert_eq(pread(fd, &got, 1, at), 1);
	cr_expect_eq(got, byte, "0x%x at %ld", got, (long)at);
	close(fd);
}

Test(xen_disk, a_drivers_life)
{
	struct request discard = { .op = XEN_BLK_DISCARD, .sector = 8 };
	uint64_t sectors = 8;

	start(8 << 12);
	cr_expect_str_eq(guest_read(BACK "sectors"), "64");
	cr_expect_str_eq(guest_read(BACK "info"), "0");
	connect_driver();
	cr_expect(guest_grant(RING)->flags & XEN_GRANT_WRITING, "the ring is in use");
	memset(guest_page(DATA), 'w', 4096);
	cr_expect_eq(ask(page_of(XEN_BLK_WRITE, 8)), 0);
	cr_expect_eq(ask((struct request){ .op = XEN_BLK_FLUSH }), 0);
	file_has('w', 4096);
	file_has('w', 8191);
	file_has(0, 8192);
	memset(guest_page(DATA), 0, 4096);
	cr_expect_eq(ask(page_of(XEN_BLK_READ, 8)), 0);
	cr_expect_eq(*(char *)guest_page(DATA), 'w');
	cr_expect_eq(ask(page_of(XEN_BLK_READ, 57)), -1, "over the disk's end");
	memcpy(discard.segment, &sectors, sizeof(sectors));
	cr_expect_eq(ask(discard), 0);
	file_has(0, 4096);
	/* It goes: the ring is the guest's again, whatever it writes there. */
	guest_write(FRONT "state", "5");
	guest_wait(BACK "state", "5");
	cr_expect_not(guest_grant(RING)->flags & XEN_GRANT_WRITING);
	guest_write(FRONT "state", "6");
	guest_wait(BACK "state", "6");
	/* And comes back. */
	guest_write(FRONT "state", "1");
	connect_driver();
	cr_expect_eq(ask(page_of(XEN_BLK_READ, 0)), 0);
	end();
	cr_expect_not(guest_grant(RING)->flags & XEN_GRANT_WRITING);
}

Test(xen_disk, a_disk_that_is_only_read)
{
	from.read_only = true;
	start(4096);
	cr_expect_str_eq(guest_read(BACK "info"), "4");
	cr_expect_str_eq(guest_read(BACK "mode"), "r");
	connect_driver();
	memset(guest_page(DATA), 'w', 4096);
	cr_expect_eq(ask(page_of(XEN_BLK_WRITE, 0)), -1);
	file_has(0, 0);
	cr_expect_eq(ask(page_of(XEN_BLK_READ, 0)), 0);
	end();
}

Test(xen_disk, a_host_that_cannot)
{
	struct rlimit limit = { 4096, RLIM_INFINITY };

	start(8 << 12);
	connect_driver();
	cr_assert_eq(truncate(path, 4096), 0);
	cr_expect_eq(ask(page_of(XEN_BLK_READ, 8)), -1, "the file has become shorter");
	signal(SIGXFSZ, SIG_IGN);
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	cr_expect_eq(ask(page_of(XEN_BLK_WRITE, 8)), -1, "and may not grow");
	cr_expect_eq(ask(page_of(XEN_BLK_READ, 0)), 0, "the disk lives on");
	end();
}

/* Linux takes "error" for a disk without flushes, tells fsync() that all is well, and never flushes again. */
Test(xen_disk, a_flush_that_fails)
{
	int before;

	start(8 << 12);
	connect_driver();
	before = atomic_load(&flushes);
	cr_expect_eq(ask(page_of(XEN_BLK_WRITE, 8)), 0);
	cr_expect_eq(atomic_load(&flushes), before, "as long as it flushes, a write is not");
	atomic_store(&flush_error, EIO);
	cr_expect_eq(ask((struct request){ .op = XEN_BLK_FLUSH }), -3, "neither an error nor unsupported");
	cr_expect_eq(ask(page_of(XEN_BLK_WRITE, 8)), -1, "what may be lost was not written");
	atomic_store(&flush_error, 0);
	before = atomic_load(&flushes);
	cr_expect_eq(ask(page_of(XEN_BLK_WRITE, 8)), 0);
	cr_expect_eq(atomic_load(&flushes), before + 1, "a write is on the disk, from then on");
	cr_expect_eq(ask(page_of(XEN_BLK_READ, 8)), 0);
	cr_expect_eq(atomic_load(&flushes), before + 1);
	cr_expect_eq(ask((struct request){ .op = XEN_BLK_FLUSH }), 0);
	end();
}

/* The host says it once: to a flush that 'pvm save' asks for, after which the guest goes on. */
Test(xen_disk, a_flush_of_others_that_fails_is_told_to_the_guest)
{
	start(8 << 12);
	connect_driver();
	cr_expect_eq(ask(page_of(XEN_BLK_WRITE, 8)), 0);
	atomic_store(&flush_error, EIO);
	cr_expect_eq(xen_disk_flush(disk, why, sizeof(why)), -1);
	cr_expect(strstr(why, "cannot flush"), "%s", why);
	atomic_store(&flush_error, 0);
	cr_expect_eq(ask((struct request){ .op = XEN_BLK_FLUSH }), -3);
	cr_expect_eq(ask((struct request){ .op = XEN_BLK_FLUSH }), 0, "once");
	end();
}

Test(xen_disk, each_write_has_its_time)
{
	char before[XEN_DISK_TIME], after[XEN_DISK_TIME];
	int synchronised = atomic_load(&syncs);

	start(8 << 12);
	connect_driver();
	cr_expect_eq(xen_disk_flush(disk, why, sizeof(why)), 0);
	cr_expect_eq(atomic_load(&syncs), synchronised + 1, "on the host's disk, too");
	xen_disk_written(disk, before);
	cr_expect(strchr(before, '.') && strlen(strchr(before, '.')) == 10, "%s", before);
	cr_expect_eq(ask(page_of(XEN_BLK_READ, 8)), 0);
	xen_disk_written(disk, after);
	cr_expect_str_eq(after, before);
	usleep(20000);		/* clocks of files have ticks */
	cr_expect_eq(ask(page_of(XEN_BLK_WRITE, 8)), 0);
	xen_disk_written(disk, after);
	cr_expect_str_neq(after, before);
	end();
}

Test(xen_disk, drivers_that_are_none)
{
	start(4096);
	guest_wait(BACK "state", "2");
	guest_write(FRONT "state", "3");	/* without a ring */
	guest_wait(BACK "state", "5");
	cr_expect_str_eq(guest_read(BACK "error"), "its ring-ref grants no page");
	guest_write(FRONT "state", "6");
	guest_wait(BACK "state", "6");
	guest_write(FRONT "state", "1");
	guest_wait(BACK "state", "2");
	guest_write(FRONT "ring-ref", "2");
	guest_write(FRONT "event-channel", "99999999999");
	guest_write(FRONT "state", "3");
	guest_wait(BACK "state", "5");
	cr_expect_str_eq(guest_read(BACK "error"), "its event-channel is no port");
	cr_expect_not(guest_grant(2)->flags & XEN_GRANT_WRITING, "its ring is its own again");
	guest_write(FRONT "state", "1");
	guest_wait(BACK "state", "2");
	guest_write(FRONT "event-channel", "31000");
	guest_write(FRONT "state", "3");
	guest_wait(BACK "state", "5");
	cr_expect_str_eq(guest_read(BACK "error"), "no port 31000");
	guest_write(FRONT "state", "1");
	connect_driver();
	cr_expect_eq(ask(page_of(XEN_BLK_READ, 0)), 0);
	end();
}

/* A guest that asks without end does not keep the VM from its end. */
Test(xen_disk, the_end_of_a_busy_disk)
{
	struct xen_ring_page *ring = guest_page(RING);
	struct request request = page_of(XEN_BLK_READ, 0);
	uint32_t i;

	start(4096);
	connect_driver();
	for (i = 0; i < 32; i++)
		memcpy(ring->entries + i * sizeof(request), &request, sizeof(request));
	__atomic_store_n(&ring->req_prod, 32, __ATOMIC_SEQ_CST);
	guest_notify(PORT);
	end();
}
