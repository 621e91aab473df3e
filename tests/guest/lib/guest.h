/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * All of the guest library. A guest includes this, defines guest_main(), and
 * nothing else. See ../README.md.
 */
#ifndef GUEST_H
#define GUEST_H

#include "boot.h"
#include "check.h"
#include "console.h"
#include "cpu.h"
#include "event.h"
#include "insn.h"
#include "interrupt.h"
#include "memory.h"
#include "paging.h"
#include "smp.h"
#include "spinlock.h"
#include "types.h"
#include "user.h"
#include "x86.h"

#endif /* GUEST_H */
