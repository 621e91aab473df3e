#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
"""An NMI at every instruction of Xen PV's direct switches, or a #MC at those that read and write a guest's frame.

    everywhere_xen.py (nmi | mc) ring0-direct-xen.elf OFFSETS

S12: the program that compares them with the engine is stopped at each of their instructions, as
its random states come there, and an NMI is injected. At the end each must have been handled once, and
all must have agreed: an interrupted switch goes on, or is left where the engine can go on. After a #MC it is left.
"""
import pathlib
import re
import sys

from events import MCE_BANK, MCG_MCIP, MCG_RIPV, MCI_VALID_UNCORRECTED, frame_at, leaves_frame
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


def nmi(vm, image, address):
    vm.monitor.nmi()


def machine_check(vm, image, address):
    said = vm.monitor.human(f"mce 0 {MCE_BANK} {MCI_VALID_UNCORRECTED:#x} {MCG_RIPV | MCG_MCIP} 0 0").strip()
    if said:
        raise Failure(f"mce: {said}")
    leaves_frame(vm.remote, image, address)


def inject(vm, image, owed, addresses, event):
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
            event(vm, image, at)
        except Ended:
            return addresses[index:]
    return []


def main():
    event, path, offsets = sys.argv[1:]
    owed = int(re.search(r"^#define CPU_OWED (\d+)$", pathlib.Path(offsets).read_text(), re.MULTILINE)[1])
    image = Image(path, SLIDE)
    addresses = instructions(image)
    if event == "mc":
        addresses = [at for at in addresses if frame_at(image, at)]
    with VM(path, append=OPTIONS, icount=True, cpu="max,la57=off") as vm:
        try:
            left = inject(vm, image, owed, addresses, {"nmi": nmi, "mc": machine_check}[event])
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
    match = re.search(r"^(\d+) NMIs, (\d+) machine checks$", said, re.MULTILINE)
    handled = match and int(match[1 if event == "nmi" else 2])
    if status or "\nall agree\n" not in said or handled != len(addresses):
        print(said)
        print(f"not ok - {len(addresses)} were sent, {handled} handled; status {status}")
        return 1
    print(f"ok - {event} at each of {len(addresses)} instructions")
    return 0


if __name__ == "__main__":
    sys.exit(main())
