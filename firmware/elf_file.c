/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Reading the guest's ELF file (System V gABI, chapters 4 and 5). Everything is
 * read into local copies and checked there: the file may change or shrink while we
 * look at it, and nothing but an error may come of that.
 */
#include "elf_file.h"

#include <elf.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <pvm/abi.h>

#include "boot.h"

/* Linux: include/xen/interface/elfnote.h */
#define XEN_ELFNOTE_NAME		"Xen"
#define XEN_ELFNOTE_ENTRY		1
#define XEN_ELFNOTE_HYPERCALL_PAGE	2
#define XEN_ELFNOTE_VIRT_BASE		3
#define XEN_ELFNOTE_INIT_P2M		15

struct reader {
	struct elf_file *elf;
	char *why;
	size_t why_size;
	unsigned notes;			/* read so far */
};

static __attribute__((format(printf, 2, 3))) int refuse(const struct reader *reader,
							const char *format, ...)
{
	va_list args;
	int length = snprintf(reader->why, reader->why_size, "%s: ", reader->elf->path);

	if (length < 0 || (size_t)length >= reader->why_size)
		return -1;
	va_start(args, format);
	vsnprintf(reader->why + length, reader->why_size - (size_t)length, format, args);
	va_end(args);
	return -1;
}

/* All @length bytes at @offset, or an error that says what they were for. */
static int read_at(const struct reader *reader, void *buffer, uint64_t length, uint64_t offset,
		   const char *what)
{
	const struct elf_file *elf = reader->elf;
	const char *error;

	if (offset > elf->size || length > elf->size - offset)
		return refuse(reader, "truncated: %s needs bytes %llu..%llu, the file has %llu",
			      what, (unsigned long long)offset,
			      (unsigned long long)(offset + length), (unsigned long long)elf->size);
	error = length ? elf->read(elf->source, buffer, length, offset) : NULL;
	return error ? refuse(reader, "reading %s: %s", what, error) : 0;
}

static const char *machine_name(unsigned machine)
{
	switch (machine) {
	case EM_386:
		return "i386";
	case EM_ARM:
		return "ARM";
	case EM_AARCH64:
		return "AArch64";
	case EM_RISCV:
		return "RISC-V";
	}
	return "unknown";
}

static int check_type(const struct reader *reader, const Elf64_Ehdr *header)
{
	if (header->e_machine != EM_X86_64)
		return refuse(reader, "made for another machine (e_machine %u, %s), not x86-64",
			      header->e_machine, machine_name(header->e_machine));
	switch (header->e_type) {
	case ET_EXEC:
		return 0;
	case ET_DYN:
		return refuse(
			reader,
			"dynamic or position-independent (ET_DYN): a guest is linked with -static -no-pie");
	case ET_REL:
		return refuse(reader, "an object file (ET_REL), not an executable");
	case ET_CORE:
		return refuse(reader, "a core dump (ET_CORE), not an executable");
	}
	return refuse(reader, "not an executable (e_type %u)", header->e_type);
}

static int read_header(const struct reader *reader, Elf64_Ehdr *header)
{
	uint8_t ident[EI_NIDENT] = { 0 };
	uint64_t have = reader->elf->size < EI_NIDENT ? reader->elf->size : EI_NIDENT;

	if (read_at(reader, ident, have, 0, "the ELF identification"))
		return -1;
	if (memcmp(ident, ELFMAG, SELFMAG))
		return refuse(reader, "not an ELF file");
	if (have < EI_NIDENT)
		return refuse(reader, "truncated: the ELF header needs 64 bytes, the file has %llu",
			      (unsigned long long)have);
	if (ident[EI_CLASS] == ELFCLASS32)
		return refuse(reader, "a 32-bit ELF file; a guest is ELF64");
	if (ident[EI_CLASS] != ELFCLASS64)
		return refuse(reader, "unknown ELF class %u", ident[EI_CLASS]);
	if (ident[EI_DATA] != ELFDATA2LSB)
		return refuse(reader, "not a little-endian ELF file");
	if (read_at(reader, header, sizeof(*header), 0, "the ELF header"))
		return -1;
	if (check_type(reader, header))
		return -1;
	if (!header->e_phnum)
		return refuse(reader, "has no program headers");
	if (header->e_phoff > reader->elf->size)
		return refuse(reader, "truncated: program headers at offset %llu, the file has %llu",
			      (unsigned long long)header->e_phoff,
			      (unsigned long long)reader->elf->size);
	if (header->e_phentsize != sizeof(Elf64_Phdr))
		return refuse(reader, "program headers of %u bytes instead of %zu",
			      header->e_phentsize, sizeof(Elf64_Phdr));
	return 0;
}

static int add_segment(const struct reader *reader, const Elf64_Phdr *phdr, unsigned index)
{
	struct elf_file *elf = reader->elf;

	if (phdr->p_filesz > phdr->p_memsz)
		return refuse(reader, "segment %u: %llu bytes in the file but %llu in memory",
			      index, (unsigned long long)phdr->p_filesz,
			      (unsigned long long)phdr->p_memsz);
	if (phdr->p_offset > elf->size || phdr->p_filesz > elf->size - phdr->p_offset)
		return refuse(
			reader,
			"truncated: segment %u has %llu bytes at offset %llu, the file has %llu",
			index, (unsigned long long)phdr->p_filesz,
			(unsigned long long)phdr->p_offset, (unsigned long long)elf->size);
	if (phdr->p_paddr + phdr->p_memsz < phdr->p_paddr ||
	    phdr->p_vaddr + phdr->p_memsz - 1 < phdr->p_vaddr)
		return refuse(reader, "segment %u wraps around the address space", index);
	if (elf->segment_count == ELF_FILE_MAX_SEGMENTS)
		return refuse(reader, "more than %d segments", ELF_FILE_MAX_SEGMENTS);
	elf->segments[elf->segment_count++] = (struct elf_file_segment){
		.vaddr = phdr->p_vaddr,
		.paddr = phdr->p_paddr,
		.offset = phdr->p_offset,
		.file_size = phdr->p_filesz,
		.memory_size = phdr->p_memsz,
		.read = phdr->p_flags & PF_R,
		.write = phdr->p_flags & PF_W,
		.exec = phdr->p_flags & PF_X,
	};
	if (phdr->p_vaddr >> 63)
		elf->upper_half = true;
	return 0;
}

static int add_abi(const struct reader *reader, uint64_t descriptor, uint32_t size)
{
	struct elf_file *elf = reader->elf;
	uint32_t abi;

	if (size != sizeof(abi))
		return refuse(reader, "the ELF note for the guest ABI has %u bytes instead of %zu",
			      size, sizeof(abi));
	if (read_at(reader, &abi, sizeof(abi), descriptor, "a note"))
		return -1;
	if (elf->has_abi && elf->abi != abi)
		return refuse(reader, "two ELF notes ask for different guest ABIs, %u and %u",
			      elf->abi, abi);
	elf->has_abi = true;
	elf->abi = abi;
	return 0;
}

/* What is not one number of 64 bits is for others. */
static int add_xen(const struct reader *reader, uint32_t type, uint64_t descriptor, uint32_t size)
{
	struct elf_file *elf = reader->elf;
	uint64_t value;

	if (size != sizeof(value))
		return 0;
	if (read_at(reader, &value, sizeof(value), descriptor, "a note"))
		return -1;
	switch (type) {
	case XEN_ELFNOTE_ENTRY:
		elf->xen.has_entry = true;
		elf->xen.entry = value;
		break;
	case XEN_ELFNOTE_HYPERCALL_PAGE:
		elf->xen.hypercall_page = value;
		break;
	case XEN_ELFNOTE_VIRT_BASE:
		elf->xen.has_virt_base = true;
		elf->xen.virt_base = value;
		break;
	case XEN_ELFNOTE_INIT_P2M:
		elf->xen.has_init_p2m = true;
		elf->xen.init_p2m = value;
		break;
	}
	return 0;
}

/* The note at *@at, and *@at after it. Offsets in the file; a note's own are aligned
 * to @align, and its two lengths are 32 bits wide, so that nothing here wraps. */
static int read_note(struct reader *reader, unsigned segment, uint64_t *at, uint64_t end,
		     uint64_t align)
{
	char name[sizeof(PVM_ELFNOTE_NAME)];
	uint64_t descriptor, next;
	Elf64_Nhdr note;

	if (++reader->notes > ELF_FILE_MAX_NOTES)
		return refuse(reader, "more than %d notes", ELF_FILE_MAX_NOTES);
	if (end - *at < sizeof(note))
		return refuse(reader, "note segment %u: its last note is cut off", segment);
	if (read_at(reader, &note, sizeof(note), *at, "a note"))
		return -1;
	descriptor = *at + ((sizeof(note) + note.n_namesz + align - 1) & ~(align - 1));
	if (descriptor + note.n_descsz > end)
		return refuse(reader, "note segment %u: a note runs over its end", segment);
	next = descriptor + ((note.n_descsz + align - 1) & ~(align - 1));
	if (note.n_namesz == sizeof(name)) {	/* as long as both names */
		if (read_at(reader, name, sizeof(name), *at + sizeof(note), "a note"))
			return -1;
		if (!memcmp(name, PVM_ELFNOTE_NAME, sizeof(name)) && note.n_type == PVM_ELFNOTE_ABI &&
		    add_abi(reader, descriptor, note.n_descsz))
			return -1;
		if (!memcmp(name, XEN_ELFNOTE_NAME, sizeof(name)) &&
		    add_xen(reader, note.n_type, descriptor, note.n_descsz))
			return -1;
	}
	*at = next < end ? next : end;
	return 0;
}

static int read_notes(struct reader *reader, const Elf64_Phdr *phdr, unsigned segment)
{
	uint64_t at = phdr->p_offset, end = at + phdr->p_filesz;

	if (!phdr->p_filesz)
		return 0;
	if (end < at || end > reader->elf->size)
		return refuse(
			reader,
			"truncated: note segment %u has %llu bytes at offset %llu, the file has %llu",
			segment, (unsigned long long)phdr->p_filesz, (unsigned long long)at,
			(unsigned long long)reader->elf->size);
	while (at < end)
		if (read_note(reader, segment, &at, end, phdr->p_align == 8 ? 8 : 4))
			return -1;
	return 0;
}

static int check_overlap(const struct reader *reader)
{
	const struct elf_file *elf = reader->elf;
	unsigned i, j;

	for (i = 0; i < elf->segment_count; i++) {
		const struct elf_file_segment *a = &elf->segments[i];

		for (j = i + 1; j < elf->segment_count; j++) {
			const struct elf_file_segment *b = &elf->segments[j];

			if (a->paddr < b->paddr + b->memory_size &&
			    b->paddr < a->paddr + a->memory_size)
				return refuse(reader,
					      "loadable segments %u and %u overlap at 0x%llx", i, j,
					      (unsigned long long)(a->paddr > b->paddr ? a->paddr
										       : b->paddr));
		}
	}
	return 0;
}

static int read_segments(struct reader *reader, const Elf64_Ehdr *header)
{
	unsigned i;

	for (i = 0; i < header->e_phnum; i++) {
		Elf64_Phdr phdr;

		if (read_at(reader, &phdr, sizeof(phdr), header->e_phoff + i * sizeof(phdr),
			    "the program headers"))
			return -1;
		if (phdr.p_type == PT_INTERP)
			return refuse(
				reader,
				"dynamic: it asks for an interpreter (PT_INTERP); a guest is linked with -static");
		if (phdr.p_type == PT_DYNAMIC)
			return refuse(reader,
				      "dynamic (PT_DYNAMIC); a guest is linked with -static");
		if (phdr.p_type == PT_LOAD && phdr.p_memsz && add_segment(reader, &phdr, i))
			return -1;
		if (phdr.p_type == PT_NOTE && read_notes(reader, &phdr, i))
			return -1;
	}
	if (!reader->elf->segment_count)
		return refuse(reader, "has no loadable segment");
	return check_overlap(reader);
}

static bool within(uint64_t address, uint64_t start, uint64_t length)
{
	return address >= start && address - start < length;
}

/* The entry is physical, as virtual = physical at the start; a file linked in
 * the upper half may name the virtual one. A kernel that says where Xen enters it may
 * have its start in a segment that is not executable: it maps itself anew. */
static int find_start(const struct reader *reader)
{
	struct elf_file *elf = reader->elf;
	unsigned i;

	for (i = 0; i < elf->segment_count; i++) {
		const struct elf_file_segment *s = &elf->segments[i];

		if (!s->exec && !elf->xen.has_entry)
			continue;
		if (within(elf->entry, s->vaddr, s->memory_size)) {
			elf->start = elf->entry - s->vaddr + s->paddr;
			return 0;
		}
		if (within(elf->entry, s->paddr, s->memory_size)) {
			elf->start = elf->entry;
			return 0;
		}
	}
	return refuse(reader, "the entry point 0x%llx is outside every executable segment",
		      (unsigned long long)elf->entry);
}

/* Sections only tell whether there is a script: a file with bad ones has none. */
static bool find_script(const struct reader *reader, const Elf64_Ehdr *header)
{
	Elf64_Shdr names, section;
	char name[sizeof(ELF_FILE_SCRIPT_SECTION)], ignored[8];
	struct reader quiet = { reader->elf, ignored, sizeof(ignored), 0 };
	unsigned i;

	if (header->e_shentsize != sizeof(section) || header->e_shstrndx >= header->e_shnum ||
	    header->e_shoff > reader->elf->size ||
	    read_at(&quiet, &names, sizeof(names),
		    header->e_shoff + header->e_shstrndx * sizeof(names), ""))
		return false;
	for (i = 0; i < header->e_shnum; i++) {
		if (read_at(&quiet, &section, sizeof(section),
			    header->e_shoff + i * sizeof(section), ""))
			return false;
		if (names.sh_offset > reader->elf->size ||
		    read_at(&quiet, name, sizeof(name), names.sh_offset + section.sh_name, ""))
			continue;
		if (!memcmp(name, ELF_FILE_SCRIPT_SECTION, sizeof(name)))
			return true;
	}
	return false;
}

int elf_file_parse(struct elf_file *elf, char *why, size_t why_size)
{
	struct reader reader = { elf, why, why_size, 0 };
	Elf64_Ehdr header;

	if (!elf->size)
		return refuse(&reader, "the file is empty");
	if (read_header(&reader, &header) || read_segments(&reader, &header))
		return -1;
	elf->entry = header.e_entry;
	if (find_start(&reader))
		return -1;
	elf->has_script = find_script(&reader, &header);
	return 0;
}

int elf_file_check_memory(const struct elf_file *elf, uint64_t memory_size, char *why,
			  size_t why_size)
{
	struct reader reader = { (struct elf_file *)elf, why, why_size, 0 };
	unsigned i;

	for (i = 0; i < elf->segment_count; i++) {
		const struct elf_file_segment *s = &elf->segments[i];
		uint64_t end = s->paddr + s->memory_size;

		if (end > memory_size)
			return refuse(
				&reader,
				"loadable segment %u (0x%llx..0x%llx) is outside the guest's memory (0..0x%llx); see --memory",
				i, (unsigned long long)s->paddr, (unsigned long long)end,
				(unsigned long long)memory_size);
		if (s->paddr < BOOT_AREA_END && end > BOOT_AREA_START)
			return refuse(
				&reader,
				"loadable segment %u (0x%llx..0x%llx) is in the boot area (0x%llx..0x%llx)",
				i, (unsigned long long)s->paddr, (unsigned long long)end,
				(unsigned long long)BOOT_AREA_START,
				(unsigned long long)BOOT_AREA_END);
	}
	return 0;
}

int elf_file_load(const struct elf_file *elf, uint8_t *memory, uint64_t size, char *why,
		  size_t why_size)
{
	struct reader reader = { (struct elf_file *)elf, why, why_size, 0 };
	unsigned i;

	for (i = 0; i < elf->segment_count; i++) {
		const struct elf_file_segment *s = &elf->segments[i];

		if (s->paddr > size || s->memory_size > size - s->paddr)
			return refuse(&reader, "loadable segment %u is outside the guest's memory",
				      i);
		if (read_at(&reader, memory + s->paddr, s->file_size, s->offset, "a segment"))
			return -1;
	}
	return 0;
}
