/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * ports: INS and OUTS, whose ports user space answers: the element goes to its place and to no register, and
 * a port is read once, whatever its place is: memory, a device, memory that cannot be written. What user
 * space writes to RAX meanwhile stays there.
 */
#define _GNU_SOURCE
#include "bare.h"
#include "client.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <pvm/vcpu.h>

#define PLACE_GPA	0x130000
#define FAR_GVA		0x400000		/* 2 MiB, mapped to: */
#define FAR_GPA		0x40000000ull
#define ALARM_S		20

/* MOV EDX, 0x82; MOV EDI, PLACE_GPA; MOV EAX, 0x11223344 */
#define TO_MEMORY	"\xba\x82\x00\x00\x00\xbf\x00\x00\x13\x00\xb8\x44\x33\x22\x11"
/* The same with FAR_GVA */
#define TO_FAR		"\xba\x82\x00\x00\x00\xbf\x00\x00\x40\x00\xb8\x44\x33\x22\x11"
#define OUT_EAX		"\xe7\x81"

static struct machine m;

static bool stopped_at(unsigned port)
{
	return m.run[0]->exit_reason == KVM_EXIT_IO && m.run[0]->io.port == port;
}

/* Answer port 0x82 with bytes from 0x51 on until something else stops the guest. Returns how often it
 * was read. */
static unsigned answer(uint8_t *written)
{
	unsigned reads = 0, turns;

	for (turns = 0; turns < 16 && !bare_run(&m); turns++) {
		if (stopped_at(0x82))
			*(uint8_t *)bare_data(&m) = (uint8_t)(0x51 + reads++);
		else if (m.run[0]->exit_reason == KVM_EXIT_MMIO && m.run[0]->mmio.is_write)
			*written = m.run[0]->mmio.data[0];
		else
			break;
	}
	return reads;
}

static void rax_is_left_alone(const char *what, const char *code, size_t length, unsigned count)
{
	uint8_t written = 0;
	unsigned reads;

	bare_begin(&m, PVM_ABI_DUAL_CR3, code, length);
	reads = answer(&written);
	check(stopped_at(0x81) && reads == count && *bare_data(&m) == 0x11223344 &&
	      m.memory[PLACE_GPA] == 0x51 && m.memory[PLACE_GPA + count - 1] == 0x50 + count,
	      "%s leaves RAX alone: 0x%x, after %u reads", what, *bare_data(&m), reads);
	machine_destroy(&m);
}

static void map_far(void)
{
	struct kvm_sregs sregs;

	ASK(m.vcpu[0], KVM_GET_SREGS, &sregs);
	*(uint64_t *)(m.memory + sregs.cr3 + 2 * PAGE + 16) = FAR_GPA | 0xe3;
}

static void to_a_device(void)
{
	static const char code[] = TO_FAR "\x6c" OUT_EAX;
	uint8_t written = 0;
	unsigned reads;

	bare_begin(&m, PVM_ABI_DUAL_CR3, code, sizeof(code) - 1);
	map_far();
	reads = answer(&written);
	check(stopped_at(0x81) && reads == 1 && written == 0x51,
	      "INS to a device's memory: %u reads, 0x%x written", reads, written);
	machine_destroy(&m);
}

/* @touched: user space has read its page, so that the kernel has one there. */
static void to_read_only_memory(bool touched)
{
	static const char code[] = TO_FAR "\x6c" OUT_EAX;
	uint8_t *rom = mmap(NULL, 2 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint8_t written = 0;
	unsigned reads;

	bare_begin(&m, PVM_ABI_DUAL_CR3, code, sizeof(code) - 1);
	map_far();
	machine_slot(&m, 1, KVM_MEM_READONLY, FAR_GPA, 2 << 20, rom);
	if (touched)
		*rom = 1;
	alarm(ALARM_S);		/* a vCPU that turns without end */
	reads = answer(&written);
	alarm(0);
	check(stopped_at(0x81) && reads == 1 && written == 0x51 && *rom == touched,
	      "INS to read-only memory%s: %u reads, 0x%x written", touched ? "" : " that nobody has touched", reads,
	      written);
	machine_destroy(&m);
	munmap(rom, 2 << 20);
}

/* As a debugger does. */
static void rax_is_user_spaces(void)
{
	/* MOV EDX, 0x82; MOV ESI, PLACE_GPA; OUTSD */
	static const char code[] = "\xba\x82\x00\x00\x00\xbe\x00\x00\x13\x00\x6f" OUT_EAX;
	struct kvm_regs regs;

	bare_begin(&m, PVM_ABI_DUAL_CR3, code, sizeof(code) - 1);
	if (bare_run(&m) || !stopped_at(0x82))
		machine_die("OUTSD: exit %u", m.run[0]->exit_reason);
	regs = bare_regs(&m);
	regs.rax = 0x12345678;
	ASK(m.vcpu[0], KVM_SET_REGS, &regs);
	bare_run(&m);
	check(stopped_at(0x81) && *bare_data(&m) == 0x12345678, "RAX that user space sets at an OUTS: 0x%x",
	      *bare_data(&m));
	machine_destroy(&m);
}

int main(void)
{
	static const char one[] = TO_MEMORY "\x6c" OUT_EAX;
	static const char some[] = TO_MEMORY "\xb9\x03\x00\x00\x00\xf3\x6c" OUT_EAX;	/* ECX: 3 */

	rax_is_left_alone("INS", one, sizeof(one) - 1, 1);
	rax_is_left_alone("REP INS", some, sizeof(some) - 1, 3);
	rax_is_user_spaces();
	to_a_device();
	to_read_only_memory(true);
	to_read_only_memory(false);
	return check_finish();
}
