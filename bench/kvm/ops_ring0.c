/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The ordinary guest's side of ops.h, and what its CPU needs before guest_main(): descriptor tables,
 * and the page tables of the guest library, with single CR3's one root.
 */
#include "ops.h"

#include "ring0.h"

#define GATE_INTERRUPT	0x8e00ull
#define TSS_AVAILABLE	0x890000000000ull
#define CODE64(dpl)	(0x00209b0000000000ull | (u64)(dpl) << 45)
#define DATA(dpl)	(0x0000930000000000ull | (u64)(dpl) << 45)
#define SVR_ENABLE	(1 << 8)

struct gate {
	u64 low, high;
};

struct tss {
	u32 reserved;
	u64 rsp[3];
	u8 rest[0x68 - 28];
} __attribute__((packed));

struct table_register {
	u16 limit;
	u64 base;
} __attribute__((packed));

extern char ring0_page_fault[], ring0_interrupt[], ring0_unexpected[], ring0_syscall[];
noreturn void guest_start(u64 boot_params_pa);
noreturn void ring0_die(u64 first, u64 second, u64 cr2);

const struct boot_params *boot_params;
u64 user_argument, user_rip, user_rsp;		/* entry_ring0.S reads them */

static u8 event_stack[4096] __attribute__((aligned(16)));
static u8 user_data user_stack[4096] __attribute__((aligned(16)));
static struct tss tss;
static struct gate idt[256];
static u64 gdt[GDT_ENTRIES];

noreturn void ring0_die(u64 first, u64 second, u64 cr2)
{
	printf("unexpected event: %#lx %#lx, cr2 %#lx\n", first, second, cr2);
	guest_exit(1);
}

static void set_gate(unsigned vector, const char *entry)
{
	u64 at = (u64)entry;

	idt[vector].low = (at & 0xffff) | KERNEL_CS << 16 | GATE_INTERRUPT << 32 | (at >> 16 & 0xffff) << 48;
	idt[vector].high = at >> 32;
}

static void load_tables(void)
{
	struct table_register gdtr = { sizeof(gdt) - 1, (u64)gdt }, idtr = { sizeof(idt) - 1, (u64)idt };
	u64 at = (u64)&tss;

	gdt[KERNEL_CS / 8] = CODE64(0);
	gdt[KERNEL_SS / 8] = DATA(0);
	gdt[USER_SS / 8] = DATA(3);
	gdt[USER_CS / 8] = CODE64(3);
	gdt[TSS_SEL / 8] = TSS_AVAILABLE | (sizeof(tss) - 1) | (at & 0xffffff) << 16 |
			   (at >> 24 & 0xff) << 56;
	gdt[TSS_SEL / 8 + 1] = at >> 32;
	tss.rsp[0] = (u64)event_stack + sizeof(event_stack);
	for (unsigned i = 0; i < array_size(idt); i++)
		set_gate(i, ring0_unexpected);
	set_gate(VEC_PF, ring0_page_fault);
	set_gate(BENCH_VECTOR, ring0_interrupt);
	__asm__ volatile("lgdt %0\n\tlidt %1\n\tltr %w2" : : "m"(gdtr), "m"(idtr), "r"(TSS_SEL) : "memory");
}

void ops_init(void)
{
	load_tables();
	wrmsr(MSR_STAR, (u64)USER_BASE_SEL << 48 | (u64)KERNEL_CS << 32);
	wrmsr(MSR_LSTAR, (u64)ring0_syscall);
	wrmsr(MSR_SYSCALL_MASK, FLAG_IF | FLAG_TF | FLAG_DF);
	wrmsr(MSR_X2APIC_SVR, SVR_ENABLE | SPURIOUS_VECTOR);
}

u32 user_mode(const void *rip, u64 argument)
{
	user_rip = (u64)rip;
	user_argument = argument;
	user_rsp = (u64)user_stack + sizeof(user_stack);
	return user_enter_measured();
}

void send_self(void)
{
	wrmsr(MSR_X2APIC_SELF_IPI, BENCH_VECTOR);
}

void space_enter(const struct space *space)
{
	write_reg(cr3, space->supervisor_root);
}

void flush(void)
{
	space_enter(&boot_space);
}

noreturn void guest_start(u64 boot_params_pa)
{
	console_init();
	boot_params = phys_to_virt(boot_params_pa);
	memory_init(boot_params);
	paging_init();
	flush();
	guest_main();
	guest_finish();
}
