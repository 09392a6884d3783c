# SPDX-License-Identifier: GPL-2.0-only
"""The counters of an object as a data file for gcov (GCC's gcc/gcov-io.h).

Words have 32 bits, a counter two of them, the lower first; in the order of the bytes of the machine that wrote them,
which for all machines here is the little-endian one.
"""

from __future__ import annotations

import struct
from string import digits

from kbuildpy.coverage.observations import CountedFunction, CountedObject

_MAGIC = 0x67636461  # "gcda"
_FUNCTION, _OBJECT_SUMMARY, _ARCS = 0x01000000, 0xA1000000, 0x01A10000
_IN_BYTES = 12
"""The first version of GCC that tells lengths in bytes, and writes a checksum; before that they are in words."""


def gcc_version(word: int) -> int:
    """The major version in GCC's word for the version of the format: "B22*" is 12.2."""
    text = word.to_bytes(4, "big").decode("latin-1")
    return (ord(text[0]) - ord("A")) * 10 + int(text[1]) if "A" <= text[0] <= "Z" and text[1] in digits else 0


def data_file(counted: CountedObject) -> bytes:
    """The data file of an object."""
    in_bytes = gcc_version(counted.version) >= _IN_BYTES
    head = [_MAGIC, counted.version, counted.stamp, *([counted.checksum] if in_bytes else [])]
    # (one run; the largest counter, which gcov does not read)
    pieces = [_words(*head), _record(_OBJECT_SUMMARY, _words(1, 0), in_bytes=in_bytes)]
    for function in counted.functions:
        pieces += _function(function, in_bytes=in_bytes)
    return b"".join((*pieces, _words(0)))


def _function(function: CountedFunction, *, in_bytes: bool) -> list[bytes]:
    checksums = (function.lines_checksum, function.arcs_checksum)
    counters = struct.pack(f"<{len(function.counters)}Q", *(value & (1 << 64) - 1 for value in function.counters))
    return [
        _record(_FUNCTION, _words(function.identity, *checksums), in_bytes=in_bytes),
        _record(_ARCS, counters, in_bytes=in_bytes),
    ]


def _record(tag: int, contents: bytes, *, in_bytes: bool) -> bytes:
    return _words(tag, len(contents) if in_bytes else len(contents) // 4) + contents


def _words(*values: int) -> bytes:
    return struct.pack(f"<{len(values)}I", *(value & 0xFFFFFFFF for value in values))
