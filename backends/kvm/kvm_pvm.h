/* SPDX-License-Identifier: GPL-2.0 */
/*
 * kvm-pvm.ko: PVM as a vendor module of the host's own kvm.ko. Each VM of /dev/kvm is a VM of
 * libpvm's: KVM keeps memory slots, interrupt controllers and user space's ioctls, libpvm the
 * guest's state, its shadow tables and the way into it.
 *
 * main.c	the module, and the table of operations that kvm.ko calls
 * absent.c	tables for what PVM does not have
 * cpus.c	the host's CPUs: areas of the switcher, and what it asks of the host
 * alias.c	the switcher's slot in the host's address spaces
 * memory.c	guest memory: frames; the engine's own pages
 * frames.c	what is known of frames, by number
 * notifier.c	what takes memory away, and asks which is used (M10); the shrinker
 * untold.c	the same, where KVM does not tell it
 * perf.c	the host's performance counters around a guest
 * stats.c	counters, in KVM's statistics and in debugfs
 * trace.c	what tools for tracing see
 * vm.c		a VM: its configuration, the engine, CPUID
 * xen.c	a VM of Xen PV: clock, timers, event channels
 * xen_state.c	its snapshots
 * m2p.c	what such guests read of frame numbers
 * boot.c	a vCPU before 64-bit mode
 * vcpu.c	a vCPU: its life, entry, exit
 * actions.c	what the engine asks for, and the answer
 * registers.c	registers, as KVM names them, of a vCPU
 * debug.c	a guest that user space debugs
 * events.c	interrupts, NMIs and exceptions that KVM has for a vCPU
 *
 * Names: kvm is struct kvm, vcpu struct kvm_vcpu, v struct pvm_kvm_vcpu (ours around it).
 */
#ifndef PVM_KVM_MODULE_H
#define PVM_KVM_MODULE_H

#include <linux/kvm_host.h>
#include <linux/mmu_notifier.h>
#include <linux/xarray.h>
#include <asm/kvm_page_track.h>

#include <pvm/events.h>
#include <pvm/exit.h>
#include <pvm/kvm.h>
#include <pvm/mmu.h>
#include <pvm/state.h>
#include <pvm/switcher.h>

#include "compat.h"

#undef pr_fmt
#define pr_fmt(fmt) "kvm-pvm: " fmt

#define PVM_KVM_CPUID_MAX	256	/* leaves that user space may give a VM */

#define PVM_KVM_XEN_PORTS	256	/* eventfds that a VM's user space has in its life */

#define PVM_KVM_FRAMES_TOP	16
#define PVM_KVM_FRAMES_LEVELS	4

/* Words by gfn, of the 52 bits that an address may have. Zeroed at first. frames.c */
struct pvm_kvm_frames {
	unsigned long top[PVM_KVM_FRAMES_TOP];
	/* By level, zeroed: pages that may be read for what they were, and pages that may be used. */
	unsigned long retired[PVM_KVM_FRAMES_LEVELS], spare[PVM_KVM_FRAMES_LEVELS];
	unsigned long pages;		/* all there are */
};

/* Where KVM does not tell it. untold.c */
#ifdef PVM_KVM_TELLS
struct pvm_kvm_untold_slots {
};

struct pvm_kvm_untold_writes {
};
#else
/* The slots that vCPUs have seen. */
struct pvm_kvm_untold_slots {
	struct mutex lock;		/* of slots, and of writing to generation */
	struct xarray slots;		/* by id */
	u64 generation;			/* of KVM's slots, that they are of */
};

/* Pages that KVM's emulator has written to for a vCPU. */
struct pvm_kvm_untold_writes {
	gpa_t (*gva_to_gpa)(struct kvm_vcpu *vcpu, pvm_kvm_walk_t *walk, gpa_t address, u64 access,
			    struct x86_exception *exception);	/* KVM's own */
	gfn_t gfn[8];
	unsigned int count;
};
#endif

/* Guest memory as the engine sees it. memory.c, notifier.c */
struct pvm_kvm_memory {
	struct pvm_kvm_frames frames;	/* what is known of each */
	spinlock_t lock;		/* of what follows, and of writing to frames */
	unsigned int taking;		/* ranges of user space's addresses that are being taken away */
	unsigned long taken;		/* counts them, and slots that go */
	unsigned long taking_start, taking_end;	/* around all of them */
	spinlock_t mmu_lock;		/* pvm_host_ops::mmu_lock */
	struct mmu_notifier notifier;
	struct kvm_page_track_notifier_node track;
	bool is_tracked;
	struct pvm_kvm_untold_slots untold;
	DECLARE_BITMAP(logged, KVM_MEM_SLOTS_NUM);	/* slots that some frame is logged for */
	u64 slots_generation;		/* the last one that pvm_kvm_look_at_slots() saw */
	bool is_going;			/* pvm_kvm_vm_destroy() runs: no other thread has the VM */
	atomic_long_t pages;		/* of the engine's own */
	unsigned long most, most_until;	/* of these, up to that time: its group was full. 0: it was not */
	unsigned long shrunk;		/* of them, that the shrinker took; under its lock */
	struct list_head link;		/* of the VMs that the shrinker knows */
};

/* The tables through which a VM reads what all share: by level, from 1. m2p.c */
#define PVM_KVM_M2P_LEVELS 3
struct pvm_kvm_m2p {
	u64 *own[PVM_KVM_M2P_LEVELS];
};

/* Of a VM of PVM_ABI_XEN_PV. xen.c */
struct pvm_kvm_xen {
	struct pvm_xen_config config;	/* pages 0: user space has said nothing yet */
	u64 tsc_start, raw_start, ns_start;	/* of its clock, at one moment */
	u32 mul;			/* as struct pvm_clock's */
	s8 shift;
	bool tsc_is_stable;
	unsigned long tsc_was_left;	/* bit 0: it was, and is not any more */
	bool has_m2p;
	struct pvm_kvm_m2p m2p;
	bool is_lost;			/* the slot of the shared_info was taken away */
	/* By the name of the guest's other end; written under pvm_kvm::lock. */
	struct eventfd_ctx *told[PVM_KVM_XEN_PORTS];
};

struct pvm_kvm {
	struct kvm kvm;			/* first: kvm.ko allocates it all */
	struct pvm_vm pvm;
	struct pvm_switcher_vm switcher;
	struct pvm_kvm_memory memory;
	struct mutex lock;		/* of the list in switcher, and of making the engine */
	struct pvm_cpuid_entry cpuid[PVM_KVM_CPUID_MAX];
	enum pvm_abi abi;		/* for the engine, until it is made */
	struct pvm_kvm_xen xen;
	bool is_made;			/* pvm and switcher are */
};

struct pvm_kvm_vcpu {
	struct kvm_vcpu vcpu;		/* first */
	struct pvm_vcpu pvm;
	struct pvm_switcher_vcpu switcher;
	struct pvm_guest_exit exit;	/* what pvm_handle_exit() gets next */
	enum pvm_action action;		/* of the last call, where it is to be carried out */
	bool acts;			/* there is one */
	bool is_made;			/* pvm is initialised */
	bool is_new;			/* user space has changed registers: take them over */
	u64 cr4_always;			/* bits of CR4 that a guest has whether it wants or not */
	u64 cr4_wanted;			/* CR4 as it was set last */
	bool was_pvm;			/* it has run as a PVM guest since its reset */
	bool is_set;			/* KVM_SET_MSRS sets an MSR of it */
	bool is_halted;			/* KVM was told that it is */
	bool is_acting;			/* KVM carries the action out */
	bool perf_refuses;		/* the last entry: pvm_kvm_perf_in() */
	bool pvcs_is_gone;		/* the slot of its PVCS was taken away; notifier.c */
	enum { IF_IS_NOT_LATE, IF_IS_LATE_CLEAR, IF_IS_LATE_SET } late_if;	/* set meanwhile */
	bool has_no_cpu;		/* the CPU of the last entry was refused */
	bool is_pvm;			/* in 64-bit mode: runs on the switcher */
	bool wants_irq, wants_nmi;	/* KVM has one more, for when it is let in */
	u32 awaited;		/* token of the host's own page that the guest waits for; 0: none */
	bool exit_by_nmi;		/* the last one: for tracing */
	struct kvm_segment seg[8];	/* VCPU_SREG_*: what user space and KVM's emulator set */
	struct desc_ptr idt, gdt;
	unsigned long rflags;		/* outside of PVM mode */
	u64 early_star;			/* the same: MSR_STAR */
	u32 shadow;			/* the same: KVM_X86_SHADOW_INT_* */
	struct hrtimer xen_timer;
	int last_cpu;			/* that it was loaded on; xen.c */
	struct pvm_kvm_untold_writes untold;
	u64 guests_dr[4], guests_dr6, guests_dr7;	/* while user space's breakpoints are in pvm */
};

static inline struct pvm_kvm *to_pvm_kvm(struct kvm *kvm)
{
	return container_of(kvm, struct pvm_kvm, kvm);
}

static inline bool pvm_kvm_is_xen(const struct pvm_kvm *vm)
{
	return vm->abi == PVM_ABI_XEN_PV;
}

static inline struct pvm_kvm_vcpu *to_pvm_vcpu(struct kvm_vcpu *vcpu)
{
	return container_of(vcpu, struct pvm_kvm_vcpu, vcpu);
}

static inline struct pvm_kvm_vcpu *pvm_kvm_vcpu_of(struct pvm_vcpu *pvm)
{
	return pvm->backend;
}

/* ------------------------------------------------------------------------
 * absent.c
 */
extern struct kvm_pmu_ops pvm_kvm_pmu_ops;
extern struct kvm_x86_nested_ops pvm_kvm_nested_ops;

/* ------------------------------------------------------------------------
 * alias.c
 */

/* The top-level slot, of 4-level tables, that guests have the switcher in. */
#define PVM_KVM_SLOT	271u
#define PVM_KVM_SLOT_VA	0xffff878000000000ull

/* The process has it, as long as a VM of its lives. 0, -ENOMEM; -EBUSY: something else is there. */
int pvm_kvm_alias_get(struct mm_struct *mm);
void pvm_kvm_alias_put(struct mm_struct *mm);
/* Of the module. After pvm_switcher_init(); 0 or an error. */
int pvm_kvm_alias_init(void);
void pvm_kvm_alias_destroy(void);

/* ------------------------------------------------------------------------
 * boot.c
 */

/* Some instructions before 64-bit mode. As pvm_kvm_handle_exit(). */
int pvm_kvm_boot_run(struct kvm_vcpu *vcpu);
bool pvm_kvm_boot_interrupt_allowed(const struct pvm_kvm_vcpu *v);
/* KVM has queued it; before 64-bit mode it is the guest's at once. */
void pvm_kvm_inject_interrupt(struct kvm_vcpu *vcpu, bool reinjected);
void pvm_kvm_inject_exception(struct kvm_vcpu *vcpu);
/* After that, whether or not there is an entry: KVM is not to do it again. */
void pvm_kvm_boot_is_injected(struct kvm_vcpu *vcpu);
void pvm_kvm_set_interrupt_shadow(struct kvm_vcpu *vcpu, int mask);
u32 pvm_kvm_get_interrupt_shadow(struct kvm_vcpu *vcpu);

/* ------------------------------------------------------------------------
 * cpus.c
 */
extern struct pvm_switcher pvm_kvm_switcher;

/* 0, or an error with one line in the log. */
int pvm_kvm_cpus_init(void);
void pvm_kvm_cpus_destroy(void);
/* On the CPU, interrupts off: make it one that runs guests. */
int pvm_kvm_cpu_enable(void);
void pvm_kvm_cpu_disable(void);
/* This CPU's area. */
struct pvm_switcher_cpu *pvm_kvm_this_cpu(void);
/* On this CPU since the last call: the token of the host's own page that is to be waited for; 0: none.
 * Interrupts are off. */
u32 pvm_kvm_take_awaited(void);
/* S10, with preemption off. This CPU is about to run a guest. */
void pvm_kvm_cpu_enters(void);
/* This CPU goes on to user space or to another thread: an IBPB, if it has run a guest since the last one. */
void pvm_kvm_cpu_leaves(void);

/* What XSAVE manages on this host; set when the module is loaded. main.c */
extern u64 pvm_kvm_host_xcr0, pvm_kvm_host_xss;

/* ------------------------------------------------------------------------
 * frames.c
 */
void pvm_kvm_frames_destroy(struct pvm_kvm_frames *frames);
/* 0: nothing is known. Without a lock. */
unsigned long pvm_kvm_frame_get(const struct pvm_kvm_frames *frames, gfn_t gfn);
/* [@first, @end) is known no more. Without a lock. */
void pvm_kvm_frames_forget(struct pvm_kvm_frames *frames, gfn_t first, gfn_t end);

/* With pvm_kvm_memory::lock: the word itself, to be written before the lock is given up, and only
 * if taking and taken say that pvm_kvm_frames_forget() is not due. *@fresh: a zeroed page that may be
 * used, and is 0 then; or 0. NULL: a page is needed; with *@fresh left: there is no place for @gfn. */
unsigned long *pvm_kvm_frame_place(struct pvm_kvm_frames *frames, gfn_t gfn, unsigned long *fresh);
/* The same lock: the page that has @gfn's word, and those above, leave the tree where they
 * are empty. */
void pvm_kvm_frames_retire(struct pvm_kvm_frames *frames, gfn_t gfn);
/* The same lock: those that left may be used. No vCPU has been inside the engine, nor has had
 * the MMU lock, without a break since then; what is read outside of both, pvm_mmu_unmap_gfns() refuses. */
void pvm_kvm_frames_reuse(struct pvm_kvm_frames *frames);

/* ------------------------------------------------------------------------
 * m2p.c
 */

/* The top-level entry of a table with so many frames, and those that share their last page. 0 or an error:
 * then there is nothing to be put. It may sleep. */
int pvm_kvm_m2p_get(struct pvm_kvm_m2p *m2p, u64 frames, u64 *entry);
void pvm_kvm_m2p_put(struct pvm_kvm_m2p *m2p);

/* ------------------------------------------------------------------------
 * memory.c
 */
extern struct pvm_host_ops pvm_kvm_host_ops;	/* trace.c sets and clears .trace */

void pvm_kvm_memory_init(struct pvm_kvm *vm);
void pvm_kvm_memory_destroy(struct pvm_kvm *vm);

/* ------------------------------------------------------------------------
 * notifier.c
 */
int pvm_kvm_notifier_init(struct pvm_kvm *vm);
/* With the first vCPU, as KVM is not ready for it before. */
int pvm_kvm_notifier_precreate(struct kvm *kvm);
void pvm_kvm_notifier_destroy(struct pvm_kvm *vm);
int pvm_kvm_flush_range(struct kvm *kvm, gfn_t first, u64 count);
/* Slots may have changed, and KVM does not say that a log has ended. May sleep; in KVM's SRCU. */
void pvm_kvm_look_at_slots(struct pvm_kvm *vm);
/* [@first, @first + @count) is memory no more: KVM has made its slot invalid, and waited for who had found
 * it. One call at a time. May sleep. */
void pvm_kvm_slot_goes(struct pvm_kvm *vm, gfn_t first, u64 count);
/* KVM has written to guest memory: a page table of the guest's, perhaps. May sleep. */
void pvm_kvm_has_written(struct pvm_kvm *vm, gpa_t gpa, int bytes);
/* Of the module. */
int pvm_kvm_shrinker_init(void);
void pvm_kvm_shrinker_destroy(void);

/* ------------------------------------------------------------------------
 * perf.c
 */

/* Before each entry, interrupts off: what of the host's counters is off in the guest. False: it cannot be. */
bool pvm_kvm_perf_in(struct pvm_switcher_cpu *cpu);

/* ------------------------------------------------------------------------
 * stats.c
 */

/* The VM's folder in debugfs gets a file. */
void pvm_kvm_stats_init(struct pvm_kvm *vm);
/* From the engine's counters to KVM's, when KVM_RUN begins and when it ends with an exit. */
void pvm_kvm_stats_update(struct kvm_vcpu *vcpu);

/* ------------------------------------------------------------------------
 * trace.c
 */

/* For the event kvm_exit: whose exits the codes of pvm_kvm_get_exit_info() are, PVM_KVM_ISA_*. */
u32 pvm_kvm_exit_isa(void);
void pvm_kvm_get_exit_info(struct kvm_vcpu *vcpu, u32 *reason, u64 *info1, u64 *info2, u32 *intr, u32 *error);

/* ------------------------------------------------------------------------
 * untold.c
 */
void pvm_kvm_untold_init(struct pvm_kvm *vm);
void pvm_kvm_untold_destroy(struct pvm_kvm *vm);
/* Memory of user space's from @hva on, of @count pages, is at @first. */
struct pvm_kvm_seen_part {
	gfn_t first;
	unsigned long hva, count;
};

/* May memory of this slot be used? A slot that came since a vCPU has looked may go before one looks again,
 * and nothing of it is found then. In KVM's SRCU. */
bool pvm_kvm_is_seen(struct pvm_kvm *vm, const struct kvm_memory_slot *slot);
/* Of the slots that vCPUs may have memory of, and that need not be KVM's any more: the next one with a number
 * from *@id on, which is counted up. False: there is none. */
bool pvm_kvm_next_seen(struct pvm_kvm *vm, unsigned long *id, struct pvm_kvm_seen_part *part);
/* Interrupts are off: there may be work for pvm_kvm_look_untold() before an entry. */
bool pvm_kvm_is_untold(struct pvm_kvm_vcpu *v);
/* The engine is told what KVM has not told. May sleep; in KVM's SRCU. 0 or -ENOMEM: the vCPU must not go
 * on. */
int pvm_kvm_look_untold(struct pvm_kvm_vcpu *v);
/* One instruction by KVM's emulator, and the engine knows what it has written. As pvm_kvm_handle_exit(). */
int pvm_kvm_emulate(struct kvm_vcpu *vcpu);
/* Before the emulator writes for KVM itself. */
void pvm_kvm_watch_emulator(struct kvm_vcpu *vcpu);

/* ------------------------------------------------------------------------
 * vm.c
 */
int pvm_kvm_vm_init(struct kvm *kvm);
int pvm_kvm_precreate(struct kvm *kvm);
/* <pvm/kvm.h> */
bool pvm_kvm_feature_msr(u32 index, u64 *value);
int pvm_kvm_private_op(struct kvm *kvm, void __user *argument);
void pvm_kvm_vm_destroy(struct kvm *kvm);
void pvm_kvm_after_set_cpuid(struct kvm_vcpu *vcpu);

/* ------------------------------------------------------------------------
 * vcpu.c
 */
int pvm_kvm_vcpu_create(struct kvm_vcpu *vcpu);
void pvm_kvm_vcpu_free(struct kvm_vcpu *vcpu);
void pvm_kvm_vcpu_reset(struct kvm_vcpu *vcpu, bool init_event);
/* Before the PVCS is written without an entry. May sleep. PVM_OK; PVM_EAGAIN, PVM_ENOMEM, PVM_EFAULT: not
 * now, and the vCPU must not go on. */
int pvm_kvm_renew_pvcs(struct pvm_kvm_vcpu *v);
/* Of supervisor mode, by user space. Where no memory is at the PVCS's place: when there is. May sleep. */
void pvm_kvm_set_if(struct pvm_kvm_vcpu *v, bool on);
int pvm_kvm_pre_run(struct kvm_vcpu *vcpu);
enum exit_fastpath_completion pvm_kvm_run(struct kvm_vcpu *vcpu, u64 run_flags);
int pvm_kvm_handle_exit(struct kvm_vcpu *vcpu, enum exit_fastpath_completion fastpath);
/* After anything that may have written to the PVCS: the dirty log has its page. */
void pvm_kvm_log_pvcs(struct pvm_kvm_vcpu *v);
/* The vCPU cannot go on: KVM_EXIT_INTERNAL_ERROR, and a line in the log. Returns 0. */
int pvm_kvm_fail(struct pvm_kvm_vcpu *v, const char *what, const char *detail);

/* ------------------------------------------------------------------------
 * actions.c
 */

/* Carry it out. As pvm_kvm_handle_exit(); when user space is asked it finds the guest's registers, not
 * operands. */
int pvm_kvm_act(struct pvm_kvm_vcpu *v, enum pvm_action action);
/* KVM has done what the engine asked for, the answer is in the registers. */
int pvm_kvm_skip_instruction(struct kvm_vcpu *vcpu);
int pvm_kvm_complete_msr(struct kvm_vcpu *vcpu, int error);

/* ------------------------------------------------------------------------
 * registers.c
 */

/* General registers and RIP, to KVM's copies and back. */
void pvm_kvm_registers_out(struct pvm_kvm_vcpu *v);
void pvm_kvm_registers_in(struct pvm_kvm_vcpu *v);
/* Of pvm_kvm_registers_out(), general registers and RIP alone. */
void pvm_kvm_general_out(struct pvm_kvm_vcpu *v);
/* May sleep. */
void pvm_kvm_leave_pvm(struct pvm_kvm_vcpu *v);
/* What user space has set, to the engine. 0; or the name of a field it does not take. */
const char *pvm_kvm_take_over(struct pvm_kvm_vcpu *v);

int pvm_kvm_get_msr(struct kvm_vcpu *vcpu, struct msr_data *msr);
int pvm_kvm_set_msr(struct kvm_vcpu *vcpu, struct msr_data *msr);
u64 pvm_kvm_get_segment_base(struct kvm_vcpu *vcpu, int seg);
void pvm_kvm_get_segment(struct kvm_vcpu *vcpu, struct kvm_segment *var, int seg);
void pvm_kvm_set_segment(struct kvm_vcpu *vcpu, struct kvm_segment *var, int seg);
int pvm_kvm_get_cpl(struct kvm_vcpu *vcpu);
void pvm_kvm_get_cs_db_l_bits(struct kvm_vcpu *vcpu, int *db, int *l);
void pvm_kvm_set_cr0(struct kvm_vcpu *vcpu, unsigned long cr0);
void pvm_kvm_post_set_cr3(struct kvm_vcpu *vcpu, unsigned long cr3);
void pvm_kvm_set_cr4(struct kvm_vcpu *vcpu, unsigned long cr4);
bool pvm_kvm_is_valid_cr0(struct kvm_vcpu *vcpu, unsigned long cr0);
bool pvm_kvm_is_valid_cr4(struct kvm_vcpu *vcpu, unsigned long cr4);
int pvm_kvm_set_efer(struct kvm_vcpu *vcpu, u64 efer);
void pvm_kvm_get_idt(struct kvm_vcpu *vcpu, struct desc_ptr *dt);
void pvm_kvm_set_idt(struct kvm_vcpu *vcpu, struct desc_ptr *dt);
void pvm_kvm_get_gdt(struct kvm_vcpu *vcpu, struct desc_ptr *dt);
void pvm_kvm_set_gdt(struct kvm_vcpu *vcpu, struct desc_ptr *dt);
void pvm_kvm_set_dr7(struct kvm_vcpu *vcpu, unsigned long value);
void pvm_kvm_cache_reg(struct kvm_vcpu *vcpu, enum kvm_reg reg);
unsigned long pvm_kvm_get_rflags(struct kvm_vcpu *vcpu);
void pvm_kvm_set_rflags(struct kvm_vcpu *vcpu, unsigned long rflags);
bool pvm_kvm_get_if_flag(struct kvm_vcpu *vcpu);

/* ------------------------------------------------------------------------
 * debug.c
 */
void pvm_kvm_debug_changed(struct kvm_vcpu *vcpu);
/* Around an entry. */
void pvm_kvm_debug_in(struct pvm_kvm_vcpu *v);
void pvm_kvm_debug_out(struct pvm_kvm_vcpu *v);
/* Is TF user space's now? */
bool pvm_kvm_is_stepped(const struct pvm_kvm_vcpu *v);
/* An instruction that the engine has carried out is a step: KVM_RUN ends with it. 0 */
int pvm_kvm_stepped(struct pvm_kvm_vcpu *v);
/* The exit is for who debugs the guest, and KVM_RUN ends with it. */
bool pvm_kvm_debug_exit(struct pvm_kvm_vcpu *v);

/* ------------------------------------------------------------------------
 * events.c
 */
uint32_t pvm_kvm_events(void *host, struct pvm_vcpu *pvm, uint8_t *vector);
void pvm_kvm_event_taken(void *host, struct pvm_vcpu *pvm, uint32_t waits, uint8_t vector);
/* The exception that KVM has queued, if it has one: to the guest. */
enum pvm_action pvm_kvm_deliver_exception(struct pvm_kvm_vcpu *v);
/* What KVM waited for may be possible now: let it look. */
void pvm_kvm_ask_for_events(struct pvm_kvm_vcpu *v);
int pvm_kvm_interrupt_allowed(struct kvm_vcpu *vcpu, bool for_injection);
int pvm_kvm_nmi_allowed(struct kvm_vcpu *vcpu, bool for_injection);
bool pvm_kvm_get_nmi_mask(struct kvm_vcpu *vcpu);
void pvm_kvm_set_nmi_mask(struct kvm_vcpu *vcpu, bool masked);
void pvm_kvm_enable_nmi_window(struct kvm_vcpu *vcpu);
void pvm_kvm_enable_irq_window(struct kvm_vcpu *vcpu);
/* pvm_host_ops::wrmsr: of the local APIC, what KVM would neither sleep for nor ask user space about. */
bool pvm_kvm_wrmsr(void *host, struct pvm_vcpu *pvm, u32 index, u64 value);
int pvm_kvm_apic_check(struct kvm_vcpu *vcpu);
void pvm_kvm_deliver_interrupt(struct kvm_lapic *apic, int delivery_mode, int trig_mode, int vector);

/* ------------------------------------------------------------------------
 * xen.c
 */

/* Of pvm_host_ops. */
void pvm_kvm_xen_clock(void *host, struct pvm_clock *now);
void pvm_kvm_xen_set_timer(void *host, struct pvm_vcpu *pvm, uint64_t ns);
void pvm_kvm_xen_kick(void *host, struct pvm_vcpu *pvm);
void pvm_kvm_xen_notify(void *host, uint32_t port, uint32_t remote);
/* What the engine is to know of the VM; with pvm_kvm::lock. 0 or an error, with a line in the log. */
int pvm_kvm_xen_configure(struct pvm_kvm *vm, struct pvm_vm_config *config);
void pvm_kvm_xen_destroy(struct pvm_kvm *vm);
/* May vCPUs run? Of a VM of this ABI all of them are there before that. */
bool pvm_kvm_xen_is_complete(struct pvm_kvm *vm);
/* Of vCPUs of any ABI. */
void pvm_kvm_xen_vcpu_init(struct pvm_kvm_vcpu *v);
void pvm_kvm_xen_vcpu_destroy(struct pvm_kvm_vcpu *v);
void pvm_kvm_xen_vcpu_load(struct pvm_kvm_vcpu *v, int cpu);
/* The private channel; results are the ioctl's. */
int pvm_kvm_xen_set(struct pvm_kvm *vm, const struct pvm_kvm_set_xen *set);
int pvm_kvm_xen_port(struct pvm_kvm *vm, const struct pvm_kvm_xen_port *request);
int pvm_kvm_xen_tell(struct pvm_kvm *vm, const struct pvm_kvm_xen_notify *request);
/* It shows @ns now. No vCPU has run. */
void pvm_kvm_xen_set_clock(struct pvm_kvm *vm, u64 ns);

/* ------------------------------------------------------------------------
 * xen_state.c
 */
int pvm_kvm_xen_state(struct pvm_kvm *vm, const struct pvm_kvm_xen_state *request);

#endif /* PVM_KVM_MODULE_H */
