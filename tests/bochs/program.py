#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
"""A ring-0 program, or a hostile guest on minivisor, under Bochs: with PCIDs, INVPCID and a
CPU that refuses what QEMU lets through (a RIP that is not canonical at SYSRET and IRET).

What counts is a line that it prints, on either serial line.
"""
import argparse
import re
import sys

import bochs
import machine as machines


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("image")
    parser.add_argument("guest", help="the module; a program that wants none ignores it")
    parser.add_argument("--expect", required=True, help="regular expression for the line")
    parser.add_argument("--model", default="corei7_icelake_u")
    parser.add_argument("--cpus", type=int, default=1)
    parser.add_argument("--options", default="")
    parser.add_argument("--timeout", type=int, default=machines.TIMEOUT, help="seconds")
    args = parser.parse_args()

    run = bochs.run_bochs(args.image, args.guest, args.model, args.cpus, args.options, args.timeout)
    print(run.console + run.log)
    if not re.search(args.expect, run.console + run.log, re.M):
        print(f"no line like: {args.expect}\n{run.why}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
