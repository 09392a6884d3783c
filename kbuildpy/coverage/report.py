# SPDX-License-Identifier: GPL-2.0-only
"""Coverage as values: which lines, functions and branches of files were reached, and how often."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import zip_longest
from typing import NamedTuple


@dataclass(frozen=True)
class FunctionCoverage:
    """A function."""

    name: str
    line: int
    """Where it begins."""
    count: int
    """How often it was called."""


class Counted(NamedTuple):
    """How many there are, and how many of them were reached."""

    found: int
    hit: int

    @property
    def percent(self) -> float:
        """100 where there are none."""
        return 100 * self.hit / self.found if self.found else 100.0

    def to_json(self) -> dict[str, int]:
        """As `--format json` prints it."""
        return {"found": self.found, "hit": self.hit}


@dataclass(frozen=True)
class FileCoverage:
    """A source file."""

    path: str
    """Absolute."""
    lines: Mapping[int, int]
    """How often each line with code was reached."""
    functions: tuple[FunctionCoverage, ...]
    branches: Mapping[int, tuple[int, ...]]
    """How often each branch of a line was taken, for lines with branches."""

    @property
    def line_count(self) -> Counted:
        """Of its lines with code."""
        return Counted(len(self.lines), sum(count > 0 for count in self.lines.values()))

    @property
    def function_count(self) -> Counted:
        """Of its functions."""
        return Counted(len(self.functions), sum(function.count > 0 for function in self.functions))

    @property
    def branch_count(self) -> Counted:
        """Of its branches."""
        taken = [count for counts in self.branches.values() for count in counts]
        return Counted(len(taken), sum(count > 0 for count in taken))

    @property
    def missed(self) -> list[tuple[int, int]]:
        """The lines with code that were not reached, as ranges: two lines with nothing but others between them that
        have no code are in one."""
        ranges: list[tuple[int, int]] = []
        going = False
        for number in sorted(self.lines):
            if self.lines[number]:
                going = False
            elif going:
                ranges[-1] = (ranges[-1][0], number)
            else:
                ranges.append((number, number))
                going = True
        return ranges

    def to_json(self) -> dict[str, object]:
        """An item of the key `files` of `--format json`."""
        return {
            "file": self.path,
            "lines": {str(number): count for number, count in sorted(self.lines.items())},
            "functions": [asdict(function) for function in self.functions],
            "branches": {str(number): list(counts) for number, counts in sorted(self.branches.items())},
        }


class Totals(NamedTuple):
    """The sums over files."""

    lines: Counted
    functions: Counted
    branches: Counted

    def to_json(self) -> dict[str, object]:
        """Keys of `--format json`."""
        return {name: counted.to_json() for name, counted in self._asdict().items()}


def totals(files: Iterable[FileCoverage]) -> Totals:
    """The sums over `files`."""
    every = list(files)
    return Totals(
        _sum(file.line_count for file in every),
        _sum(file.function_count for file in every),
        _sum(file.branch_count for file in every),
    )


def together(files: Iterable[FileCoverage]) -> list[FileCoverage]:
    """`files`, each once, by their paths: a header is told of by every object that includes it."""
    by_path: dict[str, FileCoverage] = {}
    for file in files:
        known = by_path.get(file.path)
        by_path[file.path] = _added(known, file) if known else file
    return [by_path[path] for path in sorted(by_path)]


def as_text(files: Sequence[FileCoverage], kernel: str, *, base: str) -> list[str]:
    """The lines of text about `files`, whose paths below `base` are told from there."""
    sums = totals(files)
    lines = [
        f"coverage ({kernel}): {_told(sums.lines, 'line')} ({sums.lines.percent:.1f} %), "
        f"{_told(sums.functions, 'function')}, {_told(sums.branches, 'branch')}"
    ]
    for file in files:
        missed = [f"{first}" if first == last else f"{first}-{last}" for first, last in file.missed]
        more = f" and {len(missed) - _MISSED} more places" if len(missed) > _MISSED else ""
        rest = f"; not reached: {', '.join(missed[:_MISSED])}{more}" if missed else ""
        lines.append(f"  {short_path(file.path, base)}: {_told(file.line_count, 'line')}{rest}")
    return lines


def short_path(path: str, base: str) -> str:
    """`path` as it is told: from `base` if it is below that."""
    return os.path.relpath(path, base) if path.startswith(f"{base}/") else path


_MISSED = 12  # places that are named


def _told(counted: Counted, noun: str) -> str:
    plural = f"{noun}es" if noun.endswith("ch") else f"{noun}s"
    return f"{counted.hit} of {counted.found} {noun if counted.found == 1 else plural}"


def _sum(items: Iterable[Counted]) -> Counted:
    every = list(items)
    return Counted(sum(item.found for item in every), sum(item.hit for item in every))


def _added(one: FileCoverage, other: FileCoverage) -> FileCoverage:
    lines = {number: one.lines.get(number, 0) + other.lines.get(number, 0) for number in {*one.lines, *other.lines}}
    functions = {(item.name, item.line): item for item in one.functions}
    for item in other.functions:
        known = functions.get((item.name, item.line))
        functions[item.name, item.line] = replace(item, count=item.count + (known.count if known else 0))
    branches = {
        number: tuple(
            here + there
            for here, there in zip_longest(one.branches.get(number, ()), other.branches.get(number, ()), fillvalue=0)
        )
        for number in {*one.branches, *other.branches}
    }
    return FileCoverage(one.path, lines, tuple(functions.values()), branches)
