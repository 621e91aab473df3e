/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* As xen_disk.h says. One request at a time, in the guest's order; the host's page cache and its
 * writeback do the rest. */
#define _GNU_SOURCE
#include "xen_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "../output.h"
#include "xen_blk.h"
#include "xen_disk_file.h"

#define XVD_MAJOR	202u
#define XVD_MINORS	16u	/* of a disk: its partitions */

struct xen_disk {
	struct xen_device device;
	struct xen_disk_file file;
	bool is_added;
	uint64_t sectors;
	struct xen_blk blk;
	uint32_t ring_ref;	/* while it is connected */
	bool has_said;		/* that the host cannot read or write */
	bool writes_through;	/* a flush has failed, after which Linux asks for no other */
	int lost;		/* the errno of a flush that was not the guest's, for its next one */
	uint64_t count[XEN_BLK_OP_INDIRECT];	/* requests by operation */
	uint64_t errors;
};

static struct xen_disk *to_disk(struct xen_device *device)
{
	return (struct xen_disk *)((char *)device - offsetof(struct xen_disk, device));
}

/* ------------------------------------------------------------------------
 * Requests.
 */

/* All of a request's segments. Returns 0, or an errno. */
static int transfer(const struct xen_disk *disk, const struct xen_blk_request *request)
{
	off_t at = (off_t)(request->sector * XEN_BLK_SECTOR);
	struct iovec vector[XEN_BLK_INDIRECT];
	struct iovec *next = vector;
	int left = (int)request->count;
	uint32_t i;

	for (i = 0; i < request->count; i++)
		vector[i] = (struct iovec){ request->segment[i].at, request->segment[i].bytes };
	while (left) {
		ssize_t done = request->op == XEN_BLK_READ ? preadv(disk->file.fd, next, left, at) :
							      pwritev(disk->file.fd, next, left, at);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return errno;
		if (!done)		/* the file has become shorter */
			return request->op == XEN_BLK_READ ? ENXIO : ENOSPC;
		at += done;
		while (left && (size_t)done >= next->iov_len) {
			done -= (ssize_t)next->iov_len;
			next++;
			left--;
		}
		if (done) {
			next->iov_base = (uint8_t *)next->iov_base + done;
			next->iov_len -= (size_t)done;
		}
	}
	return 0;
}

static int discard(const struct xen_disk *disk, const struct xen_blk_request *request)
{
	uint64_t range[2] = { request->sector * XEN_BLK_SECTOR, request->sectors * XEN_BLK_SECTOR };
	int result = disk->file.is_block
			     ? ioctl(disk->file.fd, BLKDISCARD, range)
			     : fallocate(disk->file.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
					 (off_t)range[0], (off_t)range[1]);

	return result < 0 ? errno : 0;
}

/* The host says once for each open file that it has lost something. */
static int flush(struct xen_disk *disk, int (*synchronise)(int fd))
{
	int lost = disk->lost;

	disk->lost = 0;
	return synchronise(disk->file.fd) < 0 ? errno : lost;
}

static int carry_out(struct xen_disk *disk, const struct xen_blk_request *request)
{
	int error = 0;

	if (request->op == XEN_BLK_DISCARD)
		return discard(disk, request);
	if (request->op == XEN_BLK_FLUSH)
		error = flush(disk, fdatasync);
	if (!error && request->count)
		error = transfer(disk, request);
	/* The guest takes what it has written for safe, now. */
	if (!error && request->op == XEN_BLK_WRITE && disk->writes_through)
		error = flush(disk, fdatasync);
	return error;
}

static enum xen_blk_status serve_request(struct xen_disk *disk, const struct xen_blk_request *request)
{
	static const char *const name[] = {
		[XEN_BLK_READ] = "read", [XEN_BLK_WRITE] = "write", [XEN_BLK_FLUSH] = "flush",
		[XEN_BLK_DISCARD] = "discard",
	};
	int error = carry_out(disk, request);

	disk->count[request->op]++;
	if (!error)
		return XEN_BLK_OKAY;
	if (request->op == XEN_BLK_DISCARD && (error == EOPNOTSUPP || error == ENOTTY || error == EINVAL))
		return XEN_BLK_UNSUPPORTED;
	disk->errors++;
	if (!disk->has_said)
		output_say("pvm: disk %s: cannot %s: %s; the guest is told\n", disk->file.path, name[request->op],
			   strerror(error));
	disk->has_said = true;
	if (request->op != XEN_BLK_FLUSH)
		return XEN_BLK_ERROR;
	disk->writes_through = true;
	return XEN_BLK_FLUSH_ERROR;
}

static void serve(struct xen_device *device, const struct pollfd *fds, unsigned count)
{
	struct xen_disk *disk = to_disk(device);
	struct xen_blk_request request;

	(void)fds;
	(void)count;
	while (device->port && !atomic_load(&xen_bus_vm(device->bus)->over)) {
		bool some = xen_blk_next(&disk->blk, &request);

		if (some)
			xen_blk_answer(&disk->blk, &request, serve_request(disk, &request));
		if (xen_ring_publish(&disk->blk.ring))
			xen_device_notify(device);
		if (!some && !xen_ring_ask(&disk->blk.ring))
			break;
	}
}

/* ------------------------------------------------------------------------
 * The device.
 */

static void describe(struct xen_device *device)
{
	struct xen_disk *disk = to_disk(device);

	xen_device_write_guest(device, "virtual-device", "%u", device->number);
	xen_device_write_guest(device, "device-type", "disk");
	xen_device_write(device, "mode", disk->file.read_only ? "r" : "w");
	xen_device_write(device, "device-type", "disk");
	xen_device_write(device, "sectors", "%llu", (unsigned long long)disk->sectors);
	xen_device_write(device, "sector-size", "%u", XEN_BLK_SECTOR);
	xen_device_write(device, "info", "%u", disk->file.read_only ? 4u : 0u);
	xen_device_write(device, "feature-flush-cache", "1");
	xen_device_write(device, "feature-max-indirect-segments", "%u", XEN_BLK_INDIRECT);
	if (!disk->file.read_only) {
		xen_device_write(device, "feature-discard", "1");
		xen_device_write(device, "discard-granularity", "%u",
				 disk->file.is_block ? XEN_BLK_SECTOR : 4096u);
		xen_device_write(device, "discard-alignment", "0");
	}
}

static int connect_disk(struct xen_device *device, char *why, size_t why_size)
{
	const struct xen_grants *grants = xen_bus_grants(device->bus);
	struct xen_disk *disk = to_disk(device);
	void *page = NULL;

	if (xen_device_read(device, "ring-ref", &disk->ring_ref))
		page = xen_grants_map(grants, disk->ring_ref);
	if (!page) {
		snprintf(why, why_size, "its ring-ref grants no page");
		return -1;
	}
	xen_blk_init(&disk->blk, page, grants, disk->sectors, disk->file.read_only);
	if (!xen_device_bind(device, "event-channel", why, why_size))
		return 0;
	xen_grants_unmap(grants, disk->ring_ref);
	return -1;
}

static void disconnect_disk(struct xen_device *device)
{
	xen_grants_unmap(xen_bus_grants(device->bus), to_disk(device)->ring_ref);
}

static void save_disk(const struct xen_device *device, struct xen_record *to)
{
	const struct xen_disk *disk = to_disk((struct xen_device *)device);

	xen_record_put32(to, disk->writes_through);
	if (!device->port)
		return;
	xen_record_put32(to, disk->ring_ref);
	xen_blk_save(&disk->blk, to);
}

static bool restore_disk(struct xen_device *device, struct xen_record *from)
{
	const struct xen_grants *grants = xen_bus_grants(device->bus);
	struct xen_disk *disk = to_disk(device);

	disk->writes_through = xen_record_most(from, 1);
	if (!device->port)
		return !from->is_bad;
	disk->ring_ref = xen_record_get32(from);
	return xen_blk_restore(&disk->blk, grants, disk->sectors, disk->file.read_only, from);
}

static const struct xen_device_ops disk_ops = {
	.kind = "vbd",
	.name = "disk",
	.ready = XEN_BUS_INITIALISED,
	.describe = describe,
	.connect = connect_disk,
	.disconnect = disconnect_disk,
	.save = save_disk,
	.restore = restore_disk,
	.serve = serve,
};

struct xen_disk *xen_disk_create(struct xen_bus *bus, unsigned index,
				 const struct monitor_disk *from, char *why, size_t why_size)
{
	struct xen_disk *disk = calloc(1, sizeof(*disk));

	if (!disk) {
		snprintf(why, why_size, "no memory for disk %s", from->path);
		return NULL;
	}
	if (!xen_disk_file_open(&disk->file, from, why, why_size)) {
		disk->sectors = disk->file.bytes / XEN_BLK_SECTOR;
		disk->is_added = true;
		if (!xen_bus_add(bus, &disk->device, &disk_ops, disk->file.path,
				 XVD_MAJOR << 8 | index * XVD_MINORS, why, why_size))
			return disk;
	}
	xen_disk_destroy(disk);
	return NULL;
}

void xen_disk_destroy(struct xen_disk *disk)
{
	if (!disk)
		return;
	if (disk->is_added)
		xen_bus_remove(&disk->device);
	xen_disk_file_close(&disk->file);
	free(disk);
}

uint64_t xen_disk_bytes(const struct xen_disk *disk)
{
	return disk->sectors * XEN_BLK_SECTOR;
}

const char *xen_disk_name(const struct xen_disk *disk, char *why, size_t why_size)
{
	return xen_disk_file_check_name(&disk->file, why, why_size) ? NULL : disk->file.name;
}

void xen_disk_written(const struct xen_disk *disk, char *text)
{
	xen_disk_file_written(&disk->file, text);
}

int xen_disk_flush(struct xen_disk *disk, char *why, size_t why_size)
{
	/* fdatasync() leaves out the time, which a host that crashes then loses. */
	int error = disk->file.read_only ? 0 : flush(disk, fsync);

	if (!error)
		return 0;
	disk->lost = error;
	snprintf(why, why_size, "disk %s: cannot flush: %s", disk->file.path, strerror(error));
	return -1;
}

void xen_disk_print_stats(const struct xen_disk *disk, FILE *to)
{
	static const struct { enum xen_blk_op op; const char *name; } rows[] = {
		{ XEN_BLK_READ, "reads" }, { XEN_BLK_WRITE, "writes" }, { XEN_BLK_FLUSH, "flushes" },
		{ XEN_BLK_DISCARD, "discards" },
	};
	unsigned i;

	fprintf(to, "disk %s\n", disk->file.path);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		monitor_print_row(to, rows[i].name, disk->count[rows[i].op]);
	monitor_print_row(to, "errors", disk->errors);
}
