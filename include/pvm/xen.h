/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The Xen PV guest ABI, PVM_ABI_XEN_PV: what the kernels of distributions speak that were
 * built with XEN_PV. First the numbers and layouts that guest and hypervisor agree on, as far
 * as libpvm and what serves its guests need them; then the calls that a host makes beside
 * those of all ABIs.
 *
 * Owns no state. Names are the interface's own, behind this library's prefix. Frames of
 * "machine" memory are guest frames here: the two are the same.
 */
#ifndef PVM_XEN_H
#define PVM_XEN_H

#include <pvm/vcpu.h>

/* ------------------------------------------------------------------------
 * Hypercalls: SYSCALL in kernel mode, RAX = number, arguments in RDI, RSI, RDX, R10, R8,
 * R9, result in RAX: 0 and more, or a negative number of enum pvm_xen_error.
 */
enum pvm_xen_hypercall {
	PVM_XEN_SET_TRAP_TABLE = 0,
	PVM_XEN_MMU_UPDATE = 1,
	PVM_XEN_SET_GDT = 2,
	PVM_XEN_STACK_SWITCH = 3,
	PVM_XEN_FPU_TASKSWITCH = 5,
	PVM_XEN_SET_DEBUGREG = 8,
	PVM_XEN_GET_DEBUGREG = 9,
	PVM_XEN_UPDATE_DESCRIPTOR = 10,
	PVM_XEN_MEMORY_OP = 12,
	PVM_XEN_MULTICALL = 13,
	PVM_XEN_UPDATE_VA_MAPPING = 14,
	PVM_XEN_SET_TIMER_OP = 15,
	PVM_XEN_XEN_VERSION = 17,
	PVM_XEN_CONSOLE_IO = 18,
	PVM_XEN_GRANT_TABLE_OP = 20,
	PVM_XEN_VM_ASSIST = 21,
	PVM_XEN_IRET = 23,
	PVM_XEN_VCPU_OP = 24,
	PVM_XEN_SET_SEGMENT_BASE = 25,
	PVM_XEN_MMUEXT_OP = 26,
	PVM_XEN_SCHED_OP = 29,
	PVM_XEN_CALLBACK_OP = 30,
	PVM_XEN_EVENT_CHANNEL_OP = 32,
	PVM_XEN_PHYSDEV_OP = 33,
	PVM_XEN_HYPERCALLS = 56,
};

enum pvm_xen_error {
	PVM_XEN_EPERM = -1,
	PVM_XEN_ENOENT = -2,
	PVM_XEN_ESRCH = -3,
	PVM_XEN_EFAULT = -14,
	PVM_XEN_EBUSY = -16,
	PVM_XEN_EEXIST = -17,
	PVM_XEN_EINVAL = -22,
	PVM_XEN_ENOSPC = -28,
	PVM_XEN_ENOSYS = -38,
	PVM_XEN_ETIME = -62,
};

#define PVM_XEN_DOMID_SELF	0x7ff0u
#define PVM_XEN_VERSION		(4u << 16 | 17)	/* what the guest is told: major, minor */

/* Type of a trap table's entry, low to high: privilege that INT n needs, and: */
#define PVM_XEN_TRAP_DPL	3u
#define PVM_XEN_TRAP_MASKS	4u		/* events are masked when it is taken */

struct pvm_xen_trap_info {
	uint8_t vector, flags;
	uint16_t cs;
	uint32_t pad;
	uint64_t address;	/* 0: the list ends here */
};

/* mmu_update: the low bits of ptr */
#define PVM_XEN_MMU_NORMAL		0
#define PVM_XEN_MMU_MACHPHYS		1
#define PVM_XEN_MMU_PRESERVE_AD		2
#define PVM_XEN_MMU_NO_TRANSLATE	3

struct pvm_xen_mmu_update {
	uint64_t ptr;		/* machine address of the entry, and what to do */
	uint64_t val;
};

enum pvm_xen_mmuext {
	PVM_XEN_PIN_L1_TABLE = 0,
	PVM_XEN_PIN_L2_TABLE,
	PVM_XEN_PIN_L3_TABLE,
	PVM_XEN_PIN_L4_TABLE,
	PVM_XEN_UNPIN_TABLE,
	PVM_XEN_NEW_BASEPTR,
	PVM_XEN_TLB_FLUSH_LOCAL,
	PVM_XEN_INVLPG_LOCAL,
	PVM_XEN_TLB_FLUSH_MULTI,
	PVM_XEN_INVLPG_MULTI,
	PVM_XEN_TLB_FLUSH_ALL,
	PVM_XEN_INVLPG_ALL,
	PVM_XEN_FLUSH_CACHE,
	PVM_XEN_SET_LDT,
	PVM_XEN_NEW_USER_BASEPTR = 15,
	PVM_XEN_CLEAR_PAGE,
	PVM_XEN_COPY_PAGE,
	PVM_XEN_FLUSH_CACHE_GLOBAL,
};

struct pvm_xen_mmuext_op {
	uint32_t cmd;
	uint32_t pad;
	uint64_t arg1;		/* frame, or linear address */
	uint64_t arg2;		/* a pointer, a frame, or entries: 32 bits, the rest is as it was */
};

/* update_va_mapping: flags, beside which UVMF_MULTI has a pointer to a bitmap of vCPUs */
#define PVM_XEN_UVMF_TLB_FLUSH	1u
#define PVM_XEN_UVMF_INVLPG	2u
#define PVM_XEN_UVMF_ALL	4u
#define PVM_XEN_UVMF_FLAGS	7u

struct pvm_xen_multicall_entry {
	uint64_t op;
	int64_t result;
	uint64_t args[6];
};

enum { PVM_XEN_SEGBASE_FS, PVM_XEN_SEGBASE_GS_USER, PVM_XEN_SEGBASE_GS_KERNEL, PVM_XEN_SEGBASE_GS_USER_SEL };

enum pvm_xen_vcpuop {
	PVM_XEN_VCPUOP_INITIALISE = 0,
	PVM_XEN_VCPUOP_UP,
	PVM_XEN_VCPUOP_DOWN,
	PVM_XEN_VCPUOP_IS_UP,
	PVM_XEN_VCPUOP_GET_RUNSTATE,
	PVM_XEN_VCPUOP_REGISTER_RUNSTATE,
	PVM_XEN_VCPUOP_SET_PERIODIC_TIMER,
	PVM_XEN_VCPUOP_STOP_PERIODIC_TIMER,
	PVM_XEN_VCPUOP_SET_SINGLESHOT_TIMER,
	PVM_XEN_VCPUOP_STOP_SINGLESHOT_TIMER,
	PVM_XEN_VCPUOP_REGISTER_VCPU_INFO,
	PVM_XEN_VCPUOP_SEND_NMI,
	PVM_XEN_VCPUOP_GET_PHYSID,
	PVM_XEN_VCPUOP_REGISTER_TIME,
};

#define PVM_XEN_SSHOTTMR_FUTURE	1u

enum { PVM_XEN_RUNSTATE_RUNNING, PVM_XEN_RUNSTATE_RUNNABLE, PVM_XEN_RUNSTATE_BLOCKED,
       PVM_XEN_RUNSTATE_OFFLINE };

struct pvm_xen_runstate {
	uint32_t state, pad;
	uint64_t entry_time;	/* ns of system time */
	uint64_t time[4];	/* ns in each state */
};

enum { PVM_XEN_SCHEDOP_YIELD, PVM_XEN_SCHEDOP_BLOCK, PVM_XEN_SCHEDOP_SHUTDOWN, PVM_XEN_SCHEDOP_POLL };

enum pvm_xen_shutdown {
	PVM_XEN_SHUTDOWN_POWEROFF,
	PVM_XEN_SHUTDOWN_REBOOT,
	PVM_XEN_SHUTDOWN_SUSPEND,
	PVM_XEN_SHUTDOWN_CRASH,
	PVM_XEN_SHUTDOWN_WATCHDOG,
	PVM_XEN_SHUTDOWN_SOFT_RESET,
};

struct pvm_xen_poll {
	uint64_t ports;		/* pointer to 32-bit numbers */
	uint32_t count, pad;
	uint64_t timeout;	/* ns of system time, absolute; 0: none */
};

enum pvm_xen_callback {
	PVM_XEN_CALLBACK_EVENT = 0,
	PVM_XEN_CALLBACK_FAILSAFE = 1,
	PVM_XEN_CALLBACK_SYSCALL = 2,
	PVM_XEN_CALLBACK_NMI = 4,
	PVM_XEN_CALLBACK_SYSENTER = 5,
	PVM_XEN_CALLBACK_SYSCALL32 = 7,
	PVM_XEN_CALLBACKS
};

#define PVM_XEN_CALLBACKOP_REGISTER	0
#define PVM_XEN_CALLBACKOP_UNREGISTER	1
#define PVM_XEN_CALLBACKF_MASK_EVENTS	1u

struct pvm_xen_callback_register {
	uint16_t type, flags;
	uint32_t pad;
	uint64_t address;
};

enum pvm_xen_evtchnop {
	PVM_XEN_EVTCHNOP_BIND_INTERDOMAIN = 0,
	PVM_XEN_EVTCHNOP_BIND_VIRQ,
	PVM_XEN_EVTCHNOP_BIND_PIRQ,
	PVM_XEN_EVTCHNOP_CLOSE,
	PVM_XEN_EVTCHNOP_SEND,
	PVM_XEN_EVTCHNOP_STATUS,
	PVM_XEN_EVTCHNOP_ALLOC_UNBOUND,
	PVM_XEN_EVTCHNOP_BIND_IPI,
	PVM_XEN_EVTCHNOP_BIND_VCPU,
	PVM_XEN_EVTCHNOP_UNMASK,
};

/* What EVTCHNOP_STATUS says of a port. */
enum pvm_xen_port_state {
	PVM_XEN_PORT_CLOSED,
	PVM_XEN_PORT_UNBOUND,
	PVM_XEN_PORT_INTERDOMAIN,
	PVM_XEN_PORT_PIRQ,
	PVM_XEN_PORT_VIRQ,
	PVM_XEN_PORT_IPI,
};

#define PVM_XEN_VIRQ_TIMER	0
#define PVM_XEN_VIRQS		24
#define PVM_XEN_VIRQS_OF_VCPU	(1u << 0 | 1u << 1 | 1u << 7 | 1u << 13)	/* one for each vCPU */

enum { PVM_XEN_MEMORY_MAXIMUM_RAM_PAGE = 2, PVM_XEN_MEMORY_CURRENT = 3, PVM_XEN_MEMORY_MAXIMUM = 4,
       PVM_XEN_MEMORY_MAP = 9, PVM_XEN_MEMORY_MACHPHYS_MAPPING = 12 };
enum { PVM_XEN_GRANT_SETUP_TABLE = 2, PVM_XEN_GRANT_QUERY_SIZE = 6, PVM_XEN_GRANT_SET_VERSION = 8,
       PVM_XEN_GRANT_GET_VERSION = 10 };

/* ------------------------------------------------------------------------
 * Shared memory.
 */

/* pvclock's ABI, which is also KVM's */
struct pvm_xen_time_info {
	uint32_t version, pad;
	uint64_t tsc_timestamp;
	uint64_t system_time;	/* ns */
	uint32_t tsc_to_system_mul;
	int8_t tsc_shift;
	uint8_t flags;
	uint8_t pad1[2];
};

#define PVM_XEN_TIME_TSC_STABLE	1u

struct pvm_xen_vcpu_info {
	uint8_t pending, mask;
	uint8_t pad[6];
	uint64_t pending_sel;	/* words of pvm_xen_shared_info::pending to look at */
	uint64_t cr2, pad2;
	struct pvm_xen_time_info time;
};

#define PVM_XEN_INFO_CR2	0x10
#define PVM_XEN_SHARED_VCPUS	32	/* that have their vcpu_info there until they register one */
#define PVM_XEN_PORT_WORDS	64

struct pvm_xen_shared_info {
	struct pvm_xen_vcpu_info vcpu_info[PVM_XEN_SHARED_VCPUS];
	uint64_t pending[PVM_XEN_PORT_WORDS];
	uint64_t mask[PVM_XEN_PORT_WORDS];
	uint32_t wc_version, wc_sec, wc_nsec, wc_sec_hi;	/* time of day at system time 0 */
	uint64_t arch[6];
};

/* What RSI points to when a kernel starts. */
#define PVM_XEN_CMDLINE		1024
#define PVM_XEN_SIF_MOD_START_PFN	(1u << 3)
struct pvm_xen_start_info {
	char magic[32];		/* "xen-3.0-x86_64" */
	uint64_t nr_pages;
	uint64_t shared_info;	/* machine address */
	uint32_t flags, pad;
	uint64_t store_mfn;
	uint32_t store_evtchn, pad2;
	uint64_t console_mfn;
	uint32_t console_evtchn, pad3;
	uint64_t pt_base;	/* linear address */
	uint64_t nr_pt_frames;
	uint64_t mfn_list;	/* linear address */
	uint64_t mod_start, mod_len;
	char cmd_line[PVM_XEN_CMDLINE];
	uint64_t first_p2m_pfn, nr_p2m_frames;
};

/* VCPUOP_initialise: struct vcpu_guest_context, of which these are looked at. */
#define PVM_XEN_CONTEXT_SIZE		0x1430
#define PVM_XEN_CONTEXT_FLAGS		0x200
#define PVM_XEN_CONTEXT_REGS		0x208	/* r15 to rdi, then: */
#define PVM_XEN_CONTEXT_RIP		0x288
#define PVM_XEN_CONTEXT_RFLAGS		0x298
#define PVM_XEN_CONTEXT_RSP		0x2a0
#define PVM_XEN_CONTEXT_TRAPS		0x2d0
#define PVM_XEN_CONTEXT_KERNEL_SS	0x1368
#define PVM_XEN_CONTEXT_KERNEL_SP	0x1370
#define PVM_XEN_CONTEXT_CR3		0x1390
#define PVM_XEN_CONTEXT_CR3_USER	0x1380
#define PVM_XEN_CONTEXT_EVENT		0x13f8
#define PVM_XEN_CONTEXT_FAILSAFE	0x1400
#define PVM_XEN_CONTEXT_SYSCALL		0x1408
#define PVM_XEN_CONTEXT_FS_BASE		0x1418
#define PVM_XEN_CONTEXT_GS_BASE_KERNEL	0x1420
#define PVM_XEN_CONTEXT_GS_BASE_USER	0x1428

/* The console's ring. */
struct pvm_xen_console {
	char in[1024], out[2048];
	uint32_t in_cons, in_prod, out_cons, out_prod;
};

/* `0f 0b 78 65 6e` and CPUID. */
#define PVM_XEN_CPUID_BYTES	0x0f, 0x0b, 0x78, 0x65, 0x6e, 0x0f, 0xa2
#define PVM_XEN_CPUID_LENGTH	7

/* ------------------------------------------------------------------------
 * For hosts. A host makes all vCPUs of such a VM before one of them runs, as the others may kick a vCPU, and
 * write what it has registered, from its pvm_vcpu_init() on; it resets and destroys them when none runs.
 */

#define PVM_XEN_VCPUS_MAX	128
#define PVM_XEN_GRANT_FRAMES_MAX 64
#define PVM_XEN_PORTS_MAX	1024	/* of the interface's 4,096; port 0 is never used */

/**
 * pvm_xen_alloc_port - a port whose other end is the host's.
 * @remote: the host's name for it, handed to pvm_host_ops::notify. @vcpu: whom it tells at first.
 *
 * Any thread. Returns the port, 1 and more, or PVM_XEN_ENOSPC: all are in use.
 */
PVM_API int pvm_xen_alloc_port(struct pvm_vm *vm, uint32_t remote, uint32_t vcpu);

/* Connect a port that the guest has allocated for the host. PVM_OK; PVM_EINVAL: it is not such a one. */
PVM_API int pvm_xen_bind_port(struct pvm_vm *vm, uint32_t port, uint32_t remote);

/* The host's end of such a port is closed. PVM_OK or PVM_EINVAL. */
PVM_API int pvm_xen_unbind_port(struct pvm_vm *vm, uint32_t port);

/* The host has something for the guest at a port of its own. Any thread, must not sleep, and does not.
 * PVM_OK, PVM_EINVAL: it is not the host's; PVM_EAGAIN: no vCPU has run yet. */
PVM_API int pvm_xen_notify(struct pvm_vm *vm, uint32_t port);

/* The deadline that pvm_host_ops::set_timer named has come. Any thread. */
PVM_API void pvm_xen_timer(struct pvm_vcpu *vcpu);

/* struct pvm_clock's mul and shift for a TSC of @khz, 1 and more. */
PVM_API void pvm_clock_scale(uint32_t khz, uint32_t *mul, int8_t *shift);

/* Of enum pvm_xen_shutdown, for people; never NULL. */
PVM_API const char *pvm_xen_shutdown_name(uint32_t reason);

/* The host's clock runs differently: all vCPUs are told at their next entry. */
PVM_API void pvm_xen_clock_changed(struct pvm_vm *vm);

#endif /* PVM_XEN_H */
