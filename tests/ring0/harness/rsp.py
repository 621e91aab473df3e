# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
"""GDB's remote protocol, as QEMU's stub speaks it, over a connected socket.

Owns the packets and the numbers of x86-64's registers. Knows nothing of what
runs in the machine. All waiting is bounded by the socket's timeout.
"""
import contextlib
import re
import struct

GENERAL = ["rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp",
           "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"]
# Name: number and size in bytes, in the order of QEMU's target description.
REGISTERS = {name: (number, 8) for number, name in enumerate(GENERAL)}
REGISTERS["rip"] = (16, 8)
for _number, _name in enumerate(["eflags", "cs", "ss", "ds", "es", "fs", "gs"], 17):
    REGISTERS[_name] = (_number, 4)
for _number, _name in enumerate(["fs_base", "gs_base", "k_gs_base", "cr0", "cr2", "cr3", "cr4", "cr8",
                                 "efer"], 24):
    REGISTERS[_name] = (_number, 8)


class RemoteError(Exception):
    """The stub refused, or is gone."""


class Ended(RemoteError):
    """The machine ended: the connection is closed."""


class Remote:
    """One stub. The machine is either stopped, or runs until wait() returns."""

    def __init__(self, sock):
        self.sock = sock
        self.buffer = bytearray()
        self.breakpoints = set()
        self._rip = None		# while stopped, if it was asked for
        self.packet(b"?")
        # Single registers are refused to who does not know the description.
        self.packet(b"qXfer:features:read:target.xml:0,ffb")

    # -- packets ---------------------------------------------------------

    def _send(self, body):
        try:
            self.sock.sendall(b"$" + body + b"#%02x" % (sum(body) & 0xff))
        except (BrokenPipeError, ConnectionResetError):
            raise Ended("the machine ended") from None

    def _more(self):
        try:
            data = self.sock.recv(65536)
        except ConnectionResetError:
            data = b""
        if not data:
            raise Ended("the machine ended")
        self.buffer += data

    def _receive(self):
        """The next packet's body; acknowledgements are dropped."""
        while (end := self.buffer.find(b"#")) < 0 or len(self.buffer) < end + 3:
            self._more()
        body = bytes(self.buffer[self.buffer.index(b"$") + 1:end])
        del self.buffer[:end + 3]
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.sock.sendall(b"+")
        if b"*" in body:		# run lengths: "0*!" is "0000"
            body = re.sub(rb"(.)\*(.)", lambda m: m[1] * (m[2][0] - 28), body, flags=re.DOTALL)
        return body

    def packet(self, body):
        self._send(body)
        return self._receive()

    def _ok(self, body):
        answer = self.packet(body)
        if answer != b"OK":
            raise RemoteError(f"{body.decode()}: {answer.decode()!r}")

    # -- registers and memory --------------------------------------------

    def registers(self):
        """The general registers and RIP."""
        data = bytes.fromhex(self.packet(b"g")[:17 * 16].decode())
        return dict(zip(GENERAL + ["rip"], struct.unpack("<17Q", data)))

    def rip(self):
        if self._rip is None:
            self._rip = self.read_register("rip")
        return self._rip

    def rip_and_cs(self):
        """Both in one packet, for those who ask at each step."""
        data = bytes.fromhex(self.packet(b"g")[16 * 16:(16 + 1) * 16 + 16].decode())
        rip, _, cs = struct.unpack("<QLL", data)
        return rip, cs

    def read_register(self, name):
        number, size = REGISTERS[name]
        answer = self.packet(b"p%x" % number)
        if answer.startswith(b"E") or not answer:
            raise RemoteError(f"register {name}: {answer.decode()}")
        return int.from_bytes(bytes.fromhex(answer.decode())[:size], "little")

    def write_register(self, name, value):
        number, size = REGISTERS[name]
        self._rip = None
        self._ok(b"P%x=%s" % (number, value.to_bytes(size, "little").hex().encode()))

    def read(self, address, size):
        """Linear memory of the root that is loaded; physical between physical(True), (False)."""
        answer = self.packet(b"m%x,%x" % (address, size))
        if answer.startswith(b"E") or len(answer) != 2 * size:
            raise RemoteError(f"cannot read {size} bytes at {address:#x}")
        return bytes.fromhex(answer.decode())

    def write(self, address, data):
        self._ok(b"M%x,%x:%s" % (address, len(data), data.hex().encode()))

    def read_u64(self, address):
        return int.from_bytes(self.read(address, 8), "little")

    def write_u64(self, address, value):
        self.write(address, value.to_bytes(8, "little"))

    @contextlib.contextmanager
    def physical(self):
        """read() and write() take physical addresses inside."""
        self._ok(b"Qqemu.PhyMemMode:1")
        try:
            yield self
        finally:
            self._ok(b"Qqemu.PhyMemMode:0")

    # -- running ---------------------------------------------------------

    def breakpoint(self, address):
        self._ok(b"Z1,%x,1" % address)
        self.breakpoints.add(address)

    def remove_breakpoint(self, address):
        self._ok(b"z1,%x,1" % address)
        self.breakpoints.discard(address)

    def go(self):
        """Let the machine run; wait() must follow. A breakpoint where it is does not count."""
        if self.breakpoints and self.rip() in self.breakpoints:
            self.step()
        self._rip = None
        self._send(b"c")

    def wait(self):
        """Until the machine stops by itself. Raises Ended when it ends."""
        answer = self._receive()
        if answer[:1] in b"WX":
            raise Ended("the machine ended")
        return answer

    def run(self):
        self.go()
        return self.wait()

    def run_to(self, address):
        """Run until the instruction at @address is the next one."""
        was_set = address in self.breakpoints
        self.breakpoint(address)
        try:
            self.run()
        finally:
            if not was_set:
                with contextlib.suppress(Ended):
                    self.remove_breakpoint(address)

    def sstep(self, mask):
        """How step() steps: bits 0 enable, 1 no interrupts, 2 no timers."""
        self._ok(b"Qqemu.sstep=%x" % mask)

    def step(self):
        """One instruction; interrupts wait meanwhile."""
        self._rip = None
        return self.packet(b"s")

    def interrupt(self):
        """Stop a machine that runs, after go()."""
        self.sock.sendall(b"\x03")
        return self.wait()
