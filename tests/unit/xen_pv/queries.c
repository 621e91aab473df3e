/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* What the guest asks, what its CPUID says, which VMs there can be. */
#include "guest.h"

#include <string.h>

static struct pvm_vcpu *vcpu = &g.f.vcpu[0];

static void setup(void)
{
	xen_guest_init(1);
}

TestSuite(queries, .init = setup, .fini = xen_guest_fini);

static uint32_t *words(void)
{
	return xen_at(ARGUMENTS);
}

/* spec: XC-016, XC-105 */
Test(queries, versions)
{
	cr_expect_eq(xen_call(PVM_XEN_XEN_VERSION, 0, 0, 0, 0), PVM_XEN_VERSION);
	cr_expect_eq(xen_call(PVM_XEN_XEN_VERSION, 1, ARGUMENTS, 0, 0), 0);
	words()[0] = 0;
	cr_expect_eq(xen_call(PVM_XEN_XEN_VERSION, 6, ARGUMENTS, 0, 0), 0);
	cr_expect_eq(words()[1], 1u << 5 | 1u << 7);
	words()[0] = 1;
	cr_expect_eq(xen_call(PVM_XEN_XEN_VERSION, 6, ARGUMENTS, 0, 0), PVM_XEN_EINVAL);
	cr_expect_eq(xen_call(PVM_XEN_XEN_VERSION, 99, ARGUMENTS, 0, 0), PVM_XEN_ENOSYS);
	cr_expect_eq(xen_call(PVM_XEN_XEN_VERSION, 6, 0x5000, 0, 0), PVM_XEN_EFAULT);
}

/* spec: XC-075, XC-104 */
Test(queries, memory)
{
	uint64_t *map = xen_at(ARGUMENTS + 0x100);

	cr_expect_eq(xen_call(PVM_XEN_MEMORY_OP, PVM_XEN_MEMORY_MAXIMUM, 0, 0, 0), PAGES);
	cr_expect_eq(xen_call(PVM_XEN_MEMORY_OP, PVM_XEN_MEMORY_MAXIMUM_RAM_PAGE, 0, 0, 0), PAGES - 1);
	words()[0] = 128;
	*(uint64_t *)&words()[2] = ARGUMENTS + 0x100;
	cr_expect_eq(xen_call(PVM_XEN_MEMORY_OP, PVM_XEN_MEMORY_MAP, ARGUMENTS, 0, 0), 0);
	cr_expect_eq(words()[0], 1);
	cr_expect_eq(map[0], 0);
	cr_expect_eq(map[1], PAGES * PVM_PAGE_SIZE);
	cr_expect_eq(xen_call(PVM_XEN_MEMORY_OP, PVM_XEN_MEMORY_MACHPHYS_MAPPING, ARGUMENTS, 0, 0),
		     PVM_XEN_ENOSYS, "this VM has none");
}

/* spec: XC-106 */
Test(queries, grant_frames)
{
	uint64_t *frames = xen_at(ARGUMENTS + 0x100);

	words()[0] = PVM_XEN_DOMID_SELF;
	cr_expect_eq(xen_call(PVM_XEN_GRANT_TABLE_OP, PVM_XEN_GRANT_QUERY_SIZE, ARGUMENTS, 1, 0), 0);
	cr_expect_eq(words()[1], 4);
	cr_expect_eq(words()[2], 4);
	words()[1] = 4;
	*(uint64_t *)&words()[4] = ARGUMENTS + 0x100;
	cr_expect_eq(xen_call(PVM_XEN_GRANT_TABLE_OP, PVM_XEN_GRANT_SETUP_TABLE, ARGUMENTS, 1, 0), 0);
	cr_expect_eq((int16_t)words()[2], 0);
	cr_expect_eq(frames[0], GRANTS_GFN);
	cr_expect_eq(frames[3], GRANTS_GFN + 3);
	words()[1] = 5;
	cr_expect_eq(xen_call(PVM_XEN_GRANT_TABLE_OP, PVM_XEN_GRANT_SETUP_TABLE, ARGUMENTS, 1, 0), 0);
	cr_expect_eq((int16_t)words()[2], -1);
	words()[0] = 2;
	cr_expect_eq(xen_call(PVM_XEN_GRANT_TABLE_OP, PVM_XEN_GRANT_SET_VERSION, ARGUMENTS, 1, 0),
		     PVM_XEN_EINVAL);
	words()[0] = 1;
	cr_expect_eq(xen_call(PVM_XEN_GRANT_TABLE_OP, PVM_XEN_GRANT_SET_VERSION, ARGUMENTS, 1, 0), 0);
}

/* spec: XC-015, XC-107 */
Test(queries, what_there_is_not)
{
	unsigned nr;

	for (nr = PVM_XEN_HYPERCALLS; nr < PVM_XEN_HYPERCALLS + 10; nr++)
		cr_expect_eq(xen_call(nr, 0, 0, 0, 0), PVM_XEN_ENOSYS);
	cr_expect_eq(xen_call(~0ull, 0, 0, 0, 0), PVM_XEN_ENOSYS);
	cr_expect_eq(xen_call(PVM_XEN_CONSOLE_IO, 0, 0, 0, 0), PVM_XEN_ENOSYS);
	cr_expect_eq(xen_call(PVM_XEN_PHYSDEV_OP, 28, 0, 0, 0), PVM_XEN_ENOSYS);
	cr_expect_eq(xen_call(PVM_XEN_PHYSDEV_OP, 6, 0, 0, 0), 0);
	cr_expect_eq(xen_call(PVM_XEN_VM_ASSIST, 0, 2, 0, 0), 0);
	cr_expect_eq(xen_call(PVM_XEN_FPU_TASKSWITCH, 0, 0, 0, 0), 0);
}

/* spec: XC-084 */
Test(queries, cpuid)
{
	uint32_t out[4];

	pvm_cpuid(vcpu, 0x40000000, 0, out);
	cr_expect_eq(out[0], 0x40000005);
	cr_expect_eq(memcmp(&out[1], "XenVMMXenVMM", 12), 0);
	pvm_cpuid(vcpu, 0x40000001, 0, out);
	cr_expect_eq(out[0], PVM_XEN_VERSION);
	pvm_cpuid(vcpu, 0x40000003, 0, out);
	cr_expect_eq(out[1], 0, "a TSC that is no clock: a snapshot goes on with another");
}

/* Or Linux maps all memory with large pages, which no table of this guest may hold. */
/* spec: XC-071 */
Test(queries, features_that_go_with_hidden_control_bits)
{
	static const struct pvm_cpuid_entry all[] = {
		{ .leaf = 0, .eax = 13 },
		{ .leaf = 1, .edx = ~0u },
		{ .leaf = 7, .ebx = ~0u, .ecx = ~0u },
		{ .leaf = 13, .eax = 0x207, .subleaf_matters = true },
		{ .leaf = 0x80000000, .eax = 0x80000001 },
		{ .leaf = 0x80000001, .edx = ~0u },
	};
	const uint32_t pse = 1u << 3, pge = 1u << 13, pse36 = 1u << 17, gbpages = 1u << 26,
		       invpcid = 1u << 10, umip = 1u << 2;
	uint32_t out[4];

	vcpu->vm->config.cpuid = all;
	vcpu->vm->config.cpuid_count = sizeof(all) / sizeof(all[0]);
	vcpu->vm->config.host_osxsave = vcpu->vm->config.host_pke = vcpu->vm->config.host_umip = true;
	pvm_cpuid(vcpu, 1, 0, out);
	cr_expect_eq(out[3] & (pse | pge | pse36), 0, "%#x", out[3]);
	cr_expect(out[3] & PVM_CPUID_1_EDX_PAE);
	pvm_cpuid(vcpu, 7, 0, out);
	cr_expect_eq(out[1] & invpcid, 0, "%#x", out[1]);
	/* Or its kernel looks into its GDT at each #GP, by SGDT, which does not tell where that is. */
	cr_expect_eq(out[2] & umip, 0, "%#x", out[2]);
	pvm_cpuid(vcpu, 13, 0, out);
	cr_expect_eq(out[0], 7, "no PKRU without PKU: %#x", out[0]);
	pvm_cpuid(vcpu, 0x80000001, 0, out);
	cr_expect_eq(out[3] & (pse | pge | pse36 | gbpages), 0, "%#x", out[3]);
}

/* Linux asks where its GDT is by SGDT, and takes an entry beyond the limit for none. */
/* spec: XC-088 */
Test(queries, descriptor_tables_are_not_found)
{
	const struct pvm_insn sgdt = {
		.op = PVM_INSN_SGDT, .length = 4, .size = 10, .memory = true, .address = ARGUMENTS,
	};
	uint16_t *limit = xen_at(ARGUMENTS);

	*limit = 0x1234;
	cr_assert_eq(pvm_handle_insn(vcpu, &sgdt, PVM_VEC_GP, 0), PVM_ACT_RESUME);
	cr_expect_eq(*limit, 0, "0x%x", *limit);
}

Test(queries, S9_more_vcpus_than_a_set_has_bits_for_are_refused)
{
	struct pvm_vm_config config = xen_guest_config(2);
	struct pvm_vm vm;

	config.xen.vcpus = PVM_XEN_VCPUS_MAX + 1;
	cr_expect_eq(pvm_vm_init(&vm, &config, &g.f.host.ops, &g.f.host), PVM_EINVAL);
	config = xen_guest_config(2);
	config.xen.vcpus = 0;
	cr_expect_eq(pvm_vm_init(&vm, &config, &g.f.host.ops, &g.f.host), PVM_EINVAL);
	config = xen_guest_config(2);
	config.xen.grant_frames = PVM_XEN_GRANT_FRAMES_MAX + 1;
	cr_expect_eq(pvm_vm_init(&vm, &config, &g.f.host.ops, &g.f.host), PVM_EINVAL);
}

/* spec: XC-071 */
Test(queries, control_bits_that_are_hidden)
{
	static const uint64_t hidden[] = { PVM_CR4_PSE, PVM_CR4_PGE, PVM_CR4_PCIDE, PVM_CR4_PKE, PVM_CR4_LA57,
					   PVM_CR4_SMEP, PVM_CR4_SMAP };
	unsigned i;

	for (i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++)
		cr_expect_eq(pvm_cr_write(vcpu, 4, vcpu->cr4 | hidden[i]), PVM_EINVAL, "%#lx", hidden[i]);
}

/* spec: XC-076 */
Test(queries, the_last_slot_is_the_guests_and_sixteen_are_not_M7)
{
	cr_expect(pvm_legal_address(vcpu, pvm_gva(KERNEL)));
	cr_expect(pvm_legal_address(vcpu, pvm_gva(~0ull)));
	cr_expect(pvm_legal_address(vcpu, pvm_gva(0xffff800000000000ull + (16ull << 39))));
	cr_expect_not(pvm_legal_address(vcpu, pvm_gva(0xffff800000000000ull)));
	cr_expect_not(pvm_legal_address(vcpu, pvm_gva(0xffff800000000000ull + (16ull << 39) - 1)));
}

static const char *refused(const struct pvm_vm_config *config)
{
	const char *why = NULL;

	cr_expect_eq(pvm_vm_config_check(config, &why), PVM_EINVAL);
	return why ? why : "";
}

Test(queries, configurations_S9)
{
	struct pvm_vm_config config = xen_guest_config(1);
	const char *why;

	config.xen.m2p_entry = 0x1000 | PVM_PTE_P | PVM_PTE_U | PVM_PTE_NX | PVM_PTE_A;
	config.xen.m2p_slot = 256;
	config.xen.m2p_frames = 512;
	cr_expect_eq(pvm_vm_config_check(&config, &why), PVM_OK);
	config.xen.m2p_slot = 300;
	cr_expect_str_eq(refused(&config), "xen.m2p_slot is within range");
	config.xen.m2p_slot = 256;
	config.xen.m2p_entry |= PVM_PTE_W;
	cr_expect_str_eq(refused(&config), "xen.m2p_entry must be present, neither writable nor executable");
	config = xen_guest_config(1);
	config.abi = PVM_ABI_DUAL_CR3;
	config.host_ldt = false;
	cr_expect_str_eq(refused(&config), "range must have indices below 512");
}

Test(queries, a_host_without_a_clock_S9)
{
	struct pvm_vm_config config = xen_guest_config(1);
	struct pvm_vm vm;

	g.f.host.ops.clock = NULL;
	cr_expect_eq(pvm_vm_init(&vm, &config, &g.f.host.ops, &g.f.host), PVM_EINVAL);
}

Test(queries, no_memory_for_a_vm_leaves_nothing_M11)
{
	struct pvm_vm_config config = xen_guest_config(1);
	struct pvm_vm vm;
	unsigned i;

	for (i = 0; i < 8; i++) {
		uint32_t live = g.f.host.pages_live;

		g.f.host.allocs_left = i;
		if (pvm_vm_init(&vm, &config, &g.f.host.ops, &g.f.host) == PVM_OK)
			pvm_vm_destroy(&vm);
		cr_expect_eq(g.f.host.pages_live, live, "%u pages", i);
	}
	g.f.host.allocs_left = -1;
}

/* ------------------------------------------------------------------------
 * Registers and instructions.
 */

/* spec: XC-012, XC-013, XC-105 */
Test(queries, a_call_changes_rax_and_what_syscall_changes)
{
	uint64_t before[PVM_GPR_COUNT];
	unsigned i;

	for (i = 0; i < PVM_GPR_COUNT; i++)
		vcpu->gpr[i] = 0x1000 + i;
	vcpu->gpr[PVM_RAX] = PVM_XEN_XEN_VERSION;
	vcpu->gpr[PVM_RDI] = 7;
	memcpy(before, vcpu->gpr, sizeof(before));
	cr_assert_eq(xen_syscall(0), PVM_ACT_RESUME);
	cr_expect_eq(vcpu->gpr[PVM_RAX], PVM_PAGE_SIZE);
	cr_expect_eq(vcpu->gpr[PVM_RCX], vcpu->rip, "as SYSCALL left it");
	cr_expect_eq(vcpu->gpr[PVM_R11], vcpu->rflags);
	before[PVM_RAX] = vcpu->gpr[PVM_RAX];
	before[PVM_RCX] = vcpu->gpr[PVM_RCX];
	before[PVM_R11] = vcpu->gpr[PVM_R11];
	cr_expect_arr_eq(vcpu->gpr, before, sizeof(before));
}

static enum pvm_action emulate(enum pvm_insn_op op, uint8_t length)
{
	struct pvm_guest_exit stop = { .kind = PVM_EXIT_INSN, .vector = PVM_VEC_GP,
				       .insn = { .op = op, .length = length } };
	pvm_hpa_t root;

	return pvm_handle_exit(vcpu, &stop, &root, PVM_MAY_SLEEP);
}

/* spec: XC-085 */
Test(queries, cpuid_after_ud2_is_emulated_in_either_mode)
{
	unsigned user;

	for (user = 0; user < 2; user++) {
		uint64_t rip;

		if (user)
			xen_go_user(false);
		rip = vcpu->rip;
		vcpu->gpr[PVM_RAX] = 0x40000000;
		cr_assert_eq(emulate(PVM_INSN_XEN_CPUID, PVM_XEN_CPUID_LENGTH), PVM_ACT_RESUME);
		cr_expect_eq(vcpu->rip, rip + 7);
		cr_expect_eq(vcpu->gpr[PVM_RBX], 0x566e6558);	/* XenV */
		cr_expect_eq(vcpu->user_mode, user);
	}
}

/* spec: XC-087 */
Test(queries, cli_sti_and_hlt_do_nothing)
{
	uint64_t rip = vcpu->rip;

	xen_vcpu_info(0)->mask = 1;
	cr_assert_eq(emulate(PVM_INSN_STI, 1), PVM_ACT_RESUME);
	cr_expect_eq(xen_vcpu_info(0)->mask, 1);
	cr_assert_eq(emulate(PVM_INSN_HLT, 1), PVM_ACT_RESUME);
	xen_vcpu_info(0)->mask = 0;
	cr_assert_eq(emulate(PVM_INSN_CLI, 1), PVM_ACT_RESUME);
	cr_expect_eq(xen_vcpu_info(0)->mask, 0);
	cr_expect_eq(vcpu->rip, rip + 3);
}

/* spec: XC-089 */
Test(queries, msrs)
{
	uint64_t value;

	cr_assert_eq(pvm_msr_write(vcpu, PVM_MSR_GS_BASE, KERNEL), PVM_OK);
	cr_expect_eq(vcpu->gs_base, KERNEL);
	cr_assert_eq(pvm_msr_write(vcpu, PVM_MSR_KERNEL_GS_BASE, 0x3000), PVM_OK);
	xen_go_user(false);
	cr_expect_eq(vcpu->gs_base, 0x3000, "the program's");
	cr_expect_eq(pvm_msr_write(vcpu, PVM_MSR_GS_BASE, 1ull << 62), PVM_EINVAL);
	cr_expect_eq(pvm_msr_read(vcpu, MSR_PVM_VCPU_STRUCT, &value), PVM_ENOENT);
	cr_expect_eq(pvm_msr_write(vcpu, MSR_PVM_VCPU_STRUCT, 0x3000), PVM_ENOENT);
	cr_expect_eq(pvm_msr_write(vcpu, MSR_PVM_LINEAR_ADDRESS_RANGE, ~0ull), PVM_ENOENT);
}
