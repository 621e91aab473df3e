# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
"""CPUs that wait sleep: waiting.py PVM HALT.elf

The guest's first CPU halts for good, the others were never started. pvm and its stubs must come to a second in which
every thread sleeps and none has used the CPU: a thread that looks again and again never does, however slow the host.
"""
import subprocess
import sys
import time
from pathlib import Path

WINDOW, PATIENCE = 1, 60	# seconds


def threads(pid):
    """(process, thread): its state, and the ticks of CPU time that it has used; of all below @pid, too."""
    found = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        fields = (task / "stat").read_text().rsplit(")", 1)[1].split()
        found[pid, task.name] = fields[0], int(fields[11]) + int(fields[12])
        for child in (task / "children").read_text().split():
            found |= threads(child)
    return found


def quiet(pid):
    before = threads(pid)
    time.sleep(WINDOW)
    return before == threads(pid) and all(state == "S" for state, _ in before.values()) and before


def main():
    pvm, guest = sys.argv[1:]
    process = subprocess.Popen([pvm, "run", "--backend=native", "--smp=4", f"--timeout={2 * PATIENCE}", guest],
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    end = time.monotonic() + PATIENCE
    asleep = False
    while not asleep and process.poll() is None and time.monotonic() < end:
        try:
            asleep = quiet(process.pid)
        except OSError:		# a thread has ended while it was looked at
            pass
    state = threads(process.pid) if process.poll() is None else process.returncode
    process.terminate()
    process.wait()
    # A vCPU's thread for each CPU, the main loop, and a stub with two threads.
    if not asleep or len(asleep) < 7:
        sys.exit(f"waiting.py: it never slept: {state}")


main()
