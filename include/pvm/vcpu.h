/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The virtual CPU: the state that all engines share, and the rules for reading
 * and writing its registers. Also the VM's fixed configuration.
 *
 * Owned by libpvm/vcpu/. The backend fills gpr, rip, rflags, seg, fs_base,
 * gs_base, dr6 and pkru from the CPU at each exit, makes one engine call,
 * and loads the CPU from them again; it touches nothing else in here.
 *
 * spec: PVM modes and states
 */
#ifndef PVM_VCPU_H
#define PVM_VCPU_H

#include <pvm/abi.h>
#include <pvm/host.h>
#include <pvm/types.h>
#include <pvm/vcpu_mmu.h>
#include <pvm/x86.h>

/* ------------------------------------------------------------------------
 * Configuration of a VM: fixed when it is made.
 */

/* The numbers are for good: ELF notes of guests and snapshots name them. */
enum pvm_abi {
	PVM_ABI_DUAL_CR3,
	PVM_ABI_SINGLE_CR3,
	PVM_ABI_LOWER_HALF,	/* named, not built yet: pvm_vm_init() refuses it */
	PVM_ABI_XEN_PV,
	PVM_ABI_COUNT
};

/* One CPUID leaf as the host reports it. */
struct pvm_cpuid_entry {
	uint32_t leaf, subleaf;
	bool subleaf_matters;
	uint32_t eax, ebx, ecx, edx;
};

/* Half-open index ranges of the upper half, as MSR_PVM_LINEAR_ADDRESS_RANGE
 * encodes them; both 0x1ff: no such range. */
struct pvm_linear_range {
	uint16_t pml4_start, pml4_end;	/* 256 <= start < end < 511, or 0x1ff, 0x1ff; end 512 where
					 * the guest ABI may have the last slot */
	uint16_t pml5_start, pml5_end;	/* the same; must be none without host_la57 */
};

/* Every bit of CR4 that a guest may ever have, and has unless its configuration says less.
 * docs/cr4.md */
#define PVM_CR4_GUEST \
	(PVM_CR4_TSD | PVM_CR4_DE | PVM_CR4_PSE | PVM_CR4_PAE | PVM_CR4_MCE | PVM_CR4_PGE | \
	 PVM_CR4_PCE | PVM_CR4_OSFXSR | PVM_CR4_OSXMMEXCPT | PVM_CR4_UMIP | PVM_CR4_LA57 | \
	 PVM_CR4_FSGSBASE | PVM_CR4_PCIDE | PVM_CR4_OSXSAVE | PVM_CR4_PKE | PVM_CR4_PKS)

/* PVM_ABI_XEN_PV's own; pvm/xen.h. Others do not look at it. */
struct pvm_xen_config {
	uint32_t vcpus;			/* ids are below; at most PVM_XEN_VCPUS_MAX */
	uint64_t pages;			/* memory from gfn 0 on */
	pvm_gfn_t shared_info;		/* a frame of memory above that */
	pvm_gfn_t grants;		/* frames of memory above that, for the guest's grants */
	uint32_t grant_frames;		/* 0: no grants, at most 64 */
	/*
	 * The table of frame numbers by frame, of which every entry is its own index: a
	 * top-level slot of every root, that the guest reads. m2p_entry 0: none.
	 */
	uint16_t m2p_slot;
	uint64_t m2p_entry;		/* without PVM_PTE_W, with PVM_PTE_U and PVM_PTE_NX */
	uint64_t m2p_frames;		/* that it has */
};

struct pvm_vm_config {
	enum pvm_abi abi;

	/* The host CPU as it runs guests: the underlying control registers. */
	bool host_la57;			/* underlying CR4.LA57: roots have five levels (M5) */
	bool host_nx;			/* underlying EFER.NXE */
	bool host_pke;			/* underlying CR4.PKE */
	bool host_umip;
	bool host_osxsave;
	bool host_page1g;		/* may the shadow tables use 1 GiB pages */
	uint8_t host_maxphyaddr;	/* bits, 36..52 */
	uint8_t guest_maxphyaddr;	/* bits, 36..52: what the guest's CPUID says */

	/* Underlying GDT selectors, RPL 3 included. */
	uint16_t user32_cs, user_cs, user_ds;
	uint16_t cpunode_sel;		/* a further DPL-3 data entry, or 0 */
	uint8_t tls_index;		/* GDT index of the first of three TLS entries */
	bool host_ldt;			/* the host loads pvm_vcpu::ldt; only where the guest ABI has LDTs */

	/* Emulated CS and SS of supervisor mode, RPL 0: what MSR_STAR must agree with. */
	uint16_t kernel_cs, kernel_ds;

	struct pvm_linear_range range;	/* the widest, where it is reset to */

	const struct pvm_cpuid_entry *cpuid;	/* raw host values; must outlive the VM */
	uint32_t cpuid_count;
	/*
	 * The bits of CR4 that the guest may set, of PVM_CR4_GUEST; 0: all of them. Bits
	 * that are always set need not be named. A write that sets another is #GP and is
	 * traced (PVM_TRACE_CR4), and CPUID does not offer what needs one that is missing.
	 */
	uint64_t guest_cr4;
	uint32_t pvm_features;		/* CPUID 0x40000002 EAX */
	bool deployed_cpuid_signature;	/* report "PVM" instead of the specification's "pvm" */

	/*
	 * The switcher's top-level slot, installed in every shadow root, not
	 * reachable for the guest (M1: no U bit). switcher_entry 0: none.
	 */
	uint16_t switcher_slot;
	uint64_t switcher_entry;
	/*
	 * With host_la57 and slot 511: the switcher needs but one slot of the table of level 4 there,
	 * @switcher_pml4_slot, and the guest may have the others, which are a 4-level guest's upper
	 * half. Every table of that place has the entry, and without one of the guest's
	 * switcher_entry leads to the switcher's own. guest_cr4 has no LA57 then, as the root's entry
	 * would have the guest's rights. switcher_pml4_entry 0: it keeps the whole slot.
	 */
	uint16_t switcher_pml4_slot;
	uint64_t switcher_pml4_entry;

	uint32_t max_shadow_pages;	/* 0: no limit but the host's page_alloc() */
	struct pvm_xen_config xen;
};

struct pvm_mmu;
struct pvm_ldt;
struct pvm_abi_ops;

/* A VM: what its vCPUs have in common. Made by pvm_vm_init(). */
struct pvm_vm {
	struct pvm_vm_config config;
	const struct pvm_host_ops *ops;
	void *host;
	struct pvm_mmu *mmu;		/* owned by libpvm/mmu/ */
	const struct pvm_abi_ops *abi;	/* config.abi's; libpvm/abi/ */
	void *abi_data;			/* its */
};

/* ------------------------------------------------------------------------
 * State of a vCPU.
 */

/* The largest MSR_PVM_SUPERVISOR_REDZONE, in bytes; more is #GP. */
#define PVM_REDZONE_MAX 65536

/* The MSRs that the engine keeps as values. */
struct pvm_msrs {
	uint64_t star, lstar, cstar, syscall_mask;
	uint64_t kernel_gs_base;
	uint64_t sysenter_cs, sysenter_esp, sysenter_eip;
	uint64_t pkrs;
	uint64_t pat;
	uint64_t tsc_aux;

	uint64_t linear_address_range;
	uint64_t vcpu_struct;		/* gpa, 0: none */
	uint64_t supervisor_rsp;
	uint64_t supervisor_redzone;	/* bytes */
	uint64_t event_entry;
	uint64_t retu_rip, rets_rip;
	uint64_t switch_cr3;
};

/* A descriptor-table register that is only remembered. spec: GDTR, IDT */
struct pvm_dtr {
	uint64_t base;
	uint16_t limit;
};

enum pvm_shutdown {
	PVM_SHUTDOWN_NONE = 0,
	PVM_SHUTDOWN_DOUBLE_FAULT,	/* an exception while delivering one: #DF is a triple fault */
	PVM_SHUTDOWN_NO_PVCS,		/* an event that needs the PVCS, and there is none */
	PVM_SHUTDOWN_BAD_CR3,		/* a root page table outside memory */
	PVM_SHUTDOWN_BAD_ENTRY,		/* an entry point outside the legal ranges (M7) */
	PVM_SHUTDOWN_BAD_STACK,		/* EVENT_RETURN_SUPERVISOR with an unreadable frame */
	PVM_SHUTDOWN_EVENT_LOCKED,	/* an event in supervisor mode while the PVCS is in use */
	PVM_SHUTDOWN_COUNT
};

/* Details of the action that the last engine call returned. */
struct pvm_request {
	union {
		struct {
			uint64_t nr;		/* RAX */
			uint64_t arg[4];	/* RBX, RCX (from R10), RDX, RSI */
		} hypercall;
		struct {
			uint32_t index;
			uint64_t value;		/* WRMSR: to write */
			bool by_hypercall;	/* HC_RDMSR/HC_WRMSR, else the instruction */
			uint8_t insn_length;
		} msr;
		struct {
			uint16_t port;
			uint8_t size;		/* 1, 2 or 4 bytes */
			bool write;
			uint32_t value;		/* OUT: the value */
			uint8_t insn_length;

			/* String I/O, one element at a time; only pvm_complete_io() looks. */
			bool string, rep;
			uint8_t address_size;	/* bytes: 4 or 8 */
			pvm_gva_t gva;		/* INS: where the element goes */
		} io;
		struct {
			pvm_gva_t gva;
			pvm_gpa_t gpa;
			bool write;
		} mmio;
		struct {
			enum pvm_shutdown reason;
			uint8_t vector;		/* of the event that could not be delivered; 0xff: none */
			uint64_t address;	/* what was out of place: entry, stack, cr3 */
		} shutdown;
		struct {
			uint32_t reason;	/* enum pvm_xen_shutdown */
		} system_event;
	};
	/* Not one of those: where memory was lost, what a port has answered waits for it. */
	struct {
		int code;			/* enum pvm_error */
	} error;
};

struct pvm_vcpu {
	struct pvm_vm *vm;
	uint32_t id;			/* also the x2APIC id */

	/* Filled by the backend at each exit, loaded from here on entry. */
	uint64_t gpr[PVM_GPR_COUNT];
	uint64_t rip;
	uint64_t rflags;		/* underlying: IF is always 1; see pvm_vcpu_rflags() */
	uint16_t seg[PVM_SEG_COUNT];	/* CS and SS: the PVM view; see pvm_vcpu_underlying_cs() */
	uint64_t fs_base, gs_base;
	uint64_t cr2;
	uint64_t dr[4], dr6, dr7;	/* the PVM view; see pvm_vcpu_underlying_dr7() */
	uint32_t pkru;			/* underlying PKRU of the mode it is in */

	/* The engine's. */
	bool user_mode;			/* PVM CPL 3 */
	bool nmi_masked;
	bool nmi_pending;
	bool halted;			/* IRQ_HLT or HLT: waits for an event */
	uint64_t cr0, cr3, cr4, cr8, efer;
	struct pvm_dtr gdtr, idtr;
	uint16_t ldtr, tr;
	uint64_t tls[3];		/* rectified descriptors, GDT index config.tls_index.. */
	uint64_t cpunode;		/* that of config.cpunode_sel in the switcher; 0: the host's own */
	struct pvm_ldt *ldt;		/* libpvm/vcpu/ldt.h; NULL: it never had one */
	struct pvm_msrs msr;
	void *pvcs;			/* msr.vcpu_struct in host memory, pinned, laid out as
					 * its ABI says; NULL: none */
	pvm_hpa_t pvcs_page;		/* the pinned page; valid while pvcs is */
	uint64_t pins;			/* counts pages pinned for it (S8) */
	struct {
		bool waits;		/* for memory: pvm_handle_exit() delivers it */
		uint8_t vector;
		uint32_t error_code;
	} kept_event;
	bool io_late;			/* request.io.value came in and has no place yet */
	uint64_t io_late_rip;		/* of the instruction */
	uint64_t starved_rip;		/* where memory was short last, and how often there */
	uint32_t starved;
	struct pvm_vcpu_mmu mmu;
	struct pvm_request request;

	/* Counts the calls that may have changed an MSR (other than KERNEL_GS_BASE and
	 * SUPERVISOR_RSP), a control or debug register, the TLS entries, the LDT or the PVCS's
	 * place: a host that keeps copies of those compares this alone. */
	uint64_t state_gen;

	/*
	 * The host's: the thread that calls for this vCPU may lose its CPU to one that then spins
	 * for it, as a holder of a kernel's spin lock does. The engine takes the MMU lock then,
	 * instead of working beside others.
	 */
	bool preemptible;
	/*
	 * The call must not take long, as its caller has interrupts off (M12): what would asks to be
	 * called again. pvm_handle_exit() and pvm_switcher_run() set it by themselves, and leave it
	 * clear; whoever calls pvm_event_deliver() with interrupts off sets it around the call.
	 */
	bool brief;
	/*
	 * The host's: whoever debugs the guest, or the host itself, sees to TF after an instruction
	 * that an engine call carries out. The call delivers no #DB for it then, and sets stepped.
	 */
	bool host_steps;
	bool stepped;			/* the engine's; cleared by the host */
	bool restores;			/* the engine's: pvm_msr_restore() writes */
	void *backend;			/* the backend's; the engine never looks at it */
	void *abi_data;			/* the guest ABI's */
};

/* The vCPU's mode. spec: PVM modes and states */
enum pvm_mode {
	PVM_MODE_SUPERVISOR,
	PVM_MODE_USER64,
	PVM_MODE_USER32,		/* CS is config.user32_cs, or of an LDT */
};

/* ------------------------------------------------------------------------
 * Life of a VM and its vCPUs. libpvm/vcpu/vcpu.c
 */

/**
 * pvm_vm_config_check - is this configuration one that the engine can run?
 * @config: what pvm_vm_init() would get.
 * @why: set to a static sentence that names the field at fault, or NULL.
 *
 * Returns PVM_OK, PVM_EINVAL, or PVM_ENOSYS for a dialect that is not built.
 * (S9: the caller refuses to start with this one line.)
 */
PVM_API int pvm_vm_config_check(const struct pvm_vm_config *config, const char **why);

/**
 * pvm_vm_init - make a VM in caller-provided memory.
 * @vm: overwritten.
 * @config: copied; pvm_vm_config_check() must pass.
 * @ops: must outlive the VM.
 * @host: handed to every operation.
 *
 * May sleep. Returns PVM_OK, PVM_EINVAL, PVM_ENOSYS or PVM_ENOMEM.
 */
PVM_API int pvm_vm_init(struct pvm_vm *vm, const struct pvm_vm_config *config,
			const struct pvm_host_ops *ops, void *host);

/* Frees every page the engine holds. All vCPUs must have been destroyed. */
PVM_API void pvm_vm_destroy(struct pvm_vm *vm);

/**
 * pvm_vcpu_init - make a vCPU in caller-provided memory, in its reset state.
 * @vcpu: overwritten.
 * @vm: the VM it belongs to.
 * @id: its number, 0 for the first, at most PVM_VCPU_ID_MAX; no other vCPU's of the VM.
 *
 * Returns PVM_OK, PVM_EINVAL (@id), or PVM_ENOMEM.
 */
#define PVM_VCPU_ID_MAX 16381	/* M7: it names the vCPU's own ranges, in the 14 bits of a role */
PVM_API int pvm_vcpu_init(struct pvm_vcpu *vcpu, struct pvm_vm *vm, uint32_t id);

/* Unpins the PVCS and lets go of the shadow roots. The vCPU must not be running,
 * and be initialised again before any other call. */
PVM_API void pvm_vcpu_destroy(struct pvm_vcpu *vcpu);

/**
 * pvm_vcpu_reset - the state at power-up: 64-bit supervisor mode, all PVM MSRs
 * at their reset values, no PVCS, rip 0. The backend then sets rip, rsp, rsi
 * and CR3 as its boot protocol wants.
 *
 * spec: PVM modes and states (CR0, CR4, EFER, RFLAGS, MSR defaults)
 */
PVM_API void pvm_vcpu_reset(struct pvm_vcpu *vcpu);

/**
 * pvm_pvcs_renew - the host has other memory at the PVCS's address than it had, or none.
 *
 * The vCPU's own thread; may sleep. What was pinned is let go, and what is there now is pinned. PVM_OK, also
 * where there is no PVCS; PVM_EINVAL: there is no memory, and no PVCS any more. PVM_EAGAIN, PVM_ENOMEM,
 * PVM_EFAULT (the host lost the memory): not now; until a later call has another answer the vCPU is not run.
 */
PVM_API int pvm_pvcs_renew(struct pvm_vcpu *vcpu);

/* Before that, any thread, which may sleep: when this returns no thread but the vCPU's own uses what is
 * pinned. */
PVM_API void pvm_pvcs_leave(struct pvm_vcpu *vcpu);

/* ------------------------------------------------------------------------
 * Derived state. libpvm/vcpu/
 */

/* The mode it is in now; never fails. spec: PVM modes and states */
PVM_API enum pvm_mode pvm_vcpu_mode(const struct pvm_vcpu *vcpu);

/* RFLAGS as the guest sees it: IF from the PVCS in supervisor mode, 1 in user
 * mode, 0 in supervisor mode without a PVCS. spec: RFLAGS */
PVM_API uint64_t pvm_vcpu_rflags(const struct pvm_vcpu *vcpu);

/* Underlying CS and SS to run the guest with: user_cs, or user32_cs in compatible
 * user mode; SS is user_ds in every mode. With config.host_ldt user mode may have others, of the
 * LDT, and SS one of the TLS entries; what is wrong with those is the CPU's to say.
 * spec: CS, SS in supervisor mode */
PVM_API uint16_t pvm_vcpu_underlying_cs(const struct pvm_vcpu *vcpu);
PVM_API uint16_t pvm_vcpu_underlying_ss(const struct pvm_vcpu *vcpu);

/* DR7 to load: GD clear, breakpoints outside the legal ranges off (M7).
 * spec: Underlying DR7 */
PVM_API uint64_t pvm_vcpu_underlying_dr7(const struct pvm_vcpu *vcpu);

/**
 * pvm_vcpu_underlying_cr4 - CR4 to load while the guest runs.
 * @host_cr4: CR4 as the host has it. @user_mode: the mode of the guest, which need not be
 *            the one that the vCPU is in.
 *
 * TSD is the guest's in user mode, where it may have it, and clear in supervisor mode, which
 * runs at CPL 3 and may read the TSC all the same. VME, PVI, PCE, KL, UINTR, LASS and LAM_SUP
 * are clear. All others are the host's. docs/cr4.md
 */
PVM_API uint64_t pvm_vcpu_underlying_cr4(const struct pvm_vcpu *vcpu, uint64_t host_cr4,
					 bool user_mode);

/* RFLAGS to load for any guest value: S2. spec: PVCS::eflags */
PVM_API uint64_t pvm_rflags_sanitize(uint64_t rflags);

/* @addr with bits 63..N as bit N-1, N being the host's linear address width (48
 * or 57). spec: PVCS::user_gsbase */
PVM_API uint64_t pvm_semi_canonical(const struct pvm_vcpu *vcpu, uint64_t addr);

/* Canonical for the guest's paging depth (48 or 57 bits)? */
PVM_API bool pvm_canonical(const struct pvm_vcpu *vcpu, uint64_t addr);

/* In the lower half or in one of the two legal ranges of the upper half, and
 * canonical? (M7) spec: MSR_PVM_LINEAR_ADDRESS_RANGE */
PVM_API bool pvm_legal_address(const struct pvm_vcpu *vcpu, pvm_gva_t gva);

/* Is @sel data, as a hypercall that loads a selector takes it? spec: DS/ES/FS/GS */
PVM_API bool pvm_data_selector_valid(const struct pvm_vcpu *vcpu, uint16_t sel);

/* May DS, ES, FS or GS hold @sel? What the guest's own MOV loads: data, and the code
 * segments of user mode, which can be read (push %cs; pop %es). */
PVM_API bool pvm_selector_loadable(const struct pvm_vcpu *vcpu, uint16_t sel);

/* The descriptor that @sel names, as the CPU has it: one of the TLS or of an LDT. 0: there is none, or @sel
 * is NULL or one of the hypervisor's segments, which are flat. */
PVM_API uint64_t pvm_vcpu_descriptor(const struct pvm_vcpu *vcpu, uint16_t sel);

/**
 * pvm_load_gs - load GS and its base, NULL on a bad selector.
 * @sel: any value; what pvm_data_selector_valid() takes is loaded.
 * Never fails. Returns the new GS base: a TLS or an LDT entry's, else 0.
 * spec: PVM_HC_LOAD_GS
 */
PVM_API uint64_t pvm_load_gs(struct pvm_vcpu *vcpu, uint16_t sel);

/**
 * pvm_load_tls - rectify three descriptors and make them the TLS entries.
 * @desc: raw GDT entries. A present 32-bit data segment is kept with DPL 3 and
 *        the accessed bit forced; anything else (code, a system or a 16-bit
 *        segment) becomes an empty entry.
 * Returns the GDT index of the first. spec: PVM_HC_LOAD_TLS
 */
PVM_API uint64_t pvm_load_tls(struct pvm_vcpu *vcpu, const uint64_t desc[3]);

/* ------------------------------------------------------------------------
 * Registers with rules.
 */

/**
 * pvm_msr_read, pvm_msr_write - RDMSR and WRMSR without the privilege check.
 * @index: MSR number. @value: read into (untouched on failure), or to write; a
 *         write that fails changes nothing. CR3, range and PVCS take effect now.
 *
 * Returns PVM_OK; PVM_EINVAL where the instruction raises #GP (a value that
 * breaks the MSR's rules, a PVCS address that is not memory, an index of the PVM
 * block that is not an MSR of the dialect); PVM_ENOENT for an MSR that is not the
 * engine's: the backend's to answer; write only: PVM_EAGAIN, PVM_ENOMEM, PVM_EFAULT
 * where pvm_host_ops::pin() said so.
 * spec: X86 MSR, PVM MSRs
 */
PVM_API int pvm_msr_read(struct pvm_vcpu *vcpu, uint32_t index, uint64_t *value);
PVM_API int pvm_msr_write(struct pvm_vcpu *vcpu, uint32_t index, uint64_t value);
/* As pvm_msr_write(), for a host that sets registers one by one, in any order: an address is judged as
 * pvm_vcpu_restore() does, by the widest range and the widest addresses that the VM may have. */
PVM_API int pvm_msr_restore(struct pvm_vcpu *vcpu, uint32_t index, uint64_t value);

/**
 * pvm_cr_read, pvm_cr_write - MOV from and to CR0, CR2, CR3, CR4, CR8.
 * @cr: number of the register. @value: read into, or to write.
 * Writes to CR3 flush its tag unless bit 63 says not to (CR4.PCIDE).
 *
 * Returns PVM_OK; PVM_EINVAL: #GP; PVM_ENOENT: no such register, #UD; after
 * either the register is as it was. spec: States or registers on PVM modes, TLB
 */
PVM_API int pvm_cr_read(struct pvm_vcpu *vcpu, unsigned cr, uint64_t *value);
PVM_API int pvm_cr_write(struct pvm_vcpu *vcpu, unsigned cr, uint64_t value);

/* MOV from and to DR0..DR7 (4 and 5 alias 6 and 7 unless CR4.DE). Any address may
 * be written to DR0..DR3; see pvm_vcpu_underlying_dr7(). DR7.GD is the caller's.
 * PVM_OK; PVM_EINVAL: #GP; PVM_ENOENT: #UD. spec: Underlying DR6, Underlying DR7 */
PVM_API int pvm_dr_read(struct pvm_vcpu *vcpu, unsigned dr, uint64_t *value);
PVM_API int pvm_dr_write(struct pvm_vcpu *vcpu, unsigned dr, uint64_t value);

/**
 * pvm_linear_range_encode, _decode - the value of MSR_PVM_LINEAR_ADDRESS_RANGE.
 * Decode returns PVM_OK or PVM_EINVAL when fixed bits or constraints are off.
 * @la57: underlying CR4.LA57; without it there is no PML5 range.
 * @range: what was decoded; untouched on failure.
 * pvm_linear_range_within - does @range lie within @widest? Both as decoded. No
 * PML5 range lies within every one; no PML4 range only within none.
 * spec: MSR_PVM_LINEAR_ADDRESS_RANGE
 */
PVM_API uint64_t pvm_linear_range_encode(const struct pvm_linear_range *range);
PVM_API int pvm_linear_range_decode(uint64_t msr, bool la57, struct pvm_linear_range *range);
PVM_API bool pvm_linear_range_within(const struct pvm_linear_range *range,
				     const struct pvm_linear_range *widest);

/**
 * pvm_cpuid - what the guest's CPUID says.
 * @leaf: EAX. @subleaf: ECX. @out: eax, ebx, ecx, edx.
 * Never fails: an unknown leaf reads as the highest basic leaf would on Intel
 * (zeroes above 0x40000000's maximum). spec: CPUID leaf
 */
PVM_API void pvm_cpuid(const struct pvm_vcpu *vcpu, uint32_t leaf, uint32_t subleaf, uint32_t out[4]);

/* Names for people; static strings, never NULL. */
PVM_API const char *pvm_shutdown_name(enum pvm_shutdown reason);
PVM_API const char *pvm_mode_name(enum pvm_mode mode);
PVM_API const char *pvm_vector_name(unsigned vector);
PVM_API const char *pvm_cr4_bit_name(unsigned bit);	/* "SMEP"; "reserved" */
PVM_API const char *pvm_version(void);
/* "dual-cr3"; NULL: an ABI that is not built. */
PVM_API const char *pvm_abi_name(enum pvm_abi abi);

#endif /* PVM_VCPU_H */
