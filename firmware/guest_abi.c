/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* The names are the engine's, of the ABIs that are built into it and that ELF guests name by our note. */
#include "guest_abi.h"

#include <stdio.h>
#include <string.h>

const char *guest_abi_name(uint32_t number)
{
	/* A kernel that speaks Xen PV says so in notes of its own, and is started another way. */
	return number < PVM_ABI_COUNT && number != PVM_ABI_XEN_PV ? pvm_abi_name((enum pvm_abi)number) : NULL;
}

bool guest_abi_by_name(const char *name, size_t length, enum pvm_abi *abi)
{
	unsigned i;

	for (i = 0; i < PVM_ABI_COUNT; i++) {
		const char *known = guest_abi_name(i);

		if (!known || strlen(known) != length || memcmp(known, name, length))
			continue;
		*abi = (enum pvm_abi)i;
		return true;
	}
	return false;
}

const char *guest_abi_list(char *buffer, size_t size)
{
	size_t used = 0;
	unsigned i;

	buffer[0] = 0;
	for (i = 0; i < PVM_ABI_COUNT; i++) {
		const char *known = guest_abi_name(i);
		int length;

		if (!known)
			continue;
		length = snprintf(buffer + used, size - used, used ? " %s" : "%s", known);
		if (length < 0 || (size_t)length >= size - used)
			break;
		used += (size_t)length;
	}
	return buffer;
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
