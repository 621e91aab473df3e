#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
"""Debian's own kernels as guests of pvm run, on Debian's kernels with kvm-pvm.ko, in QEMU's TCG.

    nested.py --pvm PVM --work PROGRAM --checks N --module FOLDER --results FOLDER --host SUITE
              [--append WORDS] [--cpu MODEL] GUEST-SUITE:CPUS...

The host is booted once (tests/kvm/run), and runs the guests one after the other; what they do is boot.py's.
"""
import argparse
import hashlib
import json
import pathlib
import re
import subprocess
import sys
import tempfile

import boot

KVM = pathlib.Path(__file__).resolve().parents[1] / "kvm"
MEMORY_MB = 384		# of a guest; the host has 1 GiB
SECONDS = 900		# against hangs, for each guest


def job(args, suite, cpus, initrd):
    kernel = boot.vmlinuz_of(suite)
    print(f"{kernel.name}: sha256 {hashlib.sha256(kernel.read_bytes()).hexdigest()}")
    command = (f"/files/pvm run --backend=kvm --kernel=/files/{kernel.name} --initrd=/files/initrd --smp={cpus} "
               f"--memory={MEMORY_MB}M --append='console=hvc0 {args.append}' </dev/null 2>&1")
    return {"name": f"{suite}.{cpus}", "command": command, "release": kernel.name.removeprefix("vmlinuz-"),
            "files": [str(args.pvm), str(kernel), f"{initrd}=initrd"]}


def run_host(args, jobs, folder, seconds):
    """Boots the host for @jobs, @seconds against hangs for each. What is wrong with the host itself, in lines."""
    (folder / "jobs.json").write_text(json.dumps(jobs))
    status = subprocess.run([KVM / "run", args.host, args.module, "--jobs", folder / "jobs.json", "--results",
                             args.results, "--seconds", str(seconds), *(["--cpu", args.cpu] if args.cpu else []),
                             *(["--disk", args.disk] if getattr(args, "disk", None) else [])],
                            stdin=subprocess.DEVNULL, check=False).returncode
    host = args.results / "host.json"
    if status or not host.exists() or json.loads(host.read_text())["status"]:
        return [f"the host did not stay clean: see {args.results}/console"]
    return []


def parser_of(doc, *programs):
    """What all tests of such guests are told; @programs besides pvm."""
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    for name in ("pvm", *programs, "module", "results"):
        parser.add_argument(f"--{name}", required=True, type=pathlib.Path)
    parser.add_argument("--host", required=True)
    parser.add_argument("--cpu", help="the host's, as QEMU has it")
    return parser


def result_of(args, name):
    """{"output": text, "status": number}, of a job that run_host() was given; "none": it did not end."""
    file = args.results / f"{name}.json"
    return json.loads(file.read_text()) if file.exists() else {"output": "", "status": "none"}


def said_in(output, mark="%%"):
    """{word: the rest} of the lines that begin with @mark; of a checksum's without the file's name."""
    found = re.finditer(rf"^{mark} (\w+) ?(.*?)\r?$", output, re.M)
    return {match[1]: match[2].split(" -")[0].strip() for match in found}


def conclude(wrong, right):
    """Prints the verdict. The status to exit with."""
    print("\n".join(f"not ok - {line}" for line in wrong) or f"ok - {right}")
    return 1 if wrong else 0


def judge(args, one):
    result = result_of(args, one["name"])
    if result["status"] == "none":
        return ["did not run to its end"]
    cpus = int(one["name"].rsplit(".", 1)[1])
    wrong = boot.judge(cpus, args.checks, one["release"], result["output"])
    if result["status"]:
        wrong.append(f"pvm run ends with {result['status']}")
    if "the guest ends: power off" not in result["output"]:
        wrong.append("pvm run does not say that the guest ends")
    if wrong:
        print(result["output"][-6000:])
    return wrong


def main():
    parser = parser_of(__doc__, "work")
    parser.add_argument("--checks", type=int, required=True)
    parser.add_argument("--append", default="")
    parser.add_argument("guests", nargs="+")
    args = parser.parse_args()
    args.results.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=args.results.parent) as name:
        folder = pathlib.Path(name)
        initrd = boot.initramfs(folder, args.work)
        jobs = [job(args, *guest.split(":"), initrd) for guest in args.guests]
        of_host = run_host(args, jobs, folder, SECONDS)
    wrong = [f"{one['name']}: {line}" for one in jobs for line in judge(args, one)] + of_host
    return conclude(wrong, f"on {args.host}: {', '.join(args.guests)}: init, {args.checks} checks each, and power off")


if __name__ == "__main__":
    sys.exit(main())
