#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
"""Conformance guests of both dialects on kvm-pvm.ko, in a Debian kernel that QEMU's TCG emulates.

    guests.py --kernel PACKAGES --module kvm-pvm.ko --vmm vmm --pvm pvm --probe ring0-probe.elf
              --cache FOLDER [--cpu MODEL] [--append WORDS] NAME=GUEST.elf...

One boot runs all guests, each with 1, 2 and 4 vCPUs, and compares what they print with
`pvm run`, line by line, as ../ring0/matrix.py does for minivisor. The host must stay clean: it panics at
the first warning. --kernel is a folder with Debian's image package unpacked; the initramfs
is made of its modules and of busybox.
"""
import argparse
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "ring0"))
import compare			# noqa: E402
import machine as machines	# noqa: E402
import probe			# noqa: E402

INIT = """#!/bin/sh
mount -t devtmpfs dev /dev
mount -t proc proc /proc
insmod /irqbypass.ko
insmod /kvm.ko
insmod /kvm-pvm.ko accept_meltdown=1 || { echo "@@ no module"; poweroff -f; }
while read name cpus; do
	echo "@@ begin $name $cpus"
	timeout 120 vmm /guests/$name 64 $cpus 2>&1
	status=$?
	echo
	echo "@@ end $status"
done < /list
rmmod kvm_pvm || echo "@@ cannot be unloaded"
echo "@@ log"
dmesg
echo "@@ done"
poweroff -f
"""
APPLETS = ("sh", "mount", "insmod", "rmmod", "timeout", "echo", "dmesg", "poweroff", "sleep")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kernel", required=True, type=pathlib.Path)
    parser.add_argument("--module", required=True)
    parser.add_argument("--vmm", required=True)
    parser.add_argument("--pvm", required=True)
    parser.add_argument("--probe", required=True)
    parser.add_argument("--cpu", default="EPYC,svm=off,smap=off")
    parser.add_argument("--append", default="")
    parser.add_argument("--cpus", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--timeout", type=int, default=1800)
    parser.add_argument("guests", nargs="+", metavar="NAME=FILE")
    return parser.parse_args()


def one(folder, pattern):
    found = sorted(folder.glob(pattern))
    if not found:
        sys.exit(f"guests.py: {folder} has no {pattern}")
    return found[-1]


def make_initramfs(args, folder, runs):
    """Returns the file."""
    root = folder / "root"
    for name in ("bin", "dev", "proc", "guests"):
        (root / name).mkdir(parents=True)
    busybox = shutil.which("busybox")
    if not busybox:
        sys.exit("guests.py: busybox is missing: apt-get install busybox-static")
    shutil.copy(busybox, root / "bin/busybox")
    for applet in APPLETS:
        (root / "bin" / applet).symlink_to("busybox")
    for pattern in ("arch/x86/kvm/kvm.ko", "virt/lib/irqbypass.ko"):
        module = one(args.kernel, f"**/lib/modules/*/kernel/{pattern}*")
        if module.suffix == ".xz":
            (root / module.stem).write_bytes(subprocess.check_output(["xz", "-dc", module]))
        else:
            shutil.copy(module, root / module.name)
    subprocess.run(["strip", "--strip-debug", "-o", root / "kvm-pvm.ko", args.module], check=True)
    shutil.copy(args.vmm, root / "bin/vmm")
    for name, file in (guest.split("=", 1) for guest in args.guests):
        shutil.copy(file, root / "guests" / name)
    (root / "list").write_text("".join(f"{name} {cpus}\n" for name, cpus in runs))
    (root / "init").write_text(INIT)
    (root / "init").chmod(0o755)
    names = "".join(f"{path.relative_to(root)}\n" for path in sorted(root.rglob("*")))
    archive = subprocess.run(["cpio", "-o", "-H", "newc", "--quiet"], cwd=root, input=names.encode(),
                             stdout=subprocess.PIPE, check=True).stdout
    (folder / "initramfs").write_bytes(archive)
    return folder / "initramfs"


def boot(args, initramfs):
    # One thread: where QEMU 7.2 runs CPUs in several, a CPU may execute a breakpoint of Linux's text
    # patching for ever. KVM_CREATE_VM patches; the kernel's own kvm-amd hangs there as well.
    command = ["qemu-system-x86_64", "-accel", "tcg,thread=single", "-cpu", args.cpu, "-m", "1G", "-smp", "2",
               "-kernel", str(one(args.kernel, "boot/vmlinuz-*")), "-initrd", str(initramfs),
               "-append", f"console=ttyS0 panic=-1 quiet oops=panic panic_on_warn=1 {args.append}",
               "-display", "none", "-monitor", "none", "-serial", "stdio", "-no-reboot", "-nic", "none"]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=args.timeout, check=False)
        # 0 and no last line: the machine was reset, by a triple fault say.
        return (done.stdout.decode(errors="replace").replace("\r", "") +
                f"\n@@ QEMU: status {done.returncode} {done.stderr.decode(errors='replace')}\n")
    except subprocess.TimeoutExpired as late:
        return (late.stdout or b"").decode(errors="replace").replace("\r", "") + "\n@@ time is over\n"


def results(console):
    """What each run printed, and its status: {(name, cpus): Run}."""
    found, current, lines = {}, None, []
    for line in console.splitlines():
        begin = re.match(r"@@ begin (\S+) (\d+)", line)
        if begin:
            current, lines = (begin.group(1), int(begin.group(2))), []
        elif line.startswith("@@ end") and current:
            while lines and not lines[-1]:
                lines.pop()
            found[current] = machines.Run(int(line.split()[2]), "\n".join(lines) + "\n", "")
            current = None
        elif current and not re.match(r"\[ *\d+\.\d+\] ", line):	# not the kernel's
            lines.append(line)
    return found


def main():
    args = arguments()
    guests = dict(guest.split("=", 1) for guest in args.guests)
    runs = [(name, cpus) for name in guests for cpus in args.cpus]
    for name in guests:
        probe.use(args.probe, name.removesuffix(".single"))
    with tempfile.TemporaryDirectory(prefix="kvm-pvm-") as folder:
        console = boot(args, make_initramfs(args, pathlib.Path(folder), runs))
    found = results(console)
    failed = "@@ done" not in console or "@@ cannot" in console
    for name, cpus in runs:
        here = machines.Machine(cpus=cpus)
        run = found.get((name, cpus))
        if not run:
            print(f"{name}, {cpus} vCPUs: did not run")
            failed = True
            continue
        kind = name.removesuffix(".single")
        verdict = compare.judge_alone(kind, here, run, 1)
        compare.judge_against(kind, here, run, machines.run_standalone(args.pvm, guests[name], cpus), verdict)
        print(f"{name}, {cpus} vCPUs: {verdict.checks} checks{', FAILED' if verdict.problems else ''}")
        for problem in verdict.problems:
            print(f"    {problem}")
        failed = failed or bool(verdict.problems)
    if failed:
        print(console[-6000:])
    print("failed" if failed else "all guests are as under pvm run")
    return failed


if __name__ == "__main__":
    sys.exit(main())
