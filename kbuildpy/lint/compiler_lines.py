# SPDX-License-Identifier: GPL-2.0-only
"""Reads the lines of compilers, `FILE:LINE:COLUMN: warning: TEXT [-Wrule]`, which other checkers print too.

A line that follows belongs to the finding before: `note:`, and sparse's indented lines about the same place. Lines that
precede one are only read for inlined functions, which GCC names before the warning. All others (excerpts, `In function
...`, counts) say nothing more.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from kbuildpy.lint.finding import Finding, FindingNote, full_path

_PLACE = r"(?P<file>[^:\n]+):(?P<line>\d+)(?::(?P<column>\d+))?"
# (GCC gives a macro of the command line no line)
_LINE = re.compile(
    rf"(?:{_PLACE}|(?P<made><[\w -]+>)): (?P<level>fatal error|error|warning|note|info): (?P<text>.*)", re.IGNORECASE
)
_DETAIL = re.compile(rf"{_PLACE}: {{2,}}(?P<text>\S.*)")
_INLINED = re.compile(rf"\s+inlined from (?P<function>.+?) at {_PLACE}[,:;]?")
_RULE = re.compile(r"(?P<text>.*\S) \[(?P<rule>[\w.+=,-]+)\]")
_LEVELS = {"fatal error": "error", "error": "error", "warning": "warning", "info": "note"}


def read_compiler_lines(
    text: str, *, checker: str, cwd: str, tab_width: int = 1, names_rules: bool = True, rule: str = ""
) -> list[Finding]:
    """The findings in `text`, which the program of `checker` printed in `cwd`. `names_rules`: what stands in brackets
    at the end of a line is the rule; `rule` is that of the lines without one, `tab_width` how far
    a tab counts in columns."""
    found: list[_Draft] = []
    inlined: list[FindingNote] = []
    for line in text.splitlines():
        match = _LINE.fullmatch(line)
        if match and match["level"].lower() == "note":
            if found:
                found[-1].notes += [_note(match, match["text"], cwd), *inlined]
            inlined.clear()
        elif match:
            message, named = _rule_of(match["text"]) if names_rules else (match["text"], "")
            level = _LEVELS[match["level"].lower()]
            found.append(_Draft(_note(match, message, cwd), level, named or rule, [*inlined]))
            inlined.clear()
        elif (detail := _DETAIL.fullmatch(line)) and found and found[-1].is_at(_note(detail, "", cwd)):
            found[-1].details.append(detail[0][detail.start("text") - 3 :])
        elif within := _INLINED.fullmatch(line):
            # (GCC counts columns in another way there)
            inlined.append(_note(within, f"inlined from {within['function']}", cwd)._replace(column=0))
        elif not line.startswith(" "):
            inlined.clear()
    return [draft.finding(checker, tab_width) for draft in found]


@dataclass
class _Draft:
    """A finding whose lines are being read."""

    place: FindingNote
    level: str
    rule: str
    notes: list[FindingNote]
    details: list[str] = field(default_factory=list)

    def is_at(self, other: FindingNote) -> bool:
        return self.place[:3] == other[:3]

    def finding(self, checker: str, tab_width: int) -> Finding:
        file, line, column, message = self.place
        more = tuple(self.details), tuple(self.notes)
        return Finding(checker, file, line, column, self.level, message, self.rule, *more, tab_width)


def _note(match: re.Match[str], text: str, cwd: str) -> FindingNote:
    if match["file"] is None or match["file"].startswith("<"):
        return FindingNote(match["file"] or match["made"], int(match["line"] or 0), int(match["column"] or 0), text)
    return FindingNote(full_path(cwd, match["file"]), int(match["line"]), int(match["column"] or 0), text)


def _rule_of(text: str) -> tuple[str, str]:
    """A message without its rule, and the rule, as a warning's option: where it is an error, GCC names that as
    `-Werror=`, and clang has `-Werror` before it."""
    match = _RULE.fullmatch(text)
    if not match:
        return text, ""
    names = [name for name in match["rule"].split(",") if name != "-Werror"]
    return match["text"], names[0].replace("-Werror=", "-W").rstrip("=") if names else ""
