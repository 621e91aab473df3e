/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The privileged instructions that the switcher's C side needs. Nothing else.
 */
#ifndef PVM_SWITCHER_HW_H
#define PVM_SWITCHER_HW_H

#include <pvm/types.h>

#include "switcher/area.h"

#define MSR_STAR		0xc0000081
#define MSR_LSTAR		0xc0000082
#define MSR_CSTAR		0xc0000083
#define MSR_FMASK		0xc0000084
#define MSR_EFER		0xc0000080
#define MSR_SYSENTER_CS		0x174
#define MSR_ARCH_CAPABILITIES	0x10a
#define MSR_SPEC_CTRL		0x48
#define MSR_U_CET		0x6a0
#define MSR_S_CET		0x6a2
#define MSR_PRED_CMD		0x49
#define MSR_FLUSH_CMD		0x10b
#define MSR_SEV_STATUS		0xc0010131

static inline uint64_t hw_rdmsr(uint32_t msr)
{
	uint32_t low, high;

	__asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
	return low | (uint64_t)high << 32;
}

static inline void hw_wrmsr(uint32_t msr, uint64_t value)
{
	__asm__ volatile("wrmsr" : : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
			 : "memory");
}

static inline void hw_cpuid(uint32_t leaf, uint32_t subleaf, uint32_t out[4])
{
	__asm__ volatile("cpuid" : "=a"(out[0]), "=b"(out[1]), "=c"(out[2]), "=d"(out[3])
			 : "a"(leaf), "c"(subleaf));
}

#define HW_READ(name, insn) \
	static inline uint64_t hw_read_##name(void) \
	{ \
		uint64_t value; \
		__asm__ volatile(insn ", %0" : "=r"(value)); \
		return value; \
	}
#define HW_WRITE(name, insn) \
	static inline void hw_write_##name(uint64_t value) \
	{ \
		__asm__ volatile("mov %0, " insn : : "r"(value) : "memory"); \
	}

HW_READ(cr3, "mov %%cr3")
HW_READ(cr4, "mov %%cr4")
HW_READ(dr0, "mov %%dr0")
HW_READ(dr1, "mov %%dr1")
HW_READ(dr2, "mov %%dr2")
HW_READ(dr3, "mov %%dr3")
HW_READ(dr6, "mov %%dr6")
HW_READ(dr7, "mov %%dr7")
HW_WRITE(dr0, "%%dr0")
HW_WRITE(dr1, "%%dr1")
HW_WRITE(dr2, "%%dr2")
HW_WRITE(dr3, "%%dr3")
HW_WRITE(dr6, "%%dr6")
HW_WRITE(dr7, "%%dr7")

static inline void hw_sgdt(struct switcher_dtr *dtr)
{
	__asm__ volatile("sgdt %0" : "=m"(*dtr));
}

static inline void hw_lgdt(const struct switcher_dtr *dtr)
{
	__asm__ volatile("lgdt %0" : : "m"(*dtr));
}

static inline void hw_sidt(struct switcher_dtr *dtr)
{
	__asm__ volatile("sidt %0" : "=m"(*dtr));
}

static inline uint16_t hw_str(void)
{
	uint16_t selector;

	__asm__ volatile("str %0" : "=r"(selector));
	return selector;
}

static inline void hw_ltr(uint16_t selector)
{
	__asm__ volatile("ltr %0" : : "r"(selector));
}

static inline uint16_t hw_sldt(void)
{
	uint16_t selector;

	__asm__ volatile("sldt %0" : "=r"(selector));
	return selector;
}

static inline void hw_lldt(uint16_t selector)
{
	__asm__ volatile("lldt %0" : : "r"(selector));
}

/* A selector, with the base that goes with it kept. GS is changed while it is not the
 * active one, so that an NMI of the host's finds its own base. */
static inline void hw_load_fs(uint64_t selector)
{
	__asm__ volatile("rdfsbase %%rax; mov %k0, %%fs; wrfsbase %%rax" : : "r"(selector) : "rax");
}

static inline void hw_load_gs(uint64_t selector)
{
	__asm__ volatile("swapgs; rdgsbase %%rax; mov %k0, %%gs; wrgsbase %%rax; swapgs"
			 : : "r"(selector) : "rax");
}

/* INVPCID type 0: one address of one PCID. */
static inline void hw_invpcid_address(uint64_t pcid, uint64_t address)
{
	struct { uint64_t pcid, address; } descriptor = { pcid, address };

	__asm__ volatile("invpcid %0, %1" : : "m"(descriptor), "r"(0ull) : "memory");
}

#endif /* PVM_SWITCHER_HW_H */
