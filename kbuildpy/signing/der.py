# SPDX-License-Identifier: GPL-2.0-only
"""The little DER that has to be read as bytes: the kernel compares names and serial numbers as they are encoded."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

_COMMON_NAME = b"\x55\x04\x03"
_ORGANIZATION = b"\x55\x04\x0a"
_ENCODINGS = {0x1E: "utf-16-be", 0x1C: "utf-32-be", 0x14: "latin-1"}


class Element(NamedTuple):
    """One element: its tag, and where its value begins and ends."""

    tag: int
    start: int
    end: int


def element(der: bytes, offset: int, limit: int | None = None) -> Element:
    """The element at `offset`; `ValueError` if it does not end before `limit` (default: the end of `der`)."""
    limit = len(der) if limit is None else limit
    if offset + 2 > limit:
        raise ValueError("it ends in the middle of an element")
    tag, length, start = der[offset], der[offset + 1], offset + 2
    if length & 0x80:
        size = length & 0x7F
        if not 1 <= size <= 4 or start + size > limit:
            raise ValueError("an element has no definite length")
        length = int.from_bytes(der[start : start + size], "big")
        start += size
    if start + length > limit:
        raise ValueError("an element is longer than what it is in")
    return Element(tag, start, start + length)


def elements(der: bytes, start: int, end: int) -> list[Element]:
    """The elements that lie between `start` and `end`, one after the other."""
    found = []
    while start < end:
        found.append(element(der, start, end))
        start = found[-1].end
    return found


@lru_cache(maxsize=256)
def common_name(name: bytes) -> str:
    """What a distinguished name (the value of its element) is called: its first common name, else its organization.

    (kmod's libkmod-signature.c: x509_name_to_str)
    """
    values: dict[bytes, str] = {}
    try:
        for relative in elements(name, 0, len(name)):
            for pair in elements(name, relative.start, relative.end):
                kind, value = elements(name, pair.start, pair.end)
                text = name[value.start : value.end].decode(_ENCODINGS.get(value.tag, "utf-8"), errors="replace")
                values.setdefault(name[kind.start : kind.end], text)
    except ValueError:
        return ""
    return values.get(_COMMON_NAME, values.get(_ORGANIZATION, ""))


@lru_cache(maxsize=256)
def is_name(name: bytes) -> bool:
    """Whether the value of a distinguished name is built like one (crypto/asymmetric_keys/pkcs7.asn1: Name)."""
    try:
        for relative in elements(name, 0, len(name)):
            for pair in elements(name, relative.start, relative.end):
                kind, _ = elements(name, pair.start, pair.end)
                if (relative.tag, pair.tag, kind.tag) != (0x31, 0x30, 0x06):
                    return False
    except ValueError:
        return False
    return True


def integer(value: int) -> bytes:
    """The value of an INTEGER element."""
    return value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True)
