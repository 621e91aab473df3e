/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The switcher's text: whole pages, mapped at the same address in the host and in
 * every shadow root. This file only puts the parts together, so that they are one
 * section with one start and one end.
 *
 * The convention of all parts, "in the switcher":
 *   rsp        &area->frame (C() below); the 512 bytes under it are free
 *   GS base    the guest's; IA32_KERNEL_GS_BASE is the area
 *   C(RAX), C(RDX)           the guest's, where the part says so C(RCX), C(R11) too
 *   frame.rip, .rflags, .rsp the guest's
 *   the other general registers are the guest's and live
 *   IF and TF are clear, after a SYSCALL DF and AC too; after a vector those two are the
 *   guest's until the host's RFLAGS are back; CR3 is the host's or a shadow root
 * GS and CR3 are never used to find anything, and no handler trusts them (S5).
 *
 * spec: Underlying states, Events and Mode Changing; design: switcher/
 */
#include <pvm/abi.h>
#include <pvm/x86.h>

#include "offsets.h"
#include "switcher/entry.h"

	.section .pvm_switcher.text, "ax", @progbits
	.balign 4096
	.globl pvm_switcher_text_start
	.hidden pvm_switcher_text_start
pvm_switcher_text_start:
	ANNOTATE_NOENDBR

#include "abi/list.h"			/* the direct switches of each guest ABI */
#include "switcher/tails.S"
#include "switcher/world.S"
#include "switcher/vectors.S"

	.balign 2
verw_selector:
	.word	VERW_SELECTOR

	.balign 4096, 0xcc
	.globl pvm_switcher_text_end
	.hidden pvm_switcher_text_end
pvm_switcher_text_end:

	.section .note.GNU-stack, "", @progbits
