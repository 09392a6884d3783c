# SPDX-License-Identifier: GPL-2.0-only
"""The modules that a kernel has itself, in `/lib/modules/RELEASE`, as modprobe sees them, or in the tree where it was
built.

Counterpart: kmod (libkmod/libkmod-module.c: kmod_module_new_from_lookup, kmod_module_get_softdeps). What `modprobe.d`
adds is not looked at: it belongs to a machine, not to the kernel. depmod lists modules in `modules.dep`; a package
that was only unpacked has no such list, and is walked through.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from kbuildpy.errors import KbuildError
from kbuildpy.kernel.depmod_indexes import (
    KERNELS,
    Alias,
    ListedModule,
    Softdeps,
    State,
    aliases,
    built_in_aliases,
    built_in_modinfo,
    built_in_modules,
    listed_modules,
    plain_name,
    softdeps,
    state_of,
)
from kbuildpy.kernel.module_files import module_name, read_module, walk_modules
from kbuildpy.kernel.needs_first import needs_first
from kbuildpy.kernel.stated import stated_needs
from kbuildpy.kernel.tree import KernelTree


class Meaning(NamedTuple):
    """What a name stands for."""

    names: tuple[str, ...]
    """The modules; empty if none has the name."""
    built_in: bool = False
    """They are built into the kernel."""


@dataclass(frozen=True)
class OwnModules:
    """The modules of one kernel. Methods raise `KbuildError` for a list or a module file that cannot be read."""

    directory: Path
    """Its `/lib/modules/RELEASE`, or the object part of a tree that was built here."""
    added: bool = False
    """Whether modules count that were installed beside the kernel's own (`updates/`, `extra/`), as to modprobe."""

    def files(self) -> Mapping[str, Path]:
        """The module files by the modules' names."""
        state = state_of(self.directory / "modules.dep") or state_of(self.directory / "modules.order")
        return _files(self.directory, state, added=self.added)

    def contents(self, name: str) -> bytes | None:
        """The bytes of module `name` (with - or _), decompressed; None if there is no such module."""
        path = self.files().get(module_name(name))
        return None if path is None else read_module(path)

    def needs(self, name: str) -> tuple[str, ...] | None:
        """The names of all modules that module `name` needs, each after what it needs itself; None if there is no such
        module.

        From depmod's list; without one, from what modpost wrote into the modules.
        """
        name = module_name(name)
        listed = _listed(self.directory)
        if listed is not None:
            return listed[name].needs if name in listed else None
        files = self.files()
        if name not in files:
            return None

        def stated(module: str) -> tuple[str, ...]:
            path = files.get(module)
            return () if path is None else _stated_needs(path, state_of(path))

        return tuple(needs_first([name], stated)[:-1])

    def meaning(self, name: str) -> Meaning:
        """The module that is called `name`, else those that have it for an alias, else what is built into the
        kernel."""
        name = plain_name(name)
        if name in self.files():
            return Meaning((name,))
        aliased = _matching(aliases(self.directory), name)
        if aliased:
            return Meaning(aliased)
        if name in built_in_modules(self.directory):
            return Meaning((name,), built_in=True)
        return Meaning(_matching(built_in_aliases(self.directory), name), built_in=True)

    def softdeps(self, name: str) -> Softdeps:
        """The soft dependencies of module `name`."""
        return softdeps(self.directory).get(plain_name(name), Softdeps())

    def built_in(self) -> frozenset[str] | None:
        """The names of what would be modules but is built into the kernel; None where the directory does not tell.

        Most of those with parameters have a directory in /sys/module as modules have.
        """
        stated = built_in_modinfo(self.directory)
        if stated is None or not (self.directory / "modules.builtin").is_file():
            return None
        return built_in_modules(self.directory) | {name for name, _, _ in stated}

    def is_built_in(self, name: str) -> bool | None:
        """Whether `built_in` has `name`; None where the directory does not tell."""
        states = state_of(self.directory / "modules.builtin"), state_of(self.directory / "modules.builtin.modinfo")
        names = _built_in_names(self, states)
        return None if names is None else name in names


def own_modules_of_tree(tree: KernelTree) -> OwnModules | None:
    """The modules that were built in `tree`; None for a tree in which the kernel itself was not built."""
    built = all((tree.objects / name).is_file() for name in ("modules.order", "modules.builtin.modinfo", "Makefile"))
    return OwnModules(tree.objects) if built else None


@lru_cache(maxsize=KERNELS)
def _built_in_names(own: OwnModules, _: tuple[State, State]) -> frozenset[str] | None:
    return own.built_in()


@lru_cache(maxsize=KERNELS)
def _files(directory: Path, _: State, *, added: bool) -> Mapping[str, Path]:
    listed = _listed(directory)
    if listed is None and (directory / "Makefile").is_file():
        return {module_name(path.name): path for path in _built_in_place(directory) if path.is_file()}
    if listed is None:
        return {module_name(path): Path(path) for path in walk_modules(directory / "kernel")}
    counted = (item for item in listed.values() if added or item.path.startswith("kernel/"))
    return {item.name: directory / item.path for item in counted}


@lru_cache(maxsize=8192)
def _stated_needs(path: Path, _: State) -> tuple[str, ...]:
    return stated_needs(read_module(path))


def _built_in_place(directory: Path) -> list[Path]:
    """The modules that the tree `directory` was told to build; modules.order names objects from 6.3 on."""
    try:
        lines = (directory / "modules.order").read_text(errors="surrogateescape").split()
    except OSError as error:
        raise KbuildError(f"{directory / 'modules.order'}: {error.strerror}") from error
    return [(directory / line).with_suffix(".ko") for line in lines]


def _listed(directory: Path) -> Mapping[str, ListedModule] | None:
    """depmod's list; None where depmod has not run."""
    try:
        return listed_modules(directory)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise KbuildError(f"{directory / 'modules.dep'}: {error.strerror}") from error


def _matching(known: Iterable[Alias], name: str) -> tuple[str, ...]:
    # (a pattern is compiled to match, which for all of them takes seconds; most are out of it by how they begin)
    found = [item.module for item in known if name.startswith(item.begins) and fnmatchcase(name, item.pattern)]
    return tuple(dict.fromkeys(found))
