/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* The VM, inputs and invariants that fuzz/host.h describes. */
#include "host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void broken(const char *rule)
{
	fprintf(stderr, "invariant broken: %s\n", rule);
	abort();
}

void fuzz_require(bool cond, const char *rule)
{
	if (!cond)
		broken(rule);
}

/* Freed pages come back soon: a fuzz target lives from many small runs. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "quarantine_size_mb=4:thread_local_quarantine_size_kb=64";
}

/* ------------------------------------------------------------------------
 * Input.
 */

void fuzz_bytes(struct fuzz_input *in, void *buf, size_t len)
{
	size_t part = len < in->left ? len : in->left;

	memset(buf, 0, len);
	memcpy(buf, in->data, part);
	in->data += part;
	in->left -= part;
}

uint8_t fuzz_u8(struct fuzz_input *in)
{
	uint8_t v;

	fuzz_bytes(in, &v, sizeof(v));
	return v;
}

uint16_t fuzz_u16(struct fuzz_input *in)
{
	uint16_t v;

	fuzz_bytes(in, &v, sizeof(v));
	return v;
}

uint32_t fuzz_u32(struct fuzz_input *in)
{
	uint32_t v;

	fuzz_bytes(in, &v, sizeof(v));
	return v;
}

uint64_t fuzz_u64(struct fuzz_input *in)
{
	uint64_t v;

	fuzz_bytes(in, &v, sizeof(v));
	return v;
}

uint64_t fuzz_value(struct fuzz_input *in)
{
	static const uint64_t values[] = {
		0, 1, 2, 3, 0x23, 0x2b, 0x33, 0x80, 0x200, 0x3000, 0x3fc0, 0x3ff8, 0x4000, 0x8000, 0x8008,
		0x10000, 0x11000, 0x1dff8, 0x1e000, 0x1f000, 0x1ffff, 0x20000, 0x100000,
		0x7fffffffffff, 0x7ffffffffffe, 0x800000000000, 0xffff7fffffffffff, 0xffff800000000000,
		0xffffc00000000000, 0xffffffff80000000, 0xffffffffffffffff, 0xfffffffffffffff8,
		0x00ffffffffffffff, 0x0100000000000000, 0xff00000000000000, 0x8000000000010000,
		0xffffffff, 0x100000000, 0xfffffffff000, 0x3f0000, 0x3fffffff,
	};
	uint8_t choice = fuzz_u8(in);

	if (choice < 0x80)
		return values[choice % (sizeof(values) / sizeof(values[0]))];
	return choice < 0xc0 ? values[choice % (sizeof(values) / sizeof(values[0]))] + (int8_t)fuzz_u8(in)
			     : fuzz_u64(in);
}

/* ------------------------------------------------------------------------
 * The VM.
 */

/* Static: to allocate it for each input takes longer than most inputs run. */
static uint8_t memory[FUZZ_MEMORY] __attribute__((aligned(PVM_PAGE_SIZE)));

static const struct pvm_cpuid_entry cpuid[] = {
	{ .leaf = 0, .eax = 0xd, .ebx = 0x756e6547, .ecx = 0x6c65746e, .edx = 0x49656e69 },
	{ .leaf = 1, .eax = 0x50654, .ecx = 0xffffffff, .edx = 0xffffffff },
	{ .leaf = 7, .subleaf_matters = true, .ebx = 0xffffffff, .ecx = 0xffffffff, .edx = 0xffffffff },
	{ .leaf = 0xd, .subleaf_matters = true, .eax = 0xe7, .ebx = 0xa80, .ecx = 0xa80 },
	{ .leaf = 0x80000000, .eax = 0x80000008 },
	{ .leaf = 0x80000001, .ecx = 0xffffffff, .edx = 0xffffffff },
	{ .leaf = 0x80000008, .eax = 0x3030 },
};

void fuzz_host_init(struct fuzz_host *h, struct fuzz_input *in)
{
	uint8_t choice = fuzz_u8(in);
	struct pvm_vm_config config = test_host_config();

	config.host_la57 = choice & 1;
	config.host_nx = !(choice & 2);
	config.host_pke = !(choice & 4);
	config.host_umip = !(choice & 8);
	config.host_osxsave = !(choice & 16);
	config.host_page1g = false;
	config.host_maxphyaddr = 52;
	config.cpuid = cpuid;
	config.cpuid_count = sizeof(cpuid) / sizeof(cpuid[0]);
	if (config.host_la57) {
		config.range.pml5_start = 256;
		config.range.pml5_end = 510;
	}
	test_host_init_on(&h->host, memory, FUZZ_MEMORY, broken);
	h->host.hole_start = FUZZ_HOLE >> PVM_PAGE_SHIFT;
	h->host.hole_end = h->host.hole_start + 1;
	h->host.read_only_end = FUZZ_MEMORY >> PVM_PAGE_SHIFT;
	h->host.read_only_start = h->host.read_only_end - 1;
	fuzz_require(pvm_vm_init(&h->vm, &config, &h->host.ops, &h->host) == PVM_OK, "the VM can be made");
	fuzz_require(pvm_vcpu_init(&h->vcpu, &h->vm, 0) == PVM_OK, "the vCPU can be made");
}

void fuzz_host_fini(struct fuzz_host *h)
{
	pvm_vcpu_destroy(&h->vcpu);
	pvm_vm_destroy(&h->vm);
	test_host_fini(&h->host);
}

/* Identity-mapped memory (one 2 MiB page, or 512 small ones) under two roots,
 * and then whatever the input writes over it. */
static void page_tables(struct fuzz_host *h, struct fuzz_input *in)
{
	uint64_t *table = (uint64_t *)(h->host.memory + FUZZ_TABLES);
	const uint64_t flags = PVM_PTE_P | PVM_PTE_W | PVM_PTE_U;
	unsigned i, edits = fuzz_u8(in) % 8;

	for (i = 0; i < 3; i++)		/* PML4, PDPT, PD in three pages, used by both roots */
		table[i * 512] = (FUZZ_TABLES + (i + 1) * PVM_PAGE_SIZE) | flags;
	memcpy(table + 4 * 512, table, PVM_PAGE_SIZE);
	table[5 * 512] = FUZZ_TABLES | flags;		/* a PML5 above it */
	if (fuzz_u8(in) & 1) {
		table[2 * 512] = flags | PVM_PTE_PS;
	} else {
		for (i = 0; i < 512; i++)
			table[3 * 512 + i] = (uint64_t)i << PVM_PAGE_SHIFT | flags;
	}
	for (i = 0; i < edits; i++) {
		unsigned index = fuzz_u16(in) % (6 * 512);

		table[index] = fuzz_u8(in) & 1 ? fuzz_u64(in) : table[index] ^ (1ull << fuzz_u8(in) % 64);
	}
	pvm_cr_write(&h->vcpu, 3, FUZZ_TABLES);
	pvm_msr_write(&h->vcpu, MSR_PVM_SWITCH_CR3, FUZZ_TABLES + 4 * PVM_PAGE_SIZE);
}

/* Entry points in the upper half, and then ranges that may leave them outside. */
static void upper_half(struct pvm_vcpu *vcpu, struct fuzz_input *in)
{
	struct pvm_linear_range range = vcpu->vm->config.range;

	pvm_msr_write(vcpu, MSR_PVM_EVENT_ENTRY, 0xffff808000000000);
	pvm_msr_write(vcpu, PVM_MSR_LSTAR, 0xffff810000000000);
	range.pml4_start = (uint16_t)(256 + fuzz_u8(in) % 4);
	range.pml4_end = (uint16_t)(range.pml4_start + 1 + fuzz_u8(in) % 4);
	pvm_msr_write(vcpu, MSR_PVM_LINEAR_ADDRESS_RANGE, pvm_linear_range_encode(&range));
}

static void registers(struct fuzz_host *h, struct fuzz_input *in)
{
	static const uint32_t msrs[] = {
		MSR_PVM_LINEAR_ADDRESS_RANGE, MSR_PVM_VCPU_STRUCT, MSR_PVM_SUPERVISOR_RSP,
		MSR_PVM_SUPERVISOR_REDZONE, MSR_PVM_EVENT_ENTRY, MSR_PVM_RETU_RIP, MSR_PVM_RETS_RIP,
		MSR_PVM_SWITCH_CR3, PVM_MSR_LSTAR, PVM_MSR_STAR, PVM_MSR_GS_BASE, PVM_MSR_KERNEL_GS_BASE,
		PVM_MSR_IA32_PKRS, PVM_MSR_FS_BASE,
	};
	struct pvm_vcpu *vcpu = &h->vcpu;
	unsigned i, writes = fuzz_u8(in) % 8;

	for (i = 0; i < writes; i++) {
		uint32_t msr = msrs[fuzz_u8(in) % (sizeof(msrs) / sizeof(msrs[0]))];

		pvm_msr_write(vcpu, msr, fuzz_value(in));
	}
	pvm_cr_write(vcpu, 4, vcpu->cr4 ^ (1ull << fuzz_u8(in) % 25));
	pvm_cr_write(vcpu, 4, vcpu->cr4 ^ (1ull << fuzz_u8(in) % 25));
	for (i = 0; i < PVM_GPR_COUNT; i++)
		vcpu->gpr[i] = fuzz_value(in);
	for (i = 0; i < 4; i++)
		pvm_dr_write(vcpu, i, fuzz_value(in));
	pvm_dr_write(vcpu, 7, fuzz_u32(in));
	vcpu->cr2 = fuzz_value(in);
}

void fuzz_vcpu(struct fuzz_host *h, struct fuzz_input *in)
{
	struct pvm_vcpu *vcpu = &h->vcpu;
	uint8_t choice = fuzz_u8(in);

	page_tables(h, in);
	pvm_msr_write(vcpu, MSR_PVM_EVENT_ENTRY, 0x5000);
	pvm_msr_write(vcpu, PVM_MSR_LSTAR, 0x6000);
	pvm_msr_write(vcpu, MSR_PVM_RETU_RIP, 0x7000);
	pvm_msr_write(vcpu, MSR_PVM_RETS_RIP, 0x7010);
	if (choice & 1)
		pvm_msr_write(vcpu, MSR_PVM_VCPU_STRUCT, FUZZ_PVCS);
	if (choice & 64)
		upper_half(vcpu, in);
	registers(h, in);
	vcpu->pkru = fuzz_u32(in);
	vcpu->rip = pvm_semi_canonical(vcpu, fuzz_value(in));
	vcpu->rflags = pvm_rflags_sanitize(fuzz_value(in));
	vcpu->nmi_masked = choice & 2;
	vcpu->nmi_pending = vcpu->nmi_masked && (choice & 4);
	vcpu->halted = choice & 8;
	if (vcpu->pvcs && (choice & 16)) {	/* user mode, as EVENT_RETURN_USER makes it */
		dual_pvcs(vcpu)->user_cs = choice & 32 ? 0x33 : 0x23;
		dual_pvcs(vcpu)->user_ss = 0x2b;
		dual_pvcs(vcpu)->rip = vcpu->rip & 0x7fffffff;
		dual_pvcs(vcpu)->rsp = vcpu->gpr[PVM_RSP];
		dual_pvcs(vcpu)->eflags = (uint32_t)vcpu->rflags;
		dual_pvcs(vcpu)->rcx = vcpu->gpr[PVM_RCX];
		dual_pvcs(vcpu)->r11 = vcpu->gpr[PVM_R11];
		vcpu->nmi_pending = false;
		vcpu->halted = false;
		fuzz_require(pvm_event_return_user(vcpu) == PVM_ACT_RESUME && vcpu->user_mode,
			     "EVENT_RETURN_USER with a good PVCS reaches user mode");
	}
	if (vcpu->pvcs)
		fuzz_bytes(in, vcpu->pvcs, sizeof(struct pvm_vcpu_struct));
}

/* ------------------------------------------------------------------------
 * Invariants.
 */

void fuzz_check(struct fuzz_host *h, int action)
{
	struct pvm_vcpu *vcpu = &h->vcpu;
	const struct pvm_vm_config *config = &h->vm.config;
	uint16_t cs = pvm_vcpu_underlying_cs(vcpu);

	fuzz_require(h->host.lock_depth == 0, "the MMU lock is not held");
	fuzz_require(h->host.pins == (vcpu->pvcs ? 1 : 0), "S8: the PVCS is pinned, and nothing else");
	fuzz_require((vcpu->rflags &
		      (PVM_RFLAGS_IOPL | PVM_RFLAGS_VM | PVM_RFLAGS_VIF | PVM_RFLAGS_VIP)) == 0 &&
			     (vcpu->rflags & PVM_RFLAGS_IF) && (vcpu->rflags & PVM_RFLAGS_FIXED),
		     "S2: RFLAGS");
	fuzz_require(cs == config->user_cs || (vcpu->user_mode && cs == config->user32_cs),
		     "underlying CS is one of two");
	fuzz_require(pvm_vcpu_underlying_ss(vcpu) == config->user_ds, "underlying SS is __USER_DS");
	if (!vcpu->user_mode)
		fuzz_require(vcpu->seg[PVM_CS] == config->kernel_cs && vcpu->seg[PVM_SS] == config->kernel_ds,
			     "CS and SS of supervisor mode are fixed");
	if (!vcpu->user_mode && !vcpu->pvcs)
		fuzz_require(!(pvm_vcpu_rflags(vcpu) & PVM_RFLAGS_IF), "IF is 0 without a PVCS");
	fuzz_require(!(pvm_vcpu_underlying_dr7(vcpu) & PVM_DR7_GD), "underlying DR7.GD is 0");
	fuzz_require(pvm_semi_canonical(vcpu, vcpu->gs_base) == vcpu->gs_base, "GSBASE is canonical");
	fuzz_require(pvm_semi_canonical(vcpu, vcpu->fs_base) == vcpu->fs_base, "FSBASE is canonical");
	if (action == PVM_ACT_RESUME || action == PVM_ACT_HALT)
		fuzz_require(pvm_semi_canonical(vcpu, vcpu->rip) == vcpu->rip, "S1: RIP is canonical");
	if (action == PVM_ACT_RESUME && cs == config->user32_cs)
		fuzz_require(vcpu->rip <= 0xffffffff, "RIP of 32-bit code is 32 bits");
}

enum pvm_action fuzz_complete(struct fuzz_host *h, struct fuzz_input *in, enum pvm_action action)
{
	struct pvm_vcpu *vcpu = &h->vcpu;
	bool ok = fuzz_u8(in) & 1;

	fuzz_check(h, action);
	switch (action) {
	case PVM_ACT_HYPERCALL:
		action = pvm_complete_hypercall(vcpu, fuzz_u64(in));
		break;
	case PVM_ACT_RDMSR:
		action = pvm_complete_rdmsr(vcpu, ok, fuzz_u64(in));
		break;
	case PVM_ACT_WRMSR:
		action = pvm_complete_wrmsr(vcpu, ok);
		break;
	case PVM_ACT_IO:
		fuzz_require(vcpu->request.io.size == 1 || vcpu->request.io.size == 2 ||
				     vcpu->request.io.size == 4,
			     "I/O has 1, 2 or 4 bytes");
		action = pvm_complete_io(vcpu, fuzz_u32(in));
		break;
	default:
		return action;
	}
	fuzz_check(h, action);
	return action;
}
