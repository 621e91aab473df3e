# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
"""The machines of bench/linux: three emulated hosts with the guest in them, and the emulated PC itself.

Owns what each is started with. All are one CPU of QEMU's model EPYC, whose TSC counts instructions (-icount
shift=0), and which does not wait: where it is idle, time goes on to the next timer.
"""
import collections
import functools
import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
for folder in ("tests/support", "tests/linux"):
    sys.path.insert(0, str(ROOT / folder))

import boot				# noqa: E402
import devices				# noqa: E402
from initramfs import pack		# noqa: E402

MEMORY_MB = 256		# of the guest, and of the PC without one
FILE_BYTES = 1 << 20
DISK_BLOCKS = 1024	# of 4 KiB
SECONDS = 2400		# against hangs
PC_CPU = "EPYC,svm=off,smap=off"

# Where the guest's disk is virtio's, where it is Xen PV's; each host loads all of them.
DRIVERS = ("virtio_pci", "virtio_blk", "xen-blkfront")

QEMU = "/usr/bin/qemu-system-x86_64"
QEMU_FILES = (QEMU, "/usr/share/seabios/bios-256k.bin", "/usr/share/qemu/linuxboot_dma.bin",
              "/usr/share/qemu/kvmvapic.bin")
AS_GUEST = "/files/pvm run --backend=kvm --kernel=/files/vmlinuz --initrd=/files/initrd --memory={memory}M --disk=/tmp/disk " \
           "--append='console=hvc0 {words}'"
AS_PC = "/files/qemu-system-x86_64 -accel kvm -cpu host -M pc -m {memory} -nodefaults -no-user-config -display none " \
        "-L /files -serial stdio -kernel /files/vmlinuz -initrd /files/initrd " \
        "-drive file=/tmp/disk,if=virtio,format=raw -append 'console=ttyS0 {words}'"

Host = collections.namedtuple("Host", "name cpu vendor vmm files")
HOSTS = (
    Host("kvm-pvm", PC_CPU, (), AS_GUEST, ()),
    Host("npt=0", "EPYC,svm=on,smap=off", ("ccp", "kvm-amd npt=0"), AS_PC, QEMU_FILES),
    Host("npt=1", "EPYC,svm=on,smap=off", ("ccp", "kvm-amd npt=1"), AS_PC, QEMU_FILES),
)
NATIVE = "native"


def add_arguments(parser):
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build", help="the build folder")
    parser.add_argument("--suite", default="bookworm", help="which kernel, host and guest: a suite of tests/kvm/kernel")


@functools.cache
def kernel_of(suite):
    return boot.vmlinuz_of(suite)


def folder_of(args, name):
    folder = args.build.resolve() / "bench/linux/results" / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def initrd_of(args):
    return folder_of(args, "root").parent / "initrd"


def make_initrd(args, kernel):
    """The guest's file system: its init, the file that it reads, and drivers of disks."""
    folder = folder_of(args, "root")
    modules = folder / "modules"
    modules.mkdir(exist_ok=True)
    order = devices.needed(devices.modules_of(kernel.parents[1]), DRIVERS)
    names = [path.name.split(".ko")[0] + ".ko" for path in order]
    for path, name in zip(order, names):
        devices.unpack(path, modules / name)
    (modules / "order").write_text("".join(f"{name}\n" for name in names))
    (folder / "file").write_bytes(bytes(range(256)) * (FILE_BYTES // 256))
    for name in ("dev", "proc", "sys"):
        (folder / name).mkdir(exist_ok=True)
    init = (args.build / "bench/linux/bench-linux-init").read_bytes()
    pack(folder, init, initrd_of(args))


def jobs_of(args, host, kernel):
    build = args.build.resolve()
    vmm = host.vmm.format(memory=MEMORY_MB, words="quiet BENCH_HOST=1")
    return [{"name": "symbols", "command": "busybox gzip -c /proc/kallsyms | busybox base64"},
            {"name": "guest",
             "command": f"busybox dd if=/dev/zero of=/tmp/disk bs=4096 count={DISK_BLOCKS} 2>/dev/null; "
                        f"/files/bench-linux-host {vmm}",
             "files": [str(build / "bench/linux/bench-linux-host"), str(build / "tools/pvm"), f"{kernel}=vmlinuz",
                       f"{initrd_of(args)}=initrd", *host.files]}]


def prepare(args):
    """What all machines need, so that they can run beside each other: the kernel, its module, the file system."""
    subprocess.run([ROOT / "tests/kvm/run", args.suite, module_folder(args), "--help"], check=True,
                   stdout=subprocess.DEVNULL)
    make_initrd(args, kernel_of(args.suite))


def module_folder(args):
    return args.build.resolve() / "bench/linux/module" / args.suite


def host_command(args, host, results=None):
    """What boots @host with the guest in it, after prepare(), and the folder of its results."""
    folder = folder_of(args, results or host.name)
    kernel = kernel_of(args.suite)
    jobs = folder.parent / f"{folder.name}.json"
    jobs.write_text(json.dumps(jobs_of(args, host, kernel)))
    module = next(module_folder(args).glob("kvm-*.ko"))
    return ([sys.executable, "-B", ROOT / "tests/kvm/host.py", "--kernel", kernel.parents[1], "--module", module,
             "--jobs", jobs, "--results", folder, "--cpu", host.cpu, "--count", "--skip-idle", "--seconds", str(SECONDS),
             *(["--vendor", *host.vendor] if host.vendor else [])], folder)


def native_command(args):
    """What boots the emulated PC without a host in it, and the file that its console is written to."""
    kernel = kernel_of(args.suite)
    console = folder_of(args, NATIVE) / "console"
    console.unlink(missing_ok=True)
    return ([QEMU, "-accel", "tcg,thread=single", "-icount", "shift=0,sleep=off", "-cpu", PC_CPU, "-smp", "1",
             "-m", str(MEMORY_MB), "-kernel", kernel, "-initrd", initrd_of(args), "-append", "console=ttyS0 quiet",
             "-display", "none", "-monitor", "none", "-nic", "none", "-no-reboot", "-serial", f"file:{console}"], console)


def output_of(args, name):
    """What @name's guest printed."""
    if name == NATIVE:
        command, console = native_command(args)
        subprocess.run(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=SECONDS, check=False)
        return console.read_text(errors="replace").replace("\r", "")
    host = next(host for host in HOSTS if host.name == name)
    command, folder = host_command(args, host)
    done = subprocess.run([*command, "--only", "guest"], check=False, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)
    result = folder / "guest.json"
    return json.loads(result.read_text())["output"] if result.exists() else done.stdout
