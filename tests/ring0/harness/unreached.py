# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
"""What of the switcher's text everywhere.py does not reach, and why.

An instruction that is neither reached nor under a label in here fails the test.
"""
import re

# (labels, events, why)
UNREACHED = (
    ("iret_refused", ".*",
     "TCG's IRET takes any RIP, so that no state of a guest makes it fail; Bochs' does (bochs.corners)"),
    ("own_fault|pvm_switcher_df", ".*",
     "a fault of the switcher's own, after which the vCPU is lost: ring0.corners.*, bochs.corners"),
    ("pvm_switcher_db", "db",
     "a breakpoint on the #DB handler would come down on its own IST stack; M7 keeps the guest's away"),
    ("pvm_switcher_mc|not_left|mc_in_nmi", "mc",
     "a second #MC before the host has cleared MCG_STATUS shuts the CPU down"),
    ("pvm_switcher_syscall_out", ".*",
     "SYSCALL of an ABI without direct switches, which no guest of the harness has: ring0.corners.*"),
    ("enter_global", ".*",
     "no guest of the harness has a #PF on a present page of the upper half: ring0.guest.page_fault.upper"),
    ("left_.*", ".*",
     "a #MC in a frame: the event #MC itself sees to it in everywhere.mc, and ring0.everywhere-xen.mc"),
    ("enter_cpunode|leave_cpunode", ".*",
     "no guest of the harness has a number of its own for its CPU: ring0.direct-xen.*"),
    ("enter_rare|enter_selectors", ".*",
     "no guest of the harness has an LDT: ring0.corners.*"),
    ("(pvm_switcher_|)xen_.*|pvm_switcher_syscall_xen_pv", ".*",
     "SYSCALL of a Xen PV guest, which none of the harness is: ring0.everywhere-xen.nmi"),
    ("pvm_switcher_enter|leave_extras_done", "db",
     "before the switcher's IDT is loaded and after it a #DB is the host's"),
)


def reason_for(label, event):
    for labels, events, why in UNREACHED:
        if re.fullmatch(labels, label) and re.fullmatch(events, event):
            return why
    return None
