/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The executor "model" of the standalone monitor: a guest that is a script, on
 * a CPU that only translates. Owns the glue between monitor.h, the script and
 * the model's CPUs; it executes no instruction.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../monitor.h"
#include "cpu.h"
#include "script.h"
#include "script_elf.h"

struct model_executor_vcpu {
	struct model_cpu cpu;
	struct script_vcpu runner;
};

struct model_executor {
	struct script script;
	uint32_t vcpus;
	struct model_executor_vcpu vcpu[];
};

/* CPUID of the CPU that the model is: what config.host_* say, and no more. */
#define CPUID_LEAVES 5
static struct pvm_cpuid_entry model_cpuid[CPUID_LEAVES];

#define CPUID1_ECX	((1u << 13) | (1u << 17) | (1u << 21) | (1u << 26) | (1u << 27))
			/* CX16, PCID, X2APIC, XSAVE, OSXSAVE */
#define CPUID1_EDX	0x078bfbff	/* an x86-64 with SSE2 */
#define CPUID7_EBX_FSGSBASE	(1u << 0)
#define CPUID7_ECX_UMIP		(1u << 2)
#define CPUID7_ECX_PKU		(1u << 3)
#define CPUID7_ECX_OSPKE	(1u << 4)
#define CPUID7_ECX_LA57		(1u << 16)
#define CPUID81_EDX_SYSCALL	(1u << 11)
#define CPUID81_EDX_NX		(1u << 20)
#define CPUID81_EDX_PAGE1G	(1u << 26)
#define CPUID81_EDX_LM		(1u << 29)

static void fill_cpuid(struct pvm_vm_config *c)
{
	struct pvm_cpuid_entry leaves[CPUID_LEAVES] = {
		/* "PvmModelCPU " in EBX, EDX, ECX */
		{ .leaf = 0, .eax = 7, .ebx = 0x4d6d7650, .edx = 0x6c65646f, .ecx = 0x20555043 },
		{ .leaf = 1, .eax = 0x00000f00, .ecx = CPUID1_ECX, .edx = CPUID1_EDX },
		{ .leaf = 7, .subleaf_matters = true, .ebx = CPUID7_EBX_FSGSBASE,
		  .ecx = (c->host_umip ? CPUID7_ECX_UMIP : 0) |
			 (c->host_pke ? CPUID7_ECX_PKU | CPUID7_ECX_OSPKE : 0) |
			 (c->host_la57 ? CPUID7_ECX_LA57 : 0) },
		{ .leaf = 0x80000001, .edx = CPUID81_EDX_SYSCALL | CPUID81_EDX_LM |
			 (c->host_nx ? CPUID81_EDX_NX : 0) |
			 (c->host_page1g ? CPUID81_EDX_PAGE1G : 0) },
		{ .leaf = 0x80000008, .eax = c->guest_maxphyaddr | (c->host_la57 ? 57u : 48u) << 8 },
	};

	memcpy(model_cpuid, leaves, sizeof(leaves));
	c->cpuid = model_cpuid;
	c->cpuid_count = CPUID_LEAVES;
}

static int probe(struct pvm_vm_config *config, const char *guest, char *why, size_t why_size)
{
	char *text = script_elf_read(guest, why, why_size);
	struct script script;
	bool ok;

	if (!text)
		return -1;
	config->host_nx = config->host_pke = config->host_umip = true;
	config->host_osxsave = config->host_page1g = true;
	config->host_maxphyaddr = 46;
	config->guest_maxphyaddr = 46;
	config->user32_cs = 0x23;
	config->user_ds = 0x2b;
	config->user_cs = 0x33;
	config->cpunode_sel = 0x7b;
	config->tls_index = 12;
	config->kernel_cs = 0x10;
	config->kernel_ds = 0x18;
	config->range = (struct pvm_linear_range){ 256, 510, PVM_RANGE_INDEX_NONE,
						   PVM_RANGE_INDEX_NONE };
	ok = script_parse(&script, guest, text, config);
	if (!ok)
		snprintf(why, why_size, "%s", script.message);
	script_free(&script);
	fill_cpuid(config);
	return ok ? 0 : -1;
}

static uint64_t *walker_table(void *owner, uint64_t pa)
{
	struct monitor_vm *vm = owner;

	return vm->pvm.ops->page_va(vm->pvm.host, pvm_hpa(pa));
}

static uint8_t *walker_frame(void *owner, uint64_t pa)
{
	struct monitor_vm *vm = owner;
	uint64_t gpa = pa - GUEST_HPA_BASE;

	return gpa < vm->memory.size ? vm->memory.va + gpa : NULL;
}

static void vm_destroy(struct monitor_vm *vm)
{
	struct model_executor *m = vm->executor_vm;
	uint32_t i;

	if (!m)
		return;
	for (i = 0; i < m->vcpus; i++)
		model_cpu_destroy(&m->vcpu[i].cpu);
	script_free(&m->script);
	free(m);
	vm->executor_vm = NULL;
}

static int vm_init(struct monitor_vm *vm, char *why, size_t why_size)
{
	struct model_memory memory = { walker_table, walker_frame, vm };
	struct model_executor *m;
	char *text = script_elf_read(vm->guest, why, why_size);
	uint32_t i;

	if (!text)
		return -1;
	m = calloc(1, sizeof(*m) + vm->vcpu_count * sizeof(m->vcpu[0]));
	if (!m) {
		free(text);
		snprintf(why, why_size, "out of memory");
		return -1;
	}
	vm->executor_vm = m;
	m->vcpus = vm->vcpu_count;
	for (i = 0; i < m->vcpus; i++)
		model_cpu_init(&m->vcpu[i].cpu, &vm->pvm.config, &memory);
	if (!script_parse(&m->script, vm->guest, text, NULL)) {
		snprintf(why, why_size, "%s", m->script.message);
		vm_destroy(vm);
		return -1;
	}
	m->script.machine = (struct script_machine){ &vm->pvm, vm->memory.va, vm->memory.size,
						     m->vcpus };
	return 0;
}

static int vcpu_init(struct monitor_vcpu *vcpu, char *why, size_t why_size)
{
	struct model_executor *m = vcpu->vm->executor_vm;
	struct model_executor_vcpu *v = &m->vcpu[vcpu->pvm.id];

	(void)why;
	(void)why_size;
	v->runner.script = &m->script;
	v->runner.vcpu = &vcpu->pvm;
	v->runner.cpu = &v->cpu;
	v->runner.place = model_place(&vcpu->pvm);
	vcpu->executor = v;
	return 0;
}

/* Its CPU stays, for flushes by other vCPUs: it goes with the VM. */
static void vcpu_destroy(struct monitor_vcpu *vcpu)
{
	vcpu->executor = NULL;
}

static void run(struct monitor_vcpu *vcpu, struct pvm_guest_exit *exit)
{
	struct model_executor_vcpu *v = vcpu->executor;

	v->runner.root = vcpu->root;
	script_run(&v->runner, exit);
}

static void kick(struct monitor_vcpu *vcpu)
{
	struct model_executor_vcpu *v = vcpu->executor;

	script_kick(&v->runner);
}

/* Also called while the engine is made and destroyed, when there are no CPUs. */
static void tlb_flush(struct monitor_vm *vm, const struct pvm_tlb_flush *flush)
{
	struct model_executor *m = vm->executor_vm;
	uint32_t i;

	for (i = 0; m && i < m->vcpus; i++)
		if (!flush->vcpu || flush->vcpu->id == i)
			model_cpu_flush(&m->vcpu[i].cpu, flush);
}

static void stats(struct monitor_vm *vm, struct executor_stats *stats)
{
	const struct model_executor *m = vm->executor_vm;
	uint32_t i;

	memset(stats, 0, sizeof(*stats));
	for (i = 0; i < m->vcpus; i++)
		stats->translations += m->vcpu[i].cpu.tlb.misses;
}

const struct executor_ops model_executor = {
	.name = "model",
	.memory = GUEST_MEMORY_FILE,
	.probe = probe,
	.vm_init = vm_init,
	.vm_destroy = vm_destroy,
	.vcpu_init = vcpu_init,
	.vcpu_destroy = vcpu_destroy,
	.run = run,
	.kick = kick,
	.tlb_flush = tlb_flush,
	.stats = stats,
};
