#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
"""A Debian kernel with kvm-pvm.ko, emulated by QEMU's TCG, that runs jobs one after the other.

    host.py --kernel FOLDER --module kvm-pvm.ko --jobs JOBS.json --results FOLDER
            [--cpu MODEL] [--disk FILE] [--append WORDS] [--vendor MODULE...] [--only NAME...] [--gdb]
            [--count [--skip-idle]] [--monitor SOCKET]
            [--shell COMMAND --file PATH[=NAME]...]

--kernel is a folder of tests/kvm/kernel. The module may have another name: jobs have it as $PVM_MODULE. JOBS.json is a list of jobs:

    name      in results: NAME.json has the status and the output
    command   what the shell of the host runs
    files     what is put into /files for it, as PATH or PATH=NAME, with the libraries of programs

The host has two NUMA nodes, and swap on a RAM disk. It must stay clean: it panics at the first warning, nothing is reported in its log, the module must go at the end, and where
the kernel has kmemleak or page_owner nothing may be lost. That is the job "host": status 0 if so. --vendor: these modules of the kernel's own instead of kvm-pvm.ko, each with its
parameters: "kvm-amd npt=0". --shell COMMAND: one command instead of jobs, with the terminal, and no checks. --count: one CPU, whose TSC and time count its instructions; --skip-idle: while it has none to execute, time
goes on to the next timer at once. The initramfs is made of busybox, the jobs' files and the kernel's modules.
"""
import argparse
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from initramfs import pack  # noqa: E402

INIT = r"""#!/bin/sh
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tracefs tracefs /sys/kernel/tracing
mount -t debugfs debugfs /sys/kernel/debug
export PVM_MODULE=$(cat /module)
echo "@@ begin host"
while read -r what; do
	grep -q "$what" /proc/cpuinfo || { echo "this CPU has no $what"; poweroff -f; }
done < /cpu
KMEMLEAK=/sys/kernel/debug/kmemleak
# Objects that nothing points to any more. A look takes none for lost in its first seconds.
scan_twice() {
	for look in first second; do
		sleep 6
		echo scan > $KMEMLEAK || { echo "@@ leaks: kmemleak has turned itself off"; return 1; }
	done
}
no_leaks() {
	[ -e $KMEMLEAK ] || return 0
	scan_twice || return 1
	[ -z "$(cat $KMEMLEAK)" ] && return 0
	echo "@@ leaks"
	cat $KMEMLEAK
	return 1
}
# Pages that the module has taken, where the kernel knows who took which. Those of slabs are the kernel's.
pages() {
	[ -e /sys/kernel/debug/page_owner ] || return 0
	cat /sys/kernel/debug/page_owner | awk '
		function tell() { if (ours && !kept) print record; record = ""; ours = kept = 0 }
		/^Page allocated/ { tell() }
		{ record = record $0 "\n"; lines++ }
		/\[kvm_pvm\]/ { ours = 1 }
		/slab/ { kept = 1 }
		/huge_zero_page/ { kept = 1 }		# one for all of Linux
		/pvm_kvm_alias_init/ { kept = 1 }	# the module keeps them as long as it is there
		END { tell(); if (lines < 1000) print "page_owner cannot be read" }'
}
if [ -e $KMEMLEAK ]; then
	scan_twice
	echo clear > $KMEMLEAK
fi
insmod /modules/irqbypass.ko
insmod /modules/kvm.ko
while read -r module; do
	insmod /modules/$module || { echo "$module cannot be loaded"; poweroff -f; }
done < /vendor
insmod /modules/brd.ko rd_nr=2 rd_size=131072
mkswap /dev/ram0 >/dev/null && swapon /dev/ram0
while read -r name limit command; do
	echo "@@ begin $name"
	timeout -s KILL $limit sh -c "$command" 2>&1 </dev/null
	status=$?
	echo
	echo "@@ end $status"
done < /list
# With the module, which has the names in what is lost of a VM; and without it.
lost=$(pages)
[ -z "$lost" ] || echo "@@ leaks
$lost"
[ -z "$lost" ] && no_leaks && { [ -z "$PVM_MODULE" ] || rmmod $PVM_MODULE; } && no_leaks && echo "@@ clean"
echo "@@ log"
dmesg
echo "@@ done"
poweroff -f
"""
SHELL_INIT = r"""#!/bin/sh
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
for module in irqbypass kvm $(cut -d' ' -f1 /vendor); do
	insmod /modules/${module%.ko}.ko $(sed -n "s/^$module //p" /vendor) || { echo "$module cannot be loaded"; poweroff -f; }
done
setsid cttyhack sh -c "$(cat /shell)"
echo "@@ shell $?"
poweroff -f
"""
APPLETS = ("sh", "cut", "sed", "setsid", "cttyhack", "mount", "umount", "insmod", "rmmod", "timeout", "echo", "dmesg", "poweroff", "sleep", "mkswap",
           "swapon", "swapoff", "kill", "cat", "seq", "true", "ls", "grep", "wc", "head", "chmod", "mkfifo", "mkdir",
           "mv", "sort", "su", "uniq", "awk", "gzip",
           "gunzip", "base64")
MODULES = ("irqbypass", "kvm", "brd")
MAY_BE_ABSENT = ("minix",)	# from kernels for cloud machines
# Two NUMA nodes; the second one of a machine with one CPU has none.
NODES = {count: ("-object", "memory-backend-ram,id=first,size=512M", "-object", "memory-backend-ram,id=second,size=512M",
                 "-numa", "node,memdev=first,cpus=0", "-numa", "node,memdev=second" + ("" if count else ",cpus=1"))
         for count in (False, True)}
JOB_SECONDS = 300	# against hangs


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kernel", required=True, type=pathlib.Path)
    parser.add_argument("--module", required=True, type=pathlib.Path)
    parser.add_argument("--beside", type=pathlib.Path, help="a module that a job may load")
    parser.add_argument("--jobs", type=pathlib.Path)
    parser.add_argument("--results", type=pathlib.Path)
    parser.add_argument("--shell", help="a command that gets the terminal, instead of jobs")
    parser.add_argument("--file", nargs="+", default=[], help="what it finds in /files")
    parser.add_argument("--cpu", default="EPYC,svm=off,smap=off")
    parser.add_argument("--disk", help="a raw file that is the host's /dev/vda, for who loads the driver")
    parser.add_argument("--append", default="")
    parser.add_argument("--vendor", nargs="+", default=[], help="modules instead of kvm-pvm.ko")
    parser.add_argument("--timeout", type=int, default=3000, help="seconds, against hangs")
    parser.add_argument("--seconds", type=int, default=JOB_SECONDS, help="for each job, against hangs")
    parser.add_argument("--gdb", action="store_true", help="QEMU listens for gdb at port 1234, and waits for it")
    parser.add_argument("--monitor", help="QEMU's monitor listens there: a name for a socket")
    parser.add_argument("--count", action="store_true", help="one CPU, whose time counts instructions")
    parser.add_argument("--skip-idle", action="store_true", help="with --count: waiting takes no time")
    parser.add_argument("--only", nargs="+", default=[], help="names of jobs")
    return parser.parse_args()


def one(folder, pattern):
    found = sorted(folder.glob(pattern))
    if not found:
        sys.exit(f"host.py: {folder} has no {pattern}")
    return found[-1]


def unpack_module(kernel, name, folder):
    module = one(kernel, f"lib/modules/*/kernel/**/{name}.ko*")
    target = folder / f"{name}.ko"
    if module.suffix == ".xz":
        target.write_bytes(subprocess.check_output(["xz", "-dc", module]))
    else:
        shutil.copy(module, target)


def libraries(program):
    """Of a program that is not static; else none."""
    listed = subprocess.run(["ldd", program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False)
    return re.findall(r"(/\S+) \(0x", listed.stdout)


def add_file(root, entry):
    path, _, name = entry.partition("=")
    if not pathlib.Path(path).exists():
        sys.exit(f"host.py: {path} is missing" + (": apt-get install qemu-system-x86 qemu-system-data seabios"
                                                  if path.startswith("/usr/") else ""))
    target = root / "files" / (name or pathlib.Path(path).name)
    shutil.copy(path, target)
    for library in libraries(path):
        copy = root / library.lstrip("/")
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(library, copy)


def make_initramfs(args, jobs, folder):
    """Returns the file."""
    root = folder / "root"
    for name in ("bin", "dev", "proc", "sys", "tmp", "files", "modules"):
        (root / name).mkdir(parents=True)
    busybox = shutil.which("busybox")
    if not busybox:
        sys.exit("host.py: busybox is missing: apt-get install busybox-static")
    shutil.copy(busybox, root / "bin/busybox")
    for applet in APPLETS:
        (root / "bin" / applet).symlink_to("busybox")
    has = [name for name in MAY_BE_ABSENT if list(args.kernel.glob(f"lib/modules/*/kernel/**/{name}.ko*"))]
    for name in (*MODULES, *has, *(entry.split()[0] for entry in args.vendor)):
        unpack_module(args.kernel, name, root / "modules")
    subprocess.run(["strip", "--strip-debug", "-o", root / "modules/kvm-pvm.ko", args.module], check=True)
    if args.beside:
        shutil.copy(args.beside, root / "modules")
    # The loader goes by the name in the module, not by the file's.
    (root / "module").write_text("" if args.vendor else args.module.stem.replace("-", "_"))
    vendor = args.vendor or ["kvm-pvm accept_meltdown=1"]
    (root / "vendor").write_text("".join(" ".join((f"{name}.ko", *words)) + "\n"
                                         for name, *words in (entry.split() for entry in vendor)))
    for entry in sorted({file for job in jobs for file in job.get("files", ())}):
        add_file(root, entry)
    # What was asked for may be turned off by the emulator or by Linux.
    wanted = {"la57=on": "57 bits virtual", "pku=on": " ospke "}
    (root / "cpu").write_text("".join(f"{wanted[word]}\n" for word in args.cpu.split(",") if word in wanted))
    (root / "list").write_text("".join(f"{job['name']} {args.seconds} {job['command']}\n" for job in jobs
                                       if "command" in job))
    if args.shell:
        (root / "shell").write_text(args.shell)
    return pack(root, SHELL_INIT if args.shell else INIT, folder / "initramfs")


def boot(args, initramfs):
    """Returns what was printed; it is in the file console all the while."""
    # One thread: where QEMU 7.2 runs CPUs in several, a CPU may execute a breakpoint of Linux's text
    # patching for ever. KVM_CREATE_VM patches; the kernel's own kvm-amd hangs there as well.
    # no_timer_check: Linux gives the timer a fixed number of instructions, too few on a machine with other work.
    command = ["qemu-system-x86_64", "-accel", "tcg,thread=single", "-cpu", args.cpu, "-m", "1G",
               *(("-smp", "1", "-icount", "shift=0" + (",sleep=off" if args.skip_idle else "")) if args.count else ("-smp", "2,sockets=2")),
               "-kernel", str(one(args.kernel, "boot/vmlinuz-*")), "-initrd", str(initramfs),
               *NODES[args.count],
               "-append", f"console=ttyS0 panic=-1 quiet oops=panic panic_on_warn=1 "
               f"no_timer_check {args.append}" + (" loglevel=3" if args.shell else ""),
               "-display", "none", "-no-reboot", "-nic", "none",
               "-monitor", f"unix:{args.monitor},server=on,wait=off" if args.monitor else "none",
               # Keys that send signals are for who has the shell.
               *(("-chardev", "stdio,id=terminal,signal=off", "-serial", "chardev:terminal") if args.shell else
                 ("-serial", f"file:{args.results / 'console'}")),
               *(["-drive", f"file={args.disk},format=raw,if=virtio"] if args.disk else []),
               *(["-s", "-S"] if args.gdb else [])]
    if args.shell:
        done = subprocess.run(command, stderr=subprocess.PIPE, check=False)
        if done.returncode:
            sys.stderr.write(done.stderr.decode(errors="replace"))
        return done.returncode
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=args.timeout, check=False)
        said = done.stdout.decode(errors="replace")
    except subprocess.TimeoutExpired:
        said = "time is over\n"
    console = args.results / "console"
    text = console.read_text(errors="replace") if console.exists() else ""
    return text.replace("\r", "") + said


# What the kernel reports and goes on: of lockdep, of RCU, of sleep where there must be none, of what takes too long.
COMPLAINT = re.compile(r"BUG: |WARNING: (?:CPU|possible|suspicious|inconsistent|bad|held|lock|[A-Z]+-)|INFO: (?:possible|task|rcu)"
                       r"|suspicious RCU|stalls? on|starved for|soft lockup|blocked for more than|sleeping function"
                       r"|circular locking|Invalid wait context|turning off the locking correctness")


def complaints(console):
    """Of the kernel's lines, not of what jobs print."""
    kernels = re.findall(r"^\[ *\d+\.\d+\] .*", console, re.M)
    return [line for line in kernels if COMPLAINT.search(line)]


def results(console):
    """{ job: { status, output } } of those that ended, and what the last one printed that did not."""
    found, current, lines = {}, None, []
    for line in console.splitlines():
        begin = re.match(r"@@ begin (\S+)$", line)
        if begin:
            current, lines = begin.group(1), []
        elif line.startswith("@@ end") and current:
            while lines and not lines[-1]:
                lines.pop()
            found[current] = {"status": int(line.split()[2]), "output": "\n".join(lines) + "\n"}
            current = None
        elif current and not re.match(r"\[ *\d+\.\d+\] ", line):	# not the kernel's
            lines.append(line)
    return found


def main():
    args = arguments()
    if args.shell:
        with tempfile.TemporaryDirectory(prefix="kvm-pvm-") as folder:
            return boot(args, make_initramfs(args, [{"files": args.file}], pathlib.Path(folder)))
    if not args.jobs or not args.results:
        sys.exit("host.py: --jobs and --results, or --shell")
    jobs = json.loads(args.jobs.read_text())
    if args.only:
        unknown = set(args.only) - {job["name"] for job in jobs}
        if unknown:
            sys.exit(f"host.py: no such job: {', '.join(sorted(unknown))}")
        jobs = [job for job in jobs if job["name"] in args.only]
    shutil.rmtree(args.results, ignore_errors=True)
    args.results.mkdir(parents=True)
    with tempfile.TemporaryDirectory(prefix="kvm-pvm-") as folder:
        console = boot(args, make_initramfs(args, jobs, pathlib.Path(folder)))
    (args.results / "machine").write_text(args.cpu)
    found = results(console)
    for name, result in found.items():
        (args.results / f"{name}.json").write_text(json.dumps(result))
    missing = [job["name"] for job in jobs if job["name"] not in found]
    wrong = complaints(console)
    clean = "@@ clean" in console and "@@ done" in console and not missing and not wrong
    output = "" if clean else "\n".join(wrong[:20]) + "\n" + console[-6000:]
    (args.results / "host.json").write_text(json.dumps({"status": 0 if clean else 1, "output": output}))
    print(f"{len(found)} jobs ended, of {len(jobs)}; the host {'stayed clean' if clean else 'did not stay clean'}")
    if missing:
        print(f"did not end: {', '.join(missing)}")
    if not found:
        print(output)
    return not found		# what is missing fails by itself


if __name__ == "__main__":
    sys.exit(main())
