# SPDX-License-Identifier: GPL-2.0-only
"""Writes type information: words of types, and the strings that they name."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from kbuildpy.loader.btf.types import EACH, ONE, WORDS

FLAG = 1 << 31

Word = int | str | bytes
"""A word; for a name, its offset."""


def info(kind: int, vlen: int = 0, *, flag: bool = False) -> int:
    """The second word of a type."""
    return kind << 24 | vlen | (FLAG if flag else 0)


class BtfDraft:
    """Type information that goes on from a base's, or from strings of that length (`after`)."""

    def __init__(self, base: BtfDraft | None = None, *, after: int = 0) -> None:
        self._first_string = len(base.strings) if base else after
        self._known: dict[bytes, int] = dict(base._known) if base else {}
        self.strings: bytes = b"" if self._first_string else b"\0"
        self.types = b""

    def name(self, text: str | bytes) -> int:
        """The offset of a name: one of the base's, or of one that is added now."""
        encoded = text.encode() if isinstance(text, str) else text
        if encoded not in self._known:
            self._known[encoded] = self._first_string + len(self.strings)
            self.strings += encoded + b"\0"
        return self._known[encoded]

    def add(self, *words: Word) -> BtfDraft:
        """A type: name, info, size or number, and what its kind has more."""
        self.types += b"".join(struct.pack("<I", word if isinstance(word, int) else self.name(word)) for word in words)
        return self

    def contents(self, *, cut: int = 0, more: bytes = b"") -> bytes:
        """The section; without the last `cut` bytes of the types, or with `more` behind them."""
        types = self.types[: len(self.types) - cut] + more
        header = struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(types), len(types), len(self.strings))
        return header + types + self.strings


def drafted(types: Sequence[Sequence[Word]], base: BtfDraft | None = None, *, after: int = 0) -> BtfDraft:
    """A draft of those types."""
    draft = BtfDraft(base, after=after)
    for words in types:
        draft.add(*words)
    return draft


def places_of(contents: bytes) -> list[tuple[int, int]]:
    """Where in a section each type begins, and how many words it has; of types that are sound."""
    found = []
    _, _, _, length, start, size = struct.unpack_from("<HBBIII", contents)
    at, end = length + start, length + start + size
    while at < end:
        (second,) = struct.unpack_from("<I", contents, at + 4)
        kind = second >> 24 & 0x7F
        words = WORDS + ONE.get(kind, 0) + EACH.get(kind, 0) * (second & 0xFFFF)
        found.append((at, words))
        at += 4 * words
    return found
