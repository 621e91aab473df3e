/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* What a 64-bit Linux host is like for a guest, as any process can see it. Starts nothing. */
#include <cpuid.h>

#include "monitor.h"

/* Linux's GDT as user space sees it. */
#define LINUX_USER32_CS		0x23
#define LINUX_USER_DS		0x2b
#define LINUX_USER_CS		0x33
#define LINUX_TLS_INDEX		12
#define LINUX_CPUNODE		0x7b

/* Emulated: any that Linux's user space does not have would do. */
#define SUPERVISOR_CS		0x10
#define SUPERVISOR_SS		0x18

#define CPUID_1_ECX_OSXSAVE	(1u << 27)
#define CPUID_7_ECX_UMIP	(1u << 2)
#define CPUID_7_ECX_OSPKE	(1u << 4)

void executor_linux_cpu(struct pvm_vm_config *config)
{
	uint32_t eax, ebx, ecx, edx;

	__cpuid(1, eax, ebx, ecx, edx);
	config->host_osxsave = ecx & CPUID_1_ECX_OSXSAVE;
	ebx = ecx = 0;
	__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx);
	config->host_umip = ecx & CPUID_7_ECX_UMIP;
	config->host_pke = ecx & CPUID_7_ECX_OSPKE;
	config->user32_cs = LINUX_USER32_CS;
	config->user_ds = LINUX_USER_DS;
	config->user_cs = LINUX_USER_CS;
	config->tls_index = LINUX_TLS_INDEX;
	config->cpunode_sel = LINUX_CPUNODE;
	config->kernel_cs = SUPERVISOR_CS;
	config->kernel_ds = SUPERVISOR_SS;
}
