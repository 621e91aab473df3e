/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Writes one broken guest file per kind of damage into a folder: bad_elf FOLDER */
#include <stdio.h>
#include <string.h>

#include "elf_builder.h"

static void truncated(struct elf_builder *elf)
{
	elf->size = ELF_BUILDER_OFFSET + 0x800;
}

static void headerless(struct elf_builder *elf)
{
	elf->size = 40;
}

static void empty(struct elf_builder *elf)
{
	elf->size = 0;
}

static void not_elf(struct elf_builder *elf)
{
	memcpy(elf->header.e_ident, "MZ\0\0", 4);
}

/* No guest either, but what qemu-img makes begins so. */
static void qcow2(struct elf_builder *elf)
{
	memcpy(elf->header.e_ident, "QFI\xfb", 4);
}

static void bits32(struct elf_builder *elf)
{
	elf->header.e_ident[EI_CLASS] = ELFCLASS32;
}

static void machine(struct elf_builder *elf)
{
	elf->header.e_machine = EM_AARCH64;
}

static void dynamic(struct elf_builder *elf)
{
	elf->phdr[2] = (Elf64_Phdr){ .p_type = PT_INTERP };
	elf->header.e_phnum = 3;
}

static void pie(struct elf_builder *elf)
{
	elf->header.e_type = ET_DYN;
}

static void overlap(struct elf_builder *elf)
{
	elf->phdr[1].p_paddr = elf->phdr[1].p_vaddr = ELF_BUILDER_CODE + 0x800;
}

static void outside(struct elf_builder *elf)
{
	elf->phdr[1].p_paddr = elf->phdr[1].p_vaddr = 0x40000000;
}

static void boot_area(struct elf_builder *elf)
{
	elf->phdr[1].p_paddr = elf->phdr[1].p_vaddr = 0x90000;
}

static void entry(struct elf_builder *elf)
{
	elf->header.e_entry = 0x2345678;
}

static void upper_half(struct elf_builder *elf)
{
	elf->phdr[0].p_vaddr = elf->header.e_entry = 0xffff888001000000;
}

/* A kernel that says where it starts as a Xen PV guest, which is enough to be looked at. */
static void xen_kernel(struct elf_builder *elf)
{
	const uint64_t entry = 0xffffffff81000000, virt_base = 0xffffffff80000000, init_p2m = 0x8000000000;

	elf_builder_add_note(elf, 4, "Xen", 1, &entry, sizeof(entry));
	elf_builder_add_note(elf, 4, "Xen", 3, &virt_base, sizeof(virt_base));
	elf_builder_add_note(elf, 4, "Xen", 15, &init_p2m, sizeof(init_p2m));
}

static void script(struct elf_builder *elf)
{
	elf->script = true;
}

static void note_dual(struct elf_builder *elf)
{
	elf_builder_note(elf, 0);
}

static void note_single(struct elf_builder *elf)
{
	elf_builder_note(elf, 1);
}

static void note_unknown(struct elf_builder *elf)
{
	elf_builder_note(elf, 4711);
}

static void note_cut(struct elf_builder *elf)
{
	elf_builder_note(elf, 1);
	elf->phdr[2].p_filesz -= 2;
}

static const struct {
	const char *name;
	void (*damage)(struct elf_builder *elf);
} kinds[] = {
	{ "truncated", truncated }, { "headerless", headerless }, { "empty", empty },
	{ "not_elf", not_elf }, { "qcow2", qcow2 }, { "bits32", bits32 }, { "machine", machine },
	{ "dynamic", dynamic }, { "pie", pie }, { "overlap", overlap }, { "outside", outside },
	{ "boot_area", boot_area }, { "entry", entry }, { "upper_half", upper_half },
	{ "script", script }, { "xen_kernel", xen_kernel }, { "note_dual", note_dual }, { "note_single", note_single },
	{ "note_unknown", note_unknown }, { "note_cut", note_cut },
};

int main(int argc, char **argv)
{
	unsigned i;

	if (argc != 2)
		return 2;
	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct elf_builder elf;
		char path[4096];

		elf_builder_init(&elf);
		kinds[i].damage(&elf);
		snprintf(path, sizeof(path), "%s/%s.elf", argv[1], kinds[i].name);
		if (!elf_builder_write(&elf, path)) {
			perror(path);
			return 1;
		}
	}
	return 0;
}
