/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* The IDT, and who gets what. NMI, #DF and #MC have stacks of their own (IST). */
#include "trap.h"

#include "cpu.h"
#include "print.h"

#define GATE_INTERRUPT	0x8e00u	/* present, DPL 0, 64-bit interrupt gate */

struct gate {
	uint16_t offset_low, selector, flags, offset_middle;
	uint32_t offset_high, reserved;
};

extern const uint8_t trap_entries[];
void trap(struct trap_frame *frame);

static struct gate idt[256] __attribute__((aligned(4096)));
static trap_handler handlers[256];

void trap_set(uint8_t vector, trap_handler handler)
{
	__atomic_store_n(&handlers[vector], handler, __ATOMIC_RELEASE);
}

static uint16_t ist_of(unsigned vector)
{
	switch (vector) {
	case PVM_VEC_NMI:
		return IST_NMI;
	case PVM_VEC_DF:
		return IST_DF;
	case PVM_VEC_MC:
		return IST_MC;
	}
	return 0;
}

void trap_init_cpu(void)
{
	struct {
		uint16_t limit;
		const void *base;
	} __attribute__((packed)) idtr = { sizeof(idt) - 1, idt };
	unsigned vector;

	for (vector = 0; vector < 256 && !idt[255].selector; vector++) {
		uint64_t entry = (uint64_t)trap_entries + 16 * vector;

		idt[vector] = (struct gate){
			.offset_low = (uint16_t)entry,
			.selector = KERNEL_CS,
			.flags = GATE_INTERRUPT | ist_of(vector),
			.offset_middle = (uint16_t)(entry >> 16),
			.offset_high = (uint32_t)(entry >> 32),
		};
	}
	__asm__ volatile("lidt %0" : : "m"(idtr));
}

void trap(struct trap_frame *frame)
{
	trap_handler handler = __atomic_load_n(&handlers[frame->vector], __ATOMIC_ACQUIRE);

	if (!handler)
		fail("CPU %u: unexpected vector %lu, error code 0x%lx, at rip 0x%lx, rsp 0x%lx, cr2 0x%lx",
		     this_cpu()->index, frame->vector, frame->error_code, frame->rip, frame->rsp,
		     read_cr2());
	handler(frame);
}
