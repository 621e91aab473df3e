/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The standalone monitor's own structures: a VM in an ordinary process, its
 * vCPU threads, and the contract between the monitor and an executor.
 *
 * The monitor (vm.c, run.c) owns guest memory, devices and the run loop; an
 * executor (native/, model/) owns only the way guest instructions or accesses
 * come to be executed under a shadow root. One whose engine is elsewhere (kvm/: in
 * the kernel, with the interrupt controllers) owns the loop as well: its live() is
 * set, and the monitor's own engine holds registers and runs nothing
 * (docs/decisions/122-an-engine-in-the-kernel.md).
 */
#ifndef STANDALONE_MONITOR_H
#define STANDALONE_MONITOR_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <pvm/exit.h>
#include <pvm/vcpu.h>

/* Largest extended state (XSAVE, standard format) that a vCPU carries, bytes. */
#define MONITOR_XSTATE_MAX 8192

/* Hypercalls of PVM that are counted by number. */
#define MONITOR_HYPERCALLS 16

/* CPUID leaf with the TSC's and the APIC timer's frequency, kHz. */
#define MONITOR_CPUID_TIMING 0x40000010u

struct monitor_vm;
struct monitor_vcpu;

/* What an executor can tell about its work. */
struct executor_stats {
	uint64_t processes;	/* stub processes made, in all */
	uint64_t processes_peak;	/* alive at one time */
	uint64_t translations;	/* put into a TLB (pages mapped into stubs) */
	uint64_t calls, returns;	/* user system calls, and returns from them, that were no exits */
};

/* What an executor has of a Xen PV guest beyond the registers of its vCPUs: <pvm/xen_state.h>. */
enum executor_xen_state {
	EXECUTOR_XEN_VM,	/* struct pvm_xen_vm_state */
	EXECUTOR_XEN_VCPU,	/* struct pvm_xen_vcpu_state of vCPU @index */
	EXECUTOR_XEN_TABLES,	/* words with a bit for each frame from @index, a multiple of 64, on */
};

#define EXECUTOR_AGAIN 1	/* not now: let the vCPUs run on a little */

/*
 * For guests that are saved and go on later. No vCPU runs: while one is saved each is in pause_wait(), while
 * it is restored none has run. All return 0, or -1 with one line in @why; vcpu_save() and xen_save() also
 * EXECUTOR_AGAIN. Any thread.
 */
struct executor_saving_ops {
	uint32_t vcpu_bytes;	/* of a vCPU's registers, by themselves */
	int (*vcpu_save)(struct monitor_vcpu *vcpu, void *bytes, char *why, size_t why_size);
	int (*vcpu_restore)(struct monitor_vcpu *vcpu, const void *bytes, char *why, size_t why_size);
	int (*xen_save)(struct monitor_vm *vm, enum executor_xen_state what, uint64_t index, void *data,
			uint64_t size, char *why, size_t why_size);
	/* After the registers and guest memory, in the order of the enum. */
	int (*xen_restore)(struct monitor_vm *vm, enum executor_xen_state what, uint64_t index,
			   const void *data, uint64_t size, char *why, size_t why_size);
};

/* Where guest memory is: memory.h. */
enum guest_memory_kind {
	GUEST_MEMORY_FILE,	/* a memfd */
	/* The monitor's own, fd -1: in the host's large pages where it has some, which a memfd is only where
	 * an administrator has said so. */
	GUEST_MEMORY_PRIVATE,
};

/* An executor. All functions are called from the vCPU's own thread unless said. */
struct executor_ops {
	const char *name;
	enum guest_memory_kind memory;

	/* May it be taken where the user has named none? Says no where it cannot work,
	 * with one line in @why. NULL: it always may. Any thread. */
	bool (*available)(char *why, size_t why_size);

	/* What the underlying CPU is like under this executor: fills the host_*
	 * fields, the selectors, the ranges and the CPUID table of @config.
	 * @guest: path of the guest's ELF file, for an executor whose CPU depends
	 * on it (model) or that cannot run every file.
	 * Returns 0, or -1 with one line in @why (S9). */
	int (*probe)(struct pvm_vm_config *config, const char *guest, char *why, size_t why_size);

	int (*vm_init)(struct monitor_vm *vm, char *why, size_t why_size);
	void (*vm_destroy)(struct monitor_vm *vm);
	int (*vcpu_init)(struct monitor_vcpu *vcpu, char *why, size_t why_size);
	void (*vcpu_destroy)(struct monitor_vcpu *vcpu);

	/*
	 * Not NULL: the engine and the local APICs are the executor's. Runs a vCPU from
	 * vcpu->pvm's registers to the end of the VM (monitor_vm::over), devices by
	 * platform_in() and platform_out(), and leaves its registers in vcpu->pvm. run() and
	 * tlb_flush() are then NULL.
	 */
	void (*live)(struct monitor_vcpu *vcpu);

	/* Run the guest from vcpu->pvm's state on vcpu->root (the monitor has
	 * called pvm_mmu_load() just before; a root that dies meanwhile reaches
	 * tlb_flush() with root_dying, and run() then returns PVM_EXIT_KICK
	 * without entering it) until something happens. Loads gpr, rip, rflags,
	 * segments, bases, tls, debug registers, pkru and
	 * xstate; on return they hold the guest's again. */
	void (*run)(struct monitor_vcpu *vcpu, struct pvm_guest_exit *exit);

	/* Any thread: make run() return soon, or live() look at monitor_vm::over; remembered
	 * if not in there. */
	void (*kick)(struct monitor_vcpu *vcpu);

	/* host_ops.tlb_flush: any vCPU's thread, under the MMU lock. */
	void (*tlb_flush)(struct monitor_vm *vm, const struct pvm_tlb_flush *flush);

	/*
	 * Event channels of a guest that speaks Xen PV; NULL: this executor runs none. After
	 * vm_init(): @port, which the guest has allocated, or a new one for 0, has its other end at
	 * the eventfd @fd. Returns the port, or -1 with one line in @why. Any thread.
	 */
	int (*xen_port)(struct monitor_vm *vm, uint32_t port, int fd, char *why, size_t why_size);
	/* The guest is notified there. Any thread. False: not yet, as no vCPU has run, and nothing happens.
	 */
	bool (*xen_notify)(struct monitor_vm *vm, uint32_t port);
	/* NULL: its guests cannot be saved. */
	const struct executor_saving_ops *saving;

	/* For --stats; may be NULL. After the last run(). */
	void (*stats)(struct monitor_vm *vm, struct executor_stats *stats);

	/* For --stats, of an executor with live(): all that is to be said but the memory.
	 * After the last vCPU has ended. */
	void (*print_stats)(struct monitor_vm *vm, FILE *to);
};

extern const struct executor_ops kvm_executor;
extern const struct executor_ops native_executor;
extern const struct executor_ops model_executor;

/* Guest memory: RAM from gpa 0. The hpa of a frame is its gpa plus
 * GUEST_HPA_BASE, so that confusing the two shows. */
#define GUEST_HPA_BASE	(1ull << 44)
struct guest_memory {
	int fd;			/* of GUEST_MEMORY_FILE; -1: it is none */
	uint64_t size;		/* bytes, a multiple of 4 KiB */
	uint8_t *va;		/* the whole of it in the monitor */
};

struct monitor_vcpu {
	struct pvm_vcpu pvm;	/* .backend points back here */
	struct monitor_vm *vm;
	pvm_hpa_t root;		/* what pvm_mmu_load() said before this run() */
	pthread_t thread;
	uint8_t xstate[MONITOR_XSTATE_MAX] __attribute__((aligned(64)));
	uint32_t xstate_size;	/* bytes in use, 0: reset state */
	void *executor;		/* the executor's */

	/* The run loop's (run.c). */
	struct local_apic *apic;	/* NULL: the executor's own (live()) */
	pthread_mutex_t wake_lock;
	pthread_cond_t wake;	/* a halted or not yet started vCPU waits here */
	bool woken;		/* under wake_lock, as are the next two */
	bool waiting;		/* the thread is in wake */
	bool live;		/* the executor knows it: kick() is allowed */
	bool started;		/* it has been told where to begin */
	atomic_bool called;	/* by the mailbox: it is to begin at */
	uint64_t call;		/* this gpa */
	atomic_bool inside;	/* of the guest, or on the way: pause.c */
	bool rests;		/* the thread waits there; under the loop's lock */
	uint64_t exits[PVM_EXIT_KINDS];
	uint64_t exceptions[PVM_VEC_EXCEPTIONS];	/* PVM_EXIT_EXCEPTION by vector */
	uint64_t hypercalls[MONITOR_HYPERCALLS];
	uint64_t syscalls, returns_user, returns_supervisor, other_hypercalls;
	uint64_t events[256];	/* delivered, by vector */
	uint64_t user_gpr[PVM_GPR_COUNT];	/* at the last exit from user mode, for backtraces */
};

struct monitor_vm {
	struct pvm_vm pvm;	/* .host points back here */
	const struct executor_ops *executor;
	const char *guest;	/* path of the guest's ELF file */
	void *executor_vm;	/* the executor's */
	bool executor_ready;	/* between its vm_init() and vm_destroy(): it has a TLB to flush */
	struct guest_memory memory;
	struct monitor_vcpu **vcpus;
	uint32_t vcpu_count;
	atomic_uint ready;	/* vCPUs that the executor has */
	atomic_bool over;	/* the VM ends: run() need not be entered again */
	bool restored;		/* its registers are the executor's already, and its ports are in use */
	atomic_uint mailbox_reader;	/* the vCPU that looks into the mailbox for all not started (run.c) */

	/* The engine's view of this host (host.c). */
	struct pvm_host_ops ops;
	pthread_mutex_t mmu_lock;
	struct page_arena *arena;
	uint64_t shadow_memory;	/* bytes that it has at most */
	struct trace *trace;	/* NULL: no trace is written */

	struct monitor_private *private;	/* vm.c's own */
	struct platform *platform;	/* devices (platform.c) */
	struct xen_guest *xen;	/* NULL: its guest does not speak Xen PV (xen_guest.c) */
	struct control *control;	/* NULL: nothing asks for it to be saved (control.c) */
	struct monitor_loop *loop;	/* the end of the VM, timers, console input (loop.c) */
};

/* What an executor answers where it cannot go on: PVM_EXIT_DEAD or PVM_EXIT_FAILED, with a
 * line that names the thing. The line lives until this thread's next call. executor_exit.c */
void executor_fail(struct pvm_guest_exit *exit, enum pvm_exit_kind kind, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* For probe(): the selectors of a Linux host, and which of XSAVE, UMIP and protection keys it has
 * turned on. executor_cpu.c */
void executor_linux_cpu(struct pvm_vm_config *config);

#endif /* STANDALONE_MONITOR_H */
