/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* The table of guest ABIs: a new one is a row, and a word of guest_abi_names. */
#include "guest_abi.h"

#include <stdio.h>
#include <string.h>

static const struct {
	enum pvm_abi abi;
	const char *name;
} abis[] = {
	{ PVM_ABI_DUAL_CR3, "dual-cr3" },
	{ PVM_ABI_SINGLE_CR3, "single-cr3" },
};

#define ABI_COUNT (sizeof(abis) / sizeof(abis[0]))

const char guest_abi_names[] = "dual-cr3 single-cr3";

const char *guest_abi_name(uint32_t number)
{
	size_t i;

	for (i = 0; i < ABI_COUNT; i++)
		if (abis[i].abi == number)
			return abis[i].name;
	return NULL;
}

bool guest_abi_by_name(const char *name, size_t length, enum pvm_abi *abi)
{
	size_t i;

	for (i = 0; i < ABI_COUNT; i++) {
		if (strlen(abis[i].name) != length || memcmp(abis[i].name, name, length))
			continue;
		*abi = abis[i].abi;
		return true;
	}
	return false;
}

int guest_abi_of_file(const struct elf_file *elf, enum pvm_abi *abi, char *why, size_t why_size)
{
	if (!elf->has_abi) {
		*abi = PVM_ABI_DUAL_CR3;
		return 0;
	}
	if (!guest_abi_name(elf->abi)) {
		snprintf(why, why_size,
			 "%s: its ELF note asks for guest ABI %u, which is not known here",
			 elf->path, (unsigned)elf->abi);
		return -1;
	}
	*abi = (enum pvm_abi)elf->abi;
	return 0;
}
