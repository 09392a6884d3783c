# SPDX-License-Identifier: GPL-2.0-only
"""What `kbuildpy_guest` saw in one boot, read from the lines of its file in /proc (guest/kbuildpy_guest.c: show).

The lines, with numbers in hexadecimal but for those of calls, which are decimal:

    module NAME                                 what follows are the counters of this module
    object VERSION STAMP CHECKSUM               of this object, whose
    path PIECE                                  data file gcc has named (in pieces)
    function IDENTITY LINES ARCS NUMBER         with so many counters, of which
    counts INDEX:VALUE ...                      these are not zero
    lost                                        there was no memory for the rest
    calls NUMBER                                how many calls of allocators there were
    call NUMBER ALLOCATOR PLACE                 one of them
    failed NUMBER ALLOCATOR PLACE               the one that failed
    held NUMBER                                 the memory of this call was not freed
    unwatched NUMBER                            of so much memory it is not known
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from kbuildpy.errors import KbuildError
from kbuildpy.printable import printable

_MOST = 1 << 22
"""Counters of one boot: a guest may report anything, and each takes memory here."""
_PLACE = re.compile(r"(?P<number>\d{1,18}) (?P<allocator>\w+) (?P<place>\S.*)")
_HEX = re.compile(r"[0-9a-f]{1,16}")


@dataclass(frozen=True)
class CountedFunction:
    """The counters of one function."""

    identity: int
    lines_checksum: int
    arcs_checksum: int
    counters: tuple[int, ...]
    """How often each arc was gone along."""


@dataclass(frozen=True)
class CountedObject:
    """The counters of one object of a module."""

    version: int
    """GCC's word for the version of the format."""
    stamp: int
    """What tells apart two compilations of the object."""
    checksum: int
    """0 for a GCC that has none."""
    path: str
    """The data file that a program would write; the notes are beside it."""
    functions: tuple[CountedFunction, ...]


@dataclass(frozen=True)
class AllocatorCall:
    """A call of an allocator by an instrumented module."""

    number: int
    """From 1 on, in the order of the calls."""
    allocator: str
    place: str
    """As the kernel tells addresses: `function+0x12/0x40 [module]`."""


@dataclass
class Observations:
    """What was seen in one boot."""

    modules: dict[str, list[CountedObject]] = field(default_factory=dict)
    """The counters of each module."""
    incomplete: list[str] = field(default_factory=list)
    """The modules of which some are missing."""
    made: int = 0
    """How many calls of allocators there were."""
    calls: list[AllocatorCall] = field(default_factory=list)
    """The first of them."""
    failed: AllocatorCall | None = None
    """The one that failed."""
    held: list[int] = field(default_factory=list)
    """The numbers of those whose memory was not freed."""
    unwatched: int = 0
    """How many blocks were too many to be watched."""


def read_observations(lines: Sequence[str]) -> Observations:
    """What `lines` say. Raises `KbuildError` for a line that the module does not write."""
    found = Observations()
    reader = _Counters({})
    for line in lines:
        word, _, rest = line.partition(" ")
        try:
            if word == "module":
                reader.objects = reader.modules.setdefault(rest, [])
                reader.name = rest
            elif word == "lost":
                found.incomplete.append(reader.name)
            elif word in ("object", "path", "function", "counts"):
                reader.take(word, rest)
            else:
                _read_call(found, word, rest)
        except (ValueError, LookupError) as error:
            raise KbuildError(
                f"the guest told of counters what nobody can read: {printable(line[:100])}",
                hint="a module may have overwritten them: look at the kernel's log",
            ) from error
    found.modules = {name: [item.frozen() for item in objects] for name, objects in reader.modules.items()}
    return found


def added(first: Sequence[CountedObject], second: Sequence[CountedObject]) -> list[CountedObject]:
    """The counters of two boots of the same module together; what only one has stays as it is."""
    by_path = {item.path: item for item in first}
    for item in second:
        known = by_path.get(item.path)
        by_path[item.path] = _added(known, item) if known and known.stamp == item.stamp else item
    return list(by_path.values())


def _added(one: CountedObject, other: CountedObject) -> CountedObject:
    more = {function.identity: function.counters for function in other.functions}
    functions = []
    for function in one.functions:
        counters = more.get(function.identity, ())
        if len(counters) == len(function.counters):
            both = zip(function.counters, counters, strict=True)
            function = replace(function, counters=tuple(here + there for here, there in both))
        functions.append(function)
    return replace(one, functions=tuple(functions))


def _read_call(found: Observations, word: str, rest: str) -> None:
    if word in ("call", "failed"):
        match = _PLACE.fullmatch(rest)
        if match is None:
            raise ValueError(rest)
        call = AllocatorCall(int(match["number"]), match["allocator"], match["place"])
        if word == "call":
            found.calls.append(call)
        else:
            found.failed = call
        return
    number = int(rest) if rest.isascii() and rest.isdigit() and len(rest) < 19 else -1
    if number < 0 or word not in ("calls", "held", "unwatched"):
        raise ValueError(word)
    if word == "calls":
        found.made = number
    elif word == "held":
        found.held.append(number)
    else:
        found.unwatched = number


@dataclass
class _Object:
    """A `CountedObject` that is being read."""

    head: tuple[int, int, int]
    path: str = ""
    functions: list[tuple[tuple[int, int, int], list[int]]] = field(default_factory=list)

    def frozen(self) -> CountedObject:
        functions = (CountedFunction(*head, tuple(counters)) for head, counters in self.functions)
        return CountedObject(*self.head, self.path, tuple(functions))


@dataclass
class _Counters:
    """Where the reading of counters is."""

    modules: dict[str, list[_Object]]
    name: str = ""
    objects: list[_Object] = field(default_factory=list)
    counters: int = 0
    """How many there are in all objects."""

    def take(self, word: str, rest: str) -> None:
        """Take a line about the present module. Raises ValueError or LookupError for one that is none."""
        if not self.name:
            raise LookupError(word)
        if word == "object":
            version, stamp, checksum = _numbers(rest, 3, most=0xFFFFFFFF)
            self.objects.append(_Object((version, stamp, checksum)))
        elif word == "path":
            if "\0" in rest:
                raise ValueError(rest)
            self.objects[-1].path += rest
        elif word == "function":
            identity, lines, arcs, number = _numbers(rest, 4, most=0xFFFFFFFF)
            self.counters += number
            if self.counters > _MOST:
                raise ValueError(number)
            self.objects[-1].functions.append(((identity, lines, arcs), [0] * number))
        else:
            counters = self.objects[-1].functions[-1][1]
            for pair in rest.split():
                index, value = _numbers(pair.replace(":", " ", 1), 2)
                counters[index] = value


def _numbers(text: str, count: int, *, most: int = (1 << 64) - 1) -> list[int]:
    words = text.split(" ")
    if len(words) != count or not all(_HEX.fullmatch(word) and int(word, 16) <= most for word in words):
        raise ValueError(text)
    return [int(word, 16) for word in words]
