/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * What the CPU is like under kvm-pvm.ko, as far as the monitor's own engine must know to hold its
 * registers; and the CPUID table that the guest gets. Opens /dev/kvm and makes no VM.
 */
#include <stdio.h>

#include "device.h"
#include "kvm.h"

/* The upper half above the switcher's slot: what kvm-pvm.ko gives. */
#define PML4_START	272
#define PML4_END	510

#define MAXPHYADDR_LEAF	0x80000008u
#define MAXPHYADDR_MIN	36
#define MAXPHYADDR_MAX	46

/* KVM's table, as the monitor has it. The first is in use at one time. */
static struct pvm_cpuid_entry table[KVM_CPUID_MAX];

static int read_cpuid(int device, struct pvm_vm_config *config, char *why, size_t why_size)
{
	struct {
		struct kvm_cpuid2 head;
		struct kvm_cpuid_entry2 entry[KVM_CPUID_MAX];
	} cpuid = { .head.nent = KVM_CPUID_MAX };
	uint32_t i;

	if (KVM_ASK(device, KVM_GET_SUPPORTED_CPUID, &cpuid, why, why_size) < 0)
		return -1;
	config->guest_maxphyaddr = MAXPHYADDR_MIN;
	for (i = 0; i < cpuid.head.nent && i < KVM_CPUID_MAX; i++) {
		const struct kvm_cpuid_entry2 *entry = &cpuid.entry[i];
		uint8_t bits = (uint8_t)entry->eax;

		table[i] = (struct pvm_cpuid_entry){
			.leaf = entry->function, .subleaf = entry->index,
			.subleaf_matters = entry->flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
			.eax = entry->eax, .ebx = entry->ebx, .ecx = entry->ecx, .edx = entry->edx,
		};
		if (entry->function == MAXPHYADDR_LEAF && bits > MAXPHYADDR_MIN)
			config->guest_maxphyaddr = bits < MAXPHYADDR_MAX ? bits : MAXPHYADDR_MAX;
	}
	config->cpuid = table;
	config->cpuid_count = i;
	return 0;
}

int kvm_probe(struct pvm_vm_config *config, const char *guest, char *why, size_t why_size)
{
	enum pvm_abi abi = config->abi;
	uint32_t abis;
	int device, error;

	(void)guest;
	device = kvm_device_open(&abis, why, why_size);
	if (device < 0)
		return -1;
	error = read_cpuid(device, config, why, why_size);
	kvm_device_close(device);
	if (error)
		return -1;
	if ((unsigned)abi >= PVM_ABI_COUNT || !(abis & 1u << abi)) {
		snprintf(why, why_size, "kvm-pvm.ko does not have the guest ABI %s",
			 pvm_abi_name(abi) ? pvm_abi_name(abi) : "that the guest asks for");
		return -1;
	}
	executor_linux_cpu(config);
	config->host_la57 = false;
	config->host_nx = true;
	config->host_page1g = true;
	config->host_maxphyaddr = MAXPHYADDR_MAX;
	config->range = (struct pvm_linear_range){
		.pml4_start = PML4_START, .pml4_end = PML4_END,
		.pml5_start = PVM_RANGE_INDEX_NONE, .pml5_end = PVM_RANGE_INDEX_NONE,
	};
	return 0;
}

bool kvm_available(char *why, size_t why_size)
{
	uint32_t abis;
	int device = kvm_device_open(&abis, why, why_size);

	if (device < 0)
		return false;
	kvm_device_close(device);
	return true;
}
