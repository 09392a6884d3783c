# SPDX-License-Identifier: GPL-2.0-only
"""Reads what GCC and clang say about a translation unit, and sorts it by the part that it is about."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NamedTuple

from kbuildpy.compiler_line import compiler_line
from kbuildpy.probes.translation_unit import MACRO, MARK, NO_HEADER, PREFIX, name_apart

_PART = re.compile(rf"{PREFIX}(unknown|mark|outside|probe|end)-(\d+)")
_OF_PROBE = ("outside", "probe", "end")
_HEADER = re.compile(r"^\.+ (.+)$")
_IMPLICIT = re.compile(r"(?:implicit declaration of function|call to undeclared (?:library )?function) '(\w+)'")
_APART = re.compile(name_apart("", 0)[:-1] + r"\d+")
_ALTERED = re.compile(rf"(?:member named '|struct |union |enum )\w+{_APART.pattern}|'\w+{_APART.pattern}' undeclared")


class CompilerMessage(NamedTuple):
    """An error or a warning in a probe."""

    text: str
    """What the compiler says, without its place."""
    part: str
    """`outside`, `probe`, or `end` behind it."""
    line: int
    """The line in that part, from 1."""
    is_error: bool
    """Not a warning."""


@dataclass
class CompilerOutput:
    """What one run of the compiler says."""

    messages: dict[int, list[CompilerMessage]] = field(default_factory=dict)
    """Of each probe, in order."""
    marks: set[int] = field(default_factory=set)
    """The marks that were reported."""
    unknown: set[int] = field(default_factory=set)
    """The names (`unknown` of the unit) that the headers do not declare."""
    macros: set[int] = field(default_factory=set)
    """The names that are macros of the headers."""
    altered: set[int] = field(default_factory=set)
    """The probes in which a name of a member or a tag was spelled differently by mistake."""
    undeclared: dict[str, set[int]] = field(default_factory=dict)
    """Each function that was called and is not declared, with the probes for which that was reported."""
    meets: set[tuple[int, int]] = field(default_factory=set)
    """Pairs of probes: a message about the first names something of the second."""
    missing: list[str] = field(default_factory=list)
    """The headers that are not there."""
    others: list[str] = field(default_factory=list)
    """Errors that are in no probe: in a header, or the compiler's own."""
    headers: set[str] = field(default_factory=set)
    """The headers that were read, as the compiler names them."""


def read_messages(text: str) -> CompilerOutput:
    """Sort the compiler's standard error, with `-H`, without source lines and colours."""
    reading = CompilerOutput()
    latest: int | None = None
    for line in text.splitlines():
        header = _HEADER.match(line)
        if header:
            reading.headers.add(header[1])
            continue
        said = compiler_line(line)
        if said is None:
            continue
        part = _PART.fullmatch(said.file)
        kind, number = (part[1], int(part[2])) if part else ("", -1)
        if said.kind == "note":
            if kind in _OF_PROBE and latest is not None and latest != number:
                reading.meets.add((latest, number))
            continue
        latest = number if kind in _OF_PROBE else None
        if latest is not None:
            if _ALTERED.search(said.text):
                reading.altered.add(number)
            message = CompilerMessage(_APART.sub("", said.text), kind, said.line or 0, said.is_error)
            reading.messages.setdefault(number, []).append(message)
            implicit = _IMPLICIT.search(message.text)
            if implicit:
                reading.undeclared.setdefault(implicit[1], set()).add(number)
        elif kind == "mark" and f"{MARK}{number}" in said.text:
            reading.marks.add(number)
        elif kind == "unknown":
            if "undeclared" in said.text:
                reading.unknown.add(number)
            elif MACRO in said.text:
                reading.macros.add(number)
        elif NO_HEADER in said.text:
            reading.missing.append(said.text.partition(NO_HEADER)[2].strip(' "'))
        elif said.is_error:
            reading.others.append(line)
    return reading
