/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* See bare.h. */
#include "bare.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#define PAGE	4096

int bare_run(struct machine *m)
{
	return ioctl(m->vcpu[0], KVM_RUN, NULL) < 0 ? errno : 0;
}

void bare_complete(struct machine *m)
{
	m->run[0]->immediate_exit = 1;
	bare_run(m);
	m->run[0]->immediate_exit = 0;
}

void bare_map_memory(struct machine *m)
{
	struct kvm_sregs sregs;
	unsigned i;

	ASK(m->vcpu[0], KVM_GET_SREGS, &sregs);
	for (i = 0; i < 2; i++)
		*(uint64_t *)(m->memory + sregs.cr3 + i * PAGE) = (sregs.cr3 + (i + 1) * PAGE) | 3;
	*(uint64_t *)(m->memory + sregs.cr3 + 2 * PAGE) = 0x83;
}

void bare_begin(struct machine *m, uint32_t abi, const char *code, size_t length)
{
	machine_create_bare(m, abi, BARE_MEMORY, 1);
	machine_set_registers(m, 0, BARE_CODE_GPA, 0);
	memcpy(m->memory + BARE_CODE_GPA, code, length);
	bare_map_memory(m);
}

bool bare_set_msr(struct machine *m, uint32_t index, uint64_t value)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} msrs = { { .nmsrs = 1 }, { .index = index, .data = value } };

	return ioctl(m->vcpu[0], KVM_SET_MSRS, &msrs) == 1;
}

struct kvm_regs bare_regs(struct machine *m)
{
	struct kvm_regs now;

	ASK(m->vcpu[0], KVM_GET_REGS, &now);
	return now;
}

uint32_t *bare_data(struct machine *m)
{
	return (uint32_t *)((char *)m->run[0] + m->run[0]->io.data_offset);
}
