#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
"""Disks and network cards of a distribution's kernel as a guest of pvm run, on Debian's kernel with kvm-pvm.ko, in
QEMU's TCG.

    devices.py --pvm PVM --module FOLDER --results FOLDER --host SUITE [--cpu MODEL] GUEST-SUITE:CPUS...

The guest has two disks, one of them read-only, and two cards: eth0 on a user-mode network, eth1 on a tap device. It
makes a file system, writes, checks after a remount, and exchanges files with a server on the host, both ways; the
host then looks into the disk's file. Its drivers are its kernel's own modules.
"""
import lzma
import pathlib
import re
import subprocess
import sys
import tempfile

import boot
import nested

MEMORY_MB = 320
SECONDS = 400		# against hangs, for each guest
# The first two where they are modules: ext4 asks for a checksum by the name of its algorithm.
DRIVERS = ("crc32c_generic", "crc32c_cryptoapi", "xen-blkfront", "xen-netfront", "ext4", "af_packet")

# What the guest does. Each "%%" line is a verdict of its own.
INIT = boot.PRELUDE + """mkdir -p /disk /www /sbin
say() { echo "%% $*"; }
for module in $(cat /modules/order); do insmod /modules/$module || say "insmod $module failed"; done
until [ -b /dev/xvda ] && [ -b /dev/xvdb ] && [ -e /sys/class/net/eth1 ]; do sleep 0.1; done
say "sectors $(cat /sys/block/xvda/size) $(cat /sys/block/xvdb/size)"
say "readonly $(cat /sys/block/xvda/ro) $(cat /sys/block/xvdb/ro)"
say "cache $(cat /sys/block/xvda/queue/write_cache)"
say "indirect $(cat /sys/block/xvda/queue/max_segments)"
# A file system that is made, written, checked and mounted again.
mke2fs /dev/xvda >/dev/null 2>&1 && mount -t ext4 /dev/xvda /disk && say "mounted"
dd if=/dev/urandom of=/disk/a bs=64k count=64 2>/dev/null
sum=$(sha256sum </disk/a)
umount /disk && echo 3 >/proc/sys/vm/drop_caches && mount -t ext4 /dev/xvda /disk
[ "$(sha256sum </disk/a)" = "$sum" ] && say "remounted"
rm /disk/a && fstrim /disk >/dev/null && say "trimmed"
cp /modules/order /disk/b && umount /disk
say "image $(sha256sum </dev/xvda)"
# The other cannot be written.
dd if=/dev/zero of=/dev/xvdb bs=512 count=1 2>/dev/null || say "refused"
say "given $(sha256sum </dev/xvdb)"
# A driver that goes and comes back.
rmmod xen_netfront && [ ! -e /sys/class/net/eth0 ] && insmod /modules/xen-netfront.ko
until [ -e /sys/class/net/eth1 ]; do sleep 0.1; done
say "again"
ip link set lo up
ip link set eth0 up
cat >/tmp/lease <<'END'
#!/bin/sh
[ "$1" = bound ] && ip addr add $ip/24 dev $interface && ip route add default via $router
exit 0
END
chmod +x /tmp/lease
udhcpc -i eth0 -n -q -s /tmp/lease >/dev/null 2>&1 && say "lease $(ip -4 -o addr show eth0 | awk '{print $4}')"
wget -q -O /tmp/c http://10.0.2.2:8000/file && say "fetched $(sha256sum </tmp/c)"
dd if=/dev/urandom of=/www/file bs=64k count=32 2>/dev/null
say "offered $(sha256sum </www/file)"
httpd -p 80 -h /www
ip addr add 10.9.0.2/24 dev eth1
ip link set eth1 up
until wget -q -O /tmp/d http://10.9.0.1:8000/fetched 2>/dev/null; do sleep 0.2; done
say "told $(cat /tmp/d)"
ping -c 3 -W 20 10.9.0.1 >/dev/null && say "ping"
say "complaints $(dmesg | grep -c -e 'Oops' -e 'BUG:' -e 'Call Trace' -e 'I/O error, dev xvda')"
cat >/sbin/poweroff <<'END'
#!/bin/sh
echo "%% asked" >/dev/hvc0
sync
exec /bin/busybox poweroff -f
END
chmod +x /sbin/poweroff
say "end"
touch /www/ready
while :; do sleep 1; done
"""

# What the host does meanwhile, and afterwards.
HOST = """
exec 2>&1
insmod /files/tun.ko
ip link set lo up
mkdir -p /www
dd if=/dev/urandom of=/www/file bs=64k count=32 2>/dev/null
truncate -s 24M /tmp/disk.NAME
dd if=/dev/urandom of=/tmp/given.NAME bs=64k count=16 2>/dev/null
echo "host file $(sha256sum </www/file)"
httpd -p 8000 -h /www
tunctl -t tap0 >/dev/null && ip addr add 10.9.0.1/24 dev tap0 && ip link set tap0 up
(until wget -q -O /tmp/got http://127.0.0.1:8022/file 2>/dev/null; do sleep 0.2; done
 sha256sum </tmp/got >/www/fetched.new && mv /www/fetched.new /www/fetched
 until wget -q -O /dev/null http://127.0.0.1:8022/ready 2>/dev/null; do sleep 0.2; done
 killall -PWR pvm) &
/files/pvm run --backend=kvm --kernel=/files/KERNEL --initrd=/files/initrd.NAME --smp=CPUS --memory=MEMORYM --stats \\
    --append=console=hvc0 --disk=/tmp/disk.NAME --disk=/tmp/given.NAME,ro --net=user,forward=8022:80,loopback \\
    --net=tap=tap0 </dev/null
status=$?
kill $! 2>/dev/null
killall httpd
tunctl -d tap0 >/dev/null
echo "host given $(sha256sum </tmp/given.NAME)"
echo "host image $(sha256sum </tmp/disk.NAME)"
echo "host blocks $(stat -c %b /tmp/disk.NAME)"
rm -f /tmp/disk.NAME /tmp/given.NAME /www/fetched /tmp/got
exit $status
"""


def unpack(path, to):
    data = path.read_bytes()
    to.write_bytes(lzma.decompress(data) if path.suffix == ".xz" else data)


def modules_of(kernel):
    """{name: path}"""
    base = next(kernel.glob("lib/modules/*"))
    return {path.name.split(".ko")[0].replace("-", "_"): path for path in base.glob("kernel/**/*.ko*")}


def needed(found, names):
    """Modules in the order in which they can be loaded: by what each says of itself."""
    order = []

    def add(name):
        path = found.get(name.replace("-", "_"))
        if path is None or path in order:		# built in
            return
        with tempfile.TemporaryDirectory() as folder:
            plain = pathlib.Path(folder) / "module.ko"
            unpack(path, plain)
            told = subprocess.run(["modinfo", "-F", "depends", plain], stdout=subprocess.PIPE, check=True, text=True)
        for other in told.stdout.strip().split(","):
            if other:
                add(other)
        order.append(path)
    for name in names:
        add(name)
    return order


def initrd(folder, kernel, work=None, init=INIT):
    modules = folder / "root" / "modules"
    modules.mkdir(parents=True)
    found = modules_of(kernel)
    order = needed(found, DRIVERS)
    for path in order:
        unpack(path, modules / (path.name.split(".ko")[0] + ".ko"))
    (modules / "order").write_text("".join(f"{path.name.split('.ko')[0]}.ko\n" for path in order))
    return boot.initramfs(folder, work, init)


def job(args, suite, cpus, folder):
    name = f"{suite}.{cpus}"
    kernel = boot.vmlinuz_of(suite)
    (folder / name).mkdir()
    archive = initrd(folder / name, kernel.parents[1])
    host = subprocess.run([nested.KVM / "kernel", args.host], stdout=subprocess.PIPE, check=True, text=True).stdout.strip()
    unpack(modules_of(pathlib.Path(host))["tun"], folder / "tun.ko")
    script = folder / f"script.{name}"
    text = HOST
    for word, value in (("NAME", name), ("KERNEL", kernel.name), ("CPUS", cpus), ("MEMORY", str(MEMORY_MB))):
        text = text.replace(word, value)
    script.write_text(text)
    return {"name": name, "command": f"sh /files/script.{name}",
            "files": [str(args.pvm), str(kernel), f"{archive}=initrd.{name}", str(folder / "tun.ko"), str(script)]}


def judge(result):
    """What is wrong, in lines."""
    output = result["output"]
    said = nested.said_in(output)
    host = nested.said_in(output, "host")
    wanted = {"sectors": "49152 2048", "readonly": "0 1", "cache": "write back", "mounted": "", "remounted": "",
              "trimmed": "", "refused": "", "image": host.get("image"), "given": host.get("given"),
              "again": "", "lease": "10.0.2.15/24", "fetched": host.get("file"), "told": said.get("offered"), "ping": "",
              "complaints": "0", "end": "", "asked": ""}
    wrong = [f"{name}: {said.get(name)!r}, not {value!r}" for name, value in wanted.items()
             if value is None or said.get(name) != value]
    if int(said.get("indirect", 0)) <= 11:
        wrong.append(f"requests have {said.get('indirect')} segments at most: they are not indirect")
    # 4 MiB were written, and then given back by the trim.
    if int(host.get("blocks", 1 << 20)) > 4096:
        wrong.append(f"the disk's file has {host.get('blocks')} blocks: what was trimmed is still there")
    for row in ("flushes", "discards", "sent", "received"):
        if not re.search(rf"^ *{row} +[1-9]", output, re.M):
            wrong.append(f"--stats has no {row}")
    if result["status"]:
        wrong.append(f"pvm run ends with {result['status']}")
    return wrong


def main():
    parser = nested.parser_of(__doc__)
    parser.add_argument("guests", nargs="+")
    args = parser.parse_args()
    args.results.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=args.results.parent) as name:
        folder = pathlib.Path(name)
        jobs = [job(args, *guest.split(":"), folder) for guest in args.guests]
        wrong = nested.run_host(args, jobs, folder, SECONDS)
    for one in jobs:
        result = nested.result_of(args, one["name"])
        lines = judge(result)
        if lines:
            print(result["output"][-8000:])
        wrong += [f"{one['name']}: {line}" for line in lines]
    return nested.conclude(wrong, f"on {args.host}: {', '.join(args.guests)}: disks and networks")


if __name__ == "__main__":
    sys.exit(main())
