/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* A kernel's file: each way it may be packed, and what may be wrong with it. */
#include "kernel_image.h"

#include <criterion/criterion.h>
#include <lz4.h>
#include <lzma.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "elf_builder.h"

#define SETUP_SECTORS	2
#define CODE		((SETUP_SECTORS + 1) * 512)	/* where the protected-mode code begins */
#define PAYLOAD		(CODE + 64)
#define MOST		(1u << 20)

static char path[ELF_BUILDER_PATH];
static uint8_t file[MOST], elf[MOST], packed[MOST];
static size_t elf_size, file_size;
static struct kernel_image image;
static char why[512];

static size_t read_back(uint8_t *to)
{
	FILE *from = fopen(path, "r");
	size_t size = from ? fread(to, 1, MOST, from) : 0;

	if (from)
		fclose(from);
	return size;
}

static void write_file(const uint8_t *bytes, size_t size)
{
	FILE *to = fopen(path, "w");

	cr_assert(to && fwrite(bytes, 1, size, to) == size && !fclose(to));
}

static void setup(void)
{
	struct elf_builder builder;

	elf_builder_init(&builder);
	cr_assert(elf_builder_file(path) && elf_builder_write(&builder, path));
	elf_size = read_back(elf);
	cr_assert_gt(elf_size, 0x1000);
}

static void fini(void)
{
	unlink(path);
}

TestSuite(kernel_image, .init = setup, .fini = fini);

/* A bzImage with the payload, and what it unpacks to behind it. */
static void make(const uint8_t *payload, size_t size, uint32_t unpacked)
{
	uint32_t offset = PAYLOAD - CODE, length = (uint32_t)(size + sizeof(unpacked));

	memset(file, 0, sizeof(file));
	file[0x1f1] = SETUP_SECTORS;
	file[0x1fe] = 0x55;
	file[0x1ff] = 0xaa;
	memcpy(file + 0x202, "HdrS", 4);
	file[0x206] = 0x0f;
	file[0x207] = 0x02;
	memcpy(file + 0x248, &offset, 4);
	memcpy(file + 0x24c, &length, 4);
	memcpy(file + PAYLOAD, payload, size);
	memcpy(file + PAYLOAD + size, &unpacked, sizeof(unpacked));
	file_size = PAYLOAD + size + sizeof(unpacked) + 100;
	write_file(file, file_size);
}

static int open_it(void)
{
	why[0] = 0;
	return kernel_image_open(&image, path, why, sizeof(why));
}

static void assert_opens(const char *packing)
{
	cr_assert_eq(open_it(), 0, "%s: %s", packing, why);
	cr_expect_str_eq(image.packing ? image.packing : "", packing);
	cr_expect_eq(image.size, elf_size);
	cr_expect_arr_eq(image.bytes, elf, elf_size);
	cr_expect_eq(image.elf.segment_count, 2);
	kernel_image_close(&image);
}

static void assert_refused(const char *words)
{
	cr_assert_eq(open_it(), -1, "%s", words);
	cr_expect_not_null(strstr(why, words), "\"%s\" does not say: %s", why, words);
	cr_expect_not_null(strstr(why, path), "\"%s\" does not name the file", why);
	cr_expect_null(image.bytes);
}

Test(kernel_image, the_elf_file_itself)
{
	assert_opens("");
}

static size_t pack_gzip(void)
{
	z_stream stream = {
		.next_in = elf, .avail_in = (uInt)elf_size, .next_out = packed, .avail_out = MOST,
	};

	cr_assert_eq(deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
	cr_assert_eq(deflate(&stream, Z_FINISH), Z_STREAM_END);
	deflateEnd(&stream);
	return stream.total_out;
}

/* gzip's own last word is the size. */
Test(kernel_image, gzip)
{
	make(packed, pack_gzip() - 4, (uint32_t)elf_size);
	assert_opens("gzip");
}

Test(kernel_image, xz)
{
	size_t size = 0;

	cr_assert_eq(lzma_easy_buffer_encode(6, LZMA_CHECK_CRC32, NULL, elf, elf_size, packed, &size, MOST),
		     LZMA_OK);
	make(packed, size, (uint32_t)elf_size);
	assert_opens("xz");
}

Test(kernel_image, lzma)
{
	lzma_stream stream = LZMA_STREAM_INIT;
	lzma_options_lzma options;

	lzma_lzma_preset(&options, 6);
	cr_assert_eq(lzma_alone_encoder(&stream, &options), LZMA_OK);
	stream.next_in = elf;
	stream.avail_in = elf_size;
	stream.next_out = packed;
	stream.avail_out = MOST;
	cr_assert_eq(lzma_code(&stream, LZMA_FINISH), LZMA_STREAM_END);
	make(packed, stream.total_out, (uint32_t)elf_size);
	lzma_end(&stream);
	assert_opens("lzma");
}

Test(kernel_image, zstd)
{
	make(packed, ZSTD_compress(packed, MOST, elf, elf_size, 3), (uint32_t)elf_size);
	assert_opens("zstd");
}

/* Two chunks, as Linux's tool makes them of what is longer than one. */
Test(kernel_image, lz4)
{
	static const uint8_t magic[4] = { 0x02, 0x21, 0x4c, 0x18 };
	size_t half = elf_size / 2, size = sizeof(magic), i;

	memcpy(packed, magic, sizeof(magic));
	for (i = 0; i < 2; i++) {
		size_t length = i ? elf_size - half : half;
		int got = LZ4_compress_default((const char *)elf + i * half, (char *)packed + size + 4,
					       (int)length, (int)(MOST - size - 4));

		cr_assert_gt(got, 0);
		memcpy(packed + size, &(uint32_t){ (uint32_t)got }, 4);
		size += 4 + (size_t)got;
	}
	make(packed, size, (uint32_t)elf_size);
	assert_opens("lz4");
}

/* ------------------------------------------------------------------------
 * Bad files.
 */

Test(kernel_image, no_kernel)
{
	write_file((const uint8_t *)"#!/bin/sh\n", 10);
	assert_refused("neither a bzImage nor an ELF file");
	write_file(elf, 0);
	assert_refused("the file is empty");
	unlink(path);
	assert_refused("No such file");
}

Test(kernel_image, payloads_that_cannot_be)
{
	static const uint8_t bzip2[] = "BZh91AY&SY00000000";
	size_t size = pack_gzip() - 4;
	uint32_t word;

	make(bzip2, sizeof(bzip2), 100);
	assert_refused("packed in a way that is not known here");
	make(packed, size, 0);
	assert_refused("the size of its payload is not possible");
	make(packed, size, 0xffffffff);
	assert_refused("the size of its payload is not possible");
	make(packed, size, (uint32_t)elf_size - 1);
	assert_refused("its payload cannot be unpacked");
	make(packed, size, (uint32_t)elf_size);
	word = (uint32_t)file_size;
	memcpy(file + 0x24c, &word, 4);			/* longer than the file */
	write_file(file, file_size);
	assert_refused("neither a bzImage nor an ELF file");
	word = 3;					/* not even its last word */
	memcpy(file + 0x24c, &word, 4);
	write_file(file, file_size);
	assert_refused("neither a bzImage nor an ELF file");
}

/* Any byte of a packed file may be wrong: refused, or what is unpacked is some ELF file. */
Test(kernel_image, damage, .timeout = 120)
{
	static const char *const names[] = { "xz", "zstd" };
	size_t size, at, i;

	for (i = 0; i < 2; i++) {
		size = 0;
		if (i)
			size = ZSTD_compress(packed, MOST, elf, elf_size, 3);
		else
			lzma_easy_buffer_encode(6, LZMA_CHECK_CRC32, NULL, elf, elf_size, packed, &size,
						MOST);
		for (at = 0; at < size; at++) {
			packed[at] ^= 0x41;
			make(packed, size, (uint32_t)elf_size);
			if (!open_it())
				kernel_image_close(&image);
			else
				cr_assert_null(image.bytes, "%s at %zu", names[i], at);
			packed[at] ^= 0x41;
		}
		make(packed, size / 2, (uint32_t)elf_size);
		assert_refused("its payload cannot be unpacked");
	}
}
