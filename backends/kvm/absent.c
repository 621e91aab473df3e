// SPDX-License-Identifier: GPL-2.0
/*
 * Tables that kvm.ko wants of every vendor module, for what PVM does not have: performance counters,
 * guests of a guest.
 */
#include "kvm_pvm.h"

/* ------------------------------------------------------------------------
 * No performance counters.
 */
#if !PVM_KVM_6_12
static bool pmu_hw_event_available(struct kvm_pmc *pmc)
{
	return false;
}

static bool pmu_pmc_is_enabled(struct kvm_pmc *pmc)
{
	return false;
}

static struct kvm_pmc *pmu_idx_to_pmc(struct kvm_pmu *pmu, int index)
{
	return NULL;
}

static bool pmu_is_valid_rdpmc(struct kvm_vcpu *vcpu, unsigned int index)
{
	return false;
}
#else
static int pmu_check_rdpmc(struct kvm_vcpu *vcpu, unsigned int index)
{
	return 1;
}
#endif

static struct kvm_pmc *pmu_rdpmc_to_pmc(struct kvm_vcpu *vcpu, unsigned int index, u64 *mask)
{
	return NULL;
}

static struct kvm_pmc *pmu_msr_to_pmc(struct kvm_vcpu *vcpu, u32 msr)
{
	return NULL;
}

static bool pmu_is_valid_msr(struct kvm_vcpu *vcpu, u32 msr)
{
	return false;
}

static int pmu_msr(struct kvm_vcpu *vcpu, struct msr_data *msr)
{
	return 1;
}

static void pmu_nothing(struct kvm_vcpu *vcpu)
{
}

struct kvm_pmu_ops pvm_kvm_pmu_ops = {
#if PVM_KVM_6_12
	.check_rdpmc_early = pmu_check_rdpmc,
	.MIN_NR_GP_COUNTERS = 1,
	.MAX_NR_GP_COUNTERS = 1,
#else
	.hw_event_available = pmu_hw_event_available,
	.pmc_is_enabled = pmu_pmc_is_enabled,
	.pmc_idx_to_pmc = pmu_idx_to_pmc,
	.is_valid_rdpmc_ecx = pmu_is_valid_rdpmc,
#endif
	.rdpmc_ecx_to_pmc = pmu_rdpmc_to_pmc,
	.msr_idx_to_pmc = pmu_msr_to_pmc,
	.is_valid_msr = pmu_is_valid_msr,
	.get_msr = pmu_msr,
	.set_msr = pmu_msr,
	.refresh = pmu_nothing,
	.init = pmu_nothing,
	.reset = pmu_nothing,
#ifdef PVM_KVM_HAS_MEDIATED_PMU
	.mediated_load = pmu_nothing,
	.mediated_put = pmu_nothing,
#endif
};

/* ------------------------------------------------------------------------
 * No guests of a guest.
 */
static void leave_nested(struct kvm_vcpu *vcpu)
{
}

#ifdef PVM_KVM_HAS_NESTED_INIT	/* then they are mandatory; none is called */
static bool no_vmexit(struct kvm_vcpu *vcpu, u8 vector, u32 error_code)
{
	return false;
}

static int no_events(struct kvm_vcpu *vcpu)
{
	return 0;
}

/* Without a vCPU: how many bytes there are. */
static int no_state(struct kvm_vcpu *vcpu, struct kvm_nested_state __user *state, unsigned int size)
{
	return vcpu ? -EINVAL : 0;
}

static int refuse_state(struct kvm_vcpu *vcpu, struct kvm_nested_state __user *user,
			struct kvm_nested_state *state)
{
	return -EINVAL;
}

static bool no_pages(struct kvm_vcpu *vcpu)
{
	return false;
}

static gpa_t no_address(struct kvm_vcpu *vcpu, gpa_t gpa, u64 access, struct x86_exception *exception,
			u64 pte_access)
{
	return INVALID_GPA;
}
#endif

struct kvm_x86_nested_ops pvm_kvm_nested_ops = {
	.leave_nested = leave_nested,
#ifdef PVM_KVM_HAS_NESTED_INIT
	.is_exception_vmexit = no_vmexit,
	.check_events = no_events,
	.triple_fault = leave_nested,
	.get_state = no_state,
	.set_state = refuse_state,
	.get_nested_state_pages = no_pages,
	.translate_nested_gpa = no_address,
	.hv_inject_synthetic_vmexit_post_tlb_flush = leave_nested,
#endif
};
