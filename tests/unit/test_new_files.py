# SPDX-License-Identifier: GPL-2.0-only
"""Files that are made all or none, and take nobody's place."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from kbuildpy.errors import KbuildError
from kbuildpy.new_files import NewFile, write_new

SECRET = NewFile(Path("key"), b"secret", 0o600)


def files(directory: Path) -> list[NewFile]:
    return [NewFile(directory / "key", b"secret", 0o600), NewFile(directory / "cert", b"public")]


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def test_gives_each_file_its_mode_from_the_first_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[tuple[int, int]] = []
    real = os.open

    def spy(path: Any, flags: int, mode: int = 0o777, **others: Any) -> int:
        descriptor = real(path, flags, mode, **others)
        if flags & os.O_CREAT:
            opened.append((flags & os.O_EXCL, os.fstat(descriptor).st_mode & 0o777))
        return descriptor

    before = os.umask(0o022)
    try:
        monkeypatch.setattr(os, "open", spy)
        write_new(files(tmp_path))
    finally:
        os.umask(before)
    assert opened == [(os.O_EXCL, 0o600), (os.O_EXCL, 0o644)]
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in ("key", "cert")] == [0o600, 0o644]
    assert contents(tmp_path) == {"key": b"secret", "cert": b"public"}


@pytest.mark.parametrize("taken", ["key", "cert"])
def test_leaves_a_file_that_is_there_and_makes_none(tmp_path: Path, taken: str) -> None:
    (tmp_path / taken).write_bytes(b"older")
    with pytest.raises(KbuildError, match=f"{taken}: exists already") as raised:
        write_new(files(tmp_path))
    assert "--force" in raised.value.hint
    assert contents(tmp_path) == {taken: b"older"}


def test_does_not_follow_a_link_that_leads_nowhere(tmp_path: Path) -> None:
    (tmp_path / "key").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(KbuildError, match="exists already"):
        write_new(files(tmp_path))
    assert not (tmp_path / "elsewhere").exists()


def test_leaves_a_file_that_somebody_makes_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.link

    def late(source: Any, target: Path) -> None:
        if target.name == "cert":
            target.write_bytes(b"theirs")
        real(source, target)

    monkeypatch.setattr(os, "link", late)
    with pytest.raises(KbuildError, match="cert: exists already"):
        write_new(files(tmp_path))
    assert contents(tmp_path) == {"cert": b"theirs"}


def test_force_replaces_a_file_and_a_link_but_not_what_that_leads_to(tmp_path: Path) -> None:
    (tmp_path / "cert").write_bytes(b"older")
    (tmp_path / "cert").chmod(0o666)
    (tmp_path / "elsewhere").write_bytes(b"mine")
    (tmp_path / "key").symlink_to(tmp_path / "elsewhere")
    write_new(files(tmp_path), force=True)
    assert contents(tmp_path) == {"key": b"secret", "cert": b"public", "elsewhere": b"mine"}
    assert (tmp_path / "key").lstat().st_mode & 0o777 == 0o600


def test_leaves_nothing_behind_when_the_disk_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []

    def fsync(descriptor: int) -> None:
        synced.append(descriptor)
        if len(synced) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(OSError, match="No space"):
        write_new(files(tmp_path))
    assert contents(tmp_path) == {}


def test_names_the_file_and_not_our_own_one_beside_it(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file") as raised:
        write_new(files(tmp_path / "none"))
    assert raised.value.filename == str(tmp_path / "none/key")


@pytest.mark.parametrize("taken", [False, True])
def test_does_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, taken: bool) -> None:
    def link(source: Any, target: Path) -> None:
        if taken and target.name == "cert":
            target.write_bytes(b"theirs")
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", link)
    if taken:
        with pytest.raises(FileExistsError):
            write_new(files(tmp_path))
        assert contents(tmp_path) == {"cert": b"theirs"}
    else:
        write_new(files(tmp_path))
        assert contents(tmp_path) == {"key": b"secret", "cert": b"public"}
        assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600


def test_does_not_show_what_is_in_a_file() -> None:
    assert "secret" not in repr(SECRET)
