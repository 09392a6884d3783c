# SPDX-License-Identifier: GPL-2.0-only
"""objtool's messages: the line of the source that each is about, and what it ends in (`objtool_table`)."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from kbuildpy.advice.advice import MOST_SUBJECTS, Advice, place_text
from kbuildpy.advice.objtool_table import consequence_of
from kbuildpy.advice.uses import ModuleSources
from kbuildpy.source_place import Place

_MESSAGE = re.compile(r"^(?:(?P<object>\S+): )?(?P<kind>warning|error): objtool: (?P<text>.*)$", re.MULTILINE)
_PLACE = re.compile(
    r"^(?P<symbol>[\w.$]+)(?P<call>\(\))?(?:\+(?P<offset>0x[0-9a-f]+))?(?: \([^)]*\))?(?::| )\s*(?P<rest>.*)$"
)


class ObjtoolMessage(NamedTuple):
    """A message of objtool."""

    text: str
    symbol: str
    """The function that it is about."""
    offset: int | None
    """The place in the function; None where it is about the whole."""


def objtool_messages(said: str) -> list[ObjtoolMessage]:
    """The messages among what objtool said, each kind and function once."""
    found: dict[tuple[str, str], ObjtoolMessage] = {}
    for match in _MESSAGE.finditer(said):
        text = match["text"]
        place = _PLACE.match(text)
        symbol = place["symbol"] if place and (place["offset"] or place["call"]) else ""
        offset = int(place["offset"], 16) if place and place["offset"] else None
        message = ObjtoolMessage(place["rest"] if place and symbol else text, symbol, offset)
        found.setdefault((_kind(text), symbol), message)
    return list(found.values())


def objtool_advice(said: str, file: str, open_object: Callable[[], ModuleSources | None]) -> tuple[list[Advice], int]:
    """What is known about the messages in `said` about the object `file`, and how many are left out. `open_object`
    gives the object, None if there is none."""
    messages = objtool_messages(said)
    opened = open_object() if any(message.symbol for message in messages) else None
    found = [_advice(message, file, opened) for message in messages[:MOST_SUBJECTS]]
    return found, len(messages) - len(found)


def _kind(text: str) -> str:
    row = consequence_of(text)
    return row.pattern.pattern if row else text


def _advice(message: ObjtoolMessage, file: str, opened: ModuleSources | None) -> Advice:
    lines = []
    place = _place(message, opened) if opened is not None else None
    if place is not None and place.file:
        lines.append(f"{message.text.strip()}: at {place_text(place)}")
    row = consequence_of(message.text)
    if row is not None:
        lines.append(row.text)
    return Advice("objtool", message.symbol or Path(file).name, (file,), tuple(lines), (place,) if place else ())


def _place(message: ObjtoolMessage, opened: ModuleSources) -> Place | None:
    if not message.symbol:
        return None
    image = opened.image
    for number, (st_name, _, _, shndx, value, _) in enumerate(image.symbols.rows):
        if shndx and image.symbols.text(st_name) == message.symbol:
            section = image.symbols.section_index(number)
            if section < len(image.sections):
                offset = value + (message.offset or 0)
                if message.offset is None:
                    return opened.definition(image.sections[section], offset, message.symbol)
                return opened.at(image.sections[section], offset, message.symbol, "")
    named = image.section(message.symbol)
    if named is not None and message.offset is not None:
        return opened.at(named, message.offset, "", "")
    return None
