/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* The VM that machine.h describes. */
#include "machine.h"

#include <fcntl.h>
#include <pvm/mmu.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "host.h"
#include "memory.h"

#define PVCS_GPA	0x3000
#define TABLES		(32ull << 20)	/* guest page tables grow up from here */

static uint64_t new_table(struct machine *m)
{
	uint64_t gpa = m->next_table;

	m->next_table += PVM_PAGE_SIZE;
	cr_assert_lt(gpa, MACHINE_MEMORY);
	memset(m->vm.memory.va + gpa, 0, PVM_PAGE_SIZE);
	return gpa;
}

void machine_map(struct machine *m, uint64_t cr3, uint64_t gva, uint64_t gpa, unsigned level,
		 uint64_t flags)
{
	uint64_t table = cr3, *entry;
	unsigned l;

	for (l = 4; l > level; l--) {
		entry = (uint64_t *)(void *)(m->vm.memory.va + table) + PVM_LEVEL_INDEX(gva, l);
		if (!(*entry & PVM_PTE_P))
			*entry = new_table(m) | RWX;
		table = *entry & PVM_PTE_ADDR_MASK;
	}
	entry = (uint64_t *)(void *)(m->vm.memory.va + table) + PVM_LEVEL_INDEX(gva, level);
	*entry = flags ? gpa | flags | (level > 1 ? PVM_PTE_PS : 0) : 0;
	pvm_mmu_host_wrote(&m->vm.pvm, pvm_gfn(((uint8_t *)entry - m->vm.memory.va) >> PVM_PAGE_SHIFT),
			   PVM_MAY_SLEEP);
}

void *machine_at(struct machine *m, uint64_t gpa)
{
	return m->vm.memory.va + gpa;
}

/* The same memory, by a file without seals. */
static void unseal(const struct guest_memory *memory)
{
	int fd = memfd_create("shrinkable", MFD_CLOEXEC);
	void *va;

	cr_assert_eq(ftruncate(fd, (off_t)memory->size), 0);
	cr_assert_eq(dup3(fd, memory->fd, O_CLOEXEC), memory->fd);
	close(fd);
	va = mmap(memory->va, memory->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, memory->fd, 0);
	cr_assert_eq(va, memory->va);
}

static void init(struct machine *m, unsigned vcpus, bool shrinkable)
{
	char why[256] = "";
	unsigned i;
	uint64_t gva;

	memset(m, 0, sizeof(*m));
	m->config.abi = PVM_ABI_DUAL_CR3;
	m->vm.executor = &native_executor;
	m->next_table = TABLES;
	cr_assert_eq(native_executor.probe(&m->config, "none", why, sizeof(why)), 0, "%s", why);
	cr_assert_eq(guest_memory_create(&m->vm.memory, GUEST_MEMORY_FILE, MACHINE_MEMORY, why, sizeof(why)), 0, "%s", why);
	if (shrinkable)
		unseal(&m->vm.memory);
	cr_assert_eq(host_init(&m->vm, SHADOW_MEMORY_DEFAULT, NULL, why, sizeof(why)), 0, "%s", why);
	cr_assert_eq(pvm_vm_init(&m->vm.pvm, &m->config, &m->vm.ops, &m->vm), PVM_OK);
	m->vm.vcpus = m->vcpu;
	m->vm.vcpu_count = vcpus;
	cr_assert_eq(native_executor.vm_init(&m->vm, why, sizeof(why)), 0, "%s", why);
	((struct native_vm *)m->vm.executor_vm)->every_exit = true;
	m->vm.executor_ready = true;
	m->supervisor_cr3 = new_table(m);
	m->user_cr3 = new_table(m);
	for (gva = 0; gva < MACHINE_MAPPED; gva += PVM_PAGE_SIZE) {
		machine_map(m, m->supervisor_cr3, gva, gva, 1, RWX);
		machine_map(m, m->user_cr3, gva, gva, 1, RWX);
	}
	for (i = 0; i < vcpus; i++) {
		struct monitor_vcpu *vcpu = aligned_alloc(64, sizeof(*vcpu));

		memset(vcpu, 0, sizeof(*vcpu));
		m->vcpu[i] = vcpu;
		vcpu->vm = &m->vm;
		cr_assert_eq(pvm_vcpu_init(&vcpu->pvm, &m->vm.pvm, i), PVM_OK);
		vcpu->pvm.backend = vcpu;
		cr_assert_eq(pvm_cr_write(&vcpu->pvm, 3, m->supervisor_cr3), PVM_OK);
		cr_assert_eq(pvm_msr_write(&vcpu->pvm, MSR_PVM_SWITCH_CR3, m->user_cr3), PVM_OK);
		cr_assert_eq(pvm_msr_write(&vcpu->pvm, MSR_PVM_VCPU_STRUCT, PVCS_GPA + i * PVCS_SIZE),
			     PVM_OK);
		vcpu->pvm.rip = CODE;
		vcpu->pvm.gpr[PVM_RSP] = STACK;
		cr_assert_eq(native_executor.vcpu_init(vcpu, why, sizeof(why)), 0, "%s", why);
	}
}

void machine_init(struct machine *m, unsigned vcpus)
{
	init(m, vcpus, false);
}

void machine_init_shrinkable(struct machine *m, unsigned vcpus)
{
	init(m, vcpus, true);
}

void machine_lose(struct machine *m, uint64_t gpa)
{
	cr_assert_eq(ftruncate(m->vm.memory.fd, (off_t)gpa), 0);
}

void machine_fini(struct machine *m)
{
	unsigned i;

	for (i = 0; i < m->vm.vcpu_count; i++)
		native_executor.vcpu_destroy(m->vcpu[i]);
	for (i = 0; i < m->vm.vcpu_count; i++)
		pvm_vcpu_destroy(&m->vcpu[i]->pvm);
	pvm_vm_destroy(&m->vm.pvm);
	m->vm.executor_ready = false;
	native_executor.vm_destroy(&m->vm);
	for (i = 0; i < m->vm.vcpu_count; i++)
		free(m->vcpu[i]);
	host_fini(&m->vm);
	guest_memory_destroy(&m->vm.memory);
}

void machine_put(struct machine *m, struct monitor_vcpu *vcpu, uint64_t gva, const uint8_t *code,
		 size_t size)
{
	memcpy(machine_at(m, gva), code, size);
	vcpu->pvm.rip = gva;
}

void machine_user(struct machine *m, bool code64)
{
	struct pvm_vcpu *vcpu = &m->vcpu[0]->pvm;

	vcpu->user_mode = true;
	vcpu->seg[PVM_CS] = code64 ? m->config.user_cs : m->config.user32_cs;
	vcpu->seg[PVM_SS] = m->config.user_ds;
	if (!code64) {
		vcpu->seg[PVM_DS] = m->config.user_ds;
		vcpu->seg[PVM_ES] = m->config.user_ds;
	}
	cr_assert_eq(pvm_cr_write(vcpu, 3, m->user_cr3), PVM_OK);
	cr_assert_eq(pvm_msr_write(vcpu, MSR_PVM_SWITCH_CR3, m->supervisor_cr3), PVM_OK);
}

struct pvm_guest_exit machine_run_once(struct monitor_vcpu *vcpu)
{
	struct pvm_guest_exit exit = { .kind = PVM_EXIT_KINDS };

	cr_assert_eq(pvm_mmu_load(&vcpu->pvm, &vcpu->root, PVM_MAY_SLEEP), PVM_OK);
	native_executor.run(vcpu, &exit);
	return exit;
}

struct pvm_guest_exit machine_run(struct monitor_vcpu *vcpu)
{
	struct pvm_guest_exit exit = { .kind = PVM_EXIT_KINDS };
	unsigned tries;

	for (tries = 0; tries < 1000; tries++) {
		struct pvm_fault_result fault;

		exit = machine_run_once(vcpu);
		if (exit.kind != PVM_EXIT_EXCEPTION || exit.vector != PVM_VEC_PF)
			return exit;
		fault = pvm_mmu_fault(&vcpu->pvm, exit.gva, exit.error_code, PVM_MAY_SLEEP);
		if (fault.kind == PVM_FAULT_FIXED)
			continue;
		cr_assert_eq(fault.kind, PVM_FAULT_INJECT, "fault kind %d at %#lx", fault.kind,
			     (unsigned long)exit.gva.v);
		exit.vector = fault.vector;
		exit.error_code = fault.error_code;
		return exit;
	}
	cr_assert_fail("1000 page faults and no end, the last at %#lx", (unsigned long)exit.gva.v);
	return exit;
}

struct space *machine_space(struct monitor_vcpu *vcpu)
{
	struct native_vcpu *native = vcpu->executor;
	unsigned i;

	for (i = 0; i < native->pool.count; i++)
		if (native->pool.spaces[i].root == vcpu->root.v)
			return &native->pool.spaces[i];
	return NULL;
}

pid_t machine_stub(struct monitor_vcpu *vcpu)
{
	const struct space *space = machine_space(vcpu);

	return space ? space->pid : 0;
}
