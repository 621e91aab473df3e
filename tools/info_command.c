/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* pvm info: what is in a guest's file, and what of this machine can run it. Runs nothing. */
#include "pvm.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "devices.h"
#include "elf_open.h"
#include "guest_abi.h"
#include "kernel_image.h"
#include "output.h"
#include "saved/description.h"
#include "saved/saved_file.h"
#include "vm.h"
#include "xen_start.h"

static const char help[] =
"Usage: pvm info GUEST.elf\n"
"       pvm info VMLINUZ\n"
"       pvm info SAVED\n"
"\n"
"Prints the headers of a guest's file, where its segments would live, where it is\n"
"entered, the guest ABI that it asks for, and which backends can run it here. Of a\n"
"distribution's kernel also its version, and whether it can be a guest, or why not;\n"
"of a guest that 'pvm save' wrote, its machine and where its disks are.\n"
"\n"
"  -h, --help            print this and exit\n"
"\n"
"Example:\n"
"  pvm info hello.elf\n";

static void print_segments(const struct elf_file *elf)
{
	unsigned i;

	printf("  segment  linear address      guest-physical address                  bytes  access\n");
	for (i = 0; i < elf->segment_count; i++) {
		const struct elf_file_segment *s = &elf->segments[i];

		printf("  %7u  0x%016llx  0x%09llx..0x%09llx  %16llu  %c%c%c\n", i,
		       (unsigned long long)s->vaddr, (unsigned long long)s->paddr,
		       (unsigned long long)(s->paddr + s->memory_size),
		       (unsigned long long)s->memory_size, s->read ? 'r' : '-',
		       s->write ? 'w' : '-', s->exec ? 'x' : '-');
	}
}

static uint64_t memory_needed(const struct elf_file *elf)
{
	uint64_t end = 0;
	unsigned i;

	for (i = 0; i < elf->segment_count; i++)
		if (elf->segments[i].paddr + elf->segments[i].memory_size > end)
			end = elf->segments[i].paddr + elf->segments[i].memory_size;
	return end;
}

static void print_abi(const struct elf_file *elf)
{
	const char *name = guest_abi_name(elf->abi);

	if (!elf->has_abi)
		printf("abi:     %s, as it has no ELF note that says another\n",
		       guest_abi_name(PVM_ABI_DUAL_CR3));
	else if (name)
		printf("abi:     %s, by its ELF note\n", name);
	else
		printf("abi:     number %u by its ELF note, which is not known here\n", elf->abi);
}

/* "yes", or why not. */
static void print_kvm(const struct elf_file *elf)
{
	const struct executor_ops *kvm = monitor_executor("kvm");
	char why[512];

	if (!kvm)
		printf("kvm:     no, this build does not have it\n");
	else if (elf->has_script)
		printf("kvm:     no, it is a script (%s) and not code\n", ELF_FILE_SCRIPT_SECTION);
	else if (!kvm->available(why, sizeof(why)))
		printf("kvm:     no, %s\n", why);
	else
		printf("kvm:     yes\n");
}

static void print_backends(const struct elf_file *elf)
{
	print_kvm(elf);
	if (elf->upper_half)
		printf("native:  no, it lives in the upper half, which a process does not have\n");
	else if (elf->has_script)
		printf("native:  no, it is a script (%s) and not code\n", ELF_FILE_SCRIPT_SECTION);
	else
		printf("native:  yes\n");
	printf("model:   %s\n", elf->has_script
					? "yes, it has a script (" ELF_FILE_SCRIPT_SECTION ")"
					: "no, it has no script (" ELF_FILE_SCRIPT_SECTION ")");
}

static void print_body(const struct elf_file *elf)
{
	print_segments(elf);
	printf("entry:   0x%llx, at guest-physical 0x%llx\n", (unsigned long long)elf->entry,
	       (unsigned long long)elf->start);
	printf("memory:  at least %llu KiB\n",
	       (unsigned long long)((memory_needed(elf) + 1023) >> 10));
	printf("lives:   in the %s half of the address space\n",
	       elf->upper_half ? "upper" : "lower");
}

static void print_guest(const struct elf_file *elf)
{
	printf("%s: static ELF64 for x86-64, %llu bytes\n", elf->path, (unsigned long long)elf->size);
	print_body(elf);
	print_abi(elf);
	print_backends(elf);
}

/* A distribution's kernel. */
static void print_kernel(const struct elf_file *elf, const struct kernel_image *image)
{
	char why[512];

	if (image)
		printf("%s: a bzImage, packed by %s: static ELF64 for x86-64, %llu bytes\n"
		       "version: %s\n",
		       elf->path, image->packing, (unsigned long long)elf->size, image->version);
	else
		printf("%s: a kernel, static ELF64 for x86-64, %llu bytes\n", elf->path,
		       (unsigned long long)elf->size);
	print_body(elf);
	if (xen_start_check(elf, why, sizeof(why))) {
		printf("guest:   no, %s\n", why + strlen(elf->path) + 2);
		return;
	}
	printf("abi:     %s, by its notes: pvm run --kernel=%s\n", pvm_abi_name(PVM_ABI_XEN_PV), elf->path);
	print_kvm(elf);
	printf("native:  no, it lives in the upper half, which a process does not have\n");
}

/* ------------------------------------------------------------------------
 * A saved guest.
 */

/* Text of a file's: what is no character stays off the terminal. */
static void print_text(const char *name, const char *text)
{
	size_t control;

	printf("%s", name);
	for (; *text; text += control ? control : 1) {
		control = output_control_size(text);
		putchar(control ? '?' : *text);
	}
	putchar('\n');
}

static void print_saved(const char *path, const struct saved_description *saved)
{
	char net[128];
	unsigned i;

	printf("%s: a saved guest: pvm restore %s\n", path, path);
	print_text("kernel:  ", saved->kernel);
	print_text("append:  ", saved->command_line);
	printf("memory:  %llu KiB\n", (unsigned long long)saved->memory >> 10);
	printf("vcpus:   %u\n", saved->vcpus);
	for (i = 0; i < saved->disk_count; i++) {
		printf("disk:    xvd%c, %llu bytes%s, ", 'a' + i, (unsigned long long)saved->disks[i].bytes,
		       saved->disks[i].read_only ? ", only read" : "");
		print_text("", saved->disks[i].path);
	}
	for (i = 0; i < saved->net_count; i++) {
		print_net(&saved->nets[i], net, sizeof(net));
		print_text("net:     ", net);
	}
}

static int print_if_saved(const char *path, char *why, size_t why_size)
{
	static struct saved_description description;
	struct saved_reader *reader = saved_reader_open(path, why, why_size);
	const char *text, *wrong;
	size_t length;
	int error = -1;

	if (!reader)
		return -1;
	text = saved_reader_text(reader, &length);
	wrong = saved_description_parse(&description, text, length);
	if (wrong) {
		saved_damaged(reader, wrong, why, why_size);
	} else {
		print_saved(path, &description);
		saved_description_close(&description);
		error = 0;
	}
	saved_reader_close(reader);
	return error;
}

static int print_file(const char *path, char *why, size_t why_size)
{
	struct kernel_image image;
	struct elf_file elf;

	if (saved_file_is_one(path))
		return print_if_saved(path, why, why_size);
	if (kernel_image_is_packed(path)) {
		if (kernel_image_open(&image, path, why, why_size))
			return -1;
		print_kernel(&image.elf, &image);
		kernel_image_close(&image);
		return 0;
	}
	if (elf_file_open(&elf, path, why, why_size))
		return -1;
	if (elf.xen.has_entry)
		print_kernel(&elf, NULL);
	else
		print_guest(&elf);
	elf_file_close(&elf);
	return 0;
}

int info_command(int argc, char **argv)
{
	char why[PATH_MAX + 512];

	if (argc == 2 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))) {
		fputs(help, stdout);
		return 0;
	}
	if (argc == 2 && argv[1][0] == '-') {
		fprintf(stderr, "pvm: unknown option '%s': see 'pvm info --help'\n", argv[1]);
		return MONITOR_STATUS_FAILED;
	}
	if (argc != 2) {
		fprintf(stderr, "pvm: info wants one file: 'pvm info GUEST.elf'\n");
		return MONITOR_STATUS_FAILED;
	}
	if (!print_file(argv[1], why, sizeof(why)))
		return 0;
	fprintf(stderr, "pvm: %s\n", why);
	return MONITOR_STATUS_FAILED;
}
