/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The host: what libpvm needs from the program that links it. An engine calls out
 * through struct pvm_host_ops and in no other way.
 *
 * Every operation gets the pointer that the VM was made with (pvm_vm::host).
 * "Under the MMU lock" means: between mmu_lock() and mmu_unlock(); such an
 * operation must not call back into the engine.
 */
#ifndef PVM_HOST_H
#define PVM_HOST_H

#include <pvm/trace.h>
#include <pvm/types.h>

struct pvm_vcpu;
struct pvm_insn;

/* The time of a VM, at one moment. */
struct pvm_clock {
	uint64_t tsc;		/* as the guest reads it */
	uint64_t ns;		/* since the VM began; never goes back */
	uint64_t wall_ns;	/* since 1970-01-01, UTC */
	/* ns that pass: (tsc shifted left by shift, right if it is negative) * mul >> 32 */
	uint32_t mul;
	int8_t shift;
	bool stable;		/* the same on all CPUs */
};

#define PVM_NO_DEADLINE	(~0ull)

/* One 4 KiB page of host memory for the engine's own use, zeroed. */
struct pvm_host_page {
	void *va;		/* where the engine writes it; page-aligned */
	pvm_hpa_t pa;		/* what goes into a page-table entry that points to it */
};

/* A guest frame as the host backs it right now. */
struct pvm_frame {
	pvm_hpa_t pa;		/* of the 4 KiB frame asked for */
	uint8_t max_level;	/* largest page (level 1, 2 or 3) around the frame that is contiguous
				 * and equally aligned in host memory and wholly guest memory */
	bool writable;		/* false: read-only memory, or write-protected for dirty logging */
	bool device;		/* it can be mapped, but gfn_to_va() has no pointer to it; false at first */
};

enum pvm_flush_scope {
	PVM_FLUSH_GVA,		/* the page at gva (of size PVM_LEVEL_SIZE(level)) under one root */
	PVM_FLUSH_ROOT,		/* everything under one root */
	PVM_FLUSH_ALL,		/* everything of the VM on that vCPU */
};

/*
 * A request to forget translations. It is complete, on all vCPUs concerned,
 * when tlb_flush() returns: no access by a guest instruction that starts later
 * uses a translation that is no longer in the shadow tables (M9, M10).
 */
struct pvm_tlb_flush {
	enum pvm_flush_scope scope;
	struct pvm_vcpu *vcpu;	/* the one vCPU concerned, or NULL for every vCPU of the VM */
	pvm_hpa_t root;		/* PVM_FLUSH_GVA, PVM_FLUSH_ROOT: hpa of the shadow root, or
				 * PVM_INVALID_ADDR for every root */
	pvm_gva_t gva;		/* PVM_FLUSH_GVA */
	uint8_t level;		/* PVM_FLUSH_GVA: 1..3 */
	bool root_dying;	/* PVM_FLUSH_ROOT: the root's page is about to be freed */
};

/* What waits for a vCPU in its interrupt controller, as bits. */
#define PVM_WAITS_NMI		(1u << 0)
#define PVM_WAITS_INTERRUPT	(1u << 1)

struct pvm_host_ops {
	/*
	 * Allocate a zeroed page. Never called under the MMU lock. Several vCPUs
	 * may be in it at once. Returns PVM_OK, or PVM_ENOMEM.
	 */
	int (*page_alloc)(void *host, enum pvm_sleep sleep, struct pvm_host_page *page);
	void (*page_free)(void *host, struct pvm_host_page page);

	/* The va of a page that page_alloc() gave out, from its pa. Never fails. */
	void *(*page_va)(void *host, pvm_hpa_t pa);

	/*
	 * How the host backs @gfn. Called with and without the MMU lock, and by several
	 * vCPUs at once, as gfn_to_va() is. While a call with PVM_NO_SLEEP is in it, no
	 * other thread gets that lock; what it says under PVM_MAY_SLEEP may be old when it
	 * returns, and is asked again if the host has taken frames meanwhile. Returns
	 * PVM_OK; PVM_ENOENT: no memory there (MMIO or a hole); PVM_EAGAIN: would have to
	 * sleep and @sleep forbids it, or the host wants its thread back (for a signal): the
	 * engine's call then ends with PVM_ACT_RETRY; PVM_EFAULT: the host lost the memory.
	 */
	int (*gfn_to_frame)(void *host, pvm_gfn_t gfn, bool write, enum pvm_sleep sleep,
			    struct pvm_frame *frame);

	/*
	 * A pointer to the 4 KiB of guest memory at @gfn for the engine to read
	 * (and, with @write, write); NULL if no memory is there or, with
	 * @write, it is read-only. It must not sleep. The engine may keep the pointer; it forgets it
	 * before pvm_mmu_unmap_gfns() or pvm_mmu_invalidate_begin() of the frame returns, and one to
	 * write before pvm_mmu_write_protect_gfns() returns. From before the first or the last of these is
	 * called the old memory, or the right to write it, is not given any more; between
	 * begin and end the answer is the old memory or the new, or NULL. After NULL the engine
	 * asks gfn_to_frame() with PVM_NO_SLEEP: PVM_EAGAIN, or a frame that is no device's, says
	 * that the memory is there, but was not (swapped out, or to write not writable yet); it is
	 * then asked with PVM_MAY_SLEEP as soon as that is allowed, and the access tried again. The
	 * guest may change the bytes at any time (M6).
	 */
	void *(*gfn_to_va)(void *host, pvm_gfn_t gfn, bool write);

	/* Keep a frame in place and writable (S8): the PVCS. PVM_OK; PVM_ENOENT: no memory there, or none
	 * that may be written; PVM_EFAULT: the host lost the memory; PVM_ENOMEM: it has no memory for that
	 * now; PVM_EAGAIN: the host would have to sleep, and is called where it must not, or wants its
	 * thread back: it is asked again after gfn_to_frame() with PVM_MAY_SLEEP. @va, @pa: where the frame
	 * is, for as long as it is pinned, whatever backs @gfn meanwhile; unpin() gets @va back. It may
	 * sleep: where that is not allowed it is called only right after pin() has answered PVM_OK. */
	int (*pin)(void *host, pvm_gfn_t gfn, void **va, pvm_hpa_t *pa);
	void (*unpin)(void *host, pvm_gfn_t gfn, void *va);

	/* Under the MMU lock. Must not fail. */
	void (*tlb_flush)(void *host, const struct pvm_tlb_flush *flush);

	/* One lock per VM, not recursive. */
	void (*mmu_lock)(void *host);
	void (*mmu_unlock)(void *host);

	/* May be NULL. Under the MMU lock, again and again, while a vCPU that fills, reads or
	 * writes one page without the lock has not finished; without the lock, a limited
	 * number of times, while another thread has it. Either takes about a microsecond,
	 * unless the host's own scheduler has stopped that thread: then let it run, or set
	 * pvm_vcpu::preemptible where that may happen and cannot be helped. */
	void (*relax)(void *host);

	/* May be NULL. Without the lock, again and again in a call that takes long and may sleep: let
	 * others have the CPU, if any want it. */
	void (*yield)(void *host);

	/* May be NULL; then yield is called. Without the lock, in a call that may sleep, again and again,
	 * while another thread has not finished what takes it about a microsecond. If the host's own
	 * scheduler has stopped that thread, it may need this CPU, and have a lower priority: sleep a
	 * little. */
	void (*nap)(void *host);

	/*
	 * The three that follow are asked by pvm_handle_exit(), without any lock, from
	 * the vCPU's own thread, and must not sleep.
	 *
	 * @bytes at vcpu->rip, @length of them (0 to 15), to @insn; decode/decode.h is
	 * one. May be NULL: then no instruction is emulated, its exception is delivered.
	 */
	void (*decode)(const struct pvm_vcpu *vcpu, bool code64, const uint8_t *bytes, size_t length,
		       struct pvm_insn *insn);

	/*
	 * What waits for this vCPU now: PVM_WAITS_* bits; *@vector: of the interrupt,
	 * 16..255. NULL: the host offers events by itself (pvm_event_interrupt()).
	 */
	uint32_t (*events)(void *host, struct pvm_vcpu *vcpu, uint8_t *vector);
	/* One of them is the guest's now; the next call of events() does not name it.
	 * NULL only where events is. */
	void (*event_taken)(void *host, struct pvm_vcpu *vcpu, uint32_t waits, uint8_t vector);

	/*
	 * May be NULL. An MSR that is not the engine's, written at once: what an interrupt
	 * controller is told most. Asked without any lock, from the vCPU's own thread, and must
	 * not sleep; in pvm_switcher_run(), too, where nothing of the host's is looked at
	 * afterwards, whether an interrupt waits now or another thread was woken, but
	 * pvm_switcher_kick() on the vCPU ends it before the guest goes on.
	 * False: nothing has happened, and PVM_ACT_WRMSR asks again.
	 */
	bool (*wrmsr)(void *host, struct pvm_vcpu *vcpu, uint32_t index, uint64_t value);

	/*
	 * The four that follow are for guest ABIs with clocks and event channels of their own
	 * (PVM_ABI_XEN_PV), which refuse a host without one of the first three. They must not sleep.
	 */
	void (*clock)(void *host, struct pvm_clock *now);
	/* From the vCPU's own thread: call pvm_xen_timer() when clock() says @ns, at once if it does
	 * already; instead of what was asked for before. PVM_NO_DEADLINE: not at all. */
	void (*set_timer)(void *host, struct pvm_vcpu *vcpu, uint64_t ns);
	/* From any thread: something has come for the vCPU. It leaves the guest, or its halt, and
	 * pvm_handle_exit() is called for it; also if it was just about to enter or to halt. */
	void (*kick)(void *host, struct pvm_vcpu *vcpu);
	/* From any vCPU's thread: the guest has something for the host at one of its ports; @remote is the
	 * host's name for that. May be NULL where there are none. */
	void (*notify)(void *host, uint32_t port, uint32_t remote);

	/* May be NULL. May be called under the MMU lock; must not sleep. A host may set and clear
	 * it at any time, atomically; a call that had begun before may still come. */
	void (*trace)(void *host, const struct pvm_trace_record *record);
};

#endif /* PVM_HOST_H */
