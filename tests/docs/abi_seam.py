#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
"""The core never asks which guest ABI it is, by name or by number.

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
# The ABI itself, not an operation of it: a number to compare, or what it is called.
WHICH = re.compile(r"\b\w*(?:->|\.)abi\b(?!->)|\babi(?:->|\.)name\b|\babi\s*[=!]=|\bswitch\s*\([^;{]*\babi\b"
                   r"|\bpvm_abi_name\b")
# Where it is chosen, kept in a snapshot, checked, or only at hand for its operations.
CHOSEN = {
    "vcpu/vcpu.c": ("vm->abi = pvm_abi_find(config->abi);",),
    "vcpu/state.c": ("state->abi = vcpu->vm->config.abi;", "s->abi != (uint64_t)vcpu->vm->config.abi"),
    "vcpu/config.c": ("return abi->name &&", "(unsigned)config->abi >= PVM_ABI_COUNT",
                      "abi = pvm_abi_find(config->abi);"),
    "switcher/vm.c": ("pvm_abi_switches_find(vcpu->vm->config.abi)",),
}
AT_HAND = "const struct pvm_abi_ops *abi = vcpu->vm->abi;"
COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.S)


def without_comments(text):
    return COMMENT.sub(lambda m: "\n" * m.group().count("\n"), text)


def main():
    wrong = []
    files = [f for folder in CORE for f in sorted((LIBPVM / folder).iterdir()) if f.suffix in (".c", ".h", ".S")]
    for path in files:
        name = path.relative_to(LIBPVM).as_posix()
        text = without_comments(path.read_text())
        for chosen in CHOSEN.get(name, ()):
            if text.count(chosen) != 1:
                wrong.append(f"libpvm/{name}: {chosen!r} is there {text.count(chosen)} times: change CHOSEN here")
            text = text.replace(chosen, "")
        text = text.replace(AT_HAND, "")
        for number, line in enumerate(text.splitlines(), 1):
            wrong += [f"libpvm/{name}:{number}: {found}" for found in NAMES.findall(line) + WHICH.findall(line)]
    if len(files) < 40:
        wrong.append(f"only {len(files)} files of the core were found")
    print("\n".join(wrong) or f"{len(files)} files")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
