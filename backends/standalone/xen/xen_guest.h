/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * A guest that speaks Xen PV, a distribution's own kernel: how it is started, and its devices, which are
 * memory that it shares and event channels. Must not know how the guest executes: channels are the
 * executor's (executor_ops::xen_port, xen_notify).
 */
#ifndef STANDALONE_XEN_GUEST_H
#define STANDALONE_XEN_GUEST_H

#include "../vm.h"
#include "elf_file.h"
#include "xen_store.h"

struct xen_guest;
struct xen_disk;

/* Before vm->pvm is made: what its configuration has of the guest. */
void xen_guest_configure(const struct monitor_vm *vm, uint32_t vcpus, struct pvm_vm_config *config);

/**
 * xen_guest_create - load @kernel and what goes with it, and make the devices that @options name; vm->xen.
 * After the executor's vm_init(). Returns 0, or -1 with one line in @why.
 */
int xen_guest_create(struct monitor_vm *vm, const struct elf_file *kernel,
		     const struct monitor_options *options, char *why, size_t why_size);
/* The same without a kernel: for xen_guest_restore(), once guest memory and the executor have their state. */
int xen_guest_create_empty(struct monitor_vm *vm, const struct monitor_options *options, char *why,
			   size_t why_size);
void xen_guest_destroy(struct monitor_vm *vm);

/* More than what xen_guest_save() writes. */
#define XEN_GUEST_RECORD_MAX	(XEN_STORE_RECORD_MAX + (64u << 10))

/*
 * To save it, while no vCPU runs. Between the first two no device's thread does anything; xen_guest_rest() is
 * false where one is not done with its work in time. xen_guest_go_on():
 * @is_saved: it is to go on elsewhere. xen_guest_flush(): what it has written is on the host's disks.
 * xen_guest_restore(): 0, or -1 with the end of a line in @why.
 */
bool xen_guest_rest(struct xen_guest *guest, unsigned seconds);
void xen_guest_go_on(struct xen_guest *guest, bool is_saved);
int xen_guest_flush(struct xen_guest *guest, char *why, size_t why_size);
void xen_guest_save(struct xen_guest *guest, struct xen_record *to);
int xen_guest_restore(struct monitor_vm *vm, struct xen_record *from, char *why, size_t why_size);
/* Its @index'th. */
struct xen_disk *xen_guest_disk(const struct xen_guest *guest, unsigned index);

/* The devices' threads: they end when the VM is over. What the guest had printed is out then; what it had
 * asked disks and networks for may not be done. 0, or an errno. */
int xen_guest_start(struct xen_guest *guest);
void xen_guest_wait(struct xen_guest *guest);

/* Main thread. Ask it to power off, as an operator does by a button. False: it does not listen. */
bool xen_guest_ask_power_off(struct xen_guest *guest);

/* After the run: what the devices did. */
void xen_guest_print_stats(const struct xen_guest *guest, FILE *to);

/* Main thread. Room for console input, bytes; and some of it, no more than that. Returns how much was taken:
 * none while the guest is saved. */
unsigned xen_guest_input_room(struct xen_guest *guest);
unsigned xen_guest_input(struct xen_guest *guest, const uint8_t *bytes, unsigned count);

#endif /* STANDALONE_XEN_GUEST_H */
