# SPDX-License-Identifier: GPL-2.0-only
"""An object of a group, opened with the sources that it was made from."""

from __future__ import annotations

from pathlib import Path

from kbuildpy.advice.uses import ModuleSources
from kbuildpy.elf import ModuleImage
from kbuildpy.kbuild.layout import Layout
from kbuildpy.scons.group import Group


def module_sources(group: Group, path: Path) -> ModuleSources:
    """The object at `path`: of a module, or a part of one. Raises `KbuildError` for a file that is none."""
    wanted: dict[str, Layout] = {}
    for module, layout in group.modules:
        names = [name for name in module.objects if name in group.objects]
        files = [f"{layout.actual(module.name)}.ko", group.module_object(module, layout).get_abspath()]
        if str(path) in files:
            wanted.update((name, layout) for name in names)
        wanted.update((name, layout) for name in names if layout.actual(name) == str(path))
    sources = []
    shown = {}
    for name, layout in wanted.items():
        item, _ = group.objects[name]
        nominal = layout.absolute(item.source)
        real = layout.find(nominal)
        if item.source and real.endswith((".c", ".S")):
            sources.append(real)
            shown[real] = layout.nominal(nominal)
    return ModuleSources(
        ModuleImage.from_path(path),
        tuple(dict.fromkeys(sources)),
        find=group.find,
        shown=lambda name: shown.get(name, name),
    )
