# SPDX-License-Identifier: GPL-2.0-only
"""What `kbuildpy explain` prints of flags: text for people, JSON for programs."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

from kbuildpy.kbuild.explain_object import Flag
from kbuildpy.kbuild.flag_difference import name_without_tree
from kbuildpy.kbuild.origin import Origin, Place, origin_to_json
from kbuildpy.kernel.tree import KernelTree

_WIDEST = 40
"""Columns of a flag that its origin stands beside; below a longer one it has a line of its own."""


def flag_lines(flags: Sequence[Flag], tree: KernelTree) -> Iterator[str]:
    """A line for each flag, with its origin."""
    texts = [name_without_tree(flag.text, tree) for flag in flags]
    width = max((len(text) for text in texts if len(text) <= _WIDEST), default=0)
    for text, flag in zip(texts, flags, strict=True):
        words = origin_words(flag.origin, tree)
        if len(text) > width:
            yield f"  {text}"
            yield f"  {'':{width}}  {words}"
        else:
            yield f"  {text:{width}}  {words}"


def origin_words(origin: Origin, tree: KernelTree) -> str:
    """An origin in words: `arch/x86/Makefile:156 cflags-$(CONFIG_GENERIC_CPU), CONFIG_GENERIC_CPU=y`."""
    if origin.kind == "unknown":
        return "unknown"
    if origin.place is None:
        by = f", by {_place_words(origin.way[0], tree)}" if origin.way else ""
        return f"{origin.kind}: {origin.variable}{by}"
    parts = [f"{_place_words(origin.place, tree)} {origin.place.variable}"]
    parts += [symbol_words(symbol, tree) for symbol in origin.symbols]
    parts += [f"by {probe}" for probe in origin.probes]
    return ", ".join(parts)


def symbol_words(symbol: str, tree: KernelTree) -> str:
    """A CONFIG_ symbol and its value."""
    value = tree.config.get(symbol)
    return f"{symbol}={value}" if value is not None else f"{symbol} is not set"


def _place_words(place: Place, tree: KernelTree) -> str:
    return f"{short_path(place.file, tree)}:{place.line}"


def short_path(path: str, tree: KernelTree) -> str:
    """A makefile: of the tree from its top, of the working directory from there."""
    for top in (str(tree.source), str(tree.objects)):
        if path.startswith(f"{top}/"):
            return path[len(top) + 1 :]
    here = f"{os.getcwd()}/"  # noqa: PTH109
    return path[len(here) :] if path.startswith(here) else path


def object_to_json(name: str, source: str, tree: KernelTree, flags: Sequence[Flag]) -> dict[str, Any]:
    """The object of JSON for one object and kernel."""
    return {
        "object": name,
        "source": source,
        "kernel": tree.release,
        "flags": [{"flag": flag.text, **origin_to_json(flag.origin)} for flag in flags],
    }
