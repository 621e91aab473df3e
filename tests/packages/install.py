#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
"""backends/kvm/install: where the module goes with DESTDIR, and one line where it cannot go.

    install.py C-COMPILER

The module is an object with a version of Linux in it that no machine has, so that nothing can be installed
into the machine's own folders by mistake.
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
INSTALL = ROOT / "backends/kvm/install"
LINUX = "6.1.0-none-amd64"
SOURCE = f'__attribute__((section(".modinfo"), used)) static const char text[] = "vermagic={LINUX} SMP mod_unload";\n'


def install(folder, destdir=None):
    environment = {name: value for name, value in os.environ.items() if name != "DESTDIR"}
    if destdir:
        environment["DESTDIR"] = str(destdir)
    return subprocess.run([INSTALL, folder], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, check=False)


def refused(name, done, wanted):
    lines = done.stderr.splitlines()
    right = done.returncode == 1 and not done.stdout and len(lines) == 1 and re.match(f"kvm-pvm: .*{wanted}", lines[0])
    if not right:
        print(f"{name}: status {done.returncode}, not one line like /{wanted}/:\n{done.stdout}{done.stderr}")
    return bool(right)


def installed(scratch, stage):
    """With DESTDIR: that file and no other, smaller than it was."""
    done = install(stage, scratch / "root")
    target = scratch / "root/lib/modules" / LINUX / "updates/kvm-pvm.ko"
    files = [path for path in (scratch / "root").rglob("*") if path.is_file()]
    right = done.returncode == 0 and done.stdout == f"{target}\n" and files == [target] and \
        target.stat().st_size < (stage / "kvm-pvm.ko").stat().st_size
    if not right:
        print(f"DESTDIR: status {done.returncode}, {files}:\n{done.stdout}{done.stderr}")
    return right


def main():
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        stage = scratch / "stage"
        stage.mkdir()
        right = [refused("not-built", install(stage, scratch / "root"), "build it first")]
        (stage / "kvm-pvm.ko").write_text("nothing\n")
        right.append(refused("no-module", install(stage, scratch / "root"), "is not a kernel module"))
        (stage / "module.c").write_text(SOURCE)
        subprocess.run([sys.argv[1], "-g", "-c", "-o", stage / "kvm-pvm.ko", stage / "module.c"], check=True)
        right.append(refused("other-kernel", install(stage), f"Linux {LINUX} is not installed here"))
        (scratch / "file").write_text("")
        right.append(refused("no-folder", install(stage, scratch / "file"), "cannot be written"))
        right.append(installed(scratch, stage))
    print(f"{sum(right)} of {len(right)} right")
    return not all(right)


if __name__ == "__main__":
    sys.exit(main())
