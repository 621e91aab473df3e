/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The bytes of a running stub's text, for tests that jump into it. Owns a copy
 * of them, per test program.
 */
#ifndef NATIVE_TEST_STUB_TEXT_H
#define NATIVE_TEST_STUB_TEXT_H

#include "machine.h"

#include <sys/uio.h>

static uint8_t stub_text[STUB_TEXT_SIZE];

/* From the stub of vCPU 0's current root. */
static inline void read_stub_text(struct machine *m)
{
	struct iovec local = { stub_text, sizeof(stub_text) };
	struct iovec remote = { (void *)STUB_TEXT, sizeof(stub_text) };

	cr_assert_eq(process_vm_readv(machine_stub(m->vcpu[0]), &local, 1, &remote, 1, 0),
		     (ssize_t)sizeof(stub_text));
}

/* Offset of the @n'th place in the text with these bytes, or -1. */
static inline int find(const uint8_t *bytes, size_t len, unsigned n)
{
	unsigned i;

	for (i = 0; i + len <= sizeof(stub_text); i++)
		if (!memcmp(stub_text + i, bytes, len) && n-- == 0)
			return (int)i;
	return -1;
}

static const uint8_t insn_syscall[] = { 0x0f, 0x05 };
/* The guest's thread: hand over, stop, wait, say that it waits, arm the signal stack, unblock
 * signals. The mapper: wait, command, tell. */
#define SYSCALLS 9
#define SYSCALL_STOP 1
#define SYSCALL_WAIT 2
#define SYSCALL_UNBLOCK 5
#define SYSCALL_COMMAND 7

#endif /* NATIVE_TEST_STUB_TEXT_H */
