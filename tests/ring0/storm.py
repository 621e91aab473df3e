#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
"""The work guest in a storm of timer interrupts and NMIs: the same sums as without.

Time is QEMU's instruction count, so that the storm is the same on every machine:
one instruction takes 2^SHIFT nanoseconds of the machine's time.
"""
import argparse
import re
import sys

import compare
import machine as machines

STORM = re.compile(r"storm: (\d+) interrupts, (\d+) NMIs")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minivisor", required=True)
    parser.add_argument("--guest", required=True)
    parser.add_argument("--hertz", type=int, default=20000)
    parser.add_argument("--seconds", type=int, default=60, help="the least of the machine's time")
    parser.add_argument("--shift", type=int, default=5)
    parser.add_argument("--timeout", type=int, default=1200, help="seconds, for one run")
    return parser.parse_args()


def main():
    args = arguments()
    machine = machines.Machine(pku=True)
    icount = ("-icount", f"shift={args.shift},sleep=off")
    runs = {}
    failed = 0
    for name, options in (("calm", ""), ("storm", f"storm={args.hertz} nmi=1")):
        run = machines.run_qemu(args.minivisor, args.guest, machine, options, icount, args.timeout)
        verdict = compare.judge_alone("work", machine, run, 7)
        if name == "storm":
            verdict.problems += storm_problems(run.log, args)
            if run.console != runs["calm"].console:
                verdict.problems.append("the console is not the calm run's")
        print(name, end=": ")
        machines.report(machine, run, verdict, verbose=True)
        print(run.log)
        failed += bool(verdict.problems)
        runs[name] = run
    return 1 if failed else 0


def storm_problems(log, args):
    """It must have been a storm: so many a second, for so long, of both kinds."""
    match = STORM.search(log)
    if not match:
        return ["minivisor's log counts no storm"]
    return [f"{n} {what}, expected at least {args.hertz * args.seconds}"
            for what, n in zip(("interrupts", "NMIs"), map(int, match.groups()))
            if n < args.hertz * args.seconds]


if __name__ == "__main__":
    sys.exit(main())
