/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The local APIC through its MSRs, and time by the TSC.
 */
#include "interrupt.h"

#include "check.h"
#include "spinlock.h"

#define CPUID_TIMING	0x40000010
#define DEFAULT_KHZ	1000000
#define SVR_ENABLE	(1 << 8)

void apic_init_cpu(void)
{
	guest_assert(hc_wrmsr(MSR_X2APIC_SVR, SVR_ENABLE | SPURIOUS_VECTOR) == 0);
}

u32 apic_id(void)
{
	return (u32)hc_rdmsr(MSR_X2APIC_ID);
}

void apic_eoi(void)
{
	hc_wrmsr(MSR_X2APIC_EOI, 0);
}

void apic_send(u32 id, u32 vector)
{
	guest_assert(hc_wrmsr(MSR_X2APIC_ICR, (u64)id << 32 | ICR_ASSERT | ICR_FIXED | vector) == 0);
}

void apic_send_self(u32 vector)
{
	guest_assert(hc_wrmsr(MSR_X2APIC_SELF_IPI, vector) == 0);
}

void apic_send_nmi(u32 id)
{
	guest_assert(hc_wrmsr(MSR_X2APIC_ICR, (u64)id << 32 | ICR_ASSERT | ICR_NMI) == 0);
}

u64 tsc_khz(void)
{
	static u32 khz;

	if (!khz && pvm_cpuid(PVM_CPUID_SIGNATURE, 0).eax >= CPUID_TIMING)
		khz = pvm_cpuid(CPUID_TIMING, 0).eax;
	return khz ? khz : 2 * DEFAULT_KHZ;
}

u64 apic_timer_khz(void)
{
	u32 khz = 0;

	if (pvm_cpuid(PVM_CPUID_SIGNATURE, 0).eax >= CPUID_TIMING)
		khz = pvm_cpuid(CPUID_TIMING, 0).ebx;
	return khz ? khz : DEFAULT_KHZ;
}

void delay_us(u64 us)
{
	u64 end = rdtsc() + us * tsc_khz() / 1000;

	while (rdtsc() < end)
		cpu_relax();
}

bool wait_for(const u32 *p, u32 n, u64 timeout_ms)
{
	u64 end = rdtsc() + timeout_ms * tsc_khz();

	while (atomic_read(p) < n) {
		if (rdtsc() > end)
			return false;
		cpu_relax();
	}
	return true;
}
