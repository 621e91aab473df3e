/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* struct model_vm for vm.c and vm_host.c; no other file uses its fields. */
#ifndef MODEL_VM_H
#define MODEL_VM_H

#include "model.h"

#define FRAME_TAKEN UINT32_MAX

struct model_frame {
	uint32_t host;		/* host frame number, or FRAME_TAKEN */
	uint32_t pins;
	bool moving;		/* no vCPU gets it until the move is done */
	bool logged;		/* write-protected until written */
	bool dirty;
};

struct model_vm {
	struct model_options options;
	struct pvm_vm pvm;
	struct pvm_vcpu vcpu[MODEL_MAX_VCPUS];
	struct model_cpu cpu[MODEL_MAX_VCPUS];
	unsigned vcpus;			/* made so far */

	uint8_t *memory;		/* host frames */
	uint64_t host_frames, next_spare;
	struct model_frame *frame;	/* by gfn */
	uint64_t frames;
	uint64_t next_page;		/* model_new_page() */

	uint8_t *arena;			/* engine pages */
	bool *arena_used;
	uint32_t *arena_free;		/* stack of free indices */
	uint32_t arena_free_count, arena_live;
	uint32_t pins;
	pthread_mutex_t mmu_lock, arena_lock;
	pthread_mutex_t move_lock;	/* held while a frame moves */
};

/* 0, or -1 without memory. */
int model_host_init(struct model_vm *vm);
void model_host_fini(struct model_vm *vm);
struct model_memory model_host_memory(struct model_vm *vm);
extern const struct pvm_host_ops model_host_ops;

#endif /* MODEL_VM_H */
