# SPDX-License-Identifier: GPL-2.0-only
"""Modules as targets on scons's command line, by their names alone.

SCons looks a word of the command line up when all SConscript files are read: an alias first, then a file. A module
comes between these, unless the project makes a file of that name.
"""

from __future__ import annotations

from typing import Any

import SCons.Errors
import SCons.Node
import SCons.Node.FS


def name_module(env: Any, name: str, node: Any) -> None:
    """Let the words `name` and `name`.ko stand for the module `node`, and for others of that name."""
    modules: dict[str, list[Any]] | None = getattr(env.fs, "kbuildpy_modules", None)
    if modules is None:
        modules = env.fs.kbuildpy_modules = {}
        SCons.Node.arg2nodes_lookups.append(_lookup(env, modules))
    for word in (name, f"{name}.ko"):
        modules.setdefault(word, []).append(node)


def _lookup(env: Any, modules: dict[str, list[Any]]) -> Any:
    def look_up(word: str, *, curdir: str | None = None, **_: Any) -> Any:
        # (`curdir` is given for words of the command line; names in SConscript files are looked up here as well)
        if curdir is None or word not in modules:
            return None
        known = _known(env, word, curdir)
        folder = [known] if isinstance(known, SCons.Node.FS.Dir) else []
        if known is not None and not folder and known.has_builder():
            return None
        return env.Alias(word, [*modules[word], *folder])[0]

    return look_up


def _known(env: Any, word: str, curdir: str) -> Any:
    """The file or directory that SCons knows as `word`, None if it knows none."""
    try:
        return env.fs.Entry(word, directory=curdir, create=False).disambiguate()
    except SCons.Errors.UserError:
        return None
