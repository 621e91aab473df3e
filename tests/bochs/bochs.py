#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
"""Minivisor with one guest in Bochs: an ISO with GRUB, and no screen.

Owns the ISO, the configuration file and the pseudo-terminal that the text display
wants. Bochs' clock counts instructions, so that a run is the same every time.
"""
import os
import pathlib
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "ring0"))
import machine as machines	# noqa: E402

EXITED = re.compile(r"^minivisor: the guest exited with (\d+)$", re.M)
BIOS = "/usr/share/bochs/BIOS-bochs-latest"
VGA_BIOS = "/usr/share/vgabios/vgabios.bin"
IPS = 10_000_000	# instructions in a second of the machine's time
GRUB_MODULES = "multiboot normal iso9660 biosdisk"

CONFIGURATION = """\
cpu: model={model}, count={cpus}:1:1, quantum=32, ips={ips}, reset_on_triple_fault=0
memory: guest=512, host=256
romimage: file={bios}
vgaromimage: file={vga_bios}
ata0-master: type=cdrom, path={folder}/image.iso, status=inserted
boot: cdrom
com1: enabled=1, mode=file, dev={folder}/com1
com2: enabled=1, mode=file, dev={folder}/com2
display_library: term
log: {folder}/log
clock: sync=none, time0=1000000000
panic: action=fatal
error: action=report
info: action=report
"""

GRUB = """\
multiboot /boot/minivisor.elf {options}
module /boot/guest.elf
boot
"""


def make_iso(folder, minivisor, guest, options):
    tree = folder / "iso"
    (tree / "boot/grub").mkdir(parents=True)
    shutil.copy(minivisor, tree / "boot/minivisor.elf")
    shutil.copy(guest, tree / "boot/guest.elf")
    (tree / "boot/grub/grub.cfg").write_text(GRUB.format(options=options))
    subprocess.run(["grub-mkrescue", "-o", str(folder / "image.iso"), str(tree),
                    f"--install-modules={GRUB_MODULES}", "--fonts=", "--themes=", "--locales="],
                   check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if not (folder / "image.iso").exists():
        raise RuntimeError("grub-mkrescue made no image: is grub-pc-bin there?")


def start(folder):
    """Bochs under a terminal of its own. Returns pid and the terminal's other end."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ["TERM"] = "xterm"
        os.chdir(folder)
        os.execvp("bochs", ["bochs", "-q", "-f", "bochsrc", "-rc", "commands"])
    return pid, terminal


def drain(terminal, end):
    """Reads and drops output until Bochs has gone. False: @end has come first."""
    while True:
        left = end - time.monotonic()
        if left <= 0:
            return False
        if not select.select([terminal], [], [], left)[0]:
            continue
        try:
            if not os.read(terminal, 65536):
                return True
        except OSError:		# Linux: the other side is closed
            return True


def text_of(path):
    return path.read_text(errors="replace") if path.exists() else ""


def run_bochs(minivisor, guest, model, cpus, options="", timeout=machines.TIMEOUT):
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="bochs-") as name:
        folder = pathlib.Path(name)
        make_iso(folder, minivisor, guest, options)
        (folder / "commands").write_text("c\n")		# Debian's Bochs starts in its debugger
        (folder / "bochsrc").write_text(CONFIGURATION.format(
            model=model, cpus=cpus, ips=IPS, bios=BIOS, vga_bios=VGA_BIOS, folder=folder))
        pid, terminal = start(folder)
        why = ""
        try:
            if not drain(terminal, began + timeout):
                why = f"no end after {timeout} s"
                os.kill(pid, signal.SIGKILL)
        finally:
            os.close(terminal)
            os.waitpid(pid, 0)
        log = text_of(folder / "log")
        if not why and "Shutdown port: shutdown requested" not in log:
            why = "Bochs ended by itself:\n" + "\n".join(log.splitlines()[-20:])
        messages = text_of(folder / "com2")
        exited = EXITED.search(messages)
        if not why and not exited:
            why = "minivisor does not say that the guest exited"
        return machines.Run(int(exited.group(1)) if exited else None, text_of(folder / "com1"), messages,
                            why, time.monotonic() - began)
