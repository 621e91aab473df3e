/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Instructions that are privileged or behave differently: what they do in
 * supervisor mode, and that user mode gets an exception for each.
 *
 * spec: X86 Instructions with changed behavior; States or registers
 */
#include "guest.h"

#define CR0_ONES (CR0_PE | CR0_PG | CR0_WP | CR0_ET | CR0_NE | CR0_AM | CR0_MP)
#define CR0_ZEROS (CR0_CD | CR0_NW | CR0_EM | CR0_TS)
#define UART_SCRATCH 0x3ff
#define UNUSED_PORT 0x5000

struct table_register {
	u16 limit;
	u64 base;
} __attribute__((packed));

/* spec: C-024, C-025, C-027, C-028, C-135, C-137, SC-005 */
static void control_registers(void)
{
	u64 cr0 = read_reg(cr0), cr4 = read_reg(cr4), value;
	u64 smep = SINGLE_CR3 && hc_rdmsr(MSR_EFER) & EFER_NX ? CR4_SMEP : 0;

	check_eq(cr0 & (CR0_ONES | CR0_ZEROS), CR0_ONES, "CR0: the fixed bits");
	check_eq(TRY("movq %0, %%cr0", : "r"(cr0)), NO_TRAP, "CR0: can be written with its value");
	TRY("movq %0, %%cr0", : "r"(cr0 | CR0_TS));
	TRY("movq %0, %%cr0", : "r"(cr0 & ~CR0_WP));
	check_eq(read_reg(cr0), cr0, "CR0: TS and WP do not change");
	check_eq(cr4 & (CR4_PAE | CR4_FSGSBASE | CR4_VME | CR4_PVI | CR4_SMEP | CR4_SMAP),
		 CR4_PAE | CR4_FSGSBASE | smep, "CR4: the fixed bits");
	check_eq(TRY("movq %0, %%cr4", : "r"(cr4)), NO_TRAP, "CR4: can be written with its value");
	TRY("movq %0, %%cr4", : "r"(cr4 ^ CR4_SMEP));
	TRY("movq %0, %%cr4", : "r"(cr4 | CR4_SMAP));
	TRY("movq %0, %%cr4", : "r"(cr4 | CR4_VME));
	TRY("movq %0, %%cr4", : "r"(cr4 & ~CR4_FSGSBASE));
	check_eq(read_reg(cr4), cr4, "CR4: SMEP, SMAP, VME and FSGSBASE do not change");
	check_eq(TRY("movq %0, %%cr4", : "r"(cr4 | CR4_PCIDE)), NO_TRAP, "CR4: PCIDE can be set");
	check(read_reg(cr4) & CR4_PCIDE, "CR4: PCIDE reads back");
	write_reg(cr4, cr4);
	write_reg(cr2, 0x123456789);
	check_eq(read_reg(cr2), 0x123456789, "CR2 reads back");
	check_eq(read_reg(cr3) & PTE_ADDR, boot_space.supervisor_root, "CR3 is what LOAD_PGTBL loaded");
	write_reg(cr8, 5);
	value = read_reg(cr8);
	write_reg(cr8, 0);
	check_eq(value, 5, "CR8 reads back");
	check_eq(TRY("movq %0, %%cr8", : "r"(16ul)), VEC_GP, "CR8 of 16 is #GP");
	check_eq(TRY(".byte 0x0f, 0x20, 0xc8", : : "rax"), VEC_UD, "CR1 is #UD");
}

/* spec: C-036, C-039, C-040, C-038, C-110 */
static void descriptor_tables(void)
{
	struct table_register in = { .limit = 0x7f, .base = 0x123456789000 }, out;
	u16 sel = user_ss(), word;

	check_eq(TRY("lgdt %0", : "m"(in)), NO_TRAP, "LGDT works");
	check_eq(TRY("lidt %0", : "m"(in)), NO_TRAP, "LIDT works");
	check_eq(TRY("lldt %w0", : "r"(0)), NO_TRAP, "LLDT works");
	check_eq(TRY("ltr %w0", : "r"(0x40)), NO_TRAP, "LTR works");
	check_eq(TRY("movw %0, %%es", : "r"(sel)), NO_TRAP, "and they have no effect on selectors");
	check_eq(TRY("ud2"), VEC_UD, "nor on events");
	__asm__ volatile("movw %w0, %%es" : : "r"(0));
	check_eq(TRY("sgdt %0", "=m"(out)), NO_TRAP, "SGDT works");
	check_eq(TRY("sidt %0", "=m"(out)), NO_TRAP, "SIDT works");
	check_eq(TRY("sldt %0", "=r"(word)), NO_TRAP, "SLDT works");
	check_eq(TRY("str %0", "=r"(word)), NO_TRAP, "STR works");
	check_eq(TRY("smsw %0", "=r"(word)), NO_TRAP, "SMSW works");
	check(word & CR0_PE, "and shows PE");
}

USER_INSN(user_sgdt, "", "sgdt -16(%rsp)");

/* What CPUID offers is so: with UMIP they are the hypervisor's, without it the host's.
 * spec: C-110 */
static void umip(void)
{
	struct table_register in = { .limit = 0x7f, .base = 0x123456789000 }, out = { 0 };
	bool offered = pvm_cpuid(7, 0).ecx & (1 << 2);
	struct user u;

	TRY("lgdt %0", : "m"(in));
	TRY("sgdt %0", "=m"(out));
	check(!offered || (out.limit == in.limit && out.base == in.base), "UMIP: SGDT reads what LGDT loaded");
	user_init(&u, user_sgdt, user_stack_top(), (u64)user_sgdt);
	user_run(&u);
	check(offered ? user_left_by_vector(&u, VEC_GP) : u.left_by == LEFT_BY_SYSCALL,
	      "UMIP: SGDT in user mode is #GP, without it none");
}

/* spec: C-009 */
static void ports(void)
{
	u64 rax = ~0ul;
	u32 all;

	outb(UART_SCRATCH, 0x5a);
	check_eq(inb(UART_SCRATCH), 0x5a, "OUT and IN of a byte by DX");
	__asm__ volatile("inb %%dx, %%al" : "+a"(rax) : "d"(UART_SCRATCH));
	check_eq(rax, ~0xfful | 0x5a, "IN of a byte keeps the rest of RAX");
	rax = ~0ul;
	__asm__ volatile("inl %%dx, %%eax" : "+a"(rax) : "d"(UNUSED_PORT));
	check_eq(rax >> 32, 0, "IN of 32 bits clears the rest of RAX");
	__asm__ volatile("inb $0x80, %%al; outb %%al, $0x80; inl %%dx, %%eax" : "=a"(all) : "d"(UNUSED_PORT));
	check_eq(all, ~0u, "a port without a device reads as ones");
}

static void string_io(void)
{
	static const char line[] = "# OUTS writes this line\n";
	const char *p = line;
	u64 n = sizeof(line) - 1;
	u8 in[4] = { 0 }, *q = in;

	__asm__ volatile("rep outsb" : "+S"(p), "+c"(n) : "d"(0x3f8) : "memory");
	check(p == line + sizeof(line) - 1 && n == 0, "REP OUTSB goes to its end");
	outb(UART_SCRATCH, 0xa5);
	n = 3;
	__asm__ volatile("rep insb" : "+D"(q), "+c"(n) : "d"(UART_SCRATCH) : "memory");
	check(q == in + 3 && in[0] == 0xa5 && in[2] == 0xa5 && in[3] == 0, "REP INSB stores what it reads");
}

/* spec: C-002, C-030, C-046 */
static void flags(void)
{
	u64 seen;

	irq_disable();
	check_eq(read_flags() & (FLAG_IF | FLAG_FIXED | FLAG_IOPL | FLAG_VM), FLAG_IF | FLAG_FIXED,
		 "PUSHF shows the underlying flags: IF is 1 though PVM's is 0");
	__asm__ volatile("pushfq; orl $0x3000, (%%rsp); popfq; pushfq; popq %0" : "=r"(seen) : : "cc", "memory");
	check_eq(seen & FLAG_IOPL, 0, "POPF cannot raise IOPL");
	__asm__ volatile("pushq $2; popfq" : : : "cc", "memory");
	check(read_flags() & FLAG_IF, "POPF cannot clear the underlying IF");
	check(!irq_enabled(), "and does not touch PVM's");
}

/* spec: C-011, C-111, C-114, C-113, C-112, C-001, C-012, C-013 */
static void others(void)
{
	u64 rights = 0, before, after;

	check(TRY("invlpg (%0)", : "r"(0x0100000000000000ul)) == NO_TRAP, "INVLPG never faults");
	check_eq(TRY("clts"), NO_TRAP, "CLTS works");
	check_eq(TRY("wbinvd"), NO_TRAP, "WBINVD works");
	/* Intel's CPUs do not say where it was: a host whose kernel it enters knows
	 * where the guest was last, which is at the WBINVD. */
	check_eq(TRY_BETWEEN("wbinvd", "sysenter", ""), VEC_GP, "SYSENTER is #GP");
	check(TRY("int $0x20") == VEC_GP && trap.errcode == 0x20 * 8 + 2, "INT 0x20 is #GP(0x102)");
	check(TRY("int $0x81") == VEC_GP && trap.errcode == 0x81 * 8 + 2, "INT 0x81 is #GP(0x40a)");
	check(TRY("int $2") == VEC_GP && trap.errcode == 2 * 8 + 2, "INT 2 is #GP(0x12)");
	check(TRY("int $1") == VEC_GP && trap.errcode == 1 * 8 + 2, "INT 1 is #GP(0xa)");
	check(TRY("int $4") == VEC_GP && trap.errcode == 4 * 8 + 2, "INT 4 is #GP(0x22)");
	check(TRY("int $14") == VEC_GP && trap.errcode == 14 * 8 + 2, "INT 14 is #GP(0x72)");
	check(TRY("int $0xff") == VEC_GP && trap.errcode == 0xff * 8 + 2, "INT 0xff is #GP(0x7fa)");
	check_eq(TRY(".byte 0xcd, 0x03"), VEC_BP, "INT 3 in two bytes is #BP");
	check_eq(trap.rip, trap.next, "after both");
	__asm__ volatile("larq %1, %0" : "=r"(rights) : "r"((u64)user64_cs()) : "cc");
	check_eq(rights >> 8 & 0xf8, 0xf8, "LAR sees the host's user code segment");
	check(read_cs() == user64_cs() && (read_cs() & 3) == 3, "the underlying CS has CPL 3");
	check_eq(read_ss() & 3, 3, "the underlying SS has RPL 3");
	before = rdtsc();
	after = rdtsc();
	check(after > before, "RDTSC works and goes up");
	TRY("stac");
	TRY("clac");
	TRY("swapgs");
	TRY("sysretq");
	TRY("sysexitl");
	write_reg(dr6, DR6_FIXED);
	check(hc_wrmsr(MSR_GS_BASE, (u64)&cpus[0]) == 0, "STAC, CLAC, SWAPGS, SYSRET and SYSEXIT harm nobody");
}

#define PRIVILEGED(name, insn) USER_INSN(user_##name, "", insn)
PRIVILEGED(hlt, "hlt");
PRIVILEGED(cli, "cli");
PRIVILEGED(sti, "sti");
PRIVILEGED(inb, "inb $0x80, %al");
PRIVILEGED(outb, "outb %al, $0xf4");
PRIVILEGED(in_dx, "inl %dx, %eax");
PRIVILEGED(outsb, "outsb");
PRIVILEGED(rdmsr, "rdmsr");
PRIVILEGED(wrmsr, "wrmsr");
PRIVILEGED(from_cr0, "movq %cr0, %rax");
PRIVILEGED(to_cr0, "movq %rax, %cr0");
PRIVILEGED(from_cr3, "movq %cr3, %rax");
PRIVILEGED(to_cr3, "movq %rax, %cr3");
PRIVILEGED(to_cr4, "movq %rax, %cr4");
PRIVILEGED(to_cr8, "movq %rax, %cr8");
PRIVILEGED(from_dr7, "movq %dr7, %rax");
PRIVILEGED(to_dr7, "movq %rax, %dr7");
PRIVILEGED(invlpg, "invlpg (%rsp)");
PRIVILEGED(lgdt, "lgdt (%rdi)");
PRIVILEGED(lidt, "lidt (%rdi)");
PRIVILEGED(lldt, "lldt %ax");
PRIVILEGED(ltr, "ltr %ax");
PRIVILEGED(lmsw, "lmsw %ax");
PRIVILEGED(clts, "clts");
PRIVILEGED(wbinvd, "wbinvd");
PRIVILEGED(swapgs, "swapgs");
PRIVILEGED(sysretq, "sysretq");
PRIVILEGED(sysexit, "sysexitl");
PRIVILEGED(sysenter, "sysenter");
PRIVILEGED(xsetbv, "xsetbv");

struct privileged {
	const char *name, *code;
};

static void privileged_in_user_mode(void)
{
#define ENTRY(name) { #name, user_##name }
	static const struct privileged all[] = {
		ENTRY(hlt), ENTRY(cli), ENTRY(sti), ENTRY(inb), ENTRY(outb), ENTRY(in_dx), ENTRY(outsb),
		ENTRY(rdmsr), ENTRY(wrmsr), ENTRY(from_cr0), ENTRY(to_cr0), ENTRY(from_cr3), ENTRY(to_cr3),
		ENTRY(to_cr4), ENTRY(to_cr8), ENTRY(from_dr7), ENTRY(to_dr7), ENTRY(invlpg), ENTRY(lgdt),
		ENTRY(lidt), ENTRY(lldt), ENTRY(ltr), ENTRY(lmsw), ENTRY(clts), ENTRY(wbinvd), ENTRY(swapgs),
		ENTRY(sysretq), ENTRY(sysexit), ENTRY(sysenter), ENTRY(xsetbv),
	};
	struct user u;

	for (unsigned i = 0; i < array_size(all); i++) {
		user_init(&u, all[i].code, user_stack_top(), (u64)all[i].code);
		u.rcx = MSR_LSTAR;
		pvcs()->event_errcode = 0xffff;
		user_run(&u);
		check(user_left_by_vector(&u, VEC_GP) && u.errcode == 0 && u.rip == (u64)all[i].code,
		      label(all[i].name, "#GP(0) in user mode"));
	}
}

void guest_main(void)
{
	control_registers();
	descriptor_tables();
	umip();
	ports();
	string_io();
	flags();
	others();
	privileged_in_user_mode();
}
