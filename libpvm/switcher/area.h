/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * A CPU's area: all the memory of the switcher that is mapped while a guest runs.
 * Shared by entry.S (through the generated offsets.h) and the C side. Six pages;
 * every address of the area finds its start by clearing the bits below
 * PVM_SWITCHER_AREA_SIZE, which is how a handler on an IST stack finds it.
 *
 * Holds no contents of the host's memory, but addresses of the host and registers of the
 * guest that runs or ran last. Every VM's roots map every CPU's area: on a CPU by whose
 * fault CPL 3 can read supervisor pages, all of this is in reach of every guest. Such a CPU
 * is refused unless the host accepts it (docs/decisions/101).
 */
#ifndef PVM_SWITCHER_AREA_H
#define PVM_SWITCHER_AREA_H

#include <pvm/switcher.h>

#include "internal.h"

#define CACHE_LINE	64
#define HOST_SIGNAL	0	/* pvm_switcher_cpu::signal: the host's root is loaded */

/* pvm_switcher_cpu::pending: why a guest must not be entered. */
#define PENDING_NMI	1u
#define PENDING_MC	2u

/* pvm_switcher_cpu::flags, constant while a guest runs. */
#define AREA_PKE	1u
#define AREA_SMAP	2u

/* pvm_switcher_cpu::extras: one test for what few CPUs need. */
#define EXTRA_PKE	1u
#define EXTRA_MITIGATE	2u
#define EXTRA_DEBUG	4u
#define EXTRA_CR4	8u
#define EXTRA_MSRS	16u
#define EXTRA_CPUNODE	32u

/* In pvm_switcher_cpu::mitigations, beside PVM_MITIGATE_*: global_gva is to go at this entry. */
#define MITIGATE_GLOBAL	(1u << 31)
/* The same: selectors that only the guest's root has, and none but IRET. ldt.c */
#define MITIGATE_SELECTORS	(1u << 30)

/* In pvm_switcher_vcpu::special, beside the guest's DR7, whose bit 15 is never set. */
#define SPECIAL_DEBUG	0xffu		/* any L or G bit */
#define SPECIAL_LDT	(1u << 15)

/* pvm_switcher_cpu::kind, as entry.S leaves it. */
#define KIND_VECTOR	0	/* frame.vector says */
#define KIND_SYSCALL	1
#define KIND_SYSCALL32	2
#define KIND_KICK	3	/* nothing but what is pending */
#define KIND_FAULT	4	/* the switcher's own */
#define KIND_ANSWERED	6	/* C's: a SYSCALL, of which nothing is left to do */
#define KIND_HYPERCALL	5	/* a SYSCALL that is a hypercall; only where nothing inhibits */

/* What the CPU pushes for an event at CPL 3, with what the entry stubs push below
 * it; also what IRET takes. RSP0 is its end. */
struct switcher_frame {
	uint64_t vector, error;
	uint64_t rip, cs, rflags, rsp, ss;
};

/* A pair of roots, ready to load. Index 0: supervisor's, 1: user's. */
struct pvm_switcher_roots {
	uint64_t cr3[2];	/* the underlying CR3, PCID and no-flush bit included */
	uint64_t signal[2];	/* the tag + 1 */
	uint32_t tag_bit[2];
	uint64_t guest_cr3, guest_switch_cr3;	/* as in pvm_vcpu in supervisor mode */
};

struct __attribute__((packed)) switcher_dtr {
	uint16_t limit;
	uint64_t base;
};

/* SDM vol. 3, figure 8-11 */
struct __attribute__((packed)) switcher_tss {
	uint32_t reserved0;
	uint64_t rsp[3];
	uint64_t reserved1;
	uint64_t ist[7];
	uint64_t reserved2;
	uint16_t reserved3;
	uint16_t io_bitmap;
};

struct switcher_gate {
	uint16_t offset0, selector;
	uint8_t ist, type;
	uint16_t offset1;
	uint32_t offset2, reserved;
};

#define SWITCHER_GDT_ENTRIES 32
#define LDT_SEL_SPARE 16	/* from ldt_sel to the selector of the table of spare entries */

/* An MSR that has another value while a guest runs, as WRMSR takes it. */
struct switcher_msr {
	uint32_t index, low, high;
	uint32_t host_low, host_high;	/* what it had when the guest was entered */
};

struct pvm_switcher_cpu {
	/* S13: HOST_SIGNAL, or the tag + 1 of the root that is, or is about to be,
	 * loaded. Read by others; stored before the CR3 write it announces. */
	uint64_t signal __attribute__((aligned(CACHE_LINE)));

	/* Written by others: a bit per tag whose translations are stale. */
	uint32_t owed __attribute__((aligned(CACHE_LINE)));

	/* Found by SYSCALL from GS. */
	uint64_t self __attribute__((aligned(CACHE_LINE)));	/* &frame */

	/* The guest's registers that the switcher works with. */
	uint64_t rax, rcx, rdx, r11, gs_base;
	uint32_t inhibit;		/* S3 */
	uint32_t pending;
	uint32_t user_mode;
	uint32_t flags;
	uint32_t extras;		/* EXTRA_*: what a world switch of this CPU needs beside */
	uint32_t running;		/* S5: one setter, one clearer */
	uint32_t kind;
	uint64_t roots;			/* the pair in use */

	/* Copies for the direct switches, of the vCPU that runs. */
	uint64_t pvcs;			/* in the window */
	uint64_t lstar, retu_next, rets_next;	/* the two: the address after the SYSCALL */
	uint64_t kernel_gs_base, supervisor_rsp;
	uint64_t canonical_add, canonical_limit;	/* S1: (rip + add) < limit */
	uint64_t range_start, range_end;	/* upper-half stacks lie in [start, end - frame] */
	uint64_t pgtbl_flags;		/* of a LOAD_PGTBL that changes no paging depth */
	uint32_t user_cs_ss;		/* S4: PVCS::user_cs and ::user_ss as one word */
	uint32_t pkru, supervisor_pkru;
	uint32_t gs_shift;
	uint64_t user_cs, user_ds;

	struct pvm_switcher_roots own_roots;
	struct pvm_switcher_roots published[PVM_SWITCHER_PUBLISHED];

	/* The way back. */
	uint64_t vcpu;
	uint64_t host_rsp, host_cr3, host_noflush;
	uint64_t host_gs_base, host_kernel_gs_base, host_fs_base;
	uint64_t guest_dr7, cr2, dr6;
	uint64_t global_gva;		/* with MITIGATE_GLOBAL: where the host has a global page */
	uint64_t fault_rip;
	uint64_t host_cr4, cr4_keep, cr4_user;	/* EXTRA_CR4: what stays; what user mode adds */
	uint32_t host_pkru, host_spec_ctrl, mitigations;
	uint32_t guest_ldt;			/* MITIGATE_SELECTORS: LDTR */
	uint32_t segment[4];			/* DS, ES, FS, GS, and << 16 LDTR for it; 0: not by us */
	uint64_t segment_base[2];		/* FS, GS */
	uint64_t msrs_end;			/* EXTRA_MSRS: the address after the last of msrs[] */
	struct switcher_msr msrs[PVM_SWITCHER_MSRS];
	/* EXTRA_CPUNODE: the guest's entry; the host's; where in gdt[] it is. In an NMI Linux finds a CPU's
	 * own data by the host's: the guest's is there while the switcher's IDT is loaded, and no longer. */
	uint64_t guest_cpunode, cpunode, cpunode_at;
	uint16_t host_ds, host_es, host_fs, host_gs, host_ss, switcher_ss;
	struct switcher_dtr idtr, host_idtr;

	/* C's alone. */
	struct pvm_switcher *switcher;
	struct pvm_switcher_vcpu *loaded;	/* whose copies these are */
	bool (*owns_fault)(void *host, uint64_t cr2);	/* pvm_switcher_ops's; NULL: none */
	struct pvm_switcher_vcpu *active;	/* in pvm_switcher_run(); others compare it alone */
	uint64_t runs;			/* entries begun; read by others */
	uint64_t turned_back;		/* of them, those that were asked for an exit first */
	uint64_t copies_cr4;		/* the CR4 of the host that they are for */
	uint64_t loaded_vm;		/* pvm_switcher_vm::id of the guest that ran last */
	const char *syscall;		/* what LSTAR is, or will be when loaded; NULL: no guest ran yet */
	uint64_t alias;			/* pvm_switcher_config's. Where that has what each entry needs: */
	void (*enter)(struct pvm_switcher_cpu *cpu, struct pvm_vcpu *vcpu);
	struct pvm_switcher_cpu *seen;		/* the area */
	uint64_t own_roots_seen;		/* own_roots */
	uint32_t id;
	bool is_loaded;				/* between pvm_switcher_load() and _unload() */
	uint64_t state_gen;		/* pvm_vcpu::state_gen that the copies are of */
	uint64_t tags_gen;			/* pvm_switcher_vm's, that the pairs of roots are of */
	/* Whose each tag is: the root, and the vCPU that uses it, of one VM. All but the
	 * tags_gen are read by others. */
	pvm_hpa_t tag_root[PVM_SWITCHER_TAGS];
	const struct pvm_vcpu *tag_vcpu[PVM_SWITCHER_TAGS];	/* compared only: it may be gone */
	uint64_t tag_vm[PVM_SWITCHER_TAGS];	/* pvm_switcher_vm::id */
	uint64_t tag_gen[PVM_SWITCHER_TAGS];
	uint32_t next_tag, live_tags;
	const struct pvm_switcher_vcpu *shown;	/* whose list published[] is, if its shown_on says so, too */
	pvm_hpa_t own_root[2];
	uint64_t host_dr7, host_dr[4];
	uint64_t host_seg[4];		/* DS, ES, FS, GS that only the host's tables have; 0: none */
	struct switcher_dtr gdtr, host_gdtr;
	uint16_t host_ldt, host_tr;
	uint64_t host_star, host_lstar, host_cstar, host_fmask, host_sysenter_cs;
	uint64_t host_u_cet;

	/* Counters. */
	struct pvm_switcher_stats stats;

	/* Exceptions of the switcher itself arrive here; then the frame, where the
	 * CPU's RSP0 points to the end. */
	uint64_t stack[64] __attribute__((aligned(16)));
	uint64_t stack_pad;			/* makes the frame end on 16 bytes */
	struct switcher_frame frame;

	struct switcher_gate idt[256] __attribute__((aligned(4096)));
	uint64_t gdt[SWITCHER_GDT_ENTRIES] __attribute__((aligned(4096)));
	struct switcher_tss tss;
	uint8_t nmi_stack[4096] __attribute__((aligned(4096)));
	uint8_t db_stack[4096] __attribute__((aligned(4096)));
	uint8_t mc_stack[4096] __attribute__((aligned(4096)));	/* and #DF's, which nothing outlives */
};

_Static_assert(sizeof(struct pvm_switcher_cpu) == PVM_SWITCHER_AREA_USED, "size of an area");
_Static_assert(offsetof(struct pvm_switcher_cpu, idt) == 4096, "the hot page is one page");
_Static_assert((offsetof(struct pvm_switcher_cpu, frame) + sizeof(struct switcher_frame)) % 16 == 0,
	       "the CPU aligns RSP0's frame to 16 bytes");

#pragma GCC visibility push(hidden)

/* The switcher's text: whole pages. */
extern const char pvm_switcher_text_start[], pvm_switcher_text_end[];

/* entry.S. Where it is in guests, as is @cpu. */
void pvm_switcher_enter(struct pvm_switcher_cpu *cpu, struct pvm_vcpu *vcpu);
extern const char pvm_switcher_stubs[], pvm_switcher_nmi[], pvm_switcher_db[], pvm_switcher_mc[],
	pvm_switcher_df[], pvm_switcher_syscall32[], pvm_switcher_syscall_out[];
#pragma GCC visibility pop

#define SWITCHER_STUB_SIZE 16	/* bytes from one vector's stub to the next */

/* switcher.c: what the switcher cannot do without, or with; NULL: nothing. S9 */
const char *pvm_switcher_missing_feature(const struct pvm_switcher_features *features);

/* tables.c: the area's IDT, GDT and TSS, and the words that go with them, from the host's. PVM_OK,
 * or PVM_ENOSYS with @why (S9). */
struct switcher_host_tables {
	struct switcher_dtr gdtr, idtr;
	uint16_t tr;
};
int pvm_switcher_make_tables(struct pvm_switcher_cpu *cpu, const struct switcher_host_tables *host,
			     const char **why);
void pvm_switcher_set_tss_descriptor(struct pvm_switcher_cpu *cpu);	/* not busy */
/* What is wrong with an area, or NULL. */
const char *pvm_switcher_bad_area(const struct pvm_switcher *switcher, const void *area, uint32_t id);

/* mitigate.c: can CPL 3 read supervisor pages? */
bool pvm_switcher_has_meltdown(const struct pvm_switcher_cpu_id *id);

/* detect.c: what the CPU that @source reads says of itself. */
struct switcher_source {
	void (*cpuid)(uint32_t leaf, uint32_t subleaf, uint32_t out[4]);
	uint64_t (*rdmsr)(uint32_t msr);
	uint64_t cr4;
};
void pvm_switcher_identify(const struct switcher_source *source, struct pvm_switcher_cpu_id *id);

/* Where the switcher's text, or something of an area, is in guests. */
static inline uint64_t pvm_switcher_alias(const struct pvm_switcher_cpu *cpu, const void *va)
{
	return (uint64_t)(uintptr_t)va + cpu->alias;
}

/* Are the area's pairs of roots those of the vCPU, which was loaded here last, and its tags
 * of the generation @gen? */
static inline bool pvm_switcher_roots_are(const struct pvm_switcher_cpu *cpu,
					  const struct pvm_switcher_vcpu *svcpu, uint64_t gen)
{
	return cpu->tags_gen == gen && cpu->own_root[0].v == svcpu->root[0].v &&
	       cpu->own_root[1].v == svcpu->root[1].v &&
	       cpu->roots == cpu->own_roots_seen;
}

/* tag.c: the pairs of roots that @svcpu may run on, in the area: its own
 * and what is published. @root: PVM_INVALID_ADDR where there is none. */
void pvm_switcher_set_roots(struct pvm_switcher_cpu *cpu, struct pvm_switcher_vcpu *svcpu,
			const pvm_hpa_t root[2]);
/* No tag of the CPU has an owner. */
void pvm_switcher_void_tags(struct pvm_switcher_cpu *cpu);
/* What the VM's tags hold, on every CPU, is not used again. Other VMs' tags stay. */
void pvm_switcher_void_tags_of(struct pvm_switcher_vm *vm);

/* debug.c: DR0-3 and DR7, for vCPUs and hosts that have breakpoints armed. */
void pvm_switcher_enter_debug(struct pvm_switcher_cpu *cpu, struct pvm_vcpu *vcpu, uint64_t host_dr7,
			  uint64_t guest_dr7);
void pvm_switcher_leave_debug(struct pvm_switcher_cpu *cpu);

/* ldt.c */
void pvm_switcher_set_ldt_descriptor(struct pvm_switcher_cpu *cpu, uint16_t selector, uint64_t base,
				     uint32_t entries);
void pvm_switcher_set_spare_ldt(struct pvm_switcher_cpu *cpu);
/* How many bytes from ldt_va on LDTs of @count vCPUs take. */
uint64_t pvm_switcher_ldts_size(uint32_t count);
/* The vCPU's LDT, or the selectors in its registers, are others than those that the area's copies are of. */
void pvm_switcher_take_ldt(struct pvm_switcher_cpu *cpu, struct pvm_switcher_vcpu *svcpu);
/* LDTR, and the selectors that world.S loads late; around the world switch, with SPECIAL_LDT. */
void pvm_switcher_enter_ldt(struct pvm_switcher_cpu *cpu, struct pvm_switcher_vcpu *svcpu);
void pvm_switcher_leave_ldt(struct pvm_switcher_cpu *cpu);
/* The vCPU goes. */
void pvm_switcher_forget_ldt(struct pvm_switcher_vcpu *svcpu);

/* vm.c: the entry of level @level for @va in the slot's tables, with the tables above it; NULL: no memory. */
uint64_t *pvm_switcher_slot_entry(struct pvm_switcher_vm *vm, uint64_t va, unsigned level);
/* A page that lives as long as the slot's tables. PVM_OK, PVM_ENOMEM. */
int pvm_switcher_slot_table(struct pvm_switcher_vm *vm, struct pvm_host_page *page);

/* vm.c: show @pvcs's page in the window of vCPU @id, or nothing (PVM_INVALID_ADDR). S8 */
void pvm_switcher_map_window(struct pvm_switcher_vm *vm, uint32_t id, pvm_hpa_t page);

#endif /* PVM_SWITCHER_AREA_H */
