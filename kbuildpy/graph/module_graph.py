# SPDX-License-Identifier: GPL-2.0-only
"""The graph of modules as a value."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

GIVEN, OWN, UNKNOWN = "given", "own", "unknown"
"""Kinds of modules: a file of the call; one of the kernel's own that is needed; one that was not found."""
SYMBOLS, STATED, BEFORE, AFTER = "symbols", "depends", "before", "after"
"""Kinds of edges: symbols are imported; modinfo states it, and the symbols are not known; soft dependencies, which
modprobe loads before or after the module, if they are there."""


class GraphNode(NamedTuple):
    """A module."""

    name: str
    kind: str
    """`GIVEN`, `OWN` or `UNKNOWN`."""
    file: str | None = None
    """Its file; None where that is not known."""
    kernel_symbols: int = 0
    """How many symbols it imports from the kernel itself."""
    missing: tuple[str, ...] = ()
    """The symbols that neither the kernel nor a module was found to export; weak ones do not count."""


class GraphEdge(NamedTuple):
    """One module needs another one."""

    user: str
    needed: str
    kind: str
    """`SYMBOLS`, `STATED`, `BEFORE` or `AFTER`."""
    symbols: tuple[str, ...] = ()
    """The symbols that are imported, sorted."""
    implied: bool = False
    """A longer way leads from the one to the other, too."""
    in_circle: bool = False
    """The modules need each other: neither can be loaded."""

    @property
    def is_soft(self) -> bool:
        """Whether the module loads without the other one."""
        return self.kind in (BEFORE, AFTER)


@dataclass(frozen=True)
class ModuleGraph:
    """Modules, and what they need of each other."""

    kernel: str | None
    """The release of the kernel that was asked; None where none was."""
    nodes: tuple[GraphNode, ...]
    """Sorted by name."""
    edges: tuple[GraphEdge, ...]
    """Sorted by the names of their modules."""

    def node(self, name: str) -> GraphNode | None:
        """The node of module `name`; None if it has none."""
        return next((node for node in self.nodes if node.name == name), None)


def with_marks(graph: ModuleGraph) -> ModuleGraph:
    """`graph` with `implied` and `in_circle` of its edges set. Soft edges neither imply others nor make circles."""
    needs: dict[str, list[str]] = {node.name: [] for node in graph.nodes}
    for edge in graph.edges:
        if not edge.is_soft:
            needs[edge.user].append(edge.needed)
    below = _reachable(needs)
    edges = []
    for edge in graph.edges:
        in_circle = not edge.is_soft and edge.user in below[edge.needed]
        longer = any(
            edge.needed in below[other] for other in needs[edge.user] if other != edge.needed and not in_circle
        )
        edges.append(edge._replace(implied=longer and not edge.is_soft, in_circle=in_circle))
    return replace(graph, edges=tuple(edges))


def around(graph: ModuleGraph, names: Iterable[str], distance: int) -> ModuleGraph:
    """The part of `graph` with the modules that `names` need or that need them, over `distance` edges at most."""
    chosen = {*names}
    for down in (True, False):
        steps: dict[str, list[str]] = {}
        for edge in graph.edges:
            steps.setdefault(edge.user if down else edge.needed, []).append(edge.needed if down else edge.user)
        chosen |= _within([*names], steps, distance)
    return replace(
        graph,
        nodes=tuple(node for node in graph.nodes if node.name in chosen),
        edges=tuple(edge for edge in graph.edges if {edge.user, edge.needed} <= chosen),
    )


def _within(names: Iterable[str], steps: Mapping[str, Iterable[str]], distance: int) -> set[str]:
    far = dict.fromkeys(names, 0)
    waiting = deque(far)
    while waiting:
        name = waiting.popleft()
        if far[name] < distance:
            for other in steps.get(name, ()):
                if other not in far:
                    far[other] = far[name] + 1
                    waiting.append(other)
    return {*far}


def _reachable(needs: Mapping[str, Iterable[str]]) -> dict[str, set[str]]:
    """For each module all that can be reached from it. (Not recursive: a chain of modules may be of any length.)"""
    found: dict[str, set[str]] = {}
    for name in needs:
        seen: set[str] = set()
        waiting = [*needs[name]]
        while waiting:
            other = waiting.pop()
            if other not in seen:
                seen.add(other)
                # (what another one reaches is known already)
                if other in found:
                    seen |= found[other]
                else:
                    waiting += needs[other]
        found[name] = seen
    return found
