# SPDX-License-Identifier: GPL-2.0-only
"""Calls modpost for a group as scripts/Makefile.modpost does; its options come from the tree's answer."""

from __future__ import annotations

import functools
import os
import re
import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from kbuildpy.errors import CommandError
from kbuildpy.kbuild.extra_symvers import check_extra_symvers
from kbuildpy.modpost.known import KnownModules
from kbuildpy.modpost.options import ModpostOptions
from kbuildpy.modpost.records import ModuleObject, ObjectRecord
from kbuildpy.modpost.stage import ModpostResult, modpost, prepare
from kbuildpy.say import complain
from kbuildpy.scons.device_table_layouts import device_table_layouts
from kbuildpy.scons.group import Group
from kbuildpy.scons.modpost_inputs import find_symvers, modpost_signature
from kbuildpy.scons.module_cycles import refuse_cycle
from kbuildpy.scons.project import KernelProject


def prepare_call(project: KernelProject) -> None:
    """Do what `call_modpost` will need that modules have no part in."""
    prepare(project.tree, project.tree.symvers)


def call_modpost(group: Group) -> ModpostResult:
    """Run modpost over the modules of `group`, and print its diagnostics.

    Raises `CommandError` when it finds errors, `KbuildError` for modules that need each other.
    """
    project, answer = group.project, group.project.answer
    objects = [
        ModuleObject(
            name=layout.nominal(module.name),
            path=Path(group.module_object(module, layout).get_abspath()),
            objects=tuple(
                ObjectRecord(name=listed, record=group.cmd_path(item))
                for listed, item in zip(module.listed_objects, module.objects, strict=True)
            ),
        )
        for module, layout in group.modules
    ]
    for _, line in re.findall(r"""echo >&2 (["'])(.*?)\1""", answer.modpost.command):
        _print(group, line)
    cwd = answer.working_directory(group.directory)
    known = KnownModules(Path(group.out) / ".kbuildpy/modpost.json", modpost_signature(group))
    result = modpost(
        objects,
        _options(project, _extra_symvers(group, cwd=cwd)),
        tree=answer.tree,
        cwd=Path(cwd),
        layouts=functools.cache(lambda: device_table_layouts(project)),
        known=known,
        find=group.find,
    )
    known.save()
    said = "".join(diagnostic.text for diagnostic in result.diagnostics)
    if said:
        _print(group, said.removesuffix("\n"))
        from kbuildpy.scons.advise_modpost import advise_modpost  # (for messages only)

        advise_modpost(group, result, objects)
    if result.failed:
        raise CommandError("modpost found errors", hint="\n".join(result.hints))
    for hint in result.hints:
        _print(group, f"kbuildpy: {hint}")
    refuse_cycle(result.mod_c)
    return result


def _extra_symvers(group: Group, *, cwd: str) -> list[str]:
    """The files that KBUILD_EXTRA_SYMBOLS names, without those that say nothing new."""
    project = group.project
    near = (group.directory, project.environ.get("PWD", group.directory))
    found = []
    for name in group.extra_symbols:
        path = find_symvers(group, name, cwd=cwd)
        remark = check_extra_symvers(name, Path(path), tree=project.tree, cwd=cwd, looked_for=near)
        if remark:
            _print(group, remark)
        else:
            found.append(path)
    return found


def _options(project: KernelProject, extra_symvers: Sequence[str]) -> ModpostOptions:
    """The options that the tree gives its modpost, with files where they really are."""
    answer = project.answer
    words = shlex.split(answer.modpost.command)
    start = max((n for n, word in enumerate(words) if word.endswith("scripts/mod/modpost")), default=-1)
    options = ModpostOptions.parse(words[start + 1 :])
    base = answer.working_directory(answer.placeholder)
    given = [Path(os.path.normpath(os.path.join(base, name))) for name in options.symvers]  # noqa: PTH118
    # KBUILD_EXTRA_SYMBOLS from the command line is in either answer: the directory's has the Kbuild file's, too.
    own = [path for path in given if path == answer.tree.symvers]
    return replace(options, symvers=(*own, *map(Path, extra_symvers)))


def _print(group: Group, text: str) -> None:
    group.modpost_printed = True
    complain(text, whose=group.whose)
