# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
"""Stubs hand over: handover.py PVM LEAST GUEST

The guest's programs make system calls; LEAST of them must be no exits, or tests of hand-overs test nothing.
"""
import re
import subprocess
import sys


def main():
    pvm, least, guest = sys.argv[1:]
    done = subprocess.run([pvm, "run", "--backend=native", "--stats", "--timeout=60", guest], timeout=80,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True)
    found = re.search(r"calls without an exit\s+(\d+)", done.stderr)
    if done.returncode or not found or int(found[1]) < int(least):
        sys.exit(f"status {done.returncode}, {found[1] if found else 'no'} calls without an exit, not {least}: "
                 f"{done.stdout[-1000:]}{done.stderr[-1000:]}")


main()
