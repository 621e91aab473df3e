/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Names that every script knows: registers of the vCPU, fields of the PVCS,
 * and the constants of the ABI. Owns the tables only. */
#include "script.h"

#include <stddef.h>
#include <string.h>

#include <pvm/hypercall.h>
#include <pvm/mmu.h>

struct field {
	const char *name;
	uint16_t offset;
	uint8_t size;
};

#define VCPU(text, member) { text, offsetof(struct pvm_vcpu, member), \
	sizeof(((struct pvm_vcpu *)0)->member) }
#define DUAL(text, member) { text, offsetof(struct pvm_vcpu_struct, member), \
	sizeof(((struct pvm_vcpu_struct *)0)->member) }
#define SINGLE(text, member) { text, offsetof(struct pvm_sc_vcpu_struct, member), \
	sizeof(((struct pvm_sc_vcpu_struct *)0)->member) }

static const struct field vcpu_fields[] = {
	VCPU("rax", gpr[PVM_RAX]), VCPU("rcx", gpr[PVM_RCX]), VCPU("rdx", gpr[PVM_RDX]),
	VCPU("rbx", gpr[PVM_RBX]), VCPU("rsp", gpr[PVM_RSP]), VCPU("rbp", gpr[PVM_RBP]),
	VCPU("rsi", gpr[PVM_RSI]), VCPU("rdi", gpr[PVM_RDI]), VCPU("r8", gpr[PVM_R8]),
	VCPU("r9", gpr[PVM_R9]), VCPU("r10", gpr[PVM_R10]), VCPU("r11", gpr[PVM_R11]),
	VCPU("r12", gpr[PVM_R12]), VCPU("r13", gpr[PVM_R13]), VCPU("r14", gpr[PVM_R14]),
	VCPU("r15", gpr[PVM_R15]), VCPU("rip", rip), VCPU("rflags", rflags),
	VCPU("cs", seg[PVM_CS]), VCPU("ss", seg[PVM_SS]), VCPU("ds", seg[PVM_DS]),
	VCPU("es", seg[PVM_ES]), VCPU("fs", seg[PVM_FS]), VCPU("gs", seg[PVM_GS]),
	VCPU("fs_base", fs_base), VCPU("gs_base", gs_base), VCPU("pkru", pkru),
	VCPU("dr0", dr[0]), VCPU("dr1", dr[1]), VCPU("dr2", dr[2]), VCPU("dr3", dr[3]),
	VCPU("dr6", dr6), VCPU("dr7", dr7), VCPU("cr0", cr0), VCPU("cr3", cr3),
	VCPU("cr4", cr4), VCPU("efer", efer), VCPU("user", user_mode),
};

/* The PVCS of either dialect: what is only in one of them has no value in the other. */
#define BOTH(FIELD) \
	FIELD("pvcs.event_flags", event_flags), FIELD("pvcs.event_errcode", event_errcode), \
	FIELD("pvcs.event_vector", event_vector), FIELD("pvcs.cr2", cr2), \
	FIELD("pvcs.user_cs", user_cs), FIELD("pvcs.user_ss", user_ss), \
	FIELD("pvcs.user_gsbase", user_gsbase), FIELD("pvcs.eflags", eflags), \
	FIELD("pvcs.pkru", pkru), FIELD("pvcs.rip", rip), FIELD("pvcs.rcx", rcx), \
	FIELD("pvcs.r11", r11)

static const struct field dual_pvcs[] = { BOTH(DUAL), DUAL("pvcs.rsp", rsp) };
static const struct field single_pvcs[] = { BOTH(SINGLE) };

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

static bool same(const char *known, const char *name, size_t length)
{
	return strlen(known) == length && memcmp(known, name, length) == 0;
}

static const struct field *find(const struct field *fields, size_t count, const char *name,
				size_t length)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (same(fields[i].name, name, length))
			return &fields[i];
	return NULL;
}

/* Registers that a guest may load itself; the rest it changes by asking. */
static bool writable(const struct field *field)
{
	return field - vcpu_fields <= 17 || same(field->name, "fs_base", 7) ||
	       same(field->name, "gs_base", 7) || same(field->name, "pkru", 4);
}

/* The field's place, or NULL. PVCS fields lie in guest memory. */
static void *place(const struct script_vcpu *v, const char *name, size_t length,
		   const struct field **field)
{
	*field = find(vcpu_fields, ARRAY_SIZE(vcpu_fields), name, length);
	if (*field)
		return (uint8_t *)v->vcpu + (*field)->offset;
	switch (v->vcpu->vm->config.abi) {
	case PVM_ABI_DUAL_CR3:
		*field = find(dual_pvcs, ARRAY_SIZE(dual_pvcs), name, length);
		break;
	case PVM_ABI_SINGLE_CR3:
		*field = find(single_pvcs, ARRAY_SIZE(single_pvcs), name, length);
		break;
	default:
		break;	/* no PVCS that is known here */
	}
	if (*field && v->vcpu->pvcs)
		return (uint8_t *)v->vcpu->pvcs + (*field)->offset;
	return NULL;
}

bool script_register_known(const char *name, size_t length)
{
	static const char *const derived[] = {
		"if", "ip", "faults", "underlying_dr7", "event.vector", "event.code", "event.cr2",
		"event.rip", "event.user", "switch_cr3",
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(derived); i++)
		if (same(derived[i], name, length))
			return true;
	return find(vcpu_fields, ARRAY_SIZE(vcpu_fields), name, length) ||
	       find(dual_pvcs, ARRAY_SIZE(dual_pvcs), name, length);
}

static bool derived_get(const struct script_vcpu *v, const char *name, size_t length, uint64_t *value)
{
	uint64_t flags;

	if (same("if", name, length))
		*value = !!(pvm_vcpu_rflags(v->vcpu) & PVM_RFLAGS_IF);
	else if (same("ip", name, length))
		*value = script_register_get(v, "pvcs.event_flags", sizeof("pvcs.event_flags") - 1,
					     &flags) && (flags & PVM_EVENT_FLAGS_IP);
	else if (same("faults", name, length))
		*value = v->faults;
	else if (same("underlying_dr7", name, length))
		*value = pvm_vcpu_underlying_dr7(v->vcpu);
	else if (same("switch_cr3", name, length))
		*value = v->vcpu->msr.switch_cr3;
	else if (same("event.vector", name, length))
		*value = v->event.vector;
	else if (same("event.code", name, length))
		*value = v->event.error_code;
	else if (same("event.cr2", name, length))
		*value = v->event.cr2;
	else if (same("event.rip", name, length))
		*value = v->event.rip;
	else if (same("event.user", name, length))
		*value = v->event.user;
	else
		return false;
	return true;
}

bool script_register_get(const struct script_vcpu *v, const char *name, size_t length,
			 uint64_t *value)
{
	const struct field *field;
	void *at;

	if (derived_get(v, name, length, value))
		return true;
	at = place(v, name, length, &field);
	if (!at)
		return false;
	*value = 0;
	memcpy(value, at, field->size);
	return true;
}

bool script_register_set(struct script_vcpu *v, const char *name, uint64_t value)
{
	const struct field *field;
	void *at = place(v, name, strlen(name), &field);

	if (!at)
		return false;
	if ((uint8_t *)at == (uint8_t *)v->vcpu + field->offset && !writable(field))
		return false;
	if (same(field->name, "rflags", 6))
		value = pvm_rflags_sanitize(value);
	memcpy(at, &value, field->size);
	return true;
}

struct constant {
	const char *name;
	uint64_t value;
};

static const struct constant constants[] = {
	{ "P", PVM_PTE_P }, { "W", PVM_PTE_W }, { "U", PVM_PTE_U }, { "A", PVM_PTE_A },
	{ "D", PVM_PTE_D }, { "PS", PVM_PTE_PS }, { "G", PVM_PTE_G }, { "NX", PVM_PTE_NX },
	{ "PWU", PVM_PTE_P | PVM_PTE_W | PVM_PTE_U }, { "PU", PVM_PTE_P | PVM_PTE_U },
	{ "PF_P", PVM_PF_P }, { "PF_W", PVM_PF_W }, { "PF_U", PVM_PF_U }, { "PF_RSVD", PVM_PF_RSVD },
	{ "PF_I", PVM_PF_I }, { "PF_PK", PVM_PF_PK },
	{ "IF", PVM_EVENT_FLAGS_IF }, { "IP", PVM_EVENT_FLAGS_IP },
	{ "FLUSH", PVM_LOAD_PGTBL_FLUSH }, { "LA57", PVM_LOAD_PGTBL_LA57 },
	{ "CR4_PCIDE", PVM_CR4_PCIDE }, { "CR4_LA57", PVM_CR4_LA57 }, { "CR4_PKE", PVM_CR4_PKE },
	{ "CR4_PKS", PVM_CR4_PKS }, { "CR4_SMEP", PVM_CR4_SMEP }, { "CR4_SMAP", PVM_CR4_SMAP },
	{ "STD", PVM_SC_VECTOR_STD }, { "NMI", PVM_SC_VECTOR_NMI }, { "MCE", PVM_SC_VECTOR_MCE },
	{ "MSR_LINEAR_ADDRESS_RANGE", MSR_PVM_LINEAR_ADDRESS_RANGE },
	{ "MSR_VCPU_STRUCT", MSR_PVM_VCPU_STRUCT },
	{ "MSR_SUPERVISOR_RSP", MSR_PVM_SUPERVISOR_RSP },
	{ "MSR_SUPERVISOR_REDZONE", MSR_PVM_SUPERVISOR_REDZONE },
	{ "MSR_EVENT_ENTRY", MSR_PVM_EVENT_ENTRY }, { "MSR_RETU_RIP", MSR_PVM_RETU_RIP },
	{ "MSR_RETS_RIP", MSR_PVM_RETS_RIP }, { "MSR_SWITCH_CR3", MSR_PVM_SWITCH_CR3 },
	{ "MSR_STAR", PVM_MSR_STAR }, { "MSR_LSTAR", PVM_MSR_LSTAR }, { "MSR_EFER", PVM_MSR_EFER },
	{ "MSR_GS_BASE", PVM_MSR_GS_BASE }, { "MSR_FS_BASE", PVM_MSR_FS_BASE },
	{ "MSR_KERNEL_GS_BASE", PVM_MSR_KERNEL_GS_BASE }, { "MSR_PKRS", PVM_MSR_IA32_PKRS },
	{ "X2APIC_EOI", 0x80b }, { "X2APIC_SVR", 0x80f }, { "X2APIC_ICR", 0x830 },
	{ "X2APIC_SELF_IPI", 0x83f },
};

bool script_constant(const char *name, size_t length, uint64_t *value)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(constants); i++)
		if (same(constants[i].name, name, length)) {
			*value = constants[i].value;
			return true;
		}
	for (i = 0; i < PVM_HC_COUNT; i++) {
		const char *hypercall = pvm_hypercall_name(PVM_ABI_DUAL_CR3, PVM_HC_BASE + i);

		if (hypercall && same(hypercall, name, length)) {
			*value = PVM_HC_BASE + i;
			return true;
		}
	}
	return false;
}
