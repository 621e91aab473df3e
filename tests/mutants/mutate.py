# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
"""Small changes to C source, each of which a test should notice.

Knows C only by its looks: comments, strings and preprocessor lines are left alone, and
what does not compile is not counted. Owns the kinds of change; runs nothing.
"""
import dataclasses
import re

# (name, what is replaced, by what): operators have spaces around them in our style.
REPLACED = (
    ("comparison", r" < ", " <= "), ("comparison", r" <= ", " < "), ("comparison", r" > ", " >= "),
    ("comparison", r" >= ", " > "), ("comparison", r" == ", " != "),
    ("comparison", r" != ", " == "),
    ("logic", r" && ", " || "), ("logic", r" \|\| ", " && "), ("logic", r"!(?=[a-z(])", ""),
    ("arithmetic", r" \+ ", " - "), ("arithmetic", r" - ", " + "),
    ("bits", r" & ", " | "), ("bits", r" \| ", " & "), ("bits", r" &= ", " |= "),
    ("bits", r" \|= ", " &= "),
    ("bits", r" & ~", " & "), ("bits", r" << ", " >> "), ("bits", r" >> ", " << "),
    ("step", r"\+\+", "--"), ("step", r"--", "++"),
    ("constant", r"\btrue\b", "false"), ("constant", r"\bfalse\b", "true"),
    ("constant", r"(?<![\w.])0(?![\w.])", "1"), ("constant", r"(?<![\w.])1(?![\w.])", "0"),
    ("constant", r"(?<![\w.])([2-9]|[1-9]\d+)(?![\w.])", lambda match: str(int(match.group()) + 1)),
)
STATEMENT = re.compile(r"^(\t+)(?!return\b|goto\b|break\b|continue\b|case\b|default\b|"
                       r"else\b|struct\b|const\b|static\b|unsigned\b|u?int\d*_t\b|bool\b|"
                       r"extern\b|do\b|\})"
                       r"[a-z*(+\-_][^{}]*;$")
DECLARATION = re.compile(r"^\t+(?:[a-z_][\w]*[ \t]+)+\**[a-z_]\w*(?:\[[^]]*\])?"
                         r"(?: = .*)?(?:, .*)?;$")
CONDITION = re.compile(r"^(\t+(?:\} else )?(?:if|while) \()(.*)(\)(?: \{)?)$")
COMMENT_OR_STRING = re.compile(r'/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'', re.S)
UNTOUCHED = re.compile(r"^\s*(?:#|_Static_assert|static_assert)")


@dataclasses.dataclass(frozen=True)
class Mutant:
    path: str		# below the root of the tree
    number: int		# of the line, from 1
    kind: str
    before: str		# the line, without the indentation
    after: str
    text: str		# the whole new line

    def key(self):
        """The same as long as the line's text is; several alike in a file count as one."""
        return f"{self.path}: {self.before} => {self.after}"

    def __str__(self):
        return f"{self.path}:{self.number}: {self.kind}: {self.before}  =>  {self.after}"


def _blank(source):
    """@source with the same length and lines, comments and strings overwritten by \\x01."""
    return COMMENT_OR_STRING.sub(lambda match: re.sub(r"[^\n]", "\x01", match.group()), source)


def _preprocessor(lines):
    """For each line: does it belong to a directive or an assertion of the compiler's?"""
    inside = False
    for line in lines:
        here = inside or bool(UNTOUCHED.match(line))
        yield here
        inside = here and (line.endswith("\\") or ("assert" in line and not line.endswith(";")))


def mutants(path, source):
    """All mutants of a file."""
    lines, blank = source.split("\n"), _blank(source).split("\n")
    for index, (line, code, skip) in enumerate(zip(lines, blank, _preprocessor(lines))):
        if skip or not line.startswith("\t"):
            continue
        found = []
        for kind, pattern, replacement in REPLACED:
            for match in re.finditer(pattern, code):
                if code[:match.start()].endswith("[") and "sizeof(" in code[:match.start()][-24:]:
                    continue	# sizeof(array[0])
                new = replacement(match) if callable(replacement) else replacement
                found.append((kind, line[:match.start()] + new + line[match.end():]))
        if (match := STATEMENT.match(code)) and not DECLARATION.match(code):
            found.append(("deleted", match.group(1) + ";"))
        if match := CONDITION.match(code):
            start, end = match.span(2)
            found.append(("negated", line[:start] + "!(" + line[start:end] + ")" + line[end:]))
        for kind, text in found:
            yield Mutant(path, index + 1, kind, line.strip(), text.strip(), text)


def apply(mutant, source):
    lines = source.split("\n")
    lines[mutant.number - 1] = mutant.text
    return "\n".join(lines)
