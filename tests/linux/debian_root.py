#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
"""Debian's own programs on a disk, in a distribution's kernel as a guest of pvm run, on Debian's kernel with kvm-pvm.ko, in
QEMU's TCG.

    debian_root.py --pvm PVM --module FOLDER --results FOLDER --host SUITE GUEST-SUITE:CPUS

The root file system is tests/linux/debian-root's, made by debootstrap. The guest's bash is its process 1: every file of
every package has its checksum, trees are packed and unpacked again, and a package is installed, removed and installed
again, without a network. Then the file system on the disk is checked from outside.
"""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import boot
import devices
import nested

MEMORY_MB = 320
SECONDS = 2400		# against hangs
DISK_MB = 1024
HOST_DRIVERS = ("virtio_pci", "virtio_blk")
SUM_TO = 100000
LEAST_FILES = 3000	# that packages of such a system have

INIT = boot.PRELUDE + """mkdir -p /disk
for module in $(cat /modules/order); do insmod /modules/$module || echo "%% insmod $module failed"; done
until [ -b /dev/xvda ]; do sleep 0.1; done
mount -t ext4 /dev/xvda /disk
for folder in dev proc sys; do mount -o move /$folder /disk/$folder; done
exec switch_root /disk /bin/bash /work
"""

WORK = """#!/bin/bash
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C DEBIAN_FRONTEND=noninteractive
say() { echo "%% $*"; }
mount -t tmpfs tmpfs /tmp
say "init $$ $(readlink /proc/$$/exe)"
say "release $(. /etc/os-release && echo "$ID $VERSION_ID")"
say "root $(findmnt -n -o SOURCE,FSTYPE / | tr -s ' ')"
say "libc $(ldd /bin/bash /usr/bin/perl | grep -c '/libc.so.6 (0x')"
# bash's own: functions, arrays, arithmetic, pipes of subshells.
declare -A squares
for ((i = 0; i < 1000; i++)); do squares[$i]=$((i * i)); done
say "bash $(for i in "${!squares[@]}"; do echo "${squares[$i]}"; done | sort -n | tail -n 1)"
say "perl $(perl -e 'my %sum; $sum{$_ % 97} += $_ for 1 .. SUM_TO; my $all = 0; $all += $_ for values %sum; print $all')"
# All that packages have brought, read from the disk.
say "files $(cat /var/lib/dpkg/info/*.md5sums | wc -l)"
say "wrong $(cd / && cat /var/lib/dpkg/info/*.md5sums | md5sum --check --quiet 2>&1 | wc -l)"
say "listed $(ls -lAR /etc /usr/bin /usr/lib | grep -c '^[-l]') $(find /etc /usr/bin /usr/lib '(' -type f -o -type l ')' | wc -l)"
# Trees that are packed, and unpacked from what the disk has of it.
sums() { (cd "$1" && find etc usr/bin usr/lib -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum); }
tar -C / -czf /root/all.tar.gz etc usr/bin usr/lib && sync && echo 3 >/proc/sys/vm/drop_caches
mkdir /root/copy && tar -C /root/copy -xzf /root/all.tar.gz && echo 3 >/proc/sys/vm/drop_caches
say "packed $(sums /)"
say "unpacked $(sums /root/copy)"
rm -r /root/copy /root/all.tar.gz
# A package.
deb=$(echo /var/cache/apt/archives/hello_*.deb)
installed() { dpkg-query -W -f '${db:Status-Status}' hello 2>/dev/null || echo none; }
say "before $(installed)"
dpkg -i "$deb" >/tmp/log 2>&1 || cat /tmp/log
say "installed $(installed) $(hello) $(dpkg --verify hello | wc -l)"
apt-get -y purge hello >/tmp/log 2>&1 || cat /tmp/log
say "purged $(installed) $(ls /usr/bin/hello 2>/dev/null)"
apt-get -y --no-download install "$deb" >/tmp/log 2>&1 || cat /tmp/log
say "again $(installed) $(hello)"
say "broken $(dpkg --audit | wc -l) $(apt-get check >/dev/null 2>&1; echo $?)"
say "complaints $(dmesg | grep -c -e 'Oops' -e 'BUG:' -e 'Call Trace' -e 'I/O error' -e 'EXT4-fs error')"
sha256sum /usr/bin/hello | cut -d' ' -f1 >/root/hello.sum
say "sum $(cat /root/hello.sum)"
umount /tmp
mount -o remount,ro / && say "end"
perl -e 'syscall(169, 0xfee1dead, 0x28121969, 0x4321fedc, 0)'	# reboot(): power off
"""

HOST = """
exec 2>&1
for module in $(cat /files/order); do insmod /files/$module; done
exec /files/pvm run --backend=kvm --kernel=/files/KERNEL --initrd=/files/initrd --smp=CPUS --memory=MEMORYM \\
    --append=console=hvc0 --disk=/dev/vda --stats </dev/null
"""


def image(folder):
    """A file with the file system."""
    made = subprocess.run([boot.TESTS / "linux" / "debian-root"], stdout=subprocess.PIPE, check=True, text=True)
    root = folder / "system"
    subprocess.run(["cp", "-a", made.stdout.strip(), root], check=True)
    (root / "work").write_text(WORK.replace("SUM_TO", str(SUM_TO)))
    disk = folder / "disk"
    with open(disk, "wb") as file:
        file.truncate(DISK_MB << 20)
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", root, disk], check=True)
    shutil.rmtree(root)
    return disk


def job(args, suite, cpus, folder):
    kernel = boot.vmlinuz_of(suite)
    (folder / "guest").mkdir()
    archive = devices.initrd(folder / "guest", kernel.parents[1], init=INIT)
    host = subprocess.run([nested.KVM / "kernel", args.host], stdout=subprocess.PIPE, check=True, text=True).stdout.strip()
    modules = devices.needed(devices.modules_of(pathlib.Path(host)), HOST_DRIVERS)
    names = []
    for path in modules:
        names.append(path.name.split(".ko")[0] + ".ko")
        devices.unpack(path, folder / names[-1])
    (folder / "order").write_text("".join(f"{name}\n" for name in names))
    text = HOST
    for word, value in (("KERNEL", kernel.name), ("CPUS", cpus), ("MEMORY", str(MEMORY_MB))):
        text = text.replace(word, value)
    (folder / "script").write_text(text)
    return {"name": f"{suite}.{cpus}", "command": "sh /files/script",
            "files": [str(args.pvm), str(kernel), f"{archive}=initrd",
                      *(str(folder / name) for name in (*names, "order", "script"))]}


def number(text):
    return int(text) if re.fullmatch(r"\d+", text or "") else 0


def judge(result):
    """What is wrong with what the console says, in lines."""
    output = result["output"]
    said = nested.said_in(output)
    listed = said.get("listed", "").split()
    wanted = {"init": "1 /usr/bin/bash", "release": "debian 12", "root": "/dev/xvda ext4", "libc": "2",
              "bash": str(999 ** 2), "perl": str(SUM_TO * (SUM_TO + 1) // 2), "wrong": "0", "unpacked": said.get("packed"),
              "before": "none", "installed": "installed Hello, world! 0", "purged": "none",
              "again": "installed Hello, world!", "broken": "0 0", "complaints": "0", "end": ""}
    wrong = [f"{name}: {said.get(name)!r}, not {value!r}" for name, value in wanted.items()
             if value is None or said.get(name) != value]
    if not re.fullmatch("[0-9a-f]{64}", said.get("packed", "")):
        wrong.append(f"packed: {said.get('packed')!r}")
    if number(said.get("files")) < LEAST_FILES:
        wrong.append(f"packages have {said.get('files')} files, not {LEAST_FILES} and more")
    if len(listed) != 2 or listed[0] != listed[1] or number(listed[0]) < LEAST_FILES // 3:
        wrong.append(f"ls and find see different files, or few: {listed}")
    if "insmod" in said:
        wrong.append(f"insmod {said['insmod']}")
    if "the guest ends: power off" not in output:
        wrong.append("pvm run does not say that the guest ends")
    if result["status"]:
        wrong.append(f"pvm run ends with {result['status']}")
    return wrong, said


def judge_disk(disk, said):
    """What is wrong with what is left on the disk, in lines."""
    wrong = []
    checked = subprocess.run(["e2fsck", "-f", "-n", disk], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                             check=False)
    if checked.returncode:
        wrong.append(f"e2fsck ends with {checked.returncode}: {checked.stdout.strip()}")
    for path, command in (("/root/hello.sum", None), ("/usr/bin/hello", ["sha256sum"])):
        found = subprocess.run(["debugfs", "-R", f"cat {path}", disk], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                               check=False).stdout
        if command:
            found = subprocess.run(command, input=found, stdout=subprocess.PIPE, check=True).stdout
        if not said.get("sum") or found.decode(errors="replace").split()[:1] != [said["sum"]]:
            wrong.append(f"{path} on the disk is not what the guest had: {said.get('sum')!r}")
    return wrong


def main():
    parser = nested.parser_of(__doc__)
    parser.add_argument("guest")
    args = parser.parse_args()
    args.results.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=args.results.parent) as name:
        folder = pathlib.Path(name)
        args.disk = image(folder)
        one = job(args, *args.guest.split(":"), folder)
        wrong = nested.run_host(args, [one], folder, SECONDS)
        result = nested.result_of(args, one["name"])
        lines, said = judge(result)
        lines += judge_disk(args.disk, said)
    if lines:
        print(result["output"][-8000:])
    wrong += lines
    return nested.conclude(wrong, f"on {args.host}: {args.guest}: Debian's programs, {said.get('files')} files, and a package")


if __name__ == "__main__":
    sys.exit(main())
