#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
"""S10: the order of what a world switch does for CPUs that need it.

    mitigations.py MINIVISOR GUEST OFFSETS

Ways from the host's world into the guest, by SYSRET and by IRET, are stepped through with
the mitigations on. What VERW clears is what the CPU has loaded
until then, so that nothing may be loaded after it but what IRET takes itself. Direct
switches load nothing of the host and have none. On the way out, IBPB comes before the first
instruction whose target the guest may have trained.
"""
import sys

from events import scenes
from failure import Failure
from machine import Machine

KINDS = ("hypercall in the engine", "fill in user mode", "fill in supervisor mode",
         "32-bit user mode, INT 0x80")
LAST = (["verw", "sysret"], ["verw", "iret"])


def entries(machine, steps):
    """Each stretch at CPL 0 that ends in the guest: (did the host run?, its instructions)."""
    stretch = []
    for step in steps:
        if not step.guest:
            stretch.append(step.rip)
        elif stretch:
            yield machine.host["pvm_switcher_enter"] in stretch, stretch
            stretch = []


def is_before_returns(texts):
    """Is IBPB issued on the way to the host, and nothing before it that is predicted?"""
    barrier = next((i for i, text in enumerate(texts) if "$0x49,%ecx" in text), None)
    predicted = next(i for i, text in enumerate(texts) if text.startswith(("ret", "call", "jmp *")) or
                     text.split()[0] in ("jmpq", "callq") and "*" in text)
    return barrier is not None and barrier < predicted and "wrmsr" in texts[barrier:predicted]


def check(machine, kind, seen):
    machine.warm_up(machine.kinds.index(kind))
    mitigations = scenes(machine)["mitigations"]
    mitigations.provoke(None)
    found = list(entries(machine, machine.trace(host=False)))
    mitigations.undo()
    for from_host, stretch in found:
        texts = [machine.instructions[rip][1] for rip in stretch if rip in machine.text]
        words = [text.split()[0].rstrip("q") for text in texts]
        if from_host and words[-2:] not in LAST:
            raise Failure(f"{kind}: the guest is entered with {'; '.join(texts[-3:])}")
        if words.count("verw") != from_host:
            raise Failure(f"{kind}: {words.count('verw')} times VERW on one way into the guest")
        if from_host and not is_before_returns(texts):
            raise Failure(f"{kind}: no barrier before the first return to the host")
        if from_host:
            seen.add(words[-1])


def main():
    machine = Machine(*sys.argv[1:4])
    seen = set()
    with machine:
        machine.to_host()
        machine.to_turn()
        try:
            for kind in KINDS:
                check(machine, kind, seen)
        except Failure as failure:
            print(f"not ok - S10: {failure}")
            return 1
        machine.finish()
    if seen != {"sysret", "iret"}:
        print(f"not ok - S10: only {sorted(seen)} were used")
        return 1
    print("ok - S10: VERW is last before SYSRET and before IRET, IBPB first on the way out")
    return 0


if __name__ == "__main__":
    sys.exit(main())
