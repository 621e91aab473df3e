/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * What the MMU keeps per vCPU, in pvm_vcpu::mmu. It is here for its size alone: owned by libpvm/mmu/, and
 * a host reads none of it.
 */
#ifndef PVM_VCPU_MMU_H
#define PVM_VCPU_MMU_H

#include <pvm/types.h>

struct pvm_vcpu;

#define PVM_RECENT_FRAMES	32
#define PVM_RECENT_PAGES	8

struct pvm_vcpu_mmu {
	struct pvm_vcpu *next;	/* of the VM */
	bool inside;		/* it fills a page beside others, without the lock */
	uint32_t fills, refusals;	/* pages it filled so, #PFs it raised; not yet counted for the VM */
	uint32_t retries;	/* of the fills, those that came before their fault */
	uint32_t spares;	/* objects in spare, which it may use so */
	void *spare;		/* a chain through their first words */
	void *root[2];		/* shadow root of the supervisor's and of the user's table */
	uint64_t range;		/* MSR_PVM_LINEAR_ADDRESS_RANGE that the roots were made for */
	uint64_t range_gen;	/* when it became that, among all vCPUs' */
	uint64_t cr4, efer;	/* the same */
	uint64_t roots_gen;	/* of root[] */
	pvm_gfn_t late;		/* memory that could not be touched without sleeping */
	bool is_late, late_write;	/* there is one; it is to be written */
	uint64_t flush_since;	/* mmu->sync_clock of a flush that is not done for that; 0: none */
	bool is_shared;		/* the engine writes shared as it likes: no table there is exact */
	pvm_gfn_t shared;	/* the frame of the PVCS */

	/* The last #PF that was raised: when the guest returns there, the access is made possible
	 * before it faults again, if the guest's entry allows it by then. */
	struct {
		bool waits, user_mode;
		uint32_t access;
		pvm_gva_t gva;
		uint64_t rip;
	} retry;

	/* The path of the last fill of a 4 KiB page, by mode: good for its neighbours as
	 * long as no link between shadow pages goes or changes. */
	struct pvm_vcpu_path {
		void *root, *table;	/* shadow pages at its top and bottom; NULL: none */
		uint64_t region;	/* gva >> 21 */
		uint64_t links_gen;	/* pvm_mmu's then */
		uint64_t frames_gen;	/* the same: the pointers below are good */
		const uint64_t *leaves;	/* the guest's table of level 1 */
		const uint64_t *at[4];	/* where its entries of levels 2 to 5 are */
		uint64_t entry[4];	/* what they were */
		uint8_t upper;		/* how many */
		bool writable, user, executable;	/* what they allow together */
	} path[2];

	/* What was looked up of late: libpvm/mmu/recent.h */
	struct pvm_vcpu_recent {
		uint64_t flush_gen;	/* pvm_mmu's when page[] was begun; 0: it is empty */
		struct pvm_recent_frame {
			pvm_gfn_t gfn;
			uint64_t gen;	/* pvm_mmu's frames_gen when it was found; 0: none was */
			void *va;
			bool writable;
		} frame[PVM_RECENT_FRAMES];	/* by the lowest bits of gfn */
		struct pvm_recent_page {
			uint64_t tag;		/* gva of the page, and user_mode as its lowest bit */
			pvm_gfn_t table;	/* CR3's */
			pvm_gfn_t gfn;
			bool writable;
		} page[PVM_RECENT_PAGES];	/* by the lowest bits of the page's number */
	} recent;
};

#endif /* PVM_VCPU_MMU_H */
