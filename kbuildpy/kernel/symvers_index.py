# SPDX-License-Identifier: GPL-2.0-only
"""A sound symvers file in the order of its symbols, kept in the user's cache by what the file says.

Cutting the kernel's 25,000 lines into columns takes several times as long as finding the few dozens of symbols that a
module needs by bisection. Where the content is the same, so is the index, wherever the file lies.
"""

from __future__ import annotations

import hashlib
import os
import sys
import zlib
from array import array
from bisect import bisect_left
from contextlib import suppress
from functools import cached_property
from pathlib import Path

from kbuildpy.errors import KbuildError
from kbuildpy.kernel.cache import cache_directory

MIN_LINES = 2000
"""A shorter file is cut into columns as quickly."""
_MAGIC = f"kbuildpy symvers 1 {sys.byteorder}\n".encode()


class SymversIndex:
    """Lines of a symvers file, sorted by symbol, the symbol first; `find` gives one's other columns."""

    def __init__(self, contents: bytes) -> None:
        """Raises ValueError for what `format_index` did not write."""
        checksum, start = contents[len(_MAGIC) : len(_MAGIC) + 4], len(_MAGIC) + 8
        if (
            not contents.startswith(_MAGIC)
            or zlib.crc32(memoryview(contents)[start - 4 :]).to_bytes(4, "little") != checksum
        ):
            raise ValueError("not an index of a symvers file")
        self._count = int.from_bytes(contents[start - 4 : start], "little")
        self._starts = array("I")
        self._starts.frombytes(contents[start : start + 4 * self._count])
        self._lines = contents[start + 4 * self._count :]

    def __len__(self) -> int:
        return self._count

    def find(self, symbol: str) -> tuple[str, str, str, str] | None:
        """CRC, owner, license and namespace of `symbol`, as the file spells them; None if it is not there."""
        name = symbol.encode("utf-8", "surrogateescape")
        place = bisect_left(self._numbers, name, key=self._name)
        if place == self._count or self._name(place) != name:
            return None
        start = self._starts[place] + len(name) + 1
        line = self._lines[start : self._lines.index(b"\n", start)].decode("utf-8", "surrogateescape")
        crc, owner, license, namespace = line.split("\t")
        return crc, owner, license, namespace

    def _name(self, number: int) -> bytes:
        start = self._starts[number]
        return self._lines[start : self._lines.index(b"\t", start)]

    @cached_property
    def _numbers(self) -> range:
        return range(self._count)


def format_index(text: bytes) -> bytes:
    """The index of a sound symvers file whose symbols are all different."""
    lines = sorted(
        (symbol, crc, rest) for crc, symbol, rest in (line.split(b"\t", 2) for line in text.split(b"\n")[:-1])
    )
    blob = [b"%s\t%s\t%s\n" % (symbol, crc, rest) for symbol, crc, rest in lines]
    starts = array("I")
    place = 0
    for line in blob:
        starts.append(place)
        place += len(line)
    body = len(blob).to_bytes(4, "little") + starts.tobytes() + b"".join(blob)
    return _MAGIC + zlib.crc32(body).to_bytes(4, "little") + body


def load_index(text: bytes) -> SymversIndex | None:
    """The index of a symvers file that says `text`, if there is one."""
    with suppress(OSError, ValueError, KbuildError):
        return SymversIndex(_path(text).read_bytes())
    return None


def keep_index(text: bytes) -> None:
    """Make the index of a sound symvers file that says `text`, for others to find."""
    with suppress(OSError, KbuildError):
        path = _path(text)
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            beside.write_bytes(format_index(text))
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)


def _path(text: bytes) -> Path:
    return cache_directory() / "symvers" / hashlib.blake2b(text, digest_size=16).hexdigest()
