#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
"""Random mutants of libpvm's C: how many do the tests catch?

    mutants.py FOLDER [--seed N] [--count N] [--minutes N] [--only PREFIX...] [--least PERCENT]

Works on a copy of the tree in FOLDER, one change at a time: built, and run against the
tests that can see it until one fails (unit and model; for libpvm/switcher/ ring0, too, and two
of Bochs, which has PCIDs). What was found is kept in FOLDER/results.jsonl: a run with the same
seed on the same sources goes on where the last one ended. Prints the seed, the share, and each
survivor; survivors listed in judged.py do not count. The status is 1 below --least.
"""
import argparse
import collections
import ctypes
import hashlib
import json
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import time

import mutate
from judged import JUDGED

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Tests of the labels unit and model that do not run the engine, or only start `pvm`.
NOT_THE_ENGINE = r"^cli\.|^unit\.(assertion|native|trace|backtrace|monitor|decode|devices|" \
                 r"test-symbols|pvm-bench)"
RING0 = r"^ring0\.(areas|direct|corners|host-state)\.|" \
        r"^bochs\.(areas|corners)$|" \
        r"^ring0\.hostile\.(s05_bases|s05_stale_selectors|s06_stacks|s07_tables)$|" \
        r"^ring0\.hostile\.(s08_pvcs_\w+|s1\w+)$|^ring0\.guest\.(compat|load_tls|syscall)$"
SWITCHER = "libpvm/switcher/"
RING0_TARGETS = ("minivisor", "minivisor-selfcheck", "ring0-direct", "ring0-host-state",
                 "ring0-corners", "ring0-areas")
SLOWER = 5		# times the time of the unchanged tree, and it counts as hung
LEAST_SECONDS = 60
PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans():
    """What loses its parent becomes this process's child."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        sys.exit(f"prctl: {os.strerror(ctypes.get_errno())}")


def end_children():
    """Kill what a test that hung, or was ended, has left behind: Criterion's workers and emulated
    machines run in sessions of their own, outlive ctest, and would take the CPU from all that
    follows."""
    while True:
        children = pathlib.Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
        if not children:
            return
        for child in map(int, children):
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


def run(command, folder, seconds=None):
    """(status, output); the status is None if it had to be ended."""
    process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                               errors="replace", start_new_session=True)
    try:
        output, _ = process.communicate(timeout=seconds)
        return process.returncode, output
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        return None, process.communicate()[0]


def synchronise(source, target):
    """Make @target like @source. A file that is alike already is not touched, and one that is
    written gets the time of now: what make knows about the objects stays true."""
    keep = shutil.ignore_patterns("build*", ".git", "__pycache__")
    target.mkdir(parents=True, exist_ok=True)
    names = [entry.name for entry in source.iterdir()]
    names = set(names) - keep(str(source), names)
    for old in target.iterdir():
        if old.name not in names:
            shutil.rmtree(old) if old.is_dir() else old.unlink()
    for name in sorted(names):
        here, there = source / name, target / name
        if here.is_dir():
            synchronise(here, there)
        elif not there.exists() or here.read_bytes() != there.read_bytes():
            shutil.copyfile(here, there)
            shutil.copymode(here, there)


class Tree:
    """The copy, its build folder, and the tests."""

    def __init__(self, folder, jobs):
        self.source, self.build, self.jobs = folder / "tree", folder / "build", str(jobs)
        self.seconds = {}

    def prepare(self):
        synchronise(ROOT, self.source)
        # Without the fuzzers, which compile the engine once more.
        status, output = run(["cmake", "-S", self.source, "-B", self.build, "-DPVM_FUZZ_CC="], ROOT)
        if status:
            sys.exit(output)

    def compile(self, targets=()):
        return run(["cmake", "--build", self.build, "-j", self.jobs,
                    *(["--target", *targets] if targets else [])], ROOT)

    def ctest(self, arguments, seconds=None):
        return run(["ctest", "--test-dir", self.build, "-j", self.jobs, "--stop-on-failure",
                    "--output-on-failure", "--no-tests=error", *arguments], ROOT, seconds)


# The unit tests of a module, by its folder: they catch most of its mutants.
FIRST = {"vcpu": "test-vcpu", "events": "events", "hypercall": "hypercall", "exit": "exit",
         "mmu": "mmu", "switcher": "test-switcher"}


def suites(path):
    """(targets to build, ctest's arguments), cheapest first."""
    first = FIRST.get(path.split("/")[1])
    found = [((first,), ("-R", rf"^unit\.{first}$"))] if first else []
    found.append((("engine-tests",), ("-L", "^(unit|model)$", "-E", NOT_THE_ENGINE)))
    if path.startswith(SWITCHER):
        found.append((RING0_TARGETS, ("-R", RING0)))
    return found


def first_failure(output):
    match = re.search(r"Test +#\d+: (\S+) \.*\*\*\*", output)
    return match.group(1) if match else "?"


class Campaign:
    def __init__(self, options):
        self.options = options
        self.folder = pathlib.Path(options.folder)
        self.tree = Tree(self.folder, options.jobs)
        self.results = self.folder / "results.jsonl"
        self.sources = {str(path.relative_to(ROOT)): path.read_text()
                        for path in sorted((ROOT / "libpvm").rglob("*.[ch]"))}
        tests = {str(path): path.read_text() for path in sorted((ROOT / "tests").rglob("*.[ch]"))}
        self.tests = hashlib.sha256(json.dumps(tests, sort_keys=True).encode()).hexdigest()[:12]
        state = hashlib.sha256(json.dumps(self.sources, sort_keys=True).encode()).hexdigest()[:12]
        self.only = tuple(sorted(options.only))
        self.name = f"{state} {options.seed} {' '.join(self.only)}"

    def chosen(self):
        found = [mutant for path, source in self.sources.items()
                 if path.startswith(self.only) for mutant in mutate.mutants(path, source)]
        random.Random(self.options.seed).shuffle(found)
        return found

    def known(self):
        """{ mutant's key and line: what came out } of earlier runs of this very campaign. What
        survived other tests than those of now is tried again."""
        if not self.results.exists():
            return {}
        entries = [json.loads(line) for line in self.results.read_text().splitlines()]
        return {(e["key"], e["number"]): e for e in entries if e["campaign"] == self.name
                and (e["outcome"] != "survived" or e["tests"] == self.tests)}

    def note(self, mutant, outcome, by):
        entry = {"campaign": self.name, "tests": self.tests, "key": mutant.key(),
                 "number": mutant.number, "text": str(mutant), "outcome": outcome, "by": by}
        with open(self.results, "a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")
        return entry

    def baseline(self):
        """The unchanged tree passes; how long it takes."""
        status, output = self.tree.compile()
        if status:
            sys.exit(f"the unchanged tree does not build:\n{output[-4000:]}")
        paths = sorted(path for path in self.sources if path.startswith(self.only))
        for targets, arguments in dict.fromkeys(s for path in paths for s in suites(path)):
            if self.tree.compile(targets)[0]:
                sys.exit(f"no target {' or '.join(targets)}, or it does not build")
            start = time.monotonic()
            status, output = self.tree.ctest(arguments)
            if status:
                sys.exit(f"the unchanged tree does not pass {arguments}:\n{output[-4000:]}")
            self.tree.seconds[arguments] = time.monotonic() - start

    def judge(self, mutant):
        """(outcome, by whom)"""
        for targets, arguments in suites(mutant.path):
            if self.tree.compile(targets)[0]:
                return "not built", ""
            limit = max(LEAST_SECONDS, SLOWER * self.tree.seconds[arguments])
            status, output = self.tree.ctest(arguments, limit)
            end_children()
            if status is None:
                return "caught", f"a test of {' '.join(arguments)} hung"
            if status:
                return "caught", first_failure(output)
        return "survived", ""

    def run(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        known, entries = self.known(), []
        end = time.monotonic() + self.options.minutes * 60
        ready = False
        for mutant in self.chosen():
            counted = sum(entry["outcome"] != "not built" for entry in entries)
            if counted >= self.options.count:
                break
            entry = known.get((mutant.key(), mutant.number))
            if not entry:
                if time.monotonic() > end:
                    print(f"the time is up: {self.options.minutes} minutes; run again to go on")
                    break
                if not ready:
                    self.tree.prepare()
                    self.baseline()
                    ready = True
                entry = self.try_one(mutant)
                print(f"{entry['outcome']:9} {entry['text']}  {entry['by']}", flush=True)
            entries.append(entry)
        return entries

    def try_one(self, mutant):
        path = self.tree.source / mutant.path
        original = self.sources[mutant.path]
        path.write_text(mutate.apply(mutant, original))
        try:
            return self.note(mutant, *self.judge(mutant))
        finally:
            path.write_text(original)


def stale(sources):
    """Judged mutants whose line is not there any more."""
    there = {mutant.key() for path, source in sources.items()
             for mutant in mutate.mutants(path, source)}
    return [key for key in JUDGED if key not in there]


def report(entries, least):
    """True if the share is as wanted."""
    count = collections.Counter(entry["outcome"] for entry in entries)
    alive = [entry for entry in entries if entry["outcome"] == "survived"]
    judged = [entry for entry in alive if entry["key"] in JUDGED]
    survivors = [entry for entry in alive if entry["key"] not in JUDGED]
    for entry in judged:
        print(f"equivalent: {entry['text']}: {JUDGED[entry['key']]}")
    for entry in survivors:
        print(f"survived: {entry['text']}")
    modules = collections.defaultdict(collections.Counter)
    for entry in entries:
        modules[entry["key"].split("/")[1]][entry["outcome"]] += 1
    for module, outcomes in sorted(modules.items()):
        print(f"{module}: {outcomes['caught']} caught, {outcomes['survived']} survived")
    total = count["caught"] + len(survivors)
    share = 100 * count["caught"] / total if total else 0
    print(f"{count['caught']} of {total} mutants caught, {share:.1f} %, wanted {least} %; "
          f"{len(judged)} judged equivalent, {count['not built']} did not compile")
    return share >= least


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=100, help="mutants that compile")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--only", nargs="+", default=["libpvm/"],
                        help="sources whose path begins so")
    parser.add_argument("--least", type=float, default=92, help="percent that must be caught")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--list", action="store_true", help="print the mutants, run nothing")
    options = parser.parse_args()
    adopt_orphans()
    campaign = Campaign(options)
    print(f"seed {options.seed}, {len(campaign.chosen())} mutants to choose from", flush=True)
    for key in stale(campaign.sources):
        print(f"judged.py: not in the tree any more: {key}")
    if options.list:
        print(*campaign.chosen()[:options.count], sep="\n")
        return 0
    return 0 if report(campaign.run(), options.least) else 1


if __name__ == "__main__":
    sys.exit(main())
