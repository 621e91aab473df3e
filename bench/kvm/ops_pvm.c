/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* The PVM guest's side of ops.h. */
#include "ops.h"

extern char bench_event[], bench_return[], bench_syscall[];
u64 user_argument;		/* entry_pvm.S reads it */

void ops_init(void)
{
	guest_assert(hc_wrmsr(MSR_PVM_EVENT_ENTRY, (u64)bench_event) == 0);
	guest_assert(hc_wrmsr(MSR_PVM_RETU_RIP, (u64)bench_return) == 0);
	guest_assert(hc_wrmsr(MSR_LSTAR, (u64)bench_syscall) == 0);
}

u32 user_mode(const void *rip, u64 argument)
{
	volatile struct guest_pvcs *p = pvcs();

	irq_disable();
	user_argument = argument;
	p->rip = p->rcx = (u64)rip;	/* so that SYSRET can do it */
	p->eflags = FLAG_FIXED | FLAG_IF;
	p->r11 = FLAG_FIXED | FLAG_IF;
	p->rsp = user_stack_top();
	p->pkru = 0;
	p->user_cs = user64_cs();
	p->user_ss = user_ss();
	p->user_gsbase = 0;
	return user_enter_measured();
}

void send_self(void)
{
	apic_send_self(BENCH_VECTOR);
}

void flush(void)
{
	space_load(&boot_space, true);
}

void space_enter(const struct space *space)
{
	space_load(space, false);
}
