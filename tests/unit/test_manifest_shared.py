# SPDX-License-Identifier: GPL-2.0-only
"""A manifest to which several processes add lines."""

from __future__ import annotations

import json
from pathlib import Path

from kbuildpy.signing.manifest import Manifest, ManifestLine, read_manifest


def line(name: str, *, key: str | None = "key.pem") -> ManifestLine:
    """A line about a module that was signed."""
    fields = ("name", "serial", "id", "sha256", "rsa", "2026-01-01T00:00:00+00:00")
    return ManifestLine(name, "00" * 32, "11" * 32, *fields, key=key, host=None if key is None else "here")


def test_a_line_that_another_process_left_half_is_removed_before_the_next(tmp_path: Path) -> None:
    path = tmp_path / "manifest"
    first, second = Manifest(path), Manifest(path)
    first.add(line("a.ko"))
    with path.open("ab") as file:
        file.write(json.dumps({"path": "b.ko"}).encode()[:-3])
    second.add(line("c.ko"))
    first.add(line("d.ko"))
    for each in (first, second):
        each.close()
    assert [each.path for each in read_manifest(path)] == ["a.ko", "c.ko", "d.ko"]


def test_what_another_process_has_said_meanwhile_is_not_said_again(tmp_path: Path) -> None:
    path = tmp_path / "manifest"
    first, second = Manifest(path), Manifest(path)
    first.add(line("a.ko"))
    # (found signed: nothing is known of the key)
    second.add(line("a.ko", key=None))
    second.add(line("a.ko"))
    assert second.sha256_after("a.ko") == "11" * 32
    for each in (first, second):
        each.close()
    assert [each.key for each in read_manifest(path)] == ["key.pem"]
