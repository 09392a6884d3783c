# SPDX-License-Identifier: GPL-2.0-only
"""The indexes that modprobe asks: `modules.dep.bin`, `modules.alias.bin` and their like.

Counterpart: kmod (libkmod/libkmod-index.c). The files are tries: a node has a prefix, children by their next character,
and values. modprobe reads these and not the texts beside them, which may say something else. The surprise: of a key
with several values the order is that of the values' priorities, and among equals the last one found comes first.

A file may be damaged, or made to be walked for ever: each look-up visits a limited number of nodes.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from kbuildpy.errors import KbuildError
from kbuildpy.files import open_regular
from kbuildpy.kernel.depmod_indexes import KERNELS, State, state_of
from kbuildpy.kernel.shell_pattern import matches

_HEADER = struct.Struct(">III")
_NUMBER = struct.Struct(">I")
_MAGIC, _MAJOR = 0xB007F457, 2
_PREFIX, _VALUES, _CHILDREN = 0x80000000, 0x40000000, 0x20000000
_OFFSET = 0x0FFFFFFF
_LAST_CHILD = 127
_NODES = 500_000
"""Nodes that one look-up visits at most: indexes of a distribution have 100,000."""
_SIZE = 1 << 28
_AGAIN = "make the index again: depmod RELEASE"


class _Node(NamedTuple):
    prefix: bytes
    first: int
    children: tuple[int, ...]
    values: tuple[tuple[int, bytes], ...]


@dataclass(frozen=True)
class BinaryIndex:
    """An index; the methods raise `KbuildError` for one that is damaged."""

    path: Path
    contents: bytes
    root: int

    def search(self, key: str) -> str | None:
        """The first value of `key`; None if there is none."""
        rest = _encoded(key)
        node = self._node(self.root)
        while node is not None:
            if not rest.startswith(node.prefix):
                return None
            rest = rest[len(node.prefix) :]
            if not rest:
                return _decoded(node.values[0][1]) if node.values else None
            node = self._child(node, rest[0])
            rest = rest[1:]
        return None

    def search_patterns(self, key: str) -> list[str]:
        """The values of all keys that are patterns for `key`, or equal, in kmod's order."""
        found: list[tuple[int, bytes]] = []
        rest = _encoded(key)
        node = self._node(self.root)
        budget = [_NODES]
        while node is not None:
            wild = next((at for at, byte in enumerate(node.prefix) if byte in b"*?["), len(node.prefix))
            if not rest.startswith(node.prefix[:wild]):
                break
            rest = rest[wild:]
            if wild < len(node.prefix):
                self._collect(node, node.prefix[wild:], rest, found, budget)
                break
            for special in b"*?[":
                child = self._child(node, special)
                if child is not None:
                    self._collect(child, bytes([special]) + child.prefix, rest, found, budget)
            if not rest:
                _add_all(found, node)
                break
            node = self._child(node, rest[0])
            rest = rest[1:]
        return [_decoded(value) for _, value in found]

    def _collect(
        self, top: _Node, pattern: bytes, name: bytes, found: list[tuple[int, bytes]], budget: list[int]
    ) -> None:
        """Add the values of the nodes below `top` whose keys, from the first special character on, match `name`."""
        text = name.decode("latin-1")
        # (a node's values come after those of its children)
        rest: list[tuple[_Node, bytes, bool]] = [(top, pattern, False)]
        while rest:
            node, key, is_done = rest.pop()
            if is_done:
                if matches(key.decode("latin-1"), text):
                    _add_all(found, node)
                continue
            budget[0] -= 1
            if budget[0] < 0 or len(key) > len(self.contents):
                raise self._damaged("it leads in a circle")
            if node.values:
                rest.append((node, key, True))
            below = []
            for number, offset in enumerate(node.children):
                child = self._node(offset)
                if child is not None:
                    below.append((child, key + bytes([node.first + number]) + child.prefix, False))
            rest += reversed(below)

    def _child(self, node: _Node, byte: int) -> _Node | None:
        number = byte - node.first
        return self._node(node.children[number]) if 0 <= number < len(node.children) else None

    def _node(self, offset: int) -> _Node | None:
        at = offset & _OFFSET
        if at == 0:
            return None
        try:
            return self._read(offset, at)
        except (IndexError, ValueError, struct.error) as error:
            raise self._damaged("a node lies outside of it") from error

    def _read(self, offset: int, at: int) -> _Node:
        contents = self.contents
        prefix = b""
        if offset & _PREFIX:
            end = contents.index(0, at)
            prefix, at = contents[at:end], end + 1
        first, children = 0, ()
        if offset & _CHILDREN:
            first, last = contents[at], contents[at + 1]
            if first > last or last > _LAST_CHILD:
                raise self._damaged("a node has no sound range of children")
            children = struct.unpack_from(f">{last - first + 1}I", contents, at + 2)
            at += 2 + 4 * len(children)
        values: list[tuple[int, bytes]] = []
        if offset & _VALUES:
            (count,) = _NUMBER.unpack_from(contents, at)
            at += 4
            for _ in range(count):
                (priority,) = _NUMBER.unpack_from(contents, at)
                end = contents.index(0, at + 4)
                values.append((priority, contents[at + 4 : end]))
                at = end + 1
        return _Node(prefix, first, children, tuple(values))

    def _damaged(self, why: str) -> KbuildError:
        return KbuildError(f"{self.path}: a damaged index: {why}", hint=_AGAIN)


def read_index(path: Path) -> BinaryIndex | None:
    """The index in the file `path`, read once and again when the file has changed; None if there is none. Raises
    `KbuildError` for a file that is none, or cannot be read."""
    state = state_of(path)
    return None if state is None else _read_index(path, state)


@lru_cache(maxsize=5 * KERNELS)
def _read_index(path: Path, _: State) -> BinaryIndex | None:
    try:
        with os.fdopen(open_regular(path), "rb") as file:
            contents = file.read(_SIZE + 1)
    except OSError as error:
        hint = "read it as another user" if isinstance(error, PermissionError) else ""
        raise KbuildError(f"{path}: {error.strerror}", hint=hint) from error
    if not contents:
        return None  # (depmod writes an empty one where no image's list of what is built in is installed)
    if len(contents) < _HEADER.size or len(contents) > _SIZE:
        raise KbuildError(f"{path}: a damaged index: it has {len(contents)} bytes", hint=_AGAIN)
    magic, version, root = _HEADER.unpack_from(contents)
    if magic != _MAGIC or version >> 16 != _MAJOR:
        raise KbuildError(f"{path}: not an index of modprobe's", hint=_AGAIN)
    return BinaryIndex(path, contents, root)


def _add_all(found: list[tuple[int, bytes]], node: _Node) -> None:
    for priority, value in node.values:
        place = next((at for at, item in enumerate(found) if item[0] >= priority), len(found))
        found.insert(place, (priority, value))


def _encoded(key: str) -> bytes:
    # (nothing behind a zero byte is part of a key)
    return key.encode("utf-8", "surrogateescape").partition(b"\0")[0]


def _decoded(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")
