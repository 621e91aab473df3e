# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
"""pvm run under the limits of a shell: limits.py PVM GUEST

The guest, of two CPUs, must come to its end wherever there are descriptors enough for it to start: no
CPU of it may take what another needs. With too few for that, or with too small a stack, one line says so.
"""
import resource
import subprocess
import sys

from namespaces import unshare


def run(pvm, guest, what, most, environment=None):
    def limit():
        resource.setrlimit(what, (most, most))

    return subprocess.run([pvm, "run", "--backend=native", "--smp=2", "--timeout=60", guest], preexec_fn=limit,
                          timeout=80, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=environment)


def without_null(pvm, guest):
    """A standard stream is closed, and there is no /dev/null: in a mount namespace with an empty /dev."""
    alone = unshare("-m")
    if not alone:
        print("excused: without /dev/null: this host denies mount namespaces")
        return []
    script = 'mount -t tmpfs none /dev && exec "$0" run --backend=native "$1" <&-'
    done = subprocess.run([*alone, "sh", "-c", script, pvm, guest], timeout=80, capture_output=True, text=True)
    if done.returncode == 125 and len(done.stderr.splitlines()) == 1 and "/dev/null" in done.stderr:
        return []
    return [f"without /dev/null: status {done.returncode}: {done.stdout}{done.stderr}"]


def main():
    pvm, guest = sys.argv[1:]
    wrong, started = [], 0
    for descriptors in (*range(16, 64, 4), 100, 200):
        done = run(pvm, guest, resource.RLIMIT_NOFILE, descriptors)
        if done.returncode == 0:
            started += 1
        elif done.returncode != 125 or "ok 1" in done.stdout or len(done.stderr.splitlines()) != 1:
            wrong.append(f"{descriptors} descriptors: status {done.returncode}: {done.stdout}{done.stderr}")
    # The environment is on the stack, too.
    for stack, environment, enough in (*((kib, {}, False) for kib in range(16, 64, 8)), (72, {}, True), (128, {}, True),
                                       (96, {"LONG": "x" * 40000}, False), (128, {"LONG": "x" * 40000}, True)):
        done = run(pvm, guest, resource.RLIMIT_STACK, stack << 10, environment)
        if enough and done.returncode == 0:
            continue
        if done.returncode != 125 or len(done.stderr.splitlines()) != 1 or f"stack of {stack} KiB" not in done.stderr:
            wrong.append(f"{stack} KiB of stack: status {done.returncode}: {done.stdout}{done.stderr}")
    # Three are the standard streams.
    for descriptors in (4, 5, 6):
        done = run(pvm, guest, resource.RLIMIT_NOFILE, descriptors)
        if done.returncode != 125 or len(done.stderr.splitlines()) != 1 or "Too many open files" not in done.stderr:
            wrong.append(f"{descriptors} descriptors: status {done.returncode}: {done.stdout}{done.stderr}")
    wrong += without_null(pvm, guest)
    if started < 3:
        wrong.append(f"it ran only {started} times")
    if wrong:
        sys.exit("\n".join(wrong))


main()
