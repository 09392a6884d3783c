# SPDX-License-Identifier: GPL-2.0-only
"""Damage to DER: to the fields of signatures, certificates and keys, so that what is around them still fits."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

TAGS = (1, 2, 3, 4, 5, 6, 0x0A, 0x0C, 0x13, 0x14, 0x17, 0x18, 0x1F, 0x30, 0x31, 0x80, 0x81, 0xA0, 0xA1, 0xA3, 0xBF)
CONTENTS = (
    *(b"", b"\0", b"\xff", b"\x80", b"\x00" * 40, b"\xff" * 600, b"\x06\x01", b"\x2a\x86\x48", b"\x80" * 50),
    *(b"19700101000000Z", b"99991231235959Z", b"700229000000Z", b"\x7f" * 5000, b"a" * 200_000, b"\xff\xff\xff\xff"),
)
LENGTHS = (b"\x80", b"\x84\xff\xff\xff\xff", b"\x88" + b"\x7f" * 8, b"\x81\x01", b"\xff", b"")


@dataclass
class Node:
    """A value: its tag, and its contents, in parts if it is built of others."""

    tag: int
    contents: bytes = b""
    parts: list[Node] = field(default_factory=list)
    length: bytes | None = None
    """Other octets for the length than the right ones."""

    def encoded(self) -> bytes:
        """The octets."""
        inner = b"".join(part.encoded() for part in self.parts) if self.parts else self.contents
        return bytes([self.tag & 0xFF]) + (_length(len(inner)) if self.length is None else self.length) + inner


def _length(size: int) -> bytes:
    if size < 0x80:
        return bytes([size])
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([0x80 | len(octets)]) + octets


def _parsed(contents: bytes) -> list[Node]:
    """The values that `contents` consists of; raises `ValueError` if it is anything else."""
    nodes = []
    at = 0
    while at < len(contents):
        if at + 2 > len(contents):
            raise ValueError
        tag, size = contents[at], contents[at + 1]
        at += 2
        if size & 0x80:
            octets = size & 0x7F
            size = int.from_bytes(contents[at : at + octets], "big")
            at += octets
        inner = contents[at : at + size]
        if len(inner) != size:
            raise ValueError
        at += size
        node = Node(tag, inner)
        if tag & 0x20 or tag == 4:  # (an octet string holds extensions and keys)
            try:
                node.parts = _parsed(inner)
            except ValueError:
                node.parts = []
        nodes.append(node)
    return nodes


def _all(nodes: list[Node]) -> list[tuple[list[Node], int]]:
    """Every value within `nodes`: the list that it is in, and its place there."""
    found = []
    for number, node in enumerate(nodes):
        found.append((nodes, number))
        found += _all(node.parts)
    return found


def damaged_der(contents: bytes, chance: Random) -> bytes:
    """`contents`, which is DER, with one to four of its values changed."""
    nodes = _parsed(contents)
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        places = _all(nodes)
        if not places:
            break
        around, at = chance.choice(places)
        _damage(around, at, chance.choice(places), chance)
    return b"".join(node.encoded() for node in nodes)


def _damage(around: list[Node], at: int, other: tuple[list[Node], int], chance: Random) -> None:
    """Change the value at `around[at]`; `other` is the place of another one."""
    node = around[at]
    what = chance.randrange(9)
    if what == 0:
        node.tag = chance.choice(TAGS)
    elif what == 1:
        node.parts, node.contents = [], chance.choice(CONTENTS)
    elif what == 2 and not node.parts and node.contents:
        changed = bytearray(node.contents)
        changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
        node.contents = bytes(changed)
    elif what == 3:
        del around[at]
    elif what == 4:
        around[at:at] = [node] * chance.choice((1, 1, 50, 2000))
    elif what == 5:
        # (a copy of what is there: a value may not come to lie within itself)
        around[at] = Node(other[0][other[1]].tag, other[0][other[1]].encoded()[2:])
    elif what == 6:
        inner = node.encoded()
        for _ in range(chance.choice((1, 20, 3000))):
            inner = b"\x30" + _length(len(inner)) + inner
        around[at] = Node(0x30, inner)
    elif what == 7:
        node.length = chance.choice(
            (b"\x80", b"\x84\xff\xff\xff\xff", b"\x88" + b"\x7f" * 8, b"\x81\x01", b"\xff", b"")
        )
    else:
        node.parts, node.contents = [], node.contents[: chance.randrange(len(node.contents) + 1)]
