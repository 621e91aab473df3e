/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Fuzz target: any bytes through the decoder into the emulator, and decoded
 * instructions that no decoder would make.
 */
#include <stdlib.h>
#include <string.h>

#include "decode.h"
#include "host.h"

/* Decode bytes that end where their memory ends. */
static void decode(const struct pvm_vcpu *vcpu, struct fuzz_input *in, struct pvm_insn *insn)
{
	size_t length = fuzz_u8(in) % (PVM_INSN_MAX_LENGTH + 2);
	uint8_t *bytes = malloc(length + 1);

	fuzz_bytes(in, bytes + 1, length);
	decode_insn(vcpu, pvm_vcpu_mode(vcpu) != PVM_MODE_USER32, bytes + 1, length, insn);
	free(bytes);
	fuzz_require(insn->length <= length && insn->length <= PVM_INSN_MAX_LENGTH,
		     "an instruction is no longer than its bytes");
	fuzz_require(insn->reg < PVM_GPR_COUNT && insn->creg < 16, "registers are numbered 0 to 15");
	fuzz_require(insn->op == PVM_INSN_UNKNOWN || insn->length, "a known instruction has a length");
}

static void invent(struct fuzz_input *in, struct pvm_insn *insn)
{
	memset(insn, 0, sizeof(*insn));
	insn->op = fuzz_u8(in) % (PVM_INSN_OPS + 1);
	insn->length = fuzz_u8(in) % 17;
	insn->reg = fuzz_u8(in) % 18;
	insn->creg = fuzz_u8(in) % 18;
	insn->size = fuzz_u8(in) % 10;
	insn->address_size = fuzz_u8(in) % 10;
	insn->rep = fuzz_u8(in) & 1;
	insn->port_is_dx = fuzz_u8(in) & 1;
	insn->memory = fuzz_u8(in) & 1;
	insn->port = fuzz_u16(in);
	insn->address = fuzz_value(in);
	insn->value = fuzz_value(in);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	struct fuzz_host h;
	struct pvm_insn insn;
	unsigned i;

	fuzz_host_init(&h, &in);
	fuzz_vcpu(&h, &in);
	for (i = 0; i < 8 && in.left; i++) {
		bool was_user = h.vcpu.user_mode;
		enum pvm_action action;
		uint8_t choice = fuzz_u8(&in);

		if (choice & 0xc0)
			decode(&h.vcpu, &in, &insn);
		else
			invent(&in, &insn);
		action = pvm_handle_insn(&h.vcpu, &insn, choice & 1 ? PVM_VEC_GP : PVM_VEC_UD, 0);
		fuzz_require(!h.vcpu.user_mode || was_user, "an instruction never enters user mode");
		fuzz_require(!was_user || action == PVM_ACT_RESUME || action == PVM_ACT_SHUTDOWN,
			     "user mode has no privileged instruction");
		action = fuzz_complete(&h, &in, action);
		if (action != PVM_ACT_RESUME)
			break;
	}
	fuzz_host_fini(&h);
	return 0;
}
