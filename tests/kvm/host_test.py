#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
"""What host.py takes for a report of the kernel's, and what not."""
import sys

import host

REPORTS = ("WARNING: possible circular locking dependency detected", "WARNING: inconsistent lock state",
           "WARNING: suspicious RCU usage", "WARNING: HARDIRQ-safe -> HARDIRQ-unsafe lock order detected",
           "BUG: sleeping function called from invalid context at mm/page_alloc.c:1",
           "[ BUG: Invalid wait context ]", "rcu: INFO: rcu_sched detected stalls on CPUs/tasks:",
           "watchdog: BUG: soft lockup - CPU#0 stuck for 26s!", "INFO: task pvm:1 blocked for more than 120 seconds.",
           "WARNING: CPU: 0 PID: 1 at kernel/x.c:1 f+0x1/0x2", "BUG: MAX_LOCKDEP_ENTRIES too low!")
NONE = ("rcu: \tRCU lockdep checking is enabled.", "Spectre V2 : WARNING: Unprivileged eBPF is enabled",
        "PM: suspend debug: Waiting for 1 second(s).", "kvm-pvm: up to 64 CPUs")

missed = [line for line in REPORTS if not host.complaints(f"[    1.000000] {line}\n")]
taken = [line for line in NONE if host.complaints(f"[    1.000000] {line}\n")]
taken += [line for line in REPORTS if host.complaints(f"{line}\n")]	# what a job prints
for line in missed:
    print(f"not ok - it is a report: {line}")
for line in taken:
    print(f"not ok - it is none: {line}")
sys.exit(bool(missed or taken))
