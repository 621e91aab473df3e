#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
"""A kernel that the module cannot be built for: one line that says why, from backends/kvm/build.

The folders of headers are made here, with as much in them as that script reads. Each case spoils a good one.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / "backends/kvm/build"
CONFIG = "CONFIG_X86_64=y\nCONFIG_KVM=m\nCONFIG_HYPERV=m\nCONFIG_PREEMPT=y\n"
NO_HYPERV = CONFIG.replace("CONFIG_HYPERV=m\n", "")
CONFIG_FILE = "include/config/auto.conf"
VERSION_FILE = "include/generated/uapi/linux/version.h"
KVM_HOST = "common/arch/x86/include/asm/kvm_host.h"
# Of a kernel that says which modules may use kvm.ko.
SYMVERS = "0x00000000\tkvm_x86_vendor_init\tarch/x86/kvm/kvm\tEXPORT_SYMBOL_GPL\tmodule:kvm-amd,kvm-intel\n"
# The Makefile of a kernel's sources has such lines, too.
TREE = "ifdef NEVER\ninclude $(srctree)/arch/$(SRCARCH)/Makefile\nendif\nmodules:\n\t@echo built\n"
# What build and check call, but for make and the compiler.
TOOLS = ("sh", "cat", "cmp", "cp", "dirname", "env", "find", "grep", "mkdir", "rm", "sed", "sort", "tail", "true")


def version_text(version):
    major, minor, sub = (int(part) for part in version.split("."))
    return f"#define LINUX_VERSION_CODE {(major << 16) + (minor << 8) + min(sub, 255)}\n"


def headers(folder, version="6.1.192"):
    """A folder that is good enough: its modules are "built" by printing a line."""
    files = {
        "Makefile": f"include {folder}/common/Makefile\n",
        "common/Makefile": "modules:\n\t@echo built\n",
        KVM_HOST: "\tKVM_RUN_FORCE_IMMEDIATE_EXIT\t= BIT(0),\n",
        CONFIG_FILE: CONFIG, VERSION_FILE: version_text(version), "Module.symvers": "",
        ".kernelvariables": "override ARCH = x86\nCC = $(if $(CCACHE_WANTED),ccache) $(CROSS_COMPILE)true\n",
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def remove(name):
    return lambda kdir: (kdir / name).unlink()


def write(name, text):
    return lambda kdir: (kdir / name).write_text(text)


def version(number):
    return write(VERSION_FILE, version_text(number))


def both(first, second):
    return lambda kdir: (first(kdir), second(kdir))


# What is done to the headers, and what the one line must say.
CASES = {
    "no-folder": (shutil.rmtree, "no such folder.*apt-get install linux-headers-amd64"),
    "no-headers": (remove("Makefile"), "has no Makefile: these are no kernel headers"),
    "not-configured": (remove(CONFIG_FILE), "has no include/config/auto.conf"),
    "no-version": (remove(VERSION_FILE), "which Linux is it"),
    "linux-5.10": (version("5.10.223"), r"is of Linux 5\.10; the module is for 6\.1, 6\.12 and 7\.3 only"),
    "linux-6.6": (version("6.6.30"), r"is of Linux 6\.6; "),
    "linux-6.11": (version("6.11.2"), r"is of Linux 6\.11; "),
    "linux-6.19": (version("6.19.0"), r"is of Linux 6\.19; "),
    "linux-7.2": (version("7.2.1"), r"is of Linux 7\.2; "),
    "only-vendors": (write("Module.symvers", SYMVERS), "for modules named kvm-amd only: set PVM_KVM_NAME=kvm-amd"),
    "other-architecture": (write(CONFIG_FILE, CONFIG.replace("CONFIG_X86_64=y", "CONFIG_ARM64=y")), "another architecture"),
    "no-kvm": (write(CONFIG_FILE, CONFIG.replace("CONFIG_KVM=m\n", "")), "without KVM"),
    "no-hyperv": (both(version("6.12.95"), write(CONFIG_FILE, NO_HYPERV)), "without CONFIG_HYPERV"),
    "no-hyperv-7.3": (both(version("7.3.4"), write(CONFIG_FILE, NO_HYPERV)), "without CONFIG_HYPERV"),
    "realtime": (write(CONFIG_FILE, CONFIG + "CONFIG_PREEMPT_RT=y\n"), "PREEMPT_RT"),
    "no-symvers": (remove("Module.symvers"), r"has no Module\.symvers"),
    "no-common-headers": (remove(KVM_HOST), "headers of all flavours"),
    "old-stable": (write(KVM_HOST, "\n"), r"is of Linux 6\.1\.192, before KVM_RUN_FORCE_IMMEDIATE_EXIT: update"),
    "no-compiler": (write(".kernelvariables", "CC = $(CROSS_COMPILE)gcc-99\n"),
                    "the compiler of this kernel, gcc-99, is missing: apt-get install gcc-99"),
}
GOOD = {"linux-6.1": ("6.1.192", None), "linux-6.12": ("6.12.95", None), "linux-7.3": ("7.3.4", None),
        "linux-6.1-without-hyperv": ("6.1.192", write(CONFIG_FILE, NO_HYPERV)),
        "built-in": ("6.12.0", write(CONFIG_FILE, CONFIG.replace("KVM=m", "KVM=y"))),
        "kernel-tree": ("6.1.3", lambda kdir: [(kdir / "common/arch").rename(kdir / "arch"),
                                               (kdir / "common/Makefile").unlink(), (kdir / "Makefile").write_text(TREE),
                                               (kdir / ".kernelvariables").write_text("CC = true\n")])}


def build(kdir, stage, path=None):
    return subprocess.run([BUILD, kdir, stage], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False,
                          env={**os.environ, **({"PATH": str(path)} if path else {})})


def judge(name, done, wanted):
    """True if it was one line, and the right one."""
    lines = done.stderr.splitlines()
    right = done.returncode == 1 and not done.stdout and len(lines) == 1 and \
        re.match(rf"kvm-pvm: .*{wanted}", lines[0])
    if not right:
        print(f"{name}: status {done.returncode}, not one line like /{wanted}/:\n{done.stdout}{done.stderr}")
    return bool(right)


def tools_without(folder, *missing):
    """A folder for PATH."""
    folder.mkdir()
    for tool in {*TOOLS, "make"} - {*missing}:
        (folder / tool).symlink_to(shutil.which(tool))
    return folder


def judge_good(name, scratch):
    number, change = GOOD[name]
    kdir = headers(scratch / name, number)
    if change:
        change(kdir)
    done = build(kdir, scratch / "stage")
    if done.returncode or "built" not in done.stdout or done.stderr:
        print(f"{name}: status {done.returncode}:\n{done.stdout}{done.stderr}")
        return False
    return True


def main():
    right = []
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        for name, (spoil, wanted) in CASES.items():
            kdir = headers(scratch / name)
            spoil(kdir)
            right.append(judge(name, build(kdir, scratch / "stage"), wanted))
        right.append(judge("no-make", build(headers(scratch / "no-make"), scratch / "stage",
                                            tools_without(scratch / "tools", "make")),
                           "make is missing: apt-get install make"))
        right.append(not (scratch / "stage").exists())	# refused before anything is written
        right += [judge_good(name, scratch) for name in GOOD]
    print(f"{sum(right)} of {len(right)} right")
    return not all(right)


if __name__ == "__main__":
    sys.exit(main())
