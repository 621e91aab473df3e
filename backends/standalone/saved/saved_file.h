/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The file of a saved guest: a header, a description in JSON that people may read, and a zstd stream of
 * sections. The stream begins with header and description once more: so its checksum is one of the whole
 *file.
 *
 *	magic		8 bytes, "PVMSAVED"
 *	version		4 bytes, as all numbers with the lowest byte first
 *	length		4 bytes, of the description, which follows
 *	stream		to the end of the file
 *
 * A section is its kind, its index and its length, 8 bytes each, and that many bytes. Knows nothing of what
 *is in them. A file that is read is bad input until proven otherwise.
 */
#ifndef SAVED_FILE_H
#define SAVED_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SAVED_FILE_MAGIC	"PVMSAVED"
#define SAVED_FILE_VERSION	3u
#define SAVED_FILE_TEXT_MAX	(1u << 20)	/* bytes of the description */

/* In this order. */
enum saved_kind {
	SAVED_VM = 1,		/* struct pvm_xen_vm_state */
	SAVED_REGISTERS,	/* of vCPU @index, as the executor has them */
	SAVED_VCPU,		/* struct pvm_xen_vcpu_state of vCPU @index */
	SAVED_TABLES,		/* the pinned page tables, a bit for each frame of memory */
	SAVED_DEVICES,		/* a struct xen_record */
	SAVED_MEMORY,		/* pages from frame @index on; those that are in none are zero */
	SAVED_END,
};

struct saved_section {
	uint64_t kind, index, length;
};

struct saved_writer;

/**
 * saved_writer_create - begin a file at @fd, which stays the caller's.
 * @stop: asked now and then, with @opaque: is it of no use any more? What is written then fails.
 * Returns NULL with one line in @why.
 */
struct saved_writer *saved_writer_create(int fd, const char *description, bool (*stop)(void *opaque),
					 void *opaque, char *why, size_t why_size);
/* A section; after an error nothing more is written. 0, or -1 with one line in @why. */
int saved_write(struct saved_writer *writer, const struct saved_section *section, const void *bytes,
		char *why, size_t why_size);
/* The end of it: all is written to @fd then, and not yet synchronised. */
int saved_write_end(struct saved_writer *writer, char *why, size_t why_size);
void saved_writer_destroy(struct saved_writer *writer);

struct saved_reader;

/* Does the file begin as one? False also where there is no such file. */
bool saved_file_is_one(const char *path);

/**
 * saved_reader_open - open a file, and read its header and description.
 * @path: must outlive the reader; each line in @why begins with it.
 * Returns NULL with one line in @why.
 */
struct saved_reader *saved_reader_open(const char *path, char *why, size_t why_size);
void saved_reader_close(struct saved_reader *reader);
const char *saved_reader_path(const struct saved_reader *reader);
/* With a NUL. */
const char *saved_reader_text(const struct saved_reader *reader, size_t *length);

/* The next section; then its bytes, all of them, in pieces. 0, or -1 with one line in @why. */
int saved_read_section(struct saved_reader *reader, struct saved_section *section, char *why,
		       size_t why_size);
int saved_read(struct saved_reader *reader, void *to, size_t size, char *why, size_t why_size);
/* After SAVED_END: that the file ends there, and that the checksum is right. */
int saved_read_end(struct saved_reader *reader, char *why, size_t why_size);
/* "PATH: damaged: @what"; -1. */
int saved_damaged(const struct saved_reader *reader, const char *what, char *why, size_t why_size);

#endif /* SAVED_FILE_H */
