#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
"""How a distribution's kernel ends as a guest of pvm run, on Debian's kernel with kvm-pvm.ko, in QEMU's TCG.

    ends.py --pvm PVM --module FOLDER --results FOLDER --host SUITE GUEST-SUITE

It reboots; it panics, which is told with its registers and a backtrace by the names that it gave before; and pvm is
killed amid writes: what the guest had flushed is in the disk's file.
"""
import pathlib
import re
import sys
import tempfile

import boot
import devices
import nested

SECONDS = 1500		# against hangs
FLUSHED_KIB = 2048

# By the word that the command line has. The names are what a System.map has, which Debian does not ship.
INIT = boot.PRELUDE + f"""say() {{ echo "%% $*"; }}
for module in $(cat /modules/order); do insmod /modules/$module || say "insmod $module failed"; done
until [ -b /dev/xvda ]; do sleep 0.1; done
case "$(cat /proc/cmdline)" in
*end=reboot*)
	grep -v '\\[' /proc/kallsyms | dd of=/dev/xvda bs=64k conv=fsync 2>/dev/null
	say "reboots"
	reboot -f;;
*end=panic*)
	say "panics"
	echo c >/proc/sysrq-trigger;;
*end=killed*)
	dd if=/dev/urandom of=/tmp/a bs=1k count={FLUSHED_KIB} 2>/dev/null
	dd if=/tmp/a of=/dev/xvda bs=64k conv=fsync 2>/dev/null
	say "flushed $(sha256sum </tmp/a)"
	while :; do dd if=/dev/urandom of=/dev/xvda bs=64k seek={FLUSHED_KIB // 64} count=16 2>/dev/null; done;;
esac
"""

HOST = f"""
exec 2>&1
run() {{
	end=$1; shift
	/files/pvm run --backend=kvm --kernel=/files/KERNEL --initrd=/files/initrd --memory=256M --disk=/tmp/disk \\
		--append="console=hvc0 end=$end" "$@" </dev/null
	echo "host $end $?"
}}
truncate -s 32M /tmp/disk
run reboot
tr -d '\\000' </tmp/disk >/tmp/map
run panic --symbols=/tmp/map
run killed >/tmp/out 2>&1 &
until grep -q '^%% flushed' /tmp/out; do sleep 0.2; done
killall -KILL pvm
wait
cat /tmp/out
echo "host found $(dd if=/tmp/disk bs=1k count={FLUSHED_KIB} 2>/dev/null | sha256sum)"
rm -f /tmp/disk /tmp/map /tmp/out
"""


def judge(output):
    """What is wrong, in lines."""
    said = nested.said_in(output)
    host = nested.said_in(output, "host")
    wrong = [f"{name}: {host.get(name)!r}, not {value!r}" for name, value in {
        "reboot": "0", "panic": "126", "killed": "137", "found": said.get("flushed")}.items()
             if value is None or host.get(name) != value]
    for line in ("the guest ends: reboot", "vCPU 0: the guest ends: crash", r"  rip 0x[0-9a-f]{16}",
                 r"#0 +0x[0-9a-f]{16} xen_hypercall_\w+\+0x", r"  0x[0-9a-f]{16} panic\+0x",
                 r" 0x[0-9a-f]{16} sysrq_handle_crash\+0x"):
        if not re.search(line, output):
            wrong.append(f"no line {line!r}")
    return wrong


def main():
    parser = nested.parser_of(__doc__)
    parser.add_argument("guest")
    args = parser.parse_args()
    args.results.parent.mkdir(parents=True, exist_ok=True)
    kernel = boot.vmlinuz_of(args.guest)
    with tempfile.TemporaryDirectory(dir=args.results.parent) as name:
        folder = pathlib.Path(name)
        archive = devices.initrd(folder, kernel.parents[1], init=INIT)
        script = folder / "script"
        script.write_text(HOST.replace("KERNEL", kernel.name))
        wrong = nested.run_host(args, [{"name": "ends", "command": "sh /files/script", "files": [
            str(args.pvm), str(kernel), f"{archive}=initrd", str(script)]}], folder, SECONDS)
    output = nested.result_of(args, "ends")["output"]
    lines = judge(output)
    if lines:
        print(output[-12000:])
    wrong += lines
    return nested.conclude(wrong, f"on {args.host}: {args.guest} reboots, panics, and loses nothing that it flushed")


if __name__ == "__main__":
    sys.exit(main())
