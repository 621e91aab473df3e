# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
"""pvm run as a citizen of a terminal, a shell and a host: terminal.py SCENE PVM GUESTS

GUESTS has forever.elf, print.elf, echo.elf and random_pvcs.elf of tests/cli/guests. Each scene is one test. What is
waited for is an event, with a limit that only a hang reaches.
"""
import ctypes
import fcntl
import os
import pty
import resource
import select
import signal
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path

from namespaces import unshare

LIMIT = 60		# seconds, for anything
COMPUTED = 5		# ticks of 10 ms that only a guest computes for
PIPE_SIZE = 4096
F_SETPIPE_SZ = 1031
PR_SET_PDEATHSIG = 1


def fail(text):
    sys.exit(f"terminal.py: {text}")


def until(what, condition):
    end = time.monotonic() + LIMIT
    while not condition():
        if time.monotonic() > end:
            fail(f"{LIMIT} s, and not yet: {what}")
        time.sleep(0.01)


def is_raw(terminal):
    return not termios.tcgetattr(terminal)[3] & (termios.ICANON | termios.ECHO)


def children(pid):
    try:
        return sorted({int(child) for task in Path(f"/proc/{pid}/task").iterdir()
                       for child in (task / "children").read_text().split()})
    except OSError:
        return []


def state(pid):
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]


def user_time(pid):
    """Ticks that it has computed for: a stub's own code computes for none."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[11])
    except OSError:
        return 0


def computing(pid, since=None):
    """Those of its children that have run guest code for a while, or since then."""
    return [child for child in children(pid) if user_time(child) >= (since or {}).get(child, 0) + COMPUTED]


class Terminal:
    """A pseudo terminal whose session has a little shell with job control: this process's child."""

    def __init__(self):
        self.master, self.slave = pty.openpty()
        self.before = termios.tcgetattr(self.slave)
        self.output = b""

    def drain(self):
        while select.select([self.master], [], [], 0)[0]:
            try:
                self.output += os.read(self.master, 65536)
            except OSError:
                break

    def is_as_before(self):
        return termios.tcgetattr(self.slave) == self.before

    def start(self, command, foreground=True):
        """The command in a process group of its own, in a session whose leader lives on."""
        ready, told = os.pipe()
        self.leader = os.fork()
        if self.leader == 0:
            # Nothing outlives this test: no shell, and so no terminal and no job.
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            os.close(self.master)
            os.setsid()
            fcntl.ioctl(self.slave, termios.TIOCSCTTY, 0)
            signal.signal(signal.SIGTTOU, signal.SIG_IGN)
            signal.signal(signal.SIGUSR2, lambda number, frame: os.tcsetpgrp(self.slave, self.job))
            self.job = job = os.fork()
            if job == 0:
                os.setpgid(0, 0)
                if foreground:
                    os.tcsetpgrp(self.slave, os.getpid())
                for number in (signal.SIGTTOU, signal.SIGPIPE, signal.SIGXFSZ):
                    signal.signal(number, signal.SIG_DFL)
                for fd in (0, 1, 2):
                    os.dup2(self.slave, fd)
                os.execv(command[0], command)
            os.write(told, b"%d\n" % job)
            self.serve(job)
        os.close(told)
        self.job = int(os.read(ready, 16))
        os.close(ready)

    def serve(self, job):
        """The shell: reports each change of its job, and lets it go on when it is told: in the foreground, or
        with a file there that says so in the background. SIGUSR2: one that runs gets the foreground, and no signal."""
        signal.signal(signal.SIGUSR1, lambda number, frame: None)
        while True:
            _, status = os.waitpid(job, os.WUNTRACED)
            Path(self.report).write_text(str(status))
            if not os.WIFSTOPPED(status):
                os._exit(0)
            os.tcsetpgrp(self.slave, os.getpgrp())
            signal.sigtimedwait([signal.SIGUSR1], LIMIT)
            if not Path(self.report + ".background").exists():
                os.tcsetpgrp(self.slave, job)
            os.kill(-job, signal.SIGCONT)

    def status(self):
        """Of the job's last change, which is waited for."""
        report = Path(self.report)
        until("the command ends or stops", lambda: (self.drain(), report.exists() and report.read_text())[1])
        status = int(report.read_text())
        report.unlink()
        return status

    def expect_end(self, wanted):
        code = os.waitstatus_to_exitcode(self.status())
        os.waitpid(self.leader, 0)
        self.drain()
        if code != wanted:
            fail(f"status {code}, not {wanted}: {self.output.decode(errors='replace')}")
        if not self.is_as_before():
            fail(f"the terminal is not as it was after status {wanted}")


def on_terminal(folder, command, foreground=True):
    terminal = Terminal()
    terminal.report = f"{folder}/status"
    # Blocked in the shell, so that it is there to be waited for.
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    terminal.start(command, foreground)
    return terminal


def run(pvm, *arguments):
    return [pvm, "run", "--backend=native", *arguments]


def scene_ends(pvm, guests, folder):
    """By any signal and any key the terminal is as it was, and a line says what ended it."""
    ending = ("TERM", "INT", "HUP", "QUIT", "USR2", "ALRM", "VTALRM", "PROF", "XCPU", "PWR", "POLL")
    for name in ending + ("SEGV", "ABRT", "BUS", "TRAP", "SYS"):
        terminal = on_terminal(folder, run(pvm, f"{guests}/forever.elf"))
        until("the terminal is raw", lambda: is_raw(terminal.slave))
        number = getattr(signal, "SIG" + name)
        os.kill(terminal.job, number)
        terminal.expect_end(128 + number if name in ending else -number)
        wanted = f"ended by SIG{name}" if name in ending else f"the monitor died of SIG{name}"
        if wanted.encode() not in terminal.output:
            fail(f"no '{wanted}' in {terminal.output}")
    # Where nothing reads what it died of, it dies all the same.
    reader, writer = os.pipe()
    fcntl.fcntl(writer, F_SETPIPE_SZ, PIPE_SIZE)
    process = subprocess.Popen(run(pvm, f"{guests}/forever.elf"), stdin=subprocess.DEVNULL, stderr=writer)
    until("the guest runs", lambda: computing(process.pid))
    os.write(writer, b"." * (PIPE_SIZE - waiting_bytes(reader)))
    process.send_signal(signal.SIGABRT)
    if process.wait(timeout=LIMIT) != -signal.SIGABRT:
        fail(f"SIGABRT, and nothing reads: status {process.returncode}")
    os.close(reader)
    os.close(writer)
    # Nor does the first process of a PID namespace, as in a container, live on.
    alone = unshare("-pf", "--kill-child")
    if alone:
        process = subprocess.Popen([*alone, *run(pvm, f"{guests}/forever.elf")], stdin=subprocess.DEVNULL,
                                   stderr=subprocess.PIPE)
        until("the guest runs", lambda: any(computing(child) for child in children(process.pid)))
        os.kill(children(process.pid)[0], signal.SIGABRT)
        try:
            told = process.communicate(timeout=LIMIT)[1]
        finally:
            process.kill()
        if process.returncode != 128 + signal.SIGABRT or b"the monitor died of SIGABRT" not in told:
            fail(f"SIGABRT of the first process: status {process.returncode}: {told}")
    else:
        print("excused: in a PID namespace of its own: this host denies them")
    for key, number in ((b"\x03", signal.SIGINT), (b"\x1c", signal.SIGQUIT)):
        terminal = on_terminal(folder, run(pvm, f"{guests}/forever.elf"))
        until("the terminal is raw", lambda: is_raw(terminal.slave))
        os.write(terminal.master, key)
        terminal.expect_end(128 + number)


    # Two at once are one end, with all that belongs to it.
    trace = Path(f"{folder}/two")
    process = subprocess.Popen(run(pvm, f"--trace={trace}", f"{guests}/forever.elf"), stdin=subprocess.DEVNULL,
                               stderr=subprocess.PIPE, text=True)
    until("the guest runs", lambda: computing(process.pid))
    for number in (signal.SIGSTOP, signal.SIGHUP, signal.SIGTERM, signal.SIGCONT):
        process.send_signal(number)
    told = process.communicate(timeout=LIMIT)[1]
    if process.returncode != 129 or "ended by SIGHUP" not in told or not trace.read_text().rstrip().endswith("]"):
        fail(f"by two signals: status {process.returncode}: {told}")


def scene_stop(pvm, guests, folder):
    """Ctrl-Z: the shell's terminal, and no guest code runs; fg: raw again, and the guest goes on."""
    terminal = on_terminal(folder, run(pvm, "--smp=2", f"{guests}/forever.elf"))
    until("the guest runs", lambda: is_raw(terminal.slave) and computing(terminal.job))
    for _ in range(3):
        os.write(terminal.master, b"\x1a")
        if not os.WIFSTOPPED(terminal.status()):
            fail("it has ended instead of stopping")
        if not terminal.is_as_before():
            fail("the terminal is raw while pvm is stopped")
        then = {child: user_time(child) for child in children(terminal.job)}
        running = [child for child in then if state(child) == "R"]
        if running:
            fail(f"processes {running} run while pvm is stopped")
        os.kill(terminal.leader, signal.SIGUSR1)
        until("the terminal is raw after fg", lambda: is_raw(terminal.slave))
        until("the guest runs after fg", lambda: computing(terminal.job, then))
    os.kill(terminal.job, signal.SIGTERM)
    terminal.expect_end(143)


def scene_continue(pvm, guests, folder):
    """What is told to stop and to go on, one right after the other, goes on."""
    process = subprocess.Popen(run(pvm, "--smp=2", f"{guests}/forever.elf"), stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=os.setpgrp)
    until("the guest runs", lambda: computing(process.pid))
    for number in 2 * list(range(50)):
        process.send_signal(signal.SIGTSTP)
        then = time.monotonic()
        while time.monotonic() < then + number * 10e-6:
            pass
        process.send_signal(signal.SIGCONT)
        time.sleep(0.005)	# a stop that comes late
        if state(process.pid) == "T":
            process.kill()
            fail(f"it has stopped, though told to go on {number * 10} microseconds after that")
    since = {child: user_time(child) for child in children(process.pid)}
    until("the guest goes on", lambda: computing(process.pid, since))
    process.terminate()
    if process.wait(timeout=LIMIT) != 143:
        fail(f"in the end: status {process.returncode}")


def scene_keys(pvm, guests, folder):
    """With --console Ctrl-C is the guest's, and Ctrl-A x ends also one that reads nothing."""
    terminal = on_terminal(folder, run(pvm, "--console", f"{guests}/forever.elf"))
    until("the guest runs", lambda: is_raw(terminal.slave) and computing(terminal.job))
    os.write(terminal.master, b"\x03" + b"a" * 100)
    os.write(terminal.master, b"\x01x")
    terminal.expect_end(0)
    if b"ended at the console" not in terminal.output:
        fail(f"no word of it in {terminal.output}")


def typed(size):
    """What echo.elf ends after: no two pieces of it look the same."""
    return b"".join(b"%d " % number for number in range(size))[:size - 1] + b"Q"


def scene_paste(pvm, guests, folder):
    """With --console what is pasted faster than the guest reads reaches it, whole and in order."""
    terminal = on_terminal(folder, run(pvm, "--console", f"{guests}/echo.elf"))
    until("the guest runs", lambda: (terminal.drain(), b">" in terminal.output)[1])
    text = typed(3000)		# a terminal holds 4095
    os.write(terminal.master, text)
    terminal.expect_end(0)
    if text not in terminal.output:
        fail(f"{len(terminal.output)} bytes came back, not {len(text)}: {terminal.output}")


def scene_input(pvm, guests, folder):
    """Of a pipe or a file all reaches the guest, also after its end; what is not read stays in the pipe."""
    text = typed(5000)
    path = Path(folder) / "typed"
    path.write_bytes(text)
    for options in ((), ("--console",)):
        command = run(pvm, *options, f"{guests}/echo.elf")
        with open(path, "rb") as file:
            from_file = subprocess.run(command, stdin=file, stdout=subprocess.PIPE, timeout=LIMIT)
        from_pipe = subprocess.run(command, input=text, stdout=subprocess.PIPE, timeout=LIMIT)
        for done in (from_file, from_pipe):
            if done.returncode or done.stdout != b">" + text:
                fail(f"{options}: status {done.returncode}, {len(done.stdout)} bytes came back, not {len(text)}")
    reader, writer = full_pipe()
    process = subprocess.Popen(run(pvm, "--console", f"{guests}/forever.elf"), stdin=reader)
    until("the guest runs", lambda: computing(process.pid))
    left = int.from_bytes(fcntl.ioctl(reader, termios.FIONREAD, bytes(4)), sys.byteorder)
    process.terminate()
    process.wait(timeout=LIMIT)
    os.close(writer)
    if left < PIPE_SIZE - 16:
        fail(f"{PIPE_SIZE - left} bytes were read for a guest that reads none")


def scene_background(pvm, guests, folder):
    """A run in the background comes to its end and leaves the terminal alone."""
    terminal = on_terminal(folder, run(pvm, f"{guests}/random_pvcs.elf"), foreground=False)
    code = os.waitstatus_to_exitcode(terminal.status())
    if code != 3 or not terminal.is_as_before():
        fail(f"status {code}: {terminal.output}")


def scene_elsewhere(pvm, guests, folder):
    """Stopped without being told, gone on in the background, stopped there, and to the foreground: the shell
    leaves the terminal as it finds it, and in the end it is as it was before all that."""
    background = Path(f"{folder}/status.background")
    terminal = on_terminal(folder, run(pvm, f"{guests}/forever.elf"))
    until("the terminal is raw", lambda: is_raw(terminal.slave))
    os.kill(terminal.job, signal.SIGSTOP)
    terminal.status()
    background.touch()
    then = {child: user_time(child) for child in children(terminal.job)}
    os.kill(terminal.leader, signal.SIGUSR1)
    until("the guest runs in the background", lambda: computing(terminal.job, then))
    os.kill(terminal.job, signal.SIGTSTP)
    if not os.WIFSTOPPED(terminal.status()):
        fail("it has ended instead of stopping")
    background.unlink()
    then = {child: user_time(child) for child in children(terminal.job)}
    os.kill(terminal.leader, signal.SIGUSR1)
    until("the guest runs in the foreground", lambda: computing(terminal.job, then))
    if not is_raw(terminal.slave):
        fail("the terminal is not raw after fg")
    os.kill(terminal.job, signal.SIGTERM)
    terminal.expect_end(143)


def scene_foreground(pvm, guests, folder):
    """A job that runs in the background, and is brought to the foreground: no signal says so."""
    terminal = on_terminal(folder, run(pvm, f"{guests}/echo.elf"), foreground=False)
    until("the guest runs", lambda: (terminal.drain(), b">" in terminal.output)[1])
    if is_raw(terminal.slave):
        fail("the terminal is raw while it is another's")
    os.kill(terminal.leader, signal.SIGUSR2)
    until("the terminal is raw", lambda: is_raw(terminal.slave))
    os.write(terminal.master, b"Q")
    terminal.expect_end(0)


def sees_all_processes():
    return os.stat("/proc/self/ns/pid").st_ino == 0xeffffffc and os.access("/proc/1/stat", os.R_OK)


def without_session(command):
    """Of a terminal that no session has, as a console's shell without job control gives it, and of one that
    another session has, to a process in a session of its own."""
    for owned in (False, True):
        master, slave = pty.openpty()
        leader = os.fork() if owned else None
        if leader == 0:
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            os.setsid()
            fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
            os.write(slave, b"!")
            signal.pause()
        if owned:
            os.read(master, 1)
        before = termios.tcgetattr(slave)
        process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
        yield owned, master, slave, process, before
        if leader:
            os.kill(leader, signal.SIGKILL)
            os.waitpid(leader, 0)


def scene_sessions(pvm, guests, folder):
    """A terminal that no session has is a console like others; another session's is left alone."""
    del folder
    for owned, master, slave, process, before in without_session(run(pvm, f"{guests}/echo.elf")):
        if os.read(master, 1) != b">":
            fail("the guest says something else")
        if is_raw(slave) != (not owned and sees_all_processes()):
            fail(f"{'another' if owned else 'no'} session has the terminal, and raw is {is_raw(slave)}")
        if owned or not sees_all_processes():
            process.terminate()
        else:
            os.write(master, b"Q")
        code = process.wait(timeout=LIMIT)
        if code != (143 if owned or not sees_all_processes() else 0) or termios.tcgetattr(slave) != before:
            fail(f"status {code}, or the terminal is not as it was")
    # Where /proc does not show whose it is, it is left alone.
    alone = unshare("-pf", "--kill-child", "--mount-proc")
    if not alone:
        print("excused: in a PID namespace of its own: this host denies them")
        return
    command = [*alone, "setsid", "--wait", *run(pvm, f"{guests}/echo.elf")]
    for _, master, slave, process, before in without_session(command):
        if os.read(master, 1) != b">" or termios.tcgetattr(slave) != before:
            fail("in a PID namespace of its own: the terminal is not as it was")
        process.kill()
        process.wait(timeout=LIMIT)


def scene_ignored(pvm, guests, folder):
    """What was ignored at the start stays ignored (nohup; & without job control)."""
    def ignore():
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
            signal.signal(number, signal.SIG_IGN)
    process = subprocess.Popen(run(pvm, f"{guests}/forever.elf"), preexec_fn=ignore, stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    until("the guest runs", lambda: computing(process.pid))
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM):
        process.send_signal(number)
    errors = process.communicate(timeout=LIMIT)[1]
    if process.returncode != 143 or "ended by SIGTERM" not in errors:
        fail(f"status {process.returncode}: {errors}")


def waits_for_lock(pid):
    return Path(f"/proc/{pid}/wchan").read_text().startswith("futex")


def waiting_bytes(reader):
    size = bytearray(4)
    fcntl.ioctl(reader, termios.FIONREAD, size)
    return int.from_bytes(size, sys.byteorder)


def full_pipe():
    reader, writer = os.pipe()
    fcntl.fcntl(writer, F_SETPIPE_SZ, PIPE_SIZE)
    os.set_blocking(writer, False)
    try:
        while True:
            os.write(writer, b"x" * PIPE_SIZE)
    except BlockingIOError:
        os.set_blocking(writer, True)
    return reader, writer


def scene_unread(pvm, guests, folder):
    """Nobody reads the console, nor standard error, nor the trace: --timeout and SIGTERM end it."""
    del folder
    _, writer = full_pipe()
    code = subprocess.run(run(pvm, "--timeout=1", "--trace=/dev/stdout", f"{guests}/print.elf"),
                          stdin=subprocess.DEVNULL, stdout=writer, stderr=writer, timeout=LIMIT).returncode
    if code not in (124, 125):
        fail(f"a trace to a full standard output: status {code}")
    for ending in ("timeout", "signal"):
        _, writer = full_pipe()
        process = subprocess.Popen(run(pvm, "--timeout=1" if ending == "timeout" else "--timeout=100",
                                       f"{guests}/print.elf"),
                                   stdin=subprocess.DEVNULL, stdout=writer, stderr=writer)
        if ending == "signal":
            until("it has begun", lambda: len(children(process.pid)) > 1)
            process.terminate()
        code = process.wait(timeout=LIMIT)
        if code != (124 if ending == "timeout" else 143):
            fail(f"by {ending}: status {code}")
    # Nor does a key that comes meanwhile, or whatever else the main loop is woken by.
    reader, writer = os.pipe()
    fcntl.fcntl(writer, F_SETPIPE_SZ, PIPE_SIZE)
    keys, typing = os.pipe()
    process = subprocess.Popen(run(pvm, "--timeout=100", f"{guests}/print.elf"), stdin=keys, stdout=writer,
                               stderr=subprocess.DEVNULL)
    until("the pipe is full", lambda: not select.select([], [writer], [], 0)[1])
    os.write(typing, b"x")
    until("it has read that", lambda: not select.select([keys], [], [], 0)[0] or waits_for_lock(process.pid))
    process.terminate()
    if process.wait(timeout=LIMIT) != 143:
        fail(f"after a key: status {process.returncode}")
    os.close(reader)


def scene_trace(pvm, guests, folder):
    """Traces into pipes; a trace that would be the guest."""
    fifo = f"{folder}/fifo"
    os.mkfifo(fifo)
    done = subprocess.run(run(pvm, f"--trace={fifo}", f"{guests}/print.elf"), stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=LIMIT)
    if done.returncode != 125 or f"trace {fifo}: a pipe that nobody reads" not in done.stderr:
        fail(f"without a reader: status {done.returncode}: {done.stderr}")
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    fcntl.fcntl(reader, F_SETPIPE_SZ, PIPE_SIZE)
    done = subprocess.run(run(pvm, "--timeout=1", f"--trace={fifo}", f"{guests}/random_pvcs.elf"),
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT)
    if f"trace {fifo}: its reader takes nothing" not in done.stderr:
        fail(f"a reader that takes nothing: status {done.returncode}: {done.stderr}")
    # It is stopped for all that, and ends when it goes on.
    while waiting_bytes(reader):
        os.read(reader, PIPE_SIZE)
    for _ in range(2):
        # Of a process group that its parent is not in, as a shell's jobs are: Linux stops no other by SIGTSTP.
        process = subprocess.Popen(run(pvm, f"--trace={fifo}", f"{guests}/random_pvcs.elf"), stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=os.setpgrp)
        until("the pipe is full", lambda: waiting_bytes(reader) == PIPE_SIZE)
        process.send_signal(signal.SIGTSTP)
        until("it has stopped", lambda: state(process.pid) == "T")
        process.terminate()
        process.send_signal(signal.SIGCONT)
        if process.wait(timeout=LIMIT) != 143:
            fail(f"stopped, with a trace that nothing reads: status {process.returncode}")
        while waiting_bytes(reader):
            os.read(reader, PIPE_SIZE)
    os.close(reader)
    guest = Path(f"{folder}/guest.elf")
    guest.write_bytes(Path(f"{guests}/print.elf").read_bytes())
    os.link(guest, f"{folder}/other.elf")
    for name in ("guest.elf", "other.elf"):
        done = subprocess.run(run(pvm, f"--trace={folder}/{name}", str(guest)), stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=LIMIT)
        if done.returncode != 125 or "that is the guest" not in done.stderr:
            fail(f"a trace over the guest: status {done.returncode}: {done.stderr}")
    if guest.read_bytes() != Path(f"{guests}/print.elf").read_bytes():
        fail("the guest was overwritten")
    with open(guest, "rb") as console:
        done = subprocess.run(run(pvm, f"--trace={guest}", f"{guests}/echo.elf"), stdin=console,
                              capture_output=True, text=True, timeout=LIMIT)
    if done.returncode != 125 or "standard stream" not in done.stderr:
        fail(f"a trace over the console's input: status {done.returncode}: {done.stderr}")
    done = subprocess.run(run(pvm, f"--symbols={guest}", f"--trace={guest}", f"{guests}/print.elf"),
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT)
    if done.returncode != 125 or guest.read_bytes() != Path(f"{guests}/print.elf").read_bytes():
        fail(f"a trace over the guest's symbols: status {done.returncode}: {done.stderr}")


def scene_limit(pvm, guests, folder):
    """A file size limit is an error in a line, for memory and for the console."""
    def limit(size):
        def set_it():
            signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
        return set_it
    done = subprocess.run(run(pvm, f"{guests}/print.elf"), preexec_fn=limit(8192), stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=LIMIT)
    if done.returncode != 125 or "guest memory" not in done.stderr or "File too large" not in done.stderr:
        fail(f"memory over the limit: status {done.returncode}: {done.stderr}")
    size = 32 << 20
    with open(f"{folder}/console", "ab") as console:
        console.truncate(size - 2)
        done = subprocess.run(run(pvm, "--memory=17M", f"{guests}/print.elf"), preexec_fn=limit(size),
                              stdin=subprocess.DEVNULL, stdout=console, stderr=subprocess.PIPE, text=True,
                              timeout=LIMIT)
    if done.returncode != 125 or "console: File too large" not in done.stderr:
        fail(f"the console over the limit: status {done.returncode}: {done.stderr}")


def scene_killed(pvm, guests, folder):
    """A stub that the host kills is no fault of the guest's."""
    del folder
    process = subprocess.Popen(run(pvm, f"{guests}/forever.elf"), stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    until("the guest runs", lambda: computing(process.pid))
    for child in computing(process.pid):
        os.kill(child, signal.SIGKILL)
    errors = process.communicate(timeout=LIMIT)[1]
    if process.returncode != 125 or "killed by signal 9 (Killed), by the host and not by the guest" not in errors:
        fail(f"status {process.returncode}: {errors}")


def scene_session(pvm, guests, folder):
    """Stubs are of pvm's session, whose share of the CPUs they have (`nice`), and of no process group that keys
    reach."""
    terminal = on_terminal(folder, run(pvm, "--smp=2", f"{guests}/forever.elf"))
    until("the guest runs", lambda: computing(terminal.job))
    stubs = children(terminal.job)
    for stub in stubs:
        if os.getsid(stub) != os.getsid(terminal.job) or os.getpgid(stub) == os.getpgid(terminal.job):
            fail(f"stub {stub}: session {os.getsid(stub)}, process group {os.getpgid(stub)}; pvm "
                 f"{terminal.job}: {os.getsid(terminal.job)}, {os.getpgid(terminal.job)}")
    os.kill(terminal.job, signal.SIGTERM)
    terminal.expect_end(143)


def main():
    scene, pvm, guests = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        globals()["scene_" + scene](pvm, guests, folder)


main()
