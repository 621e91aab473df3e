#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
"""Which tests does ctest know in a build folder, and are they all there?

  registered.py BUILD-FOLDER [--list] [--labels LABEL...]

Fails if a label has fewer tests than the table below says: a test that is not
registered any more does not fail, it is just not run. To remove a test on purpose, lower
the number here. With --list prints the tests, with --labels only those.
"""
import argparse
import collections
import json
import subprocess
import sys

LEAST = {"bochs": 49, "docs": 12, "fuzz": 6, "guest": 77, "hostile": 56, "model": 54, "proof": 16,
         "ring0": 198, "unit": 84}


def registered(build):
    """(name, label) of each test, in ctest's order."""
    run = subprocess.run(["ctest", "--test-dir", build, "--show-only=json-v1"], check=True,
                         text=True, stdout=subprocess.PIPE)
    for test in json.loads(run.stdout)["tests"]:
        labels = [p["value"] for p in test["properties"] if p["name"] == "LABELS"]
        yield test["name"], labels[0][0] if labels else "without a label"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--labels", nargs="+", choices=sorted(LEAST), default=sorted(LEAST))
    args = parser.parse_args()
    tests = list(registered(args.build))
    counts = collections.Counter(label for _, label in tests)
    problems = [f"tests are missing: {label}: {counts[label]} tests, expected at least {LEAST[label]}"
                for label in args.labels if counts[label] < LEAST[label]]
    problems += [f"{name}: {label}, which tests/registered.py does not know"
                 for name, label in tests if label not in LEAST]
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
