#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
"""A trace that pvm wrote is as docs/trace.md says, however the run ended.

  trace_file.py PVM GUEST ENDLESS_GUEST

Runs GUEST to its end, and ENDLESS_GUEST into a timeout and into SIGTERM; each
time the file must be whole, valid, and follow the schema of the document.
"""
import json
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
TIMEOUT_STATUS = 124


def schema():
    """First word -> (ph, cat, {arg: (type, optional?)}), from the document's table."""
    rows = {}
    table = (ROOT / "docs" / "trace.md").read_text().split("| first word |")[1].split("\n\n")[0]
    for word, phase, category, args in re.findall(r"^\| `(\w+)` \| (\w) \| (\w+) \| ([^|]*) \|$", table, re.M):
        rows[word] = (phase, category, {arg.split(":")[0]: (arg.split(":")[1].rstrip("?"), arg.endswith("?"))
                                        for arg in args.split()})
    return rows


def check_event(event, rows):
    word = event["name"].split()[0]
    phase, category, args = rows[word]
    assert (event["ph"], event["cat"]) == (phase, category), event
    assert event["ts"] >= 0 and event["pid"] == 1 and event["tid"] > 0, event
    assert ("dur" in event) == (phase == "X"), event
    for name, (kind, optional) in args.items():
        if name not in event["args"]:
            assert optional, (name, event)
            continue
        value = event["args"][name]
        assert isinstance(value, (int, float)) if kind == "number" else isinstance(value, str), event
        assert kind != "hex" or re.fullmatch(r"0x[0-9a-f]+", value), event
    assert set(event["args"]) <= set(args), event


def check_file(path, must_have):
    rows = schema()
    events = json.loads(pathlib.Path(path).read_text())
    for event in events:
        check_event(event, rows)
    words = {event["name"].split()[0] for event in events}
    assert must_have <= words, must_have - words


def main():
    pvm, guest, endless = sys.argv[1:4]
    always = {"process_name", "thread_name", "guest", "exit", "fill"}
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/trace.json"
        subprocess.run([pvm, "run", "--backend=native", f"--trace={path}", guest], check=True, stdout=subprocess.DEVNULL)
        check_file(path, always | {"syscall", "return_user", "fault"})

        ended = subprocess.run([pvm, "run", "--backend=native", f"--trace={path}", "--timeout=1", endless], check=False,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        assert ended.returncode == TIMEOUT_STATUS, ended.returncode
        check_file(path, always)

        with subprocess.Popen([pvm, "run", "--backend=native", f"--trace={path}", endless], stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
            time.sleep(1)
            running.send_signal(signal.SIGTERM)
            assert running.wait(20) == 128 + signal.SIGTERM, running.returncode
        check_file(path, always)

        full = subprocess.run([pvm, "run", "--backend=native", "--trace=/dev/full", guest], check=False,
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        assert full.returncode != 0, "a full disk has to show in the status"
        assert full.stderr.count("trace /dev/full: No space left on device") == 1, full.stderr


if __name__ == "__main__":
    main()
