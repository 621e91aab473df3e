# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
"""minivisor with the guest `transitions` in a QEMU, stopped between two turns.

Owns what the harness knows of the two images: the guest's control structure
(tests/ring0/guests/transitions.h), the host's counters, the switcher's text.
Time is counted in instructions, so that every run is the same.
"""
import dataclasses
import pathlib
import re
import struct

from failure import Failure
from image import Image
from rsp import Ended, RemoteError
from vm import VM

IMAGE_VIRT = 0xffff87ff80000000		# examples/minivisor/layout.h: linear address of physical 0
SLIDE = 0x780000000000			# by which it is below the one that it is linked at
CPU = "max,la57=off,pku=off"
CONTROL = struct.Struct("<5Q")		# struct control
TRANSITION = struct.Struct("<2Q")	# struct transition
WARM_UP = 4				# turns after which nothing is filled or published any more
STEPS_MAX = 200000			# of one turn
STUB_SIZE = 16
STUBS_TOLD_APART = (6, 14)		# without an error code and with one: #UD, #PF
ERROR_CODES = (8, 10, 11, 12, 13, 14, 17, 21, 29, 30)
FILLING = re.compile(r"^(nop|data16|cs nop|xchg\s+%ax,%ax|int3)")
BORROWED = 16				# bytes at the end of the switcher's text
NOP = b"\x90"
STEP_PLAIN, STEP_WITH_INTERRUPTS = 7, 1	# the stub's: enable, no interrupts, no timers


@dataclasses.dataclass
class Control:
    kind: int
    turns: int
    failures: int
    ticks: int
    stops: int


@dataclasses.dataclass(frozen=True)
class Step:
    """An instruction about to be executed."""
    rip: int
    guest: bool


class Machine:
    """As a context: stopped at the guest's first turn."""

    def __init__(self, minivisor, guest, offsets, append="", **options):
        self.host = Image(minivisor, SLIDE)
        self.guest = Image(guest)
        self.vm = VM(minivisor, guest, append=append, **{"icount": True, "cpu": CPU, **options})
        self.offsets = self._read_offsets(offsets)
        self.text = range(self.host["pvm_switcher_text_start"], self.host["pvm_switcher_text_end"])
        self.instructions = self.host.instructions(self.text.start, self.text.stop)

    @staticmethod
    def _read_offsets(path):
        """The switcher's offsets.h: { name: offset }."""
        lines = pathlib.Path(path).read_text().splitlines()
        return {name: int(value) for define, name, value in
                (line.split() for line in lines if line.startswith("#define"))}

    def __enter__(self):
        self.vm.__enter__()
        try:
            self.remote = self.vm.remote
            self.remote.breakpoint(self.guest["transitions_here"])
            self.to_turn()
            self.kinds = self._kinds()
            self.choose(0)			# or it would go on by itself
        except BaseException:
            self.vm.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.vm.__exit__()

    # -- the guest ---------------------------------------------------------

    def _kinds(self):
        """The names of the guest's transitions, by their number."""
        count = int.from_bytes(self.guest.read(self.guest["transitions_count"], 8), "little")
        table = self.guest.read(self.guest["transitions"], count * TRANSITION.size)
        return [self._string(name) for name, _ in TRANSITION.iter_unpack(table)]

    def _string(self, address):
        text = b""
        while not text.endswith(b"\0"):
            text += self.guest.read(address + len(text), 1)
        return text[:-1].decode()

    def control(self):
        return Control(*CONTROL.unpack(self.remote.read(self.guest["transitions_control"], CONTROL.size)))

    def choose(self, kind):
        """Which the next turns run. At a turn."""
        self.remote.write_u64(self.guest["transitions_control"], kind)

    def at_turn(self):
        return self.remote.rip() == self.guest["transitions_here"]

    def to_turn(self):
        """Run until the guest's next turn."""
        self.go_on("transitions_here")
        if not self.at_turn():
            raise Failure(f"stopped at {self.where()}, not at the guest's next turn")

    def go_on(self, what):
        """Run to any breakpoint; @what is awaited, for the message."""
        try:
            if self.at_turn():		# past its breakpoint; a step would cost QEMU its translations
                self.remote.write_register("rip", self.guest["transitions_here"] + len(NOP))
            self.remote.run()
        except (Ended, TimeoutError) as error:
            raise Failure(self._post_mortem(f"waiting for {what}: {error or 'it hangs'}",
                                            isinstance(error, TimeoutError))) from None

    def run_to(self, address):
        """Run until the instruction at @address is next, or fail."""
        self.remote.breakpoint(address)
        self.go_on(self.where(address))
        self.remote.remove_breakpoint(address)
        if self.remote.rip() != address:
            raise Failure(f"stopped at {self.where()}, not at {self.where(address)}")

    def _post_mortem(self, text, hung):
        if hung:
            try:
                self.remote.interrupt()
                text += f" at {self.where()}"
            except (RemoteError, TimeoutError):
                pass
        said = (self.vm.messages() + self.vm.console()).strip()
        return text + ("\n" + "\n".join(said.splitlines()[-8:]) if said else "")

    def warm_up(self, kind):
        self.choose(kind)
        for _ in range(WARM_UP):
            self.to_turn()

    def finish(self):
        """Let the guest end; returns minivisor's status."""
        self.choose(len(self.kinds))
        self.remote.go()
        try:
            self.remote.wait()
        except Ended:
            pass
        return self.vm.status()

    # -- the host ----------------------------------------------------------

    def host_u64(self, symbol, offset=0):
        """A word of minivisor's, whatever root is loaded."""
        with self.remote.physical() as remote:
            return remote.read_u64(self.host[symbol] + offset - IMAGE_VIRT)

    def to_host(self):
        """Run until the host is about to enter the guest."""
        self.remote.run_to(self.host["pvm_switcher_enter"])
        self.area = self.remote.registers()["rdi"]

    def area_u64(self, name):
        """A word of the switcher's area of the CPU; every root maps it. After to_host()."""
        return self.remote.read_u64(self.area + self.offsets["CPU_" + name])

    def ring0(self, code, **registers):
        """Run a few instructions that change no flag, at CPL 0, as if they were at RIP.

        They borrow the last bytes of the switcher's text, which every root maps.
        Returns the registers after them; all is as before afterwards.
        """
        remote, at = self.remote, self.text.stop - BORROWED
        saved, text = remote.registers(), remote.read(at, len(code) + 1)
        remote.write(at, code + NOP)
        for name, value in {**registers, "rip": at}.items():
            remote.write_register(name, value)
        remote.run_to(at + len(code))
        after = remote.registers()
        remote.write(at, text)
        for name in {*registers, *(name for name in after if after[name] != saved[name])}:
            remote.write_register(name, saved[name])
        return after

    def real_instructions(self):
        """The switcher's, without what only fills gaps or stops speculation, and with one
        stub of those that differ in nothing but their vector's number."""
        stubs = range(self.host["pvm_switcher_stubs"], self.host["pvm_switcher_vector"])
        found = {}
        for address, (length, text) in self.instructions.items():
            if address < self.host["pvm_switcher_vectors_end"] and not FILLING.match(text):
                found[address] = length, text
        self._check_stubs(stubs, found)
        return {address: found[address] for address in found
                if address not in stubs or (address - stubs.start) // STUB_SIZE in STUBS_TOLD_APART}

    def _check_stubs(self, stubs, instructions):
        """Stubs push their number, after a zero unless the CPU pushes an error code."""
        for vector in range(256):
            at = stubs.start + vector * STUB_SIZE
            texts = [instructions[a][1].split()[:2] for a in range(at, at + STUB_SIZE) if a in instructions]
            number = vector if vector < 128 else 0xffffffff00000000 | vector if vector >> 31 else vector
            zero = [] if vector in ERROR_CODES else [["push", "$0x0"]]
            if [t[:2] for t in texts] != [["endbr64"], *zero, ["push", f"${number:#x}"], texts[-1]] or \
               texts[-1][0] != "jmp":
                raise Failure(f"the stub of vector {vector} is not like the others: {texts}")

    def where(self, rip=None):
        """"symbol+0x12" of an address, or of where it is."""
        rip = self.remote.rip() if rip is None else rip
        return self.host.where(rip) if IMAGE_VIRT <= rip < IMAGE_VIRT + (2 << 30) else self.guest.where(rip)

    # -- single steps ------------------------------------------------------

    def trace(self, interrupts=False, host=True):
        """All steps from one turn to the next. @interrupts: let them in meanwhile. Without
        @host what the host does between two runs of the guest is left out."""
        remote, enter = self.remote, self.host["pvm_switcher_enter"]
        remote.sstep(STEP_WITH_INTERRUPTS if interrupts else STEP_PLAIN)
        steps = []
        while True:
            rip, cs = remote.rip_and_cs()
            if steps and rip == self.guest["transitions_here"]:
                return steps
            steps.append(Step(rip, bool(cs & 3)))
            if len(steps) > STEPS_MAX:
                raise Failure(f"no end after {STEPS_MAX} steps, at {self.where()}")
            try:
                if host or cs & 3 or rip in self.text:
                    remote.step()
                else:
                    remote.run_to(enter)
            except (Ended, TimeoutError) as error:
                raise Failure(self._post_mortem(f"{error} after {self.host.where(rip)}", False)) from None
