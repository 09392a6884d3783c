# SPDX-License-Identifier: GPL-2.0-only
"""Recognizes files that hold a private key, which are neither copied nor packed with sources.

A file is one if a line of it begins a PEM block of a private key, or if it is in whole one DER value as PKCS #8,
PKCS #1, SEC 1 or PKCS #12 have it. Sources of programs are none: a PEM block in them is data for a test.
"""

from __future__ import annotations

import re
from pathlib import Path

_LARGEST = 1 << 18
_SOURCES = frozenset({".c", ".h", ".S", ".s", ".rs", ".inc", ".in", ".py", ".sh"})
_PEM = re.compile(rb"^(?:\xef\xbb\xbf)?[ \t]*-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----", re.MULTILINE)
_LENGTH = rb"(?:[\x00-\x7f]|\x81.|\x82..)"
_DER = re.compile(
    rb"\x30" + _LENGTH + rb"(?:"
    rb"\x02\x01[\x00\x01]\x30" + _LENGTH + rb"\x06"  # PKCS #8: a version, then the algorithm
    rb"|\x02\x01\x00\x02"  # PKCS #1: a version, then the modulus
    rb"|\x02\x01\x01\x04"  # SEC 1: a version, then the number
    rb"|\x02\x01\x03\x30"  # PKCS #12
    rb"|\x30" + _LENGTH + rb"\x06(?:\x09\x2a\x86\x48\x86\xf7\x0d\x01\x05"  # encrypted, by a cipher of PKCS #5
    rb"|\x0a\x2a\x86\x48\x86\xf7\x0d\x01\x0c\x01))",  # or of PKCS #12
    re.DOTALL,
)


def has_private_key(contents: bytes) -> bool:
    """Whether a file with `contents` holds a private key."""
    return bool(_PEM.search(contents)) or (bool(_DER.match(contents)) and _length(contents) == len(contents))


def is_private_key(path: Path) -> bool:
    """Whether the file `path` holds a private key; False for a larger one than keys are, and for the source of a
    program. Raises OSError."""
    if path.suffix in _SOURCES or not path.is_file() or path.stat().st_size > _LARGEST:
        return False
    return has_private_key(path.read_bytes())


def _length(contents: bytes) -> int:
    """The length of the DER value in `contents`, with its header, in bytes."""
    first = contents[1]
    if first < 0x80:
        return 2 + first
    size = first & 0x7F
    return 2 + size + int.from_bytes(contents[2 : 2 + size], "big")
