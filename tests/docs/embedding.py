#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
"""A reader with only docs/embedding.md gets to a running guest: its commands are run.

  embedding.py	(status 77: no QEMU or no pkg-config here)

Owns a copy of the sources, in which all `sh` blocks run in order as one script; the
guest must have passed as often as QEMU was started.
"""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
PASSED = "# 4 checks, 0 failed, 0 skipped"
SOURCES = ("CMakeLists.txt", "include", "libpvm", "devices", "decode", "firmware", "backends", "tools",
           "examples", "tests", "bench", "docs")


def script():
    page = (ROOT / "docs/embedding.md").read_text()
    blocks = re.findall(r"^```sh\n(.*?)^```", page, re.S | re.M)
    if len(blocks) < 3:
        sys.exit("docs/embedding.md has lost its commands")
    return "set -e\n" + "".join(blocks)


def main():
    if not shutil.which("qemu-system-x86_64") or not shutil.which("pkg-config"):
        print("skipped: QEMU and pkg-config are needed")
        return 77
    commands = script()
    with tempfile.TemporaryDirectory() as folder:
        for name in SOURCES:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, pathlib.Path(folder) / name)
            elif source.exists():
                shutil.copy(source, folder)
        run = subprocess.run(["sh", "-c", commands], cwd=folder, stdin=subprocess.DEVNULL, text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    guests = commands.count("qemu-system-x86_64 ")
    if run.returncode or run.stdout.count(PASSED) != guests:
        print(run.stdout[-8000:])
        print(f"status {run.returncode}, {run.stdout.count(PASSED)} of {guests} guests passed")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
