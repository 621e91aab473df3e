/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* saved_file.h: how such a file is written. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#include "saved_file.h"
#include "saved_header.h"

#define LEVEL	1	/* the guest waits */

struct saved_writer {
	int fd;
	bool (*stop)(void *opaque);
	void *opaque;
	ZSTD_CCtx *stream;
	size_t size;		/* of the buffer */
	bool has_failed;
	uint8_t buffer[];
};

static int fail(struct saved_writer *writer, char *why, size_t why_size, const char *what)
{
	writer->has_failed = true;
	snprintf(why, why_size, "%s", what);
	return -1;
}

static int write_all(struct saved_writer *writer, const void *bytes, size_t size, char *why, size_t why_size)
{
	const uint8_t *at = bytes;

	while (size) {
		ssize_t written;

		if (writer->stop(writer->opaque))
			return fail(writer, why, why_size, "given up");
		written = write(writer->fd, at, size);
		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0) {
			writer->has_failed = true;
			snprintf(why, why_size, "cannot write: %s", strerror(written ? errno : ENOSPC));
			return -1;
		}
		at += written;
		size -= (size_t)written;
	}
	return 0;
}

static int compress(struct saved_writer *writer, const void *bytes, size_t size, bool ends, char *why,
		    size_t why_size)
{
	ZSTD_inBuffer in = { bytes, size, 0 };
	size_t left;

	do {
		ZSTD_outBuffer out = { writer->buffer, writer->size, 0 };

		left = ZSTD_compressStream2(writer->stream, &out, &in, ends ? ZSTD_e_end : ZSTD_e_continue);
		if (ZSTD_isError(left))
			return fail(writer, why, why_size, ZSTD_getErrorName(left));
		if (write_all(writer, writer->buffer, out.pos, why, why_size))
			return -1;
	} while (ends ? left : in.pos < in.size);
	return 0;
}

static int write_head(struct saved_writer *writer, const char *description, char *why, size_t why_size)
{
	struct saved_header header = { SAVED_FILE_MAGIC, SAVED_FILE_VERSION, (uint32_t)strlen(description) };

	if (write_all(writer, &header, sizeof(header), why, why_size) ||
	    write_all(writer, description, header.length, why, why_size) ||
	    compress(writer, &header, sizeof(header), false, why, why_size))
		return -1;
	return compress(writer, description, header.length, false, why, why_size);
}

struct saved_writer *saved_writer_create(int fd, const char *description, bool (*stop)(void *opaque),
					 void *opaque, char *why, size_t why_size)
{
	size_t size = ZSTD_CStreamOutSize();
	struct saved_writer *writer = calloc(1, sizeof(*writer) + size);

	if (writer)
		writer->stream = ZSTD_createCCtx();
	if (!writer || !writer->stream) {
		snprintf(why, why_size, "no memory to pack the guest");
		free(writer);
		return NULL;
	}
	writer->fd = fd;
	writer->stop = stop;
	writer->opaque = opaque;
	writer->size = size;
	ZSTD_CCtx_setParameter(writer->stream, ZSTD_c_compressionLevel, LEVEL);
	ZSTD_CCtx_setParameter(writer->stream, ZSTD_c_checksumFlag, 1);
	if (strlen(description) > SAVED_FILE_TEXT_MAX)
		snprintf(why, why_size, "the guest's description is too long");
	else if (!write_head(writer, description, why, why_size))
		return writer;
	saved_writer_destroy(writer);
	return NULL;
}

int saved_write(struct saved_writer *writer, const struct saved_section *section, const void *bytes,
		char *why, size_t why_size)
{
	if (writer->has_failed)
		return fail(writer, why, why_size, "an earlier part could not be written");
	if (compress(writer, section, sizeof(*section), false, why, why_size))
		return -1;
	return compress(writer, bytes, section->length, false, why, why_size);
}

int saved_write_end(struct saved_writer *writer, char *why, size_t why_size)
{
	static const struct saved_section end = { .kind = SAVED_END };

	if (saved_write(writer, &end, NULL, why, why_size))
		return -1;
	return compress(writer, NULL, 0, true, why, why_size);
}

void saved_writer_destroy(struct saved_writer *writer)
{
	if (!writer)
		return;
	ZSTD_freeCCtx(writer->stream);
	free(writer);
}
