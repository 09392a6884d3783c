# SPDX-License-Identifier: GPL-2.0-only
"""The text of a makefile's variable in pieces: what stands there, references to variables, calls of functions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

FUNCTIONS = frozenset(
    (
        *("abspath", "addprefix", "addsuffix", "and", "basename", "call"),
        *("dir", "error", "eval", "file", "filter", "filter-out"),
        *("findstring", "firstword", "flavor", "foreach", "guile", "if"),
        *("info", "intcmp", "join", "lastword", "let", "notdir"),
        *("or", "origin", "patsubst", "realpath", "shell", "sort"),
        *("strip", "subst", "suffix", "value", "warning", "wildcard"),
        *("word", "wordlist", "words"),
    )
)
"""GNU make's functions."""


@dataclass(frozen=True)
class Piece:
    """A part of a text."""

    text: str
    """As it stands there, with `$(` and `)`."""
    name: str = ""
    """What is referred to: the text of a variable's name, or a function's name."""
    arguments: tuple[str, ...] | None = None
    """The texts of a function's arguments; None for a variable."""

    @property
    def literal(self) -> bool:
        """Whether it stands for itself."""
        return not self.name


def pieces(text: str) -> Iterator[Piece]:
    """The pieces of a text of make's, in order. (`$$` is a piece that stands for itself.)"""
    place = 0
    while place < len(text):
        dollar = text.find("$", place)
        if dollar < 0 or dollar + 1 == len(text):
            yield Piece(text[place:])
            return
        if dollar > place:
            yield Piece(text[place:dollar])
        opened = text[dollar + 1]
        if opened == "$":
            yield Piece("$")
            place = dollar + 2
        elif opened in "({":
            end = _end(text, dollar + 2, opened)
            yield _reference(text[dollar : end + 1])
            place = end + 1
        else:
            yield Piece(text[dollar : dollar + 2], opened)
            place = dollar + 2


def references(text: str) -> Iterator[Piece]:
    """The references to variables in a text, at any depth."""
    for piece in pieces(text):
        if piece.literal:
            continue
        if piece.arguments is None:
            yield piece
            yield from references(piece.name)
        else:
            for argument in piece.arguments:
                yield from references(argument)


def spaced(text: str) -> Iterator[str]:
    """The words of a text; a reference with spaces in it is in one word."""
    word = ""
    for piece in pieces(text):
        if not piece.literal:
            word += piece.text
            continue
        for part in re.split(r"(\s+)", piece.text):
            if part.strip():
                word += part
            elif part and word:
                yield word
                word = ""
    if word:
        yield word


def _reference(text: str) -> Piece:
    inner = text[2:-1]
    match = re.match(r"([a-z-]+)[ \t]+", inner)
    if match and match[1] in FUNCTIONS:
        return Piece(text, match[1], tuple(_split(inner[match.end() :])))
    name = inner.strip()
    return Piece(text, name or " ")


def _end(text: str, start: int, opened: str) -> int:
    """The place of the bracket that closes one before `start`; the last place of an unfinished text."""
    closing, depth = {"(": ")", "{": "}"}[opened], 1
    for place in range(start, len(text)):
        depth += (text[place] == opened) - (text[place] == closing)
        if not depth:
            return place
    return len(text) - 1


def _split(text: str) -> Iterator[str]:
    """The arguments between commas that are in no bracket."""
    depth, start = 0, 0
    for place, character in enumerate(text):
        depth += (character in "({") - (character in ")}")
        if character == "," and not depth:
            yield text[start:place]
            start = place + 1
    yield text[start:]
