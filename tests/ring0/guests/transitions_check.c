/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* What must hold after every transition, as transitions_check.h says. */
#include "transitions_check.h"

#define USER_GSBASE 0x123456789000ul

static u64 user_fs_base, kernel_gs_base;

void check_init(void)
{
	user_fs_base = read_fsbase();
	kernel_gs_base = hc_rdmsr(MSR_KERNEL_GS_BASE);
}

bool rest_is_whole(void)
{
	return read_gsbase() == (u64)&cpus[0] && read_fsbase() == user_fs_base;
}

void user_prepare(struct user *u, const void *code, u64 rdi)
{
	user_init(u, code, user_stack_top(), rdi);
	u->rax = PATTERN(1), u->rbx = PATTERN(2), u->rdx = PATTERN(3), u->rsi = PATTERN(4);
	u->rbp = PATTERN(6), u->r8 = PATTERN(7), u->r9 = PATTERN(8);
	u->r10 = PATTERN(9), u->r12 = PATTERN(10), u->r13 = PATTERN(11), u->r14 = PATTERN(12);
	u->r15 = PATTERN(13);
	u->rcx = PATTERN(14);
	u->r11 = PATTERN(15);
	u->rflags = FLAGS;
	u->gsbase = USER_GSBASE;
}

void user_for_sysret(struct user *u)
{
	u->rcx = u->rip;
	u->r11 = u->rflags;
}

bool user_is_whole(const struct user *u, const struct user *before, u64 rip, u32 flags)
{
	return memcmp(u, before, offsetof(struct user, left_by)) == 0 && u->rip == rip &&
	       (u->rflags & ~FLAG_RF) == flags && u->rsp == before->rsp && u->cs == before->cs &&
	       u->ss == before->ss && u->gsbase == USER_GSBASE && u->entry_rsp == u->return_rsp &&
	       u->entry_r11 == (FLAG_IF | FLAG_FIXED) && u->entry_rflags == (FLAG_IF | FLAG_FIXED) &&
	       u->entry_gsbase == kernel_gs_base && rest_is_whole();
}

bool user_system_call(struct user *u)
{
	struct user before = *u;

	user_run_once(u);
	return u->left_by == LEFT_BY_SYSCALL && user_is_whole(u, &before, before.rip + 2, FLAGS) &&
	       u->rcx == u->rip && u->r11 == FLAGS && u->entry_rcx == (u64)syscall_entry;
}

bool user_event(struct user *u, u32 vector, const char *rip, u32 flags)
{
	struct user before = *u;

	user_run_once(u);
	return user_left_by_vector(u, vector) && user_is_whole(u, &before, (u64)rip, flags) &&
	       u->rcx == before.rcx && u->r11 == before.r11 && u->entry_rcx == (u64)event_entry;
}

void probe_prepare(struct probe *p)
{
	u64 *r = &p->in.rax;

	for (unsigned i = 0; i < 15; i++)
		r[i] = PATTERN(i + 1);
	p->in.rflags = FLAGS;
	memset(&p->out, 0, sizeof(p->out));
}

bool probe_is_whole(struct probe *p)
{
	return memcmp(&p->in, &p->out, sizeof(p->in)) == 0 && rest_is_whole();
}
