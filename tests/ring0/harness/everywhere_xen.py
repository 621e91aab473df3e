#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
"""An NMI at every instruction of Xen PV's direct switches.

    everywhere_xen.py ring0-direct-xen.elf OFFSETS

S12: the program that compares them with the engine is stopped at each of their instructions, as
its random states come there, and an NMI is injected. At the end each must have been handled once, and
all must have agreed: an interrupted switch goes on, or is left where the engine can go on.
"""
import pathlib
import re
import sys

from failure import Failure
from image import Image
from machine import FILLING, SLIDE
from rsp import Ended, RemoteError
from vm import VM

FIRST, END = "xen_supervisor_syscall", "pvm_switcher_xen_end"
OPTIONS = "xen=1 seed=11 rounds=6000"


def instructions(image):
    """Those between the two labels, and where a frame's fault ends."""
    parts = (image[FIRST], image[END]), (image["xen_frame_refused"], image["own_fault"])
    return [at for part in parts for at, (_, text) in image.instructions(*part).items() if not FILLING.match(text)]


def paying(image, addresses):
    """Those that are executed only when a flush is owed: around the locked AND that takes the debt away."""
    texts = image.instructions()
    locked = [i for i, at in enumerate(addresses) if texts[at][1].startswith("lock and")]
    return {addresses[i + more] for i in locked for more in range(-4, 3)}


def inject(vm, image, owed, addresses):
    """At each, the next time that it comes up; one in each stay in the guest, for two would be handled as one.
    Returns those that did not come up."""
    enter, pay = image["pvm_switcher_enter"], paying(image, addresses)
    for index, at in enumerate(addresses):
        try:
            vm.remote.run_to(enter)
            vm.remote.breakpoint(at)
            if at in pay:
                vm.remote.breakpoint(enter)
            vm.remote.run()
            while vm.remote.rip() == enter:
                vm.remote.write(vm.remote.read_register("rdi") + owed, b"\xff" * 4)	# all tags
                vm.remote.run()
            if at in pay:
                vm.remote.remove_breakpoint(enter)
            vm.remote.remove_breakpoint(at)
            vm.monitor.nmi()
        except Ended:
            return addresses[index:]
    return []


def main():
    path, offsets = sys.argv[1:]
    owed = int(re.search(r"^#define CPU_OWED (\d+)$", pathlib.Path(offsets).read_text(), re.MULTILINE)[1])
    image = Image(path, SLIDE)
    addresses = instructions(image)
    with VM(path, append=OPTIONS, icount=True, cpu="max,la57=off") as vm:
        try:
            left = inject(vm, image, owed, addresses)
            if not left:
                vm.remote.go()
                vm.remote.wait()
        except Ended:
            pass
        except (Failure, RemoteError, TimeoutError) as error:
            print(vm.messages())
            print(f"not ok - {error}")
            return 1
        status, said = vm.status(), vm.messages()
    if left:
        print(said)
        print("not reached: " + ", ".join(image.where(at) for at in sorted(left)))
        return 1
    match = re.search(r"^(\d+) NMIs$", said, re.MULTILINE)
    if status or "\nall agree\n" not in said or not match or int(match[1]) != len(addresses):
        print(said)
        print(f"not ok - {len(addresses)} NMIs were sent; status {status}")
        return 1
    print(f"ok - an NMI at each of {len(addresses)} instructions")
    return 0


if __name__ == "__main__":
    sys.exit(main())
