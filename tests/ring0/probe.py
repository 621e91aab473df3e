# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
"""What this machine's QEMU does otherwise than a CPU: asked, not taken from a version.

Runs tests/ring0/direct/probe.c, which executes single instructions at CPL 3 without
anything of libpvm. compare.Reason.probe has the names.
"""
import re
import subprocess
import sys

import compare
import machine as machines

LINE = re.compile(r"^probe (\w+): (.*): (as|not as) on a CPU\r?$", re.M)
CPU = "max,la57=off"


def run(program):
    """{ name: (what it does, as a CPU) }"""
    done = subprocess.run(
        ["qemu-system-x86_64", "-accel", "tcg", "-cpu", CPU, "-m", "256M", "-display", "none",
         "-monitor", "none", "-serial", "null", "-serial", "stdio", "-no-reboot", "-device",
         "isa-debug-exit,iobase=0xf4,iosize=0x04", "-kernel", program],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=False,
        timeout=machines.TIMEOUT)
    found = {name: (what, word == "as") for name, what, word in LINE.findall(done.stdout)}
    wanted = {reason.probe for reason in compare.REASONS if reason.probe}
    if not wanted <= set(found):
        missing = ", ".join(sorted(wanted - set(found)))
        sys.exit(f"the probe says nothing about {missing}:\n{done.stdout}")
    return found


def use(program, guest):
    """Let compare excuse in @guest what QEMU does otherwise, and nothing else."""
    if not any(reason.probe and reason.guest == guest for reason in compare.REASONS):
        return
    for name, (what, same) in run(program).items():
        if not same:
            print(f"QEMU on {name}: {what}, not as on a CPU", flush=True)
            compare.DEVIATES.add(name)
