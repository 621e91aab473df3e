# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
"""What can be made to happen at an instruction, and who counts it.

Each event is made before its machine starts; prepare() once, while the host
runs; inject() at a stop, settle() after it; count(): how many were handled.
"""
import struct

from failure import Failure

DIRECT_VIRT = 0xffffff0000000000	# examples/minivisor/layout.h: physical memory
APIC_LVT_LINT0 = 0xfee00350
APIC_LVT_LINT1 = 0xfee00360
LVT_NMI, LVT_EXTINT = 0x400, 0x700
VECTOR_KICK = 0xed			# examples/minivisor/trap.h
PIC, SLAVE, UART = 0x20, 0xa0, 0x3e8
MCG_RIPV, MCG_MCIP = 1, 4
MCI_VALID_UNCORRECTED = 0xb0 << 56	# VAL, UC, EN
MCE_BANK = 9
RF = 1 << 16
DR7_GLOBAL3 = 2 << 6			# DR3, execution
EXTRA_MSRS = 16				# libpvm/switcher/area.h
MTRR_BASES = 0x200, 0x202		# nothing that the host relies on

# Instructions that change no flag, for Machine.ring0().
OUTB = b"\xee"				# out %al, (%dx)
INB = b"\xec"				# in (%dx), %al
STORE = b"\x89\x02"			# mov %eax, (%rdx)
LOAD_SS = b"\x8e\xd0"			# mov %eax, %ss
READ_DRS = b"\x0f\x21\xf8\x0f\x21\xda"	# mov %dr7, %rax; mov %dr3, %rdx
RDMSR = b"\x0f\x32"			# rdmsr: of %ecx
WRITE_DRS = b"\x0f\x23\xda\x0f\x23\xf8"	# mov %rdx, %dr3; mov %rax, %dr7


# libpvm/abi/list.h, ABI_FRAMES.
FRAMES = (("frame_read", "return_refused"), ("xen_frame_read", "xen_iret_refused"), ("xen_frame_write", "xen_syscall_refused"))


class Event:
    # Only where the switcher's own IDT is loaded; elsewhere the host's own rules hold.
    needs_switcher_idt = False
    # One that comes while another is handled waits, or is lost; it does no harm.
    nests = True
    # The label whose instructions it cannot come at.
    spares = None
    # In how many of the ways through an instruction it is tried.
    ways = 1000
    # False for what only sets the scene.
    counts = True

    def __init__(self, machine):
        self.machine = machine

    def prepare(self):
        pass

    def settle(self):
        """Before the guest goes on to its turn."""

    def provoke(self, address):
        """inject(), as something that comes before another event."""
        self.inject(address)

    def undo(self):
        """What provoke() left, at a turn."""


class Nmi(Event):
    """By the machine's NMI button, which is wired to LINT1."""
    name = "NMI"

    def prepare(self):
        self.machine.ring0(STORE, rdx=DIRECT_VIRT + APIC_LVT_LINT1, rax=LVT_NMI)

    def inject(self, address):
        self.machine.vm.monitor.nmi()

    def count(self):
        return self.machine.host_u64("minivisor_nmis")


class Interrupt(Event):
    """A byte on a serial port, whose IRQ comes through the 8259 with the vector of a kick."""
    name = "device interrupt"
    irq = VECTOR_KICK & 7

    def __init__(self, machine):
        super().__init__(machine)
        self.port = machine.vm.serial("isa-serial", iobase=UART, irq=self.irq)

    def prepare(self):
        self.machine.ring0(STORE, rdx=DIRECT_VIRT + APIC_LVT_LINT0, rax=LVT_EXTINT)
        # ICW1 to ICW4 with automatic end of interrupt, then the mask.
        for port, value in ((PIC, 0x11), (PIC + 1, VECTOR_KICK & ~7), (PIC + 1, 4), (PIC + 1, 3),
                            (SLAVE + 1, 0xff), (PIC + 1, 0xff & ~(1 << self.irq)),
                            (UART + 4, 8), (UART + 1, 1)):	# OUT2; an interrupt per byte
            self.machine.ring0(OUTB, rdx=port, rax=value)

    def inject(self, address):
        self.machine.ring0(INB, rdx=UART)			# the last one's byte: its IRQ goes low
        self.port.sendall(b"!")
        while not self._waits():			# the machine is stopped, QEMU is not
            pass

    def _waits(self):
        for line in self.machine.vm.monitor.human("info pic").splitlines():
            if line.startswith("pic0:"):
                return int(line.split("irr=")[1].split()[0], 16) >> self.irq & 1
        return False

    def count(self):
        return self.machine.host_u64("minivisor_kicks")


class Debug(Event):
    """A breakpoint of the CPU's own on the instruction, armed for that one time."""
    name = "#DB"
    needs_switcher_idt = True
    nests = False		# IST: it would come down on itself. M7 keeps breakpoints off the handler,
    spares = "pvm_switcher_db"	# too

    def inject(self, address):
        before = self.machine.ring0(READ_DRS)
        self.dr3, self.armed = before["rdx"], address
        self.machine.ring0(WRITE_DRS, rax=before["rax"] | DR7_GLOBAL3, rdx=address)

    def _disarm(self):
        now = self.machine.ring0(READ_DRS)
        self.machine.ring0(WRITE_DRS, rax=now["rax"] & ~DR7_GLOBAL3, rdx=self.dr3)

    def settle(self):
        """The handler is about to return to the instruction, with RF so that it is executed.
        It is disarmed here: QEMU raises #DB for each stop of the stub at an armed place."""
        remote, handler = self.machine.remote, self.machine.host["pvm_switcher_db"]
        self.machine.run_to(handler)
        self.machine.run_to(min(address for address, (_, text) in self.machine.instructions.items()
                                if address > handler and text.startswith("iret")))
        rip, _, rflags = struct.unpack("<3Q", remote.read(remote.read_register("rsp"), 24))
        if rip != self.armed:
            raise Failure(f"its handler returns to {self.machine.where(rip)}")
        if not rflags & RF:
            raise Failure("its handler returns without RF")
        self._disarm()

    def provoke(self, address):
        self.inject(address)
        self.machine.run_to(self.machine.host["pvm_switcher_db"])
        self._disarm()

    def count(self):
        return self.machine.area_u64("WINDOW_DBS")


def frame_at(host, address):
    """(label, where it is left) of the frame on the guest's stack that is read or written there, or None."""
    for name, refused in FRAMES:
        if host[f"pvm_switcher_{name}"] <= address < host[f"pvm_switcher_{name}_end"]:
            return name, host[f"pvm_switcher_{refused}"]
    return None


def leaves_frame(remote, host, address):
    """S12: a #MC that was injected at @address, in a frame, and that comes there: the frame is left. QEMU may execute
    an instruction first."""
    if not frame_at(host, address):
        return
    remote.run_to(host["pvm_switcher_mc"])
    interrupted = int.from_bytes(remote.read(remote.read_register("rsp"), 8), "little")
    found = frame_at(host, interrupted)
    if not found:
        return
    name, refused = found
    remote.breakpoint(interrupted)
    remote.breakpoint(refused)
    remote.run()
    at = remote.rip()
    remote.remove_breakpoint(interrupted)
    remote.remove_breakpoint(refused)
    if at != refused:
        raise Failure(f"S12: a #MC in {name} at {interrupted:#x}, and it goes on at {at:#x}")


class MachineCheck(Event):
    """An uncorrected error that the interrupted program survives."""
    name = "#MC"
    nests = False		# the CPU shuts down
    ways = 2			# as an NMI, which is tried in all

    def inject(self, address):
        self.at = address
        said = self.machine.vm.monitor.human(
            f"mce 0 {MCE_BANK} {MCI_VALID_UNCORRECTED:#x} {MCG_RIPV | MCG_MCIP} 0 0").strip()
        if said:
            raise Failure(f"mce: {said}")

    def settle(self):
        """An error of the guest's stack is where the frame is read, and comes again there."""
        leaves_frame(self.machine.remote, self.machine.host, self.at)

    def count(self):
        return self.machine.host_u64("minivisor_machine_checks")


class Words(Event):
    """What another CPU, or another kind of CPU, would have left in the area."""
    counts = False

    def __init__(self, machine, name, **words):
        super().__init__(machine)
        self.name, self.words, self.before = name, words, {}

    def _at(self, name):
        return self.machine.area + self.machine.offsets["CPU_" + name]

    def provoke(self, address):
        for name, value in self.words.items():
            self.before[name] = self.machine.remote.read(self._at(name), 4)
            self.machine.remote.write(self._at(name), value.to_bytes(4, "little"))

    def undo(self):
        for name, before in self.before.items():
            self.machine.remote.write(self._at(name), before)


class Cr4(Words):
    """A CR4 that user mode has alone. It goes back to the host's before the words do."""

    def undo(self):
        self.machine.to_host()
        super().undo()
        self.machine.to_turn()


class Msrs(Words):
    """MSRs that are others while a guest runs, as pvm_switcher_set_msrs() leaves them. The host has its
    own values again before the words go back."""

    def __init__(self, machine):
        super().__init__(machine, "other MSRs", EXTRAS=EXTRA_MSRS)

    def _host_has(self):
        return [self.machine.ring0(RDMSR, rcx=index)["rax"] & 0xffffffff for index in MTRR_BASES]

    def provoke(self, address):
        remote, size = self.machine.remote, self.machine.offsets["MSR_SIZE"]
        super().provoke(address)
        self.values = self._host_has()
        for i, index in enumerate(MTRR_BASES):
            remote.write(self._at("MSRS") + i * size, struct.pack("<3I", index, self.values[i] ^ 6, 0))
        remote.write(self._at("MSRS_END"), struct.pack("<Q", self._at("MSRS") + len(MTRR_BASES) * size))

    def undo(self):
        self.machine.to_host()
        if self._host_has() != self.values:
            raise Failure("the host's MSRs are not what they were")
        super().undo()
        self.machine.to_turn()


class NullSs(Event):
    """What an interrupt from CPL 3 leaves in SS while its handler runs."""
    name = "a NULL SS"
    counts = False

    def provoke(self, address):
        self.ss = self.machine.remote.read_register("ss")
        self.machine.ring0(LOAD_SS, rax=0)

    def undo(self):
        self.machine.to_host()
        self.machine.ring0(LOAD_SS, rax=self.ss)
        self.machine.to_turn()


def scenes(machine):
    """{ name: what is no event, but comes before one }"""
    return {
        "null_ss": NullSs(machine),
        # pvm_switcher_flush() on another CPU.
        "owed": Words(machine, "flushes owed", OWED=0xffffffff),
        # CR4.DE: a bit without effect at CPL 3.
        "cr4": Cr4(machine, "another CR4", EXTRAS=8, CR4_USER=8),
        "msrs": Msrs(machine),
        # All of entry.S's, pvm/switcher.h; TCG's CPU needs none.
        "mitigations": Words(machine, "all mitigations", MITIGATIONS=0xcf, EXTRAS=1),
    }


EVENTS = {"nmi": Nmi, "irq": Interrupt, "db": Debug, "mc": MachineCheck}
