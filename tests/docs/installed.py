#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
"""What `cmake --install` leaves is a library that the README's example can use.

  installed.py CMAKE BUILD-FOLDER COMPILER VERSION	(status 77: no pkg-config here)

Owns a throw-away prefix, which is moved once to show that nothing in it knows
where it was; touches neither the build folder nor the machine.
"""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

from readme_example import example

WANTED = ["bin/pvm", "include/pvm/abi.h", "include/pvm/mmu.h", "share/man/man1/pvm.1",
          "share/bash-completion/completions/pvm"]
IN_LIBDIR = ["libpvm.a", "libpvm.so", "libpvm.so.0"]


def output(*command, **env):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True,
                          env=os.environ | env).stdout.strip()


def check(prefix, compiler, version):
    """The first thing that is wrong, or None."""
    [pc] = prefix.rglob("libpvm.pc")
    libdir = pc.parents[1]
    for path in [prefix / name for name in WANTED] + [libdir / name for name in IN_LIBDIR]:
        if not path.exists():
            return f"{path.relative_to(prefix)} is not installed"

    def pkg_config(*options):
        return output("pkg-config", *options, "libpvm", PKG_CONFIG_PATH=str(pc.parent))

    if pkg_config("--modversion") != version:
        return "libpvm.pc has another version"
    source = prefix / "example.c"
    source.write_text(example())
    flags = pkg_config("--cflags").split()
    libs = {"shared": pkg_config("--libs").split(), "static": [str(libdir / "libpvm.a")]}
    for kind, link in libs.items():
        program = prefix / kind
        output(compiler, "-std=c11", "-Wall", "-Wextra", "-Werror", *flags, str(source), *link, "-o", str(program))
        output(str(program), LD_LIBRARY_PATH=str(libdir))
    if version not in output(str(prefix / "bin/pvm"), "--version"):
        return "pvm --version has another version"
    return None


def main():
    cmake, build, compiler, version = sys.argv[1:5]
    if not shutil.which("pkg-config"):
        print("skipped: no pkg-config here")
        return 77
    with tempfile.TemporaryDirectory() as folder:
        first, moved = pathlib.Path(folder) / "first", pathlib.Path(folder) / "moved"
        output(cmake, "--install", build, "--prefix", str(first))
        first.rename(moved)
        return check(moved, compiler, version)


if __name__ == "__main__":
    sys.exit(main())
