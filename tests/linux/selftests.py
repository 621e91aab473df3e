#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
"""Linux's own selftests for x86, run by a distribution's kernel on an emulated PC and as a guest of minivisor: the
verdicts are the same, but for those of EXCEPTIONS, which says what they are in a guest. None passes that did not run:
each program has a verdict, those of NEEDED are there, and each has succeeded at something, or QUIET says why not.

    selftests.py --minivisor ELF --suite SUITE --folder FOLDER [--programs FOLDER] [--cpus N]

The programs are those that tests/linux/selftests makes, or those of a FOLDER, in which any may be missing. In QEMU's TCG.
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
# Protection keys are hidden from a guest; a signal's frame is larger where they are (sigaltstack).
BARE_CPU = "max,la57=off,smap=off,pku=off"
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

# Linux's Makefile leaves out what it cannot build, all of one width, and says no more than a warning.
BOTH = ("ldt_gdt", "sigreturn", "iopl", "ioperm", "syscall_nt", "single_step_syscall", "mov_ss_trap", "test_vsyscall",
        "ptrace_syscall", "syscall_arg_fault", "check_initial_reg_state", "sigtrap_loop", "fsgsbase_restore",
        "sysret_ss_attrs", "sigaltstack", "test_mremap_vdso")
NEEDED = {f"{name}_{width}" for name in BOTH for width in (32, 64)} | {
    "fsgsbase_64", "sysret_rip_64", "syscall_numbering_64", "corrupt_xstate_header_64", "test_syscall_vdso_32"}
LEAST = {"32": 23, "64": 21}	# programs of that width: what linux-source-6.1 has

# {program: why it succeeds at nothing on the emulated PC}
QUIET = {
    "amx_64": "TCG's CPU has no AMX",
    "entry_from_vm86_32": "a 64-bit kernel has no vm86 mode",
    "mov_ss_trap_64": "TCG does not hold back a trap of MOV SS, and so it comes where the program has made RSP non-canonical",
}

NO_PORTS = "a guest has no I/O ports, and ioperm() and iopl() cannot give it any"
NO_16_BITS = "Linux refuses 16-bit segments as a Xen PV guest (arch/x86/kernel/ldt.c): returns to them are not tried"
NO_SYSENTER = ("there are no callbacks for SYSENTER and 32-bit SYSCALL: Linux's vDSO does not use them then, and a program "
               "that does has #GP and #UD")

# {program: (what its verdict is in a guest, where it differs, and why)}
EXCEPTIONS = {
    "ioperm_32": ((1, 2, 1), NO_PORTS),
    "ioperm_64": ((1, 2, 1), NO_PORTS),
    "iopl_32": ((1, 2, 1), NO_PORTS),
    "iopl_64": ((1, 2, 1), NO_PORTS),
    "sigreturn_32": ((1, 9, 1), NO_16_BITS),
    "sigreturn_64": ((0, 12, 0), NO_16_BITS),
    "syscall_arg_fault_32": ((0, 0, 2), NO_SYSENTER),
    "syscall_arg_fault_64": ((0, 2, 3), NO_SYSENTER),
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
    command = ["qemu-system-x86_64", "-accel", "tcg,thread=single", "-cpu", BARE_CPU,
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


def judge_one(name, bare, guest):
    """What is wrong with a program, in lines; None: it has no verdict."""
    if bare is None or guest is None:
        return [f"no verdict {'of the guest' if bare else 'without'}"]
    wrong = []
    for place, verdict in (("without", bare), ("in the guest", guest)):
        if verdict[0] == KILLED:
            wrong.append(f"takes too long {place}")
    if (bare[1] == 0) != (name in QUIET):
        wrong.append(f"succeeds {bare[1]} times without")
    wanted = EXCEPTIONS[name][0] if name in EXCEPTIONS else bare
    if guest != wanted:
        wrong.append(f"status, right and wrong are {guest} in the guest, not {wanted}")
    if name in EXCEPTIONS and guest == bare:
        wrong.append(f"is an exception, and does not differ: {bare}")
    return wrong


def judge(bare, guest, programs):
    """What is wrong, in lines. @programs: names of those that were to run."""
    return [f"{name}: {line}" for name in sorted(programs | set(bare) | set(guest))
            for line in judge_one(name, bare.get(name), guest.get(name))]


def judge_programs(programs):
    wrong = [f"{name}: was not built" for name in sorted((NEEDED | set(EXCEPTIONS) | set(QUIET)) - programs)]
    for width, least in LEAST.items():
        count = sum(name.endswith(f"_{width}") for name in programs)
        if count < least:
            wrong.append(f"{count} programs of {width} bits, not {least}")
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
    whole = not args.programs
    if whole:
        made = subprocess.run([boot.TESTS / "linux" / "selftests"], stdout=subprocess.PIPE, check=True, text=True)
        args.programs = pathlib.Path(made.stdout.strip())
    programs = {path.name for path in args.programs.iterdir()}
    wrong = judge_programs(programs) if whole else []
    if not programs:
        wrong.append(f"{args.programs} is empty")
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
    wrong += judge(verdicts(bare), verdicts(guest), programs) + boot.judge_minivisor(log, status)
    for place, console in (("bare", bare), ("guest", guest)):
        if "%% end" not in console:
            wrong.append(f"{place}: did not come to its end")
    excused = sorted(programs & set(EXCEPTIONS))
    for name in excused:
        print(f"excused: {name}: {EXCEPTIONS[name][0]}: {EXCEPTIONS[name][1]}")
    print("\n".join(f"not ok - {line}" for line in wrong) or
          f"ok - {vmlinuz.name}: {len(programs) - len(excused)} selftests have the same verdicts as a guest, and "
          f"{len(excused)} those that are named")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
