/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * HC_LOAD_GS: good and bad selectors, the base it returns, and that user mode
 * gets the selector. Interrupts stay off: the kernel's GS base is gone here.
 *
 * spec: PVM_HC_LOAD_GS
 */
#include "guest.h"

#define TLS_BASE 0x12345678ul

/* Flat 32-bit read-write data with @base, DPL 3, limit 4 GiB. */
static u64 data_descriptor(u64 base)
{
	return 0x00cff3000000fffful | (base & 0xffffff) << 16 | (base >> 24 & 0xff) << 56;
}

static u16 read_gs(void)
{
	u16 sel;

	__asm__ volatile("mov %%gs, %0" : "=r"(sel));
	return sel;
}

struct result {
	u64 returned, base;
	u16 sel;
};

/* Loads @sel; puts the kernel's GS base back before anything else happens. */
static struct result load(u16 sel)
{
	struct cpu *cpu = this_cpu();
	struct result r;

	r.returned = hc_load_gs(sel);
	r.base = read_gsbase();
	r.sel = read_gs();
	hc_wrmsr(MSR_GS_BASE, (u64)cpu);
	return r;
}

static void refused(u16 sel, const char *what)
{
	struct result r = load(sel);

	check(r.sel == 0 && r.base == 0 && r.returned == 0, what);
}

USER_CODE(user_gs, "	movl	%gs, %eax\n	rdgsbase %rbx\n	syscall\n	ud2\n");

void guest_main(void)
{
	u64 tls = hc_load_tls(data_descriptor(TLS_BASE), data_descriptor(0), 0) << 3 | 3;
	struct result r;
	struct user u;

	irq_disable();
	/* spec: C-005, C-226, C-227 */
	r = load((u16)tls);
	check_eq(r.sel, tls, "a TLS selector is loaded");
	check_eq(r.base, TLS_BASE, "the GS base comes from its descriptor");
	check_eq(r.returned, TLS_BASE, "and is returned");
	r = load((u16)tls + 8);
	check(r.sel == (u16)tls + 8 && r.base == 0 && r.returned == 0, "a TLS selector with base 0");
	r = load(user_ss());
	check(r.sel == user_ss() && r.base == 0 && r.returned == 0, "the user's data selector");
	refused(0, "NULL");
	refused((u16)tls + 16, "an empty TLS entry: NULL is loaded");
	refused(user64_cs(), "a code selector in its place: NULL is loaded");
	refused(supervisor_ss, "the supervisor's data selector: NULL is loaded");
	refused((u16)tls | 4, "a selector in the LDT: NULL is loaded");
	refused(0xfff8, "a selector beyond the GDT: NULL is loaded");

	/* The selector is the CPU's in every mode; the base comes from the PVCS. */
	hc_load_gs((u16)tls);
	hc_wrmsr(MSR_GS_BASE, hc_rdmsr(MSR_KERNEL_GS_BASE));
	user_init(&u, user_gs, user_stack_top(), 0);
	u.gsbase = 0x5000;
	user_run_once(&u);
	check_eq(u.rax, tls, "user mode has the selector that was loaded");
	check_eq(u.rbx, 0x5000, "and the GS base of PVCS::user_gsbase");
	load(0);
}
