/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Protection keys in both modes: PKRU follows the mode, keys protect whatever
 * the U/S bit says, and CR4 cannot turn on what the host has not.
 *
 * spec: Protection Keys
 */
#include "guest.h"

#define DATA	USER_BASE
#define KEY	1
#define DENY	(1u << (2 * KEY))
#define READ_ONLY (2u << (2 * KEY))
#define PKRS_VALUE 0x30u	/* key 2 denied */

USER_INSN(user_read, "", "movq (%rdi), %rax");
USER_INSN(user_write, "", "movq %rsi, (%rdi)");
USER_CODE(user_wrpkru,
	  "	xorl	%ecx, %ecx\n"
	  "	xorl	%edx, %edx\n"
	  "	movl	%edi, %eax\n"
	  "	wrpkru\n"
	  "	rdpkru\n"
	  "	syscall\n"
	  "	ud2\n");

static u32 rdpkru(void)
{
	u32 value;

	__asm__ volatile("rdpkru" : "=a"(value) : "c"(0) : "rdx");
	return value;
}

static void wrpkru(u32 value)
{
	__asm__ volatile("wrpkru" : : "a"(value), "c"(0), "d"(0) : "memory");
}

/* The error code of the #PF, or -1. */
static s64 user_access(const char *code, u32 pkru)
{
	struct user u;

	user_init(&u, code, user_stack_top(), DATA);
	u.pkru = pkru;
	user_run(&u);
	return user_left_by_vector(&u, VEC_PF) ? (s64)u.errcode : -1;
}

static s64 supervisor_read(void)
{
	return TRY("movq (%0), %%rax", : "r"(DATA) : "rax") == VEC_PF ? (s64)trap.errcode : -1;
}

/* spec: C-026, C-152 */
static void not_offered(void)
{
	static const char *const checks[] = {
		"PKRU, user reads", "PKRU, user writes", "PKRU, read-only key", "PKRU, saved to the PVCS",
		"PKRU, loaded from the PVCS", "PKRU, default in supervisor mode", "PKRU, supervisor access",
		"PKRS, loaded at entries", "PKRU, key without U bit",
	};

	check(TRY("movq %0, %%cr4", : "r"(read_reg(cr4) | CR4_PKE)) == VEC_GP, "CR4.PKE cannot be set");
	check(TRY("movq %0, %%cr4", : "r"(read_reg(cr4) | CR4_PKS)) == VEC_GP, "CR4.PKS cannot be set");
	for (unsigned i = 0; i < array_size(checks); i++)
		skip(label(checks[i], "the CPU has no protection keys, or the host has them off"));
}

/* spec: C-149, C-153, C-157, C-158 */
static void in_user_mode(void)
{
	struct user u;

	check_eq((u64)user_access(user_read, 0), -1ul, "PKRU 0: user reads");
	check_eq((u64)user_access(user_read, DENY), PF_P | PF_U | PF_PK, "PKRU denies: user's read faults");
	check_eq((u64)user_access(user_write, DENY), PF_P | PF_U | PF_W | PF_PK,
		 "PKRU denies: user's write faults");
	check_eq((u64)user_access(user_read, READ_ONLY), -1ul, "PKRU read-only: user reads");
	check_eq((u64)user_access(user_write, READ_ONLY), PF_P | PF_U | PF_W | PF_PK,
		 "PKRU read-only: user's write faults");
	run_user(&u, user_wrpkru, DENY | READ_ONLY);
	check_eq(u.rax, DENY | READ_ONLY, "WRPKRU and RDPKRU in user mode");
	check_eq(u.pkru, DENY | READ_ONLY, "the user's PKRU is saved to PVCS::pkru");
	check_eq(rdpkru(), 0, "PKRU is 0 in supervisor mode then");
}

/* spec: C-115, C-132, C-138, C-148 */
static void in_supervisor_mode(void)
{
	wrpkru(DENY);
	check(TRY("movq (%0), %%rax", : "r"(DATA) : "rax") == VEC_PF && (trap.errcode & PF_PK),
	      "WRPKRU in supervisor mode denies supervisor mode");
	wrpkru(0);
	*user_pte(&boot_space, DATA) &= ~PTE_U;
	hc_tlb_flush();
	wrpkru(SINGLE_CR3 ? DENY : 0);
	check(SINGLE_CR3 ? supervisor_read() == (PF_P | PF_PK) : user_access(user_read, DENY) & PF_PK,
	      "a key protects a page without U, too");
	wrpkru(0);
}

/* spec: C-118, C-150, C-151, C-158 */
static void with_pks(void)
{
	struct user u;

	if (!(pvm_cpuid(7, 0).ecx >> 31)) {
		skip("PKRS: CPUID does not offer PKS");
		return;
	}
	write_reg(cr4, read_reg(cr4) | CR4_PKS);
	check_eq(hc_wrmsr(MSR_PKRS, PKRS_VALUE), 0, "PKRS can be written");
	run_user(&u, user_wrpkru, 0);
	check_eq(rdpkru(), PKRS_VALUE, "with CR4.PKS an entry loads PKRU with MSR_IA32_PKRS");
	wrpkru(0);
	write_reg(cr4, read_reg(cr4) & ~CR4_PKS);
}

void guest_main(void)
{
	bool offered = pvm_cpuid(7, 0).ecx & (1 << 3);
	u64 page = page_alloc();

	map_user(&boot_space, DATA, page, PTE_USER_RW | PTE_PKEY(KEY));
	if (!offered) {
		not_offered();
		return;
	}
	write_reg(cr4, read_reg(cr4) | CR4_PKE);
	check(read_reg(cr4) & CR4_PKE, "CR4.PKE can be set");
	in_user_mode();
	in_supervisor_mode();
	with_pks();
}
