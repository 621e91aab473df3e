/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * MSR_PVM_SUPERVISOR_REDZONE: where an event in supervisor mode puts its frame
 * for several sizes and stack pointers, and that it leaves the zone alone. In
 * single CR3: that an event changes neither RSP nor what is near it.
 *
 * spec: MSR_PVM_SUPERVISOR_REDZONE; Vector events in supervisor mode
 */
#include "guest.h"

#define STACK_SIZE 8192
#define FILL 0xa5

static u8 stack[STACK_SIZE] __attribute__((aligned(4096)));

/* Both kinds of event with RSP at @rsp. */
static void exception_at(u64 rsp)
{
	TRY_BETWEEN("movq %%rsp, %%rbx; movq %0, %%rsp", "ud2", "movq %%rbx, %%rsp", : "r"(rsp)
		    : "rbx", "memory");
}

static void interrupt_at(u64 rsp)
{
	TRY_BETWEEN("movq %%rsp, %%rbx; movq %0, %%rsp", "int $0x80", "movq %%rbx, %%rsp", : "r"(rsp)
		    : "rbx", "memory");
}

static bool untouched(u64 from, u64 to)
{
	for (const u8 *p = (const u8 *)from; p < (const u8 *)to; p++)
		if (*p != FILL)
			return false;
	return true;
}

/* spec: C-086, C-173, C-174, C-182, C-187, C-190 */
static void zone(u64 size, u64 rsp)
{
	u64 aligned = align_down(rsp - size, 16);

	check_eq(hc_wrmsr(MSR_PVM_SUPERVISOR_REDZONE, size), 0, "the size can be set");
	memset(stack, FILL, sizeof(stack));
	exception_at(rsp);
	check_eq(trap.vector, VEC_UD, "below 32: delivered");
	check_eq(trap.frame_at, aligned - PVM_FRAME_SIZE, "below 32: the frame is below the aligned zone");
	check_eq(trap.frame.hw.rsp, rsp, "below 32: the pushed RSP is the original");
	check(untouched(aligned, rsp), "below 32: the zone is untouched");

	memset(stack, FILL, sizeof(stack));
	interrupt_at(rsp);
	check_eq(trap.vector, VEC_SYSCALL32, "from 32: delivered");
	/* event.S pushes its own frame right below the RSP that it got. */
	check_eq(trap.frame_at, aligned - PVM_FRAME_SIZE, "from 32: RSP is the aligned zone's end");
	check_eq(trap.frame.hw.rsp, rsp, "from 32: PVCS::rsp is the original");
	check(untouched(aligned, rsp), "from 32: the zone is untouched");
}

/* Single CR3: the entry goes below the zone by itself. */
/* spec: SC-012, SC-022 */
static void untouched_stack(u64 rsp)
{
	for (int hypervisor = 0; hypervisor < 2; hypervisor++) {
		return_by_hypervisor = hypervisor;
		memset(stack, FILL, sizeof(stack));
		exception_at(rsp);
		check_eq(trap.vector, VEC_UD, "below 32: delivered");
		check_eq(trap.frame.hw.rsp, rsp, "below 32: RSP is the original");
		check(untouched(rsp - RED_ZONE, rsp), "below 32: what is below RSP is untouched");
		check(untouched(rsp, (u64)stack + STACK_SIZE), "below 32: and what is above");

		memset(stack, FILL, sizeof(stack));
		interrupt_at(rsp);
		check_eq(trap.vector, VEC_SYSCALL32, "from 32: delivered");
		check_eq(trap.frame.hw.rsp, rsp, "from 32: RSP is the original");
		check(untouched(rsp - RED_ZONE, rsp), "from 32: what is below RSP is untouched");
		check(untouched(rsp, (u64)stack + STACK_SIZE), "from 32: and what is above");
	}
	return_by_hypervisor = false;
}

USER_CODE(user_ud, "	ud2\n");

/* spec: SC-012 */
static void single_cr3(u64 top)
{
	struct user u;

	untouched_stack(top);
	untouched_stack(top - 8);
	untouched_stack(top - 1);
	untouched_stack(top - 13);
	untouched_stack((u64)stack + PAGE_SIZE + 32);
	user_init(&u, user_ud, user_stack_top() - 13, 0);
	user_run(&u);
	check_eq(u.rsp, user_stack_top() - 13 - 8, "an event from user mode leaves RSP, whatever it is");
	user_init(&u, user_ud, 0x0100000000000000ul, 0);
	user_run(&u);
	check(user_left_by_vector(&u, VEC_UD) && u.rsp == 0x0100000000000000ul - 8,
	      "user mode may have an RSP that is not canonical");
}

void guest_main(void)
{
	static const u64 sizes[] = { 0, 8, 128, 1000 };
	u64 top = (u64)stack + STACK_SIZE - 64;
	struct user u;

	if (SINGLE_CR3) {
		single_cr3(top);
		return;
	}
	for (unsigned i = 0; i < array_size(sizes); i++) {
		zone(sizes[i], top);
		zone(sizes[i], top - 8);
		zone(sizes[i], top - 1);
		zone(sizes[i], top - 13);
	}
	/* The frame spans two pages. */
	zone(0, (u64)stack + PAGE_SIZE + 32);

	/* spec: C-168, C-085 */
	hc_wrmsr(MSR_PVM_SUPERVISOR_REDZONE, 128);
	run_user(&u, user_ud, 0);
	check_eq(u.entry_rsp, u.return_rsp, "an event from user mode subtracts no red zone");
	hc_wrmsr(MSR_PVM_SUPERVISOR_REDZONE, 0);
}
