# SPDX-License-Identifier: GPL-2.0-only
"""Combines the prefix maps of kbuildpy with those of the user (`-fdebug-prefix-map=OLD=NEW`, -ffile-, -fmacro-).

A compiler applies only the last map whose OLD is a prefix of the name (GCC's file-prefix-map.cc: remap_filename).
kbuildpy maps the path of a file to the path that Kbuild would give it. That hides the user's map of Kbuild's path
(`KCFLAGS=-ffile-prefix-map=$PWD=.` for reproducible builds), unless both maps are combined into one.

The surprise: GCC applies every `-ffile-prefix-map` after every `-fmacro-prefix-map` (opts-global.cc defers the former,
c-family/c-opts.cc does not defer the latter). Clang applies them in the order of the command line
(Driver/ToolChains/Clang.cpp: addMacroPrefixMapArg).
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator
from typing import NamedTuple

_MAP = re.compile(r"-f(debug|file|macro|profile)-prefix-map=(.*)=([^=]*)", re.DOTALL)
_CLANG = re.compile(r"(?<!\S)(?:\S*/)?clang(?:-\d+)?(?!\S)")
# -g3, -ggdb3: debug information with macros, which names the source once more.
_WITH_MACROS = re.compile(r"(?<!\S)-g(?:gdb|stabs|xcoff|vms)?3(?!\S)")


class _Map(NamedTuple):
    kind: str
    old: str
    new: str


def carried_over(ours: Iterable[str], command: str) -> tuple[str, ...]:
    """The options `ours` (-fdebug-prefix-map, -ffile-prefix-map) for the end of `command`, combined with the maps that
    `command` has for the paths they lead to."""
    maps = list(_maps(ours))
    # Splitting a command takes milliseconds, and most commands have only a -fmacro-prefix-map.
    kinds = {kind for one in maps for kind in ("file", "debug", *(["macro"] if one.kind == "file" else []))}
    given = list(_maps(_words(command))) if any(f"-f{kind}-prefix-map=" in command for kind in kinds) else []
    if _CLANG.search(command) is None:
        given.sort(key=lambda item: item.kind != "macro")
    return tuple(option for one in maps for option in _options(one, given))


def records_macros(command: str) -> bool:
    """Whether `command` tells the compiler to record macros in debug information (-g3)."""
    return _WITH_MACROS.search(command) is not None


def _options(one: _Map, given: Iterable[_Map]) -> Iterator[str]:
    debug = _followed(one, (item for item in given if item.kind in ("debug", "file")))
    if one.kind == "file":
        # GCC records an option -fmacro-prefix-map in debug information, but not -ffile-prefix-map: use the latter
        macro = _followed(one, (item for item in given if item.kind in ("macro", "file")))
        yield from (f"-ffile-prefix-map={old}={new}" for old, new in macro.items())
        if list(debug.items()) == list(macro.items()):
            return
    yield from (f"-fdebug-prefix-map={old}={new}" for old, new in debug.items())


def _followed(one: _Map, given: Iterable[_Map]) -> dict[str, str]:
    """OLD to NEW of the map `one`, and of its combinations with those `given` maps that change its NEW. In the order of
    options: the compiler applies the last one that fits."""
    found = {one.old: one.new}
    for item in given:
        if item.old.startswith(one.new):
            old, new = one.old + item.old[len(one.new) :], item.new
        elif one.new.startswith(item.old):
            old, new = one.old, item.new + one.new[len(item.old) :]
        else:
            continue
        found.pop(old, None)
        found[old] = new
    return found


def _maps(words: Iterable[str]) -> Iterator[_Map]:
    for word in words:
        match = _MAP.fullmatch(word)
        if match:
            yield _Map(match[1], match[2], match[3])


def _words(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError:
        return command.split()
