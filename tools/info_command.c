/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* pvm info: what is in a guest's file, and what of this machine can run it. Runs nothing. */
#include "pvm.h"

#include <stdio.h>
#include <string.h>

#include "elf_open.h"
#include "guest_abi.h"
#include "vm.h"

static const char help[] =
"Usage: pvm info GUEST.elf\n"
"\n"
"Prints the headers of a guest's file, where its segments would live, where it is\n"
"entered, the guest ABI that it asks for, and which backends can run it here.\n"
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

int info_command(int argc, char **argv)
{
	struct elf_file elf;
	char why[512];

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
	if (elf_file_open(&elf, argv[1], why, sizeof(why))) {
		fprintf(stderr, "pvm: %s\n", why);
		return MONITOR_STATUS_FAILED;
	}
	printf("%s: static ELF64 for x86-64, %llu bytes\n", argv[1], (unsigned long long)elf.size);
	print_segments(&elf);
	printf("entry:   0x%llx, at guest-physical 0x%llx\n", (unsigned long long)elf.entry,
	       (unsigned long long)elf.start);
	printf("memory:  at least %llu KiB\n",
	       (unsigned long long)((memory_needed(&elf) + 1023) >> 10));
	printf("lives:   in the %s half of the address space\n",
	       elf.upper_half ? "upper" : "lower");
	print_abi(&elf);
	print_backends(&elf);
	elf_file_close(&elf);
	return 0;
}
