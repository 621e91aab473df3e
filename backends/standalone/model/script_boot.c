/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Commands for what nearly every guest does in the same way: register its
 * entries and its PVCS (setup), and start a user program (user). */
#include "script.h"

#include <string.h>

/* Where "setup" puts things: low memory that the boot data leaves free. */
#define SETUP_PVCS	0x10000u	/* one page per vCPU */
#define SETUP_STACK	0x40000u	/* top of 4 KiB per vCPU, grows down */
#define SETUP_STACK_SIZE 0x1000u
#define SETUP_ENTRY	0x100000u
#define SETUP_LSTAR	0x110000u
#define SETUP_RETU	0x120000u
#define SETUP_RETS	0x120010u
#define SETUP_RIP	0x130000u
#define USER_STACK	0x60000u

/* One HC_WRMSR each time the guest comes back; then IF is set. */
static enum script_result run_setup(struct script_vcpu *v, const struct script_line *line,
				    struct pvm_guest_exit *exit)
{
	const struct {
		uint32_t index;
		uint64_t value;
	} msrs[] = {
		{ MSR_PVM_VCPU_STRUCT, SETUP_PVCS + v->vcpu->id * PVM_PAGE_SIZE },
		{ MSR_PVM_EVENT_ENTRY, SETUP_ENTRY },
		{ PVM_MSR_LSTAR, SETUP_LSTAR },
		{ MSR_PVM_RETU_RIP, SETUP_RETU },
		{ MSR_PVM_RETS_RIP, SETUP_RETS },
	};
	struct pvm_vcpu *vcpu = v->vcpu;
	unsigned at = v->phase;

	if (vcpu->user_mode)
		return script_fail(v->script, line, "setup in user mode");
	if (at == 0) {
		vcpu->rip = SETUP_RIP;
		vcpu->gpr[PVM_RSP] = SETUP_STACK + (vcpu->id + 1) * SETUP_STACK_SIZE;
	} else if (vcpu->gpr[PVM_RAX] != 0) {
		return script_fail(v->script, line, "setup: MSR %#x refuses %#lx", msrs[at - 1].index,
				   (unsigned long)msrs[at - 1].value);
	}
	if (at == sizeof(msrs) / sizeof(msrs[0])) {
		if (!script_register_set(v, "pvcs.event_flags", PVM_EVENT_FLAGS_IF))
			return script_fail(v->script, line, "setup: scripts do not know the PVCS of guest ABI %s",
					   pvm_abi_name(vcpu->vm->config.abi));
		return SCRIPT_NEXT;
	}
	v->phase = at + 1;
	vcpu->gpr[PVM_RAX] = PVM_HC_WRMSR;
	vcpu->gpr[PVM_RBX] = msrs[at].index;
	vcpu->gpr[PVM_R10] = msrs[at].value;
	model_step_syscall(vcpu, exit);
	return SCRIPT_EXIT;
}

/* What EVENT_RETURN_USER is to load, where the dialect has it. */
static void fill_pvcs(struct script_vcpu *v, uint64_t rip, const char *rsp)
{
	const struct pvm_vm_config *config = &v->vcpu->vm->config;

	script_register_set(v, "pvcs.rip", rip);
	script_register_set(v, rsp, USER_STACK);
	script_register_set(v, "pvcs.eflags", PVM_RFLAGS_IF | PVM_RFLAGS_FIXED);
	script_register_set(v, "pvcs.user_cs", config->user_cs);
	script_register_set(v, "pvcs.user_ss", config->user_ds);
}

/* What the user's RSP is loaded from. NULL: the ABI is not known here. */
static const char *user_rsp(enum pvm_abi abi)
{
	switch (abi) {
	case PVM_ABI_DUAL_CR3:
		return "pvcs.rsp";
	case PVM_ABI_SINGLE_CR3:
		return "rsp";
	default:
		return NULL;
	}
}

/* user RIP: a user program there, by EVENT_RETURN_USER. PVCS pkru and gsbase stay, and
 * in single CR3 the lock: no NMI comes in between. */
static enum script_result run_user(struct script_vcpu *v, const struct script_line *line,
				   struct pvm_guest_exit *exit)
{
	enum pvm_abi abi = v->vcpu->vm->config.abi;
	const char *rsp = user_rsp(abi);
	uint64_t rip;

	if (!rsp)
		return script_fail(v->script, line, "user: scripts cannot start a user program of guest ABI %s",
				   pvm_abi_name(abi));
	if (v->phase == 0 && (v->vcpu->user_mode || !v->vcpu->pvcs))
		return script_fail(v->script, line, "user: the vCPU is in user mode or has no PVCS");
	if (!script_stop_once(v))
		return SCRIPT_NEXT;
	SCRIPT_EVAL(v, line, 1, &rip);
	fill_pvcs(v, rip, rsp);
	v->vcpu->rip = v->vcpu->msr.retu_rip;
	model_step_syscall(v->vcpu, exit);
	return SCRIPT_EXIT;
}

const struct script_command script_boot_commands[] = {
	{ "setup", 0, 0, "", run_setup },
	{ "user", 1, 1, "RIP", run_user },
	{ NULL, 0, 0, NULL, NULL },
};
