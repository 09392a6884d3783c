# SPDX-License-Identifier: GPL-2.0-only
"""The origin of a flag in words."""

from __future__ import annotations

import os
from collections.abc import Mapping

from kbuildpy.kernel.tree import KernelTree
from kbuildpy.origins.origin import MakefilePlace, Origin


def origin_words(origin: Origin, tree: KernelTree, *, names: Mapping[str, str] | None = None) -> str:
    """An origin in words: `arch/x86/Makefile:156 cflags-$(CONFIG_GENERIC_CPU), CONFIG_GENERIC_CPU=y`. `names` has the
    words for makefiles that people do not know: those of modules that an SConstruct declares."""
    if origin.kind == "unknown":
        return "unknown"
    place = origin.place
    if place is None:
        by = f", by {_place_words(origin.way[0], tree)}" if origin.way else ""
        return f"{origin.kind}: {origin.variable}{by}"
    if names and place.file in names:
        return names[place.file]
    parts = [f"{_place_words(place, tree)} {place.variable}"]
    parts += [symbol_words(symbol, tree) for symbol in origin.symbols]
    parts += [f"by {probe}" for probe in origin.probes]
    return ", ".join(parts)


def symbol_words(symbol: str, tree: KernelTree) -> str:
    """A CONFIG_ symbol and its value."""
    value = tree.config.get(symbol)
    return f"{symbol}={value}" if value is not None else f"{symbol} is not set"


def short_path(path: str, tree: KernelTree) -> str:
    """A file: of the tree from its top, of the working directory from there."""
    for top in (str(tree.source), str(tree.objects)):
        if path.startswith(f"{top}/"):
            return path[len(top) + 1 :]
    here = f"{os.getcwd()}/"  # noqa: PTH109
    return path[len(here) :] if path.startswith(here) else path


def _place_words(place: MakefilePlace, tree: KernelTree) -> str:
    shown = short_path(place.file, tree)
    # (the tree and the module both have a Makefile)
    own = not os.path.isabs(shown) and not place.file.startswith((f"{tree.source}/", f"{tree.objects}/"))  # noqa: PTH117
    return f"{'./' if own else ''}{shown}:{place.line}"
