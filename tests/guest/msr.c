/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Every MSR of PVM and every x86 MSR that the specification mentions: what it
 * reads back, and that a bad value is -EINVAL by HC_WRMSR, #GP by WRMSR, and
 * leaves the MSR as it was.
 *
 * spec: X86 MSR; PVM MSRs; PVM_HC_RDMSR; PVM_HC_WRMSR
 */
#include "guest.h"

#define NON_CANONICAL	0x0100000000000000ul	/* with 48 and with 57 bits */
#define UNKNOWN_MSR	0x12345678
#define EINVAL		(-(s64)PVM_HC_EINVAL)
#define RANGE_FIXED	0xff00ff00ff00ff00ul
#define RANGE_NONE	0x1fful

static int try_wrmsr(u32 index, u64 value)
{
	return TRY("wrmsr", : "c"(index), "a"((u32)value), "d"((u32)(value >> 32)) : "memory");
}

static int try_rdmsr(u32 index)
{
	return TRY("rdmsr", : "c"(index) : "rax", "rdx");
}

/* Accepted by both ways, and reads back by both. The old value comes back
 * before anything else can happen. */
static void good(u32 index, u64 value, const char *name)
{
	u64 old = hc_rdmsr(index), by_hypercall, by_insn;
	s64 result = hc_wrmsr(index, value);

	by_hypercall = hc_rdmsr(index);
	hc_wrmsr(index, old);
	wrmsr(index, value);
	by_insn = rdmsr(index);
	wrmsr(index, old);
	check(result == 0 && by_hypercall == value, label(name, "HC_WRMSR and HC_RDMSR"));
	check_eq(by_insn, value, label(name, "WRMSR and RDMSR"));
}

static void bad(u32 index, u64 value, const char *name)
{
	u64 old = hc_rdmsr(index);

	check_eq((u64)hc_wrmsr(index, value), (u64)EINVAL, label(name, "HC_WRMSR is -EINVAL"));
	check(try_wrmsr(index, value) == VEC_GP && trap.errcode == 0, label(name, "WRMSR is #GP(0)"));
	check_eq(hc_rdmsr(index), old, label(name, "and nothing changed"));
}

/* spec: C-082, C-103, C-104 */
static void entry_points(void)
{
	static const struct {
		u32 index;
		const char *name, *bad_name;
	} msrs[] = {
		{ MSR_PVM_EVENT_ENTRY, "EVENT_ENTRY", "EVENT_ENTRY not canonical" },
		{ MSR_PVM_RETU_RIP, "RETU_RIP", "RETU_RIP not canonical" },
		{ MSR_PVM_RETS_RIP, "RETS_RIP", "RETS_RIP not canonical" },
		{ MSR_LSTAR, "LSTAR", "LSTAR not canonical" },
	};

	for (unsigned i = 0; i < array_size(msrs); i++) {
		good(msrs[i].index, 0x123456789000, msrs[i].name);
		bad(msrs[i].index, NON_CANONICAL, msrs[i].bad_name);
	}
}

/* spec: C-034, C-049 */
static void vcpu_struct(void)
{
	u64 old = hc_rdmsr(MSR_PVM_VCPU_STRUCT), page = page_alloc();
	struct guest_pvcs *other = phys_to_virt(page + 0x100);
	u64 flags;

	check_eq(old, virt_to_phys(pvcs()), "VCPU_STRUCT: reads back");
	bad(MSR_PVM_VCPU_STRUCT, old + 1, "VCPU_STRUCT not aligned");
	bad(MSR_PVM_VCPU_STRUCT, page + PAGE_SIZE - 64, "VCPU_STRUCT across a page");
	bad(MSR_PVM_VCPU_STRUCT, 1ul << 51, "VCPU_STRUCT outside memory");
	check_eq(hc_wrmsr(MSR_PVM_VCPU_STRUCT, page + 0x100), 0, "VCPU_STRUCT: can be moved");
	__asm__ volatile("sti" ::: "memory");
	flags = other->event_flags;
	__asm__ volatile("cli" ::: "memory");
	check_eq(flags, PVM_EVENT_FLAGS_IF, "VCPU_STRUCT: the new one is used");
	check_eq(hc_wrmsr(MSR_PVM_VCPU_STRUCT, 0), 0, "VCPU_STRUCT: 0 takes it away");
	if (!SINGLE_CR3)	/* which has no event without one */
		check(TRY("ud2") == VEC_UD && !(trap.frame.hw.rflags & FLAG_IF),
		      "without a PVCS IF is 0, and exceptions in supervisor mode still work");
	hc_wrmsr(MSR_PVM_VCPU_STRUCT, old);
}

/* spec: C-075, C-076, C-077 */
static void star(void)
{
	u64 user = (u64)user32_cs() << 48, kernel = (u64)supervisor_cs << 32;

	good(MSR_STAR, user | kernel, "STAR");
	check_eq(hc_wrmsr(MSR_STAR, (user & ~(3ul << 48)) | kernel), 0, "STAR: the user's RPL does not matter");
	bad(MSR_STAR, user + (8ul << 48) + kernel, "STAR with another user CS");
	bad(MSR_STAR, user + kernel + (8ul << 32), "STAR with another supervisor CS");
	bad(MSR_STAR, user | kernel | 1ul << 32, "STAR with a supervisor SS of RPL 1");
	bad(MSR_STAR, 0, "STAR of 0");
	hc_wrmsr(MSR_STAR, user | kernel);
}

/* spec: C-087, C-088, C-089, C-090, C-091, C-092, C-093, C-097, C-098 */
static void linear_address_range(void)
{
	u32 index = MSR_PVM_LINEAR_ADDRESS_RANGE;
	u64 widest = hc_rdmsr(index), start = widest & 0x1ff, end = widest >> 16 & 0x1ff;

	check_eq(widest & RANGE_FIXED, RANGE_FIXED, "LINEAR_ADDRESS_RANGE: the fixed bits are set");
	check(start == RANGE_NONE || (start >= 256 && start < end && end < 511),
	      "LINEAR_ADDRESS_RANGE: 256 <= start < end < 511");
	good(index, widest, "LINEAR_ADDRESS_RANGE");
	bad(index, widest & ~(1ul << 63), "LINEAR_ADDRESS_RANGE without bit 63");
	bad(index, widest & ~(1ul << 8), "LINEAR_ADDRESS_RANGE without bit 8");
	bad(index, widest & ~(1ul << 9), "LINEAR_ADDRESS_RANGE without bit 9");
	bad(index, (widest & ~0x1ff01fful) | 0x110ul << 16 | 0x120, "LINEAR_ADDRESS_RANGE with end < start");
	bad(index, (widest & ~0x1ff01fful) | 0x1fful << 16 | 0x100, "LINEAR_ADDRESS_RANGE up to 511");
	if (end - start > 1 && start != RANGE_NONE)
		good(index, widest + 1, "LINEAR_ADDRESS_RANGE, a sub-range");
	else
		skip("LINEAR_ADDRESS_RANGE, a sub-range: there is no range in the upper half");
	if (start > 256)
		bad(index, widest - 1, "LINEAR_ADDRESS_RANGE wider than at reset");
	else
		skip("LINEAR_ADDRESS_RANGE wider than at reset: it starts at 256");
}

/* spec: C-068 */
static void bases(void)
{
	struct cpu *cpu = this_cpu();
	u64 base;

	good(MSR_FS_BASE, 0x5555000, "FS_BASE");
	hc_wrmsr(MSR_FS_BASE, 0x5555000);
	check_eq(read_fsbase(), 0x5555000, "FS_BASE is the CPU's");
	hc_wrmsr(MSR_FS_BASE, 0);
	bad(MSR_FS_BASE, NON_CANONICAL, "FS_BASE not canonical");
	hc_wrmsr(MSR_GS_BASE, 0x6666000);
	base = read_gsbase();
	hc_wrmsr(MSR_GS_BASE, (u64)cpu);
	check_eq(base, 0x6666000, "GS_BASE is the CPU's");
	bad(MSR_GS_BASE, NON_CANONICAL, "GS_BASE not canonical");
	good(MSR_KERNEL_GS_BASE, 0x7777000, "KERNEL_GS_BASE");
	bad(MSR_KERNEL_GS_BASE, NON_CANONICAL, "KERNEL_GS_BASE not canonical");
}

USER_CODE(user_syscall_only, "	syscall\n	ud2\n");

static u64 entry_flags_with_mask(u64 mask)
{
	struct user u;

	hc_wrmsr(MSR_SYSCALL_MASK, mask);
	user_init(&u, user_syscall_only, user_stack_top(), 0);
	u.rflags |= FLAG_CF | FLAG_DF;
	user_run_once(&u);
	return u.entry_rflags;
}

/* spec: C-074, C-078, C-079 */
static void ignored(void)
{
	check_eq(entry_flags_with_mask(0), FLAG_IF | FLAG_FIXED, "SYSCALL_MASK of 0 has no effect");
	check_eq(entry_flags_with_mask(~0u), FLAG_IF | FLAG_FIXED, "SYSCALL_MASK of all ones has no effect");
	check_eq(hc_wrmsr(MSR_CSTAR, 0x1000), 0, "CSTAR can be written");
	check_eq(hc_wrmsr(MSR_SYSENTER_CS, supervisor_cs), 0, "SYSENTER_CS can be written");
	check_eq(hc_wrmsr(MSR_SYSENTER_EIP, 0x1000), 0, "SYSENTER_EIP can be written");
	check_eq(hc_wrmsr(MSR_SYSENTER_ESP, 0x1000), 0, "SYSENTER_ESP can be written");
}

/* spec: C-029, C-080, C-120 */
static void x86_msrs(void)
{
	u64 fixed = EFER_SCE | EFER_LME | EFER_LMA;

	check_eq(hc_rdmsr(MSR_EFER) & fixed, fixed, "EFER has SCE, LME and LMA");
	hc_wrmsr(MSR_EFER, hc_rdmsr(MSR_EFER) & ~EFER_SCE);
	hc_wrmsr(MSR_EFER, hc_rdmsr(MSR_EFER) & ~EFER_LME);
	check_eq(hc_rdmsr(MSR_EFER) & fixed, fixed, "and cannot lose them");
	good(MSR_PAT, 0x0007040600070406, "PAT");
	bad(MSR_PAT, 0x0007040600070402, "PAT with a reserved type");
	check(try_rdmsr(MSR_XSS) == VEC_GP, "XSS is not there: RDMSR is #GP");
	check_eq((u64)hc_wrmsr(MSR_XSS, 0), (u64)EINVAL, "XSS is not there: HC_WRMSR is -EINVAL");
	if (pvm_cpuid(7, 0).ecx >> 31)
		good(MSR_PKRS, 0x55555554, "PKRS");
	else
		check(try_rdmsr(MSR_PKRS) == VEC_GP, "PKRS without PKS in CPUID: RDMSR is #GP");
	check_eq(hc_rdmsr(MSR_APIC_BASE) >> 10 & 3, 3, "APIC_BASE: x2APIC mode");
	bad(MSR_X2APIC_ID, 5, "the x2APIC ID is read-only");
}

/* spec: C-228, C-229 */
static void unknown(void)
{
	for (u32 index = MSR_PVM_SWITCH_CR3 + 1; index <= PVM_MSR_LAST; index += 3) {
		check_eq(hc_rdmsr(index), 0, "an unused MSR of PVM's block: HC_RDMSR is 0");
		check(try_rdmsr(index) == VEC_GP, "an unused MSR of PVM's block: RDMSR is #GP");
		bad(index, 1, "an unused MSR of PVM's block");
	}
	check_eq(hc_rdmsr(UNKNOWN_MSR), 0, "an unknown MSR: HC_RDMSR is 0");
	check(try_rdmsr(UNKNOWN_MSR) == VEC_GP && trap.errcode == 0, "an unknown MSR: RDMSR is #GP(0)");
	bad(UNKNOWN_MSR, 1, "an unknown MSR");
}

static void not_there(u32 index, const char *name)
{
	check_eq(hc_rdmsr(index), 0, label(name, "is not there: HC_RDMSR is 0"));
	check(try_rdmsr(index) == VEC_GP && trap.errcode == 0, label(name, "is not there: RDMSR is #GP(0)"));
	bad(index, 0, name);
	bad(index, boot_space.supervisor_root, name);
}

/* spec: SC-008 */
static void dual_cr3(void)
{
	if (SINGLE_CR3) {
		not_there(MSR_PVM_SUPERVISOR_RSP, "SUPERVISOR_RSP");
		not_there(MSR_PVM_SUPERVISOR_REDZONE, "SUPERVISOR_REDZONE");
		not_there(MSR_PVM_SWITCH_CR3, "SWITCH_CR3");
		return;
	}
	good(MSR_PVM_SUPERVISOR_RSP, 0x1234567890, "SUPERVISOR_RSP");
	good(MSR_PVM_SUPERVISOR_REDZONE, 128, "SUPERVISOR_REDZONE");
	good(MSR_PVM_SWITCH_CR3, boot_space.supervisor_root, "SWITCH_CR3");
	bad(MSR_PVM_SWITCH_CR3, 1ul << 52, "SWITCH_CR3 with a reserved bit");
}

static void instruction_details(void)
{
	u64 rax = ~0ul, rdx = ~0ul;

	hc_wrmsr(MSR_FS_BASE, 0x123456789000);
	__asm__ volatile("rdmsr" : "+a"(rax), "+d"(rdx) : "c"(0xdead0000ul << 32 | MSR_FS_BASE));
	check(rax == 0x56789000 && rdx == 0x1234, "RDMSR splits the value, ignores the upper half of RCX");
	__asm__ volatile("wrmsr" : : "a"(~0ul << 32 | 0x4000), "d"(~0ul << 32), "c"(MSR_FS_BASE));
	check_eq(read_fsbase(), 0x4000, "WRMSR ignores the upper halves");
	hc_wrmsr(MSR_FS_BASE, 0);
}

void guest_main(void)
{
	entry_points();
	vcpu_struct();
	dual_cr3();
	star();
	linear_address_range();
	bases();
	ignored();
	x86_msrs();
	unknown();
	instruction_details();
}
