#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
"""The form of every file: licence line, first comment, size, width.

Owns the rules of the house that a script can check. Prints one line for each
file that breaks one.
"""
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
SPDX = "SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0"
SPDX_KERNEL = "SPDX-License-Identifier: GPL-2.0"	# backends/kvm/: a part of Linux
CODE = {".c", ".h", ".S"}
# No comment fits in these, or they are not ours to write.
EXEMPT = re.compile(r"^(LICENSE\..*|\.gitignore)$|(^|/)corpus/|\.json$")
FILE_LINES_MAX = 560		# "about 500"
TEST_LINES_MAX = 750		# a noun may have many cases
FUNCTION_LINES_MAX = 80
COLUMNS_MAX = 110		# 100 is the aim; a line with a message in it may be longer
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX)\b|\bfor now\b")
WIDTH_OF_TAB = 8


def files():
    if shutil.which("git"):
        listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
        if listed.returncode == 0 and listed.stdout:
            return sorted(path for path in listed.stdout.splitlines() if (ROOT / path).is_file())
    return sorted(path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*")
                  if path.is_file() and not re.match(r"(build[^/]*|\.git)(/|$)",
                                                     path.relative_to(ROOT).as_posix()))


def licence_problem(path, lines):
    """The SPDX line is the first; the second where the first has to be "#!"."""
    licence = SPDX_KERNEL if path.startswith("backends/kvm/") else SPDX
    first = lines[1:2] if lines and lines[0].startswith("#!") else lines[:1]
    return None if first and licence in first[0] else f"line 1 is not the licence: {licence}"


def comment_problem(lines):
    if len(lines) > 1 and lines[1].lstrip().startswith("/*"):
        return None
    return "line 2 does not begin the comment that says what the file owns"


def function_problems(lines):
    start = None
    for number, line in enumerate(lines, 1):
        if line.startswith("{"):
            start = number
        elif line.startswith("}") and start:
            if number - start + 1 > FUNCTION_LINES_MAX:
                yield f"line {start}: a function of {number - start + 1} lines"
            start = None


def problems_of(path):
    try:
        lines = (ROOT / path).read_text().splitlines()
    except UnicodeDecodeError:
        yield "is not text"
        return
    yield licence_problem(path, lines)
    if pathlib.Path(path).suffix in CODE:
        yield comment_problem(lines)
        if len(lines) > (TEST_LINES_MAX if path.startswith("tests/") else FILE_LINES_MAX):
            yield f"{len(lines)} lines: two nouns in one file?"
        yield from function_problems(lines)
    if pathlib.Path(path).suffix in CODE:
        for number, line in enumerate(lines, 1):
            if len(line.expandtabs(WIDTH_OF_TAB)) > COLUMNS_MAX and '"' not in line:
                yield f"line {number}: {len(line.expandtabs(WIDTH_OF_TAB))} columns"
    if path != "tests/docs/headers.py":
        for number, line in enumerate(lines, 1):
            if UNFINISHED.search(line):
                yield f"line {number}: unfinished: {line.strip()}"


def main():
    failed = False
    for path in files():
        if EXEMPT.search(path):
            continue
        for problem in problems_of(path):
            if problem:
                print(f"{path}: {problem}", file=sys.stderr)
                failed = True
    return failed


if __name__ == "__main__":
    sys.exit(main())
