# SPDX-License-Identifier: GPL-2.0-only
"""The names of files in debug information: what `-fdebug-prefix-map=OLD=NEW` and its kin make of them.

A compiler takes the last map whose OLD the name begins with, and that one only (GCC's file-prefix-map.cc:
remap_filename). So a map of ours, from where a file is to where Kbuild would have it, hides a map of the user's for
the latter (`KCFLAGS=-ffile-prefix-map=$PWD=.`, as reproducible builds want it), unless that is carried over.

The surprise: to GCC every `-ffile-prefix-map` comes after every `-fmacro-prefix-map` (the former is deferred by
opts-global.cc, the latter is not by c-family/c-opts.cc). To Clang they come as they stand on the command line
(Driver/ToolChains/Clang.cpp: addMacroPrefixMapArg).
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator
from typing import NamedTuple

_MAP = re.compile(r"-f(debug|file|macro|profile)-prefix-map=(.*)=([^=]*)", re.DOTALL)
_CLANG = re.compile(r"(?<!\S)(?:\S*/)?clang(?:-\d+)?(?!\S)")
# -g3, -ggdb3: with macros, whose debug information names the source once more.
_WITH_MACROS = re.compile(r"(?<!\S)-g(?:gdb|stabs|xcoff|vms)?3(?!\S)")


class _Map(NamedTuple):
    kind: str
    old: str
    new: str


def carried_over(ours: Iterable[str], command: str) -> tuple[str, ...]:
    """The options `ours` (-fdebug-prefix-map, -ffile-prefix-map) for the end of `command`, with the maps that it has
    for what they lead to."""
    maps = list(_maps(ours))
    # (taking a command apart costs milliseconds, and most have a map of macros at most)
    kinds = {kind for one in maps for kind in ("file", "debug", *(["macro"] if one.kind == "file" else []))}
    given = list(_maps(_words(command))) if any(f"-f{kind}-prefix-map=" in command for kind in kinds) else []
    if _CLANG.search(command) is None:
        given.sort(key=lambda item: item.kind != "macro")
    return tuple(option for one in maps for option in _options(one, given))


def records_macros(command: str) -> bool:
    """Whether the compiler is to write macros into the debug information."""
    return _WITH_MACROS.search(command) is not None


def _options(one: _Map, given: Iterable[_Map]) -> Iterator[str]:
    debug = _followed(one, (item for item in given if item.kind in ("debug", "file")))
    if one.kind == "file":
        # (GCC writes down that it was called with -fmacro-prefix-map, so it is left to the last of the other maps)
        macro = _followed(one, (item for item in given if item.kind in ("macro", "file")))
        yield from (f"-ffile-prefix-map={old}={new}" for old, new in macro.items())
        if list(debug.items()) == list(macro.items()):
            return
    yield from (f"-fdebug-prefix-map={old}={new}" for old, new in debug.items())


def _followed(one: _Map, given: Iterable[_Map]) -> dict[str, str]:
    """From OLD to NEW: `one`, and `given` maps of what it leads to; the last that fits is to count."""
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
