# SPDX-License-Identifier: GPL-2.0-only
"""What `kbuildpy explain` prints of flags: text for people, JSON for programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from kbuildpy.kernel.tree import KernelTree
from kbuildpy.origins.explain_object import Flag
from kbuildpy.origins.flag_difference import name_without_tree
from kbuildpy.origins.origin import origin_to_json
from kbuildpy.origins.origin_words import origin_words

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


def object_to_json(name: str, source: str, tree: KernelTree, flags: Sequence[Flag]) -> dict[str, Any]:
    """The object of JSON for one object and kernel."""
    return {
        "object": name,
        "source": source,
        "kernel": tree.release,
        "flags": [{"flag": flag.text, **origin_to_json(flag.origin)} for flag in flags],
    }
