#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
"""Is each guard of the invariants needed? Takes one out at a time and wants a test to fail.

Copies the tree beside the build, builds it once, sees the named tests pass, and then
for each guard: replaces its lines, builds, runs its tests, wants one of them red, and
puts the lines back. A guard whose text is no longer there is a failure, too: whoever
changes a guard changes this list (guards_list.py).

  guards.py BUILD-FOLDER [-k WORD]... [--list]
"""
import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import time

from guards_list import BUILD, GUARDS

ROOT = pathlib.Path(__file__).resolve().parents[2]
TEST_TIMEOUT = 120	# seconds: a guest that hangs without its guard is red as well


def tree():
    """The files that are built: what git knows, or everything but build folders."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode == 0 and listed.stdout:
        return [line for line in listed.stdout.splitlines() if (ROOT / line).is_file()]
    return [str(path.relative_to(ROOT)) for path in ROOT.rglob("*")
            if path.is_file() and not str(path.relative_to(ROOT)).startswith(("build", ".git/"))]


def copy_tree(to):
    """Copies what differs, so that a second run builds little."""
    wanted = set(tree())
    for name in wanted:
        source, target = ROOT / name, to / name
        if target.exists() and target.read_bytes() == source.read_bytes():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)
        os.utime(target)
    for path in [path for path in to.rglob("*") if path.is_file()]:
        if str(path.relative_to(to)) not in wanted:
            path.unlink()


def targets_of(test):
    """What to build for a ctest entry."""
    if test == BUILD:
        return [test]
    if test.startswith("ring0.hostile."):
        return ["minivisor-selfcheck", "hostile-" + "-".join(test.split(".")[2:])]
    if test.startswith("ring0.guest."):
        return ["minivisor", "pvm", "guest-" + "-".join(test.split(".")[2:])]
    if test.startswith(("ring0.direct.", "ring0.corners.", "ring0.host-state.")):
        return ["ring0-" + test.split(".")[1]]
    if test == "ring0.mitigations":
        return ["minivisor", "guest-transitions"]
    if test in ("bochs.cet.host-state", "bochs.corners"):
        return ["ring0-" + test.split(".")[-1], "guest-hello"]
    if test.startswith("hostile."):
        return ["pvm", "hostile-" + "-".join(test.split(".")[1:])]
    if test.startswith("guest."):
        return ["pvm", "guest-" + "-".join(test.split(".")[1:])]
    if test.startswith("model."):
        return ["pvm", "model-scripts"]
    return [test.split(".", 1)[1]]


class Copy:
    def __init__(self, folder):
        self.source, self.build, self.log = folder / "src", folder / "build", folder / "log"
        folder.mkdir(parents=True, exist_ok=True)

    def run(self, *command):
        with open(self.log, "ab") as log:
            return subprocess.run(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, check=False,
                                  env={**os.environ, "HOSTILE_TIMEOUT": str(TEST_TIMEOUT)}).returncode == 0

    def configure(self):
        return self.run("cmake", "-S", str(self.source), "-B", str(self.build),
                        "-DCMAKE_BUILD_TYPE=RelWithDebInfo")

    def make(self, tests):
        targets = sorted({target for test in tests for target in targets_of(test)})
        return self.run("cmake", "--build", str(self.build), "-j2", "--target", *targets)

    def test(self, name):
        """True: it passed. A test that does not exist is an error, not a red one."""
        listed = subprocess.run(["ctest", "--test-dir", str(self.build), "-N", "-R", f"^{name}$"],
                                capture_output=True, text=True, check=True).stdout
        if "Total Tests: 1\n" not in listed:
            sys.exit(f"guards: there is no test {name}")
        return self.run("ctest", "--test-dir", str(self.build), "-R", f"^{name}$", "--output-on-failure")


def without(copy, guard):
    """Take @guard out and say which test went red, or what is wrong."""
    saved = {}
    try:
        for name, old, new in guard.edits:
            path = copy.source / name
            text = path.read_text()
            saved.setdefault(path, text)
            if text.count(old) != 1:
                return None, f"{name}: its text is there {text.count(old)} times: {old!r}"
            path.write_text(text.replace(old, new))
        if guard.tests == (BUILD,):
            return (None, "it builds without it") if copy.make(guard.tests) else (BUILD, None)
        if not copy.make(guard.tests):
            return None, "does not build without it (see the log)"
        for name in guard.tests:
            if not copy.test(name):
                return name, None
        return None, "no test missed it"
    finally:
        for path, text in saved.items():
            path.write_text(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("-k", action="append", default=[], metavar="WORD", help="only guards with it")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--texts", action="store_true", help="only look if the guards are there")
    args = parser.parse_args()
    guards = [guard for guard in GUARDS if not args.k or any(word in guard.name for word in args.k)]
    if args.list:
        for guard in guards:
            print(f"{guard.name:60} {guard.edits[0][0]:32} {' '.join(guard.tests)}")
        return 0
    if args.texts:
        gone = [f"{guard.name}: {name}: {old!r}" for guard in guards for name, old, _ in guard.edits
                if (ROOT / name).read_text().count(old) != 1]
        print("\n".join(gone) or f"{len(guards)} guards are there")
        return 1 if gone else 0
    copy = Copy(args.folder.resolve())
    copy_tree(copy.source)
    tests = sorted({test for guard in guards for test in guard.tests})
    if not copy.configure() or not copy.make(tests):
        sys.exit(f"guards: the tree does not build: {copy.log}")
    red = [test for test in tests if test != BUILD and not copy.test(test)]
    if red:
        sys.exit(f"guards: red with all guards in place: {' '.join(red)}")
    failed = 0
    for guard in guards:
        start = time.monotonic()
        test, problem = without(copy, guard)
        failed += bool(problem)
        print(f"{guard.name:60} {'-> ' + test if test else 'FAIL: ' + problem} "
              f"({time.monotonic() - start:.0f} s)", flush=True)
    print(f"{len(guards)} guards, {failed} that no test would miss")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
