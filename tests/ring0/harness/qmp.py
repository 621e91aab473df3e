# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
"""QEMU's machine protocol over a connected socket.

Owns the greeting and the answers; events are dropped.
"""
import json


class MonitorError(Exception):
    """QEMU refused a command, or is gone."""


class Monitor:
    def __init__(self, sock):
        self.sock = sock
        self.stream = sock.makefile("rb")
        self._message()				# the greeting
        self.command("qmp_capabilities")

    def _message(self):
        """The next that is no event: there is one for each stop of the machine."""
        while line := self.stream.readline():
            if not line.startswith(b'{"timestamp"'):
                return json.loads(line)
        raise MonitorError("the machine ended")

    def command(self, name, **arguments):
        """Run a command; returns its answer."""
        self.sock.sendall(json.dumps({"execute": name, "arguments": arguments}).encode() + b"\n")
        while True:
            message = self._message()
            if "return" in message:
                return message["return"]
            if "error" in message:
                raise MonitorError(f"{name}: {message['error']['desc']}")

    def human(self, line):
        """A command of the human monitor; returns its text."""
        return self.command("human-monitor-command", **{"command-line": line})

    def nmi(self):
        """An NMI to every CPU, through its local APIC's LINT1."""
        self.command("inject-nmi")
