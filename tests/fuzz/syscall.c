/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Fuzz target: SYSCALL with any registers, PVCS and MSRs; several in a row,
 * with the backend's answers.
 */
#include "host.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	struct fuzz_host h;
	unsigned i;

	fuzz_host_init(&h, &in);
	fuzz_vcpu(&h, &in);
	for (i = 0; i < 8 && in.left; i++) {
		bool was_user = h.vcpu.user_mode;
		uint8_t choice = fuzz_u8(&in);
		enum pvm_syscall_class class;
		enum pvm_action action;

		if (choice & 0x80)
			h.vcpu.gpr[PVM_RAX] = PVM_HC_BASE + choice % 11;
		if ((choice & 0x60) == 0x20)
			h.vcpu.rip = h.vcpu.msr.retu_rip + 2;
		else if ((choice & 0x60) == 0x40)
			h.vcpu.rip = h.vcpu.msr.rets_rip + 2;
		else
			h.vcpu.rip += 2;	/* the SYSCALL was at RIP */
		class = pvm_syscall_classify(&h.vcpu);
		fuzz_require((class == PVM_SYSCALL_USER) == was_user, "SYSCALL of user mode is the user's");
		action = pvm_handle_syscall(&h.vcpu);
		fuzz_require(action != PVM_ACT_IO && action != PVM_ACT_ERROR, "actions of SYSCALL");
		fuzz_require(action != PVM_ACT_HYPERCALL || class == PVM_SYSCALL_OTHER_HYPERCALL,
			     "only other hypercalls are the backend's");
		if (was_user && action == PVM_ACT_RESUME)
			fuzz_require(!h.vcpu.user_mode && h.vcpu.rip == h.vcpu.msr.lstar,
				     "a user's SYSCALL enters at MSR_LSTAR");
		if (!was_user && h.vcpu.user_mode)
			fuzz_require(class == PVM_SYSCALL_RETURN_USER, "only EVENT_RETURN_USER reaches user mode");
		action = fuzz_complete(&h, &in, action);
		if (action != PVM_ACT_RESUME)
			break;
	}
	fuzz_host_fini(&h);
	return 0;
}
