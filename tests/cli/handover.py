# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
"""Stubs hand over: handover.py PVM LEAST GUEST

The guest's programs make system calls; LEAST of them must be no exits, or tests of hand-overs test nothing. A guest
whose programs are those of a CPU with protection keys has none on another, and says so.
"""
import pathlib
import re
import subprocess
import sys


def main():
    pvm, least, guest = sys.argv[1:]
    done = subprocess.run([pvm, "run", "--backend=native", "--stats", "--timeout=60", guest], timeout=80,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if not done.returncode and "skip 1 - " in done.stdout and "this CPU has no protection keys" in done.stdout and \
            " ospke" not in pathlib.Path("/proc/cpuinfo").read_text():
        print(f"excused: {pathlib.Path(guest).stem}: this CPU has no protection keys")
        return
    found = re.search(r"calls without an exit\s+(\d+)", done.stderr)
    if done.returncode or not found or int(found[1]) < int(least):
        sys.exit(f"status {done.returncode}, {found[1] if found else 'no'} calls without an exit, not {least}: "
                 f"{done.stdout[-1000:]}{done.stderr[-1000:]}")


main()
