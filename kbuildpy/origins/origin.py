# SPDX-License-Identifier: GPL-2.0-only
"""Where a word of a command comes from, as a value."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from kbuildpy.origins.make_text import spaced
from kbuildpy.origins.trace_makefiles import Assignment

_CONFIG = re.compile(r"\bCONFIG_\w+")
_PROBE = re.compile(r"\$[({]call\s+((?:cc|as|ld|hostcc|rustc)-[\w-]+)")


@dataclass(frozen=True)
class MakefilePlace:
    """An assignment in a makefile."""

    file: str
    """The makefile (absolute)."""
    line: int
    """The physical line that has the word, counted from 1; else the first one of the assignment."""
    variable: str
    """The variable, as the line names it: `stackp-flags-$(CONFIG_STACKPROTECTOR)`."""
    text: str
    """That line."""
    conditions: tuple[str, ...] = ()
    """The conditionals around it that held: `ifdef CONFIG_X`, `not ifdef CONFIG_X` behind its `else`."""


@dataclass(frozen=True)
class Origin:
    """Where a word of a command comes from."""

    kind: str
    """`makefile`, `command line`, `environment`, or `unknown`."""
    places: tuple[MakefilePlace, ...] = ()
    """The assignment that has the word, then the ones through which it came, up to the command."""
    variable: str = ""
    """The variable of the command line or of the environment."""
    made: bool = False
    """A function made the word there: the text of the line is another."""
    asked: tuple[str, ...] = ()
    """The CONFIG_ symbols that stand in that part of the assignment."""
    probes: tuple[str, ...] = ()
    """The questions to the compiler that it depends on there: `cc-option`."""

    @property
    def place(self) -> MakefilePlace | None:
        """The assignment that has the word."""
        return self.places[0] if self.places and self.kind == "makefile" else None

    @property
    def way(self) -> tuple[MakefilePlace, ...]:
        """The assignments through which the word came from there."""
        return self.places[1:] if self.kind == "makefile" else self.places

    @property
    def symbols(self) -> tuple[str, ...]:
        """The CONFIG_ symbols that it depends on: of names of variables and of conditionals, along the whole way."""
        found: dict[str, None] = {}
        for place in self.places:
            for text in (place.variable, *place.conditions):
                found.update(dict.fromkeys(_CONFIG.findall(text)))
        return tuple(found | dict.fromkeys(self.asked))

    def through(self, place: MakefilePlace) -> Origin:
        """The same origin of a word that came through another assignment."""
        if self.kind == "unknown":
            return self
        return Origin(self.kind, (*self.places, place), self.variable, self.made, self.asked, self.probes)


UNKNOWN = Origin("unknown")


def place_of(assignment: Assignment, word: str) -> MakefilePlace:
    """The place of an assignment whose text has `word`."""
    rows = assignment.text.split("\n")
    row = next((number for number, text in enumerate(rows) if word and (has_word(text, word) or word in text)), 0)
    conditions = tuple(f"{'' if each.holds else 'not '}{each.text}" for each in assignment.line.conditions)
    line = assignment.line
    return MakefilePlace(assignment.file, line.first + row, line.name, rows[row].strip(), conditions)


def origin_at(assignment: Assignment, word: str, *, made: bool = False, part: str = "") -> Origin:
    """The origin of a word at an assignment; `part` is what of the assignment's text it is made of, where that is not
    the part that has the word."""
    part = part or next((each for each in spaced(assignment.line.value) if has_word(each, word)), "")
    asked, probes = tuple(_CONFIG.findall(part)), tuple(_PROBE.findall(part))
    return Origin(
        "makefile", (place_of(assignment, part if made and part else word),), made=made, asked=asked, probes=probes
    )


def has_word(text: str, word: str) -> bool:
    """Whether a makefile's text has the word literally, between spaces, commas or brackets."""
    return re.search(rf"(?:^|[\s,=(]){re.escape(word)}(?:$|[\s,)])", text) is not None


def origin_to_json(origin: Origin) -> dict[str, Any]:
    """The keys of JSON output."""
    place = origin.place
    return {
        "kind": origin.kind,
        "file": place.file if place else None,
        "line": place.line if place else None,
        "variable": place.variable if place else origin.variable or None,
        "text": place.text if place else None,
        "symbols": list(origin.symbols),
        "conditions": list(place.conditions) if place else [],
        "probes": list(origin.probes),
        "made": origin.made,
        "through": [{"file": each.file, "line": each.line, "variable": each.variable} for each in origin.way],
    }
