#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
"""Check docs/conformance.md against the tests, and keep its table.

Owns the two rules that tie tests to statements: a test cites C-nnn (the
specification), SC-nnn (single CR3) or XC-nnn (Xen PV) in a comment
`spec: C-nnn, ...`; a test of an invariant has its number in its name and the
source has the number in a comment at the guard. A hostile guest, a ring-0
program, a harness and a model are one test each: the number is in the file's name
(s04_selectors.c) or in the comment at its head. Never edits a test.

  conformance.py known     no test cites a number that is not there
  conformance.py complete  every statement and invariant is shown
  conformance.py table     the table in docs/conformance.md is up to date
  conformance.py write     rewrite the table
  conformance.py print     statement and tests, for people
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
DOC = ROOT / "docs" / "conformance.md"
BEGIN = "<!-- conformance-table: begin -->"
END = "<!-- conformance-table: end -->"
STATEMENT = re.compile(r"^- \*\*([SX]?C-\d{3}|[SMN]\d{1,2})\*\* (.*)$")
EXEMPT = re.compile(r"\*(Not shown|Does not apply yet): [^*]+\*$")
CITATION = re.compile(r"\bspec:((?:\s|[*#])*[SX]?C-\d+(?:(?:\s|[,*#]|and|to)*[SX]?C-\d+)*)")
NUMBER = re.compile(r"[SX]?C-\d+")
TEST_NAME = re.compile(r"\bTest\(\s*(\w+)\s*,\s*(\w+)")
THEORY_NAME = re.compile(r"\b(?:Theory\([^)]*\)\s*,|ParameterizedTest\([^;{]*?,)\s*(\w+)\s*,\s*(\w+)")
INVARIANT_IN_NAME = re.compile(r"(?:^|_)([SMN]\d{1,2})(?=_)")
INVARIANT_IN_SOURCE = re.compile(r"\b([SMN]\d{1,2})\b")
FILES_THAT_ARE_TESTS = ("tests/hostile", "tests/ring0", "tests/proof")
INVARIANT_IN_FILE_NAME = re.compile(r"^([smn])0?(\d{1,2})_")
HEAD = re.compile(r'/\*\s.*?\*/|""".*?"""', re.S)
SUFFIXES = {".c", ".h", ".S", ".pml", ".sh", ".py", ".cmake", ".txt", ".script"}


def statements():
    """Number -> (text, exempt?), in the order of the file."""
    found = {}
    for line in DOC.read_text().split(BEGIN)[0].splitlines():
        match = STATEMENT.match(line)
        if match:
            number, text = match.groups()
            if number in found:
                sys.exit(f"docs/conformance.md: {number} appears twice")
            found[number] = (text, bool(EXEMPT.search(text)))
    return found


def sources(*folders):
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in SUFFIXES and path.is_file() and "tests/docs/" not in path.as_posix():
                yield path, path.read_text(errors="replace")


def shown_at(path, text, end):
    """What a citation belongs to: the test or the guest check that follows it."""
    name = path.relative_to(ROOT).as_posix()
    if name.startswith("tests/guest/lib/"):
        return "every guest"
    if name.startswith("tests/guest/") and path.suffix in {".c", ".S"}:
        return path.stem + ".elf"
    if path.suffix == ".script":
        return path.name
    match = min(filter(None, (pattern.search(text, end) for pattern in (TEST_NAME, THEORY_NAME))),
                key=lambda found: found.start(), default=None)
    return f"{match.group(1)}/{match.group(2)}" if match else name


def citations():
    """Number -> names of what shows it; and (file, number) of every citation."""
    shown, all_of_them = {}, []
    for path, text in sources("tests", "bench"):
        for match in CITATION.finditer(text):
            start = text.rfind("\n", 0, match.start()) + 1
            inside = TEST_NAME.search(text, start, match.start())
            where = "/".join(inside.groups()) if inside else shown_at(path, text, match.end())
            for number in NUMBER.findall(match.group(1)):
                all_of_them.append((path.relative_to(ROOT), number))
                shown.setdefault(number, set()).add(where)
    return shown, all_of_them


def invariants():
    """Number -> tests named after it; and the numbers that have a guard comment."""
    shown, guarded = {}, set()
    for path, text in sources("tests"):
        for match in [*TEST_NAME.finditer(text), *THEORY_NAME.finditer(text)]:
            for number in INVARIANT_IN_NAME.findall("_" + match.group(2) + "_"):
                shown.setdefault(number, set()).add("/".join(match.groups()))
    for path, text in sources(*FILES_THAT_ARE_TESTS):
        name = INVARIANT_IN_FILE_NAME.match(path.name)
        numbers = {name.group(1).upper() + name.group(2)} if name else set()
        # The first comment is the license in C; a script's is its docstring.
        for comment in HEAD.findall(text)[:2]:
            numbers.update(INVARIANT_IN_SOURCE.findall(comment))
        for number in numbers:
            shown.setdefault(number, set()).add(path.relative_to(ROOT).as_posix())
    for _, text in sources("libpvm", "backends", "tools"):
        for comment in re.findall(r"/\*.*?\*/|//[^\n]*", text, re.S):
            guarded.update(INVARIANT_IN_SOURCE.findall(comment))
    return shown, guarded


def table(stated):
    shown, _ = citations()
    shown.update(invariants()[0])
    rows = ["| statement | shown by |", "|---|---|"]
    for number, (text, exempt) in stated.items():
        tests = ", ".join(f"`{name}`" for name in sorted(shown.get(number, ())))
        rows.append(f"| {number} | {tests or ('not shown: see there' if exempt else '**none**')} |")
    return "\n".join(rows) + "\n"


def known(stated):
    return [f"{path}: cites {number}, which docs/conformance.md does not have"
            for path, number in citations()[1] if number not in stated]


def complete(stated):
    shown, (named, guarded) = citations()[0], invariants()
    problems = []
    for number, (text, exempt) in stated.items():
        if number.startswith(("C-", "SC-", "XC-")):
            if not exempt and number not in shown:
                problems.append(f"{number}: no test cites it: {text}")
        elif not exempt:
            if number not in named:
                problems.append(f"{number}: no test has it in its name: {text}")
            if number not in guarded:
                problems.append(f"{number}: no comment in the source marks its guard: {text}")
    return problems


def split_document():
    text = DOC.read_text()
    if BEGIN not in text or END not in text:
        sys.exit("docs/conformance.md: the markers of the table are gone")
    head, rest = text.split(BEGIN)
    old, tail = rest.split(END)
    return head, old.lstrip("\n"), tail


def main():
    command = sys.argv[1] if len(sys.argv) == 2 else ""
    stated = statements()
    problems = []
    if command == "known":
        problems = known(stated)
    elif command == "complete":
        problems = complete(stated)
    elif command == "table":
        if split_document()[1] != table(stated):
            problems = ["docs/conformance.md: the table is old: "
                        "cmake --build build --target conformance-table"]
    elif command == "write":
        head, _, tail = split_document()
        DOC.write_text(head + BEGIN + "\n" + table(stated) + END + tail)
    elif command == "print":
        print(table(stated), end="")
    else:
        sys.exit(__doc__)
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
