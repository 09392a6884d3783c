# SPDX-License-Identifier: GPL-2.0-only
"""Dynamic debug messages by their places in the source, as a query of the kernel's dynamic debug.

A place is a module (`counter`), a file (`counter.c`), lines of it (`counter.c:12`, `counter.c:10-20`), a function
(`count_up` or `count_up()`), or a function of a file (`counter.c:count_up`).

Counterpart: lib/dynamic_debug.c (ddebug_parse_query, ddebug_change).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.info.tables import DebugMessage
from kbuildpy.similar import did_you_mean

_PLACE = re.compile(
    r"(?P<file>[^:]*\.[^:/.]+)(?::(?:(?P<first>\d+)(?:-(?P<last>\d+))?|(?P<function>[\w.]+)(?:\(\))?))?"
)
_NAME = re.compile(r"(?P<name>[\w-]+)(?:\(\))?")
# What ends a word of a query, or a query, or stands for other characters.
_UNSAYABLE = re.compile(r"""[\s"';#*?\\:]""")


class MessagePlace(NamedTuple):
    """A place, as the user wrote it."""

    word: str
    file: str = ""
    """The end of a path; "" for any file."""
    name: str = ""
    """A function's name, or without a file that of a module; "" for all functions."""
    lines: tuple[int, int] | None = None
    """The first and the last line."""

    def has(self, message: DebugMessage) -> bool:
        """Whether `message` is there. (A name is a function's.)"""
        in_file = not self.file or message.file == self.file or message.file.endswith(f"/{self.file.lstrip('./')}")
        in_lines = self.lines is None or self.lines[0] <= message.line <= self.lines[1]
        return in_file and in_lines and self.name in ("", message.function)


def read_place(word: str) -> MessagePlace:
    """Parse a place. Raises `UsageError`."""
    if found := _PLACE.fullmatch(word):
        lines = None
        if found["first"]:
            first = int(found["first"])
            lines = (first, int(found["last"] or first))
            if lines[1] < first:
                raise UsageError(f"{word}: the last line comes before the first one")
        return MessagePlace(word, found["file"], found["function"] or "", lines)
    if found := _NAME.fullmatch(word):
        return MessagePlace(word, name=found["name"])
    raise UsageError(
        f"{word!r} is no place of debug messages",
        hint="name a file (x.c), lines (x.c:12, x.c:10-20), a function (count_up), or a module",
    )


def message_queries(places: Sequence[MessagePlace], messages: Mapping[str, Sequence[DebugMessage]]) -> dict[str, str]:
    """For each module of `messages` (by their modules' names) the query that switches on the messages at `places`; ""
    for none of its messages. Raises `UsageError` for a place where no module has a message."""
    found: dict[str, list[str]] = {module: [] for module in messages}
    for place in places:
        chosen = {module: [item for item in listed if place.has(item)] for module, listed in messages.items()}
        if any(chosen.values()):
            for module, items in chosen.items():
                found[module] += _queries(place, items)
        elif not place.file and messages.get(place.name.replace("-", "_")):
            found[place.name.replace("-", "_")].append("+p")
        else:
            raise _nothing_there(place, messages)
    return {module: "; ".join(dict.fromkeys(queries)) for module, queries in found.items()}


def _queries(place: MessagePlace, items: Iterable[DebugMessage]) -> list[str]:
    words = []
    for file in dict.fromkeys(item.file for item in items) if place.file else [""]:
        if _UNSAYABLE.search(file):
            raise KbuildError(
                f"{place.word}: dynamic debug cannot be told of the file name {file!r}",
                hint="name functions in place of the file",
            )
        parts = [f"file {file}"] if file else []
        parts += [f"func {place.name}"] if place.name else []
        parts += [f"line {place.lines[0]}-{place.lines[1]}"] if place.lines else []
        words.append(" ".join([*parts, "+p"]))
    return words if any(True for _ in items) else []


def _nothing_there(place: MessagePlace, messages: Mapping[str, Sequence[DebugMessage]]) -> UsageError:
    listed = [item for items in messages.values() for item in items]
    if not listed:
        return UsageError(
            f"{place.word}: {', '.join(messages)}: no dynamic debug messages",
            hint="pr_debug() makes them, in modules for a kernel with CONFIG_DYNAMIC_DEBUG",
        )
    in_file = [item for item in listed if place.file and MessagePlace("", place.file).has(item)]
    if in_file:
        known = sorted({f"{item.line} ({item.function})" for item in in_file}, key=lambda text: int(text.split()[0]))
        return UsageError(
            f"{place.word}: no dynamic debug message there", hint=f"the lines with one: {', '.join(known[:12])}"
        )
    names = {item.file.rpartition("/")[2] if place.file else item.function for item in listed}
    names |= set() if place.file else set(messages)
    suggestion = did_you_mean(place.file.rpartition("/")[2] if place.file else place.name, names)
    return UsageError(
        f"{place.word}: no dynamic debug message there",
        hint=suggestion or f"messages are in: {', '.join(sorted(names)[:12])}",
    )
