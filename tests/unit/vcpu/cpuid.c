/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* CPUID: what is let through, what is hidden, and the leaves of KVM and PVM. */
#include <criterion/criterion.h>
#include <string.h>

#include "mmu_calls.h"

enum { EAX, EBX, ECX, EDX };

#define ONES 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff

/* A host that has every feature there will ever be; leaves 0..0x20 and
 * 0x80000000..0x80000026, all subleaves. */
static struct pvm_cpuid_entry all_of_it[0x21 + 0x27];

/* XSAVE components of a host with AMX and IA32_XSS components, as an Intel
 * server reports them; and a device leaf of the monitor. */
static const struct pvm_cpuid_entry real[] = {
	{ 0x0, 0, false, 0xd, 0x756e6547, 0x6c65746e, 0x49656e69 },
	{ 0x1, 0, false, 0x806f8, 0x20400800, 0x7ffefbff, 0xbfebfbff },
	{ 0x4, 0, true, 0xfc004121, 0x02c0003f, 0x3f, 0 },
	{ 0x4, 1, true, 0, 0, 0, 0 },
	{ 0x7, 0, true, 2, 0xf3bfbffb, 0xfb415ffe, 0xffdd4432 },
	{ 0x7, 1, true, 0x00201c30, 0, 0, 0 },
	{ 0x7, 2, true, 0, 0, 0, 0x3f },
	{ 0xd, 0, true, 0x602e7, 0x2b00, 0x2b00, 0 },
	{ 0xd, 1, true, 0x1f, 0x2b80, 0x1900, 0 },
	{ 0xd, 2, true, 256, 576, 0, 0 },
	{ 0xd, 5, true, 64, 1088, 0, 0 },
	{ 0xd, 6, true, 512, 1152, 0, 0 },
	{ 0xd, 7, true, 1024, 1664, 0, 0 },
	{ 0xd, 8, true, 128, 0, 1, 0 },
	{ 0xd, 9, true, 8, 2688, 0, 0 },
	{ 0xd, 17, true, 64, 2752, 2, 0 },
	{ 0xd, 18, true, 8192, 2816, 6, 0 },
	{ 0x80000000, 0, false, 0x80000008, 0, 0, 0 },
	{ 0x80000008, 0, false, 0x3934, 0x200, 0, 0 },
	{ 0x40000003, 0, false, 7, 8, 9, 10 },
	{ 0x40000010, 0, false, 2000000, 1000000, 0, 0 },
};

static struct pvm_vm_config everything(void)
{
	struct pvm_vm_config config = fixture_config();
	unsigned i;

	for (i = 0; i < 0x21; i++)
		all_of_it[i] = (struct pvm_cpuid_entry){ i, 0, false, ONES };
	for (i = 0; i < 0x27; i++)
		all_of_it[0x21 + i] = (struct pvm_cpuid_entry){ 0x80000000 + i, 0, false, ONES };
	config.cpuid = all_of_it;
	config.cpuid_count = 0x21 + 0x27;
	return config;
}

static void setup_everything(void)
{
	struct pvm_vm_config config = everything();

	config.host_la57 = true;
	setup_config(&config);
}

/* The same CPU under a host that has switched things off. */
static void setup_switched_off(void)
{
	struct pvm_vm_config config = everything();

	config.host_nx = config.host_pke = config.host_umip = config.host_osxsave = false;
	setup_config(&config);
}

static void setup_real(void)
{
	struct pvm_vm_config config = fixture_config();

	config.cpuid = real;
	config.cpuid_count = sizeof(real) / sizeof(real[0]);
	setup_config(&config);
}

TestSuite(cpuid, .init = setup_everything, .fini = teardown);

static uint32_t cpuid(uint32_t leaf, uint32_t subleaf, unsigned reg)
{
	uint32_t out[4] = { 0xa5a5a5a5, 0xa5a5a5a5, 0xa5a5a5a5, 0xa5a5a5a5 };

	pvm_cpuid(vcpu, leaf, subleaf, out);
	return out[reg];
}

static bool has(uint32_t leaf, uint32_t subleaf, unsigned reg, unsigned bit)
{
	return cpuid(leaf, subleaf, reg) >> bit & 1;
}

static bool all_zero(uint32_t leaf, uint32_t subleaf)
{
	return !(cpuid(leaf, subleaf, EAX) | cpuid(leaf, subleaf, EBX) |
		 cpuid(leaf, subleaf, ECX) | cpuid(leaf, subleaf, EDX));
}

struct feature {
	const char *name;
	uint32_t leaf, subleaf;
	unsigned reg, bit;
};

/* spec: C-028, C-121 */
Test(cpuid, features_that_need_user_and_supervisor_pages_apart_are_hidden)
{
	cr_assert_not(has(7, 0, EBX, 7), "SMEP");
	cr_assert_not(has(7, 0, EBX, 20), "SMAP");
	cr_assert_not(has(7, 1, EAX, 6), "LASS");
}

/* spec: C-120 */
Test(cpuid, xsaves_and_its_msr_are_hidden)
{
	cr_assert_not(has(0xd, 1, EAX, 3));
	cr_assert_eq(cpuid(0xd, 1, ECX) | cpuid(0xd, 1, EDX), 0, "nothing for IA32_XSS");
}

/* spec: C-119 */
Test(cpuid, features_that_nobody_here_handles_are_hidden)
{
	static const struct feature hidden[] = {
		{ "DTES64", 1, 0, ECX, 2 }, { "MONITOR", 1, 0, ECX, 3 }, { "DS-CPL", 1, 0, ECX, 4 },
		{ "VMX", 1, 0, ECX, 5 }, { "SMX", 1, 0, ECX, 6 }, { "EIST", 1, 0, ECX, 7 },
		{ "TM2", 1, 0, ECX, 8 }, { "SDBG", 1, 0, ECX, 11 }, { "xTPR", 1, 0, ECX, 14 },
		{ "PDCM", 1, 0, ECX, 15 }, { "DCA", 1, 0, ECX, 18 },
		{ "VME", 1, 0, EDX, 1 }, { "MCE", 1, 0, EDX, 7 }, { "SEP", 1, 0, EDX, 11 },
		{ "MTRR", 1, 0, EDX, 12 }, { "MCA", 1, 0, EDX, 14 }, { "PSN", 1, 0, EDX, 18 },
		{ "DS", 1, 0, EDX, 21 }, { "ACPI", 1, 0, EDX, 22 }, { "HTT", 1, 0, EDX, 28 },
		{ "TM", 1, 0, EDX, 29 }, { "PBE", 1, 0, EDX, 31 },
		{ "TSC_ADJUST", 7, 0, EBX, 1 }, { "SGX", 7, 0, EBX, 2 }, { "RDT-M", 7, 0, EBX, 12 },
		{ "MPX", 7, 0, EBX, 14 }, { "RDT-A", 7, 0, EBX, 15 }, { "PT", 7, 0, EBX, 25 },
		{ "WAITPKG", 7, 0, ECX, 5 }, { "CET_SS", 7, 0, ECX, 7 }, { "TME", 7, 0, ECX, 13 },
		{ "RDPID", 7, 0, ECX, 22 }, { "KL", 7, 0, ECX, 23 }, { "BUS_LOCK", 7, 0, ECX, 24 },
		{ "ENQCMD", 7, 0, ECX, 29 }, { "SGX_LC", 7, 0, ECX, 30 },
		{ "UINTR", 7, 0, EDX, 5 }, { "PCONFIG", 7, 0, EDX, 18 }, { "ARCH_LBR", 7, 0, EDX, 19 },
		{ "CET_IBT", 7, 0, EDX, 20 }, { "AMX-BF16", 7, 0, EDX, 22 }, { "AMX-TILE", 7, 0, EDX, 24 },
		{ "AMX-INT8", 7, 0, EDX, 25 }, { "IBRS", 7, 0, EDX, 26 }, { "STIBP", 7, 0, EDX, 27 },
		{ "L1D_FLUSH", 7, 0, EDX, 28 }, { "ARCH_CAPABILITIES", 7, 0, EDX, 29 },
		{ "SSBD", 7, 0, EDX, 31 },
		{ "FRED", 7, 1, EAX, 17 }, { "LKGS", 7, 1, EAX, 18 }, { "WRMSRNS", 7, 1, EAX, 19 },
		{ "AMX-FP16", 7, 1, EAX, 21 }, { "LAM", 7, 1, EAX, 26 }, { "MSRLIST", 7, 1, EAX, 27 },
		{ "XFD", 0xd, 1, EAX, 4 },
		{ "SVM", 0x80000001, 0, ECX, 2 }, { "EXTAPIC", 0x80000001, 0, ECX, 3 },
		{ "OSVW", 0x80000001, 0, ECX, 9 }, { "IBS", 0x80000001, 0, ECX, 10 },
		{ "SKINIT", 0x80000001, 0, ECX, 12 }, { "LWP", 0x80000001, 0, ECX, 15 },
		{ "TCE", 0x80000001, 0, ECX, 17 }, { "TOPOEXT", 0x80000001, 0, ECX, 22 },
		{ "PERFCTR", 0x80000001, 0, ECX, 23 }, { "MWAITX", 0x80000001, 0, ECX, 29 },
		{ "FFXSR", 0x80000001, 0, EDX, 25 }, { "RDTSCP", 0x80000001, 0, EDX, 27 },
		{ "RDPRU", 0x80000008, 0, EBX, 4 }, { "WBNOINVD", 0x80000008, 0, EBX, 9 },
		{ "IBPB", 0x80000008, 0, EBX, 12 }, { "UAI", 0x80000021, 0, EAX, 7 },
		{ "AutoIBRS", 0x80000021, 0, EAX, 8 },
	};
	unsigned i;

	for (i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++)
		cr_assert_not(has(hidden[i].leaf, hidden[i].subleaf, hidden[i].reg, hidden[i].bit), "%s",
			      hidden[i].name);
}

/* spec: C-119 */
Test(cpuid, leaves_of_what_nobody_here_handles_are_empty)
{
	static const uint32_t empty[] = {
		0x3, 0x5, 0x8, 0x9, 0xa, 0xc, 0xe, 0xf, 0x10, 0x11, 0x12, 0x13, 0x14, 0x17, 0x18, 0x19,
		0x1a, 0x1b, 0x1c, 0x1d, 0x1e, 0x80000009, 0x8000000a, 0x80000018, 0x8000001b,
		0x8000001c, 0x8000001f, 0x80000020,
	};
	unsigned i;

	for (i = 0; i < sizeof(empty) / sizeof(empty[0]); i++)
		cr_assert(all_zero(empty[i], 0), "leaf %#x", empty[i]);
}

Test(cpuid, plain_instructions_are_let_through)
{
	static const struct feature shown[] = {
		{ "SSE3", 1, 0, ECX, 0 }, { "CX16", 1, 0, ECX, 13 }, { "SSE4.2", 1, 0, ECX, 20 },
		{ "x2APIC", 1, 0, ECX, 21 }, { "TSC_DEADLINE", 1, 0, ECX, 24 }, { "AES", 1, 0, ECX, 25 },
		{ "XSAVE", 1, 0, ECX, 26 }, { "AVX", 1, 0, ECX, 28 }, { "RDRAND", 1, 0, ECX, 30 },
		{ "FPU", 1, 0, EDX, 0 }, { "APIC", 1, 0, EDX, 9 }, { "PGE", 1, 0, EDX, 13 },
		{ "PAT", 1, 0, EDX, 16 }, { "FXSR", 1, 0, EDX, 24 }, { "SSE2", 1, 0, EDX, 26 },
		{ "FSGSBASE", 7, 0, EBX, 0 }, { "AVX2", 7, 0, EBX, 5 }, { "ERMS", 7, 0, EBX, 9 },
		{ "INVPCID", 7, 0, EBX, 10 }, { "SHA", 7, 0, EBX, 29 }, { "UMIP", 7, 0, ECX, 2 },
		{ "VAES", 7, 0, ECX, 9 }, { "LA57", 7, 0, ECX, 16 }, { "FSRM", 7, 0, EDX, 4 },
		{ "AVX_VNNI", 7, 1, EAX, 4 }, { "XSAVEC", 0xd, 1, EAX, 1 },
		{ "SYSCALL", 0x80000001, 0, EDX, 11 }, { "NX", 0x80000001, 0, EDX, 20 },
		{ "1 GiB pages", 0x80000001, 0, EDX, 26 }, { "LM", 0x80000001, 0, EDX, 29 },
		{ "LAHF", 0x80000001, 0, ECX, 0 }, { "invariant TSC", 0x80000007, 0, EDX, 8 },
		{ "CLZERO", 0x80000008, 0, EBX, 0 }, { "LFENCE", 0x80000021, 0, EAX, 2 },
	};
	unsigned i;

	for (i = 0; i < sizeof(shown) / sizeof(shown[0]); i++)
		cr_assert(has(shown[i].leaf, shown[i].subleaf, shown[i].reg, shown[i].bit), "%s",
			  shown[i].name);
	cr_assert_eq(cpuid(0x80000007, 0, EAX), 0);
	cr_assert_eq(cpuid(0x80000007, 0, EBX), 0);
	cr_assert_eq(cpuid(0x80000007, 0, ECX), 0);
	cr_assert_eq(cpuid(0x80000007, 0, EDX), 1 << 8);
}

/* spec: C-116 */
Test(cpuid, what_the_host_switched_off_is_off, .init = setup_switched_off)
{
	cr_assert_not(has(7, 0, ECX, 2), "UMIP");
	cr_assert_not(has(7, 0, ECX, 3), "PKU");
	cr_assert_not(has(7, 0, ECX, 4), "OSPKE");
	cr_assert_not(has(7, 0, ECX, 16), "LA57");
	cr_assert_not(has(1, 0, ECX, 26), "XSAVE");
	cr_assert_not(has(1, 0, ECX, 27), "OSXSAVE");
	cr_assert_not(has(1, 0, ECX, 28), "AVX");
	cr_assert_not(has(0x80000001, 0, EDX, 20), "NX");
	cr_assert(all_zero(0xd, 0));
	cr_assert(all_zero(0xd, 1));
	cr_assert(all_zero(0xd, 2));
	cr_assert_eq(cpuid(0x80000008, 0, EAX) >> 8, 48);
}

/* spec: C-117 */
Test(cpuid, pcid_is_offered_whatever_the_host_has, .init = setup_real)
{
	cr_assert_eq(real[1].ecx >> 17 & 1, 1);
	cr_assert(has(1, 0, ECX, 17));
}

static const struct pvm_cpuid_entry bare[] = {
	{ .leaf = 0, .eax = 7 },
	{ .leaf = 1 },
	{ .leaf = 7 },
};

static void setup_bare_without_pcid(void)
{
	struct pvm_vm_config config = fixture_config();

	config.guest_cr4 = PVM_CR4_GUEST & ~(uint64_t)PVM_CR4_PCIDE;
	config.cpuid = bare;
	config.cpuid_count = 3;
	setup_config(&config);
}

/* Leaf 1 of a CPU that has nothing: what is taken away adds nothing. */
Test(cpuid, without_pcid_nothing_else_is_offered, .init = setup_bare_without_pcid)
{
	cr_assert_eq(cpuid(1, 0, ECX), 1u << 31 | 1u << 27, "hypervisor and OSXSAVE, not %#x",
		     cpuid(1, 0, ECX));
}

static void setup_bare(void)
{
	struct pvm_vm_config config = fixture_config();

	config.cpuid = bare;
	config.cpuid_count = 3;
	setup_config(&config);
}

/* spec: C-117, C-118 */
Test(cpuid, pcid_and_pks_need_no_hardware_of_their_own, .init = setup_bare)
{
	cr_assert(has(1, 0, ECX, 17), "PCID");
	cr_assert(has(7, 0, ECX, 31), "PKS: the host has CR4.PKE");
	cr_assert_not(has(7, 0, ECX, 3), "PKU: the host's CPUID does not have it");
}

/* spec: C-118 */
Test(cpuid, pks_needs_the_hosts_pke, .init = setup_switched_off)
{
	cr_assert_not(has(7, 0, ECX, 31));
}

Test(cpuid, osxsave_and_ospke_are_cr4s)
{
	cr_assert(has(1, 0, ECX, 27));
	cr_assert(has(7, 0, ECX, 4));
	ok(pvm_cr_write(vcpu, 4, vcpu->cr4 & ~PVM_CR4_PKE));
	cr_assert_not(has(7, 0, ECX, 4));
	vcpu->cr4 &= ~PVM_CR4_OSXSAVE;
	cr_assert_not(has(1, 0, ECX, 27));
}

Test(cpuid, the_hypervisor_bit_is_set, .init = setup_bare)
{
	cr_assert(has(1, 0, ECX, 31));
}

Test(cpuid, every_vcpu_has_its_own_apic_id)
{
	struct pvm_vcpu *first = vcpu, second = *vcpu;

	second.id = 0x123;
	vcpu = &second;
	cr_assert_eq(cpuid(1, 0, EBX), 0x2300ffff);
	cr_assert_eq(cpuid(0xb, 0, EDX), 0x123);
	cr_assert_eq(cpuid(0xb, 1, EDX), 0x123);
	cr_assert_eq(cpuid(0x1f, 0, EDX), 0x123);
	cr_assert_eq(cpuid(0x8000001e, 0, EAX), 0x123);
	cr_assert_eq(cpuid(0x8000001e, 0, EBX), 0x23);
	cr_assert_eq(cpuid(0x8000001e, 0, ECX) | cpuid(0x8000001e, 0, EDX), 0);
	vcpu = first;
	cr_assert_eq(cpuid(0xb, 0, EDX), 0);
}

Test(cpuid, every_vcpu_is_a_package_of_one)
{
	cr_assert_eq(cpuid(0xb, 0, EAX), 0);
	cr_assert_eq(cpuid(0xb, 0, EBX), 1);
	cr_assert_eq(cpuid(0xb, 0, ECX), 0x100);
	cr_assert_eq(cpuid(0xb, 1, EAX), 0);
	cr_assert_eq(cpuid(0xb, 1, EBX), 1);
	cr_assert_eq(cpuid(0xb, 1, ECX), 0x201);
	cr_assert_eq(cpuid(0xb, 2, EBX), 0);
	cr_assert_eq(cpuid(0xb, 2, ECX), 2);
	cr_assert_eq(cpuid(4, 0, EAX) & 0xffffc000, 0);
	cr_assert_eq(cpuid(0x8000001d, 0, EAX) & 0xffffc000, 0);
	cr_assert_eq(cpuid(1, 0, EBX) >> 16 & 0xff, 0);
}

Test(cpuid, address_sizes_are_the_guests)
{
	cr_assert_eq(cpuid(0x80000008, 0, EAX), 57 << 8 | 40);
	cr_assert_eq(cpuid(0x80000008, 0, ECX) | cpuid(0x80000008, 0, EDX), 0);
}

Test(cpuid, address_sizes_of_a_4_level_host, .init = setup_real)
{
	cr_assert_eq(cpuid(0x80000008, 0, EAX), 48 << 8 | 40);
	cr_assert_eq(cpuid(0x80000008, 0, EBX), 0);
}

Test(cpuid, the_emulated_timer_never_stops)
{
	cr_assert_eq(cpuid(6, 0, EAX), 4);
	cr_assert_eq(cpuid(6, 0, EBX) | cpuid(6, 0, ECX) | cpuid(6, 0, EDX), 0);
}

Test(cpuid, maxima_are_those_that_are_known)
{
	cr_assert_eq(cpuid(0, 0, EAX), 0x1f);
	cr_assert_eq(cpuid(0x80000000, 0, EAX), 0x80000021);
	cr_assert_eq(cpuid(7, 0, EAX), 1);
	cr_assert(all_zero(7, 2));
}

static const struct pvm_cpuid_entry one_subleaf[] = {
	{ .leaf = 0, .eax = 7 },
	{ .leaf = 7, .edx = 0xffffffff },
};

/* A table may hold leaf 7 without regard to subleaves: EDX bit 4 is FSRM in the
 * first and AVX-VNNI-INT8 in the second. */
Test(cpuid, a_subleaf_beyond_the_hosts_maximum_is_empty)
{
	vcpu->vm->config.cpuid = one_subleaf;
	vcpu->vm->config.cpuid_count = 2;
	cr_assert(has(7, 0, EDX, 4));
	cr_assert(all_zero(7, 1));
}

Test(cpuid, smaller_maxima_stay, .init = setup_real)
{
	cr_assert_eq(cpuid(0, 0, EAX), 0xd);
	cr_assert_eq(cpuid(0, 0, EBX), 0x756e6547);
	cr_assert_eq(cpuid(0x80000000, 0, EAX), 0x80000008);
}

Test(cpuid, a_leaf_beyond_the_maximum_reads_as_the_highest_basic_one, .init = setup_real)
{
	static const uint32_t beyond[] = { 0xe, 0x1f, 0x3fffffff, 0x80000009, 0xc0000000, 0xffffffff };
	uint32_t highest[4], out[4];
	unsigned i;

	pvm_cpuid(vcpu, 0xd, 0, highest);
	cr_assert_neq(highest[EAX], 0);
	for (i = 0; i < sizeof(beyond) / sizeof(beyond[0]); i++) {
		pvm_cpuid(vcpu, beyond[i], 0, out);
		cr_assert_eq(memcmp(out, highest, sizeof(out)), 0, "leaf %#x", beyond[i]);
	}
}

Test(cpuid, brand_and_caches_are_the_hosts)
{
	static const uint32_t same[] = {
		0x2, 0x15, 0x16, 0x80000002, 0x80000003, 0x80000004, 0x80000005, 0x80000006, 0x80000019,
		0x8000001a,
	};
	unsigned i;

	for (i = 0; i < sizeof(same) / sizeof(same[0]); i++)
		cr_assert_eq(cpuid(same[i], 0, EAX) & cpuid(same[i], 0, EBX) & cpuid(same[i], 0, ECX) &
			     cpuid(same[i], 0, EDX), 0xffffffff, "leaf %#x", same[i]);
}

Test(cpuid, cache_leaf_keeps_what_is_not_topology, .init = setup_real)
{
	cr_assert_eq(cpuid(4, 0, EAX), 0x121);
	cr_assert_eq(cpuid(4, 0, EBX), 0x02c0003f);
	cr_assert(all_zero(4, 1));
	cr_assert(all_zero(4, 9));
}

/* x87, SSE, AVX, AVX-512 and PKRU; AMX (17, 18) would need XFD. */
Test(cpuid, xstate_components_are_those_of_shown_features, .init = setup_real)
{
	cr_assert_eq(cpuid(0xd, 0, EAX), 0x2e7);
	cr_assert_eq(cpuid(0xd, 0, EDX), 0);
	cr_assert_eq(cpuid(0xd, 2, EAX), 256);
	cr_assert_eq(cpuid(0xd, 2, EBX), 576);
	cr_assert_eq(cpuid(0xd, 9, EBX), 2688);
	cr_assert(all_zero(0xd, 8), "of IA32_XSS");
	cr_assert(all_zero(0xd, 17), "AMX");
	cr_assert(all_zero(0xd, 18), "AMX");
	cr_assert(all_zero(0xd, 32));
	cr_assert(all_zero(0xd, 63));
}

Test(cpuid, xstate_sizes_are_those_of_shown_components, .init = setup_real)
{
	cr_assert_eq(cpuid(0xd, 0, EBX), 2696);
	cr_assert_eq(cpuid(0xd, 0, ECX), 2696);
	cr_assert_eq(cpuid(0xd, 1, EAX), 7);
	cr_assert_eq(cpuid(0xd, 1, EBX), 576 + 256 + 64 + 512 + 1024 + 8);
}

Test(cpuid, xstate_without_protection_keys, .init = setup_real)
{
	vcpu->vm->config.host_pke = false;
	cr_assert_eq(cpuid(0xd, 0, EAX), 0xe7);
	cr_assert_eq(cpuid(0xd, 0, EBX), 2688);
}

static const struct pvm_cpuid_entry aligned[] = {
	{ 0x0, 0, false, 0xd, 0, 0, 0 },
	{ 0xd, 0, true, 0x2c7, 0, 0, 0 },
	{ 0xd, 1, true, 0x2, 0, 0, 0 },
	{ 0xd, 2, true, 200, 576, 0, 0 },
	{ 0xd, 6, true, 100, 1088, 2, 0 },
	{ 0xd, 9, true, 8, 2688, 0, 0 },
};

/* The compacted format puts a component with bit 1 of ECX at a multiple of 64. */
Test(cpuid, compacted_size_aligns_where_the_component_wants_it)
{
	vcpu->vm->config.cpuid = aligned;
	vcpu->vm->config.cpuid_count = 6;
	cr_assert_eq(cpuid(0xd, 1, EBX), 832 + 100 + 8);
	cr_assert_eq(cpuid(0xd, 6, ECX), 2);
}

Test(cpuid, without_xsavec_there_is_no_compacted_size)
{
	static struct pvm_cpuid_entry entries[6];

	memcpy(entries, aligned, sizeof(aligned));
	entries[2].eax = 0;
	vcpu->vm->config.cpuid = entries;
	vcpu->vm->config.cpuid_count = 6;
	cr_assert(all_zero(0xd, 1));
}

/* spec: C-122 */
Test(cpuid, signature_is_kvms, .init = setup)
{
	uint32_t out[4];

	pvm_cpuid(vcpu, 0x40000000, 0, out);
	cr_assert_eq(out[EAX], 0x40000002);
	cr_assert_eq(memcmp(&out[EBX], "KVMKVMKVM\0\0\0", 12), 0);
	cr_assert(all_zero(0x40000001, 0));
	cr_assert(all_zero(0x40000003, 0));
}

/* spec: C-123, C-124 */
Test(cpuid, vendor_leaf_is_pvms, .init = setup)
{
	vcpu->vm->config.pvm_features = 0x12345;
	cr_assert_eq(cpuid(0x40000002, 0, EAX), 0x12345);
	cr_assert_eq(cpuid(0x40000002, 0, EBX), 0x6d7670);
	cr_assert_eq(cpuid(0x40000002, 0, ECX), 0);
	cr_assert_eq(cpuid(0x40000002, 0, EDX), 0);
}

Test(cpuid, deployed_guests_can_have_their_signature, .init = setup)
{
	vcpu->vm->config.deployed_cpuid_signature = true;
	cr_assert_eq(cpuid(0x40000002, 0, EBX), 0x4d5650);
}

/* spec: C-122 */
Test(cpuid, leaves_of_the_monitor_raise_the_maximum, .init = setup_real)
{
	cr_assert_eq(cpuid(0x40000000, 0, EAX), 0x40000010);
	cr_assert_eq(cpuid(0x40000010, 0, EAX), 2000000);
	cr_assert_eq(cpuid(0x40000010, 0, EBX), 1000000);
	cr_assert_eq(cpuid(0x40000003, 0, EDX), 10);
	cr_assert(all_zero(0x40000004, 0), "a hole");
	cr_assert(all_zero(0x40000011, 0));
	cr_assert(all_zero(0x40000100, 0));
	cr_assert(all_zero(0x7fffffff, 0));
}

static const struct pvm_cpuid_entry nested[] = {
	{ 0x40000000, 0, false, 0x40000001, 0x11111111, 0x11111111, 0x11111111 },
	{ 0x40000001, 0, false, ONES },
	{ 0x40000002, 0, false, ONES },
	{ 0x40000100, 0, false, ONES },
};

Test(cpuid, our_three_leaves_are_never_the_hosts)
{
	vcpu->vm->config.cpuid = nested;
	vcpu->vm->config.cpuid_count = 4;
	cr_assert_eq(cpuid(0x40000000, 0, EAX), 0x40000002);
	cr_assert_eq(cpuid(0x40000000, 0, EBX), 0x4b4d564b);
	cr_assert(all_zero(0x40000001, 0));
	cr_assert_eq(cpuid(0x40000002, 0, EBX), 0x6d7670);
	cr_assert(all_zero(0x40000100, 0));
}

Test(cpuid, an_empty_table_reads_as_zeroes, .init = setup)
{
	cr_assert(all_zero(0, 0));
	cr_assert(all_zero(0x80000000, 0));
}
