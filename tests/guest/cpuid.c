/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The synthetic CPUID in both modes, the leaves of KVM and PVM, and what the
 * guest must not be offered.
 *
 * spec: PVM_SYNTHETIC_CPUID; CPUID leaf; KVM and PVM specific CPUID leafs
 */
#include "guest.h"

USER_CODE(user_cpuid,
	  "	movl	%edi, %eax\n"
	  "	movl	%esi, %ecx\n"
	  "	.byte	0x0f, 0x01, 0x3c, 0x25, 0x50, 0x56, 0x4d, 0xff, 0x0f, 0xa2\n"
	  "	movl	%ecx, %r8d\n"
	  "	syscall\n"
	  "	ud2\n");

/* The bare INVLPG of the pair: not the synthetic instruction in user mode. */
USER_CODE(user_invlpg_only,
	  "	.byte	0x0f, 0x01, 0x3c, 0x25, 0x50, 0x56, 0x4d, 0xff\n"
	  "	syscall\n"
	  "	ud2\n");

static void same_in_user_mode(u32 leaf, u32 subleaf)
{
	struct cpuid c = pvm_cpuid(leaf, subleaf);
	struct user u;

	user_init(&u, user_cpuid, user_stack_top(), leaf);
	u.rsi = subleaf;
	user_run(&u);
	if (!check(u.left_by == LEFT_BY_SYSCALL && u.rax == c.eax && u.rbx == c.ebx && u.r8 == c.ecx &&
		   u.rdx == c.edx, "user mode's synthetic CPUID gives the same"))
		printf("# leaf %#x: %lx %lx %lx %lx\n", leaf, u.rax, u.rbx, u.r8, u.rdx);
}

/* spec: C-105, C-108, C-122, C-123, C-124, C-129 */
static void kvm_and_pvm_leaves(void)
{
	struct cpuid c = pvm_cpuid(PVM_CPUID_SIGNATURE, 0);

	check(c.eax >= PVM_CPUID_VENDOR_FEATURES, "leaf 0x40000000 reaches the vendor leaf");
	check(c.ebx == PVM_CPUID_KVM_EBX && c.ecx == PVM_CPUID_KVM_ECX && c.edx == PVM_CPUID_KVM_EDX,
	      "leaf 0x40000000 has KVM's signature");
	c = pvm_cpuid(PVM_CPUID_VENDOR_FEATURES, 0);
	check(c.ebx == PVM_CPUID_VENDOR_EBX || c.ebx == PVM_CPUID_VENDOR_EBX_DEPLOYED,
	      "leaf 0x40000002: EBX says PVM");
	check(c.ecx == 0 && c.edx == 0, "leaf 0x40000002: ECX and EDX are 0");
	check(pvm_cpuid(1, 0).ecx >> 31, "leaf 1: the hypervisor bit");
}

static u32 xgetbv0(void)
{
	u32 low, high;

	__asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	return low;
}

/* spec: C-028, C-117, C-119, C-120, C-121 */
static void hidden_features(void)
{
	struct cpuid leaf7 = pvm_cpuid(7, 0);

	if (SINGLE_CR3)	/* spec: SC-005 */
		check(!(leaf7.ebx & (1 << 7)) == !(hc_rdmsr(MSR_EFER) & EFER_NX), "SMEP where there is NX");
	else
		check(!(leaf7.ebx & (1 << 7)), "no SMEP");
	check(!(leaf7.ebx & (1 << 20)), "no SMAP");
	check(!(pvm_cpuid(7, 1).eax & (1 << 6)), "no LASS");
	check(!(pvm_cpuid(0xd, 1).eax & (1 << 3)), "no XSAVES");
	check(!(pvm_cpuid(1, 0).ecx & (1 << 27)) || (xgetbv0() & 7) == (pvm_cpuid(0xd, 0).eax & 7),
	      "XCR0 has x87, SSE and AVX as CPUID offers them");
	check(!(pvm_cpuid(1, 0).ecx & (1 << 27)) || pvm_cpuid(0xd, 0).ebx >= ((xgetbv0() & 4) ? 832u : 576u),
	      "and leaf 0xd the size for it");
	check(!(pvm_cpuid(1, 0).ecx & (1 << 5)), "no VMX");
	check(!(pvm_cpuid(0x80000001, 0).ecx & (1 << 2)), "no SVM");
	check(!(pvm_cpuid(1, 0).ecx & (1 << 3)), "no MONITOR");
	check(!(leaf7.ecx & (1 << 31)) || (leaf7.ecx & (1 << 3)), "PKS only with PKU");
	check(pvm_cpuid(1, 0).ecx & (1 << 17), "PCID is offered");
	check(pvm_cpuid(1, 0).ecx & (1 << 21), "x2APIC is offered");
	check(leaf7.ebx & 1, "FSGSBASE is offered");
	check(pvm_cpuid(0x80000001, 0).edx & (1 << 29), "long mode is offered");
	check(pvm_cpuid(0x80000001, 0).edx & (1 << 11), "SYSCALL is offered");
}

/* spec: C-109 */
static void bare(void)
{
	struct cpuid bare = cpuid(0, 0), synthetic = pvm_cpuid(0, 0);

	check(bare.ebx == synthetic.ebx && bare.ecx == synthetic.ecx && bare.edx == synthetic.edx,
	      "the bare CPUID works, and names the same vendor");
}

static void synthetic_in_detail(void)
{
	u64 rax = 0xffffffff40000000ul, rbx, rcx = 0xffffffff00000000ul, rdx, before = read_flags();
	struct user u;

	__asm__ volatile(".byte 0x0f, 0x01, 0x3c, 0x25, 0x50, 0x56, 0x4d, 0xff, 0x0f, 0xa2"
			 : "+a"(rax), "=b"(rbx), "+c"(rcx), "=d"(rdx));
	check(!((rax | rbx | rcx | rdx) >> 32), "the upper halves of the four registers are 0");
	check_eq(read_flags() & ~(u64)FLAG_ARITH, before & ~(u64)FLAG_ARITH, "RFLAGS is kept");
	run_user(&u, user_invlpg_only, 0);
	check(user_left_by_vector(&u, VEC_GP), "INVLPG alone is #GP in user mode");
}

void guest_main(void)
{
	kvm_and_pvm_leaves();
	hidden_features();
	bare();
	synthetic_in_detail();
	same_in_user_mode(PVM_CPUID_SIGNATURE, 0);
	same_in_user_mode(PVM_CPUID_VENDOR_FEATURES, 0);
	same_in_user_mode(0, 0);
	same_in_user_mode(1, 0);
	same_in_user_mode(7, 0);
	same_in_user_mode(0x80000008, 0);
	same_in_user_mode(0x40000011, 0x12345678);
}
