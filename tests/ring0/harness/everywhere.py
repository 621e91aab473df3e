#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
"""One event at every instruction of the switcher, during every kind of transition.

    everywhere.py EVENT MINIVISOR GUEST OFFSETS [--dialect=dual|single]

S12: the machine is stopped at each instruction that the switcher executes in
each of the guest's transitions, the event is injected there, and it must have
been handled exactly once when the guest, with all its registers as they should
be, is at its next turn. The handlers' own instructions are reached by events
that are provoked first. Prints the coverage of the switcher's instructions.

A guest of single CR3 is for the instructions that are that dialect's alone; the other
guest is for all the rest.
"""
import argparse
import collections
import dataclasses
import re
import sys

from events import EVENTS, scenes
from failure import Failure
from machine import Machine
from unreached import reason_for

FAILURES_MAX = 5
GUEST = "transitions_here"	# as a place to provoke an event at: the guest itself

CPU = "max,la57=off"		# everything that TCG has and the harness has no slide for
HYPERCALL = "hypercall in the engine"
FILL = "fill in user mode"
SYSRET = "user SYSCALL, EVENT_RETURN_USER by SYSRET"
BREAKPOINT = "breakpoint in user mode"
COMPAT = "32-bit user mode, INT 0x80"
IRET = "user SYSCALL, EVENT_RETURN_USER by IRET"
SYSCALL = "pvm_switcher_syscall_{}_cr3"	# of the guest's dialect
SINGLE = re.compile(r"single_.*|pvm_switcher_syscall_single_cr3")	# labels of single CR3's own
# Where those are executed; the other transitions need no trace. What is missed so is seen at the end.
SINGLE_KINDS = re.compile(
    r"user SYSCALL|hypercall in the engine|LOAD_PGTBL|EVENT_RETURN_|page fault in user|data segments")
# (kind, the events that come first, each with the label where it comes)
PROVOKED = (
    (SYSRET, (("nmi", GUEST),)),
    (SYSRET, (("mc", GUEST),)),
    (SYSRET, (("nmi", SYSCALL),)),
    (SYSRET, (("mc", SYSCALL),)),
    (SYSRET, (("db", SYSCALL),)),
    (SYSRET, (("nmi", "pvm_switcher_sysret_syscall"),)),
    (SYSRET, (("nmi", "pvm_switcher_sysret"),)),
    (SYSRET, (("mc", "pvm_switcher_sysret"),)),
    (IRET, (("nmi", "pvm_switcher_iret"),)),
    (IRET, (("mc", "pvm_switcher_iret"),)),
    (SYSRET, (("nmi", SYSCALL), ("mc", "pvm_switcher_nmi"))),
    (FILL, (("mitigations", "pvm_switcher_enter"),)),
    (HYPERCALL, (("mitigations", "pvm_switcher_enter"),)),
    (COMPAT, (("mitigations", "pvm_switcher_enter"),)),
    (BREAKPOINT, (("mitigations", "pvm_switcher_enter"),)),
    (COMPAT, (("cr4", "pvm_switcher_enter"),)),
    (HYPERCALL, (("cr4", "pvm_switcher_enter"),)),
    (COMPAT, (("msrs", "pvm_switcher_enter"),)),
    (SYSRET, (("owed", SYSCALL),)),
    (IRET, (("owed", SYSCALL),)),
    ("LOAD_PGTBL", (("owed", SYSCALL),)),
    (HYPERCALL, (("owed", "pvm_switcher_enter"),)),
    (FILL, (("owed", "pvm_switcher_vector"),)),
    (FILL, (("null_ss", "pvm_switcher_enter"),)),
)


@dataclasses.dataclass(frozen=True)
class Visit:
    """A place in a turn: an instruction of the switcher, and how often it was executed before."""
    address: int
    occurrence: int
    switcher_idt: bool		# whose IDT is loaded


class Scenario:
    """A kind of transition, perhaps with events that come first."""

    def __init__(self, machine, events, kind, first=()):
        self.machine, self.kind = machine, kind
        self.first = [(events[name], label.format(machine.dialect)) for name, label in first]
        # What comes first is about the handlers, and what nothing else reaches.
        self.beyond = machine.host["pvm_switcher_stubs"] if first else 0
        self.name = ", ".join([kind, *(f"{event.name} at {label}" for event, label in self.first)])

    def start(self):
        """From a turn to where the steps begin."""
        machine = self.machine
        for event, label in self.first:
            if label != GUEST:
                machine.remote.run_to(machine.host[label])
            event.provoke(machine.guest[label] if label == GUEST else machine.host[label])

    def end(self):
        """At the turn after it."""
        for event, _ in self.first:
            event.undo()

    def bears(self, event):
        """Can @event come after those that came first?"""
        return event.nests or event not in self.events()

    def events(self):
        return [event for event, _ in self.first]

    def visits(self, known, planned):
        """Of the switcher's instructions, in the order of execution. @known: the paths
        through the switcher that are dealt with already; new ones are added. @planned:
        the addresses that are, whatever the path."""
        machine = self.machine
        machine.warm_up(machine.kinds.index(self.kind))
        self.start()
        steps = [step for step in machine.trace(bool(self.first) or "interrupt in" in self.kind, host=False)
                 if not step.guest]
        self.end()
        seen = collections.Counter()
        switcher_idt = not self.first or self.first[-1][1] != "pvm_switcher_enter"
        found, path = [], []
        for step in steps:
            rip = step.rip
            if rip in machine.text:
                path.append(Visit(rip, seen[rip], switcher_idt))
                switcher_idt ^= machine.instructions[rip][1].startswith("lidt")
                ends = machine.instructions[rip][1].startswith(("sysret", "iret", "ret"))
            seen[rip] += 1
            if path and (rip not in machine.text or ends):
                found += self._worthwhile(path, known, planned)
                path = []
        return found

    def _worthwhile(self, path, known, planned):
        """Of a path that is new, each instruction's first and last time."""
        key = tuple(visit.address for visit in path)
        if key in known:
            return []
        known.add(key)
        times = collections.defaultdict(list)
        for visit in path:
            if visit.address >= self.beyond or visit.address not in planned:
                times[visit.address].append(visit)
        return [visit for visits in times.values() for visit in {visits[0], visits[-1]}]


def handled(before, provoked):
    """Check how many of each event were handled. @before: the counts; @provoked: all that came."""
    for event, count in before.items():
        more, came = event.count() - count, provoked.count(event)
        # The CPU holds one NMI while another is handled, and the switcher one for the host.
        if not (1 if came else 0) <= more <= came:
            raise Failure(f"{came} {event.name} came, {more} were handled")


def inject(scenario, event, visit):
    """True if the guest came to the place."""
    machine, remote = scenario.machine, scenario.machine.remote
    provoked = [*(first for first in scenario.events() if first.counts), event]
    before = {counted: counted.count() for counted in set(provoked)}
    scenario.start()
    remote.breakpoint(visit.address)
    for _ in range(visit.occurrence + 1):
        machine.go_on(machine.host.where(visit.address))
        if machine.at_turn():
            break
    remote.remove_breakpoint(visit.address)
    if machine.at_turn():
        scenario.end()
        return False
    event.inject(visit.address)
    event.settle()
    machine.to_turn()
    handled(before, provoked)
    scenario.end()
    if machine.control().failures:
        raise Failure("the guest found something wrong: " + machine.vm.console().strip().splitlines()[-1])
    return True


class Campaign:
    """All scenarios, over as many machines as it takes."""

    def __init__(self, options):
        self.options = options
        self.name = EVENTS[options.event].name
        self.reached, self.injected, self.missed = set(), 0, 0
        self.failures, self.plan, self.done = [], None, 0

    def run(self):
        while self.plan is None or (self.done < len(self.plan) and len(self.failures) < FAILURES_MAX):
            machine = Machine(self.options.minivisor, self.options.guest, self.options.offsets, cpu=CPU)
            machine.dialect = self.options.dialect
            events = {name: event(machine) for name, event in EVENTS.items()}
            with machine:
                machine.to_host()
                for event in events.values():
                    event.prepare()
                machine.to_turn()
                self._run_on(machine, {**events, **scenes(machine)})
            self.machine = machine

    def _scenarios(self, machine, events):
        event = events[self.options.event]
        found = [Scenario(machine, events, kind) for kind in machine.kinds]
        found += [Scenario(machine, events, kind, first) for kind, first in PROVOKED]
        if self.options.dialect == "single":
            found = [scenario for scenario in found if SINGLE_KINDS.search(scenario.kind)
                     and not any(first.counts for first in scenario.events())]
        return [scenario for scenario in found if scenario.bears(event) and self.options.only in scenario.name]

    def _is_ours(self, label):
        return bool(SINGLE.fullmatch(label)) == (self.options.dialect == "single")

    def _make_plan(self, scenarios, event):
        """[(number of a scenario, visit)]"""
        known, planned, plan = set(), collections.Counter(), []
        for number, scenario in enumerate(scenarios):
            for visit in scenario.visits(known, planned):
                label = scenario.machine.host.where(visit.address).split("+")[0]
                if self._is_ours(label) and label != event.spares and \
                   (visit.switcher_idt or not event.needs_switcher_idt) and planned[visit.address] < event.ways:
                    plan.append((number, visit))
                    planned[visit.address] += 1
        return plan

    def _run_on(self, machine, events):
        """Goes on where the last machine failed, until the next failure or the end."""
        scenarios, event = self._scenarios(machine, events), events[self.options.event]
        if self.plan is None:
            self.plan = self._make_plan(scenarios, event)
        at = None
        for number, visit in self.plan[self.done:]:
            self.done += 1
            scenario = scenarios[number]
            try:
                if number != at:
                    machine.warm_up(machine.kinds.index(scenario.kind))
                    at = number
                hit = inject(scenario, event, visit)
            except Failure as failure:
                self._failed(scenario, visit, failure)
                return
            self.injected += hit
            self.missed += not hit
            if hit:
                self.reached.add(visit.address)
        if (status := machine.finish()) != 0:
            self.failures.append(f"the guest ended with status {status}")

    def _failed(self, scenario, visit, failure):
        where = scenario.machine.host.where(visit.address)
        self.failures.append(f"{scenario.name}: {where} ({visit.address:#x}), time {visit.occurrence + 1}:"
                             f" {failure}")

    def report(self):
        """True if every instruction is reached or explained."""
        machine, where = self.machine, self.machine.host.where
        instructions = {address: text for address, text in machine.real_instructions().items()
                        if self._is_ours(where(address).split("+")[0])}
        missing = [address for address in instructions if address not in self.reached]
        explained, ok = collections.Counter(), True
        for address in missing:
            reason = reason_for(where(address).split("+")[0], self.options.event)
            explained[reason] += 1
            if not reason:
                ok = False
                print(f"not reached: {where(address)}: {instructions[address][1]}")
        for reason, count in explained.items():
            if reason:
                print(f"{count:>5} not reached: {reason}")
        print(f"{self.name}: injected at {self.injected} places, {self.missed} not come to again; "
              f"{len(instructions) - len(missing)} of the switcher's {len(instructions)} instructions"
              f"{' for single CR3 alone' if self.options.dialect == 'single' else ''}")
        return ok


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("event", choices=EVENTS)
    parser.add_argument("minivisor")
    parser.add_argument("guest")
    parser.add_argument("offsets")
    parser.add_argument("--dialect", choices=("dual", "single"), default="dual", help="the guest's")
    parser.add_argument("--only", default="", help="scenarios whose name contains this")
    options = parser.parse_args()
    campaign = Campaign(options)
    campaign.run()
    for failure in campaign.failures:
        print("FAILED:", failure)
    whole = campaign.report()
    return 0 if (whole or options.only) and not campaign.failures else 1


if __name__ == "__main__":
    sys.exit(main())
