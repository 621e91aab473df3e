/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* The ELF note by which a guest says which dialect of the ABI it is written for. */
#include "abi.h"

	.section .note.pvm, "a", @note
	.balign	4
	.long	2f - 1f
	.long	4f - 3f
	.long	PVM_ELFNOTE_ABI
1:	.asciz	PVM_ELFNOTE_NAME
2:	.balign	4
3:	.long	GUEST_ABI_NUMBER
4:	.balign	4

	.section .note.GNU-stack, "", @progbits
