/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Breakpoints: the host's and the guest's DR0-3, for those who have any armed. DR7
 * itself is loaded and cleared in entry.S, where no host address is touched any more.
 *
 * spec: Underlying DR7
 */
#include <pvm/x86.h>

#include "switcher/hw.h"

#define DR7_OFF		0x400ull	/* bit 10 is always 1 */

void pvm_switcher_enter_debug(struct pvm_switcher_cpu *cpu, struct pvm_vcpu *vcpu, uint64_t host_dr7,
			  uint64_t guest_dr7)
{
	cpu->host_dr7 = host_dr7;
	if (host_dr7 & SPECIAL_DEBUG)
		hw_write_dr7(DR7_OFF);
	if (!(guest_dr7 & SPECIAL_DEBUG))
		return;
	cpu->host_dr[0] = hw_read_dr0();
	cpu->host_dr[1] = hw_read_dr1();
	cpu->host_dr[2] = hw_read_dr2();
	cpu->host_dr[3] = hw_read_dr3();
	hw_write_dr0(vcpu->dr[0]);
	hw_write_dr1(vcpu->dr[1]);
	hw_write_dr2(vcpu->dr[2]);
	hw_write_dr3(vcpu->dr[3]);
	cpu->guest_dr7 = guest_dr7;
	cpu->extras |= EXTRA_DEBUG;
}

void pvm_switcher_leave_debug(struct pvm_switcher_cpu *cpu)
{
	if (cpu->guest_dr7) {
		hw_write_dr0(cpu->host_dr[0]);
		hw_write_dr1(cpu->host_dr[1]);
		hw_write_dr2(cpu->host_dr[2]);
		hw_write_dr3(cpu->host_dr[3]);
		cpu->guest_dr7 = 0;
		cpu->extras &= ~EXTRA_DEBUG;
	}
	hw_write_dr7(cpu->host_dr7);
}
