/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * A kernel's file as distributions ship it: a bzImage, whose payload is a compressed ELF file, or that file
 * itself. Unpacked into memory and parsed. The file is bad input until proven otherwise.
 */
#ifndef STANDALONE_KERNEL_IMAGE_H
#define STANDALONE_KERNEL_IMAGE_H

#include "elf_file.h"

struct kernel_image {
	struct elf_file elf;	/* its bytes are below */
	uint8_t *bytes;
	uint64_t size;
	const char *packing;	/* "xz", "zstd" ..; NULL: the file is the ELF file */
	char version[128];	/* of a bzImage: "6.1.0-56-amd64 (..) #1 SMP ..", without control characters */
};

/**
 * kernel_image_open - read, unpack and parse @path, which must outlive it.
 * Returns 0, or -1 with one line in @why: no file, not a kernel, a payload that is damaged, too large
 * or packed in a way that is not known here.
 */
int kernel_image_open(struct kernel_image *image, const char *path, char *why, size_t why_size);
void kernel_image_close(struct kernel_image *image);

/* Does the file begin as a bzImage? False also where there is no such file. */
bool kernel_image_is_packed(const char *path);

/* A whole regular file. NULL with one line in @why; else free() it. */
uint8_t *kernel_image_read_file(const char *path, uint64_t *size, char *why, size_t why_size);

#endif /* STANDALONE_KERNEL_IMAGE_H */
