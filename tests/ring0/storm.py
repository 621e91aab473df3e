#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
"""The work guest in a storm of timer interrupts and NMIs: the same sums as without.

Twice, in the lower half with 4-level paging and in the upper half with 5 levels; both
storms together last for at least a minute of the machine's time. Time is QEMU's
instruction count, so that the storm is the same on every machine: one instruction takes
2^SHIFT nanoseconds of the machine's time.

There each NMI is one's own, out of the timer's handler. So a third storm has a second CPU
that runs no guest and sends its NMIs to the first: they come at any instruction of guest,
switcher and host, in real time, and only the sums are compared.
"""
import argparse
import re
import sys

import compare
import machine as machines

STORM = re.compile(r"CPU 0: (\d+) timer ticks, (\d+) NMIs")
TICKS_PER_NMI = 16		# of minivisor's option nmi
WILD_HERTZ = 5000		# of the machine's own time


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minivisor", required=True)
    parser.add_argument("--guest", required=True, help="in the lower half")
    parser.add_argument("--upper", required=True, help="in the upper half")
    parser.add_argument("--hertz", type=int, default=20000)
    parser.add_argument("--seconds", type=int, default=60, help="the least of the machine's time")
    parser.add_argument("--shift", type=int, default=5)
    parser.add_argument("--timeout", type=int, default=1200, help="seconds, for one run")
    return parser.parse_args()


def storm_counts(log):
    """Interrupts and NMIs; None: minivisor's log counts no storm."""
    match = STORM.search(log)
    return tuple(map(int, match.groups())) if match else None


def one(args, guest, machine):
    """Both runs of a guest. Returns the number of interrupts, whether all was well, and what
    the calm run printed."""
    icount = ("-icount", f"shift={args.shift},sleep=off")
    calm, ticks, good = None, 0, True
    for name, options in (("calm", "stats"), ("storm", f"stats storm={args.hertz} nmi")):
        run = machines.run_qemu(args.minivisor, guest, machine, options, icount, args.timeout)
        verdict = compare.judge_alone("work", machine, run, 7)
        if calm is None:
            calm = run.console
        else:
            ticks, nmis = storm_counts(run.log) or (0, 0)
            if run.console != calm:
                verdict.problems.append("the console is not the calm run's")
            if not ticks or nmis != ticks // TICKS_PER_NMI:
                verdict.problems.append(f"{nmis} NMIs of {ticks // TICKS_PER_NMI} that were sent")
        print(name, end=": ")
        machines.report(machine, run, verdict, verbose=True)
        print(run.log, flush=True)
        good &= not verdict.problems
    return ticks, good, calm


def from_another_cpu(args, calm):
    machine = machines.Machine(cpus=2, pku=True)
    run = machines.run_qemu(args.minivisor, args.guest, machine, f"smp=1 stats storm={WILD_HERTZ} nmi", (),
                            args.timeout)
    verdict = compare.judge_alone("work", machine, run, 7)
    if run.console != calm:
        verdict.problems.append("the console is not the calm run's")
    if not (storm_counts(run.log) or (0, 0))[1]:
        verdict.problems.append("no NMI came")
    print("from another CPU", end=": ")
    machines.report(machine, run, verdict, verbose=True)
    print(run.log, flush=True)
    return not verdict.problems


def main():
    args = arguments()
    lower, lower_good, calm = one(args, args.guest, machines.Machine(pku=True))
    upper, upper_good, _ = one(args, args.upper, machines.Machine(la57=True, pku=True))
    wild_good = from_another_cpu(args, calm)
    seconds = (lower + upper) / args.hertz
    print(f"{lower} and {upper} interrupts: {seconds:.0f} s of storm, at least {args.seconds} wanted")
    return 0 if lower_good and upper_good and wild_good and seconds >= args.seconds else 1


if __name__ == "__main__":
    sys.exit(main())
