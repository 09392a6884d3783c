# SPDX-License-Identifier: GPL-2.0-only
"""The modules that the words of a call name: files, and names or aliases in `/lib/modules/RELEASE`.

Counterpart: kmod (tools/modinfo.c: is_module_filename, modinfo_alias_do). One difference: a file is one whatever its
name ends in, and a directory stands for the modules below it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.info.fields import Field
from kbuildpy.kernel.depmod_indexes import built_in_modinfo
from kbuildpy.kernel.module_files import MODULE_SUFFIXES, find_modules, no_modules_below
from kbuildpy.kernel.own_modules import OwnModules

BUILT_IN = "(builtin)"
"""What modinfo prints for the file of a module that is built into the kernel."""


@dataclass(frozen=True)
class NamedModule:
    """A module that was named."""

    shown: str
    """Its file as modinfo prints it: an absolute path, in which nothing else is changed."""
    path: Path | None
    """The file; None for what is built into the kernel."""
    built_in: str = ""
    """The name of what is built in."""
    stated: tuple[Field, ...] = ()
    """The fields of what is built in (modules.builtin.modinfo)."""


def named_modules(word: str, own_modules: Callable[[], OwnModules]) -> list[NamedModule]:
    """The modules that `word` names, several for a directory or an alias.

    `own_modules` is called for a name only. Raises `UsageError` for a word that names nothing, and `KbuildError` for
    modules that cannot be looked up.
    """
    path = Path(word)
    if "/" in word or word.endswith(MODULE_SUFFIXES) or path.exists():
        return [NamedModule(_absolute(str(file)), Path(file)) for file in _files(word)]
    own = own_modules()
    meaning = own.meaning(word)
    if meaning.built_in:
        return [NamedModule(BUILT_IN, None, name, _built_in_fields(own.directory, name)) for name in meaning.names]
    if not meaning.names:
        raise UsageError(
            f"{word}: neither a file nor a module, nor an alias of one, in {own.directory}",
            hint="name a module file, or the kernel that has the module: -k",
        )
    files = own.files()
    return [NamedModule(str(files[name]), files[name]) for name in meaning.names if name in files]


def _files(word: str) -> Sequence[str | Path]:
    """The file as it was named (`./a.ko` stays that), or the modules below a directory."""
    if not Path(word).is_dir():
        find_modules([Path(word)])
        return [word]
    found = find_modules([Path(word)])
    if not found:
        raise no_modules_below([word])
    return found


def _absolute(path: str) -> str:
    """(shared/util.c: path_make_absolute_cwd)"""
    return path if path.startswith("/") else f"{_working_directory()}/{path}"


def _working_directory() -> str:
    """The working directory by the name that the shell has for it (get_current_dir_name(3))."""
    stated = os.environ.get("PWD", "")
    try:
        if stated.startswith("/") and Path(stated).samefile("."):
            return stated
        return str(Path.cwd())
    except OSError as error:
        raise KbuildError(f"the working directory: {error.strerror}", hint="change to one that is there") from error


def _built_in_fields(directory: Path, name: str) -> tuple[Field, ...]:
    entries = built_in_modinfo(directory) or ()
    return tuple(Field(tag, value) for module, tag, value in entries if module == name)
