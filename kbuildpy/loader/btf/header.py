# SPDX-License-Identifier: GPL-2.0-only
"""The header of type information, and the parts that it names: kernel/bpf/btf.c: btf_parse_hdr, btf_check_sec_info,
btf_parse_str_sec."""

from __future__ import annotations

import struct
from functools import cmp_to_key
from typing import NamedTuple

from kbuildpy.kernel.release import Version
from kbuildpy.loader import since
from kbuildpy.loader.btf.invalid import verifier_log

MAGIC, VERSION = 0xEB9F, 1
MAX_NAME_OFFSET = 0xFFFFFF
_UNKNOWN_BYTES = "it has bytes that belong to none of its parts"


class BtfHeader(NamedTuple):
    """struct btf_header; its offsets count from the end of the header."""

    magic: int
    version: int
    flags: int
    hdr_len: int
    type_off: int
    type_len: int
    str_off: int
    str_len: int
    layout_off: int
    layout_len: int


LAYOUT = "<HBBIIIIIII"


class Parts(NamedTuple):
    """The two sections of type information."""

    types: memoryview
    """The bytes of the types, not copied."""
    strings: bytes
    """The NUL-terminated names."""


def parse_header(contents: bytes, version: Version, *, is_split: bool) -> Parts:
    """Return the types and strings in `contents`; `is_split`: their numbers and offsets continue those of a base.

    Raises `InvalidBtf` for an invalid header.
    """
    size = struct.calcsize(LAYOUT) if version >= since.BTF_LAYOUT else struct.calcsize(LAYOUT) - 8
    if len(contents) < 8:
        raise verifier_log("EINVAL", "hdr_len not found", why="the section is too short to have a header")
    length = int.from_bytes(contents[4:8], "little")
    if len(contents) < length:
        raise verifier_log("EINVAL", "btf_header not found", why="the header is to be longer than the section")
    if any(contents[size:length]):
        raise verifier_log("E2BIG", "Unsupported btf_header", why="the header is longer than this kernel knows it")
    header = BtfHeader(*struct.unpack(LAYOUT, contents[: min(length, size)].ljust(struct.calcsize(LAYOUT), b"\0")))
    if header.magic != MAGIC:
        raise verifier_log(
            "EINVAL", "Invalid magic", why="it does not begin as type information does, or has the other byte order"
        )
    if header.version != VERSION:
        raise verifier_log(
            "ENOTSUPP", "Unsupported version", why="it is of a version of the format that this kernel does not know"
        )
    if header.flags:
        raise verifier_log("ENOTSUPP", "Unsupported flags", why="its header has flags that this kernel does not know")
    if not is_split and len(contents) == length:
        raise verifier_log("EINVAL", "No data", why="there is nothing behind the header")
    _check_sections(header, size, len(contents) - length)
    _check_strings(header, size, contents, is_split=is_split)
    types, strings = header.hdr_len + header.type_off, header.hdr_len + header.str_off
    return Parts(memoryview(contents)[types : types + header.type_len], contents[strings : strings + header.str_len])


def _compared(one: tuple[int, int], other: tuple[int, int]) -> int:
    """Compare two sections by offset, then length, as btf_sec_info_cmp does: the kernel takes the difference of two
    unsigned 32-bit numbers for a signed one, so a difference of 2 GiB or more is negative."""
    offset, length = ((a - b) & 0xFFFFFFFF for a, b in zip(one, other, strict=True))
    difference = offset or length
    return difference - (1 << 32) if difference >> 31 else difference


def _check_sections(header: BtfHeader, size: int, expected: int) -> None:
    parts = [(header.type_off, header.type_len), (header.str_off, header.str_len)]
    if header.hdr_len >= size and header.layout_len:
        parts.append((header.layout_off, header.layout_len))
    total = 0
    for offset, length in sorted(parts, key=cmp_to_key(_compared)):
        if expected < offset:
            raise verifier_log("EINVAL", "Invalid section offset", why="a part of it begins behind its end")
        if total < offset:
            raise verifier_log("EINVAL", "Unsupported section found", why=_UNKNOWN_BYTES)
        if total > offset:
            raise verifier_log("EINVAL", "Section overlap found", why="two parts of it overlap")
        if expected - total < length:
            raise verifier_log("EINVAL", "Total section length too long", why="a part of it ends behind its end")
        total += length
    if expected != total:
        raise verifier_log("EINVAL", "Unsupported section found", why=_UNKNOWN_BYTES)


def _check_strings(header: BtfHeader, size: int, contents: bytes, *, is_split: bool) -> None:
    start = header.hdr_len + header.str_off
    end = start + header.str_len
    has_layout = size > 24 and header.hdr_len >= size
    if not has_layout and end != len(contents):
        raise verifier_log("EINVAL", "String section is not at the end", why="the strings are not its last part")
    if is_split and not header.str_len:
        return
    if not header.str_len or header.str_len - 1 > MAX_NAME_OFFSET or contents[end - 1]:
        raise verifier_log("EINVAL", "Invalid string section", why="the strings are missing, too long, or do not end")
    if not is_split and contents[start]:
        raise verifier_log("EINVAL", "Invalid string section", why="the strings do not begin with the empty one")
