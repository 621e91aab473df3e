# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
"""What is in an ELF file: symbols, and instructions at their addresses.

Reads it with binutils' nm and objdump. Owns which instructions count as slow.
"""
import bisect
import pathlib
import re
import struct
import subprocess

ELF_PHOFF, ELF_PHENTSIZE, PT_LOAD = 32, 54, 1

# Serialising, or slow by themselves; segment loads are recognised by their operand.
SLOW = {"wrmsr", "rdmsr", "lidt", "lgdt", "lldt", "ltr", "iret", "iretq", "sysret", "sysretq", "sysretl",
        "swapgs", "invlpg", "invpcid", "wrpkru", "verw", "cpuid", "lfence", "mfence", "clac", "stac",
        "wrgsbase", "wrfsbase", "lss", "lfs", "lgs", "xsetbv", "wbinvd", "in", "out"}
TO_CONTROL = re.compile(r"^mov\s+%\w+,%(cr\d|dr\d|db\d)$")
TO_SEGMENT = re.compile(r"^(mov[lwq]?\s+.*,%[defgs]s|pop[wq]?\s+%[defgs]s)$")
LOCKED = re.compile(r"^(lock\s|xchg\w*\s.*\()")


def slow_event(text):
    """What kind of slow event an instruction is, or None."""
    mnemonic = text.split()[0]
    if match := TO_CONTROL.match(text):
        register = match[1].replace("db", "dr")
        return "mov dr" if register.startswith("dr") else "mov " + register
    if TO_SEGMENT.match(text):
        return "mov segment"
    if LOCKED.match(text):
        return "lock"
    if mnemonic in SLOW:
        return re.sub(r"^(iret|sysret)[ql]$", r"\1", mnemonic)
    return None


class Image:
    def __init__(self, path, slide=0):
        """@slide: it runs so many bytes below where it is linked; all addresses here are those it runs at."""
        self.path = path
        self.slide = slide
        self.symbols = {}
        for line in self._tool("nm", "-n", path):
            fields = line.split()
            if len(fields) == 3:
                self.symbols.setdefault(fields[2], int(fields[0], 16) - slide)
        self.names = sorted((address, name) for name, address in self.symbols.items())

    @staticmethod
    def _tool(*command):
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()

    def __getitem__(self, name):
        if name not in self.symbols:
            raise KeyError(f"{self.path} has no symbol {name}")
        return self.symbols[name]

    def instructions(self, start=None, end=None):
        """{ address: (length, text) } of what lies in [start, end), or of all code."""
        found = {}
        limits = [] if start is None else [f"--start-address={start + self.slide:#x}",
                                         f"--stop-address={end + self.slide:#x}"]
        for line in self._tool("objdump", "-d", "-w", *limits, self.path):
            match = re.match(r"^\s*([0-9a-f]+):\t([0-9a-f ]+)\t(.*)$", line)
            if match:
                text = re.sub(r"\s*#.*$", "", match[3]).strip()
                found[int(match[1], 16) - self.slide] = (len(match[2].split()), text)
        return found

    def read(self, address, size):
        """Bytes of a loaded segment, as they are in the file."""
        data = pathlib.Path(self.path).read_bytes()
        address += self.slide
        table, = struct.unpack_from("<Q", data, ELF_PHOFF)
        entry_size, count = struct.unpack_from("<2H", data, ELF_PHENTSIZE)
        for index in range(count):
            kind, _, offset, start, _, file_size = struct.unpack_from("<2L4Q", data, table + index * entry_size)
            if kind == PT_LOAD and start <= address and address + size <= start + file_size:
                return data[offset + address - start:][:size]
        raise KeyError(f"{self.path} has nothing at {address:#x}")

    def where(self, address):
        """"symbol+0x12" of an address."""
        index = bisect.bisect_right(self.names, (address, "\x7f")) - 1
        if index < 0:
            return f"{address:#x}"
        base, name = self.names[index]
        return name if address == base else f"{name}+{address - base:#x}"
