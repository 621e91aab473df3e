/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * A whole VM for tests, without a CPU: guest memory, a page
 * arena, vCPUs of the model, and a backend loop that serves what they do with
 * engine calls, like any backend. Owns host memory and the mapping of guest
 * frames to it, which a test may change while the guest runs (M10). It must
 * never help the engine: what a shadow table or a TLB says is what happens.
 *
 * Each vCPU may be driven by a thread of its own, and host calls made by another.
 *
 * No Criterion in here: errors are results, so that any test frame can use it.
 */
#ifndef MODEL_MODEL_H
#define MODEL_MODEL_H

#include "cpu.h"
#include "step.h"

#define MODEL_MAX_VCPUS 8

struct model_options {
	struct pvm_vm_config config;
	uint64_t memory_size;	/* bytes of guest memory at gpa 0 */
	unsigned vcpus;		/* 1..MODEL_MAX_VCPUS */
	uint32_t table_pages;	/* pages that the engine may allocate */
	uint8_t max_level;	/* largest page that the host's memory allows: 1..3 */
};

struct model_vm;

/* A 4-level host with NX, keys and 1 GiB pages, ranges as wide as they go, a Linux
 * GDT; 64 MiB of memory, one vCPU, 16384 tables, 4 KiB pages. */
struct model_options model_options(void);

/* NULL with one line in @why. */
struct model_vm *model_create(const struct model_options *options, char *why, size_t why_size);

/* Returns the number of engine pages and pinned frames that were leaked. */
uint32_t model_destroy(struct model_vm *vm);

struct pvm_vm *model_pvm(struct model_vm *vm);
struct pvm_vcpu *model_vcpu(struct model_vm *vm, unsigned vcpu);
struct model_cpu *model_cpu(struct model_vm *vm, unsigned vcpu);

/* ------------------------------------------------------------------------
 * Guest memory, as a loader or a device reaches it.
 */

/* The 8 bytes at @gpa (8-aligned, below memory_size, not taken by the host). */
uint64_t *model_word(struct model_vm *vm, uint64_t gpa);
/* Write them and tell the engine (pvm_mmu_host_wrote()). */
void model_poke(struct model_vm *vm, uint64_t gpa, uint64_t value);
/* A zeroed page from the second half of memory; its gpa. 0 when there is none left. */
uint64_t model_new_page(struct model_vm *vm);
/* Map @gva to @gpa at @level in the guest's tables under @root (of @levels);
 * tables on the way are made with P, W, U. Returns the gpa of the leaf entry,
 * 0 where a larger page is in the way or memory ran out. */
uint64_t model_map(struct model_vm *vm, uint64_t root, unsigned levels, uint64_t gva, uint64_t gpa,
		   unsigned level, uint64_t flags);

/* Identity tables of all memory (4 levels, 2 MiB pages; for each mode its own, in single
 * CR3 one), a PVCS, entries and a stack for a vCPU, in supervisor mode with IF set. */
#define MODEL_PVCS(vcpu)	(0x3000ull + 0x1000ull * (vcpu))
#define MODEL_EVENT_ENTRY	0x100000ull
#define MODEL_LSTAR		0x110000ull
#define MODEL_RETU_RIP		0x120000ull
#define MODEL_RETS_RIP		0x120010ull
#define MODEL_CODE		0x200000ull
#define MODEL_STACK(vcpu)	(0x210000ull + 0x8000ull * (vcpu))
int model_boot(struct model_vm *vm, unsigned vcpu);

/* ------------------------------------------------------------------------
 * What a guest does.
 */

enum model_outcome_kind {
	MODEL_WENT_ON,		/* done, no event */
	MODEL_EVENT,		/* an event was delivered: event */
	MODEL_HALTED,		/* the vCPU waits for an interrupt */
	MODEL_HYPERCALL,	/* not PVM's: pvm_vcpu::request.hypercall; answered -KVM_ENOSYS */
	MODEL_IO,		/* pvm_vcpu::request.io; IN reads all ones */
	MODEL_MMIO,		/* the access found no memory: pvm_vcpu::request.mmio */
	MODEL_SHUTDOWN,		/* triple fault: pvm_vcpu::request.shutdown */
	MODEL_FAILED,		/* the engine or its tables: message */
};

struct model_outcome {
	enum model_outcome_kind kind;
	uint64_t value;		/* what a read or fetch returned */
	unsigned faults;	/* #PF exits on the way */
	struct model_event event;
	char message[256];
};

struct model_outcome model_access(struct model_vm *vm, unsigned vcpu, uint64_t gva,
				  enum model_kind kind, unsigned size, uint64_t value);
/* 8 bytes; exec fetches one. */
struct model_outcome model_read(struct model_vm *vm, unsigned vcpu, uint64_t gva);
struct model_outcome model_write(struct model_vm *vm, unsigned vcpu, uint64_t gva, uint64_t value);
struct model_outcome model_exec(struct model_vm *vm, unsigned vcpu, uint64_t gva);

/* SYSCALL at rip, as the registers are. */
struct model_outcome model_syscall(struct model_vm *vm, unsigned vcpu);
/* One in supervisor mode with RAX = @nr and its arguments. Result in RAX. */
struct model_outcome model_hypercall(struct model_vm *vm, unsigned vcpu, uint64_t nr, uint64_t a,
				     uint64_t b, uint64_t c);
/* EVENT_RETURN_USER and _SUPERVISOR by their SYSCALLs. */
struct model_outcome model_return_user(struct model_vm *vm, unsigned vcpu);
struct model_outcome model_return_supervisor(struct model_vm *vm, unsigned vcpu);
struct model_outcome model_exception(struct model_vm *vm, unsigned vcpu, uint8_t vector,
				     uint32_t error_code);
struct model_outcome model_insn(struct model_vm *vm, unsigned vcpu, const struct pvm_insn *insn,
				uint8_t vector);
/* From outside: delivered, or left pending in the PVCS. */
struct model_outcome model_interrupt(struct model_vm *vm, unsigned vcpu, uint8_t vector);
struct model_outcome model_nmi(struct model_vm *vm, unsigned vcpu);

/* ------------------------------------------------------------------------
 * What the host does with guest memory. Addresses page-aligned.
 */

/* Take frames away. Accesses then find no memory. PVM_EBUSY: one is pinned. */
int model_host_take(struct model_vm *vm, uint64_t gpa, uint64_t pages);
/* Put one frame elsewhere, content copied; the old place is overwritten with
 * 0xa5 bytes. PVM_EBUSY: pinned; PVM_ENOMEM: the spare frames are used up. */
int model_host_move(struct model_vm *vm, uint64_t gpa);
/* Start dirty logging of frames; and has one been written since? */
void model_host_log(struct model_vm *vm, uint64_t gpa, uint64_t pages);
bool model_host_dirty(const struct model_vm *vm, uint64_t gpa);

#endif /* MODEL_MODEL_H */
