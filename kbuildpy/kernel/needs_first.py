# SPDX-License-Identifier: GPL-2.0-only
"""An order for modules that need each other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator


def needs_first(names: Iterable[str], needs: Callable[[str], Iterable[str]]) -> list[str]:
    """`names` and the names of all modules that these need, each once, and after what it needs itself.

    `needs` names what a module needs directly; it is asked once for each module. In a circle of modules one comes
    before what it needs.
    """
    # (without recursion: a chain of modules may be of any length)
    order: list[str] = []
    begun: set[str] = set()
    open_walks: list[tuple[str, Iterator[str]]] = [("", iter(names))]
    while open_walks:
        name, rest = open_walks[-1]
        below = next((item for item in rest if item not in begun), None)
        if below is not None:
            begun.add(below)
            open_walks.append((below, iter(needs(below))))
        else:
            open_walks.pop()
            order.append(name)
    # (the last one stands for `names` as a whole)
    return order[:-1]
