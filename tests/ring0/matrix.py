#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
"""One guest on minivisor under QEMU, on every machine of the matrix.

For each combination of CPUs, LA57 and protection keys: the guest ends with its
own status 0, prints at least so many checks, and prints line by line what it
prints under `pvm run` with as many CPUs. Prints a line per combination.
"""
import argparse
import itertools
import sys

import compare
import machine as machines
import probe


def switch(text):
    return {"on": True, "off": False}[text]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minivisor", required=True)
    parser.add_argument("--probe", required=True, help="what asks QEMU, ring0-probe.elf")
    parser.add_argument("--pvm", required=True)
    parser.add_argument("--guest", required=True, help="the ELF file that minivisor runs")
    parser.add_argument("--reference", required=True, help="the one that pvm runs")
    parser.add_argument("--name", required=True)
    parser.add_argument("--checks", type=int, required=True)
    parser.add_argument("--checks-from", type=int, default=1, help="the least CPUs they need")
    parser.add_argument("--cpus", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--la57", type=switch, nargs="+", default=[False, True])
    parser.add_argument("--pku", type=switch, nargs="+", default=[False, True])
    parser.add_argument("--pairs", action="store_true",
                        help="not all combinations: each LA57 with one PKU, in their order")
    parser.add_argument("--parallel", action="store_true",
                        help="CPUs at the same time, and by the host's clock")
    parser.add_argument("--options", default="", help="minivisor's command line")
    parser.add_argument("--timeout", type=int, default=machines.TIMEOUT, help="seconds per boot")
    parser.add_argument("--verbose", action="store_true", help="print what may differ, and why")
    return parser.parse_args()


def main():
    args = arguments()
    probe.use(args.probe, args.name)
    references = {cpus: machines.run_standalone(args.pvm, args.reference, cpus) for cpus in args.cpus}
    failed = 0
    combine = zip if args.pairs else itertools.product
    for cpus, (la57, pku) in itertools.product(args.cpus, combine(args.la57, args.pku)):
        machine = machines.Machine(cpus, la57, pku)
        run = machines.run_qemu(args.minivisor, args.guest, machine, args.options,
                                () if args.parallel else machines.COUNTED, args.timeout)
        least = args.checks if cpus >= args.checks_from else 0
        verdict = compare.judge_alone(args.name, machine, run, least)
        compare.judge_against(args.name, machine, run, references[cpus], verdict)
        machines.report(machine, run, verdict, args.verbose)
        failed += bool(verdict.problems)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
