# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
"""pvm run where the host denies something, or pretends to have it: denied.py WHAT PVM GUEST

A seccomp filter, as a container's, denies one system call to pvm and all that it starts. The
run must end with status 125 and one line that names what is lacking. "ptrace" is a line about what the
guest does not get, which nobody reads: the run must end all the same.

"store-bypass" and "branches": the filter stands for a CPU with the switch of prctl(2), so that the test is
the same on all. Who asks for the first in the right words is killed; who asks for the second is told that it is so.
"""
import ctypes
import errno
import os
import struct
import subprocess
import sys

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06		# BPF: ld abs, jeq, ret
ALLOW, ERRNO, KILL = 0x7fff0000, 0x00050000, 0x80000000
PR_SET_SPECULATION_CTRL, FORCE_DISABLE = 53, 8
ARGUMENTS = 16					# in struct seccomp_data

CLONE_THREAD_FLAGS = 0x10000 | 0x100 | 0x800 | 0x200 | 0x100000	# of the stub's second thread

# The system call; the first argument's halves, None: any; the error; what the line says; the argument, if it is
# another.
DENIED = {
    "seccomp": (317, None, None, errno.ENOSYS, "seccomp filters"),
    "dispatch": (157, 59, 0, errno.EINVAL, "Syscall User Dispatch"),
    "memfd": (319, None, None, errno.EPERM, "memfd_create"),
    "pidfd": (434, None, None, errno.ENOSYS, "pidfd_open"),
    "pidfd-signal": (424, None, None, errno.ENOSYS, "pidfd_send_signal"),
    "timer": (286, None, None, errno.EPERM, "main loop's file descriptors: Operation not permitted"),
    "poll": (7, None, None, errno.EPERM, "main loop's file descriptors: Operation not permitted"),
    "sigmask": (14, 0, 0, errno.EPERM, "main loop's file descriptors: Operation not permitted"),
    "fcntl": (72, None, None, errno.EPERM, "Operation not permitted"),
    "waitid": (247, None, None, errno.EPERM, "stub's zygote: Operation not permitted"),
    "sendmsg": (46, None, None, errno.ETOOMANYREFS, "no new stub process: Too many references"),
    "recvmsg": (47, None, None, errno.EPERM, "could not be set up: requests of the monitor's (recvmsg)"),
    "populate": (28, 23, 0, errno.EPERM, "a stub's pages: Operation not permitted", 2),
    "ptrace": (101, None, None, errno.EPERM, None),
    # What the kernel maps at exec() is sealed: CONFIG_MSEAL_SYSTEM_MAPPINGS.
    "munmap": (11, 0, 1, errno.EPERM, "does not let a process unmap what the kernel put there"),
    "thread": (56, CLONE_THREAD_FLAGS, 0, errno.EAGAIN, "could not be set up: a second thread"),
    "close-range": (436, None, None, errno.ENOSYS, "close_range needs Linux 5.9"),
    # As after unshare(CLONE_NEWPID), and as PR_SET_MDWE does.
    "clone3": (435, None, None, errno.EINVAL, "unshare --fork"),
    "write-exec": (9, 7, 0, errno.EPERM, "memory that is written and executed is denied", 2),
}


HAS_RUN = ("write-exec", "branches")

# What prctl(PR_SET_SPECULATION_CTRL, which, FORCE_DISABLE) comes to; pvm's options; its status; what its line says.
SWITCHES = {
    "store-bypass": (0, KILL, (), 125, "stubs' zygote was killed by signal 31"),
    "branches": (1, ERRNO, ("--mitigations=strict",), 3, "exited with status 3"),
}


def program(number, arguments, result):
    """@result where system call @number has these @arguments: {which: (low half, high half)}."""
    def insn(code, true, false, value):
        return struct.pack("HBBI", code, true, false, value)
    checks = [(0, number)]
    for which, (low, high) in arguments.items():
        checks += [(ARGUMENTS + 8 * which, low), (ARGUMENTS + 8 * which + 4, high)]
    code = []
    for i, (offset, value) in enumerate(checks):
        left = 2 * (len(checks) - i - 1) + 1	# to the last instruction
        code += [insn(LOAD, 0, 0, offset), insn(EQUAL, 0, left, value)]
    code += [insn(RETURN, 0, 0, result), insn(RETURN, 0, 0, ALLOW)]
    return b"".join(code), len(code)


def environment():
    """A sanitizer that looks for leaks at the end does that with what is denied here."""
    options = os.environ.get("ASAN_OPTIONS", "")
    return os.environ | {"ASAN_OPTIONS": ":".join(filter(None, [options, "detect_leaks=0"]))}


def end_unread(command, deny):
    """With standard error a pipe that is full."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    try:
        while True:
            os.write(writer, bytes(4096))
    except BlockingIOError:
        os.set_blocking(writer, True)
    done = subprocess.run(command, preexec_fn=deny, timeout=40, stdin=subprocess.DEVNULL, env=environment(),
                          stdout=subprocess.PIPE, stderr=writer, text=True)
    os.close(reader)
    if "not ok" not in done.stdout:
        sys.exit(f"denied.py: the guest did not come to its breakpoints: {done.returncode}, {done.stdout}")


def filter_for(what):
    """The filter, pvm's options, its status, what its line says."""
    if what in SWITCHES:
        which, result, options, status, words = SWITCHES[what]
        return (*program(157, {0: (PR_SET_SPECULATION_CTRL, 0), 1: (which, 0), 2: (FORCE_DISABLE, 0)}, result),
                options, status, words)
    number, low, high, error, words, *argument = DENIED[what]
    arguments = {} if low is None else {argument[0] if argument else 0: (low, high)}
    return *program(number, arguments, ERRNO | error), (), 125, words


def main():
    what, pvm, guest = sys.argv[1:]
    code, length, options, status, words = filter_for(what)
    libc = ctypes.CDLL(None, use_errno=True)

    def deny():
        buffer = ctypes.create_string_buffer(code, len(code))
        fprog = struct.pack("HxxxxxxQ", length, ctypes.addressof(buffer))
        if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or \
           libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.create_string_buffer(fprog, len(fprog)), 0, 0):
            raise OSError(ctypes.get_errno(), "prctl")

    if words is None:
        end_unread([pvm, "run", "--backend=native", "--timeout=10", guest], deny)
        return
    done = subprocess.run([pvm, "run", "--backend=native", "--timeout=30", *options, guest], preexec_fn=deny, timeout=50,
                          env=environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True)
    # Of a guest that has run the registers are shown as well.
    # What counts lines may say that it is denied, too.
    lines = [line for line in done.stderr.splitlines() if not line.startswith("profiling:")]
    if done.returncode != status or not lines or words not in lines[0] or (len(lines) != 1 and what not in HAS_RUN):
        sys.exit(f"denied.py: {what}: status {done.returncode}, not a line with '{words}': {done.stderr}")


main()
