# SPDX-License-Identifier: GPL-2.0-only
"""The files that a command names besides its sources: linker scripts, version scripts, headers, programs.

No depfile tells of them all. What a word means is not asked: whatever in it is the path of a file counts.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Iterator, Sequence

from kbuildpy.kbuild.normal_path import normal_path

# What Kbuild writes beside an object or a module, after its stem.
_WRITTEN = re.compile(
    r"\.(?:k?o|mod|o\.d|d|(?:k?o\.)?cmd|symtypes|symref|usyms|gendwarfksyms\.o|dwo|gcno|ver|(?:m\.)?bc)"
)
# The words of commands without backslashes: what lies between blanks, with quoted parts.
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
_WORD = re.compile(rf"(?:[^ \t\r\n'\"]|{_QUOTED.pattern})+")
# What a path may lie between, in a word.
_BETWEEN = re.compile(r"[=,:;()<>@]+")


def command_words(command: str) -> list[str]:
    """The words of a command, without quotes. Raises `ValueError` where a quote is open."""
    unquoted = _QUOTED.sub("", command)
    if "\\" not in command and "'" not in unquoted and '"' not in unquoted:
        # (shlex looks at each character by itself, which takes a millisecond)
        return [_QUOTED.sub(lambda quoted: quoted[0][1:-1], word[0]) for word in _WORD.finditer(command)]
    return shlex.split(command)


def named_files(
    commands: Sequence[str], *, cwd: str, targets: Sequence[str], find: Callable[[str], str] = str
) -> list[str]:
    """The files that are there and that words of `commands` may mean, in the directory `cwd`; not those that Kbuild
    writes beside the `targets`. `find` returns the file that commands find at a path."""
    stems = {_stem(target) for target in targets}
    found: dict[str, None] = {}
    for name in dict.fromkeys(name for command in commands for name in _candidates(command) if name):
        path = normal_path(cwd, name)
        file = find(path)
        if os.path.isfile(file) and not _is_written(path, stems):  # noqa: PTH113
            found[file] = None
    return list(found)


def _candidates(command: str) -> Iterator[str]:
    """The parts of words that may be paths."""
    try:
        words = command_words(command)
    except ValueError:
        words = command.split()
    for word in words:
        yield word
        if word.startswith("-"):
            yield word[2:]
        if "/" in word:
            yield word[word.index("/") :]
        yield word.partition("=")[2]
        yield from _BETWEEN.split(word)


def _stem(path: str) -> str:
    name = os.path.basename(path).removeprefix(".").removeprefix("tmp_")  # noqa: PTH119
    match = re.search(rf"(?:{_WRITTEN.pattern})\Z", name)
    return name[: match.start()] if match else name


def _is_written(path: str, stems: set[str]) -> bool:
    name = os.path.basename(path).removeprefix(".").removeprefix("tmp_")  # noqa: PTH119
    return any(name.startswith(stem) and _WRITTEN.fullmatch(name, len(stem)) for stem in stems)
