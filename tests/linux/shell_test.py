#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
"""The shell of shell.py, as a person at a terminal has it.

    shell_test.py ARGUMENT-OF-shell.py...

Waits for what the guest prints, types, and looks at what comes; Ctrl-C is the guest's, Ctrl-A x is pvm's.
"""
import os
import pathlib
import pty
import select
import signal
import subprocess
import sys
import time

SECONDS = 900		# against hangs, for each answer
PROMPT = b"/root # "


class Terminal:
    def __init__(self, command):
        master, slave = pty.openpty()
        self.process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
        os.close(slave)
        self.master, self.said, self.seen = master, b"", 0

    def read(self, until):
        """More of what is said. False: there is no more, or it takes too long."""
        if not select.select([self.master], [], [], max(0, until - time.monotonic()))[0]:
            return False
        try:
            piece = os.read(self.master, 4096)
        except OSError:		# the other end is closed
            return False
        self.said += piece
        return bool(piece)

    def wait(self, words):
        until = time.monotonic() + SECONDS
        while words not in self.said[self.seen:]:
            if not self.read(until):
                os.killpg(self.process.pid, signal.SIGKILL)	# an emulator does not outlive the test
                sys.exit(f"{self.said.decode(errors='replace')[-4000:]}\nnot ok - no {words!r}")
        self.seen = self.said.index(words, self.seen) + len(words)

    def type(self, keys):
        os.write(self.master, keys)


def main():
    shell = pathlib.Path(__file__).resolve().parent / "shell.py"
    terminal = Terminal([sys.executable, "-B", str(shell), *sys.argv[1:]])
    terminal.wait(PROMPT)
    terminal.type(b"echo sum $((40 + 2))\n")
    terminal.wait(b"sum 42")
    terminal.wait(PROMPT)
    # Said by the program that Ctrl-C is for: what the shell forks has the shell's handler for a while.
    terminal.type(b"sh -c \"echo as''leep; exec sleep 100000\"\n")
    terminal.wait(b"asleep")
    terminal.type(b"\x03")		# ends the guest's sleep, not pvm
    terminal.wait(PROMPT)
    terminal.type(b"echo still $((1 + 1)) here\n")
    terminal.wait(b"still 2 here")
    terminal.wait(PROMPT)
    terminal.type(b"\x01x")
    terminal.wait(b"ended at the console")
    terminal.wait(b"@@ shell 0")
    print("ok - a shell, its keys, and Ctrl-A x")
    return terminal.process.wait()


if __name__ == "__main__":
    sys.exit(main())
