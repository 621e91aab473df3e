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

STORM = re.compile(r"CPU 0: (\d+) timer ticks, (\d+) NMIs")
TICKS_PER_NMI = 16		# of minivisor's option nmi


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minivisor", required=True)
    parser.add_argument("--guest", required=True)
    parser.add_argument("--hertz", type=int, default=20000)
    parser.add_argument("--seconds", type=int, default=60, help="the least of the machine's time")
    parser.add_argument("--shift", type=int, default=5)
    parser.add_argument("--timeout", type=int, default=1200, help="seconds, for one run")
    return parser.parse_args()


def storm_problems(log, args):
    """It must have been a storm: so many a second, for so long; and no NMI is lost."""
    match = STORM.search(log)
    if not match:
        yield "minivisor's log counts no storm"
        return
    ticks, nmis = map(int, match.groups())
    if ticks < args.hertz * args.seconds:
        yield f"{ticks} interrupts, expected at least {args.hertz * args.seconds}"
    if nmis != ticks // TICKS_PER_NMI:
        yield f"{nmis} NMIs of {ticks // TICKS_PER_NMI} that were sent"


def main():
    args = arguments()
    machine = machines.Machine(pku=True)
    icount = ("-icount", f"shift={args.shift},sleep=off")
    runs = {}
    failed = 0
    for name, options in (("calm", "stats"), ("storm", f"stats storm={args.hertz} nmi")):
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


if __name__ == "__main__":
    sys.exit(main())
