# SPDX-License-Identifier: GPL-2.0-only
"""The arguments of a declaration, by SCons' conventions: a target and sources, by position or by name; a single
argument is the source; each is a string, a path, a node or a list of them, as `Glob()` gives."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any

import SCons.Node.FS
import SCons.Util

from kbuildpy.errors import UsageError
from kbuildpy.kbuild.declared import SOURCE_SUFFIXES
from kbuildpy.scons.keywords import file_nodes
from kbuildpy.similar import similar_file

_CALL = "KernelModule"
_KBUILD_FILES = ("Kbuild", "Makefile")


def name_and_sources(env: Any, target: Any, source: Any) -> tuple[str, list[Any]]:
    """The name of the module that KernelModule(`target`, `source`) declares, and the nodes of its sources.

    Without a target the module has the name of its one source; a lone word without the suffix of a source is a name,
    whose source is NAME.c. Raises `UsageError`.
    """
    if target is not None and source is None and not _is_name(target):
        target, source = None, target
    if target is None and source is None:
        raise UsageError(f"{_CALL}: no module and no sources", hint=f"name them: {_CALL}('NAME', ['NAME.c'])")
    if target is None:
        nodes = _sources(env, _CALL, source)
        if not nodes:
            raise UsageError(f"{_CALL}: no sources", hint=f"name them: {_CALL}('NAME', ['NAME.c'])")
        if len(nodes) > 1:
            hint = f"add a name: {_CALL}('NAME', {[str(node) for node in nodes]})"
            raise UsageError(f"{_CALL}: a module of {len(nodes)} sources needs a name", hint=hint)
        return PurePosixPath(nodes[0].name).stem, nodes
    name = _name(env, target)
    return name, _sources(env, f"{_CALL}: {name}", [f"{name}.c"] if source is None else source)


def _sources(env: Any, call: str, value: Any) -> list[Any]:
    nodes = file_nodes(env, call, value)
    for node in nodes:
        if " " in node.name:
            hint = f"a list names several: Split({node.name!r})"
            raise UsageError(f"{call}: one file cannot be called {node.name!r}, with a space", hint=hint)
    return nodes


def refuse_missing(name: str, sources: Iterable[Any]) -> None:
    """Refuse sources of module `name` that are not there, and that nothing makes so far (`UsageError`)."""
    for node in sources:
        source = node.srcnode()
        path = source.get_abspath()
        if node.is_derived() or source.exists() or (path.endswith(".o") and os.path.exists(f"{path}_shipped")):  # noqa: PTH110
            continue
        meant = similar_file(path, (*SOURCE_SUFFIXES, ".o_shipped"))
        hint = meant or "name an existing source; a source that the build makes must be declared before the module"
        raise UsageError(f"{_CALL}: {name}: there is no source {source.get_internal_path()}", hint=hint)


def kbuild_directories(env: Any, value: Any) -> list[Any]:
    """The nodes of the directories in `value`, which may be named by their Kbuild files, too. Raises `UsageError`."""
    found = [_directory(env, item) for item in SCons.Util.flatten(value)] if value is not None else []
    if not found:
        raise UsageError("Kbuild: no directory", hint="name the directory with the Kbuild file: Kbuild('DIR')")
    return found


def _directory(env: Any, item: Any) -> Any:
    if not isinstance(item, (str, os.PathLike, SCons.Node.FS.Base)):
        raise UsageError(f"Kbuild: {str(item)!r} is not a directory", hint="name directories, as nodes or paths")
    try:
        if isinstance(item, SCons.Node.FS.Base):
            is_file = item.name in _KBUILD_FILES and not item.srcnode().isdir()
            return item.dir if is_file else env.fs.Dir(item)
        path = env.subst(os.fspath(item))
        folder, name = os.path.split(path)
        is_file = name in _KBUILD_FILES and env.Entry(path).srcnode().isfile()
        return env.Dir((folder or ".") if is_file else path)
    except TypeError as mismatch:
        raise UsageError(
            f"Kbuild: {item} is no directory", hint="name the directory with the Kbuild file"
        ) from mismatch


def _is_name(target: Any) -> bool:
    """Whether a lone argument names a module: it is no source, and no list."""
    return isinstance(target, str) and not target.endswith((*SOURCE_SUFFIXES, ".o", ".o_shipped"))


def _name(env: Any, target: Any) -> str:
    items = SCons.Util.flatten(target)
    if len(items) != 1:
        raise UsageError(f"{_CALL}: {len(items)} targets; a declaration is of one module")
    (item,) = items
    if isinstance(item, SCons.Node.FS.Base):
        if item.dir not in (env.Dir("."), env.Dir(".").srcnode()) or isinstance(item, SCons.Node.FS.Dir):
            raise UsageError(f"{_CALL}: {str(item)!r} is not the name of a module", hint=_place_hint(item.name))
        name = item.name
    elif isinstance(item, (str, Path, PurePosixPath)):
        name = env.subst(str(item))
    else:
        raise UsageError(f"{_CALL}: {item!r} is not the name of a module", hint=f"{_CALL}('NAME', ['NAME.c'])")
    if "/" in name:
        raise UsageError(f"{_CALL}: {name!r} is not the name of a module", hint=_place_hint(PurePosixPath(name).name))
    return str(name.removesuffix(".ko"))


def _place_hint(name: str) -> str:
    name = name.removesuffix(".ko")
    return f"give the name alone, {name!r}: modules come out in build/RELEASE (KBUILD_OUT), or in a VariantDir()"
