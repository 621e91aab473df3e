/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The zygote's ELF file as bytes of the monitor. Owns nothing else; nothing
 * here is executed in the monitor.
 */
	.section .rodata, "a", @progbits
	.globl	native_image, native_image_end
	.balign	16
native_image:
	.incbin	STUB_FILE
native_image_end:
	.section .note.GNU-stack, "", @progbits
