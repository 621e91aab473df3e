/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Writes the ELF files of elf_builder.h; judges nothing, so that broken ones can be made. */
#include "elf_builder.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <pvm/abi.h>

#define FILE_SIZE	0x4000
#define DATA_OFFSET	(ELF_BUILDER_OFFSET + 0x1000)
#define NAMES_OFFSET	0x3400
#define SECTIONS_OFFSET	0x3500
#define DATA_FILE_SIZE	0x100

static const char section_names[] = "\0.pvm.script\0.shstrtab";

void elf_builder_init(struct elf_builder *elf)
{
	memset(elf, 0, sizeof(*elf));
	elf->size = (size_t)-1;
	memcpy(elf->header.e_ident, ELFMAG, SELFMAG);
	elf->header.e_ident[EI_CLASS] = ELFCLASS64;
	elf->header.e_ident[EI_DATA] = ELFDATA2LSB;
	elf->header.e_ident[EI_VERSION] = EV_CURRENT;
	elf->header.e_type = ET_EXEC;
	elf->header.e_machine = EM_X86_64;
	elf->header.e_version = EV_CURRENT;
	elf->header.e_entry = ELF_BUILDER_CODE;
	elf->header.e_ehsize = sizeof(Elf64_Ehdr);
	elf->header.e_phoff = sizeof(Elf64_Ehdr);
	elf->header.e_phentsize = sizeof(Elf64_Phdr);
	elf->header.e_phnum = 2;
	elf->phdr[0] = (Elf64_Phdr){
		.p_type = PT_LOAD, .p_flags = PF_R | PF_X, .p_offset = ELF_BUILDER_OFFSET,
		.p_vaddr = ELF_BUILDER_CODE, .p_paddr = ELF_BUILDER_CODE,
		.p_filesz = 0x1000, .p_memsz = 0x1000,
	};
	elf->phdr[1] = (Elf64_Phdr){
		.p_type = PT_LOAD, .p_flags = PF_R | PF_W, .p_offset = DATA_OFFSET,
		.p_vaddr = ELF_BUILDER_DATA, .p_paddr = ELF_BUILDER_DATA,
		.p_filesz = DATA_FILE_SIZE, .p_memsz = 0x2000,
	};
}

static size_t padded(size_t size, size_t align)
{
	return (size + align - 1) & ~(align - 1);
}

void elf_builder_add_note(struct elf_builder *elf, size_t align, const char *name, uint32_t type,
			  const void *descriptor, uint32_t size)
{
	Elf64_Nhdr note = { .n_namesz = (uint32_t)strlen(name) + 1, .n_descsz = size, .n_type = type };
	Elf64_Phdr *phdr = &elf->phdr[2];
	uint8_t *at = elf->notes + phdr->p_filesz;

	memcpy(at, &note, sizeof(note));
	memcpy(at + sizeof(note), name, note.n_namesz);
	memcpy(at + padded(sizeof(note) + note.n_namesz, align), descriptor, size);
	phdr->p_type = PT_NOTE;
	phdr->p_align = align;
	phdr->p_offset = ELF_BUILDER_NOTES;
	phdr->p_filesz += padded(sizeof(note) + note.n_namesz, align) + padded(size, align);
	elf->header.e_phnum = 3;
}

void elf_builder_note(struct elf_builder *elf, uint32_t abi)
{
	elf_builder_add_note(elf, 4, PVM_ELFNOTE_NAME, PVM_ELFNOTE_ABI, &abi, sizeof(abi));
}

static void add_script(Elf64_Ehdr *header, uint8_t *image)
{
	Elf64_Shdr sections[3] = {
		[1] = { .sh_name = 1,
			.sh_type = SHT_PROGBITS,
			.sh_offset = DATA_OFFSET,
			.sh_size = 16 },
		[2] = { .sh_name = 13,
			.sh_type = SHT_STRTAB,
			.sh_offset = NAMES_OFFSET,
			.sh_size = sizeof(section_names) },
	};

	header->e_shoff = SECTIONS_OFFSET;
	header->e_shentsize = sizeof(Elf64_Shdr);
	header->e_shnum = 3;
	header->e_shstrndx = 2;
	memcpy(image + NAMES_OFFSET, section_names, sizeof(section_names));
	memcpy(image + SECTIONS_OFFSET, sections, sizeof(sections));
}

bool elf_builder_file(char path[ELF_BUILDER_PATH])
{
	int fd;

	strcpy(path, "/tmp/pvm-elf-XXXXXX");
	fd = mkstemp(path);
	return fd >= 0 && !close(fd);
}

bool elf_builder_write(const struct elf_builder *elf, const char *path)
{
	static uint8_t image[FILE_SIZE];
	Elf64_Ehdr header = elf->header;
	size_t size = elf->size < FILE_SIZE ? elf->size : FILE_SIZE, phdrs = header.e_phnum;
	FILE *file = fopen(path, "wbe");
	bool ok;

	if (!file)
		return false;
	memset(image, 0, sizeof(image));
	memset(image + ELF_BUILDER_OFFSET, ELF_BUILDER_CODE_BYTE, 0x1000);
	memset(image + DATA_OFFSET, ELF_BUILDER_DATA_BYTE, DATA_FILE_SIZE);
	memcpy(image + ELF_BUILDER_NOTES, elf->notes, sizeof(elf->notes));
	if (elf->script)
		add_script(&header, image);
	memcpy(image, &header, sizeof(header));
	if (phdrs > ELF_BUILDER_PHDRS)
		phdrs = ELF_BUILDER_PHDRS;
	memcpy(image + sizeof(header), elf->phdr, phdrs * sizeof(elf->phdr[0]));
	ok = fwrite(image, 1, size, file) == size;
	return !fclose(file) && ok;
}
