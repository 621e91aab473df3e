#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
"""A #DF at the switcher's instructions: the vCPU is lost, the host is whole.

    double_fault.py MINIVISOR GUEST OFFSETS

S12: at each instruction of the world switch and of the direct switches in turn,
the gate of #GP is taken out of the switcher's IDT and the instruction is made to
raise one. The switcher must come back to the host with PVM_EXIT_FAILED, vector 8
and the instruction's address, on the host's stack, and with every register of
the host as it was. Each costs a machine, so each instruction is taken once. Minutes to
hours: run by hand. In ctest, ring0.corners.* and bochs.corners take a #DF each way.
"""
import argparse
import sys

from everywhere import IRET, SYSRET
from failure import Failure
from machine import Machine

KINDS = (SYSRET, IRET, "hypercall in the engine", "LOAD_PGTBL",
         "exception in supervisor mode, EVENT_RETURN_SUPERVISOR")
KEPT = ("rbx", "rbp", "r12", "r13", "r14", "r15", "cs", "ss", "ds", "es", "fs", "gs",
        "fs_base", "gs_base", "k_gs_base", "cr0", "cr3", "cr4", "efer")
NOT_CANONICAL = 0x8000000000000000
LOAD_FROM_RAX = b"\x8b\x00"		# mov (%rax), %eax
AREA_IDT = 4096			# pvm_switcher_cpu::idt, asserted there
GATE_SIZE, GATE_TYPE, GP, DF = 16, 5, 13, 8
KIND_FAULT = 4				# libpvm/switcher/area.h
FAILURES_MAX = 5


def places(machine):
    """[(kind, address)]: what runs on the switcher's IDT, each address once."""
    seen, found = set(), []
    for kind in KINDS:
        machine.warm_up(machine.kinds.index(kind))
        on_switcher_idt = True
        for step in machine.trace():
            if step.rip not in machine.text or step.guest:
                continue
            if on_switcher_idt and step.rip not in seen:
                seen.add(step.rip)
                found.append((kind, step.rip))
            on_switcher_idt ^= machine.instructions[step.rip][1].startswith("lidt")
    return found


def break_gate(machine, vector):
    gate = machine.area + AREA_IDT + vector * GATE_SIZE + GATE_TYPE
    machine.remote.write(gate, b"\0")


def try_one(machine, kind, address):
    remote, enter = machine.remote, machine.host["pvm_switcher_enter"]
    machine.to_host()
    machine.to_turn()
    machine.warm_up(machine.kinds.index(kind))
    before = None
    remote.breakpoint(address)
    remote.breakpoint(enter)
    while True:
        machine.go_on(machine.host.where(address))
        rip = remote.read_register("rip")
        if rip == enter:
            back = remote.read_u64(remote.read_register("rsp"))
            before = {name: remote.read_register(name) for name in KEPT}
            stack = remote.read_register("rsp") + 8
        if rip == address and before:
            break
    break_gate(machine, GP)
    remote.remove_breakpoint(address)
    remote.remove_breakpoint(enter)
    remote.write_register("rax", NOT_CANONICAL)
    remote.write(address, LOAD_FROM_RAX)
    remote.breakpoint(back)
    machine.go_on("the host after pvm_switcher_enter()")
    if remote.read_register("rip") != back:
        raise Failure(f"stopped at {machine.where()}, not after pvm_switcher_enter()")
    for name, want in [("KIND", KIND_FAULT), ("VECTOR", DF), ("FAULT_RIP", address)]:
        got = machine.area_u64(name) & (0xffffffff if name == "KIND" else ~0)
        if got != want:
            raise Failure(f"{name} is {got:#x}, not {want:#x}")
    before["rsp"] = stack
    for name, want in before.items():
        if (got := remote.read_register(name)) != want:
            raise Failure(f"the host's {name} is {got:#x}, not {want:#x}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("minivisor")
    parser.add_argument("guest")
    parser.add_argument("offsets")
    parser.add_argument("--every", type=int, default=1, help="only every nth instruction")
    options = parser.parse_args()
    images = options.minivisor, options.guest, options.offsets
    failures = []
    with Machine(*images) as machine:
        todo = places(machine)[::options.every]
    for kind, address in todo:
        with Machine(*images, icount=False) as machine:
            try:
                try_one(machine, kind, address)
            except Failure as failure:
                failures.append(f"{kind}: {machine.host.where(address)} ({address:#x}): {failure}")
                if len(failures) == FAILURES_MAX:
                    break
    for failure in failures:
        print("FAILED:", failure)
    print(f"#DF: at {len(todo)} instructions, {len(failures)} failures")
    return 1 if failures or not todo else 0


if __name__ == "__main__":
    sys.exit(main())
