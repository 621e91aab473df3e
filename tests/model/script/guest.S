/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* A guest for the model: the script, and one segment with known bytes for it
 * (in .text only because an entry point must be executable). */
#ifdef SCRIPT
	.section .pvm.script, "", @progbits
	.incbin SCRIPT
#endif

	.text
	.globl _start
_start:
	.quad 0x1111111111111111
	.quad 0x2222222222222222
	.balign 4096
