/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Between struct user and the PVCS. The interrupt flag is clear from the first
 * store to the PVCS until the last load from it, or an interrupt in supervisor
 * mode would overwrite it. In single CR3 the lock is held meanwhile, against NMIs.
 *
 * spec: PVCS, EVENT_RETURN_USER
 */
#include "user.h"

#include "cpu.h"
#include "event.h"
#include "insn.h"
#include "interrupt.h"

void user_enter(struct user *user);	/* event.S */

static user_data u8 default_stack[16 * KiB] __attribute__((aligned(16)));

u16 user64_cs(void)
{
	return read_cs();	/* supervisor mode runs on the same underlying selector */
}

u16 user32_cs(void)
{
	return read_cs() - 16;	/* SYSRET: MSR_STAR's base, SS = +8, 64-bit CS = +16 */
}

u16 user_ss(void)
{
	return read_ss();
}

u64 user_stack_top(void)
{
	return (u64)default_stack + sizeof(default_stack);
}

void user_init(struct user *user, const void *rip, u64 stack_top, u64 arg)
{
	memset(user, 0, sizeof(*user));
	user->rip = (u64)rip;
	user->rsp = stack_top - 8;	/* as after a call; user code must not return */
	user->rdi = arg;
	user->rflags = FLAG_FIXED | FLAG_IF;
	user->cs = user64_cs();
	user->ss = user_ss();
}

static void fill_pvcs(const struct user *user)
{
	volatile struct guest_pvcs *p = pvcs();

	p->rcx = user->rcx;
	p->r11 = user->r11;
	p->rip = user->rip;
#if !SINGLE_CR3
	p->rsp = user->rsp;
#endif
	p->eflags = user->rflags;
	p->pkru = user->pkru;
	p->user_cs = user->cs;
	p->user_ss = user->ss;
	p->user_gsbase = user->gsbase;
}

static void read_pvcs(struct user *user)
{
	const volatile struct guest_pvcs *p = pvcs();

	user->rcx = p->rcx;
	user->r11 = p->r11;
	user->rip = p->rip;
#if SINGLE_CR3
	user->rsp = user->entry_rsp;
#else
	user->rsp = p->rsp;
#endif
	user->rflags = p->eflags;
	user->pkru = p->pkru;
	user->cs = p->user_cs;
	user->ss = p->user_ss;
	user->gsbase = p->user_gsbase;
	user->vector = p->event_vector & DUAL_OR_SINGLE(~0u, ~PVM_SC_VECTOR_LOCK);
	user->errcode = p->event_errcode;
	user->cr2 = p->cr2;
}

u64 user_run_raw(struct user *user)
{
	if (SINGLE_CR3 && !user->unlocked)
		pvcs_lock();
	fill_pvcs(user);
	user_enter(user);
	read_pvcs(user);
	if (SINGLE_CR3) {
		user->lock = pvcs_unlock();
		event_unlocked(user->lock, NULL);
	}
	return user->left_by;
}

u64 user_run_once(struct user *user)
{
	u64 enabled = irq_save();

	user_run_raw(user);
	irq_restore(enabled);
	return user->left_by;
}

/* Hand an interrupt from user mode to its handler, which sees the user's
 * registers and cannot change them. */
static void call_handler(const struct user *user)
{
	struct frame frame = {
		.rax = user->rax, .rbx = user->rbx, .rdx = user->rdx, .rsi = user->rsi,
		.rdi = user->rdi, .rbp = user->rbp, .r8 = user->r8, .r9 = user->r9,
		.r10 = user->r10, .r12 = user->r12, .r13 = user->r13, .r14 = user->r14,
		.r15 = user->r15,
		.entry_rcx = user->entry_rcx, .entry_r11 = user->entry_r11,
		.entry_rflags = user->entry_rflags,
		.hw = {
			.vector = user->vector, .rip = user->rip, .cs = user->cs,
			.rflags = user->rflags, .rsp = user->rsp, .ss = user->ss,
			.rcx = user->rcx, .r11 = user->r11,
		},
	};

	if (user->vector < 32)
		supervisor_exception(&frame);
	else
		supervisor_interrupt(&frame);
}

u64 user_run(struct user *user)
{
	for (;;) {
		user_run_once(user);
		if (user->left_by != LEFT_BY_EVENT)
			return user->left_by;
		if (user->vector != VEC_NMI && (user->vector < 32 || user->vector == VEC_SYSCALL32))
			return LEFT_BY_EVENT;
		call_handler(user);
	}
}

u64 run_user(struct user *user, const void *rip, u64 arg)
{
	user_init(user, rip, user_stack_top(), arg);
	return user_run(user);
}

user_code u64 user_strlen(const char *s)
{
	u64 n = 0;

	while (s[n]) {
		barrier();	/* or the compiler sees strlen(), and calls it */
		n++;
	}
	return n;
}
