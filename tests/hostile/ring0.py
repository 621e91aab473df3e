#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
"""A hostile guest on a minivisor that looks at itself, under QEMU.

The guest must end by itself with all its checks well, or with --dies the VM must die
with these words; and minivisor's self check must find the host whole after it.
"""
import argparse
import os
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "ring0"))
import compare		# noqa: E402
import machine as machines		# noqa: E402
import probe		# noqa: E402

WHOLE = re.compile(r"self check: the host is whole after [1-9]\d* runs")
# What QEMU may do otherwise than a CPU: probe.py asks it.
REASONS = (
    compare.Reason("s12_int_n", r"ICEBP", "QEMU raises #UD for ICEBP", compare.tcg, fails=True,
                   probe="icebp"),
    compare.Reason("s12_int_n", r"INTO in 64-bit code", "QEMU executes INTO in 64-bit code",
                   compare.tcg, fails=True, probe="into"),
)


def machine(text):
    """cpus=2,la57,pku,inhibit,storm=HZ: a machine and minivisor's options."""
    words = dict(word.partition("=")[::2] for word in text.split(",") if word)
    options = " ".join(word + ("=" + value if value else "") for word, value in words.items()
                       if word in ("inhibit", "storm"))
    return machines.Machine(int(words.get("cpus", 1)), "la57" in words, "pku" in words), options


def problems_of_death(run, words):
    if run.why != "the VM died":
        return [run.why or f"the guest ended with status {run.status}"]
    if words not in run.log:
        return [f"the log does not say '{words}'"]
    return []


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minivisor", required=True)
    parser.add_argument("--probe", required=True, help="what asks QEMU, ring0-probe.elf")
    parser.add_argument("--guest", required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--checks", type=int, default=0)
    parser.add_argument("--dies", help="words of the line that minivisor ends with")
    parser.add_argument("--timeout", type=int,
                        default=int(os.environ.get("HOSTILE_TIMEOUT", machines.TIMEOUT)))
    parser.add_argument("machine", nargs="+", help="cpus=N,la57,pku,inhibit,storm=HZ")
    args = parser.parse_args()
    compare.REASONS += REASONS
    probe.use(args.probe, args.name)
    for name in ("s05_segments", "s05_stale_selectors"):
        machines.QUIRKS[name] = machines.QUIRKS["compat32"]		# they have far returns, too
    failed = 0
    for text in args.machine:
        here, options = machine(text)
        run = machines.run_qemu(args.minivisor, args.guest, here, options, timeout=args.timeout)
        if args.dies:
            problems = problems_of_death(run, args.dies)
        else:
            verdict = compare.judge_alone(args.name, here, run, args.checks)
            problems = verdict.problems
            machines.report_excused(here, verdict.reasons)
            if args.name == "s12_int_n" and "icebp" not in compare.DEVIATES \
                    and "icebp: RIP after it" not in run.console.splitlines():
                problems.append("no line: icebp: RIP after it")
        if not WHOLE.search(run.log):
            problems.append("no self check found the host whole")
        print(f"{'FAIL' if problems else 'ok'} {text}: {run.seconds:.1f} s", *problems, sep="\n    ", flush=True)
        if problems:
            print("  console:\n" + run.console[-4000:] + "\n  minivisor's log:\n" + run.log, flush=True)
            failed = 1
    return failed


if __name__ == "__main__":
    sys.exit(main())
