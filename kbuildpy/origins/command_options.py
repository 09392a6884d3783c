# SPDX-License-Identifier: GPL-2.0-only
"""The words and the options of a compile command, as the shell text has them: with their quotes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

_WORD = re.compile(r"""(?:'[^']*'|"[^"]*"|\\.|[^\s'"\\])+""")
# Options whose value is the next word.
_WITH_VALUE = frozenset(
    (
        *("-I", "-include", "-imacros", "-isystem", "-iquote", "-idirafter", "-D", "-U", "-o", "-x", "--param"),
        "-target",
        # rustc's
        *("-L", "--cfg", "--extern", "--crate-type", "--out-dir"),
    )
)


def words(text: str) -> Iterator[re.Match[str]]:
    """The words of a command or of a make variable, as matches; quoted spaces do not end a word."""
    return _WORD.finditer(text)


def split(text: str) -> list[str]:
    """The same as strings."""
    return _WORD.findall(text)


def first_command(text: str) -> list[str]:
    """The words of the first command of a shell text."""
    found = []
    for word in split(text):
        if word.endswith(";"):
            if word != ";":
                found.append(word[:-1])
            break
        found.append(word)
    return found


def options(command: Sequence[str]) -> Iterator[tuple[str, int]]:
    """Each option among the words of a command, with its value, and the place of the word that decides: the value if
    there is one."""
    place = 0
    while place < len(command):
        word = command[place]
        if word in _WITH_VALUE and place + 1 < len(command):
            yield f"{word} {command[place + 1]}", place + 1
            place += 1
        elif word.startswith("-"):
            yield word, place
        place += 1
