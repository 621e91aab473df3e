/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* One function for each format that Linux packs its kernels with, except LZO and bzip2, which no
 * distribution's kernel uses. What follows the packed data is not looked at. */
#include "unpack.h"

#include <limits.h>
#include <string.h>

#include <lz4.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

#define XZ_MEMORY	(256ull << 20)	/* bytes that the decoder may use */
#define GZIP_WINDOW	(15 + 16)	/* zlib: the largest window, with a gzip header */
#define LZ4_MAGIC_SIZE	4
#define LZ4_CHUNK	(8u << 20)	/* bytes that a chunk of the legacy format has at most */

static int64_t unpack_xz(const uint8_t *from, size_t from_size, uint8_t *to, size_t to_size)
{
	uint64_t memory = XZ_MEMORY;
	size_t in = 0, out = 0;

	if (lzma_stream_buffer_decode(&memory, 0, NULL, from, &in, from_size, to, &out, to_size) != LZMA_OK)
		return -1;
	return (int64_t)out;
}

static int64_t unpack_lzma(const uint8_t *from, size_t from_size, uint8_t *to, size_t to_size)
{
	lzma_stream stream = LZMA_STREAM_INIT;
	lzma_ret ret = lzma_alone_decoder(&stream, XZ_MEMORY);

	if (ret != LZMA_OK)
		return -1;
	stream.next_in = from;
	stream.avail_in = from_size;
	stream.next_out = to;
	stream.avail_out = to_size;
	ret = lzma_code(&stream, LZMA_FINISH);
	lzma_end(&stream);
	return ret == LZMA_STREAM_END ? (int64_t)(to_size - stream.avail_out) : -1;
}

static int64_t unpack_gzip(const uint8_t *from, size_t from_size, uint8_t *to, size_t to_size)
{
	z_stream stream = { .next_in = (Bytef *)(uintptr_t)from, .avail_in = (uInt)from_size,
			    .next_out = to, .avail_out = (uInt)to_size };
	int ret;

	if (from_size > UINT_MAX || to_size > UINT_MAX || inflateInit2(&stream, GZIP_WINDOW) != Z_OK)
		return -1;
	ret = inflate(&stream, Z_FINISH);
	inflateEnd(&stream);
	return ret == Z_STREAM_END ? (int64_t)stream.total_out : -1;
}

static int64_t unpack_zstd(const uint8_t *from, size_t from_size, uint8_t *to, size_t to_size)
{
	size_t frame = ZSTD_findFrameCompressedSize(from, from_size), out;

	if (ZSTD_isError(frame))
		return -1;
	out = ZSTD_decompress(to, to_size, from, frame);
	return ZSTD_isError(out) ? -1 : (int64_t)out;
}

static uint32_t word_at(const uint8_t *from)
{
	uint32_t word;

	memcpy(&word, from, sizeof(word));
	return word;
}

/* The legacy format: chunks, each with its size before it, until what follows can be none: Linux writes the
 * unpacked size there. */
static int64_t unpack_lz4(const uint8_t *from, size_t from_size, uint8_t *to, size_t to_size)
{
	size_t in = LZ4_MAGIC_SIZE, out = 0;

	while (from_size - in > sizeof(uint32_t)) {
		uint32_t size = word_at(from + in);
		size_t room = to_size - out < LZ4_CHUNK ? to_size - out : LZ4_CHUNK;
		int got;

		in += sizeof(size);
		if (size > from_size - in || size > INT_MAX)
			return -1;
		got = LZ4_decompress_safe((const char *)from + in, (char *)to + out, (int)size, (int)room);
		if (got < 0)
			return -1;
		in += size;
		out += (size_t)got;
	}
	return (int64_t)out;
}

static const struct unpack_format formats[] = {
	{ "gzip", { 0x1f, 0x8b, 0x08 }, 3, unpack_gzip },
	{ "xz", { 0xfd, '7', 'z', 'X', 'Z', 0 }, 6, unpack_xz },
	{ "zstd", { 0x28, 0xb5, 0x2f, 0xfd }, 4, unpack_zstd },
	{ "lz4", { 0x02, 0x21, 0x4c, 0x18 }, LZ4_MAGIC_SIZE, unpack_lz4 },
	{ "lzma", { 0x5d, 0x00, 0x00 }, 3, unpack_lzma },
};

const struct unpack_format *unpack_find(const uint8_t *from, size_t from_size)
{
	size_t i;

	for (i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
		if (from_size > formats[i].magic_size &&
		    !memcmp(from, formats[i].magic, formats[i].magic_size))
			return &formats[i];
	return NULL;
}
