# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
"""What pvm and its stubs ask of the CPU: mitigations.py PVM FOREVER.elf

By default store bypass is off in stubs and branches are as they are for this test; with
--mitigations=strict indirect branches are, too, in pvm and in every stub. On a host whose kernel
has no such switch, strict is refused in one line. What the host has, prctl(2) says.
"""
import ctypes
import subprocess
import sys
import time
from pathlib import Path

PR_GET_SPECULATION_CTRL = 52
STORE_BYPASS, INDIRECT_BRANCH = 0, 1
PR_SPEC_PRCTL = 1	# the answer's bit: a process can choose


def has_switch(which):
    answer = ctypes.CDLL(None).prctl(PR_GET_SPECULATION_CTRL, which, 0, 0, 0)
    return answer > 0 and bool(answer & PR_SPEC_PRCTL)


def status(pid, field):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return line.split(":", 1)[1].strip()
    return ""


def all_children(pid):
    """Of every thread: vCPU threads start the stubs."""
    return sorted({int(child) for task in Path(f"/proc/{pid}/task").iterdir()
                   for child in (task / "children").read_text().split()})


def running(pvm, guest, *options):
    process = subprocess.Popen([pvm, "run", "--backend=native", "--timeout=60", *options, guest],
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    # The zygote and one stub: then the guest is on its way.
    while process.poll() is None and len(all_children(process.pid)) < 2:
        time.sleep(0.01)
    return process


def end(process):
    process.terminate()
    return process.communicate()


def expect(what, found, wanted):
    if wanted not in found:
        sys.exit(f"mitigations.py: {what} has '{found}', not '{wanted}'")


def main():
    pvm, guest = sys.argv[1:]
    mine = status("self", "SpeculationIndirectBranch")
    process = running(pvm, guest)
    for stub in all_children(process.pid):
        if has_switch(STORE_BYPASS):
            expect("a stub's store bypass", status(stub, "Speculation_Store_Bypass"), "force mitigated")
        expect("a stub's indirect branch", status(stub, "SpeculationIndirectBranch"), mine)
    end(process)
    process = running(pvm, guest, "--mitigations=strict")
    if not has_switch(INDIRECT_BRANCH):
        _, errors = process.communicate()
        expect("the refusal", errors, "pvm: --mitigations=strict: the host has no such switch")
        if process.returncode != 125:
            sys.exit(f"mitigations.py: status {process.returncode}, not 125")
        return
    for pid in [process.pid, *all_children(process.pid)]:
        expect(f"strict, process {pid}: indirect branch", status(pid, "SpeculationIndirectBranch"),
               "conditional force disabled")
    end(process)


main()
