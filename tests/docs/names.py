#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
"""What the documents name must exist: files, links, functions, targets, options.

Owns the reading of README.md, CHANGELOG.md and docs/. Prints one line for each
name that is not there.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
SOURCES = ("include", "libpvm", "devices", "decode", "firmware", "backends", "examples", "packaging", "tools", "tests",
           "bench")
CODE = {".c", ".h", ".S", ".py", ".sh", ".txt", ".cmake"}
LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")
QUOTED = re.compile(r"`([^`\n]+)`")
PATH = re.compile(r"^[\w.-]+(/[\w.-]+)*/?$")
FILE_SUFFIX = re.compile(r"\.(c|h|S|md|py|sh|svg|cmake)$")
IDENTIFIER = re.compile(r"^(?:(?:struct|enum|union) )?((?:pvm|PVM|MSR_PVM)_\w+)(?:\(\))?$")
MEMBER = re.compile(r"^(?:struct )?(\w+)::(\w+)$")
TARGET = re.compile(r"--target\s+([\w-]+)")
PVM_COMMAND = re.compile(r"\bpvm (?:run|info)\b([^`\n]*)")
OPTION = re.compile(r"(--[a-z][a-z-]*)")


def documents():
    yield ROOT / "README.md"
    yield ROOT / "CHANGELOG.md"
    yield from sorted((ROOT / "docs").rglob("*.md"))


def read_all(*folders):
    texts = {}
    for folder in folders:
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in CODE and path.is_file():
                texts[path] = path.read_text(errors="replace")
    return texts


def path_problem(name, names_of_files):
    if name.startswith(("build", "http")) or not PATH.match(name):
        return None
    if "/" in name and not FILE_SUFFIX.search(name) and not name.endswith("/") \
            and not (ROOT / name.split("/")[0]).is_dir():
        return None		# a word with a slash in it
    if "/" in name:
        return None if (ROOT / name).exists() else f"no file {name}"
    if FILE_SUFFIX.search(name):
        return None if name in names_of_files else f"no file is called {name}"
    return None


def problems_of(document, texts, everything, cmake):
    text = document.read_text()
    names_of_files = {path.name for path in texts} | {path.name for path in documents()}
    for link in LINK.findall(text):
        if "://" not in link and not (document.parent / link).exists():
            yield f"link to {link}, which is not there"
    for quoted in QUOTED.findall(text):
        problem = path_problem(quoted, names_of_files)
        if problem:
            yield problem
        identifier = IDENTIFIER.match(quoted) or MEMBER.match(quoted)
        for word in identifier.groups() if identifier else ():
            if not re.search(rf"\b{word}", everything):
                yield f"no {word} in the source"
    for target in TARGET.findall(text):
        if not re.search(rf"add_(custom_target|executable|library)\(\s*{re.escape(target)}\b", cmake):
            yield f"no target {target}"
    for command in PVM_COMMAND.findall(text):
        for option in OPTION.findall(command):
            if f'"{option[2:]}"' not in everything:
                yield f"pvm has no option {option}"


def main():
    texts = read_all(*SOURCES)
    everything = "\n".join(texts.values())
    cmake = "\n".join(text for path, text in texts.items() if path.suffix in {".txt", ".cmake"})
    failed = False
    for document in documents():
        for problem in problems_of(document, texts, everything, cmake):
            print(f"{document.relative_to(ROOT)}: {problem}", file=sys.stderr)
            failed = True
    return failed


if __name__ == "__main__":
    sys.exit(main())
