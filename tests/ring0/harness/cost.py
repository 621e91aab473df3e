# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
"""What each operation costs: instructions and slow events at CPL 0, counted one by one.

Owns the rows and their targets. An operation is all that runs between a guest's
instruction and the guest's next one; the guest's own instructions are not in it.
"""
import collections
import dataclasses

from image import slow_event
from failure import Failure
from machine import STUB_SIZE


PF = 14		# #PF's vector
PERIOD = 16	# turns after which every kind does the very same again


@dataclasses.dataclass(frozen=True)
class Row:
    name: str
    kind: str			# the guest's transition
    legs: tuple			# the guest's labels that the legs start at
    target: int = 0		# instructions; 0: none
    limits: tuple = ()		# (slow event, most of them in one leg or, for one leg, in all)
    what: str = ""
    turns: int = 1			# the dearest of so many counts
    compiled: bool = False		# there is C in it: its count is the compiler's, too
    until: str = ""				# a label: all legs from legs[0] on until it


NEVER = ("wrmsr", 0)
ROWS = (
    Row("switcher.syscall", "user SYSCALL, EVENT_RETURN_USER by SYSRET", ("user_syscall_only", "retu_syscall"),
        110, (("mov cr3", 1), NEVER), "user SYSCALL to supervisor mode, EVENT_RETURN_USER back"),
    Row("switcher.syscall_iret", "user SYSCALL, EVENT_RETURN_USER by IRET", ("user_syscall_only", "retu_syscall"),
        0, (("mov cr3", 1), NEVER), "the same where RCX or R11 want IRET"),
    Row("switcher.hypercall", "hypercall without a function", ("probe_hypercall_at",),
        350, (("lidt", 2), NEVER), "a PVM hypercall through the engine, there and back: a number without a function",
        compiled=True),
    Row("switcher.hypercall_rdmsr", "hypercall in the engine", ("probe_hypercall_at",),
        0, (("lidt", 2), NEVER), "the same that does something: RDMSR"),
    Row("switcher.load_pgtbl", "LOAD_PGTBL", ("probe_hypercall_at",),
        60, (NEVER,), "LOAD_PGTBL of published page tables: the dearest of the four", turns=4),
    Row("switcher.exception", "INT3 in user mode", ("user_bp",),
        900, (), "#BP in user mode reflected to the supervisor; so are #DE and others",
        compiled=True),
    Row("switcher.exception_ud", "exception in user mode", ("user_ud",),
        0, (), "#UD, on AMD's CPUs: its instruction is looked at first, SYSENTER is #GP"),
    Row("switcher.exception_decoded", "exception in supervisor mode, EVENT_RETURN_SUPERVISOR", ("probe_ud_at",),
        0, (), "#UD in supervisor mode, which is fetched and decoded first, reflected to its handler"),
    Row("switcher.return_supervisor", "exception in supervisor mode, EVENT_RETURN_SUPERVISOR", ("rets_syscall",),
        0, (), "EVENT_RETURN_SUPERVISOR"),
    Row("switcher.fill", "fill in user mode", ("user_touch",),
        950, (), "first touch of a page by user mode that the engine fills", compiled=True),
    Row("switcher.page_fault", "page fault in user mode that the guest answers", ("user_touch_at",),
        1685, (), "#PF in user mode: reflected, answered with an entry, EVENT_RETURN_USER, the same access again",
        until="user_touch_next", compiled=True),
    Row("switcher.invlpg", "INVLPG of an entry that is gone", ("probe_hypercall_at",),
        1645, (), "TLB_INVLPG of an address whose shadowed entry the guest has cleared", compiled=True),
    Row("switcher.load_pgtbl_new", "LOAD_PGTBL of halves of different pairs", ("probe_hypercall_at",),
        1430, (), "LOAD_PGTBL of page tables that are not published", compiled=True),
    Row("switcher.interrupt", "interrupt that waits for the return to user mode", ("retu_syscall",),
        2055, (), "EVENT_RETURN_USER for which an interrupt waits: delivered, until its EOI is done; the local APIC"
        " is minivisor's", until="interrupt_over", compiled=True),
)
WORLD_ROW = Row("switcher.world_switch", "hypercall in the engine", (), 0, (NEVER,),
                "pvm_switcher_enter() alone: out of the guest and in again")


@dataclasses.dataclass
class Leg:
    """A stretch at CPL 0 between two guest instructions."""
    steps: list

    def instructions(self):
        """REP counts once however often it repeats."""
        return sum(1 for a, b in zip([None, *self.steps], self.steps) if a is None or a.rip != b.rip)


@dataclasses.dataclass
class Cost:
    row: Row
    instructions: int
    events: collections.Counter
    functions: collections.Counter
    problems: list


def legs_of(steps):
    """{ guest address: [Leg] } of a turn."""
    legs = collections.defaultdict(list)
    start, leg = None, []
    for step in steps:
        if not step.guest:
            leg.append(step)
            continue
        if leg and start is not None:
            legs[start].append(Leg(leg))
        start, leg = step.rip, []
    return legs


def legs_between(steps, start, end):
    """All legs from the first at @start on, until the guest is at @end."""
    legs, leg, begun = [], [], False
    for step in steps:
        if not step.guest:
            leg.append(step)
            continue
        if begun and leg:
            legs.append(Leg(leg))
        if begun and step.rip == end:
            return legs
        begun, leg = begun or step.rip == start, []
    return []


class Counter:
    """Counts on one machine, which is at a turn."""

    def __init__(self, machine, slack=0):
        """@slack: percent that rows with C in them may be over their target; None: any."""
        self.machine, self.slack = machine, slack
        self.code = machine.host.instructions()
        self.guest_code = machine.guest.instructions()
        self.turns = {}

    def turn(self, kind, number_of=1):
        """[steps] of warm turns of @kind, checked against the TSC."""
        machine = self.machine
        if len(self.turns.get(kind, [])) >= number_of:
            return self.turns[kind]
        number = machine.kinds.index(kind)
        machine.choose(number)
        for _ in range(PERIOD + 1):
            machine.to_turn()
        ticks = machine.control().ticks
        for _ in range(PERIOD - 1):
            machine.to_turn()
        self.turns[kind] = [machine.trace() for _ in range(number_of)]
        self._cross_check(kind, self.turns[kind][0], ticks)
        return self.turns[kind]

    def _cross_check(self, kind, steps, ticks):
        """Between its two RDTSCs the guest's TSC counted as many as were stepped, but for
        a guest's instruction that raised #PF: that was not executed."""
        marks = [i for i, step in enumerate(steps) if step.guest and self.guest_code[step.rip][1] == "rdtsc"]
        between = steps[marks[0]:marks[-1]]
        page_fault = self.machine.host["pvm_switcher_stubs"] + PF * STUB_SIZE
        counted = len(between) - sum(1 for step in between if step.rip == page_fault)
        if counted != ticks:
            raise Failure(f"{kind}: {counted} steps, but the TSC says {ticks}")

    def events(self, leg):
        found = collections.Counter()
        for step in leg.steps:
            if step.rip not in self.code:
                raise Failure(f"no instruction known at {step.rip:#x}, {self.machine.host.where(step.rip)}")
            if event := slow_event(self.code[step.rip][1]):
                found[event] += 1
        return found

    def functions(self, leg):
        where = self.machine.host.where
        return collections.Counter(where(step.rip).split("+")[0] for step in leg.steps)

    def cost(self, row):
        if row is WORLD_ROW:
            return self.world_switch()
        costs = [self._cost_of_turn(row, steps) for steps in self.turn(row.kind, row.turns)]
        return max(costs, key=lambda cost: cost.instructions)

    def _cost_of_turn(self, row, steps):
        chosen, problems = self._chosen(row, steps), []
        instructions = sum(leg.instructions() for leg in chosen)
        most = self._most(row)
        if most and instructions > most:
            problems.append(f"{instructions} instructions, at most {most}")
        events = [self.events(leg) for leg in chosen]
        for event, most in row.limits:
            for label, found in zip(row.legs, events):
                if found[event] > most:
                    problems.append(f"{found[event]} {event} from {label} on, at most {most}")
        return Cost(row, instructions, sum(events, collections.Counter()),
                    sum((self.functions(leg) for leg in chosen), collections.Counter()), problems)

    def _chosen(self, row, steps):
        guest = self.machine.guest
        if row.until:
            legs = legs_between(steps, guest[row.legs[0]], guest[row.until])
            if not legs:
                raise Failure(f"{row.name}: the guest did not go from {row.legs[0]} to {row.until}")
            return legs
        legs = legs_of(steps)
        for label in row.legs:
            if guest[label] not in legs:
                raise Failure(f"{row.name}: the guest did not go to CPL 0 at {label}")
        return [legs[guest[label]][0] for label in row.legs]

    def _most(self, row):
        """Instructions that are not too many; 0: there is no such number."""
        if not row.compiled:
            return row.target
        return 0 if self.slack is None else row.target * (100 + self.slack) // 100

    def world_switch(self):
        """pvm_switcher_enter() alone: the way out of a hypercall and the way in after it."""
        leg = legs_of(self.turn("hypercall in the engine")[0])[self.machine.guest["probe_hypercall_at"]][0]
        # Through a pointer: the step before its first instruction.
        calls = [i - 1 for i, step in enumerate(leg.steps) if step.rip == self.machine.host["pvm_switcher_enter"]]
        call = leg.steps[calls[0]]
        after = call.rip + self.code[call.rip][0]
        out = next(i for i, step in enumerate(leg.steps) if step.rip == after)
        both = Leg(leg.steps[:out] + leg.steps[calls[0] + 1:])
        events = self.events(both)
        problems = [f"{events[event]} {event}" for event, most in WORLD_ROW.limits if events[event] > most]
        return Cost(WORLD_ROW, both.instructions(), events, self.functions(both), problems)
