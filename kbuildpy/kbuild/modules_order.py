# SPDX-License-Identifier: GPL-2.0-only
"""The text of each `modules.order` that Kbuild writes, and the order of modules in it.

The counterparts are cmd_modules_order (cmd_gen_order) of scripts/Makefile.build.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePath

_RULES = ("modules_order", "gen_order")
# The recipes write `{ echo a.o; cat b/modules.order; :; } > modules.order`; a name has no space and no quote.
_LINE = re.compile(r"(?<!\S)(echo|cat)\s+([^\s;]+)")


def order_files(by_target: Mapping[str, Sequence[Mapping[str, str]]], top: str) -> tuple[tuple[str, str], ...]:
    """Each modules.order (its name and its text) that the recipes in the records `by_target` would write; `top`, the
    module directory's own, comes first."""

    @functools.cache
    def lines(target: str) -> tuple[str, ...]:
        found: list[str] = []
        for record in by_target.get(target, ()):
            if record["rule"] in _RULES:
                for verb, name in _LINE.findall(record["command"]):
                    found += (name,) if verb == "echo" else lines(name)
        return tuple(found)

    nested = [target for target in by_target if target.endswith("/modules.order") and target != top]
    return tuple((target, "".join(f"{name}\n" for name in lines(target))) for target in (top, *nested))


def in_order(targets: Iterable[str], order: str) -> list[str]:
    """The module objects `targets` in the order of `order`, the text of the modules.order that modpost reads.

    The modules of a subdirectory come where Kbuild descends into it, not after the directory's own.
    """
    names = dict.fromkeys(PurePath(name).with_suffix("") for name in order.split("\n") if name)
    place = {name: number for number, name in enumerate(names)}
    return sorted(targets, key=lambda target: place.get(PurePath(target).with_suffix(""), len(place)))
