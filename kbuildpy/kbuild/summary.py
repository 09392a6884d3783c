# SPDX-License-Identifier: GPL-2.0-only
"""Lists the modules of a directory and their sources for the user; nothing is built."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kbuildpy.kbuild.ask_tree import ask_tree
from kbuildpy.kbuild.evaluation import look_at
from kbuildpy.kbuild.layout import Layout
from kbuildpy.kernel.tree import KernelTree


@dataclass(frozen=True)
class DirectoryModule:
    """A module of a directory."""

    name: str
    """Its path below the directory, without a suffix: `sub/drv`."""
    sources: tuple[str, ...]
    """Its sources as paths below the directory; the object, if its source is not known."""


@dataclass(frozen=True)
class DirectorySummary:
    """The modules of a directory."""

    modules: tuple[DirectoryModule, ...]
    """The modules in Kbuild's order."""
    custom: bool
    """The Kbuild file has rules of its own that make must carry out."""
    warnings: str
    """The standard error of make."""


def summarize_directory(
    directory: Path, tree: KernelTree, *, variables: Mapping[str, str], environ: Mapping[str, str]
) -> DirectorySummary:
    """The modules that Kbuild would make in `directory` for `tree`. Raises `KbuildError` with make's message."""
    answer = ask_tree(tree, variables=variables, environ=environ)
    with tempfile.TemporaryDirectory(prefix="kbuildpy-") as scratch:
        found = look_at(answer, directory, Path(scratch).resolve(), environ=environ)
        plan, layout = found.plan, found.layout
        objects = {item.target: item for item in plan.objects}
        modules = tuple(
            DirectoryModule(
                layout.relative(module.target).removesuffix(".o"),
                tuple(_below(layout, objects[name].source or name) for name in module.objects),
            )
            for module in plan.modules
        )
    return DirectorySummary(modules, plan.custom, plan.warnings)


def _below(layout: Layout, name: str) -> str:
    return os.path.relpath(layout.absolute(name), layout.evaluated)
