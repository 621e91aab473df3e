/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * What only ptrace can give a stub: TLS descriptors and debug registers.
 */
#ifndef NATIVE_TRACER_H
#define NATIVE_TRACER_H

#include <pvm/vcpu.h>

#include "space.h"

/**
 * tracer_sync - give the stopped stub the vCPU's TLS entries and breakpoints,
 * if they differ from what it has (space->tls, dr, dr7).
 * Returns 0, or -errno when ptrace is refused: the stub keeps what it has.
 */
int tracer_sync(struct space *space, const struct pvm_vcpu *vcpu);

/* Which breakpoints the stopped stub has just hit: DR6 bits 0 to 3; 0 when
 * ptrace is refused. */
uint64_t tracer_breakpoints_hit(struct space *space);

/* For ENTER_TRACED: attach to the stopped stub and stay, until tracer_enter(),
 * which waits for the stub to be ready, sets the registers of its control page, and
 * leaves. 0, or -errno when ptrace is refused. */
int tracer_hold(struct space *space);
void tracer_enter(struct space *space);

#endif /* NATIVE_TRACER_H */
