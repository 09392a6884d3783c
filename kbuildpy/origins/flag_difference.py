# SPDX-License-Identifier: GPL-2.0-only
"""Which flags only one of two objects is compiled with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from kbuildpy.kernel.tree import KernelTree
from kbuildpy.origins.explain_object import Flag

# They name the object, and differ always.
_OWN_NAMES = ("-o ", "-Wp,-MMD,", "-Wp,-MD,")


def flag_difference(
    one: Sequence[Flag], one_tree: KernelTree, other: Sequence[Flag], other_tree: KernelTree
) -> tuple[list[Flag], list[Flag]]:
    """The flags that only `one` has, and those that only `other` has; each in their order. The same path below two
    kernel trees is the same flag; the name of the object counts as none."""
    names = [list(_names(one, one_tree)), list(_names(other, other_tree))]
    counts = [Counter(name for name, _ in found) for found in names]
    return (
        list(_only(names[0], counts[0] - counts[1])),
        list(_only(names[1], counts[1] - counts[0])),
    )


def _names(flags: Sequence[Flag], tree: KernelTree) -> Iterator[tuple[str, Flag]]:
    for flag in flags:
        if not flag.text.startswith(_OWN_NAMES):
            yield name_without_tree(flag.text, tree), flag


def name_without_tree(text: str, tree: KernelTree) -> str:
    """A flag's text, in which the parts of the kernel tree have Kbuild's names."""
    return text.replace(str(tree.source), "$(srctree)").replace(str(tree.objects), "$(objtree)")


def _only(names: Sequence[tuple[str, Flag]], left: Counter[str]) -> Iterator[Flag]:
    for name, flag in names:
        if left[name] > 0:
            left[name] -= 1
            yield flag
