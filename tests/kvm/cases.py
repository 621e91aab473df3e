#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
"""`pvm run --backend=kvm` in trouble: guests that die, hang, print into pipes without a reader, a pvm
that lacks something; and on a kernel whose /dev/kvm is not PVM's.

    cases.py cases|stock	# the shell script that runs them on the host of host.py

Each is what a shell runs in /files, its status, and what must be in the output. Guests are of tests/cli/.
"""
import re
import sys

RUN = "pvm run --backend=kvm"
SUMMARY = "grep -c '\"name\":\"exit action\"' /trace"
CASES = {
    "default-is-kvm": ("pvm run --stats hello", 0, ["ok 1 - user mode", "exits to pvm by reason", "counted by KVM"]),
    "info": ("pvm info hello", 0, ["kvm: +yes"]),
    "entry-upper-half": (f"{RUN} entry_upper_half", 3, ["exited with status 3"]),
    "status": (f"{RUN} status < /no", 7, ["no", "status: the guest exited with status 7"]),
    "input": (f"{RUN} status < /ok", 0, ["^ok"]),
    "command-line": (f"{RUN} --append='quiet test=all' --memory=32M hello", 0, ["0 failed"]),
    "abi": (f"{RUN} --abi=single-cr3 hello.single", 0, ["0 failed"]),
    "stats": (f"{RUN} --stats status < /ok", 0, [r"^  port +\d+", r"^  exits +\d+", r"guest memory +65536"]),
    "trace": (f"{RUN} --trace=/trace status < /ok; head -c 1 /trace; {SUMMARY}; grep -c 'instruction OUT' /trace", 0,
              [r"^\[\d", r"^\d+$"]),
    "memory-16g": (f"{RUN} --memory=16G hello", 0, ["0 failed"]),
    "smp-64": (f"{RUN} --smp=64 --memory=256M hello", 0, ["0 failed"]),
    "backtrace": (f"{RUN} --abi=dual-cr3 two_stacks", 1, [r"supervisor_gives_up\+", r"guest_main\+", "user stack, as the PVCS has it",
                                         r"user_asks\+"]),
    "backtrace-single": (f"{RUN} --abi=single-cr3 two_stacks.single", 1, [r"supervisor_gives_up\+", r"guest_main\+"]),
    "timeout": (f"{RUN} --timeout=2 forever", 124, ["forever: timeout", r"_start"]),
    "timeout-halted": (f"{RUN} --timeout=2 halt", 124, ["halt: timeout", "halted"]),
    "timeout-smp": (f"{RUN} --timeout=2 --smp=4 forever", 124, ["timeout"]),
    "sigterm": (f"{RUN} forever & sleep 2; kill -TERM $!; wait $!", 143, ["ended by SIGTERM"]),
    # A shell without job control has SIGINT ignored for what it starts by "&", and so it stays.
    "sigusr1": (f"{RUN} --smp=2 halt & sleep 2; kill -INT $!; kill -USR1 $!; wait $!", 138, ["ended by SIGUSR1"]),
    "blocked-pipe": (f"({RUN} --timeout=3 print; echo status $?) 2>&1 >/dev/null | cat; "
                     f"mkfifo /f; sleep 20 < /f & timeout -s KILL 10 {RUN} --timeout=2 print > /f; echo left $?", 0, ["left 124"]),
    "closed-pipe": (f"({RUN} print; echo status $? >&2) | head -c 3", 0, ["status 125", "console: Broken pipe"]),
    "full-console": (f"{RUN} print > /dev/full", 125, ["No space left"]),
    "jump-unmapped": (f"{RUN} jump_unmapped", 126, ["triple fault", "0x123456789000"]),
    "pvcs-outside": (f"{RUN} pvcs_outside", 126, ["triple fault while delivering #UD"]),
    "cr3-outside": (f"{RUN} cr3_outside", 126, ["page table root outside guest memory", "0x7ffffff000"]),
    "stack-outside": (f"{RUN} stack_outside", 126, ["triple fault"]),
    "ap-nowhere": (f"{RUN} --smp=2 ap_nowhere", 126, ["vCPU 1: triple fault"]),
    "no-memory-there": (f"{RUN} --memory=17M mmio", 126, ["0x1180000", "where there is no memory"]),
    "wrecked-tables": (f"{RUN} wrecked_tables", 126, ["triple fault"]),
    "random-tables": (f"{RUN} random_tables", 3, ["exited with status 3"]),
    "random-pvcs": (f"{RUN} random_pvcs", 3, ["exited with status 3"]),
    "shadow-memory": (f"{RUN} --shadow-memory=1M hello", 125, ["--shadow-memory: the kvm backend's"]),
    "shadow-memory-default": ("pvm run --shadow-memory=1M --stats hello", 0, ["exits by reason"]),
    "no-descriptors": (f"(ulimit -n 7; {RUN} hello)", 125, ["Too many open files"]),
    "no-right": (f"chmod 700 /dev/kvm; su user -c '{RUN} hello'", 125, ["/dev/kvm: Permission denied", "group kvm"]),
    "no-right-default": ("su user -c 'pvm run --stats hello'", 0, ["stub processes"]),
    "no-device": ("mv /dev/kvm /kvm; " + RUN + " hello", 125, ["needs /dev/kvm: No such file", "load kvm-pvm.ko"]),
    "no-device-default": ("pvm run --stats hello; mv /kvm /dev/kvm", 0, ["stub processes"]),
    "many": (f"for i in $(seq 20); do {RUN} --smp=2 --timeout=0.3 forever 2>&1 | grep -c timeout; done | sort | uniq -c",
             0, [r"20 1"]),
    "unload": ("rmmod $PVM_MODULE", 0, []),
    "no-module": (f"{RUN} hello", 125, ["/dev/kvm"]),
    "no-module-default": ("pvm run --stats hello", 0, ["stub processes"]),
    "reload": ("for i in $(seq 50); do insmod /modules/kvm-pvm.ko accept_meltdown=1 && "
               "{ [ $((i % 10)) != 0 ] || pvm run --backend=kvm hello >/dev/null; } && rmmod $PVM_MODULE || exit 1; done", 0, []),
    "load": ("insmod /modules/kvm-pvm.ko accept_meltdown=1", 0, []),
}
STOCK = {
    "stock": (f"{RUN} hello", 125, ["/dev/kvm is not PVM's", "kvm-amd"]),
    "stock-default": ("pvm run --stats hello", 0, ["ok 1 - user mode", "stub processes"]),
    "stock-info": ("pvm info hello", 0, ["kvm: +no, /dev/kvm is not PVM's"]),
    "stock-ignore-msrs": (f"echo 1 > /sys/module/kvm/parameters/ignore_msrs; {RUN} hello", 125, ["not PVM's"]),
    "stock-load": ("insmod /modules/kvm-pvm.ko accept_meltdown=1; s=$?; dmesg | grep -o 'kvm-pvm: .*'; exit $s", 16,
                   ["resource busy", "kvm-pvm: kvm_intel or kvm_amd is loaded"]),
    "stock-unload": ("rmmod kvm_amd && insmod /modules/kvm-pvm.ko accept_meltdown=1 && " + RUN + " hello", 0, ["ok 1 - user mode"]),
}
# On a CPU with Meltdown, without page-table isolation.
REFUSED = {
    "meltdown": ("insmod /modules/kvm-pvm.ko accept_meltdown=1; s=$?; dmesg | grep -o 'kvm-pvm: .*'; exit $s", 19,
                 ["cannot run here: this CPU has Meltdown and page-table isolation is off: .*pti=on"]),
}
COUNTED = ("cd /sys/kernel/tracing; echo p:barrier user_barrier > kprobe_events; echo 1 > events/kprobes/barrier/enable; "
           f"{RUN} /files/hello; awk '{{print ($2 ? \"some\" : \"no\"), \"barriers\"}}' kprobe_profile; "
           "echo 0 > events/kprobes/barrier/enable; echo > kprobe_events; dmesg | grep -o 'kvm-pvm: mitigations: .*'")
# On a CPU that Linux takes for one with IBPB; and where it is not to use that between programs.
BARRIERS = {"user-ibpb": (COUNTED, 0, ["ok 1 - user mode", "^some barriers", "mitigations:.* user_ibpb"])}
NO_BARRIERS = {"no-user-ibpb": (COUNTED, 0, ["ok 1 - user mode", "^no barriers", "mitigations:(?!.*user_ibpb)"])}


SETS = {"cases": CASES, "stock": STOCK, "refused": REFUSED, "barriers": BARRIERS, "no-barriers": NO_BARRIERS}
SETUP = """
export PATH=/files:/bin:/usr/bin
cd /files
echo no > /no
echo ok > /ok
mkdir /etc
echo user:x:1000:1000::/:/bin/sh > /etc/passwd
"""
SECONDS = 120	# for one, against hangs


def quoted(command):
    return "'" + command.replace("'", "'\\''") + "'"


def script(name):
    return SETUP + "".join(f"echo '@case {case}'\ntimeout {SECONDS} sh -c {quoted(command)} 2>&1\n"
                           'status=$?\necho\necho "@status $status"\n'
                           for case, (command, _, _) in SETS[name].items())


def judge(name, output):
    """Returns what is wrong, in words, and how many cases there were."""
    found = {case: (int(status), text) for case, text, status in
             re.findall(r"^@case (\S+)\n(.*?)^@status (\d+)$", output, re.M | re.S)}
    problems = []
    for case, (_, status, wanted) in SETS[name].items():
        if case not in found:
            problems.append(f"{case}: did not run")
            continue
        got, text = found[case]
        wrong = [f"status {got} instead of {status}"] if got != status else []
        wrong += [f"no line like /{line}/" for line in wanted if not re.search(line, text, re.M)]
        problems += [f"{case}: {'; '.join(wrong)}:\n{text}"] if wrong else []
    return problems, len(found)


if __name__ == "__main__":
    print(script(sys.argv[1]), end="")
