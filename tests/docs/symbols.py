#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
"""What libpvm.a gives to the linker and wants from it.

Every global symbol, internal ones included, has the library's prefix: the archive
is linked statically into other people's hypervisors and into a kernel. What it
wants are the four functions that every freestanding C compiler expects.

usage: symbols.py NM LIBPVM.A
"""
import subprocess
import sys

WANTED = {"memcpy", "memmove", "memset", "memcmp", "_GLOBAL_OFFSET_TABLE_"}


def main():
    nm, library = sys.argv[1:]
    lines = subprocess.run([nm, library], check=True, capture_output=True, text=True).stdout.splitlines()
    symbols = [line.split()[-2:] for line in lines if len(line.split()) >= 2]
    defined = {name for kind, name in symbols if kind in "ABDRTVWiu" and kind != "U"}
    wanted = {name for kind, name in symbols if kind == "U"} - defined
    wrong = sorted(f"defined without the prefix pvm_: {n}" for n in defined if not n.startswith("pvm_"))
    wrong += sorted(f"wanted from outside: {n}" for n in wanted - WANTED)
    if not any(n == "pvm_vm_init" for n in defined):
        wrong.append("pvm_vm_init is not there: is this libpvm.a?")
    print("\n".join(wrong) or f"{len(defined)} symbols, all with the prefix")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
