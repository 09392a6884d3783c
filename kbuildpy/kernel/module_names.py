"""What a name means to modprobe, by the indexes that depmod writes into `/lib/modules/RELEASE`.

Counterpart: kmod (libkmod/libkmod-module.c: kmod_module_new_from_lookup, kmod_module_get_softdeps). What `modprobe.d`
adds is not looked at: it belongs to a machine, not to the kernel.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from kbuildpy.kernel.own_modules import module_name, own_modules


class Meaning(NamedTuple):
    """The modules that a name stands for (none: nobody has it), and whether they are `built_in`."""

    names: tuple[str, ...]
    built_in: bool = False


class Softdeps(NamedTuple):
    """What a module would like to have loaded before it and after it, as names or aliases."""

    pre: tuple[str, ...] = ()
    post: tuple[str, ...] = ()


class _Alias(NamedTuple):
    """A pattern of shell's, what it begins with literally, and the module that it stands for."""

    begins: str
    pattern: str
    module: str


_SPECIAL = re.compile(r"[*?\[]")


def meaning_of(directory: Path, name: str) -> Meaning:
    """The module in `directory` (`.../lib/modules/RELEASE`) that is called `name`, else those that have it for an
    alias, else what is built into the kernel.

    Raises `KbuildError` if the list of the modules cannot be read.
    """
    name = _plain(name)
    if name in own_modules(directory):
        return Meaning((name,))
    aliased = _matching(_aliases(directory), name)
    if aliased:
        return Meaning(aliased)
    built_in = _built_in(directory)
    return Meaning((name,) if name in built_in else _matching(_built_in_aliases(directory), name), built_in=True)


def softdeps_of(directory: Path, name: str) -> Softdeps:
    """The soft dependencies of module `name`. (Of several lines for a module, kmod takes the first.)"""
    return _softdeps(directory).get(name, Softdeps())


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


def _matching(aliases: tuple[_Alias, ...], name: str) -> tuple[str, ...]:
    # (a pattern is compiled to match, which for all of them takes seconds; most are out of it by how they begin)
    found = [item.module for item in aliases if name.startswith(item.begins) and fnmatchcase(name, item.pattern)]
    return tuple(dict.fromkeys(found))


def _alias(pattern: str, module: str) -> _Alias:
    pattern = _plain(pattern)
    return _Alias(_SPECIAL.split(pattern, maxsplit=1)[0], pattern, module)


@lru_cache(maxsize=8)
def _aliases(directory: Path) -> tuple[_Alias, ...]:
    words = (line.split() for line in _lines(directory / "modules.alias"))
    return tuple(_alias(item[1], item[2]) for item in words if len(item) == 3 and item[0] == "alias")


@lru_cache(maxsize=8)
def _built_in(directory: Path) -> frozenset[str]:
    return frozenset(map(module_name, _lines(directory / "modules.builtin")))


@lru_cache(maxsize=8)
def _built_in_aliases(directory: Path) -> tuple[_Alias, ...]:
    try:
        entries = (directory / "modules.builtin.modinfo").read_bytes().decode("utf-8", "surrogateescape").split("\0")
    except OSError:
        return ()
    stated = (entry.partition(".alias=") for entry in entries)
    return tuple(_alias(alias, name) for name, separator, alias in stated if separator)


@lru_cache(maxsize=8)
def _softdeps(directory: Path) -> Mapping[str, Softdeps]:
    found: dict[str, Softdeps] = {}
    for line in _lines(directory / "modules.softdep"):
        words = line.split(maxsplit=2)
        if len(words) == 3 and words[0] == "softdep":
            found.setdefault(_plain(words[1]), read_softdeps(words[2]))
    return found


def _lines(path: Path) -> Iterator[str]:
    """The lines of an index; none where a package was only unpacked and depmod has not run."""
    try:
        lines = path.read_text(errors="surrogateescape").splitlines()
    except OSError:
        return iter(())
    return (line for line in lines if not line.startswith("#"))


def _plain(name: str) -> str:
    """A name or pattern as kmod compares it: with - as _, but not in brackets."""
    start, bracket, rest = name.partition("[")
    inside, end, after = rest.partition("]")
    return start.replace("-", "_") + bracket + inside + end + (_plain(after) if after else "")
