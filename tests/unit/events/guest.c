/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* A vCPU in each mode, ready for an event. */
#include "guest.h"

void guest_boot_config(struct fixture *f, const struct pvm_vm_config *config)
{
	struct pvm_vcpu *vcpu = &f->vcpu[0];
	unsigned i;

	fixture_init_config(f, config, 16 << 20, 1);
	fixture_boot(f, vcpu);
	for (i = 0; i < PVM_GPR_COUNT; i++)
		if (i != PVM_RSP)
			vcpu->gpr[i] = 0x1111111111111111ull * i + 0xa000;
	vcpu->gs_base = 0x5000;
	cr_assert_eq(pvm_msr_write(vcpu, PVM_MSR_KERNEL_GS_BASE, KERNEL_GS_BASE), PVM_OK);
	f->host.flush_count = 0;
	f->host.record_count = 0;
}

void guest_boot(struct fixture *f)
{
	struct pvm_vm_config config = fixture_config();

	guest_boot_config(f, &config);
}

void guest_boot_single_cr3(struct fixture *f)
{
	struct pvm_vm_config config = fixture_config();

	config.abi = PVM_ABI_SINGLE_CR3;
	guest_boot_config(f, &config);
}

void guest_enter_user(struct fixture *f)
{
	struct pvm_vcpu *vcpu = &f->vcpu[0];

	memset(vcpu->pvcs, 0, sizeof(struct pvm_vcpu_struct));
	dual_pvcs(vcpu)->user_cs = 0x33;
	dual_pvcs(vcpu)->user_ss = 0x2b;
	dual_pvcs(vcpu)->rip = USER_RIP;
	dual_pvcs(vcpu)->rsp = USER_RSP;
	dual_pvcs(vcpu)->eflags = (uint32_t)USER_RFLAGS;
	dual_pvcs(vcpu)->pkru = USER_PKRU;
	dual_pvcs(vcpu)->user_gsbase = USER_GS_BASE;
	dual_pvcs(vcpu)->rcx = 0xccccccccccccccc1;
	dual_pvcs(vcpu)->r11 = 0x1111111111111112;
	vcpu->gs_base = KERNEL_GS_BASE;
	cr_assert_eq(pvm_event_return_user(vcpu), PVM_ACT_RESUME);
	cr_assert(vcpu->user_mode);
	memset(vcpu->pvcs, 0xee, sizeof(struct pvm_vcpu_struct));
	dual_pvcs(vcpu)->event_flags = 0;
	f->host.flush_count = 0;
	f->host.record_count = 0;
}

uint64_t guest_word(const struct fixture *f, uint64_t gva)
{
	uint64_t word;

	cr_assert_leq(gva, f->host.memory_size - sizeof(word));
	memcpy(&word, f->host.memory + gva, sizeof(word));
	return word;
}

struct guest_snapshot guest_snapshot(const struct pvm_vcpu *vcpu)
{
	struct guest_snapshot s;

	memset(&s, 0, sizeof(s));
	memcpy(s.gpr, vcpu->gpr, sizeof(s.gpr));
	s.rip = vcpu->rip;
	s.rflags = vcpu->rflags;
	s.cr3 = vcpu->cr3;
	s.switch_cr3 = vcpu->msr.switch_cr3;
	s.gs_base = vcpu->gs_base;
	s.supervisor_rsp = vcpu->msr.supervisor_rsp;
	if (vcpu->pvcs)
		s.pvcs = *dual_pvcs(vcpu);
	return s;
}

void guest_assert_unchanged(const struct pvm_vcpu *vcpu, const struct guest_snapshot *before)
{
	struct guest_snapshot now = guest_snapshot(vcpu);

	cr_assert_eq(memcmp(now.gpr, before->gpr, sizeof(now.gpr)), 0);
	cr_assert_eq(now.rip, before->rip);
	cr_assert_eq(now.rflags, before->rflags);
	cr_assert_eq(now.cr3, before->cr3);
	cr_assert_eq(now.switch_cr3, before->switch_cr3);
	cr_assert_eq(now.gs_base, before->gs_base);
	cr_assert_eq(now.supervisor_rsp, before->supervisor_rsp);
	cr_assert_eq(memcmp(&now.pvcs, &before->pvcs, sizeof(now.pvcs)), 0);
}
