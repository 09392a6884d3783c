# SPDX-License-Identifier: GPL-2.0-only
"""Results of tests as programs print them: TAP and KTAP (Documentation/dev-tools/ktap.rst).

Counterpart: tools/testing/kunit/kunit_parser.py. Lines that are neither are left out, for the kernel may say something
in between. A point is finished by its own line, so what is indented further and came before it are its parts. A module
prints what it likes: numbers and nesting have limits.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

_VERSION = re.compile(r"(\s*)K?TAP version \d+\s*$")
_PLAN = re.compile(r"(\s*)1\.\.(\d{1,9})\s*(?:#\s*(.*))?$")
_POINT = re.compile(r"(\s*)(not )?ok\b(?:\s+(\d{1,9}))?(?:\s+-)?(?:\s+(.*))?$")
_SUBTEST = re.compile(r"(\s*)# Subtest:(.*)$")
_DIAGNOSTIC = re.compile(r"(\s*)#\s?(.*)$")
_BAIL = re.compile(r"\s*Bail out!\s*(.*)$")
_DIRECTIVE = re.compile(r"(?:^|\s)#\s*(SKIP|TODO|XFAIL)\b:?\s*(.*)$", re.IGNORECASE)

OK, NOT_OK, SKIP, TODO = "ok", "not ok", "skip", "todo"
"""The result of a point; one marked TODO may fail."""
_DEEPEST = 50
"""Levels of points that are kept apart."""


@dataclass(frozen=True)
class Point:
    """One result."""

    number: int
    """0 where none was printed."""
    name: str
    result: str
    """OK, NOT_OK, SKIP or TODO."""
    reason: str = ""
    """Why it was skipped or may fail."""
    diagnostics: tuple[str, ...] = ()
    """The remarks that stood before it."""
    points: tuple[Point, ...] = ()
    """Its subtests."""

    @property
    def failed(self) -> bool:
        """Whether it failed, or one of its subtests, without being marked TODO."""
        return self.result == NOT_OK or (self.result == OK and any(point.failed for point in self.points))

    def leaves(self) -> Iterator[Point]:
        """The points that consist of no others: itself, or those of its parts."""
        if not self.points:
            yield self
        for point in self.points:
            yield from point.leaves()

    def to_json(self) -> dict[str, object]:
        """As `--format json` prints it."""
        return {
            "number": self.number,
            "name": self.name,
            "result": self.result,
            "reason": self.reason or None,
            "diagnostics": list(self.diagnostics),
            "points": [point.to_json() for point in self.points],
        }


@dataclass(frozen=True)
class Tap:
    """The results of a program."""

    points: tuple[Point, ...]
    problems: tuple[str, ...] = ()
    """Errors other than failed points, in words."""
    skipped: str = ""
    """Why all was skipped; "" if it was not."""


@dataclass
class _Level:
    """The points of one indentation that have come so far."""

    indent: int
    name: str = ""
    plan: int | None = None
    skipped: str = ""
    points: list[Point] = field(default_factory=list)
    depth: int = 0
    """How deep `points` are nested."""
    diagnostics: list[str] = field(default_factory=list)

    def add(self, point: Point, within: int, problems: list[str]) -> None:
        """Add `point`, whose parts are nested `within` deep; beside its parts, where that is too deep."""
        if within >= _DEEPEST:
            said = f"points are nested more than {_DEEPEST} deep: they are taken out of each other"
            if problems[-1:] != [said]:
                problems.append(said)
            self.points += point.points
            point = replace(point, points=())
        self.points.append(point)
        self.depth = max(self.depth, min(within + 1, _DEEPEST))


def read_tap(lines: Iterable[str], *, needs_plan: bool = True) -> Tap | None:
    """The results in `lines`; None if they are no TAP: there is neither a version nor a plan with points.

    With `needs_plan` a program that announced no number of points is one that may have ended early.
    """
    levels = [_Level(0)]
    problems: list[str] = []
    announced = False
    remark = 0  # the indentation of the remark that the line before was, or belonged to
    for line in lines:
        version, plan, point = _VERSION.match(line), _PLAN.match(line), _POINT.match(line)
        if remark and not (version or plan or point or _DIAGNOSTIC.match(line)) and line[:remark].isspace():
            # (KUnit says in lines of their own what was expected and what was there)
            _at(levels, remark).diagnostics.append(line[remark:])
            continue
        remark = 0
        if version:
            announced = True
            if version[1]:
                _level(levels, len(version[1]), problems)
        elif plan:
            level = _level(levels, len(plan[1]), problems)
            level.plan = int(plan[2])
            if level.plan == 0:
                level.skipped = _DIRECTIVE.sub(r"\2", f"# {plan[3]}") if plan[3] else "there is nothing to test"
        elif point:
            _add_point(levels, point, problems)
        elif bail := _BAIL.match(line):
            problems.append(f"it bailed out{f': {bail[1]}' if bail[1] else ''}")
        elif subtest := _SUBTEST.match(line):
            _level(levels, len(subtest[1]), problems).name = subtest[2].strip()
        elif diagnostic := _DIAGNOSTIC.match(line):
            remark = len(diagnostic[1])
            _at(levels, remark).diagnostics.append(diagnostic[2])
    while len(levels) > 1:
        # A part whose own line never came: it ended early.
        level = levels.pop()
        if level.points or level.name:
            problems.append(f"{level.name or 'a subtest'} did not come to its end")
            levels[-1].add(Point(0, level.name, NOT_OK, points=tuple(level.points)), level.depth, problems)
    top = levels[0]
    if not (announced or (top.plan is not None and (top.points or top.skipped))):
        return None
    problems = [*_missing(top, needs_plan=needs_plan), *problems]
    return Tap(tuple(top.points), tuple(problems), top.skipped)


def _at(levels: list[_Level], indent: int) -> _Level:
    """The innermost level that a line of this indentation can belong to."""
    return next((level for level in reversed(levels) if level.indent <= indent), levels[0])


def _level(levels: list[_Level], indent: int, problems: list[str]) -> _Level:
    """The level of this indentation; a new one if there is none, and there are not too many."""
    while levels[-1].indent > indent:
        level = levels.pop()
        if level.points:
            problems.append(f"{level.name or 'a subtest'} did not come to its end")
    if levels[-1].indent < indent and len(levels) <= _DEEPEST:
        levels.append(_Level(indent))
    return levels[-1]


def _add_point(levels: list[_Level], match: re.Match[str], problems: list[str]) -> None:
    indent = len(match[1])
    parts: tuple[Point, ...] = ()
    inner: list[str] = []
    within = 0
    while levels[-1].indent > indent:
        level = levels.pop()
        problems += _missing(level, needs_plan=False)
        inner += level.diagnostics
        parts = (*parts, *level.points)
        within = max(within, level.depth)
    level = levels[-1] if levels[-1].indent == indent else _level(levels, indent, problems)
    text = match[4] or ""
    directive = _DIRECTIVE.search(text)
    result = NOT_OK if match[2] else OK
    reason = ""
    if directive:
        text, reason = text[: directive.start()], directive[2]
        result = SKIP if directive[1].upper() == "SKIP" else TODO
    number = int(match[3]) if match[3] else 0
    if number and number != len(level.points) + 1:
        problems.append(f"point {len(level.points) + 1} has the number {number}")
    diagnostics = (*level.diagnostics, *inner)
    level.diagnostics.clear()
    level.add(Point(number, text.strip(), result, reason.strip(), diagnostics, parts), within, problems)


def _missing(level: _Level, *, needs_plan: bool) -> list[str]:
    where = f"{level.name}: " if level.name else ""
    if level.plan is None:
        return [f"{where}it announced no number of points (1..N): it may have ended early"] if needs_plan else []
    if level.plan != len(level.points):
        return [f"{where}it announced {level.plan} points, and {len(level.points)} came"]
    return []
