#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
"""`pvm run --backend=kvm` on kvm-pvm.ko, in a Debian kernel that QEMU's TCG emulates.

    pvm_run.py ARGUMENT-OF-guests.py... [--cli NAME=GUEST.elf...] [--stock]

One boot runs every conformance guest, each with 1, 2 and 4 vCPUs, and holds what it prints to
`pvm run --backend=native`, as guests.py does with its VMM; then the CASES below, in which guests die, hang,
print into pipes that nobody reads, and pvm lacks something. With --stock the machine has SVM, and
the kernel's own kvm-amd instead of the module: pvm must see that it is not PVM's.
"""
import argparse
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import guests as vmm		# noqa: E402	guests.py: how a kernel is booted
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "ring0"))
import compare			# noqa: E402
import machine as machines	# noqa: E402
import probe			# noqa: E402

HEAD = """#!/bin/sh
mount -t devtmpfs dev /dev
mount -t proc proc /proc
insmod /irqbypass.ko
insmod /kvm.ko
export PATH=/bin:/usr/bin
cd /guests
"""
INSMOD = {False: "insmod /kvm-pvm.ko accept_meltdown=1 || { echo '@@ no module'; poweroff -f; }\n",
          True: "insmod /ccp.ko\ninsmod /kvm-amd.ko || { echo '@@ no module'; poweroff -f; }\n"}
GUESTS = """
while read name cpus; do
	echo "@@ begin $name $cpus"
	timeout 180 pvm run --backend=kvm --smp=$cpus $name < /dev/null 2> /errors
	status=$?
	echo
	echo "@@ end $status"
	cat /errors
done < /list
"""
SETUP = """
mount -t sysfs sys /sys
echo no > /no
echo ok > /ok
mkdir /etc
echo user:x:1000:1000::/:/bin/sh > /etc/passwd
"""
TAIL = """
echo "@@ log"
dmesg
echo "@@ done"
poweroff -f
"""
APPLETS = ("cat", "chmod", "grep", "head", "mkfifo", "mkdir", "mv", "seq", "sort",
           "su", "uniq")

# What a shell runs, its status, and what must be in the output; NAMES of the guests are tests/cli/guests'.
RUN = "pvm run --backend=kvm"
SUMMARY = "grep -c '\"name\":\"exit action\"' /trace"
CASES = {
    "default-is-kvm": ("pvm run --stats hello", 0, ["ok 1 - user mode", "exits to pvm by reason", "counted by KVM"]),
    "info": ("pvm info hello", 0, ["kvm: +yes"]),
    "entry-upper-half": (f"{RUN} entry_upper_half", 3, ["exited with status 3"]),
    "status": (f"{RUN} status < /no", 7, ["no", "status: the guest exited with status 7"]),
    "input": (f"{RUN} status < /ok", 0, ["^ok"]),
    "command-line": (f"{RUN} --append='quiet test=all' --memory=32M hello", 0, ["0 failed"]),
    "abi": (f"{RUN} --abi=single-cr3 hello.single", 0, ["0 failed"]),
    "stats": (f"{RUN} --stats status < /ok", 0, [r"^  port +\d+", r"^  exits +\d+", r"guest memory +65536"]),
    "trace": (f"{RUN} --trace=/trace status < /ok; head -c 1 /trace; {SUMMARY}; grep -c 'instruction OUT' /trace", 0,
              [r"^\[\d", r"^\d+$"]),
    "memory-16g": (f"{RUN} --memory=16G hello", 0, ["0 failed"]),
    "smp-64": (f"{RUN} --smp=64 --memory=256M hello", 0, ["0 failed"]),
    "backtrace": (f"{RUN} --abi=dual-cr3 two_stacks", 1, [r"supervisor_gives_up\+", r"guest_main\+", "user stack, as the PVCS has it",
                                         r"user_asks\+"]),
    "backtrace-single": (f"{RUN} --abi=single-cr3 two_stacks.single", 1, [r"supervisor_gives_up\+", r"guest_main\+"]),
    "timeout": (f"{RUN} --timeout=2 forever", 124, ["forever: timeout", r"_start"]),
    "timeout-halted": (f"{RUN} --timeout=2 halt", 124, ["halt: timeout", "halted"]),
    "timeout-smp": (f"{RUN} --timeout=2 --smp=4 forever", 124, ["timeout"]),
    "sigterm": (f"{RUN} forever & sleep 2; kill -TERM $!; wait $!", 143, ["ended by SIGTERM"]),
    "sigint": (f"{RUN} --smp=2 halt & sleep 2; kill -INT $!; wait $!", 130, ["ended by SIGINT"]),
    "blocked-pipe": (f"({RUN} --timeout=3 print; echo status $?) 2>&1 >/dev/null | cat; "
                     f"mkfifo /f; sleep 20 < /f & timeout -s KILL 10 {RUN} --timeout=2 print > /f; echo left $?", 0, ["left 124"]),
    "closed-pipe": (f"({RUN} print; echo status $? >&2) | head -c 3", 0, ["status 125", "console: Broken pipe"]),
    "full-console": (f"{RUN} print > /dev/full", 125, ["No space left"]),
    "jump-unmapped": (f"{RUN} jump_unmapped", 126, ["triple fault", "0x123456789000"]),
    "pvcs-outside": (f"{RUN} pvcs_outside", 126, ["triple fault while delivering #UD"]),
    "cr3-outside": (f"{RUN} cr3_outside", 126, ["page table root outside guest memory", "0x7ffffff000"]),
    "stack-outside": (f"{RUN} stack_outside", 126, ["triple fault"]),
    "ap-nowhere": (f"{RUN} --smp=2 ap_nowhere", 126, ["vCPU 1: triple fault"]),
    "no-memory-there": (f"{RUN} --memory=17M mmio", 126, ["0x1180000", "where there is no memory"]),
    "wrecked-tables": (f"{RUN} wrecked_tables", 126, ["triple fault"]),
    "random-tables": (f"{RUN} random_tables", 3, ["exited with status 3"]),
    "random-pvcs": (f"{RUN} random_pvcs", 3, ["exited with status 3"]),
    "shadow-memory": (f"{RUN} --shadow-memory=1M hello", 125, ["--shadow-memory: the kvm backend's"]),
    "shadow-memory-default": ("pvm run --shadow-memory=1M --stats hello", 0, ["exits by reason"]),
    "no-descriptors": (f"(ulimit -n 7; {RUN} hello)", 125, ["Too many open files"]),
    "no-right": (f"chmod 700 /dev/kvm; su user -c '{RUN} hello'", 125, ["/dev/kvm: Permission denied", "group kvm"]),
    "no-right-default": ("su user -c 'pvm run --stats hello'", 0, ["stub processes"]),
    "no-device": ("mv /dev/kvm /kvm; " + RUN + " hello", 125, ["needs /dev/kvm: No such file", "load kvm-pvm.ko"]),
    "no-device-default": ("pvm run --stats hello; mv /kvm /dev/kvm", 0, ["stub processes"]),
    "many": (f"for i in $(seq 20); do {RUN} --smp=2 --timeout=0.3 forever 2>&1 | grep -c timeout; done | sort | uniq -c",
             0, [r"20 1"]),
    "unload": ("rmmod kvm_pvm", 0, []),
    "no-module": (f"{RUN} hello", 125, ["/dev/kvm"]),
    "no-module-default": ("pvm run --stats hello", 0, ["stub processes"]),
}
STOCK = {
    "stock": (f"{RUN} hello", 125, ["/dev/kvm is not PVM's", "kvm-amd"]),
    "stock-default": ("pvm run --stats hello", 0, ["ok 1 - user mode", "stub processes"]),
    "stock-info": ("pvm info hello", 0, ["kvm: +no, /dev/kvm is not PVM's"]),
    "stock-ignore-msrs": (f"echo 1 > /sys/module/kvm/parameters/ignore_msrs; {RUN} hello", 125, ["not PVM's"]),
}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("--kernel", "--module", "--pvm", "--probe"):
        parser.add_argument(name, required=True)
    parser.add_argument("--vmm", help="not used: an argument of guests.py")
    parser.add_argument("--cpu", default="EPYC,svm=off,smap=off")
    parser.add_argument("--append", default="")
    parser.add_argument("--cpus", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--timeout", type=int, default=2400)
    parser.add_argument("--cli", nargs="*", default=[], metavar="NAME=FILE")
    parser.add_argument("--stock", action="store_true")
    parser.add_argument("--cases", nargs="+", help="only these, and no conformance guest")
    parser.add_argument("guests", nargs="+", metavar="NAME=FILE")
    args = parser.parse_args()
    args.kernel = pathlib.Path(args.kernel)
    args.vmm = args.pvm		# what guests.py puts into its image
    return args


def script(cases):
    """What runs them, each in a shell of its own: /cases/NAME."""
    return SETUP + "".join(f"echo '@@ begin case-{name} 1'\ntimeout 120 sh /cases/{name} 2>&1\nstatus=$?\necho\n"
                           'echo "@@ end $status"\n' for name in cases)


def libraries(program):
    listed = subprocess.run(["ldd", program], stdout=subprocess.PIPE, text=True, check=True).stdout
    return re.findall(r"(/\S+) \(0x", listed)


def add(root, name, data, mode=0o755):
    file = root / name.lstrip("/")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    file.chmod(mode)


def make_initramfs(args, folder, runs, cases):
    """guests.py's image, and after it an archive with what is more or other here."""
    image = vmm.make_initramfs(args, folder, runs)
    root = folder / "more"
    (root / "sys").mkdir(parents=True)
    (root / "bin").mkdir()
    for applet in APPLETS:
        (root / "bin" / applet).symlink_to("busybox")
    for library in libraries(args.pvm):
        add(root, library, pathlib.Path(library).read_bytes())
    subprocess.run(["strip", "-o", root / "bin/pvm", args.pvm], check=True)
    for name, (command, _, _) in cases.items():
        add(root, f"cases/{name}", f"{command}\n".encode())
    for name, file in (guest.split("=", 1) for guest in args.cli):
        add(root, f"guests/{name}", pathlib.Path(file).read_bytes())
    if args.stock:
        for module in ("kvm-amd.ko", "ccp.ko"):
            file = vmm.one(args.kernel, f"**/{module}*")
            data = file.read_bytes()
            add(root, module, subprocess.check_output(["xz", "-dc", file]) if file.suffix == ".xz" else data)
    add(root, "init", (HEAD + INSMOD[args.stock] + ("" if args.stock or args.cases else GUESTS) + script(cases) +
                       TAIL).encode())
    names = "".join(f"{path.relative_to(root)}\n" for path in sorted(root.rglob("*")))
    archive = subprocess.run(["cpio", "-o", "-H", "newc", "--quiet"], cwd=root, input=names.encode(),
                             stdout=subprocess.PIPE, check=True).stdout
    with open(image, "ab") as file:
        file.write(archive)
    return image


def judge_guests(args, runs, found):
    """Returns whether one of them has failed."""
    files = dict(guest.split("=", 1) for guest in args.guests)
    failed = False
    for name, cpus in runs:
        here, run = machines.Machine(cpus=cpus), found.get((name, cpus))
        if not run:
            print(f"{name}, {cpus} vCPUs: did not run")
            failed = True
            continue
        kind = name.removesuffix(".single")
        verdict = compare.judge_alone(kind, here, run, 1)
        compare.judge_against(kind, here, run, machines.run_standalone(args.pvm, files[name], cpus), verdict)
        print(f"{name}, {cpus} vCPUs: {verdict.checks} checks{', FAILED' if verdict.problems else ''}")
        for problem in verdict.problems:
            print(f"    {problem}")
        failed = failed or bool(verdict.problems)
    return failed


def judge_cases(cases, found):
    """Returns whether one of them has failed."""
    failed = False
    for name, (_, status, wanted) in cases.items():
        run = found.get((f"case-{name}", 1))
        problems = ["did not run"] if not run else []
        if run and run.status != status:
            problems.append(f"status {run.status} instead of {status}")
        problems += [f"no line like /{line}/" for line in wanted if run and not re.search(line, run.console, re.M)]
        print(f"{name}: {'FAILED' if problems else 'ok'}")
        for problem in problems:
            print(f"    {problem}")
        if problems and run:
            print("    " + "\n    ".join(run.console.splitlines()[-30:]))
        failed = failed or bool(problems)
    return failed


def main():
    args = arguments()
    os.environ["LC_ALL"] = "C"
    cases = STOCK if args.stock else CASES
    if args.cases:
        cases = {name: cases[name] for name in args.cases}
    runs = [(guest.split("=", 1)[0], cpus) for guest in args.guests for cpus in args.cpus]
    for guest in args.guests:
        probe.use(args.probe, guest.split("=", 1)[0].removesuffix(".single"))
    with tempfile.TemporaryDirectory(prefix="kvm-pvm-run-") as folder:
        console = vmm.boot(args, make_initramfs(args, pathlib.Path(folder), runs, cases))
    found = vmm.results(console)
    failed = "@@ done" not in console
    if not args.stock and not args.cases:
        failed = judge_guests(args, runs, found) or failed
    failed = judge_cases(cases, found) or failed
    if failed:
        print(console[-6000:])
    print("failed" if failed else "pvm run --backend=kvm does what it should")
    return failed


if __name__ == "__main__":
    sys.exit(main())
