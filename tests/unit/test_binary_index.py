# SPDX-License-Identifier: GPL-2.0-only
"""An index that is damaged is an error, and no look-up lasts for ever. (What sound ones say, test_which_modprobe.py
compares with modprobe.)"""

from __future__ import annotations

import random
import struct
from pathlib import Path

import pytest

from kbuildpy.errors import KbuildError
from kbuildpy.kernel.binary_index import BinaryIndex, read_index


def index(nodes: bytes, root: int) -> bytes:
    return struct.pack(">III", 0xB007F457, 0x00020001, root) + nodes


def written(tmp_path: Path, contents: bytes) -> BinaryIndex:
    path = tmp_path / "modules.x.bin"
    path.write_bytes(contents)
    found = read_index(path)
    assert found is not None
    return found


LEAF = struct.pack(">II", 1, 0) + b"value\0"
SOUND = index(b"key\0" + LEAF, 0xC000000C)


def test_finds_a_value(tmp_path: Path) -> None:
    found = written(tmp_path, SOUND)
    assert found.search("key") == "value"
    assert found.search("ke") is found.search("keys") is None
    assert found.search_patterns("key") == ["value"]


def test_there_is_no_index_where_depmod_has_not_run(tmp_path: Path) -> None:
    assert read_index(tmp_path / "none") is None
    (tmp_path / "empty").touch()  # (as depmod writes modules.builtin.bin without an image's list)
    assert read_index(tmp_path / "empty") is None


@pytest.mark.parametrize("contents", [b"\xb0", b"\xb0\x07\xf4\x57", index(b"", 0)[:11], b"x" * 40])
def test_another_file_is_refused(tmp_path: Path, contents: bytes) -> None:
    with pytest.raises(KbuildError, match="index") as caught:
        written(tmp_path, contents)
    assert "depmod" in caught.value.hint


def test_a_node_that_is_its_own_child_ends_the_look_up(tmp_path: Path) -> None:
    # (a child for each of * to +, all of them the node itself, and a value)
    node = bytes([42, 43]) + struct.pack(">II", 0x6000000C, 0x6000000C) + LEAF
    found = written(tmp_path, index(node, 0x6000000C))
    with pytest.raises(KbuildError, match="in a circle"):
        found.search_patterns("anything")


def test_random_damage_is_an_error_or_another_answer(tmp_path: Path) -> None:
    source = random.Random(3)
    refused = 0
    sound = index(b"*a\0" + LEAF + b"k\0" + bytes([97, 98]) + struct.pack(">II", 0xC000000C, 0xC000000C), 0xA000001D)
    for _ in range(2000):
        contents = bytearray(sound)
        for _ in range(source.randint(1, 3)):
            contents[source.randrange(12, len(contents))] = source.randrange(256)
        found = BinaryIndex(tmp_path, bytes(contents), 0xA000001D)
        try:
            found.search("kaxa")
            found.search_patterns("kaxa")
        except KbuildError:
            refused += 1
    assert 100 < refused < 2000
