/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * A CPU that only translates and accesses memory: the page walker of x86-64
 * at CPL 3 over shadow tables, in front of it a TLB. Owns what hardware does
 * with P, W, U, NX, PS, reserved bits, protection keys, A and D (SDM vol. 3,
 * chapter 4); it must never repair anything by itself or call the engine.
 *
 * One lock per CPU: an access (look up, walk, remember, copy) is atomic
 * against a flush from another thread, as on hardware, where a shootdown
 * waits until the instruction in flight is done.
 */
#ifndef MODEL_CPU_H
#define MODEL_CPU_H

#include <pthread.h>

#include <pvm/vcpu.h>

#include "tlb.h"

/* Where the CPU's memory is. */
struct model_memory {
	/* The 4 KiB table at @pa, or NULL: the engine never allocated it or has
	 * freed it, so the CPU would walk garbage. */
	uint64_t *(*table)(void *owner, uint64_t pa);
	/* The byte of guest memory at @pa followed by the rest of its frame,
	 * or NULL: a shadow entry points outside guest memory (M2). */
	uint8_t *(*frame)(void *owner, uint64_t pa);
	void *owner;
};

struct model_cpu {
	const struct pvm_vm_config *config;	/* host_* fields */
	struct model_memory memory;
	struct model_tlb tlb;
	uint64_t dead_root;	/* the last root that a flush said dies; 0: none, or seen */
	pthread_mutex_t lock;
};

enum model_kind {
	MODEL_READ,
	MODEL_WRITE,
	MODEL_EXEC,
};

enum model_result {
	MODEL_OK,
	MODEL_FAULT,	/* vector and error_code, and gva of the byte at fault */
	MODEL_RELOAD,	/* the root has died since it was loaded */
	MODEL_BROKEN,	/* the shadow tables are: what */
};

struct model_fault {
	uint8_t vector;		/* PVM_VEC_PF or PVM_VEC_GP */
	uint32_t error_code;
	uint64_t gva;
	const char *what;
};

void model_cpu_init(struct model_cpu *cpu, const struct pvm_vm_config *config,
		    const struct model_memory *memory);
void model_cpu_destroy(struct model_cpu *cpu);

/**
 * model_cpu_access - one data access or instruction fetch.
 * @root: hpa of the shadow root in CR3.
 * @pkru: the PKRU register.
 * @gva, @size: 1..8 bytes; they may cross a page, both are checked first.
 * @value: written from, or read into (zero-extended).
 */
enum model_result model_cpu_access(struct model_cpu *cpu, uint64_t root, uint32_t pkru, uint64_t gva,
				   enum model_kind kind, unsigned size, uint64_t *value,
				   struct model_fault *fault);

/* Does the TLB hold a translation of @gva under @root? */
bool model_cpu_remembers(struct model_cpu *cpu, uint64_t root, uint64_t gva);

/* Any thread: done when it returns. */
void model_cpu_flush(struct model_cpu *cpu, const struct pvm_tlb_flush *flush);

#endif /* MODEL_CPU_H */
