// SPDX-License-Identifier: GPL-2.0
/*
 * The host's CPUs as the switcher wants them: an area for each in the module's own slot of the
 * address space, PCIDs that Linux does not use, and the host operations of the switcher.
 *
 * Areas are in .bss, as the text is in the module's: both are in slot 511 of the top-level table
 * with four levels, wherever address randomisation puts the module; in guests at the same place of
 * another slot (alias.c).
 */
#include <linux/highmem.h>
#include <linux/kvm_para.h>
#include <linux/mem_encrypt.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/smp.h>
#include <linux/vmalloc.h>
#include <asm/desc.h>
#include <asm/irq_vectors.h>
#include <asm/pgtable.h>

#include "kvm_pvm.h"

#ifndef PVM_KVM_CPUS
#define PVM_KVM_CPUS	64		/* CPU numbers below that; PVM_KVM_CPUS= of the build */
#endif
#define LDTS_OFFSET	(1ull << 30)
#define MODULES_SLOT_VA	0xffffff8000000000ull	/* of text and areas; Linux has nothing in its first bytes */
#define PCID_FIRST	4064		/* Linux takes its own from the other end */
#define PCIDS_OF_LINUX	6		/* TLB_NR_DYN_ASIDS, which modules do not see */
#define PCID_OF_USER_MODE	2048
#define TSS_SEL		0x80		/* past the end of Linux's GDT */
#define LDT_SEL		0x90

static bool accept_meltdown;
module_param(accept_meltdown, bool, 0444);
MODULE_PARM_DESC(accept_meltdown,
		 "Run guests on a CPU with Meltdown, where one may read registers of other VMs' guests; "
		 "needs page-table isolation (pti=on)");

struct pvm_switcher pvm_kvm_switcher;
static struct pvm_switcher_cpu *cpus[PVM_KVM_CPUS];
/* One more: a section's start is aligned to a page only. */
static char areas[(PVM_KVM_CPUS + 1) * PVM_SWITCHER_AREA_SIZE] __aligned(PAGE_SIZE);

static void *area_of(unsigned int cpu)
{
	return PTR_ALIGN(&areas[0], PVM_SWITCHER_AREA_SIZE) + cpu * PVM_SWITCHER_AREA_SIZE;
}

struct pvm_switcher_cpu *pvm_kvm_this_cpu(void)
{
	return cpus[smp_processor_id()];
}

static int table_alloc(void *host, struct pvm_host_page *page)
{
	page->va = (void *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	if (!page->va)
		return PVM_ENOMEM;
	page->pa = (pvm_hpa_t){ __pa(page->va) };
	return PVM_OK;
}

static void table_free(void *host, struct pvm_host_page page)
{
	free_page((unsigned long)page.va);
}

static pvm_hpa_t va_to_pa(void *host, const void *va)
{
	struct page *page = vmalloc_to_page(va);

	return (pvm_hpa_t){ page ? page_to_phys(page) + offset_in_page(va) : PVM_INVALID_ADDR };
}

static void kick(void *host, uint32_t cpu)
{
	pvm_kvm_kick_cpu(cpu);
}

static uint64_t *host_gdt(void *host)
{
	return (uint64_t *)get_current_gdt_rw();
}

static void relax(void *host)
{
	cpu_relax();
}

/* The token of a page of the host's that is away, from its own hypervisor; 0: none. */
static DEFINE_PER_CPU(u32, awaited);

/* Linux as a guest of KVM's asks to be told so, and a guest of ours is told in its place: at CPL 3. What is
 * not taken here Linux would meet at its own next #PF, and panic. */
static bool owns_fault(void *host, uint64_t cr2)
{
	if (!(kvm_read_and_reset_apf_flags() & KVM_PV_REASON_PAGE_NOT_PRESENT))
		return false;
	this_cpu_write(awaited, (u32)cr2);
	return true;
}

u32 pvm_kvm_take_awaited(void)
{
	return this_cpu_xchg(awaited, 0);
}

static const struct pvm_switcher_ops ops = {
	.owns_fault = owns_fault,
	.page_alloc = table_alloc,
	.page_free = table_free,
	.va_to_pa = va_to_pa,
	.kick = kick,
	.gdt = host_gdt,
	.relax = relax,
};

static void say_features(const struct pvm_switcher_features *features)
{
	pr_info("up to %u CPUs; guests: dual-cr3, single-cr3, xen-pv; this CPU:%s%s%s%s%s%s\n", PVM_KVM_CPUS,
		features->la57 ? " la57" : "", features->pcid ? " pcid" : "",
		features->invpcid ? " invpcid" : "", features->pke ? " pke" : "",
		features->smap ? " smap" : "", features->cet ? " cet" : "");
}

/* ------------------------------------------------------------------------
 * S10: what a guest has trained is not for user programs. To the CPU both are CPL 3: neither enhanced nor
 * automatic IBRS tells them apart, and what runs next at CPL 3 is mostly the guest's own VMM.
 */
static bool user_ibpb;
static DEFINE_PER_CPU(bool, guest_ran);

/* Linux has the last word on whether its programs need it. Where it knows that guests do (VMSCAPE), it issues
 * the barrier itself, later than we can; it does not expect that of a CPU that is virtual. */
static bool needs_user_ibpb(void)
{
	return pvm_kvm_linux_uses_ibpb() && !pvm_kvm_linux_has_exit_ibpb();
}

void pvm_kvm_cpu_enters(void)
{
	__this_cpu_write(guest_ran, true);
}

/* A function of its own: a kprobe counts them (tests/kvm/cases.py). */
static noinline void user_barrier(void)
{
	indirect_branch_prediction_barrier();
}

void pvm_kvm_cpu_leaves(void)
{
	if (!__this_cpu_read(guest_ran))
		return;
	__this_cpu_write(guest_ran, false);
	if (user_ibpb)
		user_barrier();
}

static void say_mitigations(u32 mitigations)
{
	char line[160] = "";
	size_t length = 0;
	u32 bit;

	for (bit = 1; bit; bit <<= 1)
		if (mitigations & bit)
			length += scnprintf(line + length, sizeof(line) - length, " %s",
					    pvm_switcher_mitigation_name(bit));
	if (user_ibpb)
		length += scnprintf(line + length, sizeof(line) - length, " user_ibpb");
	pr_info("mitigations:%s\n", length ? line : " none");
}

/* INT 0x80 of a guest's and an interrupt of that number look alike. Linux gives the number to devices where
 * its own 32-bit programs are off. */
static bool int80_is_a_devices(void)
{
	struct desc_ptr idtr;

	store_idt(&idtr);
	return ((const gate_desc *)idtr.address)[IA32_SYSCALL_VECTOR].bits.dpl != 3;
}

/* S7: the last PCID that Linux takes for itself: from 1 on, and with page-table isolation others for user
 * mode, 2048 above. With INVLPGB processes have PCIDs of their own. */
static u16 pcid_host_last(void)
{
	u16 last = PCIDS_OF_LINUX;

#ifdef X86_FEATURE_INVLPGB
	if (boot_cpu_has(X86_FEATURE_INVLPGB))
		last = PCID_OF_USER_MODE - 1;
#endif
	return boot_cpu_has(X86_FEATURE_PTI) ? last + PCID_OF_USER_MODE : last;
}

/*
 * Without page-table isolation Linux's translations are global, its map of all memory among them: they stay
 * in the TLB while a guest runs, and a CPU with Meltdown lets CPL 3 read what they lead to. Linux knows more
 * CPUs without Meltdown than the switcher does, and no fewer.
 */
static bool meltdown_shows_the_host(void)
{
	return boot_cpu_has_bug(X86_BUG_CPU_MELTDOWN) && !boot_cpu_has(X86_FEATURE_PTI);
}

/* S9: what the switcher cannot see, in a line; NULL: nothing. */
static const char *unfit(void)
{
	if (boot_cpu_has(X86_FEATURE_XENPV))
		return "the host is a Xen PV guest, whose kernel has no CPL 0 itself; run it as HVM or PVH";
	if (boot_cpu_has(X86_FEATURE_TDX_GUEST))
		return "the host is a TDX guest: its hypervisor cannot be asked while a guest runs";
	if (meltdown_shows_the_host())
		return "this CPU has Meltdown and page-table isolation is off: guests could read all of "
		       "the host's memory; start the host with pti=on";
	if (int80_is_a_devices())
		return "vector 0x80 may be a device's; start the host with ia32_emulation=on";
	return NULL;
}

int pvm_kvm_cpus_init(void)
{
	struct pvm_switcher_config config = {
		.host_cs = __KERNEL_CS,
		.host_ss = __KERNEL_DS,
		.user32_cs = __USER32_CS,
		.user_ds = __USER_DS,
		.user_cs = __USER_CS,
		.cpunode_sel = __CPUNODE_SEG,
		.tls_index = GDT_ENTRY_TLS_MIN,
		.tss_sel = TSS_SEL,
		.ldt_sel = LDT_SEL,
		.meltdown_accepted = accept_meltdown,
		.pcid_first = PCID_FIRST,
		.pcid_count = PVM_SWITCHER_TAGS,
		.pcid_host_last = pcid_host_last(),
		.host_encrypts = sme_me_mask,
		.alias = PVM_KVM_SLOT_VA - MODULES_SLOT_VA,
		.window_va = PVM_KVM_SLOT_VA,
		.window_count = KVM_MAX_VCPUS,
		.ldt_va = PVM_KVM_SLOT_VA + LDTS_OFFSET,
		.areas = area_of(0),	/* CPUs come online at any time */
	};
	const char *why = unfit();

	if (nr_cpu_ids > PVM_KVM_CPUS) {
		pr_err("this host may have %u CPUs, the module is built for %u: build it with PVM_KVM_CPUS=%u\n",
		       nr_cpu_ids, PVM_KVM_CPUS, nr_cpu_ids);
		return -ENOSPC;
	}
	pvm_switcher_detect(&config.features);
	if (why || pvm_switcher_init(&pvm_kvm_switcher, &config, &ops, NULL, cpus, nr_cpu_ids, &why)) {
		pr_err("guests cannot run here: %s\n", why);
		if (config.features.meltdown && !accept_meltdown && !meltdown_shows_the_host())
			pr_err("to run guests all the same: load the module with accept_meltdown=1\n");
		return -ENODEV;
	}
	if (pvm_kvm_alias_init())
		return -ENOMEM;
	user_ibpb = needs_user_ibpb();
	say_features(&config.features);
	say_mitigations(config.features.mitigations);
	return 0;
}

void pvm_kvm_cpus_destroy(void)
{
	pvm_kvm_alias_destroy();
}

int pvm_kvm_cpu_enable(void)
{
	unsigned int cpu = smp_processor_id();
	const char *why = NULL;

	if (cpus[cpu])
		return 0;
	if (pvm_switcher_cpu_init(&pvm_kvm_switcher, area_of(cpu), cpu, &why)) {
		pr_err("CPU %u cannot run guests: %s\n", cpu, why);
		return -ENODEV;
	}
	return 0;
}

void pvm_kvm_cpu_disable(void)
{
	if (pvm_kvm_this_cpu())
		pvm_switcher_unload(pvm_kvm_this_cpu());
}
