# SPDX-License-Identifier: GPL-2.0-only
"""All pairs of types that functions of two kernels lead to, and from each the shortest way to a pair that differs.

Each pair is compared once. The ways are found backwards, from all pairs that differ at the same time, so that the work
does not grow with the number of symbols. Which types genksyms saw is not known: it sees what is declared where a symbol
is exported, and BTF has merged the types of all source files.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from kbuildpy.abi.compare_types import Comparer, Difference, Edge, Local
from kbuildpy.abi.type_graph import TypeGraph

Pair = tuple[int, int]


class Step(NamedTuple):
    """One step of a way: by which member or parameter, and to which type."""

    label: str
    title: str
    """`struct NAME`."""


class Way(NamedTuple):
    """From a symbol's signature to a type that changed."""

    steps: tuple[Step, ...]
    """Empty where the signature itself changed."""
    title: str
    """The type that changed; "" for the signature."""
    differences: tuple[Difference, ...]
    within: tuple[str, ...] = ()
    """The types in it that changed, too: members behind one that grew move."""
    start: str = ""
    """The type of a variable, where the way starts; "" for a function."""


class ChangedTypes:
    """The types of two graphs, compared as far as roots are added."""

    def __init__(self, old: TypeGraph, new: TypeGraph) -> None:
        self.old, self.new = old, new
        self._comparer = Comparer(old, new)
        self._locals: dict[Pair, Local] = {}
        self._titles: dict[Pair, str] = {}
        self._ways: dict[bool, dict[Pair, tuple[Pair, str] | None]] = {}

    def add(self, old: int, new: int, *, title: str = "") -> Pair:
        """Add the two types of a function or variable, and all that they lead to; returns their pair. `title` is what
        a type with a name is called."""
        root = (self.old.real(old)[0], self.new.real(new)[0])
        self._titles.setdefault(root, title)
        pending = [root]
        while pending:
            pair = pending.pop()
            if pair in self._locals:
                continue
            self._ways.clear()
            found = self._locals[pair] = self._comparer.compare(*pair)
            for edge in found.edges:
                reached = (edge.old, edge.new)
                if reached not in self._locals:
                    self._titles.setdefault(reached, self._title(edge, pair))
                    pending.append(reached)
        return root

    def local(self, pair: Pair) -> Local:
        """What the comparison of a pair itself found."""
        return self._locals[pair]

    def title(self, pair: Pair) -> str:
        """What a pair is called."""
        return self._titles[pair]

    def shortest(self, root: Pair, *, hard: bool) -> Way | None:
        """The shortest way from `root` to a pair with differences, None if there is none: `hard` in the types
        themselves, else in how they are written or declared."""
        ways = self._all_ways(hard)
        if root not in ways:
            return None
        steps, pair = [], root
        while (following := ways[pair]) is not None:
            pair, label = following
            steps.append(Step(label, self._titles[pair]))
        differences = self._locals[pair].hard if hard else self._locals[pair].differences
        return Way(tuple(steps), self._titles[pair], tuple(differences), self.within(pair), self._titles[root])

    def within(self, pair: Pair) -> tuple[str, ...]:
        """The titles of the types that are part of a pair and differ themselves."""
        found = (
            self._titles[edge.old, edge.new]
            for edge in self._locals[pair].edges
            if edge.embedded and self._locals[edge.old, edge.new].hard
        )
        # (a function contains nothing: what it takes by value is reached on the way)
        return tuple(dict.fromkeys(found)) if self._titles[pair] else ()

    def reached(self, root: Pair) -> Iterator[tuple[Pair, tuple[Step, ...]]]:
        """All pairs with hard differences that `root` leads to, the nearest first, each with a shortest way."""
        before: dict[Pair, tuple[Pair, str] | None] = {root: None}
        queue = deque([root])
        while queue:
            pair = queue.popleft()
            found = self._locals[pair]
            if found.hard:
                yield pair, self._steps(before, pair)
            for edge in found.edges:
                following = (edge.old, edge.new)
                if following not in before:
                    before[following] = (pair, edge.label)
                    queue.append(following)

    def pairs(self) -> Iterator[Pair]:
        """All pairs that were compared."""
        return iter(self._locals)

    def _steps(self, before: dict[Pair, tuple[Pair, str] | None], pair: Pair) -> tuple[Step, ...]:
        steps = []
        while (previous := before[pair]) is not None:
            steps.append(Step(previous[1], self._titles[pair]))
            pair = previous[0]
        return tuple(reversed(steps))

    def _all_ways(self, hard: bool) -> dict[Pair, tuple[Pair, str] | None]:
        """From each pair that leads to a difference the next step to the nearest one."""
        if hard in self._ways:
            return self._ways[hard]
        backwards: dict[Pair, list[tuple[Pair, str]]] = {}
        for pair, found in self._locals.items():
            for edge in found.edges:
                backwards.setdefault((edge.old, edge.new), []).append((pair, edge.label))
        ways: dict[Pair, tuple[Pair, str] | None] = {
            pair: None for pair, found in self._locals.items() if (found.hard if hard else found.differences)
        }
        queue = deque(ways)
        while queue:
            pair = queue.popleft()
            for previous, label in backwards.get(pair, ()):
                if previous not in ways:
                    ways[previous] = (pair, label)
                    queue.append(previous)
        self._ways[hard] = ways
        return ways

    def _title(self, edge: Edge, parent: Pair) -> str:
        found = self.old.at(edge.old)
        if found.name:
            return f"{found.keyword} {found.name}"
        above = self._titles.get(parent, "")
        return edge.alias or f"the {found.keyword} without a name of {f'{above}.' if above else ''}{edge.label}"
