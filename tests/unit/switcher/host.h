/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * A host for the parts of the switcher that touch no privileged register: areas that
 * no CPU runs on, pages with made-up physical addresses, and kicks that are counted
 * and do to the area what the CPU would. Deterministic; one thread.
 */
#ifndef TESTS_SWITCHER_HOST_H
#define TESTS_SWITCHER_HOST_H

#include <fixture.h>
#include <pvm/switcher.h>

#include "switcher/area.h"

#define HOST_CPUS	3		/* the last of them has no area */
#define HOST_WINDOWS	4
#define HOST_PAGES	64
#define HOST_PA(va)	((uint64_t)(uintptr_t)(va) & PVM_CR3_ADDR_MASK)

/* What a CPU does when it is kicked. */
/* KICK_LEAVES_LATER: it is on its way out, as the signal says; out only when waited for. */
enum host_kick { KICK_LEAVES, KICK_RUNS_AGAIN, KICK_LEAVES_LATER };

extern struct pvm_switcher switcher;
/* After the last is one that is no CPU of this switcher, with a guest at no address: to look at it
 * is a fault. */
extern struct pvm_switcher_cpu *cpus[HOST_CPUS + 1];
extern unsigned kicks[HOST_CPUS + 1];
#define NOT_OURS	((struct pvm_switcher_vcpu *)8)
extern enum host_kick on_kick;
extern int pages_left;			/* page_alloc() fails at 0; -1: never */
extern unsigned pages_live;

/* A configuration that is good on this machine: PCIDs, 4 levels. */
struct pvm_switcher_config host_config(void);
/* The switcher, with areas for all CPUs but the last; not by pvm_switcher_cpu_init(),
 * which is for CPL 0. */
void host_init(const struct pvm_switcher_config *config);
/* Make a VM's configuration agree with host_config(); a VM whose does. */
void host_agree(struct pvm_vm_config *config);
extern struct pvm_vm host_vm;
/* @svcpu runs on CPU @id; where it is another VM's, at no address. */
void host_activate(uint32_t id, struct pvm_switcher_vcpu *svcpu, bool another_vms);
/* The page at a physical address that page_alloc() gave out, else NULL. */
uint64_t *host_table(uint64_t pa);

#endif /* TESTS_SWITCHER_HOST_H */
