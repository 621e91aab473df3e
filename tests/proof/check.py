#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
"""Check a Promela model exhaustively, or see that it is found wrong.

  check.py SPIN CC MODEL holds|fails [NAME[=VALUE]...]

The names are the model's -D choices. "holds": every state was visited and none is
wrong; "fails": spin found a counterexample. Prints the number of states; what was
not expected with the steps that lead there.
"""
import pathlib
import re
import subprocess
import sys
import tempfile

DEPTH = 20000		# steps; a search that needs more is no proof and says so
MEMORY = 2048		# MiB, at most


def run(command, folder):
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def verify(spin, compiler, model, defines, folder):
    """The verifier's report."""
    live = any(define.startswith("LIVE") for define in defines)
    choices = [f"-D{define}" for define in defines]
    status, text = run([spin, *choices, "-a", str(model)], folder)
    if status:
        sys.exit(f"spin does not take the model:\n{text}")
    kind = ["-DNFAIR=3"] if live else ["-DSAFETY"]
    status, text = run([compiler, "-O2", "-w", *kind, "-DCOLLAPSE", f"-DMEMLIM={MEMORY}",
                        "-o", "pan", "pan.c"], folder)
    if status:
        sys.exit(f"the verifier does not compile:\n{text}")
    return run(["./pan", f"-m{DEPTH}", *(["-a", "-f"] if live else [])], folder)[1]


def steps(spin, model, defines, folder):
    choices = [f"-D{define}" for define in defines]
    return run([spin, *choices, "-t", "-p", "-g", str(model)], folder)[1]


def main():
    spin, compiler, model, verdict, *defines = sys.argv[1:]
    model = pathlib.Path(model).resolve()
    with tempfile.TemporaryDirectory() as folder:
        report = verify(spin, compiler, model, defines, folder)
        errors = re.search(r"errors: (\d+)", report)
        states = re.search(r"(\d+) states, stored", report)
        found = re.search(r"pan:\d+: (assertion violated|acceptance cycle)", report)
        if not errors or not states:
            sys.exit(f"no verdict:\n{report}")
        print(f"{model.name} {' '.join(defines)}: {errors[1]} errors, {states[1]} states")
        if verdict == "fails":
            return 0 if found else f"not found wrong:\n{report}"
        if int(errors[1]):
            return f"wrong:\n{report}\n{steps(spin, model, defines, folder)}"
        if "Search not completed" in report or "search was too small" in report or "max search depth" in report:
            return f"not every state was visited:\n{report}"
    return 0


if __name__ == "__main__":
    sys.exit(main())
