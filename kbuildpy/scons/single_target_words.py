# SPDX-License-Identifier: GPL-2.0-only
"""Single targets on scons's command line (`scons drv/x.i`), which SCons looks up when all SConscript files are read.

A word names a file beside the source or among the output, or, without a directory, a source of the project.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import SCons.Errors
import SCons.Node
import SCons.Node.FS
from SCons.Script import COMMAND_LINE_TARGETS

from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.kbuild.single_targets import is_of_module, is_single_target, module_of
from kbuildpy.scons.actions import print_error
from kbuildpy.scons.declare_targets import declare_targets
from kbuildpy.scons.group import Group


def offer_single_targets(env: Any, groups: Mapping[str, Group]) -> None:
    """Let words of the command line stand for single targets of `groups`, all groups of the run."""
    if getattr(env.fs, "kbuildpy_single_targets", False) or not any(map(is_single_target, COMMAND_LINE_TARGETS)):
        return
    env.fs.kbuildpy_single_targets = True

    def look_up(word: str, *, curdir: str | None = None, **_: Any) -> Any:
        # (`curdir` is given for words of the command line; names in SConscript files are looked up here as well)
        if curdir is None or not is_single_target(word):
            return None
        known = _known(env, word, curdir)
        folder = [known] if isinstance(known, SCons.Node.FS.Dir) else []
        if known is not None and not folder and known.has_builder():
            return None
        try:
            nodes = _nodes(list(groups.values()), word, os.path.normpath(Path(curdir, word)))
        except KbuildError as error:
            print_error(error)
            raise SystemExit(error.status) from error
        return env.Alias(word, [*nodes, *folder])[0] if nodes else None

    SCons.Node.arg2nodes_lookups.append(look_up)


def _known(env: Any, word: str, curdir: str) -> Any:
    """The file or directory that SCons knows as `word`, None if it knows none."""
    try:
        return env.fs.Entry(word, directory=curdir, create=False).disambiguate()
    except SCons.Errors.UserError:
        return None


def _nodes(groups: Sequence[Group], word: str, path: str) -> list[Any]:
    """The nodes of the target `word`, which as a path is `path`, in every group that has it.

    Raises `UsageError` where a Kbuild file's directory was named, and nothing makes it there.
    """
    slash = "/" if word.endswith("/") else ""
    if slash and any(group.directory == path for group in groups if _whole(group)):
        return [node for group in groups if group.directory == path for node in group.default_targets()]
    inside = [group for group in groups if path.startswith(f"{group.out}/")]
    if inside:
        group = max(inside, key=lambda group: len(group.out))
        return _in_group(group, os.path.relpath(path, group.out) + slash)
    beside = [group for group in groups if path.startswith(f"{group.directory}/")]
    # (declared modules are in the project's directory, which may have others in it)
    deepest = max((len(group.directory) for group in beside if _whole(group)), default=0)
    chosen = [group for group in beside if not _whole(group) or len(group.directory) == deepest]
    found = [_in_group(group, os.path.relpath(path, group.directory) + slash) for group in chosen]
    nodes = [node for some in found for node in some]
    if nodes or "/" in word:
        return nodes
    return [node for group in groups for name in _named(group, word) for node in _in_group(group, name)]


def _whole(group: Group) -> bool:
    """Whether the group is of a Kbuild file, which has a target for each source beside it."""
    return any(question.stems is None for question in group.questions)


def _in_group(group: Group, target: str) -> list[Any]:
    """The nodes of `target` (below the directory), none where no declared module has it."""
    if is_of_module(target):
        names = [layout.relative(module.name) for module, layout in group.modules]
        return declare_targets(group, [target], _never) if module_of(target) in names else []
    known = group.file(f"{group.out}/{target}") if target.endswith(".o") else None
    if known is not None and known.has_builder():
        return [known]
    stem = target.rpartition(".")[0]
    asked = [question for question in group.questions if question.stems is None or stem in question.stems]
    return [node for question in asked[:1] for node in declare_targets(group, [target], question.ask)]


def _never(_: Sequence[str]) -> Any:
    raise UsageError("make is not asked for modules")


def _named(group: Group, word: str) -> Iterator[str]:
    """The targets (below the directory) that `word`, a name alone, means: by the sources of the group's modules.

    Raises `UsageError` for two.
    """
    stem, _, ending = word.rpartition(".")
    names = [layout.relative(item.target).removesuffix(".o") for item, layout in group.objects.values()]
    found = [name for name in names if Path(name).name == stem]
    if len(found) > 1:
        raise UsageError(f"{word}: which one? {', '.join(f'{name}.{ending}' for name in found)}", hint="give its path")
    yield from (f"{name}.{ending}" for name in found)
