#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
"""Linux's own selftests for x86, run by a distribution's kernel on an emulated PC and as a guest of minivisor: the
verdicts are the same, but for those that EXCEPTIONS names.

    selftests.py --minivisor ELF --suite SUITE --folder FOLDER [--programs FOLDER] [--cpus N]

The programs are those that tests/linux/selftests makes, or those of a FOLDER. In QEMU's TCG.
"""
import argparse
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import boot

SECONDS = 1500		# against hangs
PROGRAM_SECONDS = 60	# for each; the guest's are instructions, 10^9 each
KILLED = 137
MEMORY_MB = 640

INIT = boot.PRELUDE + """echo 0 >/proc/sys/kernel/printk
echo "%% release $(uname -r)"
for program in $(cd /programs && ls); do
	timeout -s KILL SECONDS /programs/$program >/tmp/out 2>&1
	echo "%% verdict $program $? $(grep -c '^\\[OK\\]' /tmp/out) $(grep -c '^\\[FAIL\\]' /tmp/out)"
	sed "s/^/$program: /" /tmp/out
done
echo "%% end"
poweroff -f
"""

NO_PORTS = "a guest has no I/O ports, and ioperm() and iopl() cannot give it any"
NO_16_BITS = "Linux refuses 16-bit segments as a Xen PV guest (arch/x86/kernel/ldt.c): returns to them are not tried"

# {program: why its verdict differs in a guest}
EXCEPTIONS = {
    "ioperm_32": NO_PORTS,
    "ioperm_64": NO_PORTS,
    "iopl_32": NO_PORTS,
    "iopl_64": NO_PORTS,
    "sigreturn_32": NO_16_BITS,
    "sigreturn_64": NO_16_BITS,
}


def libraries(program):
    listed = subprocess.run(["ldd", program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False)
    return re.findall(r"(/\S+) \(0x", listed.stdout)


def initramfs(folder, programs):
    root = folder / "root"
    (root / "programs").mkdir(parents=True)
    for program in sorted(programs.iterdir()):
        shutil.copy(program, root / "programs")
        for library in libraries(program):
            copy = root / library.lstrip("/")
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(library, copy)
    return boot.initramfs(folder, init=INIT.replace("SECONDS", str(PROGRAM_SECONDS)))


def boot_bare(args, vmlinuz, files, folder):
    console = folder / "bare"
    command = ["qemu-system-x86_64", "-accel", "tcg,thread=single", "-cpu", "max,la57=off,smap=off",
               "-smp", str(args.cpus), "-m", str(MEMORY_MB), "-kernel", str(vmlinuz), "-initrd", str(files),
               "-append", "console=ttyS0 panic=-1 mitigations=off", "-display", "none", "-monitor", "none", "-nic", "none",
               "-no-reboot", "-serial", f"file:{console}"]
    subprocess.run(command, stdin=subprocess.DEVNULL, timeout=SECONDS, check=False)
    return console.read_text(errors="replace")


def verdicts(console):
    found = re.findall(r"^%% verdict (\S+) (\d+) (\d+) (\d+)\r?$", console, re.M)
    # How far a program came that took too long says nothing.
    return {name: (int(status), 0 if int(status) == KILLED else int(right), int(wrong))
            for name, status, right, wrong in found}


def judge(bare, guest):
    wrong = []
    for name in sorted(bare | guest):
        if bare.get(name) == guest.get(name):
            if name in EXCEPTIONS:
                wrong.append(f"{name}: is an exception, and does not differ: {bare.get(name)}")
        elif name not in EXCEPTIONS:
            wrong.append(f"{name}: status, right and wrong are {guest.get(name)} in the guest, {bare.get(name)} without")
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("minivisor", "suite"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--folder", required=True, type=pathlib.Path)
    parser.add_argument("--programs", type=pathlib.Path)
    parser.add_argument("--cpus", type=int, default=2)
    args = parser.parse_args()
    args.append = "mitigations=off"
    if not args.programs:
        made = subprocess.run([boot.TESTS / "linux" / "selftests"], stdout=subprocess.PIPE, check=True, text=True)
        args.programs = pathlib.Path(made.stdout.strip())
    boot.TIMEOUT = SECONDS
    args.folder.mkdir(parents=True, exist_ok=True)
    vmlinuz = boot.vmlinuz_of(args.suite)
    with tempfile.TemporaryDirectory(dir=args.folder) as name:
        folder = pathlib.Path(name)
        (folder / "vmlinux").write_bytes(boot.payload(vmlinuz))
        files = initramfs(folder, args.programs)
        bare = boot_bare(args, vmlinuz, files, folder)
        guest, log, status = boot.boot(args, folder / "vmlinux", files, folder)
    (args.folder / "bare").write_text(bare)
    (args.folder / "guest").write_text(guest)
    wrong = judge(verdicts(bare), verdicts(guest)) + boot.judge_minivisor(log, status)
    for place, console in (("bare", bare), ("guest", guest)):
        if "%% end" not in console:
            wrong.append(f"{place}: did not come to its end")
    for name, why in EXCEPTIONS.items():
        print(f"excused: {name}: {why}")
    print("\n".join(f"not ok - {line}" for line in wrong) or
          f"ok - {vmlinuz.name}: {len(verdicts(bare))} selftests have the same verdicts as a guest")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
