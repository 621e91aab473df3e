/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * What a saved guest is, in JSON: its machine, its devices and where they are on the host, and what its CPU
 * tells it of itself. Text that is read is bad input until proven otherwise.
 */
#ifndef SAVED_DESCRIPTION_H
#define SAVED_DESCRIPTION_H

#include "../vm.h"
#include "../xen/xen_disk.h"

#define SAVED_CPUID_MAX	256u

struct saved_disk {
	const char *path;	/* absolute, as the user named it */
	uint64_t bytes;
	bool read_only;
	char written[XEN_DISK_TIME];	/* xen_disk_written(); "": it is not known */
};

struct saved_description {
	const char *kernel;	/* its path, when the guest was started */
	const char *command_line;
	uint64_t memory;	/* bytes */
	uint32_t vcpus;
	unsigned disk_count, net_count;
	struct saved_disk disks[MONITOR_DISKS_MAX];
	struct monitor_net nets[MONITOR_NETS_MAX];
	uint32_t cpuid_count;
	struct pvm_cpuid_entry cpuid[SAVED_CPUID_MAX];
	void *json;		/* what the texts are part of; NULL: they are the caller's */
};

/* As JSON, to be free()d; NULL: no memory, or a text that is no UTF-8. */
char *saved_description_print(const struct saved_description *description);

/**
 * saved_description_parse - and back.
 * @text: @length bytes.
 * Returns NULL, or what is wrong with it, as the end of a sentence ("no memory size"); else to be closed.
 */
const char *saved_description_parse(struct saved_description *description, const char *text, size_t length);
void saved_description_close(struct saved_description *description);

/**
 * saved_cpu_check - can a guest that was told of @saved go on where it would be told of @host?
 * Returns 0, or -1 with what is missing in @why: "leaf 7 ebx bits 5, 8".
 */
int saved_cpu_check(const struct pvm_cpuid_entry *saved, uint32_t saved_count,
		    const struct pvm_cpuid_entry *host, uint32_t host_count, char *why, size_t why_size);

#endif /* SAVED_DESCRIPTION_H */
