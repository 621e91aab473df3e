/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * What a disk is made of on the host: a file or a block device. Owns its descriptor, its lock and its name.
 * Must not know what a guest does with it.
 */
#ifndef STANDALONE_XEN_DISK_FILE_H
#define STANDALONE_XEN_DISK_FILE_H

#include "xen_disk.h"

struct xen_disk_file {
	const char *path;	/* as the user named it */
	char *name;		/* the same from the root folder on; NULL: its folder had no name */
	int fd;			/* or -1 */
	bool read_only, is_block;
	uint64_t bytes;
};

/* Before all else: is it an image of a format that has more in it than the disk? It is no disk then, unless
 * the user says so. 0, or -1 with one line in @why; 0 also where it cannot be read. */
int xen_disk_file_check_format(const struct monitor_disk *from, char *why, size_t why_size);

/* Returns 0, or -1 with one line in @why; in both cases to be closed. */
int xen_disk_file_open(struct xen_disk_file *file, const struct monitor_disk *from, char *why,
		       size_t why_size);
void xen_disk_file_close(struct xen_disk_file *file);

/* When it was written last, as "SECONDS.NANOSECONDS", at most XEN_DISK_TIME bytes with the NUL; "" of a block
 * device, which does not know. */
void xen_disk_file_written(const struct xen_disk_file *file, char *text);
/* Does its name still lead to it? 0, or -1 with one line in @why. */
int xen_disk_file_check_name(const struct xen_disk_file *file, char *why, size_t why_size);

#endif /* STANDALONE_XEN_DISK_FILE_H */
