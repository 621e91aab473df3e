/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* CR4 goes with the guest, and the host's is whole again at each exit. */
#include <pvm/hypercall.h>

#include "minivisor.h"
#include "corners.h"
#include "cpu.h"
#include "print.h"

/* Runs @insn to an exception; its vector. The host's CR4 must be whole whatever it is. */
static unsigned vector_of(const uint8_t *insn, size_t size, bool user)
{
	static const uint8_t ud2[] = { 0x0f, 0x0b };
	uint64_t cr4 = read_cr4();
	struct pvm_switcher_exit exit;

	write_code(USER_CODE, insn, size);
	write_code(USER_CODE + size, ud2, sizeof(ud2));
	start_user(USER_CS, USER_CODE);
	if (!user) {
		static const uint8_t syscall[] = { 0x0f, 0x05 };

		write_code(SUPERVISOR_CODE, insn, size);
		write_code(SUPERVISOR_CODE + size, ud2, sizeof(ud2));
		write_code(USER_CODE, syscall, sizeof(syscall));
	}
	test.vcpu.gpr[PVM_RCX] = 0;
	for (;;) {
		run_to_syscall(&exit, SUPERVISOR_CODE);
		if (read_cr4() != cr4)
			fail("the host's CR4 is %lx instead of %lx", read_cr4(), cr4);
		if (exit.guest.kind != PVM_EXIT_SYSCALL)
			break;
		pvm_handle_syscall(&test.vcpu);
	}
	if (exit.guest.kind != PVM_EXIT_EXCEPTION || test.vcpu.user_mode != user)
		fail("CR4: exit %d at rip %lx", exit.guest.kind, test.vcpu.rip);
	return exit.guest.vector;
}

/* TSD is the guest's, in user mode; PCE is clear while a guest runs. A CPU with a counter would read it. */
void cr4_goes_with_the_guest(void)
{
	static const uint8_t rdtsc[] = { 0x0f, 0x31 }, rdpmc[] = { 0x0f, 0x33 };
	struct pvm_switcher_exit exit;
	uint64_t host = read_cr4();

	pvm_switcher_unload(test.cpu);
	write_cr4(host | PVM_CR4_PCE);
	if (vector_of(rdpmc, sizeof(rdpmc), true) != PVM_VEC_GP)
		fail("CR4.PCE of the host is on in the guest");
	if (vector_of(rdtsc, sizeof(rdtsc), true) != PVM_VEC_UD)
		fail("CR4.TSD is on");
	if (pvm_cr_write(&test.vcpu, 4, test.vcpu.cr4 | PVM_CR4_TSD) != PVM_OK)
		fail("no CR4.TSD");
	if (vector_of(rdtsc, sizeof(rdtsc), true) != PVM_VEC_GP)
		fail("CR4.TSD of the guest is off in its user mode");
	if (vector_of(rdtsc, sizeof(rdtsc), false) != PVM_VEC_UD)
		fail("CR4.TSD of the guest is on in its supervisor mode");
	pvm_cr_write(&test.vcpu, 4, test.vcpu.cr4 & ~PVM_CR4_TSD);
	/* The copies in the area are for a host that has nothing on; then it has. */
	pvm_switcher_unload(test.cpu);
	write_cr4(host);
	if (vector_of(rdtsc, sizeof(rdtsc), true) != PVM_VEC_UD)
		fail("CR4.TSD is on again");
	pvm_switcher_unload(test.cpu);
	write_cr4(host | PVM_CR4_TSD);
	test.vcpu.rip = USER_CODE;	/* and nothing else: the copies are kept */
	run_once(&exit);
	if (exit.guest.kind != PVM_EXIT_EXCEPTION || exit.guest.vector != PVM_VEC_UD)
		fail("CR4.TSD of the host is on in the guest");
	pvm_switcher_unload(test.cpu);
	write_cr4(host);
	print("CR4 goes with the guest\n");
}
