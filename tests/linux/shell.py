#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
"""A distribution's kernel as a guest, up to a shell of busybox's on its console.

    shell.py --pvm PVM --module FOLDER [--kernel VMLINUZ]

Where /dev/kvm is kvm-pvm.ko's the guest runs there; else in a host that QEMU emulates (tests/kvm/run), which takes
half a minute longer. Without --kernel: this machine's own kernel if it can be a guest, else Debian 12's. The
terminal is the guest's: Ctrl-A x ends it, as `poweroff -f` does.
"""
import argparse
import os
import pathlib
import subprocess
import sys
import tempfile

import boot

KVM = pathlib.Path(__file__).resolve().parents[1] / "kvm"
INIT = boot.PRELUDE + """mkdir -p /root
echo
echo "Linux $(uname -r), a guest without hardware virtualisation: $(grep -c ^processor /proc/cpuinfo) CPUs"
echo "End it with 'poweroff -f', or with Ctrl-A x."
cd /root
setsid sh -c 'exec sh </dev/hvc0 >/dev/hvc0 2>&1'
poweroff -f
"""


def info(pvm, kernel):
    run = subprocess.run([pvm, "info", kernel], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False)
    return run.stdout if run.returncode == 0 else ""


def choose(pvm):
    own = pathlib.Path("/boot") / f"vmlinuz-{os.uname().release}"
    if os.access(own, os.R_OK) and "abi:     xen-pv" in info(pvm, own):
        return own
    folder = subprocess.run([KVM / "kernel", "bookworm"], stdout=subprocess.PIPE, check=True, text=True).stdout.strip()
    return next(pathlib.Path(folder).glob("boot/vmlinuz-*"))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pvm", required=True, type=pathlib.Path)
    parser.add_argument("--module", required=True, type=pathlib.Path)
    parser.add_argument("--kernel", type=pathlib.Path)
    args = parser.parse_args()
    kernel = args.kernel or choose(args.pvm)
    told = info(args.pvm, kernel)
    if "abi:     xen-pv" not in told:
        subprocess.run([args.pvm, "info", kernel], check=False)
        sys.exit(f"{kernel}: cannot be a guest")
    with tempfile.TemporaryDirectory() as name:
        initrd = boot.initramfs(pathlib.Path(name), init=INIT)
        if "kvm:     yes" in told:
            command = [args.pvm, "run", "--backend=kvm", f"--kernel={kernel}", f"--initrd={initrd}", "--console",
                       "--append=console=hvc0 loglevel=3"]
        else:
            print("/dev/kvm is not kvm-pvm's here: QEMU emulates a host with the module.", flush=True)
            command = [KVM / "run", "bookworm", args.module, "--file", args.pvm, f"{kernel}=vmlinuz", f"{initrd}=initrd",
                       "--shell", "/files/pvm run --backend=kvm --kernel=/files/vmlinuz --initrd=/files/initrd "
                       "--memory=384M --console --append='console=hvc0 loglevel=3'"]
        return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
