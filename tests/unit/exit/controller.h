/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * A booted guest whose host has an interrupt controller and a decoder that say what the
 * test wants. For the tests of exit/.
 */
#ifndef TESTS_EXIT_CONTROLLER_H
#define TESTS_EXIT_CONTROLLER_H

#include <pvm/exit.h>

#include "guest.h"

static struct fixture f;
static struct pvm_vcpu *vcpu;
static struct pvm_guest_exit stop;
static pvm_hpa_t root;

/* The controller. */
static uint32_t waits, taken;
static uint8_t waiting_vector, taken_vector;

/* The decoder: what it answers, and what it was shown. */
static struct pvm_insn decoded;
static uint8_t shown[PVM_INSN_MAX_LENGTH];
static size_t shown_length;
static bool shown_code64;
static unsigned decodes;

static uint32_t controller_events(void *host, struct pvm_vcpu *of, uint8_t *vector)
{
	(void)host;
	(void)of;
	*vector = waiting_vector;
	return waits;
}

static void controller_taken(void *host, struct pvm_vcpu *of, uint32_t what, uint8_t vector)
{
	(void)host;
	(void)of;
	taken |= what;
	taken_vector = vector;
	waits &= ~what;
}

static void controller_decode(const struct pvm_vcpu *of, bool code64, const uint8_t *bytes,
			      size_t length, struct pvm_insn *insn)
{
	(void)of;
	decodes++;
	shown_code64 = code64;
	shown_length = length;
	memcpy(shown, bytes, length);
	*insn = decoded;
}

static inline void controller_boot(void)
{
	guest_boot(&f);
	f.host.ops.events = controller_events;
	f.host.ops.event_taken = controller_taken;
	f.host.ops.decode = controller_decode;
	vcpu = &f.vcpu[0];
	waits = taken = 0;
	decodes = 0;
	root = pvm_hpa(PVM_INVALID_ADDR);
	decoded = (struct pvm_insn){ .op = PVM_INSN_UNKNOWN };
	stop = (struct pvm_guest_exit){ .kind = PVM_EXIT_KICK };
}

static inline enum pvm_action handle(enum pvm_sleep sleep)
{
	return pvm_handle_exit(vcpu, &stop, &root, sleep);
}

#endif /* TESTS_EXIT_CONTROLLER_H */
