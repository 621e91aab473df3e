/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* saved_file.h: how such a file is read. Every length is checked before it is used. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include "saved_file.h"
#include "saved_header.h"

#define WINDOW_LOG_MAX	23	/* the memory that a stream may ask for, as a power of two */
#define PIECE		4096	/* bytes of what is compared, and not kept */

struct saved_reader {
	const char *path;
	int fd;
	char *text;
	struct saved_header header;
	ZSTD_DCtx *stream;
	ZSTD_inBuffer in;
	size_t size;		/* of the buffer */
	uint64_t left;		/* bytes of the section that were not read */
	bool has_begun, is_over;	/* the stream */
	uint8_t buffer[];
};

static int fail(const struct saved_reader *reader, const char *what, char *why, size_t why_size)
{
	snprintf(why, why_size, "%s: %s", reader->path, what);
	return -1;
}

int saved_damaged(const struct saved_reader *reader, const char *what, char *why, size_t why_size)
{
	snprintf(why, why_size, "%s: damaged: %s", reader->path, what);
	return -1;
}

/* Bytes of the file, fewer only at its end; -1: with a line. */
static ssize_t read_some(struct saved_reader *reader, void *to, size_t size, char *why, size_t why_size)
{
	size_t done = 0;

	while (done < size) {
		ssize_t got = read(reader->fd, (uint8_t *)to + done, size - done);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return fail(reader, strerror(errno), why, why_size);
		if (!got)
			break;
		done += (size_t)got;
	}
	return (ssize_t)done;
}

/* ------------------------------------------------------------------------
 * Header and description.
 */

static int read_header(struct saved_reader *reader, char *why, size_t why_size)
{
	ssize_t got = read_some(reader, &reader->header, sizeof(reader->header), why, why_size);

	if (got < 0)
		return -1;
	if (got < (ssize_t)sizeof(reader->header.magic) ||
	    memcmp(reader->header.magic, SAVED_FILE_MAGIC, sizeof(reader->header.magic)))
		return fail(reader, "not a saved guest", why, why_size);
	if (got < (ssize_t)sizeof(reader->header))
		return fail(reader, "cut short", why, why_size);
	if (reader->header.version > SAVED_FILE_VERSION)
		return fail(reader, "made by a newer pvm", why, why_size);
	if (reader->header.version && reader->header.version < SAVED_FILE_VERSION)
		return fail(reader, "made by an older pvm", why, why_size);
	if (reader->header.version != SAVED_FILE_VERSION)
		return saved_damaged(reader, "it has no version", why, why_size);
	if (!reader->header.length || reader->header.length > SAVED_FILE_TEXT_MAX)
		return saved_damaged(reader, "its description has no possible length", why, why_size);
	return 0;
}

static int read_text(struct saved_reader *reader, char *why, size_t why_size)
{
	uint32_t length = reader->header.length;
	ssize_t got;

	reader->text = malloc((size_t)length + 1);
	if (!reader->text)
		return fail(reader, "no memory for its description", why, why_size);
	got = read_some(reader, reader->text, length, why, why_size);
	if (got < 0)
		return -1;
	if (got < (ssize_t)length)
		return fail(reader, "cut short", why, why_size);
	reader->text[length] = '\0';
	return 0;
}

static int open_file(struct saved_reader *reader, char *why, size_t why_size)
{
	struct stat status;

	/* A pipe would wait for its other end. */
	reader->fd = open(reader->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (reader->fd < 0 || fstat(reader->fd, &status) < 0)
		return fail(reader, strerror(errno), why, why_size);
	if (!S_ISREG(status.st_mode))
		return fail(reader, "not a file", why, why_size);
	return 0;
}

bool saved_file_is_one(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char magic[sizeof(SAVED_FILE_MAGIC) - 1];
	bool is_one;

	if (fd < 0)
		return false;
	is_one = pread(fd, magic, sizeof(magic), 0) == (ssize_t)sizeof(magic) &&
		 !memcmp(magic, SAVED_FILE_MAGIC, sizeof(magic));
	close(fd);
	return is_one;
}

struct saved_reader *saved_reader_open(const char *path, char *why, size_t why_size)
{
	size_t size = ZSTD_DStreamInSize();
	struct saved_reader *reader = calloc(1, sizeof(*reader) + size);

	if (reader)
		reader->stream = ZSTD_createDCtx();
	if (!reader || !reader->stream) {
		snprintf(why, why_size, "%s: no memory to read it", path);
		free(reader);
		return NULL;
	}
	reader->path = path;
	reader->fd = -1;
	reader->size = size;
	reader->in.src = reader->buffer;
	ZSTD_DCtx_setParameter(reader->stream, ZSTD_d_windowLogMax, WINDOW_LOG_MAX);
	if (!open_file(reader, why, why_size) && !read_header(reader, why, why_size) &&
	    !read_text(reader, why, why_size))
		return reader;
	saved_reader_close(reader);
	return NULL;
}

void saved_reader_close(struct saved_reader *reader)
{
	if (!reader)
		return;
	if (reader->fd >= 0)
		close(reader->fd);
	ZSTD_freeDCtx(reader->stream);
	free(reader->text);
	free(reader);
}

const char *saved_reader_path(const struct saved_reader *reader)
{
	return reader->path;
}

const char *saved_reader_text(const struct saved_reader *reader, size_t *length)
{
	*length = reader->header.length;
	return reader->text;
}

/* ------------------------------------------------------------------------
 * The stream.
 */

static int unpack(struct saved_reader *reader, void *to, size_t size, char *why, size_t why_size)
{
	ZSTD_outBuffer out = { to, size, 0 };

	while (out.pos < size) {
		size_t result, before = out.pos;

		if (reader->is_over)
			return saved_damaged(reader, "its stream ends early", why, why_size);
		result = ZSTD_decompressStream(reader->stream, &out, &reader->in);
		if (ZSTD_isError(result))
			return saved_damaged(reader, ZSTD_getErrorName(result), why, why_size);
		reader->is_over = !result;
		if (reader->in.pos == reader->in.size && out.pos == before && !reader->is_over) {
			ssize_t got = read_some(reader, reader->buffer, reader->size, why, why_size);

			if (got < 0)
				return -1;
			if (!got)
				return fail(reader, "cut short", why, why_size);
			reader->in.size = (size_t)got;
			reader->in.pos = 0;
		}
	}
	return 0;
}

/* Header and description are what the stream's checksum is of. */
static int compare(struct saved_reader *reader, const void *with, size_t size, char *why, size_t why_size)
{
	uint8_t bytes[PIECE];
	size_t at, piece;

	for (at = 0; at < size; at += piece) {
		piece = size - at < PIECE ? size - at : PIECE;
		if (unpack(reader, bytes, piece, why, why_size))
			return -1;
		if (memcmp(bytes, (const uint8_t *)with + at, piece))
			return saved_damaged(reader, "its description is not the one it was saved with", why,
					     why_size);
	}
	return 0;
}

int saved_read_section(struct saved_reader *reader, struct saved_section *section, char *why, size_t why_size)
{
	if (reader->left)
		return saved_damaged(reader, "a section is too long", why, why_size);
	if (!reader->has_begun) {
		reader->has_begun = true;
		if (compare(reader, &reader->header, sizeof(reader->header), why, why_size) ||
		    compare(reader, reader->text, reader->header.length, why, why_size))
			return -1;
	}
	if (unpack(reader, section, sizeof(*section), why, why_size))
		return -1;
	reader->left = section->length;
	return 0;
}

int saved_read(struct saved_reader *reader, void *to, size_t size, char *why, size_t why_size)
{
	if (size > reader->left)
		return saved_damaged(reader, "a section is too short", why, why_size);
	reader->left -= size;
	return unpack(reader, to, size, why, why_size);
}

int saved_read_end(struct saved_reader *reader, char *why, size_t why_size)
{
	uint8_t byte;
	ZSTD_outBuffer out = { &byte, 1, 0 };

	if (reader->left)
		return saved_damaged(reader, "its last section is not empty", why, why_size);
	while (!reader->is_over) {
		size_t result;

		if (reader->in.pos == reader->in.size) {
			ssize_t got = read_some(reader, reader->buffer, reader->size, why, why_size);

			if (got < 0)
				return -1;
			if (!got)
				return fail(reader, "cut short", why, why_size);
			reader->in.size = (size_t)got;
			reader->in.pos = 0;
		}
		result = ZSTD_decompressStream(reader->stream, &out, &reader->in);
		if (ZSTD_isError(result))
			return saved_damaged(reader, ZSTD_getErrorName(result), why, why_size);
		if (out.pos)
			return saved_damaged(reader, "it goes on after its end", why, why_size);
		reader->is_over = !result;
	}
	if (reader->in.pos == reader->in.size) {
		ssize_t got = read_some(reader, reader->buffer, 1, why, why_size);

		if (got <= 0)
			return (int)got;
	}
	return saved_damaged(reader, "it goes on after its end", why, why_size);
}
