/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Fuzz target: restoring a snapshot that may come from anywhere. A refused
 * one changes nothing; one that is taken over reads back the same, but for
 * selectors of TLS entries that are not there, and the vCPU can run with it.
 */
#include <string.h>

#include "host.h"

#define WORDS (sizeof(struct pvm_vcpu_state) / sizeof(uint64_t))

/* DS, ES, FS and GS that no CPU would load become NULL. */
static void drop_dangling(const struct pvm_vm_config *config, struct pvm_vcpu_state *state)
{
	for (unsigned i = 0; i < PVM_SEG_COUNT; i++) {
		unsigned tls = (unsigned)PVM_SEL_INDEX(state->seg[i]) - config->tls_index;

		if (i != PVM_CS && i != PVM_SS && tls < 3 && !(state->seg[i] & PVM_SEL_LDT) &&
		    !(state->tls[tls] & PVM_DESC_P))
			state->seg[i] = 0;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	struct pvm_vcpu_state before, wanted, after;
	const char *field = NULL;
	struct fuzz_host h;
	unsigned i, edits;
	bool delivered;
	int err;

	fuzz_host_init(&h, &in);
	fuzz_vcpu(&h, &in);
	pvm_vcpu_save(&h.vcpu, &before);
	wanted = before;
	edits = fuzz_u8(&in) % 8;
	for (i = 0; i < edits; i++) {
		unsigned word = fuzz_u8(&in) % WORDS;
		uint64_t value = fuzz_value(&in);

		memcpy((uint8_t *)&wanted + 8 * word, &value, 8);
	}
	if (fuzz_u8(&in) == 0xff)
		fuzz_bytes(&in, &wanted, sizeof(wanted));
	err = pvm_vcpu_restore(&h.vcpu, &wanted, &field);
	pvm_vcpu_save(&h.vcpu, &after);
	if (err == PVM_OK) {
		drop_dangling(&h.vm.config, &wanted);
		fuzz_require(memcmp(&after, &wanted, sizeof(after)) == 0, "what was restored is what is saved");
	} else {
		fuzz_require(field != NULL, "a refusal names the field");
		fuzz_require(memcmp(&after, &before, sizeof(after)) == 0, "a refusal changes nothing");
	}
	fuzz_check(&h, PVM_ACT_RESUME);
	fuzz_check(&h, pvm_event_interrupt(&h.vcpu, 0x30, &delivered));
	fuzz_check(&h, pvm_handle_syscall(&h.vcpu));
	fuzz_host_fini(&h);
	return 0;
}
