/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * A guest that speaks Xen PV: an unmodified distribution kernel. What minivisor has for it beside what
 * every guest gets: a clock and a timer, a console, the table of frame numbers, and its start of day.
 */
#ifndef MINIVISOR_XEN_H
#define MINIVISOR_XEN_H

#include "elf_file.h"
#include "vm.h"

/* Is that what the file is? */
bool xen_is_guest(const struct elf_file *elf);

/* The VM's configuration for it, by vm.memory_size; of memory its last pages are not the guest's RAM. */
void xen_configure(struct pvm_vm_config *config);

/* After the engine and the vCPUs are made: the kernel into memory, and where vCPU 0 starts. Fails
 * with a line. */
void xen_start_guest(const struct elf_file *elf, const char *command_line);

/* struct pvm_host_ops: clock, set_timer, kick, notify. */
void xen_host_clock(void *host, struct pvm_clock *now);
void xen_host_set_timer(void *host, struct pvm_vcpu *vcpu, uint64_t ns);
void xen_host_kick(void *host, struct pvm_vcpu *vcpu);
void xen_host_notify(void *host, uint32_t port, uint32_t remote);

/* In the timer's interrupt, on the vCPU's CPU. */
void xen_tick(struct vm_vcpu *vcpu);

/* The guest has ended itself. */
__attribute__((noreturn)) void xen_end(uint32_t reason);

#endif /* MINIVISOR_XEN_H */
