#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
"""A distribution's kernel as a guest of pvm run that is saved on one host and goes on on another, both Debian's kernel
with kvm-pvm.ko in QEMU's TCG.

    save.py --pvm PVM --keep PROGRAM --module FOLDER --results FOLDER --host SUITE GUEST-SUITE:CPUS

The two hosts have nothing in common but a disk, which has the guest's disk and the file that it is saved in; the first is
shut down before the second boots. In the guest runs keep.c, which notices what is lost. Before that it is saved twice
and goes on, and once where there is no room; and on the second host a damaged file is refused, and one whose disk
the guest wrote when it went on; with the copy of it that --exec made it goes on.
"""
import pathlib
import re
import subprocess
import sys
import tempfile

import boot
import devices
import nested

MEMORY_MB = 224
SECONDS = 1800		# against hangs, for each host
DISK_MB = 640
HOST_DRIVERS = ("crc32c_generic", "virtio_pci", "virtio_blk", "ext4")

INIT = boot.PRELUDE + """mkdir -p /disk /sbin
say() { echo "%% $*"; }
for module in $(cat /modules/order); do insmod /modules/$module || say "insmod $module failed"; done
until [ -b /dev/xvda ] && [ -e /sys/class/net/eth0 ]; do sleep 0.1; done
cat >/tmp/lease <<'END'
#!/bin/sh
[ "$1" = bound ] && ip addr replace $ip/24 dev $interface && ip route replace default via $router
exit 0
END
chmod +x /tmp/lease
lease() { udhcpc -i eth0 -n -q -s /tmp/lease >/dev/null 2>&1 && ip -4 -o addr show eth0 | awk '{print $4}'; }
fetch() { wget -q -O /tmp/c http://10.0.2.2:8000/$1 && sha256sum </tmp/c; }
ip link set lo up
ip link set eth0 up
say "lease $(lease)"
say "fetched $(fetch first)"
mke2fs /dev/xvda >/dev/null 2>&1 && mount -t ext4 /dev/xvda /disk && say "mounted"
cp /tmp/c /disk/first
/work /disk &
# What the host types once the guest has gone on.
read -r word
say "told $word"
kill -TERM $!
wait $!
say "keep $?"
say "again $(lease)"
say "refetched $(fetch second)"
say "kept $(sha256sum </disk/first)"
umount /disk
say "image $(sha256sum </dev/xvda)"
say "complaints $(dmesg | grep -c -e 'Oops' -e 'BUG:' -e 'Call Trace' -e 'I/O error' -e 'soft lockup')"
say "end"
poweroff -f
"""

# Of both hosts.
PROLOGUE = """
exec 2>&1
for module in $(cat /files/order); do insmod /files/$module; done
ip link set lo up
mkdir -p /d /www /small
httpd -p 8000 -h /www
said() { echo "host $*"; }
consoles() { echo "== console"; cat /tmp/console; echo "== errors"; cat /tmp/errors; }
# Until the guest of /tmp/console has printed a round of its work after those it has printed now.
rounds() { grep -c '^%% round' /tmp/console; }
works() {
	now=$(rounds)
	tries=4000	# against hangs
	until [ $(rounds) -gt $now ]; do
		tries=$((tries - 1))
		[ $tries -gt 0 ] && kill -0 $pvm || { consoles; exit 1; }
		sleep 0.2
	done
}
"""

FIRST = PROLOGUE + """
mke2fs /dev/vda >/dev/null 2>&1
mount -t ext4 /dev/vda /d || exit 1
mount -t tmpfs -o size=1m none /small
truncate -s 24M /d/disk
dd if=/dev/urandom of=/www/first bs=64k count=32 2>/dev/null
said "first $(sha256sum </www/first)"
cp /www/first /d/first
cd /d
mkfifo /tmp/keys
sleep 1000000 >/tmp/keys &
keys=$!
: >/tmp/console
/files/pvm run --backend=kvm --kernel=/files/KERNEL --initrd=/files/initrd --smp=CPUS --memory=MEMORYM \\
    --append='console=hvc0 quiet' --disk=disk --net=user,loopback </tmp/keys >/tmp/console 2>/tmp/errors &
pvm=$!
works
works
/files/pvm save --continue $pvm /d/saved.1; said "one $?"
works
/files/pvm save --continue --exec='cp disk copy' $pvm /d/saved.2; said "two $?"
works
/files/pvm save --continue --exec='exit 3' $pvm /d/saved.3; said "failed $?"
[ -e /d/saved.3 ] || said "none"
works
/files/pvm save $pvm /small/saved; said "full $?"
[ -e /small/saved ] || said "nothing"
works
/files/pvm save $pvm /d/saved.1; said "twice $?"
/files/pvm info /d/saved.1
works
/files/pvm save $pvm /d/saved; said "saved $?"
wait $pvm; said "status $?"
kill $keys
consoles
ls -l /d
cd /
umount /d
"""

SECOND = PROLOGUE + """
mount -t ext4 /dev/vda /d || exit 1
dd if=/dev/urandom of=/www/second bs=64k count=32 2>/dev/null
said "second $(sha256sum </www/second)"
size=$(stat -c %s /d/saved)
/files/pvm restore /d/saved.1; said "old $?"
cp /d/saved.1 /d/damaged
rm /d/saved.1
printf x | dd of=/d/damaged bs=1 seek=$((size / 2)) conv=notrunc 2>/dev/null
/files/pvm restore --disk=/d/disk /d/damaged; said "damaged $?"
truncate -s $((size / 2)) /d/damaged
/files/pvm restore --disk=/d/disk /d/damaged; said "cut $?"
rm /d/damaged
/files/pvm restore --disk=/d/first /d/saved; said "other $?"
mkfifo /tmp/keys
sleep 1000000 >/tmp/keys &
keys=$!
# The guest of before, with its disk of that moment.
: >/tmp/console
/files/pvm restore --disk=/d/copy /d/saved.2 </tmp/keys >/tmp/console 2>/tmp/errors &
pvm=$!
works
works
kill -TERM $pvm
wait $pvm; said "copy $?"
said "lost $(grep -c '^%% wrong' /tmp/console)"
rm /d/saved.2
: >/tmp/console
/files/pvm restore --stats /d/saved </tmp/keys >/tmp/console 2>/tmp/errors &
pvm=$!
works
works
/files/pvm save --continue $pvm /d/again; said "more $?"
works
echo goon >/tmp/keys
wait $pvm; said "restored $?"
kill $keys
consoles
said "image $(sha256sum </d/disk)"
cd /
umount /d
"""


def script(folder, name, text, words):
    for word, value in words.items():
        text = text.replace(word, value)
    path = folder / name
    path.write_text(text)
    return path


def jobs_of(args, suite, cpus, folder):
    kernel = boot.vmlinuz_of(suite)
    (folder / "guest").mkdir()
    archive = devices.initrd(folder / "guest", kernel.parents[1], work=args.keep, init=INIT)
    host = subprocess.run([nested.KVM / "kernel", args.host], stdout=subprocess.PIPE, check=True, text=True).stdout.strip()
    modules = devices.needed(devices.modules_of(pathlib.Path(host)), HOST_DRIVERS)
    names = []
    for path in modules:
        names.append(path.name.split(".ko")[0] + ".ko")
        devices.unpack(path, folder / names[-1])
    (folder / "order").write_text("".join(f"{name}\n" for name in names))
    files = [str(args.pvm), str(kernel), f"{archive}=initrd", *(str(folder / name) for name in (*names, "order"))]
    words = {"KERNEL": kernel.name, "CPUS": cpus, "MEMORY": str(MEMORY_MB)}
    return [{"name": name, "command": f"sh /files/{name}", "files": [*files, str(script(folder, name, text, words))]}
            for name, text in (("first", FIRST), ("second", SECOND))]


def judge(first, second):
    """What is wrong, in lines."""
    text = first["output"] + second["output"]
    # A line may be printed by one pvm up to its middle, and from there on by the other.
    console = "".join(re.findall(r"^== console\n(.*?)== errors$", text, re.M | re.S))
    said = nested.said_in(console)
    host = nested.said_in(text, "host")
    wrong = [f"{name}: {said.get(name)!r}, not {value!r}" for name, value in {
        "lease": "10.0.2.15/24", "fetched": host.get("first"), "mounted": "", "told": "goon", "keep": "0",
        "again": "10.0.2.15/24", "refetched": host.get("second"), "kept": host.get("first"),
        "image": host.get("image"), "complaints": "0", "end": ""}.items() if value is None or said.get(name) != value]
    wrong += [f"the host says {name}: {host.get(name)!r}, not {value!r}" for name, value in {
        "one": "0", "two": "0", "failed": "125", "none": "", "full": "125", "nothing": "", "twice": "125", "saved": "0",
        "status": "0", "old": "125", "damaged": "125", "cut": "125", "other": "125", "copy": "143", "lost": "0",
        "more": "0", "restored": "0"}.items() if host.get(name) != value]
    for line in ("/d/saved.3: process .* is not saved: the command of --exec ended with status 3",
                 "/small/saved: process .* is not saved: cannot write: No space left on device",
                 "/d/saved.1: File exists", "saved: 'pvm restore' goes on with it", "/d/damaged: damaged:",
                 "/d/damaged: cut short", "the guest ends: power off", "disk: +xvda, 25165824 bytes, /d/disk",
                 "as the file says: disk /d/disk", "as the file says: network user",
                 "/d/saved.1: disk /d/disk is not as it was when the guest was saved",
                 "/d/saved: disk /d/first has 2097152 bytes, and the guest's has 25165824"):
        if not re.search(line, text):
            wrong.append(f"no line {line!r}")
    wrong += re.findall(r"^%% wrong .*", console, re.M)
    rounds = [int(number) for number in re.findall(r"^%% round (\d+)", console, re.M)]
    if rounds != list(range(len(rounds))):
        wrong.append(f"the rounds are {rounds}")
    return wrong


def main():
    parser = nested.parser_of(__doc__, "keep")
    parser.add_argument("guest")
    args = parser.parse_args()
    args.results.parent.mkdir(parents=True, exist_ok=True)
    results, of_hosts = [], []
    with tempfile.TemporaryDirectory(dir=args.results.parent) as name:
        folder = pathlib.Path(name)
        args.disk = folder / "disk"
        with open(args.disk, "wb") as disk:
            disk.truncate(DISK_MB << 20)
        where = args.results
        for job in jobs_of(args, *args.guest.split(":"), folder):
            args.results = where.with_name(f"{where.name}.{job['name']}")
            of_hosts += nested.run_host(args, [job], folder, SECONDS)
            results.append(nested.result_of(args, job["name"]))
            if results[-1]["status"] == "none":
                break
    wrong = of_hosts + (judge(*results) if len(results) == 2 else ["the first host did not run to its end"])
    if wrong:
        print("\n".join(result["output"][-8000:] for result in results))
    return nested.conclude(wrong, f"on {args.host}: {args.guest}: saved on one host, and at its end on another")


if __name__ == "__main__":
    sys.exit(main())
