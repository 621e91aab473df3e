// SPDX-License-Identifier: GPL-2.0
/*
 * The module: what kvm.ko calls, and what a CPU must be for it. Operations that mean nothing for
 * PVM (posted interrupts, SMM) are here, and empty.
 */
#include <linux/module.h>
#include <asm/cpufeature.h>
#include <asm/fpu/xcr.h>

#include "kvm_pvm.h"

/* ------------------------------------------------------------------------
 * Operations with one answer.
 */
static void nothing(struct kvm_vcpu *vcpu)
{
}

/* The switcher is loaded within an entry. */
static void load_vcpu(struct kvm_vcpu *vcpu, int cpu)
{
	pvm_kvm_xen_vcpu_load(to_pvm_vcpu(vcpu), cpu);
}

/* With preemption off; an entry may still be called off. */
static void prepare_switch(struct kvm_vcpu *vcpu)
{
	pvm_kvm_cpu_enters();
}

/* To user space, or to another thread. */
static void put_vcpu(struct kvm_vcpu *vcpu)
{
	pvm_kvm_cpu_leaves();
}

static int check_compatibility(void)
{
	return 0;
}

static void unsetup(void)
{
	pvm_kvm_cpus_destroy();
}

/* Those of KVM's list that a vendor module carries out; user space takes each that is listed for one that
 * it can read and write. */
static bool has_emulated_msr(struct kvm *kvm, u32 index)
{
	switch (index) {
	case MSR_IA32_SMBASE:
	case MSR_IA32_MCG_EXT_CTL:
	case MSR_AMD64_VIRT_SPEC_CTRL:
	case MSR_AMD64_TSC_RATIO:
		return false;
	}
	return index < MSR_IA32_VMX_BASIC || index > MSR_IA32_VMX_VMFUNC;
}

static void flush_tlb_guest(struct kvm_vcpu *vcpu)
{
	struct pvm_kvm_vcpu *v = to_pvm_vcpu(vcpu);

	if (v->is_pvm && !v->is_new)
		pvm_mmu_flush_all(&v->pvm);
}

#ifdef PVM_KVM_HAS_FLUSH_GVA_FULL
static void flush_tlb_gva(struct kvm_vcpu *vcpu, gva_t address, bool *full)
#else
static void flush_tlb_gva(struct kvm_vcpu *vcpu, gva_t address)
#endif
{
	struct pvm_kvm_vcpu *v = to_pvm_vcpu(vcpu);

	if (v->is_pvm && !v->is_new)
		pvm_mmu_invlpg(&v->pvm, (pvm_gva_t){ address });
}

/* KVM's own tables are not what guests run on: memory.c hears of changes by itself. */
static int remote_flush(struct kvm *kvm)
{
	return 0;
}

#if PVM_KVM_6_12
static int remote_flush_range(struct kvm *kvm, gfn_t first, gfn_t count)
{
	return pvm_kvm_flush_range(kvm, first, count);
}
#else
static int remote_flush_range(struct kvm *kvm, struct kvm_tlb_range *range)
{
	return pvm_kvm_flush_range(kvm, range->start_gfn, range->pages);
}

static bool check_apicv_inhibit(enum kvm_apicv_inhibit reason)
{
	return true;
}

static void sched_in(struct kvm_vcpu *vcpu, int cpu)
{
}
#endif

static void patch_hypercall(struct kvm_vcpu *vcpu, unsigned char *text)
{
	static const unsigned char syscall[] = { 0x0f, 0x05, 0x90 };

	memcpy(text, syscall, sizeof(syscall));
}

static void load_mmu_pgd(struct kvm_vcpu *vcpu, hpa_t root, int level)
{
}

static bool has_wbinvd_exit(void)
{
	return true;
}

static u64 no_l2_tsc(struct kvm_vcpu *vcpu)
{
	return 0;
}

/* RDTSC is the CPU's own. */
static void no_tsc_offset(struct kvm_vcpu *vcpu)
{
	vcpu->arch.tsc_offset = 0;
	vcpu->arch.l1_tsc_offset = 0;
}

#if PVM_KVM_6_12
static void set_tsc_offset(struct kvm_vcpu *vcpu)
{
	no_tsc_offset(vcpu);
}

static void set_tsc_multiplier(struct kvm_vcpu *vcpu)
{
}
#else
static void set_tsc_offset(struct kvm_vcpu *vcpu, u64 offset)
{
	no_tsc_offset(vcpu);
}

static void set_tsc_multiplier(struct kvm_vcpu *vcpu, u64 multiplier)
{
}
#endif

#ifdef PVM_KVM_HAS_ENTRY_INFO
static void get_entry_info(struct kvm_vcpu *vcpu, u32 *intr, u32 *error)
{
	*intr = 0;
	*error = 0;
}
#endif

#ifdef PVM_KVM_HAS_UPDATE_IRTE
static int no_posted_interrupts(struct kvm_kernel_irqfd *irqfd, struct kvm *kvm, unsigned int host_irq,
				u32 guest_irq, struct kvm_vcpu *vcpu, u32 vector)
{
	return 0;
}
#endif

static int check_intercept(struct kvm_vcpu *vcpu, struct x86_instruction_info *info,
			   enum x86_intercept_stage stage, struct x86_exception *exception)
{
	return 0;	/* X86EMUL_CONTINUE */
}

static int smi_allowed(struct kvm_vcpu *vcpu, bool for_injection)
{
	return 0;
}

#if PVM_KVM_6_12
static int enter_smm(struct kvm_vcpu *vcpu, union kvm_smram *state)
{
	return -EOPNOTSUPP;
}

static int leave_smm(struct kvm_vcpu *vcpu, const union kvm_smram *state)
{
	return -EOPNOTSUPP;
}

static int get_feature_msr(u32 index, u64 *data)
{
	if (pvm_kvm_feature_msr(index, data))
		return 0;
	return 2;	/* KVM_MSR_RET_UNSUPPORTED of arch/x86/kvm/x86.h: KVM answers what is its own */
}

static int check_emulate(struct kvm_vcpu *vcpu, int type, void *insn, int length)
{
	return 0;
}

#else
static int enter_smm(struct kvm_vcpu *vcpu, char *state)
{
	return -EOPNOTSUPP;
}

static int leave_smm(struct kvm_vcpu *vcpu, const char *state)
{
	return -EOPNOTSUPP;
}

/* Without an answer for a feature MSR, some kernels refuse to set the MSR of a vCPU at all. */
static int get_msr_feature(struct kvm_msr_entry *entry)
{
	if (entry->index == MSR_IA32_PERF_CAPABILITIES) {
		entry->data = 0;
		return 0;
	}
	return !pvm_kvm_feature_msr(entry->index, &entry->data);
}

static bool can_emulate(struct kvm_vcpu *vcpu, int type, void *insn, int length)
{
	return true;
}
#endif

/* vCPUs of a Xen PV guest are started by each other: none is reset while they run. */
static bool init_signal_blocked(struct kvm_vcpu *vcpu)
{
	return pvm_kvm_is_xen(to_pvm_kvm(vcpu->kvm));
}

static void deliver_sipi(struct kvm_vcpu *vcpu, u8 vector)
{
	kvm_vcpu_deliver_sipi_vector(vcpu, vector);
}

static struct kvm_x86_ops x86_ops = {
	.name = "kvm_pvm",
#if PVM_KVM_6_12
	.check_processor_compatibility = check_compatibility,
	.enable_virtualization_cpu = pvm_kvm_cpu_enable,
	.disable_virtualization_cpu = pvm_kvm_cpu_disable,
	.flush_remote_tlbs = remote_flush,
	.flush_remote_tlbs_range = remote_flush_range,
	.required_apicv_inhibits = ~0ul,
	.get_feature_msr = get_feature_msr,
	.check_emulate_instruction = check_emulate,
#else
	.hardware_enable = pvm_kvm_cpu_enable,
	.hardware_disable = pvm_kvm_cpu_disable,
	.tlb_remote_flush = remote_flush,
	.tlb_remote_flush_with_range = remote_flush_range,
	.check_apicv_inhibit_reasons = check_apicv_inhibit,
	.sched_in = sched_in,
	.get_msr_feature = get_msr_feature,
	.can_emulate_instruction = can_emulate,
#endif
	.hardware_unsetup = unsetup,
	.has_emulated_msr = has_emulated_msr,
	.vcpu_after_set_cpuid = pvm_kvm_after_set_cpuid,
	.vm_size = sizeof(struct pvm_kvm),
	.vm_init = pvm_kvm_vm_init,
	.vm_destroy = pvm_kvm_vm_destroy,
	.vcpu_precreate = pvm_kvm_precreate,
	.vcpu_create = pvm_kvm_vcpu_create,
	.vcpu_free = pvm_kvm_vcpu_free,
	.vcpu_reset = pvm_kvm_vcpu_reset,
	.prepare_switch_to_guest = prepare_switch,
	.vcpu_load = load_vcpu,
	.vcpu_put = put_vcpu,
	.update_exception_bitmap = pvm_kvm_debug_changed,
	.get_msr = pvm_kvm_get_msr,
	.set_msr = pvm_kvm_set_msr,
	.get_segment_base = pvm_kvm_get_segment_base,
	.get_segment = pvm_kvm_get_segment,
	.set_segment = pvm_kvm_set_segment,
	.get_cpl = pvm_kvm_get_cpl,
#ifdef PVM_KVM_HAS_CPL_NO_CACHE
	.get_cpl_no_cache = pvm_kvm_get_cpl,
#endif
	.get_cs_db_l_bits = pvm_kvm_get_cs_db_l_bits,
	.is_valid_cr0 = pvm_kvm_is_valid_cr0,
	.set_cr0 = pvm_kvm_set_cr0,
	.post_set_cr3 = pvm_kvm_post_set_cr3,
	.is_valid_cr4 = pvm_kvm_is_valid_cr4,
	.set_cr4 = pvm_kvm_set_cr4,
	.set_efer = pvm_kvm_set_efer,
	.get_idt = pvm_kvm_get_idt,
	.set_idt = pvm_kvm_set_idt,
	.get_gdt = pvm_kvm_get_gdt,
	.set_gdt = pvm_kvm_set_gdt,
	.sync_dirty_debug_regs = nothing,
	.set_dr7 = pvm_kvm_set_dr7,
	.cache_reg = pvm_kvm_cache_reg,
	.get_rflags = pvm_kvm_get_rflags,
	.set_rflags = pvm_kvm_set_rflags,
	.get_if_flag = pvm_kvm_get_if_flag,
	.flush_tlb_all = nothing,
	.flush_tlb_current = nothing,
	.flush_tlb_gva = flush_tlb_gva,
	.flush_tlb_guest = flush_tlb_guest,
#ifdef PVM_KVM_HAS_PRE_RUN
	.vcpu_pre_run = pvm_kvm_pre_run,
#endif
	.vcpu_run = pvm_kvm_run,
	.handle_exit = pvm_kvm_handle_exit,
	.skip_emulated_instruction = pvm_kvm_skip_instruction,
	.set_interrupt_shadow = pvm_kvm_set_interrupt_shadow,
	.get_interrupt_shadow = pvm_kvm_get_interrupt_shadow,
	.patch_hypercall = patch_hypercall,
	.inject_irq = pvm_kvm_inject_interrupt,
	.inject_nmi = nothing,
	.inject_exception = pvm_kvm_inject_exception,
	.cancel_injection = pvm_kvm_boot_is_injected,
	.interrupt_allowed = pvm_kvm_interrupt_allowed,
	.nmi_allowed = pvm_kvm_nmi_allowed,
	.get_nmi_mask = pvm_kvm_get_nmi_mask,
	.set_nmi_mask = pvm_kvm_set_nmi_mask,
	.enable_nmi_window = pvm_kvm_enable_nmi_window,
	.enable_irq_window = pvm_kvm_enable_irq_window,
	.refresh_apicv_exec_ctrl = nothing,
	.deliver_interrupt = pvm_kvm_deliver_interrupt,
	.load_mmu_pgd = load_mmu_pgd,
	.has_wbinvd_exit = has_wbinvd_exit,
	.get_l2_tsc_offset = no_l2_tsc,
	.get_l2_tsc_multiplier = no_l2_tsc,
	.write_tsc_offset = set_tsc_offset,
	.write_tsc_multiplier = set_tsc_multiplier,
	.get_exit_info = pvm_kvm_get_exit_info,
#ifdef PVM_KVM_HAS_ENTRY_INFO
	.get_entry_info = get_entry_info,
#endif
#ifdef PVM_KVM_HAS_UPDATE_IRTE
	.pi_update_irte = no_posted_interrupts,
#endif
	.check_intercept = check_intercept,
	.handle_exit_irqoff = nothing,
#ifndef PVM_KVM_HAS_NESTED_INIT
	.nested_ops = &pvm_kvm_nested_ops,
#endif
	.setup_mce = nothing,
	.smi_allowed = smi_allowed,
	.enter_smm = enter_smm,
	.leave_smm = leave_smm,
	.mem_enc_ioctl = pvm_kvm_private_op,
	.enable_smi_window = nothing,
	.apic_init_signal_blocked = init_signal_blocked,
#ifdef PVM_KVM_HAS_MSR_FILTER_CHANGED
	.msr_filter_changed = nothing,
#endif
#ifdef PVM_KVM_HAS_RECALC_MSR_INTERCEPTS
	.recalc_msr_intercepts = nothing,
#endif
#ifdef PVM_KVM_HAS_RECALC_INTERCEPTS
	.recalc_intercepts = nothing,
#endif
	.complete_emulated_msr = pvm_kvm_complete_msr,
	.vcpu_deliver_sipi_vector = deliver_sipi,
};

/* ------------------------------------------------------------------------
 * Loading.
 */

#if !PVM_KVM_6_12
static int cpu_has_support(void)
{
	return 1;
}

static int disabled_by_bios(void)
{
	return 0;
}
#endif

u64 pvm_kvm_host_xcr0 = XFEATURE_MASK_FP, pvm_kvm_host_xss;

static void read_xsave_state(void)
{
	u32 low, high;

	if (boot_cpu_has(X86_FEATURE_XSAVE))
		pvm_kvm_host_xcr0 = xgetbv(XCR_XFEATURE_ENABLED_MASK);
	if (boot_cpu_has(X86_FEATURE_XSAVES)) {
		rdmsr(MSR_IA32_XSS, low, high);
		pvm_kvm_host_xss = (u64)high << 32 | low;
	}
}

static int hardware_setup(void)
{
	int error = pvm_kvm_cpus_init();

	if (error)
		return error;
	read_xsave_state();
	kvm_configure_mmu(true, 4, 4, PG_LEVEL_1G);
	kvm_mmu_set_me_spte_mask(0, 0);
	enable_apicv = false;
	kvm_enable_efer_bits(EFER_NX);
	kvm_add_user_return_msr(MSR_TSC_AUX);
	kvm_set_cpu_caps();
	return 0;
}

static struct kvm_x86_init_ops init_ops = {
#if !PVM_KVM_6_12
	.cpu_has_kvm_support = cpu_has_support,
	.disabled_by_bios = disabled_by_bios,
	.check_processor_compatibility = check_compatibility,
#endif
	.hardware_setup = hardware_setup,
	.runtime_ops = &x86_ops,
	.pmu_ops = &pvm_kvm_pmu_ops,
#ifdef PVM_KVM_HAS_NESTED_INIT
	.nested_ops = &pvm_kvm_nested_ops,
#endif
};

static int __init pvm_kvm_module_init(void)
{
	int error = pvm_kvm_shrinker_init();

	if (error)
		return error;
	if (strcmp(KBUILD_MODNAME, "kvm_pvm") != 0)
		pr_notice("this is kvm-pvm, built as " KBUILD_MODNAME ", as this kernel's kvm.ko wants it\n");
	error = kvm_x86_vendor_init(&init_ops);
	if (error == -EEXIST) {
		/* Not EEXIST: modprobe takes that for success. */
		pr_err("kvm_intel or kvm_amd is loaded, and kvm.ko works with one module: rmmod it first\n");
		error = -EBUSY;
	}
	if (error)
		goto no_vendor;
	error = pvm_kvm_init(&init_ops, sizeof(struct pvm_kvm_vcpu),
			     __alignof__(struct pvm_kvm_vcpu), THIS_MODULE);
	if (!error)
		return 0;
	kvm_x86_vendor_exit();
no_vendor:
	pvm_kvm_shrinker_destroy();
	return error;
}

static void __exit pvm_kvm_module_exit(void)
{
	kvm_exit();
	kvm_x86_vendor_exit();
	pvm_kvm_shrinker_destroy();
}

module_init(pvm_kvm_module_init);
module_exit(pvm_kvm_module_exit);
MODULE_DESCRIPTION("PVM guests on any x86-64 CPU, through /dev/kvm");
MODULE_VERSION(PVM_VERSION);
MODULE_LICENSE("GPL");
