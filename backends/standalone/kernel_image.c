/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* As kernel_image.h says. Linux: Documentation/arch/x86/boot.rst */
#include "kernel_image.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unpack.h"

#define SETUP_SECTS	0x1f1
#define BOOT_FLAG	0x1fe
#define HEADER		0x202
#define VERSION		0x206
#define VERSION_TEXT	0x20e	/* where it is, less 0x200 */
#define VERSION_TEXT_AT	0x200
#define PAYLOAD_OFFSET	0x248	/* from the protected-mode code on */
#define PAYLOAD_LENGTH	0x24c
#define SETUP_END	0x250
#define SECTOR		512
#define BOOT_FLAG_VALUE	0xaa55u
#define VERSION_PAYLOAD	0x0208u
#define FILE_MAX	(1ull << 30)	/* bytes, of a file or what is unpacked */

static const char elf_magic[4] = { 0x7f, 'E', 'L', 'F' };

static int refuse(const char *path, const char *what, char *why, size_t why_size)
{
	snprintf(why, why_size, "%s: %s", path, what);
	return -1;
}

static int read_all(int fd, uint8_t *to, uint64_t size)
{
	while (size) {
		ssize_t n = read(fd, to, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		to += n;
		size -= (uint64_t)n;
	}
	return 0;
}

static uint8_t *read_open_file(int fd, uint64_t *size, const char **what)
{
	struct stat st;
	uint8_t *bytes;

	*what = NULL;
	if (fstat(fd, &st))
		*what = strerror(errno);
	else if (!S_ISREG(st.st_mode))
		*what = "not a regular file";
	else if (!st.st_size)
		*what = "the file is empty";
	else if ((uint64_t)st.st_size > FILE_MAX)
		*what = "larger than 1 GiB";
	if (*what)
		return NULL;
	*size = (uint64_t)st.st_size;
	bytes = malloc(*size);
	if (bytes && !read_all(fd, bytes, *size))
		return bytes;
	*what = bytes ? "cannot be read, or became shorter" : "no memory for it";
	free(bytes);
	return NULL;
}

uint8_t *kernel_image_read_file(const char *path, uint64_t *size, char *why, size_t why_size)
{
	/* Not blocking: the path may name a FIFO. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	const char *what;
	uint8_t *bytes;

	if (fd < 0) {
		refuse(path, strerror(errno), why, why_size);
		return NULL;
	}
	bytes = read_open_file(fd, size, &what);
	close(fd);
	if (!bytes)
		refuse(path, what, why, why_size);
	return bytes;
}

/* ------------------------------------------------------------------------
 * bzImage.
 */

static uint32_t field(const uint8_t *bytes, size_t offset, size_t size)
{
	uint32_t value = 0;

	memcpy(&value, bytes + offset, size);
	return value;
}

/* Where the payload is. False: there is none. */
static bool find_payload(const uint8_t *bytes, uint64_t size, uint64_t *offset, uint64_t *length)
{
	uint64_t sectors;

	if (size < SETUP_END || field(bytes, BOOT_FLAG, 2) != BOOT_FLAG_VALUE ||
	    memcmp(bytes + HEADER, "HdrS", 4) || field(bytes, VERSION, 2) < VERSION_PAYLOAD)
		return false;
	sectors = bytes[SETUP_SECTS] ? bytes[SETUP_SECTS] : 4;
	*offset = (sectors + 1) * SECTOR + field(bytes, PAYLOAD_OFFSET, 4);
	*length = field(bytes, PAYLOAD_LENGTH, 4);
	return *offset < size && *length <= size - *offset && *length > sizeof(uint32_t);
}

bool kernel_image_is_packed(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	uint8_t start[SETUP_END];
	bool is;

	is = fd >= 0 && pread(fd, start, sizeof(start), 0) == sizeof(start) &&
	     field(start, BOOT_FLAG, 2) == BOOT_FLAG_VALUE && !memcmp(start + HEADER, "HdrS", 4);
	if (fd >= 0)
		close(fd);
	return is;
}

/* For people. */
static void copy_version(struct kernel_image *image, const uint8_t *bytes, uint64_t size)
{
	uint64_t at = VERSION_TEXT_AT + field(bytes, VERSION_TEXT, 2);
	size_t i;

	for (i = 0; i + 1 < sizeof(image->version) && at + i < size && bytes[at + i]; i++)
		image->version[i] = bytes[at + i] >= ' ' && bytes[at + i] < 0x7f ? (char)bytes[at + i] : '?';
}

/* Linux has the unpacked size behind what is packed, as gzip has it itself. */
static int unpack(struct kernel_image *image, const char *path, const uint8_t *from, uint64_t length,
		  char *why, size_t why_size)
{
	const struct unpack_format *format = unpack_find(from, length);
	uint64_t size = field(from, length - sizeof(uint32_t), sizeof(uint32_t));

	if (!format)
		return refuse(path, "its payload is packed in a way that is not known here "
				    "(known: gzip, xz, zstd, lz4, lzma)", why, why_size);
	if (!size || size > FILE_MAX)
		return refuse(path, "damaged: the size of its payload is not possible", why, why_size);
	image->bytes = malloc(size);
	if (!image->bytes)
		return refuse(path, "no memory to unpack it", why, why_size);
	if (format->unpack(from, length, image->bytes, size) != (int64_t)size)
		return refuse(path, "damaged: its payload cannot be unpacked", why, why_size);
	image->size = size;
	image->packing = format->name;
	return 0;
}

static const char *read_bytes(void *source, void *buffer, uint64_t length, uint64_t offset)
{
	const struct kernel_image *image = source;

	memcpy(buffer, image->bytes + offset, length);
	return NULL;
}

/* @file: the caller's, or the image's from now on. */
static int take_file(struct kernel_image *image, const char *path, uint8_t **file, uint64_t size, char *why,
		     size_t why_size)
{
	uint64_t offset, length;

	if (size > sizeof(elf_magic) && !memcmp(*file, elf_magic, sizeof(elf_magic))) {
		image->bytes = *file;
		image->size = size;
		*file = NULL;
	} else if (!find_payload(*file, size, &offset, &length)) {
		return refuse(path, "neither a bzImage nor an ELF file", why, why_size);
	} else if (unpack(image, path, *file + offset, length, why, why_size)) {
		return -1;
	} else {
		copy_version(image, *file, size);
	}
	image->elf = (struct elf_file){
		.path = path, .size = image->size, .source = image, .read = read_bytes,
	};
	return elf_file_parse(&image->elf, why, why_size);
}

int kernel_image_open(struct kernel_image *image, const char *path, char *why, size_t why_size)
{
	uint64_t size;
	uint8_t *file = kernel_image_read_file(path, &size, why, why_size);
	int error;

	*image = (struct kernel_image){ 0 };
	if (!file)
		return -1;
	error = take_file(image, path, &file, size, why, why_size);
	free(file);
	if (error)
		kernel_image_close(image);
	return error;
}

void kernel_image_close(struct kernel_image *image)
{
	free(image->bytes);
	*image = (struct kernel_image){ 0 };
}
