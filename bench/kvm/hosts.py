# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
"""The three emulated hosts of bench/kvm, and how one is booted with the guest in it."""
import collections
import json
import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
GDB_PORT = 1234		# QEMU's -s

Host = collections.namedtuple("Host", "name guest cpu vendor")
HOSTS = (
    Host("kvm-pvm", "pvm", "EPYC,svm=off,smap=off", ()),
    Host("npt=0", "ring0", "EPYC,svm=on,smap=off", ("ccp", "kvm-amd npt=0")),
    Host("npt=1", "ring0", "EPYC,svm=on,smap=off", ("ccp", "kvm-amd npt=1")),
)


def add_arguments(parser):
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build", help="the build folder")
    parser.add_argument("--suite", default="bookworm", help="which kernel: a suite of tests/kvm/kernel")


def jobs_of(build, guest):
    programs = [build / "bench/kvm/bench-kvm-counter", build / f"bench/kvm/bench-kvm-{guest}.elf"]
    return [{"name": "version", "command": "cat /proc/version"},
            {"name": "guest", "command": f"/files/bench-kvm-counter /files/bench-kvm-{guest}.elf {guest}",
             "files": [str(program) for program in programs]},
            {"name": "symbols", "command": "busybox gzip -c /proc/kallsyms | busybox base64"}]


def command(args, host):
    """That boots @host, and the folder of its results."""
    build = args.build.resolve()
    folder = build / "bench/kvm/results" / host.name
    folder.mkdir(parents=True, exist_ok=True)
    jobs = folder.parent / f"{host.name}.json"
    jobs.write_text(json.dumps(jobs_of(build, host.guest)))
    return ([ROOT / "tests/kvm/run", args.suite, build / "tests/kvm/module" / args.suite, "--jobs", jobs, "--results",
             folder, "--cpu", host.cpu, "--count", *(["--vendor", *host.vendor] if host.vendor else [])], folder)
