/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the kernel's header packages leave out of kvm.ko's interface, and what differs between
 * kernels.
 */
#ifndef PVM_KVM_COMPAT_H
#define PVM_KVM_COMPAT_H

#include <kvm/iodev.h>
#include <linux/eventfd.h>
#include <linux/hrtimer.h>
#include <linux/kvm_host.h>
#include <linux/shrinker.h>
#include <linux/tracepoint.h>
#include <linux/version.h>
#if __has_include(<linux/entry-virt.h>)
#include <linux/entry-virt.h>
#else
#include <linux/entry-kvm.h>
#endif
#include <asm/nospec-branch.h>

/*
 * What changed in kvm.ko's interface. What the headers or Module.symvers show, Kbuild looks for, as stable
 * updates bring such changes too: PVM_KVM_HAS_*. The rest goes by the version.
 *
 * PRE_RUN		the operation vcpu_pre_run; without it an entry finds what user space has set
 * MSR_FILTER_CHANGED	the operation that hears of a new filter; then it was called
 * RECALC_MSR_INTERCEPTS	so, and
 * RECALC_INTERCEPTS	so
 * CPL_NO_CACHE		the operation get_cpl_no_cache
 * ENTRY_INFO		the operation get_entry_info, for tracing
 * UPDATE_IRTE		the operation pi_update_irte is mandatory
 * FLUSH_GVA_FULL	flush_tlb_gva may answer that it has flushed everything
 * REGS_RIP		RIP is one of arch.regs; then it is arch.rip
 * BOOL_YOUNG		what an mmu notifier is asked about ageing has the answer true or false
 * NESTED_INIT		operations for nested guests are in init_ops
 * MEDIATED_PMU		a guest may own performance counters: more of struct kvm_pmu_ops, as 7.3 has it
 * PMC_DISABLED		one more there
 * SET_CPU_CAPS		the function kvm_set_cpu_caps; then it is kvm_initialize_cpu_caps
 * EFER_BITS		the vendor says which bits of EFER there are; then KVM finds out
 * HRTIMER_SETUP	a timer gets its function when it is initialised; then by itself
 * EVENTFD_COUNT	how much is added to an eventfd is said; then 1
 * INTERRUPTIBLE	a signal ends waiting for user space's memory, if one asks for that
 * XSAVE_STATE		the vendor loads XCR0 and PKRU around an entry; then KVM does
 * PAGEWALK		what walks a guest's tables is a structure of its own; then it is struct kvm_mmu
 *
 * PVM_KVM_6_12: Debian 13's. What changed between 6.1 and it is not told apart.
 */
#define PVM_KVM_6_12	(LINUX_VERSION_CODE >= KERNEL_VERSION(6, 12, 0))

#ifndef PVM_KVM_HAS_INTERRUPTIBLE
#define FOLL_INTERRUPTIBLE 0
#endif

static inline void pvm_kvm_hrtimer_setup(struct hrtimer *timer,
					 enum hrtimer_restart (*function)(struct hrtimer *timer),
					 enum hrtimer_mode mode)
{
#ifdef PVM_KVM_HAS_HRTIMER_SETUP
	hrtimer_setup(timer, function, CLOCK_MONOTONIC, mode);
#else
	hrtimer_init(timer, CLOCK_MONOTONIC, mode);
	timer->function = function;
#endif
}

static inline void pvm_kvm_eventfd_signal(struct eventfd_ctx *context)
{
#ifdef PVM_KVM_HAS_EVENTFD_COUNT
	eventfd_signal(context, 1);
#else
	eventfd_signal(context);
#endif
}

/* cpuid_count(); before, asm/processor.h has it. */
#if __has_include(<asm/cpuid/api.h>)
#include <asm/cpuid/api.h>
#endif

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
#ifdef PVM_KVM_HAS_PMC_DISABLED
	bool (*pmc_is_disabled_in_current_mode)(struct kvm_pmc *pmc);
#endif
#ifdef PVM_KVM_HAS_MEDIATED_PMU
	bool (*is_mediated_pmu_supported)(struct x86_pmu_capability *host_pmu);
	void (*mediated_load)(struct kvm_vcpu *vcpu);
	void (*mediated_put)(struct kvm_vcpu *vcpu);
	void (*write_global_ctrl)(u64 global_ctrl);
#endif
#if PVM_KVM_6_12
	const u64 EVENTSEL_EVENT;
	const int MAX_NR_GP_COUNTERS;
	const int MIN_NR_GP_COUNTERS;
#endif
#ifdef PVM_KVM_HAS_MEDIATED_PMU
	const u32 PERF_GLOBAL_CTRL;
	const u32 GP_EVENTSEL_BASE;
	const u32 GP_COUNTER_BASE;
	const u32 FIXED_COUNTER_BASE;
	const u32 MSR_STRIDE;
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

/*
 * arch/x86/kvm/trace.h: what KVM leaves to its vendor module to raise. Their arguments are the same in
 * all kernels that have KVM_RUN_FORCE_IMMEDIATE_EXIT, which ./check asks for. kvm_exit has
 * get_exit_info() called, and takes the codes for those of ISA: of no other there are names.
 */
#ifdef DECLARE_TRACE_EVENT	/* then DECLARE_TRACE is for tracepoints that are no events */
#define PVM_KVM_DECLARE_EVENT	DECLARE_TRACE_EVENT
#else
#define PVM_KVM_DECLARE_EVENT	DECLARE_TRACE
#endif
#define PVM_KVM_ISA_VMX	1
#define PVM_KVM_ISA_SVM	2
PVM_KVM_DECLARE_EVENT(kvm_entry, TP_PROTO(struct kvm_vcpu *vcpu, bool force_immediate_exit),
		      TP_ARGS(vcpu, force_immediate_exit));
PVM_KVM_DECLARE_EVENT(kvm_exit, TP_PROTO(struct kvm_vcpu *vcpu, u32 isa), TP_ARGS(vcpu, isa));
PVM_KVM_DECLARE_EVENT(kvm_page_fault, TP_PROTO(struct kvm_vcpu *vcpu, u64 fault_address, u64 error_code),
		      TP_ARGS(vcpu, fault_address, error_code));

/* arch/x86/kvm/: mmu.h, lapic.h, cpuid.h, x86.h. In some kernels some are in public headers, too. */
void kvm_configure_mmu(bool enable_tdp, int tdp_forced_root_level, int tdp_max_root_level,
		       int tdp_huge_page_level);
void kvm_mmu_set_me_spte_mask(u64 me_value, u64 me_mask);
/* @pir: 256 bits, as words of 32 bits until 6.15. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 16, 0)
bool kvm_apic_update_irr(struct kvm_vcpu *vcpu, unsigned long *pir, int *max_irr);
#else
bool kvm_apic_update_irr(struct kvm_vcpu *vcpu, u32 *pir, int *max_irr);
#endif
int kvm_cpu_has_interrupt(struct kvm_vcpu *vcpu);
void kvm_lapic_set_eoi(struct kvm_vcpu *vcpu);
int kvm_set_msr_common(struct kvm_vcpu *vcpu, struct msr_data *msr);
int kvm_get_msr_common(struct kvm_vcpu *vcpu, struct msr_data *msr);
int kvm_emulate_instruction(struct kvm_vcpu *vcpu, int emulation_type);
void kvm_inject_realmode_interrupt(struct kvm_vcpu *vcpu, int irq, int inc_eip);
int kvm_emulate_rdmsr(struct kvm_vcpu *vcpu);
int kvm_emulate_wrmsr(struct kvm_vcpu *vcpu);
int kvm_emulate_hypercall(struct kvm_vcpu *vcpu);
int kvm_emulate_halt_noskip(struct kvm_vcpu *vcpu);
int kvm_fast_pio(struct kvm_vcpu *vcpu, int size, unsigned short port, int in);
unsigned long kvm_get_cr8(struct kvm_vcpu *vcpu);
void kvm_vcpu_deliver_sipi_vector(struct kvm_vcpu *vcpu, u8 vector);
int kvm_add_user_return_msr(u32 msr);
int kvm_x86_vendor_init(struct kvm_x86_init_ops *ops);
void kvm_x86_vendor_exit(void);
#ifdef PVM_KVM_HAS_SET_CPU_CAPS
void kvm_set_cpu_caps(void);
#else
void kvm_initialize_cpu_caps(void);
extern bool kvm_is_configuring_cpu_caps;

/* KVM warns of changes once this is over, and of a module that is loaded when it is not. */
static inline void kvm_set_cpu_caps(void)
{
	kvm_initialize_cpu_caps();
	kvm_is_configuring_cpu_caps = false;
}
#endif
#ifndef PVM_KVM_HAS_EFER_BITS
static inline void kvm_enable_efer_bits(u64 mask)
{
}
#endif
#ifdef PVM_KVM_HAS_XSAVE_STATE
void kvm_load_guest_xsave_state(struct kvm_vcpu *vcpu);
void kvm_load_host_xsave_state(struct kvm_vcpu *vcpu);
#else
static inline void kvm_load_guest_xsave_state(struct kvm_vcpu *vcpu)
{
}

static inline void kvm_load_host_xsave_state(struct kvm_vcpu *vcpu)
{
}
#endif

static inline unsigned long *pvm_kvm_rip(struct kvm_vcpu_arch *arch)
{
#ifdef PVM_KVM_HAS_REGS_RIP
	return &arch->regs[VCPU_REGS_RIP];
#else
	return &arch->rip;
#endif
}

/* All registers of KVM's own cache are valid, none is to be written back. A number, or an array of bits. */
static inline void pvm_kvm_cache_is_valid(struct kvm_vcpu_arch *arch)
{
	memset(&arch->regs_avail, 0xff, sizeof(arch->regs_avail));
	memset(&arch->regs_dirty, 0, sizeof(arch->regs_dirty));
}

/* An interrupt that does nothing but come. */
static inline void pvm_kvm_kick_cpu(int cpu)
{
#if PVM_KVM_6_12
	arch_smp_send_reschedule(cpu);
#else
	smp_send_reschedule(cpu);
#endif
}

/* Does Linux issue IBPB between user programs, mostly those that ask for it? Not with spectre_v2_user=off or
 * mitigations=off, nor on a CPU without. */
static inline bool pvm_kvm_linux_uses_ibpb(void)
{
#ifdef X86_FEATURE_USE_IBPB
	return boot_cpu_has(X86_FEATURE_USE_IBPB);
#else
	return static_key_enabled(&switch_vcpu_ibpb);
#endif
}

/* Does Linux issue it before the user program that a CPU runs next after a guest? kvm.ko asks for that. */
static inline bool pvm_kvm_linux_has_exit_ibpb(void)
{
#ifdef X86_FEATURE_IBPB_EXIT_TO_USER
	return boot_cpu_has(X86_FEATURE_IBPB_EXIT_TO_USER);
#else
	return false;
#endif
}

#ifdef PVM_KVM_HAS_BOOL_YOUNG
typedef bool pvm_kvm_young_t;
#else
typedef int pvm_kvm_young_t;
#endif

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
 * Does KVM tell which slots go, and what its emulator writes? From 6.12 on only where it is configured to
 * (CONFIG_KVM_EXTERNAL_WRITE_TRACKING), which kernels for cloud machines are not: there untold.c finds out.
 */
#if !PVM_KVM_6_12 || defined(CONFIG_KVM_EXTERNAL_WRITE_TRACKING)
#define PVM_KVM_TELLS
#endif

/*
 * Two functions, @goes(node, gfn, count) and @wrote(node, gpa, bytes), as KVM calls them. From
 * 6.12 on a registration holds the VM, which then is never destroyed: that reference is given
 * back at once, and with it the right to unregister. Nothing calls a notifier of a VM
 * that is being destroyed.
 */
#ifndef PVM_KVM_TELLS
#define PVM_KVM_TRACK_FUNCTIONS(goes, wrote)							\
	static int pvm_kvm_track_register(struct kvm *kvm,					\
					  struct kvm_page_track_notifier_node *node)		\
	{											\
		return 0;									\
	}											\
	static void pvm_kvm_track_unregister(struct kvm *kvm,					\
					     struct kvm_page_track_notifier_node *node)		\
	{											\
	}
#elif PVM_KVM_6_12
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

/* What KVM's emulator walks the guest's tables with. */
#ifdef PVM_KVM_HAS_PAGEWALK
typedef struct kvm_pagewalk pvm_kvm_walk_t;

static inline pvm_kvm_walk_t *pvm_kvm_walk(struct kvm_vcpu *vcpu)
{
	return &vcpu->arch.gva_walk;
}
#else
typedef struct kvm_mmu pvm_kvm_walk_t;

static inline pvm_kvm_walk_t *pvm_kvm_walk(struct kvm_vcpu *vcpu)
{
	return vcpu->arch.walk_mmu;
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
