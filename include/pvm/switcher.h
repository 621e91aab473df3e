/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The switcher: the way into a guest and back on real hardware, for a host that
 * runs at CPL 0. It knows no operating system.
 *
 * Owned by libpvm/switcher/. While a guest runs, the CPU is on a shadow root,
 * with the switcher's own IDT, GDT, TSS and SYSCALL entry. One top-level slot of
 * every shadow root holds the switcher's text, its per-CPU areas and windows on
 * the VM's PVCS pages, all without the U bit (M1, S6). Text and areas have the
 * same linear address there as in the host; or, if that slot is to be the guest's, another one
 * that the host has beside its own: pvm_switcher_config::alias.
 *
 * What a host does, in order:
 *   once:         pvm_switcher_init()
 *   per CPU:      pvm_switcher_cpu_init(), on that CPU
 *   per VM:       pvm_switcher_vm_init(), whose slot and entry go into
 *                 pvm_vm_config, then pvm_vm_init() with pvm_switcher_flush()
 *                 as pvm_host_ops::tlb_flush
 *   per vCPU:     pvm_switcher_vcpu_init()
 *   per CPU and stretch of running guests: pvm_switcher_load() .. _unload()
 *   per entry, interrupts off:
 *                 pvm_switcher_clear_request(), pvm_handle_exit(),
 *                 pvm_switcher_run(), pvm_switcher_host_events()
 *
 * What pvm_switcher_run() leaves as it found it: RFLAGS, CS, SS, DS, ES, FS, GS, FS and GS
 * bases, IA32_KERNEL_GS_BASE, IDTR, CR3, CR4, DR0-3, DR7, PKRU, the callee-saved registers.
 * What stays the switcher's until pvm_switcher_unload(): GDTR, LDTR, TR, STAR, LSTAR,
 * CSTAR, FMASK, IA32_SYSENTER_CS; IA32_U_CET, where CR4.CET is set, which is 0 meanwhile: the
 * thread's user shadow stack is off, its pointer (IA32_PL3_SSP) stays; NULL in DS, ES, FS,
 * GS instead of a selector that only the host's tables have (bases stay); and
 * IA32_SPEC_CTRL, where IBRS is among the mitigations: the host leaves it alone meanwhile.
 * The host unloads before it runs code at CPL 3 of its own, and before it gives the CPU to
 * a task that knows nothing of us.
 * What it changes for good: CR2 and DR6, as any fault and any #DB do.
 * What it never touches: CR0, XCR0, x87/SSE/AVX state (the host's to swap).
 * What the host must not change while a CPU is loaded: CR4.
 * What a host must not have: CR4.FRED, a supervisor shadow stack, EFER.UAIE, memory that it encrypts by a bit
 * of its page tables (SEV, SME): refused (S9).
 * Supervisor IBT may be on: whatever the CPU can enter of the switcher begins with ENDBR64.
 * A host that saves or restores IA32_U_CET (XSAVES) does so while it is not loaded.
 * What the host must not use while a guest runs: CPU features that write memory by linear
 * address without an instruction of the program (the DS area of BTS and PEBS), which
 * pvm_switcher_set_msrs() turns off, and vectors 3, 4 and 0x80 for its devices.
 *
 * design: switcher/; invariants S1..S13
 */
#ifndef PVM_SWITCHER_H
#define PVM_SWITCHER_H

#include <pvm/exit.h>
#include <pvm/vcpu.h>

struct pvm_abi_switches;
struct pvm_switcher_cpu;	/* a CPU's area: memory of the host, contents the switcher's */

/* A per-CPU area: size and alignment (linear address), bytes. Its last two pages
 * are never touched and need no memory. */
#define PVM_SWITCHER_AREA_SIZE	0x8000
#define PVM_SWITCHER_AREA_USED	0x6000

#define PVM_SWITCHER_TAGS	16	/* roots per CPU that keep their translations */
#define PVM_SWITCHER_LDTS	128	/* vCPUs of a VM that may have LDTs */
#define PVM_SWITCHER_PUBLISHED	4	/* page tables per vCPU that LOAD_PGTBL finds by itself */

/* ------------------------------------------------------------------------
 * The CPU: what it has, what it needs.
 */

/* Mitigations, as bits. pvm_switcher_mitigation_name() says them to people. */
enum pvm_mitigation {
	PVM_MITIGATE_VERW	= 1 << 0,	/* before the guest: clear CPU buffers (MDS, TAA, RFDS) */
	PVM_MITIGATE_RSB_FILL	= 1 << 1,	/* after the guest: refill the return stack */
	PVM_MITIGATE_BHB_CLEAR	= 1 << 2,	/* after the guest: clear the branch history */
	PVM_MITIGATE_IBRS	= 1 << 3,	/* after the guest: SPEC_CTRL.IBRS on, off before it */
	PVM_MITIGATE_IBPB	= 1 << 4,	/* another VM on this CPU: predictor barrier */
	PVM_MITIGATE_L1D_FLUSH	= 1 << 5,	/* another VM on this CPU: flush the L1 data cache */
	PVM_MITIGATE_LFENCE	= 1 << 6,	/* after the guest: no speculation into the host */
	PVM_MITIGATE_EXIT_IBPB	= 1 << 7,	/* after the guest: barrier, before the first return */
};

/* What pvm_switcher_detect() reads off the CPU it runs on. */
struct pvm_switcher_features {
	bool fsgsbase, syscall, nx;		/* required, and enabled in CR4 and EFER */
	bool fred;				/* CR4.FRED is set: refused */
	bool supervisor_shadow_stack;		/* CR4.CET, IA32_S_CET.SH_STK_EN are: refused */
	bool uai;				/* EFER.UAIE is set: refused */
	bool sev, sev_es;			/* the host is an SEV or an SEV-ES guest: refused */
	bool meltdown;				/* refused unless config.meltdown_accepted */
	bool cet;				/* CR4.CET is set */
	bool la57, pke, smap;			/* CR4.LA57, CR4.PKE, CR4.SMAP are set */
	bool pcid;				/* CR4.PCIDE is set */
	bool invpcid;
	uint32_t mitigations;			/* enum pvm_mitigation */
};

/* CPUID, the control registers, and the MSRs that say what a CPU suffers from: what
 * pvm_switcher_detect() finds is a function of this alone. */
struct pvm_switcher_cpu_id {
	uint32_t vendor_ebx;			/* CPUID 0 */
	uint32_t signature;			/* CPUID 1 EAX */
	uint32_t leaf1_ecx;
	uint32_t leaf7_ebx, leaf7_edx, leaf7_2_edx;
	uint32_t ext8_ebx;			/* CPUID 0x80000008 */
	uint32_t ext21_eax, ext21_ecx;		/* CPUID 0x80000021 */
	uint64_t sev_status;			/* SEV_STATUS, 0 where there is none */
	uint64_t arch_capabilities;		/* IA32_ARCH_CAPABILITIES, 0 where there is none */
	uint64_t spec_ctrl;			/* IA32_SPEC_CTRL as the host keeps it, 0: none */
	uint64_t cr4, efer;			/* what is offered may not be turned on */
	uint64_t s_cet;				/* IA32_S_CET, 0 without CR4.CET */
};

/* The mitigations that this CPU needs and can do. Pure; S10. switcher/mitigate.c */
PVM_API uint32_t pvm_switcher_mitigations(const struct pvm_switcher_cpu_id *id);
/* "verw", "rsb_fill" ..; NULL: @bit is not exactly one enum pvm_mitigation. */
PVM_API const char *pvm_switcher_mitigation_name(uint32_t bit);

/* What a CPU that says @id of itself has for the switcher. Pure. switcher/detect.c */
PVM_API void pvm_switcher_judge(const struct pvm_switcher_cpu_id *id,
				struct pvm_switcher_features *features);
/* At CPL 0: the same of this CPU, from CPUID, CR4, EFER and MSRs. */
PVM_API void pvm_switcher_detect(struct pvm_switcher_features *features);

/* ------------------------------------------------------------------------
 * The host.
 */

struct pvm_switcher_ops {
	/* A zeroed 4 KiB page for the tables of a VM's slot; PVM_OK or PVM_ENOMEM. */
	int (*page_alloc)(void *host, struct pvm_host_page *page);
	void (*page_free)(void *host, struct pvm_host_page page);
	/* Where a page of the switcher's text or of an area is; PVM_INVALID_ADDR: nowhere. */
	pvm_hpa_t (*va_to_pa)(void *host, const void *va);
	/* Send CPU @cpu an interrupt, any that ends a guest there. Must not wait. */
	void (*kick)(void *host, uint32_t cpu);
	/* A writable alias of this CPU's host GDT. May be NULL: it is writable where GDTR says. */
	uint64_t *(*gdt)(void *host);
	/* Once round a loop that waits for another CPU. May be NULL. */
	void (*relax)(void *host);
	/*
	 * A #PF came while a guest ran; interrupts are off. True: it is the host's own, as one by which
	 * the hypervisor below says that a page of the host's has to come first, and @cr2 is no address. The
	 * guest is left as by a kick, before the instruction. May be NULL: every #PF is the guest's.
	 */
	bool (*owns_fault)(void *host, uint64_t cr2);
};

/* Selectors are those of the host's GDT; the switcher's own GDT has the same at
 * the same places. */
struct pvm_switcher_config {
	struct pvm_switcher_features features;	/* of the CPUs: all alike */
	uint16_t host_cs, host_ss;		/* RPL 0 */
	uint16_t user32_cs, user_ds, user_cs;	/* RPL 3; user32_cs, + 8, + 16: what SYSRET needs */
	uint16_t cpunode_sel;			/* as in pvm_vm_config, or 0 */
	uint8_t tls_index;
	uint16_t tss_sel;			/* of the switcher's own TSS; an entry pair below 32 */
	uint16_t ldt_sel;			/* four entries below 32, for guests' LDTs; 0: none has one */
	/* PCIDs that the host never uses itself, 1..4095 (S7). Ignored without PCIDs. */
	uint16_t pcid_first, pcid_count;	/* PVM_SWITCHER_TAGS of them are used */
	uint16_t pcid_host_last;		/* the highest that it uses itself */
	/* Addresses in the host's page tables have an encryption bit (AMD SME), which the switcher's have
	 * not: refused (S9). */
	bool host_encrypts;
	/*
	 * On a CPU with Meltdown a guest can read the areas of all CPUs: addresses of the
	 * host, and registers of whatever guest runs there, of any VM. True: the host says
	 * that they may be known, and has no global pages (CR4.PGE) with secrets in them.
	 */
	bool meltdown_accepted;
	/*
	 * What is added to the host's addresses of text and areas for their addresses in guests: whole
	 * top-level slots of 4-level tables (512 GiB), modulo 2^64. Not 0: from pvm_switcher_load() to
	 * _unload() the host's own root has them there, too, mapped as in a guest: a slot's tables made by
	 * pvm_switcher_vm_init(), with no guest, are what it needs.
	 */
	uint64_t alias;
	/*
	 * A stretch of the switcher's slot that the host has nothing in: page
	 * window_va + 4096 * pvm_vcpu::id shows that vCPU's PVCS to the switcher.
	 */
	uint64_t window_va;
	uint32_t window_count;			/* vCPUs per VM, at most */
	/*
	 * With ldt_sel: another such stretch, 64 KiB and as many again for each of PVM_SWITCHER_LDTS or
	 * of window_count, whichever is less. pvm_switcher_vm_ldts()
	 */
	uint64_t ldt_va;
	/*
	 * For CPUs that may come after the first VM: the areas of all, below cpu_count, one after the
	 * other, with memory. NULL: every CPU has its own before.
	 */
	const void *areas;
};

/* One per host. Fields are the switcher's. */
struct pvm_switcher {
	struct pvm_switcher_config config;
	const struct pvm_switcher_ops *ops;
	void *host;
	uint16_t slot;				/* top-level index that holds text and areas */
	uint16_t pml4_slot;			/* the same of the table of level 4 */
	struct pvm_switcher_cpu **cpus;		/* [cpu_count], the host's array */
	uint32_t cpu_count;
	uint64_t tags_gen;			/* the last one that a VM got */
	uint64_t vms;				/* made so far */
};

/**
 * pvm_switcher_init - take a host's configuration.
 * @cpus: array of @cpu_count pointers, at first NULL; must outlive the switcher.
 * @why: on failure, a static sentence that names what is missing (S9).
 *
 * Returns PVM_OK, PVM_EINVAL (a configuration that cannot work) or PVM_ENOSYS (a
 * CPU without what the switcher needs).
 */
PVM_API int pvm_switcher_init(struct pvm_switcher *switcher, const struct pvm_switcher_config *config,
			      const struct pvm_switcher_ops *ops, void *host,
			      struct pvm_switcher_cpu **cpus, uint32_t cpu_count, const char **why);

/**
 * pvm_switcher_cpu_init - make a CPU's area. Run on that CPU.
 * @area: PVM_SWITCHER_AREA_SIZE bytes, so aligned, zeroed, in the switcher's slot,
 *        mapped in the host and kept.
 * @cpu: its number, below cpu_count.
 *
 * Reads the host's IDTR, GDTR, TR and the IST stacks of its TSS: three IST entries
 * must be free. A CPU that is not as config.features says is refused. Returns PVM_OK,
 * PVM_EINVAL or PVM_ENOSYS with @why as above. Must come before the first
 * pvm_switcher_vm_init(), unless config.areas has the area.
 */
PVM_API int pvm_switcher_cpu_init(struct pvm_switcher *switcher, void *area, uint32_t cpu,
				  const char **why);

/**
 * pvm_switcher_load, _unload - make a CPU the switcher's and give it back. On that
 * CPU, interrupts off. Between the two the host may take interrupts and NMIs and
 * run at CPL 0, but not at CPL 3. Both may be called twice in a row.
 */
PVM_API void pvm_switcher_load(struct pvm_switcher_cpu *cpu);
PVM_API void pvm_switcher_unload(struct pvm_switcher_cpu *cpu);

#define PVM_SWITCHER_MSRS 8	/* that a CPU may have others of while a guest runs */

struct pvm_switcher_msr {
	uint32_t index;
	uint64_t guest;		/* while a guest runs: nothing that WRMSR refuses */
};

/**
 * pvm_switcher_set_msrs - MSRs that have another value while a guest runs on this CPU.
 * @msrs: in the order in which they are written; none of those that the switcher itself writes.
 * @count: 0: none any more.
 *
 * For what the host's performance counters must not do in a guest (PEBS, BTS). Each entry reads the host's
 * value, after the last NMI that the host sees, and each exit writes it back, in the same order, before the
 * next. On that CPU, interrupts off, not in pvm_switcher_run(). PVM_OK, or PVM_EINVAL: more than
 * PVM_SWITCHER_MSRS; then nothing has changed.
 */
PVM_API int pvm_switcher_set_msrs(struct pvm_switcher_cpu *cpu, const struct pvm_switcher_msr *msrs,
				  uint32_t count);

/* ------------------------------------------------------------------------
 * VMs and vCPUs.
 */

/* The tables below the switcher's slot in a VM's shadow roots. */
struct pvm_switcher_vm {
	struct pvm_switcher *switcher;
	uint64_t id;				/* no other VM of this switcher ever has it; not 0 */
	uint64_t tags_gen;			/* of its tags: older ones are void; of no other VM */
	uint64_t entry;				/* for pvm_vm_config::switcher_entry */
	uint64_t pml4_entry;			/* for ::switcher_pml4_entry, with CR4.LA57; else 0 */
	void *pages;				/* list of the tables */
	struct pvm_switcher_vcpu *vcpus;	/* list */
	uint32_t ldts;				/* vCPUs below this may have LDTs */
};

/* PVM_OK, PVM_ENOMEM. Then: config.switcher_slot = switcher->slot, .switcher_entry
 * = vm->entry; and where slot is the last of 5-level tables, so that guests may have what is not the
 * switcher's of it: .switcher_pml4_slot = switcher->pml4_slot, .switcher_pml4_entry = vm->pml4_entry. */
PVM_API int pvm_switcher_vm_init(struct pvm_switcher_vm *vm, struct pvm_switcher *switcher);
/**
 * pvm_switcher_vm_ldts - vCPUs of the VM below @count may have LDTs: pvm_vm_config::host_ldt.
 * Once, after pvm_switcher_vm_init() and before the first vCPU. What it takes of memory goes with the VM,
 * also where it fails: PVM_ENOMEM, PVM_EINVAL (no config.ldt_va, or more than PVM_SWITCHER_LDTS).
 */
PVM_API int pvm_switcher_vm_ldts(struct pvm_switcher_vm *vm, uint32_t count);
/* After pvm_vm_destroy(). */
PVM_API void pvm_switcher_vm_destroy(struct pvm_switcher_vm *vm);

/* A page table pair whose roots LOAD_PGTBL may load without the host. */
struct pvm_switcher_pgtbl {
	uint64_t cr3, switch_cr3;		/* as the guest loads them */
	pvm_hpa_t root[2];			/* supervisor's, user's */
};

struct pvm_switcher_vcpu {			/* the switcher's, but for inhibit and serve */
	struct pvm_vcpu *vcpu;
	struct pvm_switcher_vm *vm;
	const struct pvm_abi_switches *switches;	/* of its guest ABI */
	struct pvm_switcher_vcpu *next;
	struct pvm_switcher_cpu *cpu;		/* where it ran last */
	uint32_t request;			/* an exit is asked for */
	uint32_t inhibit;			/* the host's own reasons not to switch directly */
	bool serve;				/* the host's: see pvm_switcher_run() */
	uint64_t tags_gen;			/* that the published roots belong to */
	uint64_t role;				/* the same: pvm_mmu_root_role() */
	uint64_t roots_gen;			/* of the vCPU's roots, when looked at last */
	pvm_hpa_t root[2];
	uint64_t special;			/* the guest's DR7 if any is armed; SPECIAL_LDT */
	uint32_t ldt_pages;			/* of its LDT that are shown in the VM's slot */
	uint32_t fixed_inhibit;			/* what of it changes with the MSRs only */
	const volatile uint64_t *waits;		/* the word that tells the guest that an interrupt waits */
	uint64_t waits_bit;
	uint64_t window_gpa, window_pins;	/* of the PVCS in the window */
	uint64_t pvcs;				/* its address in the window, 0: none */
	struct pvm_switcher_cpu *shown_on;	/* whose area has all of what follows */
	uint32_t published_count, published_next;
	struct pvm_switcher_pgtbl published[PVM_SWITCHER_PUBLISHED];
};

/* @vcpu: initialised, its id below window_count; its VM's configuration must agree with the
 * switcher's on selectors, LA57, PKE and NX, and host_ldt with pvm_switcher_vm_ldts().
 * PVM_OK or PVM_EINVAL. Calls on one
 * VM's vCPU list must not race with each other nor with a flush. */
PVM_API int pvm_switcher_vcpu_init(struct pvm_switcher_vcpu *svcpu, struct pvm_switcher_vm *vm,
				   struct pvm_vcpu *vcpu);
/* Before pvm_vcpu_destroy(); not running. */
PVM_API void pvm_switcher_vcpu_destroy(struct pvm_switcher_vcpu *svcpu);

/* Why a guest must come out at each of its mode switches: bits of one word (S3).
 * The first is for the host to set in pvm_switcher_vcpu::inhibit. */
enum pvm_inhibit {
	PVM_INHIBIT_HOST	= 1 << 0,	/* the host wants to see every switch (trace) */
	PVM_INHIBIT_PVCS	= 1 << 1,	/* there is no PVCS */
	PVM_INHIBIT_NMI		= 1 << 2,	/* an NMI is masked or pending: returns unmask */
	PVM_INHIBIT_INTERRUPT	= 1 << 3,	/* PVCS IP: an interrupt waits for a return */
	PVM_INHIBIT_ROOT	= 1 << 4,	/* the other mode's root is not at hand */
	PVM_INHIBIT_ENTRY	= 1 << 5,	/* LSTAR is not a legal address */
	PVM_INHIBIT_CR4		= 1 << 6,	/* user mode has another CR4 than supervisor mode */
	PVM_INHIBIT_RETRY	= 1 << 7,	/* a #PF was raised: the return from it fills its page */
};

/* ------------------------------------------------------------------------
 * Running.
 */

/*
 * guest.kind PVM_EXIT_FAILED is the switcher's own failure: guest.vector and .error_code
 * of the exception it ran into, at address; the vCPU is lost, the host's state is whole.
 * PVM_EXIT_ACTION comes only with pvm_switcher_vcpu::serve, never with PVM_ACT_RESUME.
 */
struct pvm_switcher_exit {
	struct pvm_guest_exit guest;	/* for pvm_handle_exit() */
	bool nmi, machine_check;	/* one came while the guest or the switcher ran */
	uint64_t address;		/* PVM_EXIT_FAILED: RIP in the switcher */
};

/* The host is about to look at what the vCPU should do: earlier requests are met. */
static inline void pvm_switcher_clear_request(struct pvm_switcher_vcpu *svcpu)
{
	__atomic_store_n(&svcpu->request, 0, __ATOMIC_SEQ_CST);
}

/**
 * pvm_switcher_kick - make a vCPU leave the guest, or not enter it, once.
 * Callable from any CPU. When it returns, the next pvm_switcher_run() that begins
 * before pvm_switcher_clear_request() answers PVM_EXIT_KICK, and one under way ends soon.
 */
PVM_API void pvm_switcher_kick(struct pvm_switcher_vcpu *svcpu);

/**
 * pvm_switcher_run - run the guest until something needs the host.
 * @cpu: this CPU's area, which is loaded if it is not; interrupts are off, and off on return.
 * @svcpu: its pvm_vcpu's registers go to the CPU and come back; mode switches and
 *         LOAD_PGTBL that the switcher did by itself are in it on return.
 * @root: what pvm_handle_exit() gave for it.
 * @exit: overwritten.
 *
 * With pvm_switcher_vcpu::serve the exits that one engine call answers without
 * sleeping (page faults, hypercalls of the engine's that offer no interrupt,
 * exceptions that need no decoder) are answered here, and the guest goes on. What
 * the engine asks for beyond that comes as PVM_EXIT_ACTION; what would sleep comes
 * as the exit that it was, with nothing changed. PVM_INHIBIT_HOST shows every exit.
 *
 * spec: Underlying states, Events and Mode Changing
 */
PVM_API void pvm_switcher_run(struct pvm_switcher_cpu *cpu, struct pvm_switcher_vcpu *svcpu,
			      pvm_hpa_t root, struct pvm_switcher_exit *exit);

/* Run the host's own handler of @vector, as if the CPU had interrupted the caller:
 * through its IDT, with a frame of the caller's; IST stacks are not switched to. Interrupts
 * are off, and off on return. The frame of an interrupt says that they were on, as they were
 * in the guest: they are for one instruction after the handler. NMI and #MC: not. */
PVM_API void pvm_switcher_host_vector(struct pvm_switcher_cpu *cpu, uint8_t vector);

/* The host's share of an exit: its handlers of an NMI, a machine check and the interrupt
 * that ended the guest. Directly after pvm_switcher_run(): until then NMIs may be
 * blocked (S12). */
static inline void pvm_switcher_host_events(struct pvm_switcher_cpu *cpu,
					    const struct pvm_switcher_exit *exit)
{
	if (exit->nmi)
		pvm_switcher_host_vector(cpu, PVM_VEC_NMI);
	if (exit->machine_check)
		pvm_switcher_host_vector(cpu, PVM_VEC_MC);
	if (exit->guest.kind == PVM_EXIT_INTERRUPT)
		pvm_switcher_host_vector(cpu, exit->guest.vector);
}

/* ------------------------------------------------------------------------
 * Flushes, with the CR3 signal (S13): pvm_host_ops::tlb_flush of a host that runs
 * its guests with the switcher. A CPU that has another root loaded is not
 * interrupted; it owes the flush and pays before it uses that root again.
 */
PVM_API void pvm_switcher_flush(struct pvm_switcher_vm *vm, const struct pvm_tlb_flush *flush);

/* Counters of a CPU; never reset. */
struct pvm_switcher_stats {
	uint64_t entries;		/* pvm_switcher_run() that got into the guest */
	uint64_t user_syscalls, returns_user, returns_supervisor, load_pgtbls;	/* direct */
	uint64_t window_nmis, window_mces, window_dbs;	/* taken inside the switcher */
	uint64_t flushes_owed, flushes_paid, flush_kicks;
};
PVM_API void pvm_switcher_get_stats(const struct pvm_switcher_cpu *cpu, struct pvm_switcher_stats *stats);

#endif /* PVM_SWITCHER_H */
