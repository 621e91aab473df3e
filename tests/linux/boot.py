#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
"""A distribution's own kernel as a guest of minivisor, up to its init and the programs that this runs.

    boot.py --minivisor ELF --work PROGRAM (--suite SUITE | --vmlinuz FILE) --cpus N --checks N --folder FOLDER
    boot.py --extract VMLINUZ VMLINUX		# only the payload

Owns the payload of a vmlinuz, the initial file system and the verdict. The kernel is the package's, unmodified;
its checksum is printed. In QEMU's TCG: instructions are counted, and waiting takes no time (-icount), so that
nothing depends on how fast the machine is.
"""
import argparse
import hashlib
import lzma
import pathlib
import re
import struct
import subprocess
import sys
import tempfile

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS / "support"))
from initramfs import pack  # noqa: E402

TIMEOUT = 900		# against hangs; a boot takes half a minute
MEMORY_MB = 640
DIRECT_LEAST = 50
POWER_OFF = 0		# of minivisor, where the guest ends itself

# How each init of these tests begins: with the file systems and the programs that scripts expect.
PRELUDE = """#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev /tmp
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sysfs /sys
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox --install -s /bin
"""
INIT = PRELUDE + """echo "%% release $(uname -r)"
echo "%% cpus $(grep -c '^processor' /proc/cpuinfo)"
echo "%% hypervisor $(cat /sys/hypervisor/type)"
/work
echo "%% work $?"
dd if=/dev/urandom of=/tmp/a bs=64k count=16 2>/dev/null
gzip -c /tmp/a | gunzip | cmp - /tmp/a && echo "%% pipe right"
dmesg | grep -c -e 'Oops' -e 'BUG:' -e 'Call Trace' | sed 's/^/%% complaints /'
dmesg | grep -B12 -A40 -m1 -e 'Oops' -e 'BUG:' -e 'Call Trace' | sed 's/^/complaint: /'
echo "%% end"
poweroff -f
"""


class Failure(Exception):
    pass


def payload(vmlinuz):
    """The ELF file in a bzImage. Linux: Documentation/arch/x86/boot.rst, payload_offset."""
    data = vmlinuz.read_bytes()
    if data[0x202:0x206] != b"HdrS":
        raise Failure(f"{vmlinuz}: no bzImage")
    setup = (data[0x1f1] or 4) + 1
    offset, length = struct.unpack_from("<II", data, 0x248)
    packed = data[setup * 512 + offset:setup * 512 + offset + length]
    if packed.startswith(b"\xfd7zXZ\0"):
        return lzma.LZMADecompressor().decompress(packed)
    if packed.startswith(b"\x28\xb5\x2f\xfd"):
        # The length of what comes out follows it.
        return subprocess.run(["zstd", "-dc"], input=packed[:-4], stdout=subprocess.PIPE, check=True).stdout
    if packed.startswith(b"\x02\x21\x4c\x18"):
        return subprocess.run(["lz4", "-dc"], input=packed[:-4], stdout=subprocess.PIPE, check=True).stdout
    raise Failure(f"{vmlinuz}: compressed by a way that Debian does not use: {packed[:6].hex()}")


def initramfs(folder, work=None, init=INIT):
    root = folder / "root"
    (root / "bin").mkdir(parents=True)
    busybox = subprocess.run(["sh", "-c", "command -v busybox"], stdout=subprocess.PIPE, check=True, text=True)
    for source, name in ((busybox.stdout.strip(), "bin/busybox"), (work, "work")):
        if source:
            (root / name).write_bytes(pathlib.Path(source).read_bytes())
            (root / name).chmod(0o755)
    return pack(root, init, folder / "initramfs")


def boot(args, kernel, files, folder):
    """(what the guest's console shows, minivisor's log, QEMU's status)"""
    console, log = folder / "console", folder / "log"
    command = ["qemu-system-x86_64", "-accel", "tcg", "-icount", "shift=0,sleep=off", "-cpu", "max,la57=off,smap=off",
               "-smp", str(args.cpus), "-m", f"{2 * MEMORY_MB + 720}", "-kernel", args.minivisor,
               "-initrd", f"{kernel} console=hvc0 {args.append},{files}", "-append", f"stats=1 memory={MEMORY_MB}",
               "-display", "none", "-monitor", "none", "-nic", "none", "-no-reboot",
               "-serial", f"file:{console}", "-serial", f"file:{log}",
               "-device", "isa-debug-exit,iobase=0xf4,iosize=4"]
    try:
        status = subprocess.run(command, stdin=subprocess.DEVNULL, timeout=TIMEOUT, check=False).returncode
    except subprocess.TimeoutExpired:
        status = "none: it hangs"
    return tuple(path.read_text(errors="replace") if path.exists() else "" for path in (console, log)) + (status,)


def judge(cpus, checks, release, console):
    """What is wrong with a guest's console, in lines."""
    wanted = {"release": release, "cpus": str(cpus), "hypervisor": "xen", "work": "0", "pipe": "right",
              "complaints": "0", "end": ""}
    said = {match[1]: match[2].strip() for match in re.finditer(r"^%% (\w+)(.*?)\r?$", console, re.M)}
    wrong = [f"{name}: {said.get(name, 'nothing')!r}, not {value!r}" for name, value in wanted.items()
             if said.get(name) != value]
    wrong += re.findall(r"^not ok .*", console, re.M)
    right = len(re.findall(r"^ok - ", console, re.M))
    if right != checks:
        wrong.append(f"{right} checks of the program are right, not {checks}")
    return wrong


def vmlinuz_of(suite):
    """The kernel of a Debian suite, or of ubuntu-22.04 or ubuntu-24.04, fetched if need be."""
    script = [TESTS / "kvm" / "kernel", suite]
    if suite.startswith("ubuntu-"):
        script = [TESTS / "linux" / "ubuntu-kernel", suite.removeprefix("ubuntu-")]
    found = pathlib.Path(subprocess.run(script, stdout=subprocess.PIPE, check=True, text=True).stdout.strip())
    return found if found.is_file() else next(found.glob("boot/vmlinuz-*"))


def judge_minivisor(log, status):
    wrong = []
    if status != POWER_OFF << 1 | 1 or "the guest ends: power off" not in log:
        wrong.append(f"QEMU ends with {status}; minivisor: {log.strip()[-300:]}")
    return wrong


def direct(log):
    """System calls, returns to user mode and to the kernel that were no exits, of all CPUs."""
    rows = re.findall(r"direct: (\d+) system calls, (\d+) returns to user, (\d+) to supervisor", log)
    return [sum(int(row[i]) for row in rows) for i in range(3)]


def main():
    if sys.argv[1:2] == ["--extract"] and len(sys.argv) == 4:
        pathlib.Path(sys.argv[3]).write_bytes(payload(pathlib.Path(sys.argv[2])))
        return 0
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("minivisor", "work", "folder"):
        parser.add_argument(f"--{name}", required=True)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--suite", help="Debian's, as tests/kvm/kernel has it, or ubuntu-22.04, ubuntu-24.04")
    which.add_argument("--vmlinuz", type=pathlib.Path, help="any other kernel, named vmlinuz-RELEASE")
    parser.add_argument("--cpus", type=int, required=True)
    parser.add_argument("--checks", type=int, required=True)
    parser.add_argument("--append", default="")
    args = parser.parse_args()
    vmlinuz = args.vmlinuz or vmlinuz_of(args.suite)
    release = vmlinuz.name.removeprefix("vmlinuz-")
    print(f"{vmlinuz.name}: sha256 {hashlib.sha256(vmlinuz.read_bytes()).hexdigest()}")
    pathlib.Path(args.folder).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=args.folder) as name:
        folder = pathlib.Path(name)
        try:
            (folder / "vmlinux").write_bytes(payload(vmlinuz))
        except Failure as failure:
            print(f"not ok - {failure}")
            return 1
        files = initramfs(folder, args.work)
        console, log, status = boot(args, folder / "vmlinux", files, folder)
    wrong = judge(args.cpus, args.checks, release, console) + judge_minivisor(log, status)
    switches = direct(log)
    if min(switches) < DIRECT_LEAST:
        wrong.append(f"system calls, returns to user mode and to the kernel without an exit: {switches}")
    if wrong:
        print(console[-6000:])
        print("\n".join(f"not ok - {line}" for line in wrong))
        return 1
    print(f"ok - {release}, {args.cpus} CPUs: init, {args.checks} checks of a program, and power off; "
          "without an exit: {} system calls, {} returns to user mode, {} to the kernel".format(*switches))
    return 0


if __name__ == "__main__":
    sys.exit(main())
