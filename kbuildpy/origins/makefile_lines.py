# SPDX-License-Identifier: GPL-2.0-only
"""The lines of a makefile as GNU make reads them: assignments and includes, with the conditions around them.

No values are computed here: that is make's. What is between `define` and `endef` is left out, and what is in a recipe,
except for a line that is `$(eval NAME := VALUE)`.
The language: https://www.gnu.org/software/make/manual/make.html (Makefile contents, Conditionals, Setting).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_MODIFIERS = re.compile(r"(?:(?:export|override|private|unexport)\s+)*")
_OPERATOR = re.compile(r":::=|::=|:=|\+=|\?=|!=|=")
_INCLUDE = re.compile(r"(-include|sinclude|include)\s+(.*)", re.DOTALL)
_EVAL = re.compile(r"\$[({]eval\s+(.*)[)}]", re.DOTALL)
_CONDITION = re.compile(r"(ifdef|ifndef|ifeq|ifneq)\b(.*)", re.DOTALL)


@dataclass(frozen=True)
class Condition:
    """A conditional that a line is in."""

    text: str
    """As the makefile has it: `ifdef CONFIG_X`."""
    line: int
    """Where that is."""
    holds: bool
    """The line counts if the condition holds; otherwise it is behind its `else`."""


@dataclass(frozen=True)
class Line:
    """An assignment, or an include. Lines are counted from 1."""

    first: int
    """The first physical line."""
    last: int
    """The last one: a backslash continues a line."""
    name: str
    """The variable (`cflags-$(CONFIG_X)`); empty for an include."""
    operator: str
    """`:=` and its kin, or the word of an include."""
    value: str
    """The right side, without comment, on one line."""
    conditions: tuple[Condition, ...] = ()
    """The conditionals around it, outermost first."""
    in_recipe: bool = False
    """It is in a recipe: `$(eval NAME += VALUE)`."""

    @property
    def includes(self) -> bool:
        """Whether it is an include."""
        return not self.name


def makefile_lines(text: str) -> Iterator[Line]:
    """The assignments and includes of a makefile, in its order."""
    conditions: list[list[Condition]] = []
    defining, in_rule = 0, False
    for first, last, raw in _logical_lines(text):
        if defining:
            word = raw.split(None, 1)[0] if raw.strip() else ""
            defining += (word == "define") - (word == "endef")
            continue
        if raw.startswith("\t") and in_rule:
            evaluated = _EVAL.fullmatch(raw.strip())
            assigned = _assignment(evaluated[1]) if evaluated else None
            if assigned:
                around = tuple(each for chain in conditions for each in chain)
                yield Line(first, last, *assigned, around, in_recipe=True)
            continue
        line = _without_comment(raw).strip()
        if not line:
            continue
        around = tuple(each for chain in conditions for each in chain)
        if _follow_condition(line, first, conditions):
            continue
        included = _INCLUDE.fullmatch(line)
        if included:
            in_rule = False
            yield Line(first, last, "", included[1], included[2].strip(), around)
            continue
        modifiers = _MODIFIERS.match(line)
        rest = line[modifiers.end() :] if modifiers else line
        if rest.startswith(("define ", "define\t")):
            defining, in_rule = 1, False
            continue
        evaluated = _EVAL.fullmatch(rest)
        assigned = _assignment(evaluated[1] if evaluated else rest)
        if assigned is None:
            in_rule = _is_rule(rest)
            continue
        in_rule = False
        yield Line(first, last, *assigned, around)


def _logical_lines(text: str) -> Iterator[tuple[int, int, str]]:
    """Each line with the numbers of its first and its last physical one; backslashes and what surrounds them become a
    space."""
    lines = text.split("\n")
    number = 0
    while number < len(lines):
        first, parts = number, [lines[number].removesuffix("\r")]
        while _continues(parts[-1]) and number + 1 < len(lines):
            number += 1
            parts[-1] = parts[-1][:-1].rstrip()
            parts.append(lines[number].removesuffix("\r"))
        yield first + 1, number + 1, " ".join([parts[0], *(part.strip() for part in parts[1:])])
        number += 1


def _continues(line: str) -> bool:
    return (len(line) - len(line.rstrip("\\"))) % 2 == 1


def _without_comment(line: str) -> str:
    match = re.search(r"(?<!\\)(?:\\\\)*#", line)
    return line[: match.end() - 1] if match else line


def _follow_condition(line: str, number: int, conditions: list[list[Condition]]) -> bool:
    """Take a line of a conditional into account; whether it is one. Each conditional is the list of its conditions up
    to the branch that the next line is in."""
    word, *rest = line.split(None, 1)
    if word == "endif":
        if conditions:
            conditions.pop()
        return True
    if word == "else":
        if conditions:
            last = conditions[-1].pop()
            conditions[-1].append(Condition(last.text, last.line, holds=False))
            if rest and _CONDITION.fullmatch(rest[0]):
                conditions[-1].append(Condition(rest[0], number, holds=True))
        return True
    if _CONDITION.fullmatch(line):
        conditions.append([Condition(line, number, holds=True)])
        return True
    return False


def _assignment(line: str) -> tuple[str, str, str] | None:
    """Name, operator and value of an assignment that is not a target's own; None for another line."""
    for place, depth in _depths(line):
        if depth:
            continue
        match = _OPERATOR.match(line, place)
        if match:
            name = line[:place].rstrip()
            return (name, match[0], line[match.end() :].strip()) if name and not _has_space(name) else None
        if line[place] == ":":
            return None
    return None


def _is_rule(line: str) -> bool:
    """Whether a recipe may follow the line: it names targets, and assigns no variable of theirs."""
    for place, depth in _depths(line):
        if line[place] == ":" and not depth:
            after = line[place + 1 :].lstrip(":").strip()
            modifiers = _MODIFIERS.match(after)
            return _assignment(after[modifiers.end() :] if modifiers else after) is None
    return False


def _has_space(name: str) -> bool:
    return any(name[place].isspace() for place, depth in _depths(name) if not depth)


def _depths(text: str) -> Iterator[tuple[int, int]]:
    """Each character's place, and in how many references `$(...)` it is."""
    closing: list[str] = []
    place = 0
    while place < len(text):
        character = text[place]
        if character == "$" and text[place + 1 : place + 2] in ("(", "{"):
            yield place, len(closing) + 1
            closing.append(")" if text[place + 1] == "(" else "}")
            place += 1
            yield place, len(closing)
        elif closing and character in "({" and closing[-1] == {"(": ")", "{": "}"}[character]:
            closing.append(closing[-1])
            yield place, len(closing)
        elif closing and character == closing[-1]:
            yield place, len(closing)
            closing.pop()
        else:
            yield place, len(closing)
        place += 1
