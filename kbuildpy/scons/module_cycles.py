# SPDX-License-Identifier: GPL-2.0-only
"""Refuses modules that need each other."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from kbuildpy.errors import KbuildError

_DEPENDS = re.compile(r'^MODULE_INFO\(depends, "([^"]*)"\);', re.MULTILINE)


def refuse_cycle(mod_c: Mapping[str, str]) -> None:
    """Refuse (`KbuildError`) modules that build, but none of which can be loaded first (kmod, depmod.c: cycle check).

    `mod_c` has the text of each module's `.mod.c` by its name.
    """
    needs = {}
    for name, text in mod_c.items():
        found = _DEPENDS.search(text)
        needs[Path(name).name] = [item for item in found.group(1).split(",") if item] if found else []
    by_fixed = {name.replace("-", "_"): name for name in needs}
    graph = {name: [by_fixed[item] for item in items if item in by_fixed] for name, items in needs.items()}
    done: set[str] = set()
    for start in graph:
        path: list[str] = []

        def visit(name: str, path: list[str] = path) -> None:
            if name in path:
                cycle = " -> ".join([*path[path.index(name) :], name])
                raise KbuildError(
                    f"modules need each other: {cycle}",
                    hint="none of them can be loaded first: move their shared functions into another module",
                )
            if name not in done:
                path.append(name)
                for item in graph[name]:
                    visit(item)
                path.pop()
                done.add(name)

        visit(start)
