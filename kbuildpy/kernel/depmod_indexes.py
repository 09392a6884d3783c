# SPDX-License-Identifier: GPL-2.0-only
"""The indexes that depmod (and the kernel's own build) writes into `/lib/modules/RELEASE`, as values.

Counterpart: kmod (tools/depmod.c: depmod_output writes them; libkmod/libkmod-module.c reads them). Each index is read
once per process, and again when its file has changed since: depmod may run meanwhile.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple, TypeVar

from kbuildpy.kernel.module_files import module_name

ALIASES = "modules.alias"
"""The index of aliases."""
SYMBOLS = "modules.symbols"
"""The index of exported symbols."""
KERNELS = 64
"""The kernels whose indexes are remembered: a module may be checked for many, one after the other."""

_SPECIAL = re.compile(r"[*?\[]")
_DASH_OR_BRACKETS = re.compile(r"-|\[[^\]]*\]?")

Index = TypeVar("Index")
State = tuple[int, int, int] | None
"""Time, size and inode of a file; None for none."""


class ListedModule(NamedTuple):
    """A line of `modules.dep`."""

    name: str
    """The module's name, with _ for -."""
    path: str
    """Its file, below the directory of the index."""
    needs: tuple[str, ...]
    """The names of all modules that it needs, each after what it needs itself."""


class Softdeps(NamedTuple):
    """What a module would like to have loaded before it and after it, as names or aliases."""

    pre: tuple[str, ...] = ()
    post: tuple[str, ...] = ()


class Alias(NamedTuple):
    """A pattern of shell's that stands for a module."""

    begins: str
    """What the pattern begins with literally."""
    pattern: str
    """The pattern, with _ for -."""
    module: str
    """The module's name."""


def listed_modules(directory: Path) -> Mapping[str, ListedModule]:
    """`modules.dep`, by the modules' names. Raises `OSError` if it cannot be read."""
    return _read(directory / "modules.dep", _listed)


def aliases(directory: Path) -> tuple[Alias, ...]:
    """`modules.alias`; nothing where depmod has not run."""
    return _read(directory / ALIASES, _aliases)


def softdeps(directory: Path) -> Mapping[str, Softdeps]:
    """`modules.softdep`, by module. (Of several lines for a module, kmod takes the first.)"""
    return _read(directory / "modules.softdep", _softdeps)


def exporting_modules(directory: Path) -> frozenset[str] | None:
    """The names of the modules that export a symbol (`modules.symbols`); None where depmod has not run."""
    path = directory / SYMBOLS
    return _read(path, _exporting) if path.is_file() else None


def built_in_modules(directory: Path) -> frozenset[str]:
    """The names of what would be modules but is built into the kernel (`modules.builtin`)."""
    return _read(directory / "modules.builtin", _built_in)


def built_in_modinfo(directory: Path) -> tuple[tuple[str, str, str], ...] | None:
    """`modules.builtin.modinfo`: the name of what is built in, tag and value; None if it cannot be read."""
    return _read(directory / "modules.builtin.modinfo", _modinfo)


def built_in_aliases(directory: Path) -> tuple[Alias, ...]:
    """The aliases of what is built in."""
    return _read(directory / "modules.builtin.modinfo", _built_in_aliases)


def read_softdeps(text: str) -> Softdeps:
    """A soft dependency as modules state it: `pre: a b post: c`; what is before the first of the two words does not
    count."""
    found: dict[str, list[str]] = {"pre:": [], "post:": [], "": []}
    kind = ""
    for word in text.split():
        if word.endswith(":"):
            kind = word if word in found else ""
        else:
            found[kind].append(word)
    return Softdeps(tuple(found["pre:"]), tuple(found["post:"]))


def plain_name(name: str) -> str:
    """A name or pattern as kmod compares it: with - as _, but not in brackets (shared/util.c: alias_normalize)."""
    return _DASH_OR_BRACKETS.sub(lambda found: "_" if found[0] == "-" else found[0], name)


def state_of(path: Path) -> State:
    """The state of the file `path`, for caches to notice that it changed."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def _read(path: Path, parse: Callable[[Path, State], Index]) -> Index:
    return parse(path, state_of(path))


# Each of these reads a file in the state that the second argument tells: that makes the cache notice a new one.


@lru_cache(maxsize=KERNELS)
def _listed(path: Path, _: State) -> Mapping[str, ListedModule]:
    found = {}
    for line in path.read_text(errors="surrogateescape").splitlines():
        file, _colon, needs = line.partition(":")
        # (a line ends with what is loaded first)
        names = tuple(module_name(item) for item in reversed(needs.split()))
        found[module_name(file)] = ListedModule(module_name(file), file, names)
    return found


@lru_cache(maxsize=KERNELS)
def _aliases(path: Path, _: State) -> tuple[Alias, ...]:
    words = (line.split() for line in _lines(path))
    return tuple(_alias(item[1], item[2]) for item in words if len(item) == 3 and item[0] == "alias")


@lru_cache(maxsize=KERNELS)
def _softdeps(path: Path, _: State) -> Mapping[str, Softdeps]:
    found: dict[str, Softdeps] = {}
    for line in _lines(path):
        words = line.split(maxsplit=2)
        if len(words) == 3 and words[0] == "softdep":
            found.setdefault(plain_name(words[1]), read_softdeps(words[2]))
    return found


@lru_cache(maxsize=KERNELS)
def _exporting(path: Path, _: State) -> frozenset[str]:
    return frozenset(line.rpartition(" ")[2] for line in _lines(path) if line.startswith("alias symbol:"))


@lru_cache(maxsize=KERNELS)
def _built_in(path: Path, _: State) -> frozenset[str]:
    return frozenset(map(module_name, _lines(path)))


@lru_cache(maxsize=KERNELS)
def _modinfo(path: Path, _: State) -> tuple[tuple[str, str, str], ...] | None:
    try:
        entries = path.read_bytes().decode("utf-8", "surrogateescape").split("\0")
    except OSError:
        return None
    found = []
    for entry in filter(None, entries):
        name, _dot, stated = entry.partition(".")
        tag, _equals, value = stated.partition("=")
        found.append((name, tag, value))
    return tuple(found)


@lru_cache(maxsize=KERNELS)
def _built_in_aliases(path: Path, state: State) -> tuple[Alias, ...]:
    entries = _modinfo(path, state) or ()
    return tuple(_alias(value, name) for name, tag, value in entries if tag == "alias")


def _alias(pattern: str, module: str) -> Alias:
    pattern = plain_name(pattern)
    return Alias(_SPECIAL.split(pattern, maxsplit=1)[0], pattern, module)


def _lines(path: Path) -> Iterator[str]:
    """The lines of an index; none where a package was only unpacked and depmod has not run."""
    try:
        lines = path.read_text(errors="surrogateescape").splitlines()
    except OSError:
        return iter(())
    return (line for line in lines if not line.startswith("#"))
