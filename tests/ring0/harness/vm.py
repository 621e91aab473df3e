# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
"""A QEMU with a stub and a monitor on it, for as long as a `with` lasts.

Owns the command line, the sockets (pairs, so that nothing is in the file
system) and the end: whatever happens, no QEMU stays.
"""
import contextlib
import pathlib
import socket
import subprocess
import tempfile

from qmp import Monitor
from rsp import Remote

QEMU = "qemu-system-x86_64"
DEBUG_EXIT = 0xf4
ANSWER_SECONDS = 60	# of silence, after which a machine counts as hung


class VM:
    """Stopped before its first instruction when the `with` begins."""

    def __init__(self, kernel, guest=None, append="", cpus=1, cpu="max", memory="256M", icount=False,
                 extra=()):
        self.arguments = [
            QEMU, "-nodefaults", "-no-user-config", "-accel", "tcg,thread=single" if icount else "tcg",
            "-cpu", cpu, "-smp", str(cpus), "-m", memory, "-display", "none", "-no-reboot",
            "-kernel", str(kernel), "-append", append, "-S",
            "-device", f"isa-debug-exit,iobase={DEBUG_EXIT:#x},iosize=0x04"]
        if guest:
            self.arguments += ["-initrd", str(guest)]
        if icount:
            self.arguments += ["-icount", "shift=0,sleep=off"]
        self.arguments += extra
        self.sockets = []
        self.process = None

    def _pair(self, name):
        """One end as a chardev of QEMU's; returns the other."""
        ours, theirs = socket.socketpair()
        ours.settimeout(ANSWER_SECONDS)
        self.sockets += [ours, theirs]
        self.arguments += ["-chardev", f"socket,id={name},fd={theirs.fileno()}"]
        return ours, theirs

    def serial(self, device="isa-serial", **properties):
        """A serial port whose other end is the socket that is returned. Before `with`."""
        name = f"extra{len(self.sockets)}"
        ours, _ = self._pair(name)
        options = "".join(f",{key}={value}" for key, value in properties.items())
        self.arguments += ["-device", f"{device},chardev={name}{options}"]
        return ours

    def __enter__(self):
        self.directory = tempfile.TemporaryDirectory(prefix="pvm-ring0-")
        folder = pathlib.Path(self.directory.name)
        self.console_file, self.messages_file = folder / "com1", folder / "com2"
        for index, path in enumerate((self.console_file, self.messages_file)):
            self.arguments += ["-serial", f"file:{path}"]
        gdb, _ = self._pair("stub")
        qmp, _ = self._pair("monitor")
        self.arguments += ["-gdb", "chardev:stub", "-mon", "chardev=monitor,mode=control"]
        theirs = self.sockets[1::2]
        self.errors_file = folder / "errors"
        with open(self.errors_file, "wb") as errors:
            self.process = subprocess.Popen(self.arguments, stdin=subprocess.DEVNULL, stdout=errors,
                                            stderr=errors, pass_fds=[s.fileno() for s in theirs])
        try:
            for sock in theirs:
                sock.close()
            self.monitor = Monitor(qmp)
            self.remote = Remote(gdb)
        except BaseException:
            print(self.errors_file.read_text(), end="")
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self.process:
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()
            self.process.wait()
        for sock in self.sockets:
            sock.close()
        self.directory.cleanup()

    def console(self):
        """What the guest wrote to COM1 so far."""
        return self.console_file.read_text(errors="replace")

    def messages(self):
        """What the host wrote to COM2 so far, and what QEMU had to say."""
        return self.messages_file.read_text(errors="replace") + self.errors_file.read_text(errors="replace")

    def status(self):
        """Wait for the end; the value that was written to the exit port, or -1."""
        code = self.process.wait(ANSWER_SECONDS)
        return code >> 1 if code & 1 else -1
