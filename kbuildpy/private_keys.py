# SPDX-License-Identifier: GPL-2.0-only
"""Recognizes files that hold a private key, which are neither copied nor packed with sources.

A file is one if a line of it begins a PEM block of a private key, or if it is in whole one DER value as PKCS #8,
PKCS #1, SEC 1 or PKCS #12 have it. A PEM block inside a string of a source file does not count.
"""

from __future__ import annotations

import re
from pathlib import Path

_LARGEST = 1 << 18
_PEM = re.compile(rb"^-----BEGIN [A-Z0-9 ]*PRIVATE KEY", re.MULTILINE)
_DER = re.compile(
    rb"\x30(?:[\x00-\x7f]|\x81.|\x82..)"  # a sequence, and its length
    rb"(?:\x02\x01[\x00\x01\x03][\x02\x04\x30]"  # a version, then a number, an octet string or a sequence
    rb"|\x30(?:[\x00-\x7f]|\x81.|\x82..)\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x05)",  # encrypted, by a cipher of PKCS #5
    re.DOTALL,
)


def has_private_key(contents: bytes) -> bool:
    """Whether a file with `contents` holds a private key."""
    return bool(_PEM.search(contents)) or (bool(_DER.match(contents)) and _length(contents) == len(contents))


def is_private_key(path: Path) -> bool:
    """Whether the file `path` holds a private key; False for a larger one than keys are, and for none. Raises
    OSError."""
    return path.is_file() and path.stat().st_size <= _LARGEST and has_private_key(path.read_bytes())


def _length(contents: bytes) -> int:
    """The length of the DER value in `contents`, with its header, in bytes."""
    first = contents[1]
    if first < 0x80:
        return 2 + first
    size = first & 0x7F
    return 2 + size + int.from_bytes(contents[2 : 2 + size], "big")
