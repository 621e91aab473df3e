/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Making, resetting and ending VMs and vCPUs. */
#include <criterion/criterion.h>
#include <string.h>

#include "mmu_calls.h"

TestSuite(life, .init = setup, .fini = teardown);

/* A VM beside the fixture's, on its host operations. */
static int init_second(struct pvm_vm *vm)
{
	struct pvm_vm_config config = fixture_config();

	memset(vm, 0xa5, sizeof(*vm));
	return pvm_vm_init(vm, &config, &fix.host.ops, &fix.host);
}

Test(life, vm_copies_its_configuration)
{
	struct pvm_vm vm;

	ok(init_second(&vm));
	cr_assert_eq(vm.config.user_cs, 0x33);
	cr_assert_eq(vm.ops, &fix.host.ops);
	cr_assert_eq(vm.host, &fix.host);
	cr_assert_not_null(vm.mmu);
	pvm_vm_destroy(&vm);
}

Test(life, vm_needs_every_operation_but_trace)
{
	static const size_t required[] = {
		offsetof(struct pvm_host_ops, page_alloc), offsetof(struct pvm_host_ops, page_free),
		offsetof(struct pvm_host_ops, page_va), offsetof(struct pvm_host_ops, gfn_to_frame),
		offsetof(struct pvm_host_ops, gfn_to_va), offsetof(struct pvm_host_ops, pin),
		offsetof(struct pvm_host_ops, unpin), offsetof(struct pvm_host_ops, tlb_flush),
		offsetof(struct pvm_host_ops, mmu_lock), offsetof(struct pvm_host_ops, mmu_unlock),
	};
	struct pvm_vm_config config = fixture_config();
	struct pvm_vm vm;
	unsigned i;

	for (i = 0; i < sizeof(required) / sizeof(required[0]); i++) {
		struct pvm_host_ops ops = fix.host.ops;

		memset((char *)&ops + required[i], 0, sizeof(void *));
		gp(pvm_vm_init(&vm, &config, &ops, &fix.host));
	}
	gp(pvm_vm_init(&vm, &config, NULL, &fix.host));
	fix.host.ops.trace = NULL;
	ok(pvm_vm_init(&vm, &config, &fix.host.ops, &fix.host));
	pvm_vm_destroy(&vm);
}

Test(life, vm_of_a_dialect_that_is_not_built_is_enosys)
{
	struct pvm_vm_config config = fixture_config();
	struct pvm_vm vm;

	config.abi = PVM_ABI_LOWER_HALF;
	cr_assert_eq(pvm_vm_init(&vm, &config, &fix.host.ops, &fix.host), PVM_ENOSYS);
}

Test(life, M11_vm_without_memory_is_enomem)
{
	struct pvm_vm vm;

	mmu_calls.init_result = PVM_ENOMEM;
	cr_assert_eq(init_second(&vm), PVM_ENOMEM);
}

Test(life, M11_vcpu_without_memory_is_enomem)
{
	struct pvm_vcpu second;

	mmu_calls.vcpu_init_result = PVM_ENOMEM;
	cr_assert_eq(pvm_vcpu_init(&second, &fix.vm, 1), PVM_ENOMEM);
}

Test(life, M7_a_number_that_names_no_ranges_of_its_own_is_refused)
{
	struct pvm_vcpu second;

	cr_assert_eq(pvm_vcpu_init(&second, &fix.vm, PVM_VCPU_ID_MAX + 1), PVM_EINVAL);
	ok(pvm_vcpu_init(&second, &fix.vm, PVM_VCPU_ID_MAX));
	pvm_vcpu_destroy(&second);
}

Test(life, a_new_vcpu_knows_its_vm_and_its_number)
{
	struct pvm_vcpu second;

	memset(&second, 0xa5, sizeof(second));
	ok(pvm_vcpu_init(&second, &fix.vm, 300));
	cr_assert_eq(second.vm, &fix.vm);
	cr_assert_eq(second.id, 300);
	cr_assert_null(second.pvcs);
	cr_assert_null(second.backend);
	pvm_vcpu_destroy(&second);
}

static void is_reset(void)
{
	unsigned i;

	cr_assert_eq(pvm_vcpu_mode(vcpu), PVM_MODE_SUPERVISOR);
	for (i = 0; i < PVM_GPR_COUNT; i++)
		cr_assert_eq(vcpu->gpr[i], 0);
	cr_assert_eq(vcpu->rip, 0);
	cr_assert_eq(vcpu->rflags, 0x202);
	cr_assert_eq(pvm_vcpu_rflags(vcpu), 0x002);
	cr_assert_eq(vcpu->seg[PVM_CS], 0x10);
	cr_assert_eq(vcpu->seg[PVM_SS], 0x18);
	cr_assert_eq(vcpu->seg[PVM_DS] | vcpu->seg[PVM_ES] | vcpu->seg[PVM_FS] | vcpu->seg[PVM_GS], 0);
	cr_assert_eq(vcpu->fs_base | vcpu->gs_base, 0);
	cr_assert_eq(vcpu->tls[0] | vcpu->tls[1] | vcpu->tls[2], 0);
	cr_assert_eq(vcpu->cr0, 0x80050033);
	cr_assert_eq(vcpu->cr2 | vcpu->cr3 | vcpu->cr8, 0);
	cr_assert_eq(vcpu->efer, 0xd01);
	cr_assert_eq(vcpu->dr[0] | vcpu->dr[1] | vcpu->dr[2] | vcpu->dr[3], 0);
	cr_assert_eq(vcpu->dr6, 0xffff0ff0);
	cr_assert_eq(vcpu->dr7, 0x400);
	cr_assert_eq(vcpu->pkru, 0);
	cr_assert_not(vcpu->nmi_masked || vcpu->nmi_pending || vcpu->halted);
	cr_assert_eq(vcpu->gdtr.base | vcpu->idtr.base, 0);
	cr_assert_eq(vcpu->gdtr.limit, 0xffff);
	cr_assert_eq(vcpu->idtr.limit, 0xffff);
	cr_assert_eq(vcpu->ldtr | vcpu->tr, 0);
	cr_assert_null(vcpu->pvcs);
	cr_assert_eq(vcpu->msr.vcpu_struct | vcpu->msr.supervisor_rsp | vcpu->msr.supervisor_redzone |
		     vcpu->msr.event_entry | vcpu->msr.retu_rip | vcpu->msr.rets_rip |
		     vcpu->msr.switch_cr3 | vcpu->msr.lstar | vcpu->msr.kernel_gs_base, 0);
	cr_assert_eq(vcpu->msr.pat, 0x0007040600070406ull);
}

Test(life, a_new_vcpu_is_reset)
{
	is_reset();
}

Test(life, reset_undoes_everything_and_empties_the_tlb)
{
	void *backend = &fix;
	struct pvm_vm *vm = vcpu->vm;

	fixture_boot(&fix, vcpu);
	vcpu->backend = backend;
	memset(vcpu->gpr, 0xa5, sizeof(vcpu->gpr));
	memset(vcpu->tls, 0xa5, sizeof(vcpu->tls));
	memset(vcpu->dr, 0xa5, sizeof(vcpu->dr));
	vcpu->rip = vcpu->fs_base = vcpu->gs_base = vcpu->cr2 = vcpu->dr6 = vcpu->dr7 = 1;
	vcpu->user_mode = vcpu->nmi_masked = vcpu->nmi_pending = vcpu->halted = true;
	vcpu->seg[PVM_CS] = vcpu->seg[PVM_DS] = vcpu->ldtr = vcpu->tr = vcpu->gdtr.limit = 7;
	vcpu->pkru = 1;
	vcpu->rflags = 0x246;
	mmu_calls_clear();
	pvm_vcpu_reset(vcpu);
	is_reset();
	cr_assert_eq(mmu_calls.new_cr3, 1);
	cr_assert_eq(mmu_calls.flush_all, 1);
	cr_assert_eq(vcpu->vm, vm);
	cr_assert_eq(vcpu->backend, backend);
	cr_assert_eq(fix.host.pins, 0);
}
