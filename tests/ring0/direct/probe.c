/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * What this CPU, or its emulator, makes of single instructions at CPL 3: no guest, no
 * switcher, nothing of libpvm. Prints a line for each: its vector, the distance of the
 * reported RIP from the instruction's start, and whether that is what a CPU does (Intel SDM
 * vol. 2 and 3). tests/ring0/probe.py reads it.
 */
#include "minivisor.h"
#include "cpu.h"
#include "memory.h"
#include "print.h"
#include "trap.h"

#define USER_PAGE	0x10000ull	/* linear; nothing of minivisor's is in the lower half */
#define USER_STACK	(USER_PAGE + 0xf00)
#define CODE_AT		0x100		/* the instruction itself; what prepares it is before */
#define DATA_AT		0x800
#define MXCSR_UNMASKED	0		/* every SIMD exception */
#define CR0_BITS	(1ull << 18)	/* AM */
#define CR4_BITS	(3ull << 9)	/* OSFXSR, OSXMMEXCPT */
#define FLAGS		(1ull << 1)
#define FLAGS_AC	(FLAGS | 1ull << 18)

struct probe {
	const char *name;
	const char *code;
	uint8_t size, start;		/* bytes; of the instruction in question */
	uint8_t vector, distance;	/* as on a CPU */
	uint64_t rflags, rsp;
};

#define PROBE(name, vector, distance, start, flags, rsp, bytes) \
	{ name, bytes, sizeof(bytes) - 1, start, vector, distance, flags, rsp }

static const struct probe probes[] = {
	PROBE("icebp", PVM_VEC_DB, 1, 0, FLAGS, USER_STACK, "\xf1"),
	PROBE("into", PVM_VEC_UD, 0, 0, FLAGS, USER_STACK, "\xce"),
	PROBE("wbinvd", PVM_VEC_GP, 0, 0, FLAGS, USER_STACK, "\x0f\x09"),
	PROBE("sysexit", PVM_VEC_GP, 0, 0, FLAGS, USER_STACK, "\x0f\x35"),
	PROBE("cr1", PVM_VEC_UD, 0, 0, FLAGS, USER_STACK, "\x0f\x20\xc8"),		/* mov %cr1, %rax */
	PROBE("ss", PVM_VEC_SS, 0, 0, FLAGS, 1ull << 62, "\x50"),			/* push %rax */
	PROBE("ac", PVM_VEC_AC, 0, 0, FLAGS_AC, USER_STACK, "\x8b\x44\x24\x01"),	/* mov 1(%rsp), %eax */
	/* ldmxcsr DATA; xorps %xmm0, %xmm0; movaps DATA + 16, %xmm1; divps %xmm0, %xmm1 */
	PROBE("xm", PVM_VEC_XM, 0, 19, FLAGS, USER_STACK,
	      "\x0f\xae\x14\x25\x00\x08\x01\x00" "\x0f\x57\xc0" "\x0f\x28\x0c\x25\x10\x08\x01\x00"
	      "\x0f\x5e\xc8"),
};

static uint8_t *page;
static struct trap_frame seen;
static uint64_t kernel_rsp;
extern const uint8_t probe_back[];

static void back_to_kernel(struct trap_frame *frame)
{
	seen = *frame;
	frame->rip = (uint64_t)probe_back;
	frame->cs = KERNEL_CS;
	frame->ss = KERNEL_DS;
	frame->rsp = kernel_rsp;
	frame->rflags = FLAGS;
}

static void enter_user(uint64_t rip, uint64_t rsp, uint64_t rflags)
{
	__asm__ volatile("push	%%rbp\n\t"
			 "push	%%rbx\n\t"
			 "mov	%%rsp, %[kernel_rsp]\n\t"
			 "pushq	%[ss]\n\t"
			 "push	%[rsp]\n\t"
			 "push	%[rflags]\n\t"
			 "pushq	%[cs]\n\t"
			 "push	%[rip]\n\t"
			 "iretq\n\t"
			 ".globl probe_back\n"
			 "probe_back:\n\t"
			 "pop	%%rbx\n\t"
			 "pop	%%rbp"
			 : [kernel_rsp] "=m"(kernel_rsp), [rip] "+D"(rip), [rsp] "+S"(rsp),
			   [rflags] "+d"(rflags)
			 : [ss] "i"(USER_DS), [cs] "i"(USER_CS)
			 : "rax", "rcx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "memory", "cc");
}

/* One page at USER_PAGE for CPL 3, in the tables that are loaded. */
static void map_user_page(void)
{
	uint64_t *table = phys_to_virt(read_cr3() & PVM_PTE_ADDR_MASK);
	unsigned level;

	for (level = 4; level > 1; level--) {
		uint64_t *next = page_alloc();

		table[PVM_LEVEL_INDEX(USER_PAGE, level)] =
			direct_to_phys(next) | PVM_PTE_P | PVM_PTE_W | PVM_PTE_U;
		table = next;
	}
	page = page_alloc();
	table[PVM_LEVEL_INDEX(USER_PAGE, 1)] = direct_to_phys(page) | PVM_PTE_P | PVM_PTE_W | PVM_PTE_U;
}

/* True if it was as on a CPU. */
static bool run(const struct probe *probe)
{
	static const uint32_t one[4] = { 0x3f800000, 0x3f800000, 0x3f800000, 0x3f800000 };
	const uint32_t mxcsr = MXCSR_UNMASKED;
	uint64_t distance;
	bool same;

	memset(page, 0x0f, PVM_PAGE_SIZE);	/* 0f 0b is UD2: whatever is not trapped ends there */
	memcpy(page + CODE_AT, probe->code, probe->size);
	memcpy(page + CODE_AT + probe->size, "\x0f\x0b", 2);
	memcpy(page + DATA_AT, &mxcsr, sizeof(mxcsr));
	memcpy(page + DATA_AT + 16, one, sizeof(one));
	enter_user(USER_PAGE + CODE_AT, probe->rsp, probe->rflags);
	distance = seen.rip - USER_PAGE - CODE_AT - probe->start;
	same = seen.vector == probe->vector && distance == probe->distance;
	print("probe %s: vector %lu, RIP +%lu: %s\n", probe->name, seen.vector, distance,
	      same ? "as on a CPU" : "not as on a CPU");
	return same;
}

void minivisor_main(void)
{
	unsigned i, same = 0;

	map_user_page();
	this_cpu()->tss.rsp[0] = (uint64_t)page_alloc() + PVM_PAGE_SIZE;
	write_cr0((read_cr0() | CR0_BITS) & ~0xcull);	/* neither EM nor TS */
	write_cr4(read_cr4() | CR4_BITS);
	for (i = 0; i < 32; i++)
		if (i != PVM_VEC_NMI && i != PVM_VEC_DF && i != PVM_VEC_MC)
			trap_set((uint8_t)i, back_to_kernel);
	for (i = 0; i < sizeof(probes) / sizeof(probes[0]); i++)
		same += run(&probes[i]);
	print("%u of %lu instructions as on a CPU\n", same, sizeof(probes) / sizeof(probes[0]));
	machine_exit(0);
}
