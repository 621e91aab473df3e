/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* The loader: what a good file says, and one line for every bad one. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <pvm/abi.h>

#include "boot.h"
#include "elf_builder.h"
#include "elf_open.h"
#include "guest_abi.h"
#include "memory.h"

static struct elf_builder builder;
static struct elf_file elf;
static char path[ELF_BUILDER_PATH], why[512];

static void setup(void)
{
	cr_assert(elf_builder_file(path));
	elf_builder_init(&builder);
	why[0] = 0;
}

static void teardown(void)
{
	unlink(path);
}

TestSuite(elf_file, .init = setup, .fini = teardown);

static void open_good(void)
{
	cr_assert(elf_builder_write(&builder, path));
	cr_assert_eq(elf_file_open(&elf, path, why, sizeof(why)), 0, "%s", why);
}

/* One line, that names the file and has @thing in it. */
static void expect_line(const char *thing)
{
	cr_assert(strstr(why, thing), "'%s' does not say '%s'", why, thing);
	cr_assert(!strncmp(why, path, strlen(path)), "'%s' does not name the file", why);
	cr_assert(!strchr(why, '\n'));
}

static void expect_refused(const char *thing)
{
	cr_assert(elf_builder_write(&builder, path));
	cr_assert_eq(elf_file_open(&elf, path, why, sizeof(why)), -1);
	cr_assert_null(elf.source, "the file stays open");
	expect_line(thing);
}

static void expect_unfit(uint64_t memory_size, const char *thing)
{
	open_good();
	cr_assert_eq(elf_file_check_memory(&elf, memory_size, why, sizeof(why)), -1);
	elf_file_close(&elf);
	expect_line(thing);
}

Test(elf_file, a_good_file_is_described)
{
	open_good();
	cr_assert_eq(elf.entry, ELF_BUILDER_CODE);
	cr_assert_eq(elf.start, ELF_BUILDER_CODE);
	cr_assert_eq(elf.segment_count, 2);
	cr_assert(elf.segments[0].exec && elf.segments[0].read && !elf.segments[0].write);
	cr_assert(elf.segments[1].write && !elf.segments[1].exec);
	cr_assert_eq(elf.segments[1].file_size, 0x100);
	cr_assert_eq(elf.segments[1].memory_size, 0x2000);
	cr_assert_not(elf.upper_half);
	cr_assert_not(elf.has_script);
	cr_assert_eq(elf_file_check_memory(&elf, 64 << 20, why, sizeof(why)), 0, "%s", why);
	elf_file_close(&elf);
}

Test(elf_file, segments_are_loaded_at_their_physical_address)
{
	struct guest_memory memory;
	uint8_t *data;

	builder.phdr[1].p_vaddr = 0x5000000;
	open_good();
	cr_assert_eq(guest_memory_create(&memory, GUEST_MEMORY_FILE, 64 << 20, why, sizeof(why)), 0);
	cr_assert_eq(elf_file_load(&elf, memory.va, memory.size, why, sizeof(why)), 0, "%s", why);
	cr_assert_eq(memory.va[ELF_BUILDER_CODE], ELF_BUILDER_CODE_BYTE);
	cr_assert_eq(memory.va[ELF_BUILDER_CODE + 0xfff], ELF_BUILDER_CODE_BYTE);
	data = memory.va + ELF_BUILDER_DATA;
	cr_assert_eq(data[0xff], ELF_BUILDER_DATA_BYTE);
	cr_assert_eq(data[0x100], 0, "what is not in the file is zero");
	guest_memory_destroy(&memory);
	elf_file_close(&elf);
}

Test(elf_file, a_script_section_is_found)
{
	builder.script = true;
	open_good();
	cr_assert(elf.has_script);
	elf_file_close(&elf);
}

Test(elf_file, a_file_without_a_note_asks_for_no_abi)
{
	open_good();
	cr_assert_not(elf.has_abi);
	elf_file_close(&elf);
}

Test(elf_file, a_note_says_which_abi_is_wanted_whatever_its_number)
{
	static const uint32_t numbers[] = { 0, 1, 2, 0x12345678, 0xffffffff };
	size_t i;

	for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		elf_builder_init(&builder);
		elf_builder_note(&builder, numbers[i]);
		open_good();
		cr_assert(elf.has_abi);
		cr_assert_eq(elf.abi, numbers[i]);
		elf_file_close(&elf);
	}
}

Test(elf_file, notes_of_others_are_passed_over)
{
	uint32_t abi = 5;

	elf_builder_add_note(&builder, 4, "GNU", PVM_ELFNOTE_ABI, &abi, 4);
	elf_builder_add_note(&builder, 4, "PVMX", PVM_ELFNOTE_ABI, &abi, 4);
	elf_builder_add_note(&builder, 4, "PVM", PVM_ELFNOTE_ABI + 1, &abi, 4);
	elf_builder_add_note(&builder, 4, "", PVM_ELFNOTE_ABI, &abi, 0);
	elf_builder_add_note(&builder, 4, "otherone", 7, "odd", 3);
	open_good();
	cr_assert_not(elf.has_abi);
	elf_file_close(&elf);
	elf_builder_note(&builder, 1);
	open_good();
	cr_assert(elf.has_abi);
	cr_assert_eq(elf.abi, 1);
	elf_file_close(&elf);
}

Test(elf_file, notes_may_be_aligned_to_eight)
{
	uint32_t abi = 1;

	elf_builder_add_note(&builder, 8, "GNU", 5, "property", 8);
	elf_builder_add_note(&builder, 8, "another owner", 5, "odd", 3);
	elf_builder_add_note(&builder, 8, PVM_ELFNOTE_NAME, PVM_ELFNOTE_ABI, &abi, 4);
	open_good();
	cr_assert(elf.has_abi);
	cr_assert_eq(elf.abi, 1);
	elf_file_close(&elf);
}

/* Padding after the last descriptor may be missing. */
Test(elf_file, the_last_note_needs_no_padding)
{
	elf_builder_note(&builder, 1);
	elf_builder_add_note(&builder, 4, "X", 1, "odd", 3);
	builder.phdr[2].p_filesz--;
	open_good();
	cr_assert_eq(elf.abi, 1);
	elf_file_close(&elf);
}

Test(elf_file, the_same_note_twice_is_one)
{
	elf_builder_note(&builder, 1);
	elf_builder_note(&builder, 1);
	open_good();
	cr_assert_eq(elf.abi, 1);
	elf_file_close(&elf);
}

Test(elf_file, two_notes_that_disagree_are_refused)
{
	elf_builder_note(&builder, 1);
	elf_builder_note(&builder, 0);
	expect_refused("different guest ABIs, 1 and 0");
}

Test(elf_file, a_note_of_another_size_is_refused)
{
	elf_builder_add_note(&builder, 4, PVM_ELFNOTE_NAME, PVM_ELFNOTE_ABI, "\1\0\0\0\0\0\0", 8);
	expect_refused("8 bytes instead of 4");
	elf_builder_init(&builder);
	elf_builder_add_note(&builder, 4, PVM_ELFNOTE_NAME, PVM_ELFNOTE_ABI, "", 0);
	expect_refused("0 bytes instead of 4");
}

Test(elf_file, a_note_that_is_cut_off_is_refused)
{
	Elf64_Xword whole, size;

	elf_builder_note(&builder, 1);
	whole = builder.phdr[2].p_filesz;
	for (size = 1; size < whole; size++) {
		builder.phdr[2].p_filesz = size;
		expect_refused(size < sizeof(Elf64_Nhdr) ? "cut off" : "runs over its end");
	}
	builder.phdr[2].p_filesz = 0;
	open_good();
	cr_assert_not(elf.has_abi, "an empty segment has no note");
	elf_file_close(&elf);
}

Test(elf_file, a_note_of_any_length_is_no_more_than_refused)
{
	static const uint32_t lengths[] = { 0x200, 0x7fffffff, 0x80000000, 0xfffffffd, 0xffffffff };
	size_t i, field;

	for (field = 0; field < 8; field += 4) {
		for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
			elf_builder_init(&builder);
			elf_builder_note(&builder, 1);
			memcpy(builder.notes + field, &lengths[i], sizeof(lengths[i]));
			expect_refused("runs over its end");
		}
	}
}

Test(elf_file, a_note_segment_outside_the_file_is_refused)
{
	elf_builder_note(&builder, 1);
	builder.phdr[2].p_offset = ~0ull - 8;
	expect_refused("truncated: note segment 2");
	builder.phdr[2].p_offset = 0x3ff0;
	expect_refused("truncated: note segment 2");
}

Test(elf_file, too_many_notes_are_refused)
{
	/* Each of 12 zero bytes: 256 in a segment, of five. */
	builder.phdr[2] = (Elf64_Phdr){ .p_type = PT_NOTE, .p_offset = 0x3400, .p_filesz = 0xc00 };
	builder.phdr[3] = builder.phdr[4] = builder.phdr[5] = builder.phdr[6] = builder.phdr[2];
	builder.header.e_phnum = 7;
	expect_refused("more than 1024 notes");
}

Test(elf_file, notes_over_a_segment_are_fine)
{
	elf_builder_note(&builder, 1);
	builder.phdr[1].p_filesz = 0x400;	/* up to the notes' end */
	open_good();
	cr_assert_eq(elf.abi, 1);
	elf_file_close(&elf);
}

Test(elf_file, an_abi_has_a_name_and_a_number)
{
	char list[GUEST_ABI_LIST_MAX], little[9];
	enum pvm_abi abi;

	cr_assert_str_eq(guest_abi_list(list, sizeof(list)), "dual-cr3 single-cr3");
	cr_assert_str_eq(guest_abi_list(little, sizeof(little)), "dual-cr3");
	cr_assert_str_eq(guest_abi_name(PVM_ABI_DUAL_CR3), "dual-cr3");
	cr_assert_str_eq(guest_abi_name(PVM_ABI_SINGLE_CR3), "single-cr3");
	cr_assert_null(guest_abi_name(PVM_ABI_LOWER_HALF));
	cr_assert_null(guest_abi_name(0xffffffff));
	cr_assert(guest_abi_by_name("single-cr3", 10, &abi) && abi == PVM_ABI_SINGLE_CR3);
	cr_assert(guest_abi_by_name("dual-cr3 x", 8, &abi) && abi == PVM_ABI_DUAL_CR3);
	cr_assert_not(guest_abi_by_name("dual-cr3", 7, &abi));
	cr_assert_not(guest_abi_by_name("", 0, &abi));
}

/* spec: SC-025 */
Test(elf_file, a_file_asks_for_its_notes_abi_or_dual_cr3)
{
	enum pvm_abi abi = PVM_ABI_SINGLE_CR3;

	open_good();
	cr_assert_eq(guest_abi_of_file(&elf, &abi, why, sizeof(why)), 0);
	cr_assert_eq(abi, PVM_ABI_DUAL_CR3);
	elf_file_close(&elf);
	elf_builder_note(&builder, PVM_ABI_SINGLE_CR3);
	open_good();
	cr_assert_eq(guest_abi_of_file(&elf, &abi, why, sizeof(why)), 0);
	cr_assert_eq(abi, PVM_ABI_SINGLE_CR3);
	elf_file_close(&elf);
	elf_builder_init(&builder);
	elf_builder_note(&builder, 4711);
	open_good();
	cr_assert_eq(guest_abi_of_file(&elf, &abi, why, sizeof(why)), -1);
	expect_line("guest ABI 4711");
	elf_file_close(&elf);
}

Test(elf_file, an_upper_half_file_is_entered_where_it_is_loaded)
{
	builder.phdr[0].p_vaddr = 0xffff888001000000;
	builder.header.e_entry = 0xffff888001000010;
	open_good();
	cr_assert(elf.upper_half);
	cr_assert_eq(elf.start, ELF_BUILDER_CODE + 0x10);
	elf_file_close(&elf);
}

Test(elf_file, a_physical_entry_of_an_upper_half_file_is_taken_as_it_is)
{
	builder.phdr[0].p_vaddr = 0xffff888001000000;
	builder.header.e_entry = ELF_BUILDER_CODE + 0x20;
	open_good();
	cr_assert_eq(elf.start, ELF_BUILDER_CODE + 0x20);
	elf_file_close(&elf);
}

Test(elf_file, empty_segments_are_no_segments)
{
	builder.phdr[1].p_memsz = builder.phdr[1].p_filesz = 0;
	open_good();
	cr_assert_eq(elf.segment_count, 1);
	elf_file_close(&elf);
}

Test(elf_file, a_missing_file_is_refused)
{
	unlink(path);
	cr_assert_eq(elf_file_open(&elf, path, why, sizeof(why)), -1);
	expect_line("No such file");
}

Test(elf_file, a_directory_is_refused)
{
	unlink(path);
	cr_assert_eq(mkdir(path, 0700), 0);
	cr_assert_eq(elf_file_open(&elf, path, why, sizeof(why)), -1);
	expect_line("not a regular file");
	rmdir(path);
}

Test(elf_file, a_fifo_is_refused_without_waiting_for_its_writer, .timeout = 5)
{
	unlink(path);
	cr_assert_eq(mkfifo(path, 0600), 0);
	cr_assert_eq(elf_file_open(&elf, path, why, sizeof(why)), -1);
	expect_line("not a regular file");
}

Test(elf_file, an_empty_file_is_refused)
{
	builder.size = 0;
	expect_refused("empty");
}

Test(elf_file, every_truncation_is_refused)
{
	size_t size;

	/* The last byte that counts is the last of the data segment. */
	for (size = 1; size < 0x3100; size += size < 0x200 ? 1 : 0x101) {
		builder.size = size;
		cr_assert(elf_builder_write(&builder, path));
		cr_assert_eq(elf_file_open(&elf, path, why, sizeof(why)), -1,
			     "%zu bytes are enough?", size);
		expect_line(size < SELFMAG ? "not an ELF" : "truncated");
	}
	builder.size = 0x3100;
	open_good();
	elf_file_close(&elf);
}

Test(elf_file, a_text_file_is_refused)
{
	memcpy(builder.header.e_ident, "#!/b", 4);
	expect_refused("not an ELF file");
}

Test(elf_file, a_32_bit_file_is_refused)
{
	builder.header.e_ident[EI_CLASS] = ELFCLASS32;
	expect_refused("32-bit");
}

Test(elf_file, an_unknown_class_is_refused)
{
	builder.header.e_ident[EI_CLASS] = 7;
	expect_refused("class 7");
}

Test(elf_file, a_big_endian_file_is_refused)
{
	builder.header.e_ident[EI_DATA] = ELFDATA2MSB;
	expect_refused("little-endian");
}

Test(elf_file, another_machine_is_refused)
{
	builder.header.e_machine = EM_AARCH64;
	expect_refused("AArch64");
}

Test(elf_file, a_position_independent_file_is_refused)
{
	builder.header.e_type = ET_DYN;
	expect_refused("ET_DYN");
}

Test(elf_file, an_object_file_is_refused)
{
	builder.header.e_type = ET_REL;
	expect_refused("ET_REL");
}

Test(elf_file, a_core_dump_is_refused)
{
	builder.header.e_type = ET_CORE;
	expect_refused("ET_CORE");
}

Test(elf_file, a_file_with_an_interpreter_is_refused)
{
	builder.phdr[2] = (Elf64_Phdr){ .p_type = PT_INTERP };
	builder.header.e_phnum = 3;
	expect_refused("PT_INTERP");
}

Test(elf_file, a_file_with_a_dynamic_segment_is_refused)
{
	builder.phdr[2] = (Elf64_Phdr){ .p_type = PT_DYNAMIC };
	builder.header.e_phnum = 3;
	expect_refused("PT_DYNAMIC");
}

Test(elf_file, a_file_without_program_headers_is_refused)
{
	builder.header.e_phnum = 0;
	expect_refused("no program headers");
}

Test(elf_file, program_headers_of_another_size_are_refused)
{
	builder.header.e_phentsize = 32;
	expect_refused("32 bytes");
}

Test(elf_file, program_headers_beyond_the_file_are_refused)
{
	builder.header.e_phoff = ~0ull - 8;
	expect_refused("truncated");
}

Test(elf_file, a_file_with_nothing_to_load_is_refused)
{
	builder.phdr[0].p_type = builder.phdr[1].p_type = PT_NULL;
	expect_refused("no loadable segment");
}

Test(elf_file, too_many_segments_are_refused)
{
	unsigned i;

	for (i = 0; i < ELF_BUILDER_PHDRS; i++) {
		builder.phdr[i] = builder.phdr[0];
		builder.phdr[i].p_paddr = builder.phdr[i].p_vaddr = ELF_BUILDER_CODE + i * 0x1000;
	}
	builder.header.e_phnum = ELF_BUILDER_PHDRS;
	expect_refused("more than 64 segments");
}

Test(elf_file, a_segment_that_is_larger_in_the_file_than_in_memory_is_refused)
{
	builder.phdr[1].p_memsz = 0x80;
	expect_refused("segment 1");
}

Test(elf_file, a_segment_that_wraps_around_is_refused)
{
	builder.phdr[1].p_paddr = ~0ull - 0x10;
	expect_refused("segment 1 wraps");
}

Test(elf_file, a_segment_after_the_end_of_the_file_is_refused)
{
	builder.phdr[1].p_offset = ~0ull - 0x10;
	expect_refused("truncated: segment 1");
}

Test(elf_file, overlapping_segments_are_refused)
{
	builder.phdr[1].p_paddr = ELF_BUILDER_CODE + 0xfff;
	expect_refused("segments 0 and 1 overlap at 0x1000fff");
}

Test(elf_file, touching_segments_are_fine)
{
	builder.phdr[1].p_paddr = builder.phdr[1].p_vaddr = ELF_BUILDER_CODE + 0x1000;
	open_good();
	elf_file_close(&elf);
}

Test(elf_file, an_entry_outside_every_segment_is_refused)
{
	builder.header.e_entry = 0x2000000;
	expect_refused("entry point 0x2000000");
}

Test(elf_file, an_entry_in_a_segment_without_code_is_refused)
{
	builder.header.e_entry = ELF_BUILDER_DATA;
	expect_refused("outside every executable segment");
}

Test(elf_file, a_segment_outside_memory_is_refused)
{
	expect_unfit(ELF_BUILDER_DATA + 0x1fff,
		     "segment 1 (0x1002000..0x1004000) is outside the guest's memory");
}

Test(elf_file, a_segment_that_just_fits_is_fine)
{
	open_good();
	cr_assert_eq(elf_file_check_memory(&elf, ELF_BUILDER_DATA + 0x2000, why, sizeof(why)), 0);
	elf_file_close(&elf);
}

Test(elf_file, a_segment_in_the_boot_area_is_refused)
{
	builder.phdr[1].p_paddr = BOOT_AREA_START - 0x1000;
	expect_unfit(64 << 20, "boot area");
	builder.phdr[1].p_paddr = BOOT_AREA_END - 1;
	expect_unfit(64 << 20, "boot area");
}

Test(elf_file, bad_sections_hide_the_script_and_break_nothing)
{
	builder.header.e_shentsize = sizeof(Elf64_Shdr);
	builder.header.e_shnum = 3;
	builder.header.e_shstrndx = 2;
	builder.header.e_shoff = ~0ull - 3;
	open_good();
	cr_assert_not(elf.has_script);
	elf_file_close(&elf);
	builder.header.e_shoff = 0x3ff0;
	open_good();
	elf_file_close(&elf);
	builder.header.e_shstrndx = 9;
	open_good();
	elf_file_close(&elf);
}

/* Every byte of the headers, each with some values: an answer, never a crash. */
Test(elf_file, any_byte_of_the_headers_may_be_anything)
{
	static const uint8_t values[] = { 0x00, 0x01, 0x7f, 0x80, 0xff };
	uint8_t *bytes = (uint8_t *)&builder;
	size_t at, v, length = sizeof(builder.header) + 3 * sizeof(builder.phdr[0]);

	elf_builder_note(&builder, 1);
	for (at = 0; at < length; at++) {
		for (v = 0; v < sizeof(values); v++) {
			uint8_t saved = bytes[at];

			bytes[at] = values[v];
			cr_assert(elf_builder_write(&builder, path));
			bytes[at] = saved;
			if (elf_file_open(&elf, path, why, sizeof(why)))
				continue;
			elf_file_check_memory(&elf, 64 << 20, why, sizeof(why));
			elf_file_close(&elf);
		}
	}
}

Test(elf_file, any_byte_of_a_note_may_be_anything)
{
	static const uint8_t values[] = { 0x00, 0x01, 0x03, 0x7f, 0x80, 0xff };
	size_t at, v;

	elf_builder_note(&builder, 1);
	for (at = 0; at < builder.phdr[2].p_filesz; at++) {
		for (v = 0; v < sizeof(values); v++) {
			uint8_t saved = builder.notes[at];

			builder.notes[at] = values[v];
			cr_assert(elf_builder_write(&builder, path));
			builder.notes[at] = saved;
			if (!elf_file_open(&elf, path, why, sizeof(why)))
				elf_file_close(&elf);
		}
	}
}
