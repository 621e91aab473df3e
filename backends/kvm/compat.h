/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the kernel's header packages leave out of kvm.ko's interface, and what differs between
 * kernels, by their version.
 */
#ifndef PVM_KVM_COMPAT_H
#define PVM_KVM_COMPAT_H

#include <kvm/iodev.h>
#include <linux/hrtimer.h>
#include <linux/kvm_host.h>
#include <linux/shrinker.h>
#include <linux/version.h>

/* 6.12: Debian 13. What changed in between is not told apart. */
#define PVM_KVM_6_12	(LINUX_VERSION_CODE >= KERNEL_VERSION(6, 12, 0))

/* arch/x86/kvm/pmu.h: mandatory, and all of it. */
struct kvm_pmu_ops {
#if !PVM_KVM_6_12
	bool (*hw_event_available)(struct kvm_pmc *pmc);
	bool (*pmc_is_enabled)(struct kvm_pmc *pmc);
	struct kvm_pmc *(*pmc_idx_to_pmc)(struct kvm_pmu *pmu, int pmc_idx);
#endif
	struct kvm_pmc *(*rdpmc_ecx_to_pmc)(struct kvm_vcpu *vcpu, unsigned int idx, u64 *mask);
	struct kvm_pmc *(*msr_idx_to_pmc)(struct kvm_vcpu *vcpu, u32 msr);
#if PVM_KVM_6_12
	int (*check_rdpmc_early)(struct kvm_vcpu *vcpu, unsigned int idx);
#else
	bool (*is_valid_rdpmc_ecx)(struct kvm_vcpu *vcpu, unsigned int idx);
#endif
	bool (*is_valid_msr)(struct kvm_vcpu *vcpu, u32 msr);
	int (*get_msr)(struct kvm_vcpu *vcpu, struct msr_data *msr_info);
	int (*set_msr)(struct kvm_vcpu *vcpu, struct msr_data *msr_info);
	void (*refresh)(struct kvm_vcpu *vcpu);
	void (*init)(struct kvm_vcpu *vcpu);
	void (*reset)(struct kvm_vcpu *vcpu);
	void (*deliver_pmi)(struct kvm_vcpu *vcpu);
	void (*cleanup)(struct kvm_vcpu *vcpu);
#if PVM_KVM_6_12
	const u64 EVENTSEL_EVENT;
	const int MAX_NR_GP_COUNTERS;
	const int MIN_NR_GP_COUNTERS;
#endif
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

/* All registers of KVM's own cache are valid. */
#define PVM_KVM_ALL_REGS	(~0u)

/* An interrupt that does nothing but come. */
static inline void pvm_kvm_kick_cpu(int cpu)
{
#if PVM_KVM_6_12
	arch_smp_send_reschedule(cpu);
#else
	smp_send_reschedule(cpu);
#endif
}

/* ------------------------------------------------------------------------
 * Slots, and who hears of them.
 */
static inline int pvm_kvm_address_spaces(struct kvm *kvm)
{
#if PVM_KVM_6_12
	return kvm_arch_nr_memslot_as_ids(kvm);
#else
	return KVM_ADDRESS_SPACE_NUM;
#endif
}

/*
 * Two functions, @goes(node, gfn, count) and @wrote(node, gpa, bytes), as KVM calls them. From
 * 6.12 on a registration holds the VM, which then is never destroyed: that reference is given
 * back at once, and with it the right to unregister. Nothing calls a notifier of a VM
 * that is being destroyed.
 */
#if PVM_KVM_6_12
#define PVM_KVM_TRACK_FUNCTIONS(goes, wrote)							\
	static void pvm_kvm_track_slot(gfn_t gfn, unsigned long count,				\
				       struct kvm_page_track_notifier_node *node)		\
	{											\
		goes(node, gfn, count);								\
	}											\
	static void pvm_kvm_track_write(gpa_t gpa, const u8 *new, int bytes,			\
					struct kvm_page_track_notifier_node *node)		\
	{											\
		wrote(node, gpa, bytes);							\
	}											\
	static int pvm_kvm_track_register(struct kvm *kvm,					\
					  struct kvm_page_track_notifier_node *node)		\
	{											\
		int error;									\
												\
		node->track_write = pvm_kvm_track_write;					\
		node->track_remove_region = pvm_kvm_track_slot;					\
		error = kvm_page_track_register_notifier(kvm, node);				\
		if (!error)									\
			kvm_put_kvm(kvm);							\
		return error;									\
	}											\
	static void pvm_kvm_track_unregister(struct kvm *kvm,					\
					     struct kvm_page_track_notifier_node *node)		\
	{											\
	}
#else
#define PVM_KVM_TRACK_FUNCTIONS(goes, wrote)							\
	static void pvm_kvm_track_slot(struct kvm *kvm, struct kvm_memory_slot *slot,		\
				       struct kvm_page_track_notifier_node *node)		\
	{											\
		goes(node, slot->base_gfn, slot->npages);					\
	}											\
	static void pvm_kvm_track_write(struct kvm_vcpu *vcpu, gpa_t gpa, const u8 *new, int bytes, \
					struct kvm_page_track_notifier_node *node)		\
	{											\
		wrote(node, gpa, bytes);							\
	}											\
	static int pvm_kvm_track_register(struct kvm *kvm,					\
					  struct kvm_page_track_notifier_node *node)		\
	{											\
		node->track_write = pvm_kvm_track_write;					\
		node->track_flush_slot = pvm_kvm_track_slot;					\
		kvm_page_track_register_notifier(kvm, node);					\
		return 0;									\
	}											\
	static void pvm_kvm_track_unregister(struct kvm *kvm,					\
					     struct kvm_page_track_notifier_node *node)		\
	{											\
		kvm_page_track_unregister_notifier(kvm, node);					\
	}
#endif

/* The one shrinker of the module: pvm_kvm_shrinker_init() and pvm_kvm_shrinker_destroy(). */
#if PVM_KVM_6_12
#define PVM_KVM_SHRINKER_FUNCTIONS(count, scan)							\
	static struct shrinker *pvm_kvm_shrinker;						\
	int pvm_kvm_shrinker_init(void)								\
	{											\
		pvm_kvm_shrinker = shrinker_alloc(0, "kvm-pvm");				\
		if (!pvm_kvm_shrinker)								\
			return -ENOMEM;								\
		pvm_kvm_shrinker->count_objects = count;					\
		pvm_kvm_shrinker->scan_objects = scan;						\
		shrinker_register(pvm_kvm_shrinker);						\
		return 0;									\
	}											\
	void pvm_kvm_shrinker_destroy(void)							\
	{											\
		shrinker_free(pvm_kvm_shrinker);						\
	}
#else
#define PVM_KVM_SHRINKER_FUNCTIONS(count, scan)							\
	static struct shrinker pvm_kvm_shrinker = {						\
		.count_objects = count, .scan_objects = scan, .seeks = DEFAULT_SEEKS,		\
	};											\
	int pvm_kvm_shrinker_init(void)								\
	{											\
		return register_shrinker(&pvm_kvm_shrinker, "kvm-pvm");			\
	}											\
	void pvm_kvm_shrinker_destroy(void)							\
	{											\
		unregister_shrinker(&pvm_kvm_shrinker);					\
	}
#endif

static inline int pvm_kvm_init(void *init_ops, unsigned int size, unsigned int align, struct module *module)
{
#if PVM_KVM_6_12
	return kvm_init(size, align, module);
#else
	return kvm_init(init_ops, size, align, module);
#endif
}

#endif /* PVM_KVM_COMPAT_H */
