# SPDX-License-Identifier: GPL-2.0-only
"""Modules as boxes: those that nobody needs, and that need the same, are one box with a list of names.

A subsystem has a few modules that everything stands on, and hundreds of drivers above them; so a drawing of three
hundred modules has some dozens of boxes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from kbuildpy.graph.module_graph import GraphEdge, ModuleGraph
from kbuildpy.svg import CHARACTER

FONT, LINE, PADDING, COLUMN_GAP = 12, 16, 8, 14
_ALONE = 3
"""So many modules of one kind stay boxes of their own."""
_ROWS, _COLUMNS = 12, 6


class Box(NamedTuple):
    """One or several modules."""

    names: tuple[str, ...]
    kind: str
    """That of its modules."""
    columns: int
    rows: int
    column_width: float

    @property
    def width(self) -> float:
        return self.columns * self.column_width + (self.columns - 1) * COLUMN_GAP + 2 * PADDING

    @property
    def height(self) -> float:
        return (self.rows + self.has_heading) * LINE + 2 * PADDING

    @property
    def has_heading(self) -> bool:
        """Whether a line above the names says how many there are."""
        return len(self.names) > 1


class BoxEdge(NamedTuple):
    """An edge that is drawn, between boxes by their numbers."""

    upper: int
    """The box whose modules need something."""
    lower: int
    edges: tuple[GraphEdge, ...]
    """What it stands for; all of one kind."""


def boxes_of(graph: ModuleGraph, edges: Sequence[GraphEdge]) -> tuple[list[Box], list[BoxEdge]]:
    """The boxes of the modules of `graph`, and the edges between them, of the `edges` that are to be drawn."""
    needed = {edge.needed for edge in edges}
    below: dict[str, set[tuple[str, str]]] = {node.name: set() for node in graph.nodes}
    for edge in edges:
        below[edge.user].add((edge.needed, edge.kind if edge.is_soft else ""))
    groups: dict[object, list[str]] = {}
    for node in graph.nodes:
        alike = (node.kind, frozenset(below[node.name])) if node.name not in needed else node.name
        groups.setdefault(alike, []).append(node.name)
    kinds = {node.name: node.kind for node in graph.nodes}
    boxes: list[Box] = []
    number_of: dict[str, int] = {}
    for names in groups.values():
        for part in [names] if len(names) > _ALONE else [[name] for name in names]:
            number_of.update(dict.fromkeys(part, len(boxes)))
            boxes.append(_box(part, kinds[part[0]]))
    merged: dict[tuple[int, int, bool], list[GraphEdge]] = {}
    for edge in edges:
        merged.setdefault((number_of[edge.user], number_of[edge.needed], edge.is_soft), []).append(edge)
    return boxes, [BoxEdge(upper, lower, tuple(found)) for (upper, lower, _), found in merged.items()]


def _box(names: Sequence[str], kind: str) -> Box:
    columns = min(max(-(-len(names) // _ROWS), 1), _COLUMNS)
    rows = -(-len(names) // columns)
    width = max(_width(names), 40.0)
    if len(names) > 1:
        # (the heading must fit)
        width = max(width, (22 * FONT * CHARACTER - (columns - 1) * COLUMN_GAP) / columns)
    return Box(tuple(names), kind, columns, rows, width)


def _width(names: Iterable[str]) -> float:
    return max(len(name) for name in names) * FONT * CHARACTER
