/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* The model VM: its life, its backend loop, and what its guest does. */
#include "vm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pvm/events.h>
#include <pvm/hypercall.h>
#include <pvm/mmu.h>

/* An access that faults this often makes no progress. */
#define MAX_FAULTS 16

struct model_options model_options(void)
{
	return (struct model_options){
		.config = {
			.abi = PVM_ABI_DUAL_CR3,
			.host_nx = true, .host_pke = true, .host_umip = true,
			.host_osxsave = true, .host_page1g = true,
			.host_maxphyaddr = 46, .guest_maxphyaddr = 40,
			.user32_cs = 0x23, .user_ds = 0x2b, .user_cs = 0x33,
			.cpunode_sel = 0x7b, .tls_index = 12,
			.kernel_cs = 0x10, .kernel_ds = 0x18,
			.range = { 256, 510, PVM_RANGE_INDEX_NONE, PVM_RANGE_INDEX_NONE },
		},
		.memory_size = 64ull << 20,
		.vcpus = 1,
		.table_pages = 16384,
		.max_level = 1,
	};
}

struct pvm_vm *model_pvm(struct model_vm *vm)
{
	return &vm->pvm;
}

struct pvm_vcpu *model_vcpu(struct model_vm *vm, unsigned vcpu)
{
	return &vm->vcpu[vcpu];
}

struct model_cpu *model_cpu(struct model_vm *vm, unsigned vcpu)
{
	return &vm->cpu[vcpu];
}

struct model_vm *model_create(const struct model_options *options, char *why, size_t why_size)
{
	struct model_memory memory;
	struct model_vm *vm;
	const char *bad;

	if (pvm_vm_config_check(&options->config, &bad) != PVM_OK) {
		snprintf(why, why_size, "%s", bad);
		return NULL;
	}
	vm = calloc(1, sizeof(*vm));
	if (vm)
		vm->options = *options;
	if (!vm || model_host_init(vm) < 0) {
		snprintf(why, why_size, "out of memory");
		free(vm);
		return NULL;
	}
	if (pvm_vm_init(&vm->pvm, &options->config, &model_host_ops, vm) != PVM_OK) {
		snprintf(why, why_size, "pvm_vm_init() failed");
		model_host_fini(vm);
		free(vm);
		return NULL;
	}
	memory = model_host_memory(vm);
	for (; vm->vcpus < options->vcpus; vm->vcpus++) {
		model_cpu_init(&vm->cpu[vm->vcpus], &vm->pvm.config, &memory);
		if (pvm_vcpu_init(&vm->vcpu[vm->vcpus], &vm->pvm, vm->vcpus) != PVM_OK) {
			snprintf(why, why_size, "pvm_vcpu_init() failed");
			model_cpu_destroy(&vm->cpu[vm->vcpus]);
			model_destroy(vm);
			return NULL;
		}
	}
	return vm;
}

uint32_t model_destroy(struct model_vm *vm)
{
	uint32_t leaked;
	unsigned i;

	for (i = 0; i < vm->vcpus; i++)
		pvm_vcpu_destroy(&vm->vcpu[i]);
	pvm_vm_destroy(&vm->pvm);
	for (i = 0; i < vm->vcpus; i++)
		model_cpu_destroy(&vm->cpu[i]);
	leaked = vm->arena_live + vm->pins;
	model_host_fini(vm);
	free(vm);
	return leaked;
}

/* ------------------------------------------------------------------------
 * Guest memory.
 */

uint64_t *model_word(struct model_vm *vm, uint64_t gpa)
{
	uint64_t host = vm->frame[gpa >> PVM_PAGE_SHIFT].host;

	return (uint64_t *)(vm->memory + (host << PVM_PAGE_SHIFT) + (gpa & (PVM_PAGE_SIZE - 1)));
}

void model_poke(struct model_vm *vm, uint64_t gpa, uint64_t value)
{
	*model_word(vm, gpa) = value;
	pvm_mmu_host_wrote(&vm->pvm, pvm_gfn(gpa >> PVM_PAGE_SHIFT), PVM_MAY_SLEEP);
}

uint64_t model_new_page(struct model_vm *vm)
{
	uint64_t gpa = vm->next_page;

	if (gpa >= vm->options.memory_size)
		return 0;
	vm->next_page += PVM_PAGE_SIZE;
	memset(model_word(vm, gpa), 0, PVM_PAGE_SIZE);
	pvm_mmu_host_wrote(&vm->pvm, pvm_gfn(gpa >> PVM_PAGE_SHIFT), PVM_MAY_SLEEP);
	return gpa;
}

uint64_t model_map(struct model_vm *vm, uint64_t root, unsigned levels, uint64_t gva, uint64_t gpa,
		   unsigned level, uint64_t flags)
{
	uint64_t table = root & PVM_CR3_ADDR_MASK, slot, entry;
	unsigned l;

	for (l = levels; l > level; l--) {
		slot = table + 8 * PVM_LEVEL_INDEX(gva, l);
		entry = *model_word(vm, slot);
		if (l <= 3 && (entry & PVM_PTE_P) && (entry & PVM_PTE_PS))
			return 0;
		if (!(entry & PVM_PTE_P)) {
			entry = model_new_page(vm);
			if (!entry)
				return 0;
			entry |= PVM_PTE_P | PVM_PTE_W | PVM_PTE_U;
			model_poke(vm, slot, entry);
		}
		table = entry & PVM_PTE_ADDR_MASK;
	}
	slot = table + 8 * PVM_LEVEL_INDEX(gva, level);
	model_poke(vm, slot, gpa | flags | (level > 1 ? PVM_PTE_PS : 0));
	return slot;
}

static uint64_t identity_tables(struct model_vm *vm)
{
	uint64_t root = model_new_page(vm), gva;

	for (gva = 0; root && gva < vm->options.memory_size; gva += PVM_LEVEL_SIZE(2))
		if (!model_map(vm, root, 4, gva, gva, 2, PVM_PTE_P | PVM_PTE_W | PVM_PTE_U))
			return 0;
	return root;
}

int model_boot(struct model_vm *vm, unsigned vcpu)
{
	struct pvm_vcpu *v = &vm->vcpu[vcpu];
	enum pvm_abi abi = vm->pvm.config.abi;
	bool dual = abi == PVM_ABI_DUAL_CR3;
	uint64_t supervisor, user;

	if (!dual && abi != PVM_ABI_SINGLE_CR3)
		return PVM_ENOSYS;	/* not known here */
	supervisor = identity_tables(vm);
	user = dual ? identity_tables(vm) : supervisor;
	if (!supervisor || !user || pvm_cr_write(v, 3, supervisor) != PVM_OK ||
	    (dual && pvm_msr_write(v, MSR_PVM_SWITCH_CR3, user) != PVM_OK) ||
	    pvm_msr_write(v, MSR_PVM_VCPU_STRUCT, MODEL_PVCS(vcpu)) != PVM_OK ||
	    pvm_msr_write(v, MSR_PVM_EVENT_ENTRY, MODEL_EVENT_ENTRY) != PVM_OK ||
	    pvm_msr_write(v, PVM_MSR_LSTAR, MODEL_LSTAR) != PVM_OK ||
	    pvm_msr_write(v, MSR_PVM_RETU_RIP, MODEL_RETU_RIP) != PVM_OK ||
	    pvm_msr_write(v, MSR_PVM_RETS_RIP, MODEL_RETS_RIP) != PVM_OK)
		return PVM_EINVAL;
	v->rip = MODEL_CODE;
	v->gpr[PVM_RSP] = MODEL_STACK(vcpu);
	*(uint64_t *)v->pvcs = PVM_EVENT_FLAGS_IF;
	return PVM_OK;
}

_Static_assert(offsetof(struct pvm_vcpu_struct, event_flags) == 0 &&
	       offsetof(struct pvm_sc_vcpu_struct, event_flags) == 0, "either's first word");

/* ------------------------------------------------------------------------
 * The backend loop.
 */

static struct model_outcome outcome_failed(const char *message)
{
	struct model_outcome out = { .kind = MODEL_FAILED };

	snprintf(out.message, sizeof(out.message), "%s", message);
	return out;
}

static struct model_outcome finish(struct pvm_vcpu *v, enum pvm_action action)
{
	struct model_outcome out = { .kind = MODEL_WENT_ON };

	switch (action) {
	case PVM_ACT_RESUME:
		break;
	case PVM_ACT_HALT:
		out.kind = MODEL_HALTED;
		break;
	case PVM_ACT_HYPERCALL:
		out.kind = MODEL_HYPERCALL;
		pvm_complete_hypercall(v, (uint64_t)-PVM_KVM_ENOSYS);
		break;
	case PVM_ACT_RDMSR:
		return finish(v, pvm_complete_rdmsr(v, false, 0));
	case PVM_ACT_WRMSR:
		return finish(v, pvm_complete_wrmsr(v, false));
	case PVM_ACT_IO:
		out.kind = MODEL_IO;
		pvm_complete_io(v, UINT32_MAX);
		break;
	case PVM_ACT_MMIO:
		out.kind = MODEL_MMIO;
		break;
	case PVM_ACT_SHUTDOWN:
	case PVM_ACT_SYSTEM_EVENT:
		out.kind = MODEL_SHUTDOWN;
		break;
	case PVM_ACT_RETRY:
		return outcome_failed("a call that may sleep said PVM_ACT_RETRY");
	case PVM_ACT_ERROR:
		out = outcome_failed("");
		snprintf(out.message, sizeof(out.message), "the engine: error %d", v->request.error.code);
		break;
	}
	return out;
}

/* Serve one exit: without sleeping first, as a switcher would. */
static struct model_outcome served(struct pvm_vcpu *v, const struct pvm_guest_exit *exit)
{
	struct model_place before = model_place(v);
	struct pvm_guest_exit left = *exit;
	struct model_outcome out;
	enum pvm_action action;
	pvm_hpa_t root;

	if (exit->kind == PVM_EXIT_FAILED)
		return outcome_failed(exit->message);
	action = pvm_handle_exit(v, &left, &root, PVM_NO_SLEEP);
	if (action == PVM_ACT_RETRY)
		action = pvm_handle_exit(v, &left, &root, PVM_MAY_SLEEP);
	out = finish(v, action);
	if (out.kind == MODEL_WENT_ON && exit->kind != PVM_EXIT_SYSCALL &&
	    model_event_find(v, &before, &out.event))
		out.kind = MODEL_EVENT;
	return out;
}

/* ------------------------------------------------------------------------
 * What the guest does.
 */

struct model_outcome model_access(struct model_vm *vm, unsigned vcpu, uint64_t gva,
				  enum model_kind kind, unsigned size, uint64_t value)
{
	struct pvm_vcpu *v = &vm->vcpu[vcpu];
	struct model_outcome out = { .kind = MODEL_WENT_ON };
	struct pvm_guest_exit exit;
	unsigned faults = 0;
	pvm_hpa_t root;

	if (kind == MODEL_EXEC)
		v->rip = gva;
	for (;;) {
		if (pvm_mmu_load(v, &root, PVM_MAY_SLEEP) != PVM_OK)
			return finish(v, pvm_event_shutdown(v, PVM_SHUTDOWN_BAD_CR3, 0xff, v->cr3));
		out.value = value;
		if (model_step_access(&vm->cpu[vcpu], v, root, gva, kind, size, &out.value, &exit) ==
		    MODEL_STEP_DONE)
			break;
		if (exit.kind == PVM_EXIT_KICK)
			continue;
		if (faults++ == MAX_FAULTS)
			return outcome_failed("the access faults again and again");
		out = served(v, &exit);
		if (out.kind != MODEL_WENT_ON)
			break;
	}
	out.faults = faults;
	return out;
}

struct model_outcome model_read(struct model_vm *vm, unsigned vcpu, uint64_t gva)
{
	return model_access(vm, vcpu, gva, MODEL_READ, 8, 0);
}

struct model_outcome model_write(struct model_vm *vm, unsigned vcpu, uint64_t gva, uint64_t value)
{
	return model_access(vm, vcpu, gva, MODEL_WRITE, 8, value);
}

struct model_outcome model_exec(struct model_vm *vm, unsigned vcpu, uint64_t gva)
{
	return model_access(vm, vcpu, gva, MODEL_EXEC, 1, 0);
}

struct model_outcome model_syscall(struct model_vm *vm, unsigned vcpu)
{
	struct pvm_guest_exit exit;

	model_step_syscall(&vm->vcpu[vcpu], &exit);
	return served(&vm->vcpu[vcpu], &exit);
}

struct model_outcome model_hypercall(struct model_vm *vm, unsigned vcpu, uint64_t nr, uint64_t a,
				     uint64_t b, uint64_t c)
{
	struct pvm_vcpu *v = &vm->vcpu[vcpu];

	v->gpr[PVM_RAX] = nr;
	v->gpr[PVM_RBX] = a;
	v->gpr[PVM_R10] = b;
	v->gpr[PVM_RDX] = c;
	return model_syscall(vm, vcpu);
}

struct model_outcome model_return_user(struct model_vm *vm, unsigned vcpu)
{
	vm->vcpu[vcpu].rip = vm->vcpu[vcpu].msr.retu_rip;
	return model_syscall(vm, vcpu);
}

struct model_outcome model_return_supervisor(struct model_vm *vm, unsigned vcpu)
{
	vm->vcpu[vcpu].rip = vm->vcpu[vcpu].msr.rets_rip;
	return model_syscall(vm, vcpu);
}

struct model_outcome model_exception(struct model_vm *vm, unsigned vcpu, uint8_t vector,
				     uint32_t error_code)
{
	struct pvm_guest_exit exit;

	model_step_exception(vector, error_code, &exit);
	exit.gva = pvm_gva(vm->vcpu[vcpu].cr2);
	return served(&vm->vcpu[vcpu], &exit);
}

struct model_outcome model_insn(struct model_vm *vm, unsigned vcpu, const struct pvm_insn *insn,
				uint8_t vector)
{
	struct pvm_guest_exit exit;

	model_step_insn(insn, vector, &exit);
	return served(&vm->vcpu[vcpu], &exit);
}

struct model_outcome model_interrupt(struct model_vm *vm, unsigned vcpu, uint8_t vector)
{
	struct pvm_vcpu *v = &vm->vcpu[vcpu];
	struct model_place before = model_place(v);
	struct model_outcome out;
	bool delivered;

	out = finish(v, pvm_event_interrupt(v, vector, &delivered));
	if (out.kind == MODEL_WENT_ON && delivered && model_event_find(v, &before, &out.event))
		out.kind = MODEL_EVENT;
	return out;
}

struct model_outcome model_nmi(struct model_vm *vm, unsigned vcpu)
{
	struct pvm_vcpu *v = &vm->vcpu[vcpu];
	struct model_place before = model_place(v);
	struct model_outcome out = finish(v, pvm_event_nmi(v));

	if (out.kind == MODEL_WENT_ON && model_event_find(v, &before, &out.event))
		out.kind = MODEL_EVENT;
	return out;
}
