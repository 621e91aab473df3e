#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
"""One guest on minivisor under Bochs, on a CPU model with PCIDs or without.

The second judge: another emulator, which has PCIDs, alignment checks and SIMD
exceptions where QEMU has none, so that no line is excused for its sake. The lines
are those of `pvm run`.
"""
import argparse
import re
import sys

import bochs
import compare
import machine as machines

PAID = re.compile(r"flushes: \d+ owed, (\d+) paid")

# CPU models of Bochs, and whether they have protection keys and PCIDs.
MODELS = {
    "corei7_icelake_u": (True, True),
    "corei7_haswell_4770": (False, True),
    "ryzen": (False, False),	# AMD: its SYSRET, and no PCIDs
}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minivisor", required=True)
    parser.add_argument("--pvm", required=True)
    parser.add_argument("--guest", required=True, help="the ELF file that minivisor runs")
    parser.add_argument("--reference", required=True, help="the one that pvm runs")
    parser.add_argument("--name", required=True)
    parser.add_argument("--checks", type=int, required=True)
    parser.add_argument("--model", choices=MODELS, default="corei7_icelake_u")
    parser.add_argument("--cpus", type=int, default=1)
    parser.add_argument("--options", default="", help="minivisor's command line")
    parser.add_argument("--timeout", type=int, default=machines.TIMEOUT, help="seconds")
    return parser.parse_args()


def feature_problems(log, pku, pcid):
    """What the model has must have been in use, or this tests something else. Without PCIDs
    each load of CR3 flushes, so that no flush that is owed needs to be paid."""
    first = log.splitlines()[0] if log else ""
    for name, there in (("PKE", pku), ("PCIDE", pcid)):
        if bool(re.search(rf"\b{name}\b", first)) != there:
            yield f"{name} is {'missing from' if there else 'in'} minivisor's line: {first}"
    paid = sum(int(n) for n in PAID.findall(log))
    if bool(paid) != pcid:
        yield f"{paid} flushes were paid, {'with' if pcid else 'without'} PCIDs"


def main():
    args = arguments()
    pku, pcid = MODELS[args.model]
    machine = machines.Machine(args.cpus, False, pku, "bochs")
    reference = machines.run_standalone(args.pvm, args.reference, args.cpus)
    run = bochs.run_bochs(args.minivisor, args.guest, args.model, args.cpus, f"stats {args.options}",
                          args.timeout)
    verdict = compare.judge_alone(args.name, machine, run, args.checks)
    compare.judge_against(args.name, machine, run, reference, verdict)
    verdict.problems += feature_problems(run.log, pku, pcid)
    machines.report(machine, run, verdict, verbose=True)
    return 1 if verdict.problems else 0


if __name__ == "__main__":
    sys.exit(main())
