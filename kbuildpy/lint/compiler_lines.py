# SPDX-License-Identifier: GPL-2.0-only
"""Reads the lines of compilers, `FILE:LINE:COLUMN: warning: TEXT [-Wrule]`, which other checkers print too.

A line that follows belongs to the finding before: `note:`, and sparse's indented lines about the same place. Lines that
precede one are only read for inlined functions, which GCC names before the warning. All others (excerpts, `In function
...`, counts) say nothing more.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from kbuildpy.compiler_line import compiler_line
from kbuildpy.lint.finding import Finding, FindingNote, full_path

_PLACE = r"(?P<file>[^:\n]+):(?P<line>\d+)(?::(?P<column>\d+))?"
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
        said = compiler_line(line)
        # (GCC gives a macro of the command line no line; without a file, a program speaks of itself)
        is_placed = said is not None and (said.line is not None or said.file.startswith("<"))
        if said and is_placed and said.kind == "note":
            if found:
                found[-1].notes += [_note(said.file, said.line, said.column, said.text, cwd), *inlined]
            inlined.clear()
        elif said and is_placed and said.kind in _LEVELS:
            message, named = _rule_of(said.text) if names_rules else (said.text, "")
            place = _note(said.file, said.line, said.column, message, cwd)
            found.append(_Draft(place, _LEVELS[said.kind], named or rule, [*inlined]))
            inlined.clear()
        elif (detail := _DETAIL.fullmatch(line)) and found and found[-1].is_at(_matched(detail, "", cwd)):
            found[-1].details.append(detail[0][detail.start("text") - 3 :])
        elif within := _INLINED.fullmatch(line):
            # (GCC counts columns in another way there)
            inlined.append(_matched(within, f"inlined from {within['function']}", cwd)._replace(column=0))
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


def _note(file: str, line: int | None, column: int, text: str, cwd: str) -> FindingNote:
    return FindingNote(file if file.startswith("<") else full_path(cwd, file), line or 0, column, text)


def _matched(match: re.Match[str], text: str, cwd: str) -> FindingNote:
    return _note(match["file"], int(match["line"]), int(match["column"] or 0), text, cwd)


def _rule_of(text: str) -> tuple[str, str]:
    """A message without its rule, and the rule, as a warning's option: where it is an error, GCC names that as
    `-Werror=`, and clang has `-Werror` before it."""
    match = _RULE.fullmatch(text)
    if not match:
        return text, ""
    names = [name for name in match["rule"].split(",") if name != "-Werror"]
    return match["text"], names[0].replace("-Werror=", "-W").rstrip("=") if names else ""
