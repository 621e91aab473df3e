#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
"""The C in README.md compiles and links against the library.

  readme_example.py COMPILER LIBRARY

Owns the reading of README.md's C blocks; run_guest() and carry_out(), which
are the reader's to write, get empty bodies.
"""
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
READERS_PART = """
void run_guest(struct pvm_vcpu *vcpu, pvm_hpa_t root, struct pvm_guest_exit *exit)
{ (void)vcpu; (void)root; exit->kind = PVM_EXIT_KICK; }
enum pvm_action carry_out(struct pvm_vcpu *vcpu, enum pvm_action action)
{ (void)vcpu; return action; }
int main(int argc, char **argv) { (void)argv; return argc > 1 ? run(0, 0, 0) : 0; }
"""


def example():
    """The README's C block as a whole program."""
    blocks = re.findall(r"```c\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    if len(blocks) != 1:
        sys.exit(f"README.md has {len(blocks)} C blocks, not 1")
    return blocks[0] + READERS_PART


def main():
    compiler, library = sys.argv[1:3]
    with tempfile.TemporaryDirectory() as folder:
        source = pathlib.Path(folder) / "example.c"
        source.write_text(example())
        return subprocess.run([compiler, "-std=c11", "-Wall", "-Wextra", "-Werror", f"-I{ROOT}/include",
                               str(source), library, "-o", f"{folder}/example"], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
