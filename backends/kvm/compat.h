/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the kernel's header packages leave out of kvm.ko's interface, and what differs between
 * kernels. Chosen by what a kernel has, where that can be asked, else by its version.
 */
#ifndef PVM_KVM_COMPAT_H
#define PVM_KVM_COMPAT_H

#include <kvm/iodev.h>
#include <linux/hrtimer.h>
#include <linux/kvm_host.h>
#include <linux/version.h>

/* arch/x86/kvm/pmu.h: mandatory, and all of it. */
struct kvm_pmu_ops {
	bool (*hw_event_available)(struct kvm_pmc *pmc);
	bool (*pmc_is_enabled)(struct kvm_pmc *pmc);
	struct kvm_pmc *(*pmc_idx_to_pmc)(struct kvm_pmu *pmu, int pmc_idx);
	struct kvm_pmc *(*rdpmc_ecx_to_pmc)(struct kvm_vcpu *vcpu, unsigned int idx, u64 *mask);
	struct kvm_pmc *(*msr_idx_to_pmc)(struct kvm_vcpu *vcpu, u32 msr);
	bool (*is_valid_rdpmc_ecx)(struct kvm_vcpu *vcpu, unsigned int idx);
	bool (*is_valid_msr)(struct kvm_vcpu *vcpu, u32 msr);
	int (*get_msr)(struct kvm_vcpu *vcpu, struct msr_data *msr_info);
	int (*set_msr)(struct kvm_vcpu *vcpu, struct msr_data *msr_info);
	void (*refresh)(struct kvm_vcpu *vcpu);
	void (*init)(struct kvm_vcpu *vcpu);
	void (*reset)(struct kvm_vcpu *vcpu);
	void (*deliver_pmi)(struct kvm_vcpu *vcpu);
	void (*cleanup)(struct kvm_vcpu *vcpu);
};

/*
 * arch/x86/kvm/lapic.h, as far as irr_pending: without it KVM finds no interrupt in IRR.
 * pvm_kvm_apic_check() sees at a vCPU's creation whether the kernel's has this layout.
 */
struct kvm_timer {
	struct hrtimer timer;
	s64 period;
	ktime_t target_expiration;
	u32 timer_mode;
	u32 timer_mode_mask;
	u64 tscdeadline;
	u64 expired_tscdeadline;
	u32 timer_advance_ns;
	atomic_t pending;
	bool hv_timer_in_use;
};

struct kvm_lapic {
	unsigned long base_address;
	struct kvm_io_device dev;
	struct kvm_timer lapic_timer;
	u32 divide_count;
	struct kvm_vcpu *vcpu;
	bool apicv_active;
	bool sw_enabled;
	bool irr_pending;
};

/* arch/x86/kvm/kvm_emulate.h */
struct x86_instruction_info;
enum x86_intercept_stage {
	X86_ICTP_NONE = 0,
	X86_ICPT_PRE_EXCEPT,
	X86_ICPT_POST_EXCEPT,
	X86_ICPT_POST_MEMACCESS,
};

/* arch/x86/kvm/mmu.h, lapic.h, cpuid.h, x86.h */
void kvm_mmu_set_me_spte_mask(u64 me_value, u64 me_mask);
bool kvm_apic_update_irr(struct kvm_vcpu *vcpu, u32 *pir, int *max_irr);
void kvm_set_cpu_caps(void);
void kvm_load_guest_xsave_state(struct kvm_vcpu *vcpu);
void kvm_load_host_xsave_state(struct kvm_vcpu *vcpu);
int kvm_set_msr_common(struct kvm_vcpu *vcpu, struct msr_data *msr);
int kvm_get_msr_common(struct kvm_vcpu *vcpu, struct msr_data *msr);

/* arch/x86/kvm/regs of KVM's own cache: all of them are valid. */
#define PVM_KVM_ALL_REGS	(~0u)

#endif /* PVM_KVM_COMPAT_H */
