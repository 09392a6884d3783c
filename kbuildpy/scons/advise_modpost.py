# SPDX-License-Identifier: GPL-2.0-only
"""Tells what is known about modpost's messages: symbols that nothing exports, and section mismatches."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from kbuildpy.advice.mismatches import mismatch_advice
from kbuildpy.advice.other_kernels import OtherKernels
from kbuildpy.advice.undefined import ModpostModule, ModpostScene, symbol_advice
from kbuildpy.errors import KbuildError
from kbuildpy.kernel.symvers import Symvers, read_symvers
from kbuildpy.modpost.records import ModuleObject
from kbuildpy.modpost.stage import ModpostResult
from kbuildpy.modpost.versions import dialect_of
from kbuildpy.scons.group import Group
from kbuildpy.scons.module_sources import module_sources
from kbuildpy.scons.tell_advice import tell_advice


def advise_modpost(group: Group, result: ModpostResult, objects: Sequence[ModuleObject]) -> None:
    """Print what is known about the messages of `result`, in which `objects` were read."""
    topics = [diagnostic.topic for diagnostic in result.diagnostics if diagnostic.topic is not None]
    if not topics:
        return
    names = {layout.nominal(module.name): layout.relative(module.name) for module, layout in group.modules}
    modules = {
        item.name: ModpostModule(f"{names[item.name]}.ko", functools.partial(module_sources, group, item.path))
        for item in objects
    }
    tree = group.project.tree
    read = [path for path in (tree.symvers, *_extra(group)) if path.is_file()]
    scene = ModpostScene(
        tree,
        modules,
        symvers=_read(read),
        unread=_read(path for path in _of_others(group) if path not in read),
        others=OtherKernels(tree),
        quotes_namespaces=dialect_of(tree).quotes_namespaces,
    )
    # (an object that cannot be read, or is gone, must not hide modpost's own error)
    with suppress(KbuildError, OSError):
        tell_advice(group, *mismatch_advice(modules, topics))
    with suppress(KbuildError, OSError):
        tell_advice(group, *symbol_advice(scene, topics))


def _extra(group: Group) -> Iterator[Path]:
    return (Path(node.get_abspath()) for node in group.extra_symvers)


def _of_others(group: Group) -> Iterator[Path]:
    """The symvers files of the other builds of this run, for the same kernel."""
    for other in group.neighbours.values():
        path = Path(other.symvers.get_abspath())
        if other is not group and other.project.tree == group.project.tree and path.is_file():
            yield path


def _read(paths: Iterator[Path] | Sequence[Path]) -> list[tuple[str, Symvers]]:
    found = []
    for path in paths:
        try:
            found.append((str(path), read_symvers(path)))
        except KbuildError:
            continue  # (modpost has said what is wrong with it)
    return found
