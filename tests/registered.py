#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
"""Which tests does ctest know in a build folder, and are they all there?

  registered.py BUILD-FOLDER [--list] [--labels LABEL...]

Fails if a label has not as many tests as the table below says: a test that is not
registered any more does not fail, it is just not run. Who adds a test or removes one
changes the number here. With --list prints the tests, with --labels only those.

The numbers are those of a build with every tool (PVM_REQUIRE_TEST_TOOLS). Neither the
machine nor the compiler changes them: what depends on a CPU runs in an emulator that has
it. Instrumented builds have fewer.
"""
import argparse
import collections
import json
import pathlib
import re
import subprocess
import sys

EXACT = {"bochs": 78, "docs": 13, "fuzz": 7, "guest": 128, "hostile": 70, "kvm": 315, "linux": 11, "model": 54,
         "packages": 3, "proof": 16, "ring0": 239, "unit": 167}
# What a build with this option has fewer of: docs.{guards,installed,readme-example,symbols},
# unit.mmu-parallel, and everything of a label.
FEWER = {"PVM_SANITIZE": {"docs": 4, "unit": 1, "bochs": all, "fuzz": all, "kvm": all, "linux": all, "ring0": all},
         "PVM_COVERAGE": {"docs": 4, "bochs": all, "fuzz": all, "kvm": all, "linux": all, "ring0": all}}


def registered(build):
    """(name, label) of each test, in ctest's order."""
    run = subprocess.run(["ctest", "--test-dir", build, "--show-only=json-v1"], check=True,
                         text=True, stdout=subprocess.PIPE)
    for test in json.loads(run.stdout)["tests"]:
        labels = [p["value"] for p in test["properties"] if p["name"] == "LABELS"]
        yield test["name"], labels[0][0] if labels else "without a label"


def expected(build):
    """How many of each label."""
    cache = (pathlib.Path(build) / "CMakeCache.txt").read_text()
    counts = dict(EXACT)
    for option, fewer in FEWER.items():
        if re.search(rf"^{option}:BOOL=(ON|1|TRUE|YES)$", cache, re.M):
            counts |= {label: 0 if n is all else EXACT[label] - n for label, n in fewer.items()}
    return counts


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--labels", nargs="+", choices=sorted(EXACT), default=sorted(EXACT))
    args = parser.parse_args()
    tests = list(registered(args.build))
    counts = collections.Counter(label for _, label in tests)
    wanted = expected(args.build)
    problems = [f"label {label}: {counts[label]} tests are registered, {wanted[label]} are expected: if one "
                f"was added or removed on purpose, change EXACT in tests/registered.py; else cmake says which "
                f"tests it left out"
                for label in args.labels if counts[label] != wanted[label]]
    problems += [f"{name}: {label}, which tests/registered.py does not know"
                 for name, label in tests if label not in EXACT]
    if args.list:
        for name, label in tests:
            if label in args.labels:
                print(f"  {name}")
    print(f"{sum(counts[label] for label in args.labels)} tests: " +
          ", ".join(f"{label} {counts[label]}" for label in args.labels))
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
