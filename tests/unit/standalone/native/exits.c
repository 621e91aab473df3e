/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* What the guest does, and which exit comes of it. */
#include "machine.h"

static struct machine m;

static void setup(void)
{
	machine_init(&m, 1);
}

static void teardown(void)
{
	machine_fini(&m);
}

TestSuite(native_exits, .init = setup, .fini = teardown);

Test(native_exits, syscall_is_an_exit_behind_it_with_rcx_and_r11)
{
	struct pvm_vcpu *vcpu = &m.vcpu[0]->pvm;
	struct guest_exit exit;

	machine_code(&m, 0x0f, 0x05);
	vcpu->gpr[PVM_RAX] = 0x1708820700000001;
	vcpu->rflags = PVM_RFLAGS_FIXED | PVM_RFLAGS_IF | PVM_RFLAGS_CF;
	exit = machine_run(m.vcpu[0]);
	assert_kind(exit, GUEST_EXIT_SYSCALL);
	cr_assert_eq(vcpu->rip, CODE + 2);
	cr_assert_eq(vcpu->gpr[PVM_RAX], 0x1708820700000001);
	cr_assert_eq(vcpu->gpr[PVM_RCX], CODE + 2);
	cr_assert_eq(vcpu->gpr[PVM_R11], PVM_RFLAGS_FIXED | PVM_RFLAGS_IF | PVM_RFLAGS_CF);
}
