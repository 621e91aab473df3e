/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Bytes of the guest's file, by pread(). Knows nothing of ELF. */
#define _GNU_SOURCE
#include "elf_open.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The descriptor is kept as a pointer, plus one: NULL is a closed file. */
static int fd_of(void *source)
{
	return (int)(intptr_t)source - 1;
}

static const char *read_file(void *source, void *buffer, uint64_t length, uint64_t offset)
{
	uint8_t *at = buffer;

	while (length) {
		ssize_t n = pread(fd_of(source), at, length, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return strerror(errno);
		if (n == 0)
			return "the file became shorter";
		at += n;
		offset += (uint64_t)n;
		length -= (uint64_t)n;
	}
	return NULL;
}

static int refuse(const struct elf_file *elf, const char *what, char *why, size_t why_size)
{
	snprintf(why, why_size, "%s: %s", elf->path, what);
	return -1;
}

static int open_file(struct elf_file *elf, char *why, size_t why_size)
{
	struct stat st;
	/* Not blocking: the path may name a FIFO. */
	int fd = open(elf->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return refuse(elf, strerror(errno), why, why_size);
	elf->source = (void *)(intptr_t)(fd + 1);
	elf->read = read_file;
	if (fstat(fd, &st))
		return refuse(elf, strerror(errno), why, why_size);
	if (!S_ISREG(st.st_mode))
		return refuse(elf, "not a regular file", why, why_size);
	elf->size = (uint64_t)st.st_size;
	return elf_file_parse(elf, why, why_size);
}

int elf_file_open(struct elf_file *elf, const char *path, char *why, size_t why_size)
{
	*elf = (struct elf_file){ .path = path };
	if (!open_file(elf, why, why_size))
		return 0;
	elf_file_close(elf);
	return -1;
}

void elf_file_close(struct elf_file *elf)
{
	if (elf->source)
		close(fd_of(elf->source));
	elf->source = NULL;
}
