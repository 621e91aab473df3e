/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* As xen_disk_file.h says. */
#define _GNU_SOURCE
#include "xen_disk_file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "xen_blk.h"

/* Two that write the same file would both lose; readers share it. */
static int lock_file(const struct xen_disk_file *file)
{
	struct flock lock = { .l_type = file->read_only ? F_RDLCK : F_WRLCK, .l_whence = SEEK_SET };

	if (fcntl(file->fd, F_OFD_SETLK, &lock) == 0)
		return 0;
	/* A file system without locks has none to respect. */
	return errno == EAGAIN || errno == EACCES ? -1 : 0;
}

static bool is_a_disk(const struct stat *status)
{
	return S_ISBLK(status->st_mode) || S_ISREG(status->st_mode);
}

/* What they begin with, or have at a certain place. */
static const struct {
	const char *name;
	unsigned at, length;
	const char *bytes;
} formats[] = {
	{ "qcow2", 0, 4, "QFI\xfb" }, { "QED", 0, 4, "QED" }, { "VMDK", 0, 4, "KDMV" }, { "VMDK", 0, 4, "COWD" },
	{ "VMDK", 0, 21, "# Disk DescriptorFile" }, { "VHDX", 0, 8, "vhdxfile" }, { "VHD", 0, 8, "conectix" },
	{ "VDI", 0x40, 4, "\x7f\x10\xda\xbe" },
};

/* NULL: it looks like none of them. */
static const char *format_of(const char *path)
{
	char start[XEN_BLK_SECTOR] = "";
	struct stat status;
	size_t i;
	int fd;

	if (stat(path, &status) < 0 || !is_a_disk(&status))
		return NULL;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return NULL;
	if (pread(fd, start, sizeof(start), 0) < 0)
		start[0] = '\0';
	close(fd);
	for (i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		if (!memcmp(start + formats[i].at, formats[i].bytes, formats[i].length))
			return formats[i].name;
	}
	return NULL;
}

int xen_disk_file_check_format(const struct monitor_disk *from, char *why, size_t why_size)
{
	const char *name = from->raw ? NULL : format_of(from->path);

	if (!name)
		return 0;
	snprintf(why, why_size,
		 "disk %s: a %s image, and no raw disk: 'qemu-img convert -O raw' makes one of it; with ',raw' after its name it is taken as it is",
		 from->path, name);
	return -1;
}

/* NULL also where there is no memory: then it cannot be saved, and can run. */
static char *from_root(const char *path)
{
	char *folder, *name = NULL;

	if (*path == '/')
		return strdup(path);
	folder = getcwd(NULL, 0);
	if (folder && *folder == '/' &&
	    asprintf(&name, "%s/%s", strcmp(folder, "/") ? folder : "", path) < 0)
		name = NULL;
	free(folder);
	return name;
}

static int open_it(struct xen_disk_file *file, struct stat *status)
{
	/* A pipe would wait for its other end. */
	int flags = (file->read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK;
	bool is_one = stat(file->path, status) < 0 || is_a_disk(status);

	/* A block device that the host has mounted is not written by another. */
	if (!file->read_only && is_one && S_ISBLK(status->st_mode))
		flags |= O_EXCL;
	/* Others are not even opened: of a tape or a watchdog that has effects. */
	if (!is_one)
		return 0;
	file->fd = open(file->path, flags);
	return file->fd < 0 || fstat(file->fd, status) < 0 ? -1 : 0;
}

int xen_disk_file_open(struct xen_disk_file *file, const struct monitor_disk *from, char *why,
		       size_t why_size)
{
	struct stat status = { 0 };

	*file = (struct xen_disk_file){ .path = from->path, .fd = -1, .read_only = from->read_only };
	file->name = from_root(file->path);
	if (open_it(file, &status)) {
		snprintf(why, why_size, "disk %s: %s", file->path, strerror(errno));
		return -1;
	}
	if (!is_a_disk(&status)) {
		snprintf(why, why_size, "disk %s: neither a file nor a block device", file->path);
		return -1;
	}
	file->is_block = S_ISBLK(status.st_mode);
	file->bytes = (uint64_t)status.st_size;
	if (file->is_block && ioctl(file->fd, BLKGETSIZE64, &file->bytes) < 0) {
		snprintf(why, why_size, "disk %s: %s", file->path, strerror(errno));
		return -1;
	}
	if (!file->bytes || file->bytes % XEN_BLK_SECTOR) {
		snprintf(why, why_size,
			 "disk %s: its %llu bytes are not a number of sectors of 512 bytes",
			 file->path, (unsigned long long)file->bytes);
		return -1;
	}
	if (lock_file(file)) {
		snprintf(why, why_size, "disk %s: in use by another%s", file->path,
			 file->read_only ? " that writes it" : "");
		return -1;
	}
	return 0;
}

void xen_disk_file_close(struct xen_disk_file *file)
{
	if (file->fd >= 0)
		close(file->fd);
	free(file->name);
}

/* ------------------------------------------------------------------------
 * For a guest that is saved.
 */

/* A block device may have several nodes, and new ones. */
static bool is_same(const struct stat *a, const struct stat *b)
{
	if (S_ISBLK(a->st_mode) && S_ISBLK(b->st_mode))
		return a->st_rdev == b->st_rdev;
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_rdev == b->st_rdev;
}

void xen_disk_file_written(const struct xen_disk_file *file, char *text)
{
	struct stat status;

	text[0] = '\0';
	if (!file->is_block && !fstat(file->fd, &status))
		snprintf(text, XEN_DISK_TIME, "%lld.%09ld", (long long)status.st_mtim.tv_sec,
			 status.st_mtim.tv_nsec);
}

int xen_disk_file_check_name(const struct xen_disk_file *file, char *why, size_t why_size)
{
	struct stat named, ours;

	if (!file->name)
		snprintf(why, why_size, "disk %s: its folder had no name when the guest started", file->path);
	else if (stat(file->name, &named) < 0)
		snprintf(why, why_size, "disk %s: cannot be found by its name any more: %s", file->name,
			 strerror(errno));
	else if (fstat(file->fd, &ours) < 0 || !is_same(&named, &ours))
		snprintf(why, why_size, "disk %s: another file has that name now", file->name);
	else
		return 0;
	return -1;
}
