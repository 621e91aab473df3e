#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
"""Is what a guest printed here what it printed under `pvm run`, line by line?

Owns the list of lines that may differ, each with its reason. A line is compared
without its number, because a check more or less moves the numbers after it; the
plan line must agree with the lines above it instead.
"""
import dataclasses
import difflib
import re
from typing import Callable

CHECK = re.compile(r"^(ok|not ok|skip) (\d+) - (.*)$")
VALUES = re.compile(r" \(got 0x[0-9a-f]+, expected 0x[0-9a-f]+\)$")
PLAN = re.compile(r"^# (\d+) checks, (\d+) failed, (\d+) skipped$")


@dataclasses.dataclass(frozen=True)
class Reason:
    """Lines of @guest that match @pattern may differ (or fail here, with @fails). @probe: only
    if probe.py found that the emulator does this instruction otherwise than a CPU."""
    guest: str
    pattern: str
    why: str
    when: Callable = lambda machine, reference: True
    fails: bool = False
    probe: str = ""


# Names of probes; probe.use() fills it.
DEVIATES = set()


def tcg(machine, reference=None):
    return machine.emulator == "qemu"


def other_keys(machine, reference):
    """One of the two machines has protection keys: KEYS says what is right then."""
    return reference is not None and machine.pku != reference.keys


REASONS = (
    # What QEMU may do otherwise than a CPU, whatever runs in it: probe.py asks it.
    Reason("events", r"#SS by a non-canonical stack", "QEMU raises #GP for any non-canonical address",
           tcg, fails=True, probe="ss"),
    Reason("events", r"#AC", "QEMU checks no alignment", tcg, fails=True, probe="ac"),
    Reason("events", r"#XM", "QEMU raises no SIMD exceptions", tcg, fails=True, probe="xm"),
    Reason("instructions", r"^CR1 is #UD$", "QEMU raises #GP for MOV from CR1 at CPL 3",
           tcg, fails=True, probe="cr1"),
    Reason("instructions", r"^sysexit: #GP", "QEMU raises #UD for SYSEXIT", tcg, fails=True, probe="sysexit"),
    Reason("instructions", r"^wbinvd: #GP", "QEMU executes WBINVD at CPL 3", tcg, fails=True, probe="wbinvd"),

    # Where the machines differ.
    Reason("msr", r"^LINEAR_ADDRESS_RANGE", "here there is an upper half; a process has none"),
    Reason("msr", r"^PKRS", "only one of the two machines has protection keys", other_keys),
    Reason("pkru", r".", "only one of the two machines has protection keys", other_keys),
)

# What these guests find on a machine with protection keys (True) and on one without, whatever
# `pvm run` has: lines that must be there as "ok", and how many checks must not be skipped.
KEYS = {
    ("msr", True): (["PKRS: HC_WRMSR and HC_RDMSR", "PKRS: WRMSR and RDMSR"], 0),
    ("msr", False): (["PKRS without PKS in CPUID: RDMSR is #GP"], 0),
    ("pkru", True): (["CR4.PKE can be set", "PKRU denies: user's read faults",
                      "WRPKRU in supervisor mode denies supervisor mode", "PKRS can be written",
                      "with CR4.PKS an entry loads PKRU with MSR_IA32_PKRS"], 13),
    ("pkru", False): (["CR4.PKE cannot be set", "CR4.PKS cannot be set"], 2),
}


@dataclasses.dataclass
class Verdict:
    problems: list
    notes: list
    checks: int = 0
    reasons: set = dataclasses.field(default_factory=set)

    def excuse(self, what, reason):
        self.notes.append(f"{what}: {reason.why}")
        self.reasons.add(reason)


def normal(line):
    """The kind and the text of a line, without number and measured values."""
    match = CHECK.match(line)
    if not match:
        return ("", line)
    return (match.group(1), VALUES.sub("", match.group(3)))


def reason_for(line, guest, machine, fails, reference=None):
    kind, text = normal(line)
    for reason in REASONS:
        if reason.guest == guest and re.search(reason.pattern, text) and reason.when(machine, reference) \
                and (not reason.probe or reason.probe in DEVIATES) and (not fails or reason.fails):
            return reason
    return None


def plan_problems(lines):
    """The plan line is the last, and counts what is above it. Also: the number of checks."""
    plan = PLAN.match(lines[-1]) if lines else None
    if not plan:
        return ["no plan line at the end"], 0
    kinds = [match.group(1) for match in map(CHECK.match, lines) if match]
    numbers = [int(match.group(2)) for match in map(CHECK.match, lines) if match]
    counted = (len(kinds), kinds.count("not ok"), kinds.count("skip"))
    said = tuple(int(n) for n in plan.groups())
    problems = []
    if counted != said:
        problems.append(f"the plan line says {said}, counted (checks, failed, skipped) {counted}")
    if numbers != list(range(1, len(numbers) + 1)):
        problems.append("the numbers of the checks have a gap")
    return problems, len(kinds)


def keys_problems(guest, machine, lines):
    """What KEYS says of this guest on this machine."""
    texts, least = KEYS.get((guest, machine.pku), ([], 0))
    good = [text for kind, text in map(normal, lines) if kind == "ok"]
    problems = [f"no line: ok - {text}" for text in texts if text not in good]
    if len(good) < least:
        problems.append(f"{len(good)} checks are ok, expected at least {least}")
    return problems


def judge_alone(guest, machine, run, least_checks):
    """What can be said without another run to compare with."""
    verdict = Verdict([], [])
    lines = run.console.splitlines()
    if run.why:
        verdict.problems.append(run.why)
    problems, verdict.checks = plan_problems(lines)
    verdict.problems += problems
    if verdict.checks < least_checks:
        verdict.problems.append(f"{verdict.checks} checks, expected at least {least_checks}")
    verdict.problems += keys_problems(guest, machine, lines)
    excused = False
    for line in lines:
        if not line.startswith("not ok"):
            continue
        reason = reason_for(line, guest, machine, fails=True)
        if reason:
            excused = True
            verdict.excuse(line, reason)
        else:
            verdict.problems.append(line)
    if run.status not in (0, 1 if excused else 0):
        verdict.problems.append(f"the guest's exit status is {run.status}")
    return verdict


def comparable(reference, here, verdict):
    """Both runs' lines but their plans. A reference that is none is a problem of its own."""
    there = reference.console.splitlines()
    verdict.problems += [f"pvm run itself: {line}" for line in there if line.startswith("not ok")]
    if not there or not PLAN.match(there[-1]):
        verdict.problems.append("pvm run itself ended early")
    return ([line for line in there if not PLAN.match(line)],
            [line for line in here if not PLAN.match(line)])


def judge_against(guest, machine, run, reference, verdict):
    """Adds to @verdict each line that differs from @reference's without a reason."""
    there, here = comparable(reference, run.console.splitlines(), verdict)
    matcher = difflib.SequenceMatcher(None, [normal(line) for line in there],
                                      [normal(line) for line in here], autojunk=False)
    for operation, a, b, c, d in matcher.get_opcodes():
        if operation == "equal":
            continue
        for side, line in [("pvm run", line) for line in there[a:b]] + \
                [("here", line) for line in here[c:d]]:
            reason = reason_for(line, guest, machine, fails=False, reference=reference)
            if reason:
                verdict.excuse(f"{side}: {line}", reason)
            else:
                verdict.problems.append(f"only {side}: {line}")
