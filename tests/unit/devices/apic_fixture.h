/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* A bus of APICs with a clock that stands still unless told. */
#ifndef APIC_FIXTURE_H
#define APIC_FIXTURE_H

#include "local_apic.h"

#define APICS	20	/* two logical clusters */

struct apic_fixture {
	struct local_apic_bus bus;
	struct local_apic apic[APICS];
	uint64_t now;		/* ns */
	uint64_t timer;		/* what set_timer() said last */
	unsigned kicks[APICS];
	int depth;		/* of the lock */
};

extern struct apic_fixture apics;

/* APICs in reset state / with SVR enabled. */
void apics_reset(void);
void apics_start(void);

/* WRMSR and RDMSR that must succeed. */
void apic_write(unsigned id, uint32_t msr, uint64_t value);
uint64_t apic_read(unsigned id, uint32_t msr);

/* The clock goes on; the host's timer goes off where it was set. */
void apics_advance(uint64_t ns);

/* Is the vector in the APIC's IRR? */
bool apic_requested(unsigned id, uint8_t vector);

/* What the CPU would do: take the pending vector, or -1. */
int apic_take(unsigned id);

#endif /* APIC_FIXTURE_H */
