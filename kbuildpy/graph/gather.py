# SPDX-License-Identifier: GPL-2.0-only
"""From module files, and a kernel with its own modules, to their graph."""

from __future__ import annotations

from collections.abc import Sequence

from kbuildpy.errors import KbuildError
from kbuildpy.graph.module_graph import (
    AFTER,
    BEFORE,
    GIVEN,
    OWN,
    STATED,
    SYMBOLS,
    UNKNOWN,
    GraphEdge,
    GraphNode,
    ModuleGraph,
    with_marks,
)
from kbuildpy.graph.read_module import LinkedModule, read_linked
from kbuildpy.loader.kernel import LoaderKernel


def graph_of(given: Sequence[LinkedModule], kernel: LoaderKernel | None) -> ModuleGraph:
    """The graph of the modules `given`, and of those of `kernel` that they need, directly or indirectly.

    `given` has one module of a name. Of two that export one symbol, the one that the user states in `depends=` counts,
    else the first. Raises `KbuildError` for a module of the kernel that cannot be read.
    """
    return with_marks(_Gathering(given, kernel).graph())


class _Gathering:
    """Follows imports from the given modules to those of the kernel."""

    def __init__(self, given: Sequence[LinkedModule], kernel: LoaderKernel | None) -> None:
        self._kernel = kernel
        self._own = kernel.own_modules if kernel else None
        self._given = {module.name: module for module in given}
        self._owners: dict[str, list[str]] = {}
        for module in given:
            for symbol in module.exports:
                self._owners.setdefault(symbol, []).append(module.name)
        self._nodes: dict[str, GraphNode] = {}
        self._edges: dict[tuple[str, str], GraphEdge] = {}
        self._waiting = [*given]

    def graph(self) -> ModuleGraph:
        for module in self._given.values():
            self._nodes[module.name] = GraphNode(module.name, GIVEN, module.file)
        while self._waiting:
            self._follow(self._waiting.pop())
        nodes = tuple(self._nodes[name] for name in sorted(self._nodes))
        release = self._kernel.release if self._kernel else None
        return ModuleGraph(release, nodes, tuple(self._edges[pair] for pair in sorted(self._edges)))

    def _follow(self, module: LinkedModule) -> None:
        symbols: dict[str, list[str]] = {}
        kernel_symbols, missing = 0, []
        for symbol in (*module.imports, *module.weak):
            owner = self._owner(symbol, module)
            if owner is None:
                missing += [symbol] if symbol in module.imports else []
            elif owner == "":
                kernel_symbols += 1
            elif owner != module.name:
                symbols.setdefault(owner, []).append(symbol)
        for needed, names in symbols.items():
            self._add(module, needed, SYMBOLS, tuple(sorted({*names})))
        for needed in module.stated:
            if needed not in symbols:
                self._add(module, needed, STATED)
        for kind, soft in ((BEFORE, module.before), (AFTER, module.after)):
            for name in soft:
                for needed in self._meant(name):
                    self._add(module, needed, kind)
        node = self._nodes[module.name]
        unknown = tuple(missing) if self._knows_kernel else ()
        self._nodes[module.name] = node._replace(kernel_symbols=kernel_symbols, missing=unknown)

    @property
    def _knows_kernel(self) -> bool:
        return self._kernel is not None and self._kernel.exports is not None

    def _owner(self, symbol: str, user: LinkedModule) -> str | None:
        """The module that exports `symbol`, "" for the kernel itself, None if that is not known."""
        owners = self._owners.get(symbol)
        if owners:
            return next((name for name in owners if name in user.stated), owners[0])
        exports = self._kernel.exports if self._kernel else None
        export = exports.find(symbol) if exports else None
        return None if export is None else export.owner

    def _meant(self, name: str) -> tuple[str, ...]:
        """The modules that a soft dependency means: nothing for what is built into the kernel."""
        plain = name.replace("-", "_")
        if plain in self._given:
            return (plain,)
        if self._own is None:
            return (plain,)
        meaning = self._own.meaning(name)
        return () if meaning.built_in else meaning.names or (plain,)

    def _add(self, user: LinkedModule, needed: str, kind: str, symbols: tuple[str, ...] = ()) -> None:
        # (a module that is needed anyway is no soft dependency besides)
        if needed != user.name:
            self._edges.setdefault((user.name, needed), GraphEdge(user.name, needed, kind, symbols))
            self._reach(needed)

    def _reach(self, name: str) -> None:
        """Take module `name` into the graph, and follow what it needs."""
        if name in self._nodes:
            return
        path = self._own.files().get(name) if self._own else None
        if path is None:
            # (symvers name modules of a kernel whose files are not installed)
            self._nodes[name] = GraphNode(name, UNKNOWN if self._own else OWN)
            return
        self._nodes[name] = GraphNode(name, OWN, str(path))
        try:
            self._waiting.append(read_linked(path)._replace(name=name))
        except KbuildError as error:
            raise KbuildError(f"{error.message}, which module {name} of the kernel is in", hint=error.hint) from error
