#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
"""Minivisor with one guest in QEMU's TCG, and `pvm run` with the same guest.

Owns the command lines, the meaning of exit statuses and the report; judges nothing. No KVM.
"""
import dataclasses
import os
import pathlib
import subprocess
import tempfile
import time

TIMEOUT = 300		# seconds for one boot: a guard against hangs, not a measure
# One instruction takes 64 ns of the machine's time, and waiting takes none: what a guest
# sees of time is the same on every host, however busy. QEMU runs one CPU at a time then.
COUNTED = ("-icount", "shift=6,sleep=off")

# CPU features that a guest cannot have in QEMU 7.2, and why.
QUIRKS = {
    "compat32": "smap=off",	# a far return at CPL 3 reads its stack as CPL 0 does: an endless fault
}
GUEST_DIED = 64		# what minivisor ends with when the VM died, and when it failed itself
HOST_FAILED = 65


@dataclasses.dataclass(frozen=True)
class Machine:
    """What a guest may see a difference by."""
    cpus: int = 1
    la57: bool = False
    pku: bool = False
    emulator: str = "qemu"	# or "bochs"

    def __str__(self):
        return (f"{self.emulator}, cpus {self.cpus}, la57 {'on' if self.la57 else 'off'}, "
                f"pku {'on' if self.pku else 'off'}")


@dataclasses.dataclass
class Run:
    """How a run ended. status: the guest's own, None if there is none."""
    status: object
    console: str
    log: str
    why: str = ""
    seconds: float = 0.0
    keys: bool = False		# of `pvm run`: the CPU and its kernel offer protection keys


def decode_status(code):
    """isa-debug-exit: QEMU ends with (value << 1) | 1."""
    if code < 0:
        return None, f"QEMU was ended by signal {-code}"
    if not code & 1:
        return None, f"QEMU ended by itself, status {code}"
    value = code >> 1
    if value == GUEST_DIED:
        return None, "the VM died"
    if value == HOST_FAILED:
        return None, "minivisor failed"
    return value, ""


def qemu_command(minivisor, guest, machine, options, log, extra):
    cpu = f"max,la57={'on' if machine.la57 else 'off'},pku={'on' if machine.pku else 'off'}"
    quirk = QUIRKS.get(pathlib.Path(guest).name.split(".")[0])
    if quirk:
        cpu += f",{quirk}"
    return ["qemu-system-x86_64", "-accel", "tcg", "-cpu", cpu, "-smp", str(machine.cpus),
            "-m", "1G", "-kernel", str(minivisor), "-initrd", str(guest), "-append", options,
            "-display", "none", "-monitor", "none", "-serial", "stdio", "-serial", f"file:{log}",
            "-device", "isa-debug-exit,iobase=0xf4,iosize=0x04", "-no-reboot", *extra]


def run_qemu(minivisor, guest, machine, options="", extra=COUNTED, timeout=TIMEOUT):
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="ring0-") as folder:
        log = pathlib.Path(folder) / "log"
        command = qemu_command(minivisor, guest, machine, options, log, extra)
        why = ""
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, timeout=timeout, check=False)
            console, errors = done.stdout, done.stderr
            status, why = decode_status(done.returncode)
        except subprocess.TimeoutExpired as late:
            console, errors, status = late.stdout or b"", late.stderr or b"", None
            why = f"no end after {timeout} s"
        text = log.read_text(errors="replace") if log.exists() else ""
        return Run(status, console.decode(errors="replace"), text + errors.decode(errors="replace"),
                   why, time.monotonic() - start)


def host_has_keys():
    """Protection keys in a process here: the CPU has them and the kernel has turned them on."""
    text = pathlib.Path("/proc/cpuinfo").read_text()
    flags = [line.split() for line in text.splitlines() if line.startswith("flags")]
    return bool(flags) and "ospke" in flags[0]


def run_standalone(pvm, guest, cpus):
    """The same guest under `pvm run`: what all results are compared with."""
    done = subprocess.run([str(pvm), "run", "--backend=native", "--timeout=600", f"--smp={cpus}", str(guest)],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          check=False, env={**os.environ, "LC_ALL": "C"})
    return Run(done.returncode, done.stdout.decode(errors="replace"),
               done.stderr.decode(errors="replace"), keys=host_has_keys())


def report_excused(machine, reasons):
    """A line for each reason, the same on each machine: scripts/test gathers them."""
    for reason in sorted(reasons, key=lambda reason: (reason.guest, reason.pattern)):
        print(f"excused: guest {reason.guest} under {machine.emulator}, lines like /{reason.pattern}/: "
              f"{reason.why}", flush=True)


def report(machine, run, verdict, verbose):
    word = "FAIL" if verdict.problems else "ok"
    print(f"{word} {machine}: {verdict.checks} checks, {len(verdict.notes)} lines excused, "
          f"{run.seconds:.1f} s", flush=True)
    report_excused(machine, verdict.reasons)
    for note in verdict.notes if verbose or verdict.problems else ():
        print(f"    may differ: {note}")
    for problem in verdict.problems:
        print(f"    {problem}")
    if verdict.problems:
        print("  console:\n" + run.console + "\n  minivisor's log:\n" + run.log, flush=True)
