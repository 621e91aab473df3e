/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * What the files of xen_pv/ share: the state that this ABI keeps for a VM and for a vCPU, and a
 * hypercall on its way.
 *
 * A vCPU's state is its own thread's, but for what is marked shared: that is read and written
 * by any thread, a word at a time. A VM's ports are changed under its MMU lock.
 *
 *   abi.c       the table of operations; the life of both states
 *   frames.c    entries into the kernel and iret
 *   upcall.c    before each entry: start of a vCPU, waking, events
 *   ports.c     event channels: ports, and telling a vCPU
 *   state.c     all of it to paper and back
 *   calls.c     SYSCALL, the table of hypercalls, multicalls
 *   tables.c    hypercalls that write page tables, flush, and load them
 *   ldt.c       the LDT
 *   segments.c, vcpus.c, sched.c, queries.c   the other hypercalls
 */
#ifndef PVM_ABI_XEN_PV_H
#define PVM_ABI_XEN_PV_H

#include <pvm/mmu.h>
#include <pvm/xen.h>

#include "abi/abi.h"
#include "internal.h"

#define XEN_VECTORS	256
#define XEN_GDT_ENTRIES_MAX 7168u	/* 14 pages; the rest was the hypervisor's */
#define XEN_ARGS	6

/* ------------------------------------------------------------------------
 * State.
 */

/* A port. ports.c */
struct xen_port {
	uint8_t state;		/* enum pvm_xen_port_state */
	uint8_t virq;
	uint16_t vcpu;		/* whom it tells */
	uint32_t remote;	/* interdomain: the host's name for it */
};

#define XEN_PORTS_PER_PAGE	(PVM_PAGE_SIZE / sizeof(struct xen_port))
#define XEN_PORT_PAGES		(PVM_XEN_PORTS_MAX / XEN_PORTS_PER_PAGE)

/* After a restore: what programs read of all vCPUs' clocks is written before any vCPU goes on. */
enum xen_times {
	XEN_TIMES_DONE,
	XEN_TIMES_DUE,
	XEN_TIMES_BUSY,		/* a vCPU writes them */
};

/* One page. */
struct xen_vm {
	struct pvm_host_page own, ports[XEN_PORT_PAGES];
	struct pvm_xen_shared_info *shared;	/* pinned; NULL: no vCPU has run yet */
	void *shared_page;			/* as pin() gave it */
	uint32_t clock_gen;			/* shared: counts the host's changes of its clock */
	uint32_t times;				/* shared: enum xen_times */
	uint32_t ldt_gen;			/* shared: counts what may have changed an entry of an LDT */
	struct pvm_vcpu *vcpu[PVM_XEN_VCPUS_MAX];	/* by id; NULL: there is none */
};

/* Numbers that are in snapshots: <pvm/xen_state.h>. */
enum xen_life {
	XEN_FRESH,	/* never initialised */
	XEN_BUSY,	/* another vCPU writes its context */
	XEN_READY,	/* it has a context, and has never run */
	XEN_DOWN,
	XEN_STARTING,	/* up, and the context is not loaded yet */
	XEN_UP,
};

/* These, too. */
enum xen_wait {
	XEN_WAIT_NOTHING,
	XEN_WAIT_EVENT,		/* SCHEDOP_block */
	XEN_WAIT_PORT,		/* SCHEDOP_poll */
};

enum xen_deadline {
	XEN_DEADLINE_TIMER,
	XEN_DEADLINE_POLL,
	XEN_DEADLINES
};

struct xen_callback {
	uint64_t address;	/* 0: none */
	uint32_t masks;
};

/* Where a vCPU starts. */
struct xen_start {
	uint64_t gpr[PVM_GPR_COUNT];
	uint64_t rip, rflags, cr3, user_cr3;
	uint64_t fs_base, gs_base, user_gs_base, kernel_sp;
};

/* One page. The kernel's stack of entries from user mode is pvm_msrs::supervisor_rsp. */
struct xen_vcpu {
	struct pvm_host_page own;
	uint64_t trap[XEN_VECTORS];		/* addresses; 0: none */
	uint8_t trap_flags[XEN_VECTORS];	/* PVM_XEN_TRAP_* */
	struct xen_callback callback[PVM_XEN_CALLBACKS];
	uint64_t gdt_frame;			/* the first, 0: none */
	uint32_t gdt_entries;
	uint64_t ldt;				/* linear address */
	uint32_t ldt_entries;			/* 0: none */
	uint32_t ldt_gen;			/* of struct xen_vm, when it was copied last */
	struct pvm_xen_runstate runstate;
	uint32_t clock_gen;			/* of struct xen_vm, when the time was written last */
	bool timeless;				/* its clock was never written where it is now */
	uint64_t deadline[XEN_DEADLINES];	/* ns of system time; PVM_NO_DEADLINE: none */
	uint32_t poll_count;			/* ports that it polls; of more than one, any wakes it */
	uint32_t poll_port;
	struct xen_start start;
	bool restored;				/* from a snapshot, and not entered since */
	uint64_t restored_info;			/* gpa of the vcpu_info that it had there; 0: none */
	uint64_t time_area_gpa;			/* of the snapshot's time_area; 0: none */

	/* shared */
	uint32_t life;				/* enum xen_life */
	uint32_t wait;				/* enum xen_wait */
	uint32_t woken;				/* what it polls for may have come */
	uint32_t timer_fired;
	uint64_t info_gpa;			/* registered vcpu_info, taken at its next entry; 0: none */
	uint64_t time_area, runstate_area;	/* linear addresses; 0: none */
	struct pvm_xen_vcpu_info *info;		/* its place; NULL: none */
	uint16_t virq_port[PVM_XEN_VIRQS];	/* 0: none */
	/* The last, as a reset leaves it alone. */
	uint32_t tellers;			/* threads that use the vcpu_info now */
};

_Static_assert(sizeof(struct xen_vm) <= PVM_PAGE_SIZE, "a VM's state is one page");
_Static_assert(sizeof(struct xen_vcpu) <= PVM_PAGE_SIZE, "a vCPU's state is one page");

static inline struct xen_vm *xen_vm(const struct pvm_vm *vm)
{
	return vm->abi_data;
}

static inline struct xen_vcpu *xen_vcpu(const struct pvm_vcpu *vcpu)
{
	return vcpu->abi_data;
}

/* vCPU @id of the VM, or NULL. */
static inline struct pvm_vcpu *xen_find_vcpu(const struct pvm_vm *vm, uint64_t id)
{
	if (id >= PVM_XEN_VCPUS_MAX)
		return NULL;
	id = pvm_index_clamped(id, PVM_XEN_VCPUS_MAX);
	return __atomic_load_n(&xen_vm(vm)->vcpu[id], __ATOMIC_ACQUIRE);
}

/* Its vcpu_info, which the guest writes at any time: single volatile accesses (M6). NULL: none yet. */
static inline volatile struct pvm_xen_vcpu_info *xen_info(const struct pvm_vcpu *vcpu)
{
	return vcpu->pvcs;
}

static inline bool xen_masked(const struct pvm_vcpu *vcpu)
{
	return !vcpu->pvcs || xen_info(vcpu)->mask;
}

static inline void xen_set_mask(struct pvm_vcpu *vcpu, bool mask)
{
	if (vcpu->pvcs)
		xen_info(vcpu)->mask = mask;
}

/* ------------------------------------------------------------------------
 * A hypercall on its way. calls.c
 */

/* How far it is. */
enum xen_step {
	XEN_DONE,	/* result */
	XEN_AGAIN,	/* too long for one exit: it is to be made again with arg[] as they are now */
	XEN_LATE,	/* the same, after the host has brought memory (mmu/late.h) */
	XEN_FAILED,	/* the same, and the host has failed: request.error is set */
	XEN_ACTION,	/* action; the result is in RAX already */
};

struct xen_call {
	struct pvm_vcpu *vcpu;
	uint64_t arg[XEN_ARGS];
	int64_t result;
	enum pvm_action action;
	bool multi;		/* an entry of a multicall */
	int budget;		/* units of work left in this exit */
};

static inline enum xen_step xen_done(struct xen_call *call, int64_t result)
{
	call->result = result;
	return XEN_DONE;
}

/* Copy from and to the guest's linear memory as its kernel sees it. XEN_DONE: it is done; else the step
 * to return: XEN_LATE, or XEN_DONE with EFAULT as the result, and *@failed is set. */
enum xen_step pvm_xen_read(struct xen_call *call, uint64_t gva, void *to, size_t length, bool *failed);
enum xen_step pvm_xen_write(struct xen_call *call, uint64_t gva, const void *from, size_t length,
			    bool *failed);

typedef enum xen_step xen_handler(struct xen_call *call);

xen_handler pvm_xen_mmu_update, pvm_xen_update_va_mapping, pvm_xen_mmuext_op;			/* tables.c */
/* The numbers that getcpu() tells, from the GDT in the guest's memory. PVM_OK, or as pvm_mmu_read_gpa(). */
int pvm_xen_load_cpunode(struct pvm_vcpu *vcpu);

xen_handler pvm_xen_set_gdt, pvm_xen_update_descriptor, pvm_xen_set_segment_base,
	    pvm_xen_stack_switch;							/* segments.c */
xen_handler pvm_xen_set_trap_table, pvm_xen_callback_op, pvm_xen_set_debugreg,
	    pvm_xen_get_debugreg;							/* segments.c */
xen_handler pvm_xen_vcpu_op, pvm_xen_set_timer_op;						/* vcpus.c */
xen_handler pvm_xen_sched_op;								/* sched.c */
xen_handler pvm_xen_event_channel_op;							/* ports.c */
xen_handler pvm_xen_memory_op, pvm_xen_version, pvm_xen_grant_table_op,
	    pvm_xen_vm_assist, pvm_xen_physdev_op;					/* queries.c */

/* The SYSCALL of either mode. */
enum pvm_action pvm_xen_syscall(struct pvm_vcpu *vcpu);
#define XEN_ROWS	64u	/* a power of two above PVM_XEN_HYPERCALLS */
extern const struct pvm_hypercall_row pvm_xen_rows[XEN_ROWS];

/* ------------------------------------------------------------------------
 * frames.c
 */

enum pvm_action pvm_xen_deliver(struct pvm_vcpu *vcpu, uint8_t vector, uint32_t error_code);
/* The event callback. PVM_ACT_RETRY: its frame's memory is late, nothing has changed. */
enum pvm_action pvm_xen_deliver_upcall(struct pvm_vcpu *vcpu);
enum pvm_action pvm_xen_user_syscall(struct pvm_vcpu *vcpu);
enum pvm_action pvm_xen_iret(struct pvm_vcpu *vcpu);
/* The two modes' tables and GS bases change places. */
void pvm_xen_cross(struct pvm_vcpu *vcpu);

/* ------------------------------------------------------------------------
 * ldt.c
 */

enum xen_step pvm_xen_set_ldt(struct xen_call *call, uint64_t address, uint64_t entries);
bool pvm_xen_ldt_is_valid(uint64_t address, uint64_t entries);
/* An entry of an LDT may have been written; every vCPU finds it at its next entry. */
void pvm_xen_ldt_changed(struct pvm_vm *vm);
/* The vCPU, which has an LDT, has it as it is now. PVM_OK, PVM_EAGAIN, PVM_ENOMEM. */
int pvm_xen_refresh_ldt(struct pvm_vcpu *vcpu);

/* ------------------------------------------------------------------------
 * ports.c. None of these sleeps.
 */

/* What a port is now; port 0 and what is beyond the table is closed. To change one needs the MMU lock. */
struct xen_port pvm_xen_port_get(const struct pvm_vm *vm, uint32_t port);
void pvm_xen_port_set(struct pvm_vm *vm, uint32_t port, struct xen_port to);
/* Mark a port as pending, and tell its vCPU. The port is open. */
void pvm_xen_raise(struct pvm_vm *vm, uint32_t port);
/* A virtual interrupt of one vCPU, if a port is bound to it. */
void pvm_xen_raise_virq(struct pvm_vcpu *vcpu, unsigned virq);
bool pvm_xen_port_is_pending(const struct pvm_vm *vm, uint32_t port);
/* pvm_abi_ops::pvcs_leaves */
void pvm_xen_leave_info(struct pvm_vcpu *vcpu);
/* The vCPU's vcpu_info has moved: nothing that was told at its old place is lost. */
void pvm_xen_tell_everything(struct pvm_vcpu *vcpu);

/* ------------------------------------------------------------------------
 * vcpus.c
 */

/* May a vCPU start so? (S1) */
bool pvm_xen_start_is_valid(const struct pvm_vcpu *vcpu, const struct xen_start *start);
/* PVM_NO_DEADLINE: none. What has passed already comes at the next entry. */
void pvm_xen_set_deadline(struct pvm_vcpu *vcpu, enum xen_deadline which, uint64_t ns);
/* The host's timer has fired: what is due. */
void pvm_xen_deadlines(struct pvm_vcpu *vcpu);

/* ------------------------------------------------------------------------
 * upcall.c
 */

/* pvm_abi_ops::entry */
enum pvm_action pvm_xen_entry(struct pvm_vcpu *vcpu);
/* Its vcpu_info is where it is to be. PVM_OK; PVM_EAGAIN, PVM_ENOMEM: not now; else no memory is there. */
int pvm_xen_open_info(struct pvm_vcpu *vcpu);
/* pvm_abi_ops::pvcs_moved: others tell it there, from now on. */
void pvm_xen_show_info(struct pvm_vcpu *vcpu);
/* The time that the guest's clock reads. */
void pvm_xen_write_time(struct pvm_vcpu *vcpu);
/* What it does from now on, PVM_XEN_RUNSTATE_*. */
void pvm_xen_set_runstate(struct pvm_vcpu *vcpu, uint32_t state);
uint64_t pvm_xen_now(const struct pvm_vcpu *vcpu);

#endif /* PVM_ABI_XEN_PV_H */
