#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
"""One event at every instruction of the switcher, during every kind of transition.

    everywhere.py EVENT MINIVISOR GUEST OFFSETS

S12: the machine is stopped at each instruction that the switcher executes in
each of the guest's transitions, the event is injected there, and it must have
been handled exactly once when the guest, with all its registers as they should
be, is at its next turn. The handlers' own instructions are reached by events
that are provoked first. Prints the coverage of the switcher's instructions.
"""
import argparse
import collections
import dataclasses
import sys

from events import EVENTS
from machine import Failure, Machine
from unreached import UNREACHED

# The first, second and last time that an instruction is executed in a turn.
OCCURRENCES = (0, 1, -1)
FAILURES_MAX = 5
GUEST = "transitions_here"	# as a place to provoke an event at: the guest itself

SYSRET = "user SYSCALL, EVENT_RETURN_USER by SYSRET"
IRET = "user SYSCALL, EVENT_RETURN_USER by IRET"
# (kind, the events that come first, each with the label where it comes)
PROVOKED = (
    (SYSRET, (("nmi", GUEST),)),
    (SYSRET, (("mc", GUEST),)),
    (SYSRET, (("nmi", "pvm_switcher_syscall"),)),
    (SYSRET, (("mc", "pvm_switcher_syscall"),)),
    (SYSRET, (("db", "pvm_switcher_syscall"),)),
    (SYSRET, (("nmi", "pvm_switcher_sysret"),)),
    (SYSRET, (("mc", "pvm_switcher_sysret"),)),
    (IRET, (("nmi", "pvm_switcher_iret"),)),
    (IRET, (("mc", "pvm_switcher_iret"),)),
    (SYSRET, (("nmi", "pvm_switcher_syscall"), ("mc", "pvm_switcher_nmi"))),
)


@dataclasses.dataclass(frozen=True)
class Visit:
    """A place in a turn: an instruction of the switcher, and how often it was executed before."""
    address: int
    occurrence: int
    switcher_idt: bool		# whose IDT is loaded
    later: int			# where CPL 0 goes on behind it, 0: nowhere


class Scenario:
    """A kind of transition, perhaps with events that come first."""

    def __init__(self, machine, events, kind, first=()):
        self.machine, self.kind = machine, kind
        self.first = [(events[name], label) for name, label in first]
        self.name = ", ".join([kind, *(f"{event.name} at {label}" for event, label in self.first)])

    def start(self):
        """From a turn to where the steps begin."""
        machine = self.machine
        for event, label in self.first:
            if label != GUEST:
                machine.remote.run_to(machine.host[label])
            event.provoke(machine.guest[label] if label == GUEST else machine.host[label])

    def bears(self, event):
        """Can @event come behind those that came first?"""
        return event.nests or event not in self.events()

    def events(self):
        return [event for event, _ in self.first]

    def visits(self):
        """Of the switcher's instructions, in the order of execution."""
        machine = self.machine
        machine.warm_up(machine.kinds.index(self.kind))
        self.start()
        steps = [step for step in machine.trace(interrupts=bool(self.first) or "interrupt in" in self.kind)
                 if not step.guest]
        count = collections.Counter(step.rip for step in steps)
        seen = collections.Counter()
        switcher_idt, found = True, []
        for index, step in enumerate(steps):
            rip = step.rip
            if rip in machine.text:
                if seen[rip] in {o % count[rip] for o in OCCURRENCES if o < count[rip]}:
                    later = steps[index + 1].rip if index + 1 < len(steps) else 0
                    found.append(Visit(rip, seen[rip], switcher_idt, later))
                switcher_idt ^= machine.instructions[rip][1].startswith("lidt")
            seen[rip] += 1
        return found


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
    provoked = [*scenario.events(), event]
    before = {counted: counted.count() for counted in set(provoked)}
    failures = machine.control().failures
    scenario.start()
    remote.breakpoint(visit.address)
    for _ in range(visit.occurrence + 1):
        machine.go_on(machine.host.where(visit.address))
        if machine.at_turn():
            break
    remote.remove_breakpoint(visit.address)
    if machine.at_turn():
        return False
    event.inject(visit.address)
    if visit.later:
        event.settle([visit.later])
    machine.to_turn()
    handled(before, provoked)
    if machine.control().failures != failures:
        raise Failure("the guest found something wrong: " + machine.vm.console().strip().splitlines()[-1])
    return True


class Campaign:
    """All scenarios, over as many machines as it takes."""

    def __init__(self, options):
        self.options = options
        self.name = EVENTS[options.event].name
        self.reached, self.injected, self.missed = set(), 0, 0
        self.failures = []

    def run(self):
        place = 0, 0
        while place and len(self.failures) < FAILURES_MAX:
            machine = Machine(self.options.minivisor, self.options.guest, self.options.offsets)
            events = {name: event(machine) for name, event in EVENTS.items()}
            with machine:
                machine.to_host()
                for event in events.values():
                    event.prepare()
                machine.to_turn()
                place = self._from(machine, events, place)
                self.machine = machine

    def _scenarios(self, machine, events):
        event = events[self.options.event]
        found = [Scenario(machine, events, kind) for kind in machine.kinds]
        found += [Scenario(machine, events, kind, first) for kind, first in PROVOKED]
        return [scenario for scenario in found if scenario.bears(event) and self.options.only in scenario.name]

    def _from(self, machine, events, place):
        """Goes on where the last machine failed; returns where this one does, or None."""
        event = events[self.options.event]
        for number, scenario in enumerate(self._scenarios(machine, events)):
            if number < place[0]:
                continue
            for index, visit in enumerate(scenario.visits()):
                if (number, index) < place or (event.needs_switcher_idt and not visit.switcher_idt):
                    continue
                try:
                    hit = inject(scenario, event, visit)
                except Failure as failure:
                    self._failed(scenario, visit, failure)
                    return number, index + 1
                self.injected += hit
                self.missed += not hit
                if hit:
                    self.reached.add(visit.address)
        if (status := machine.finish()) != 0:
            self.failures.append(f"the guest ended with status {status}")
        return None

    def _failed(self, scenario, visit, failure):
        where = scenario.machine.host.where(visit.address)
        self.failures.append(f"{scenario.name}: {where} ({visit.address:#x}), time {visit.occurrence + 1}:"
                             f" {failure}")

    def report(self):
        """True if every instruction is reached or explained."""
        instructions, where = self.machine.instructions, self.machine.host.where
        by_label = collections.defaultdict(list)
        for address in instructions:
            by_label[where(address).split("+")[0]].append(address)
        ok = True
        for label, addresses in by_label.items():
            missing = [address for address in addresses if address not in self.reached]
            reason = UNREACHED.get(label, {}).get(self.options.event) or UNREACHED.get(label, {}).get("any")
            if missing and not reason:
                ok = False
                for address in missing:
                    print(f"not reached: {where(address)}: {instructions[address][1]}")
            elif missing:
                print(f"{label}: {len(missing)} of {len(addresses)} not reached: {reason}")
            elif reason:
                ok = False
                print(f"{label} is reached, and explained as if it were not")
        print(f"{self.name}: injected at {self.injected} places, {self.missed} not come to again; "
              f"{len(self.reached)} of the switcher's {len(instructions)} instructions")
        return ok


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("event", choices=EVENTS)
    parser.add_argument("minivisor")
    parser.add_argument("guest")
    parser.add_argument("offsets")
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
