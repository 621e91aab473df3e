#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
"""The core never asks for the name of a guest ABI.

vcpu/, events/, hypercall/, exit/, mmu/ and switcher/ know guest ABIs by struct
pvm_abi_ops and struct pvm_abi_switches alone. What one ABI means, its shared
structure's size and offsets, its MSRs and hypercall numbers among it, is in libpvm/abi/.
"""
import pathlib
import re
import sys

LIBPVM = pathlib.Path(__file__).resolve().parents[2] / "libpvm"
CORE = ("vcpu", "events", "hypercall", "exit", "mmu", "switcher")
NAMES = re.compile(r"PVM_ABI_(?:DUAL|SINGLE|LOWER|XEN)\w*|\w*(?:dual|single)_cr3\w*|\bxen_\w+"
                   r"|\bPVCS_\w+|\bPVM_MSR_(?:BASE|LAST)\b|\bpvm_(?:sc_)?vcpu_struct\b"
                   r"|\bPVM_SC_\w+|\bMSR_PVM_\w+|\bPVM_HC_(?!EINVAL)[A-Z]\w+|pvcs->\w+")
COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.S)


def without_comments(text):
    return COMMENT.sub(lambda m: "\n" * m.group().count("\n"), text)


def main():
    wrong = []
    files = [f for folder in CORE for f in sorted((LIBPVM / folder).iterdir()) if f.suffix in (".c", ".h", ".S")]
    for path in files:
        name = path.relative_to(LIBPVM).as_posix()
        for number, line in enumerate(without_comments(path.read_text()).splitlines(), 1):
            wrong += [f"libpvm/{name}:{number}: {found}" for found in NAMES.findall(line)]
    if len(files) < 40:
        wrong.append(f"only {len(files)} files of the core were found")
    print("\n".join(wrong) or f"{len(files)} files")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
