/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* MSRs that are others while a guest runs: pvm_switcher_set_msrs(). */
#include <pvm/hypercall.h>

#include "minivisor.h"
#include "corners.h"
#include "cpu.h"
#include "print.h"

#define TSC_AUX		0xc0000103
#define MTRR_BASE(n)	(0x200u + 2 * (n))	/* nothing that the host relies on */
#define RDTSCP		(1u << 27)	/* CPUID 0x80000001 EDX */
#define HOST		0x1057
#define GUEST		0x9e57

static bool has_rdtscp(void)
{
	uint32_t eax = PVM_CPUID_LEAF_EXT_FEATURES, ebx, ecx = 0, edx;

	__asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
	return edx & RDTSCP;
}

/* What the guest's user mode reads with RDTSCP, after a page fault that is served in between. */
static uint32_t aux_in_guest(void)
{
	static const uint8_t code[] = { 0x0f, 0x01, 0xf9, 0x0f, 0x0b };	/* RDTSCP; UD2 */

	write_code(USER_CODE, code, sizeof(code));
	start_user(USER_CS, USER_CODE);
	test.vcpu.gpr[PVM_RCX] = 0;
	run_to_ud2("RDTSCP");
	return (uint32_t)test.vcpu.gpr[PVM_RCX];
}

static void set(uint32_t count, int error)
{
	struct pvm_switcher_msr msrs[PVM_SWITCHER_MSRS + 1] = { };
	uint32_t i;

	for (i = 0; i + 1 < count; i++)
		msrs[i] = (struct pvm_switcher_msr){ .index = MTRR_BASE(i), .guest = 6 };
	if (count)
		msrs[i] = (struct pvm_switcher_msr){ .index = TSC_AUX, .guest = GUEST };
	if (pvm_switcher_set_msrs(test.cpu, msrs, count) != error)
		fail("%u MSRs: not %d", count, error);
}

static void expect(const char *what, uint32_t guest)
{
	uint64_t mtrr = rdmsr(MTRR_BASE(0)), last = rdmsr(MTRR_BASE(PVM_SWITCHER_MSRS - 2));
	uint32_t found = aux_in_guest();

	if (found != guest)
		fail("%s: the guest reads %x in TSC_AUX", what, found);
	if (rdmsr(TSC_AUX) != HOST || rdmsr(MTRR_BASE(0)) != mtrr ||
	    rdmsr(MTRR_BASE(PVM_SWITCHER_MSRS - 2)) != last)
		fail("%s: the host's MSRs are not as they were", what);
}

void msrs_go_with_the_guest(void)
{
	uint64_t aux;

	if (!has_rdtscp()) {
		print("no MSR that guests can read\n");
		return;
	}
	aux = rdmsr(TSC_AUX);
	wrmsr(TSC_AUX, HOST);
	expect("none", HOST);
	set(1, PVM_OK);
	expect("one", GUEST);
	set(PVM_SWITCHER_MSRS, PVM_OK);
	expect("all", GUEST);
	set(PVM_SWITCHER_MSRS + 1, PVM_EINVAL);
	expect("one too many", GUEST);
	set(0, PVM_OK);
	expect("none any more", HOST);
	wrmsr(TSC_AUX, aux);
	print("MSRs go with the guest\n");
}
