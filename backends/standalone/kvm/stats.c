/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * What the kernel counted of a VM's vCPUs: KVM's binary statistics, whatever counters the kernel
 * has (Linux 5.14), summed; and what came to user space. Must not know a counter's name.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "device.h"
#include "kvm.h"
#include "../vm.h"

/* More than any kernel has, and a bound for what a descriptor says. */
#define NAME_MAX_BYTES	256
#define COUNTERS_MAX	256

struct counters {
	unsigned count;
	char name[COUNTERS_MAX][NAME_MAX_BYTES];
	uint64_t sum[COUNTERS_MAX];
};

static bool read_at(int fd, void *buffer, size_t size, uint64_t offset)
{
	return pread(fd, buffer, size, (off_t)offset) == (ssize_t)size;
}

/* A plain number that only grows: no time, size or histogram. */
static bool is_counter(const struct kvm_stats_desc *desc)
{
	return (desc->flags & KVM_STATS_TYPE_MASK) == KVM_STATS_TYPE_CUMULATIVE &&
	       (desc->flags & KVM_STATS_UNIT_MASK) == KVM_STATS_UNIT_NONE && desc->size == 1;
}

static void add(struct counters *counters, const char *name, uint64_t value)
{
	unsigned i;

	for (i = 0; i < counters->count; i++)
		if (!strcmp(counters->name[i], name))
			break;
	if (i == COUNTERS_MAX)
		return;
	if (i == counters->count) {
		counters->count++;
		strcpy(counters->name[i], name);
	}
	counters->sum[i] += value;
}

static void read_stats(struct counters *counters, int fd)
{
	struct kvm_stats_header header;
	uint32_t i;

	if (!read_at(fd, &header, sizeof(header), 0) || header.name_size > NAME_MAX_BYTES)
		return;
	for (i = 0; i < header.num_desc; i++) {
		struct kvm_stats_desc desc;
		uint64_t at = header.desc_offset + (uint64_t)i * (sizeof(desc) + header.name_size);
		char name[NAME_MAX_BYTES] = "";
		uint64_t value;

		if (!read_at(fd, &desc, sizeof(desc), at) ||
		    !read_at(fd, name, header.name_size, at + sizeof(desc)))
			return;
		name[sizeof(name) - 1] = 0;
		if (is_counter(&desc) &&
		    read_at(fd, &value, sizeof(value), header.data_offset + (uint64_t)desc.offset))
			add(counters, name, value);
	}
}

static void print_kernel(const struct kvm_vm *vm, FILE *to)
{
	struct counters *counters = calloc(1, sizeof(*counters));
	bool any = false;
	uint32_t i;

	for (i = 0; counters && i < vm->count; i++) {
		int fd = kvm_device_ioctl(vm->vcpus[i].fd, KVM_GET_STATS_FD, NULL);

		if (fd < 0)
			continue;
		any = true;
		read_stats(counters, fd);
		kvm_device_close(fd);
	}
	if (any)
		fprintf(to, "counted by KVM:\n");
	for (i = 0; any && i < counters->count; i++)
		monitor_print_row(to, counters->name[i], counters->sum[i]);
	free(counters);
}

void kvm_print_stats(struct monitor_vm *vm, FILE *to)
{
	uint64_t sum[KVM_EXITS + 1] = { 0 }, total = 0;
	const struct kvm_vm *kvm = kvm_vm(vm);
	unsigned reason;
	uint32_t i;

	for (i = 0; i < kvm->count; i++) {
		for (reason = 0; reason < KVM_EXITS; reason++)
			sum[reason] += kvm->vcpus[i].exits[reason];
		sum[KVM_EXITS] += kvm->vcpus[i].interrupted;
	}
	for (reason = 0; reason <= KVM_EXITS; reason++)
		total += sum[reason];
	fprintf(to, "exits to pvm by reason: %llu\n", (unsigned long long)total);
	for (reason = 0; reason < KVM_EXITS; reason++)
		monitor_print_row(to, kvm_exit_name(reason), sum[reason]);
	monitor_print_row(to, "kick", sum[KVM_EXITS]);
	print_kernel(kvm, to);
}
