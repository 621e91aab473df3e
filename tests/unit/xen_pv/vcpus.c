/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* vCPUs that start, go down and move their vcpu_info; clocks; segments. */
#include "guest.h"

#include <stddef.h>
#include <string.h>

#define CONTEXT	(KERNEL + 0x70000)

static struct pvm_vcpu *vcpu = &g.f.vcpu[0], *second = &g.f.vcpu[1];

static void setup(void)
{
	xen_guest_init(2);
}

TestSuite(vcpus, .init = setup, .fini = xen_guest_fini);

static int64_t op(uint64_t what, uint64_t id, uint64_t arg)
{
	return xen_call(PVM_XEN_VCPU_OP, what, id, arg, 0);
}

static void put(unsigned offset, uint64_t value)
{
	*(uint64_t *)xen_at(CONTEXT + offset) = value;
}

static void make_context(void)
{
	struct pvm_xen_trap_info *traps = xen_at(CONTEXT + PVM_XEN_CONTEXT_TRAPS);

	memset(xen_at(CONTEXT), 0, PVM_XEN_CONTEXT_SIZE);
	put(PVM_XEN_CONTEXT_FLAGS, 4);
	put(PVM_XEN_CONTEXT_REGS, 15);			/* r15 */
	put(PVM_XEN_CONTEXT_REGS + 14 * 8, 7);		/* rdi */
	put(PVM_XEN_CONTEXT_RIP, KERNEL + 0x80);
	put(PVM_XEN_CONTEXT_RSP, OTHER_STACK + 0x1000);
	put(PVM_XEN_CONTEXT_CR3, g.kernel_table);
	put(PVM_XEN_CONTEXT_CR3_USER, g.user_table);
	put(PVM_XEN_CONTEXT_KERNEL_SP, KERNEL_STACK + 0x1000);
	put(PVM_XEN_CONTEXT_EVENT, EVENT_CALLBACK);
	put(PVM_XEN_CONTEXT_FAILSAFE, FAILSAFE);
	put(PVM_XEN_CONTEXT_FS_BASE, 0x3333);
	put(PVM_XEN_CONTEXT_GS_BASE_KERNEL, 0x4444);
	put(PVM_XEN_CONTEXT_GS_BASE_USER, 0x5555);
	traps[PVM_VEC_PF] = (struct pvm_xen_trap_info){ .vector = PVM_VEC_PF, .flags = 4,
							.address = TRAP(14) };
}

/* spec: XC-009, XC-058, XC-060 */
Test(vcpus, a_second_one_starts)
{
	cr_assert_eq(xen_enter(1), PVM_ACT_HALT);
	cr_expect_eq(op(PVM_XEN_VCPUOP_IS_UP, 0, 0), 1);
	cr_expect_eq(op(PVM_XEN_VCPUOP_IS_UP, 1, 0), 0);
	cr_expect_eq(op(PVM_XEN_VCPUOP_IS_UP, 2, 0), PVM_XEN_ENOENT);
	cr_expect_eq(op(PVM_XEN_VCPUOP_UP, 1, 0), PVM_XEN_EINVAL, "without a context");
	make_context();
	cr_assert_eq(op(PVM_XEN_VCPUOP_INITIALISE, 1, CONTEXT), 0);
	cr_expect_eq(op(PVM_XEN_VCPUOP_INITIALISE, 1, CONTEXT), PVM_XEN_EEXIST);
	cr_assert_eq(xen_enter(1), PVM_ACT_HALT, "it is not up yet");
	cr_assert_eq(op(PVM_XEN_VCPUOP_UP, 1, 0), 0);
	cr_expect_eq(g.kicks[1], 1);
	cr_expect_eq(op(PVM_XEN_VCPUOP_IS_UP, 1, 0), 1);
	cr_assert_eq(xen_enter(1), PVM_ACT_RESUME);
	cr_expect_eq(second->rip, KERNEL + 0x80);
	cr_expect_eq(second->gpr[PVM_RSP], OTHER_STACK + 0x1000);
	cr_expect_eq(second->gpr[PVM_R15], 15);
	cr_expect_eq(second->gpr[PVM_RDI], 7);
	cr_expect_eq(second->gs_base, 0x4444);
	cr_expect_eq(second->fs_base, 0x3333);
	cr_expect_eq(second->msr.kernel_gs_base, 0x5555);
	cr_expect_eq(second->cr3, g.kernel_table);
	cr_expect_eq(second->msr.switch_cr3, g.user_table);
	cr_expect_eq(second->msr.supervisor_rsp, KERNEL_STACK + 0x1000);
	cr_expect_eq(xen_vcpu_info(1), &xen_shared()->vcpu_info[1]);
	cr_expect_eq(xen_vcpu_info(1)->mask, 1);
	cr_assert_eq(xen_exit(1, PVM_EXIT_EXCEPTION, PVM_VEC_PF, 0, 0x700000), PVM_ACT_RESUME);
	cr_expect_eq(second->rip, TRAP(14));
	xen_vcpu_info(1)->mask = 0;
	cr_assert_eq(xen_enter(1), PVM_ACT_RESUME, "with what its first entry told");
	cr_expect_eq(second->rip, EVENT_CALLBACK);
}

/* spec: XC-059 */
Test(vcpus, contexts_that_cannot_run_S1)
{
	make_context();
	put(PVM_XEN_CONTEXT_FLAGS, 0);
	cr_expect_eq(op(PVM_XEN_VCPUOP_INITIALISE, 1, CONTEXT), PVM_XEN_EINVAL, "not in its kernel");
	make_context();
	put(PVM_XEN_CONTEXT_RIP, 1ull << 62);
	cr_expect_eq(op(PVM_XEN_VCPUOP_INITIALISE, 1, CONTEXT), PVM_XEN_EINVAL);
	make_context();
	put(PVM_XEN_CONTEXT_CR3, ~0ull);
	cr_expect_eq(op(PVM_XEN_VCPUOP_INITIALISE, 1, CONTEXT), PVM_XEN_EINVAL);
	make_context();
	put(PVM_XEN_CONTEXT_GS_BASE_USER, 1ull << 50);
	cr_expect_eq(op(PVM_XEN_VCPUOP_INITIALISE, 1, CONTEXT), PVM_XEN_EINVAL);
	cr_expect_eq(op(PVM_XEN_VCPUOP_INITIALISE, 1, KERNEL + KERNEL_SIZE - 0x1000), PVM_XEN_EFAULT);
	make_context();
	cr_expect_eq(op(PVM_XEN_VCPUOP_INITIALISE, 1, CONTEXT), 0, "it can be tried again");
}

/* spec: XC-061 */
Test(vcpus, down_and_up_again)
{
	make_context();
	op(PVM_XEN_VCPUOP_INITIALISE, 1, CONTEXT);
	op(PVM_XEN_VCPUOP_UP, 1, 0);
	cr_assert_eq(xen_enter(1), PVM_ACT_RESUME);
	cr_assert_eq(xen_call_of(1, PVM_XEN_VCPU_OP, PVM_XEN_VCPUOP_DOWN, 1, 0, 0), PVM_ACT_HALT);
	cr_assert_eq(xen_enter(1), PVM_ACT_HALT);
	cr_expect_eq(op(PVM_XEN_VCPUOP_IS_UP, 1, 0), 0);
	cr_assert_eq(op(PVM_XEN_VCPUOP_UP, 1, 0), 0);
	cr_assert_eq(xen_enter(1), PVM_ACT_RESUME);
	cr_expect_eq(second->rip, KERNEL + 0x80 + PVM_SYSCALL_LENGTH, "it goes on after its call");
	cr_assert_eq(op(PVM_XEN_VCPUOP_DOWN, 1, 0), 0, "by another");
	cr_assert_eq(xen_enter(1), PVM_ACT_HALT);
}

/* spec: XC-056, XC-062 */
Test(vcpus, operations_that_there_are_not)
{
	cr_expect_eq(op(PVM_XEN_VCPUOP_SET_PERIODIC_TIMER, 0, ARGUMENTS), PVM_XEN_ENOSYS);
	cr_expect_eq(op(PVM_XEN_VCPUOP_STOP_PERIODIC_TIMER, 0, 0), 0, "there is none");
	cr_expect_eq(op(PVM_XEN_VCPUOP_SEND_NMI, 0, 0), PVM_XEN_ENOSYS);
	cr_expect_eq(op(99, 0, 0), PVM_XEN_ENOSYS);
	cr_expect_eq(op(PVM_XEN_VCPUOP_SEND_NMI, 1, 0), PVM_XEN_EINVAL);
	cr_expect_eq(op(99, 1, 0), PVM_XEN_EINVAL);
}

static int64_t register_info(uint64_t id, uint64_t frame, uint32_t offset)
{
	struct {
		uint64_t frame;
		uint32_t offset, pad;
	} place = { frame, offset, 0 };

	memcpy(xen_at(ARGUMENTS), &place, sizeof(place));
	return op(PVM_XEN_VCPUOP_REGISTER_VCPU_INFO, id, ARGUMENTS);
}

/* spec: XC-010, XC-011 */
Test(vcpus, the_vcpu_info_moves)
{
	uint32_t port = (uint32_t)pvm_xen_alloc_port(&g.f.vm, 1, 0);
	struct pvm_xen_vcpu_info *old = xen_vcpu_info(0);

	old->cr2 = 0x1234;
	cr_expect_eq(register_info(0, 0x90, 4096 - 63), PVM_XEN_EINVAL, "across a page");
	cr_expect_eq(register_info(0, 0x90, 1), PVM_XEN_EINVAL);
	cr_expect_eq(register_info(0, MEMORY >> 12, 0), PVM_XEN_EINVAL);
	cr_expect_eq(register_info(0, ~0ull, 0), PVM_XEN_EINVAL);
	cr_assert_eq(register_info(0, 0x90, 0x40), 0);
	cr_assert_eq((uint8_t *)xen_vcpu_info(0), g.f.host.memory + 0x90040);
	cr_expect_eq(xen_vcpu_info(0)->cr2, 0x1234);
	cr_expect_eq(xen_vcpu_info(0)->mask, 1);
	cr_expect_eq(xen_vcpu_info(0)->pending, 1, "nothing told to the old place is lost");
	cr_expect_eq(xen_vcpu_info(0)->pending_sel, ~0ull);
	cr_expect_neq(xen_vcpu_info(0)->time.tsc_to_system_mul, 0);
	cr_expect_eq(register_info(0, 0x91, 0), PVM_XEN_EINVAL, "once");
	xen_vcpu_info(0)->pending = 0;
	old->pending = 0;
	pvm_xen_notify(&g.f.vm, port);
	cr_expect_eq(xen_vcpu_info(0)->pending, 1);
	cr_expect_eq(old->pending, 0);
}

/* spec: XC-010 */
Test(vcpus, a_vcpu_info_of_one_that_is_not_up)
{
	cr_assert_eq(register_info(1, 0x90, 0), 0);
	make_context();
	op(PVM_XEN_VCPUOP_INITIALISE, 1, CONTEXT);
	op(PVM_XEN_VCPUOP_UP, 1, 0);
	cr_assert_eq(xen_enter(1), PVM_ACT_RESUME);
	cr_expect_eq((uint8_t *)xen_vcpu_info(1), g.f.host.memory + 0x90000);
	cr_expect_eq(xen_vcpu_info(1)->mask, 1);
}

/* spec: XC-008 */
Test(vcpus, layouts_are_the_interfaces)
{
	cr_expect_eq(sizeof(struct pvm_xen_vcpu_info), 64);
	cr_expect_eq(offsetof(struct pvm_xen_vcpu_info, pending), 0);
	cr_expect_eq(offsetof(struct pvm_xen_vcpu_info, mask), 1);
	cr_expect_eq(offsetof(struct pvm_xen_vcpu_info, pending_sel), 8);
	cr_expect_eq(offsetof(struct pvm_xen_vcpu_info, cr2), 0x10);
	cr_expect_eq(offsetof(struct pvm_xen_vcpu_info, time), 0x20);
	cr_expect_eq(offsetof(struct pvm_xen_shared_info, pending), 32 * 64);
	cr_expect_eq(offsetof(struct pvm_xen_shared_info, mask), 0xa00);
	cr_expect_eq(offsetof(struct pvm_xen_shared_info, wc_version), 0xc00);
	cr_expect_eq(xen_vcpu_info(0), &xen_shared()->vcpu_info[0], "where the host said");
}

TestSuite(many_vcpus, .fini = xen_guest_fini);

/* spec: XC-009 */
Test(many_vcpus, the_shared_info_has_no_place_for_the_33rd)
{
	xen_guest_init(33);
	make_context();
	cr_assert_eq(op(PVM_XEN_VCPUOP_INITIALISE, 31, CONTEXT), 0);
	cr_assert_eq(op(PVM_XEN_VCPUOP_INITIALISE, 32, CONTEXT), 0);
	cr_assert_eq(op(PVM_XEN_VCPUOP_UP, 31, 0), 0);
	cr_assert_eq(op(PVM_XEN_VCPUOP_UP, 32, 0), 0);
	cr_assert_eq(xen_enter(31), PVM_ACT_RESUME);
	cr_expect_eq(xen_vcpu_info(31), &xen_shared()->vcpu_info[31]);
	cr_assert_eq(xen_enter(32), PVM_ACT_RESUME, "it runs");
	cr_expect_null(xen_vcpu_info(32));
	cr_assert_eq(xen_exit(32, PVM_EXIT_EXCEPTION, PVM_VEC_PF, 0, 0x700000), PVM_ACT_SHUTDOWN);
	cr_expect_eq(g.f.vcpu[32].request.shutdown.reason, PVM_SHUTDOWN_NO_PVCS);
}

/* ------------------------------------------------------------------------
 * Time.
 */

static uint64_t guests_time(const struct pvm_xen_time_info *time, uint64_t tsc)
{
	cr_assert_eq(time->version & 1, 0);
	return time->system_time + ((tsc - time->tsc_timestamp) * time->tsc_to_system_mul >> 32);
}

/* spec: XC-053 */
Test(vcpus, the_clock_is_the_hosts)
{
	cr_expect_eq(guests_time(&xen_vcpu_info(0)->time, 20000), 10000);
	cr_expect_eq(xen_vcpu_info(0)->time.flags, PVM_XEN_TIME_TSC_STABLE);
	cr_expect_eq(xen_shared()->wc_sec, 1700000000);
	cr_expect_eq(xen_shared()->wc_version & 1, 0);
}

/* spec: XC-053 */
Test(vcpus, a_clock_that_changes_is_told)
{
	uint32_t version = xen_vcpu_info(0)->time.version;

	g.now = 777;
	cr_assert_eq(xen_enter(0), PVM_ACT_RESUME);
	cr_expect_eq(xen_vcpu_info(0)->time.version, version);
	pvm_xen_clock_changed(&g.f.vm);
	cr_assert_eq(xen_enter(0), PVM_ACT_RESUME);
	cr_expect_neq(xen_vcpu_info(0)->time.version, version);
	cr_expect_eq(xen_vcpu_info(0)->time.system_time, 777);
}

/* spec: XC-054 */
Test(vcpus, a_copy_of_the_clock_for_programs)
{
	const struct pvm_xen_time_info *copy = xen_at(KERNEL + 0x95000);

	*(uint64_t *)xen_at(ARGUMENTS) = KERNEL + 0x95000;
	cr_assert_eq(op(PVM_XEN_VCPUOP_REGISTER_TIME, 0, ARGUMENTS), 0);
	cr_expect_eq(guests_time(copy, 20000), 10000);
}

/* spec: XC-057 */
Test(vcpus, runstates)
{
	const struct pvm_xen_runstate *run = xen_at(KERNEL + 0x96000);

	*(uint64_t *)xen_at(ARGUMENTS) = KERNEL + 0x96000;
	cr_assert_eq(op(PVM_XEN_VCPUOP_REGISTER_RUNSTATE, 0, ARGUMENTS), 0);
	cr_expect_eq(run->state, PVM_XEN_RUNSTATE_RUNNING);
	g.now = 5000;
	cr_assert_eq(xen_call_of(0, PVM_XEN_SCHED_OP, PVM_XEN_SCHEDOP_BLOCK, 0, 0, 0), PVM_ACT_HALT);
	cr_expect_eq(run->state, PVM_XEN_RUNSTATE_BLOCKED);
	g.now = 8000;
	pvm_xen_notify(&g.f.vm, (uint32_t)pvm_xen_alloc_port(&g.f.vm, 1, 0));
	cr_assert_eq(xen_enter(0), PVM_ACT_RESUME);
	cr_expect_eq(run->state, PVM_XEN_RUNSTATE_RUNNING);
	cr_expect_eq(run->time[PVM_XEN_RUNSTATE_BLOCKED], 3000);
	cr_expect_eq(op(PVM_XEN_VCPUOP_GET_RUNSTATE, 0, ARGUMENTS), 0);
}

/* No more than two of the four states are ever told. */
/* spec: XC-057 */
Test(vcpus, the_time_that_it_is_down_counts_as_running)
{
	const struct pvm_xen_runstate *run = xen_at(ARGUMENTS);

	make_context();
	op(PVM_XEN_VCPUOP_INITIALISE, 1, CONTEXT);
	op(PVM_XEN_VCPUOP_UP, 1, 0);
	cr_assert_eq(xen_enter(1), PVM_ACT_RESUME);
	g.now = 2000;
	cr_assert_eq(xen_call_of(1, PVM_XEN_VCPU_OP, PVM_XEN_VCPUOP_DOWN, 1, 0, 0), PVM_ACT_HALT);
	g.now = 7000;
	op(PVM_XEN_VCPUOP_UP, 1, 0);
	cr_assert_eq(xen_enter(1), PVM_ACT_RESUME);
	g.now = 9000;
	cr_assert_eq(op(PVM_XEN_VCPUOP_GET_RUNSTATE, 1, ARGUMENTS), 0);
	cr_expect_eq(run->entry_time, 7000, "of the last change");
	cr_expect_eq(run->state, PVM_XEN_RUNSTATE_RUNNING);
	cr_expect_eq(run->time[PVM_XEN_RUNSTATE_OFFLINE], 0);
	cr_expect_eq(run->time[PVM_XEN_RUNSTATE_RUNNABLE], 0);
	cr_expect_eq(run->time[PVM_XEN_RUNSTATE_RUNNING], 7000);
}

/* ------------------------------------------------------------------------
 * What the CPU has of it.
 */

/* spec: XC-079 */
Test(vcpus, bases)
{
	cr_expect_eq(xen_call(PVM_XEN_SET_SEGMENT_BASE, PVM_XEN_SEGBASE_FS, 0x1000, 0, 0), 0);
	cr_expect_eq(vcpu->fs_base, 0x1000);
	cr_expect_eq(xen_call(PVM_XEN_SET_SEGMENT_BASE, PVM_XEN_SEGBASE_GS_USER, 0x2000, 0, 0), 0);
	cr_expect_eq(vcpu->msr.kernel_gs_base, 0x2000);
	cr_expect_eq(xen_call(PVM_XEN_SET_SEGMENT_BASE, PVM_XEN_SEGBASE_GS_KERNEL, KERNEL, 0, 0), 0);
	cr_expect_eq(vcpu->gs_base, KERNEL);
	cr_expect_eq(xen_call(PVM_XEN_SET_SEGMENT_BASE, PVM_XEN_SEGBASE_FS, 1ull << 60, 0, 0),
		     PVM_XEN_EINVAL);
	cr_expect_eq(xen_call(PVM_XEN_SET_SEGMENT_BASE, 4, 0, 0, 0), PVM_XEN_EINVAL);
	cr_expect_eq(xen_call(PVM_XEN_SET_SEGMENT_BASE, PVM_XEN_SEGBASE_GS_USER_SEL, USER_DS, 0, 0), 0);
	cr_expect_eq(vcpu->seg[PVM_GS], USER_DS);
	cr_expect_eq(vcpu->gs_base, KERNEL, "the kernel's stays");
	cr_expect_eq(vcpu->msr.kernel_gs_base, 0);
}

/* spec: XC-077, XC-078 */
Test(vcpus, tls_entries_of_its_gdt)
{
	const uint64_t data = 0x00cff2000000ffffull, other = 0x12cff2345678ffffull;
	uint64_t *gdt = xen_at(KERNEL + 0xa0000);

	gdt[12] = data;
	*(uint64_t *)xen_at(ARGUMENTS) = 0xa0;
	cr_assert_eq(xen_call(PVM_XEN_SET_GDT, ARGUMENTS, 16, 0, 0), 0);
	cr_expect_neq(vcpu->tls[0], 0);
	cr_expect_eq(vcpu->tls[1], 0);
	cr_assert_eq(xen_call(PVM_XEN_UPDATE_DESCRIPTOR, 0xa0000 + 13 * 8, other, 0, 0), 0);
	cr_expect_eq(gdt[13], other);
	cr_expect_eq(PVM_DESC_BASE(vcpu->tls[1]), 0x12345678);
	cr_expect_neq(vcpu->tls[0], 0, "the others stay");
	cr_assert_eq(xen_call(PVM_XEN_UPDATE_DESCRIPTOR, 0xa0000 + 5 * 8, other, 0, 0), 0);
	cr_expect_eq(gdt[5], other, "memory, and nothing more");
	cr_expect_eq(xen_call(PVM_XEN_UPDATE_DESCRIPTOR, 0xa0004, other, 0, 0), PVM_XEN_EINVAL);
	cr_expect_eq(xen_call(PVM_XEN_UPDATE_DESCRIPTOR, MEMORY, other, 0, 0), PVM_XEN_EINVAL);
	cr_expect_eq(xen_call(PVM_XEN_SET_GDT, ARGUMENTS, 10000, 0, 0), PVM_XEN_EINVAL);
	cr_expect_eq(xen_call(PVM_XEN_SET_GDT, 0x5000, 16, 0, 0), PVM_XEN_EFAULT);
}

/* What LSL tells programs of CPU and node is the guest's own. */
/* spec: XC-109 */
Test(vcpus, the_numbers_of_getcpu_are_the_guests)
{
	const uint64_t entry = 0x124af51234567003ull, shown = 0x0040f10000000000ull;
	uint64_t *gdt = xen_at(KERNEL + 0xa0000);

	cr_expect_eq(vcpu->cpunode, shown | vcpu->id);
	gdt[15] = entry;
	*(uint64_t *)xen_at(ARGUMENTS) = 0xa0;
	cr_assert_eq(xen_call(PVM_XEN_SET_GDT, ARGUMENTS, 15, 0, 0), 0);
	cr_expect_eq(vcpu->cpunode, shown | vcpu->id, "it is not one of its entries");
	cr_assert_eq(xen_call(PVM_XEN_SET_GDT, ARGUMENTS, 16, 0, 0), 0);
	cr_expect_eq(vcpu->cpunode, shown | 0x000a000000007003ull);
	cr_assert_eq(xen_call(PVM_XEN_UPDATE_DESCRIPTOR, 0xa0000 + 15 * 8, shown | 2, 0, 0), 0);
	cr_expect_eq(vcpu->cpunode, shown | 2);
	cr_assert_eq(xen_call(PVM_XEN_UPDATE_DESCRIPTOR, 0xa0000 + 15 * 8, 2, 0, 0), 0);
	cr_expect_eq(vcpu->cpunode, shown | vcpu->id, "it is not present");
}

/* spec: XC-083 */
Test(vcpus, debug_registers)
{
	cr_expect_eq(xen_call(PVM_XEN_SET_DEBUGREG, 0, USER, 0, 0), 0);
	cr_expect_eq(xen_call(PVM_XEN_GET_DEBUGREG, 0, 0, 0, 0), USER);
	cr_expect_eq(xen_call(PVM_XEN_SET_DEBUGREG, 8, 0, 0, 0), PVM_XEN_EINVAL);
	cr_expect_eq(xen_call(PVM_XEN_GET_DEBUGREG, 8, 0, 0, 0), PVM_XEN_EINVAL);
}
