# SPDX-License-Identifier: GPL-2.0-only
"""What lies where a file is to be replaced, or is named as one, and is not what it should be."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kbuildpy.cli import main
from kbuildpy.errors import KbuildError
from kbuildpy.files import open_regular, read_regular, replacing
from kbuildpy.scons.actions import write_text
from kbuildpy.signing import manifest
from kbuildpy.signing.manifest import Manifest, read_manifest
from tests.support.manifests import ENTRY

ODD_FILES = [
    b"one line, and no newline",
    b"a line\nanother, and no newline",
    b'{"path": "src", "compilerOptions": {}}',
    b'{"name": "x"',
    b"\x7fELF\x02",
    b"\0" * 100,
    b"x" * (3 << 20),
]


@pytest.mark.parametrize("contents", ODD_FILES, ids=lambda contents: repr(contents[:20]))
def test_a_file_that_is_no_manifest_is_left_as_it_is(contents: bytes, tmp_path: Path) -> None:
    path = tmp_path / "notes"
    path.write_bytes(contents)
    with pytest.raises(KbuildError, match="not a line of a manifest"):
        Manifest(path)
    assert path.read_bytes() == contents


def entry(name: str) -> dict[str, Any]:
    return {**ENTRY, "path": name}


def test_half_a_line_of_ours_gives_way_and_a_whole_one_without_its_end_stays(tmp_path: Path) -> None:
    path = tmp_path / "manifest"
    whole = json.dumps(entry("a")).encode()
    for cut in range(1, len(whole)):
        path.write_bytes(whole + b"\n" + whole[:cut])
        Manifest(path).close()
        assert path.read_bytes() == whole + b"\n"
    path.write_bytes(whole + b"\n" + json.dumps(entry("b")).encode())
    assert [item.path for item in read_manifest(path)] == ["a", "b"]
    Manifest(path).close()
    assert path.read_bytes().count(b"\n") == 2
    assert [item.path for item in read_manifest(path)] == ["a", "b"]


def test_a_manifest_that_is_exchanged_while_it_is_opened_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, other = tmp_path / "manifest", tmp_path / "other"
    path.write_text(json.dumps(entry("a")) + "\n")
    contents = json.dumps(entry("b")).encode() + b"\n" + json.dumps(entry("c")).encode()[:9]
    other.write_bytes(contents)

    def opened(*arguments: Any) -> int:
        descriptor = open_regular(*arguments)
        if other.exists():
            other.rename(path)
        return descriptor

    monkeypatch.setattr(manifest, "open_regular", opened)
    made = Manifest(path)
    made.close()
    assert made.sha256_after("a") is not None and made.sha256_after("b") is None
    assert path.read_bytes() == contents


def test_a_manifest_is_whole_when_it_is_put_on_the_disk_and_closed_if_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "manifest"
    path.write_text(json.dumps(entry("a")))
    synced: list[int] = []

    def fsync(descriptor: int) -> None:
        synced.append(os.fstat(descriptor).st_size)
        raise OSError("the disk fails")

    monkeypatch.setattr(os, "fsync", fsync)
    made = Manifest(path)
    with pytest.raises(KbuildError, match=f"^{path}: the disk fails"):
        made.close()
    # (with the end that its last line was without)
    assert synced == [len(json.dumps(entry("a"))) + 1]
    assert made._file.closed


@pytest.mark.parametrize("name", ["fifo", "/dev/full", "/dev/zero", "/dev/null", "directory"])
def test_what_is_no_file_is_no_manifest(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "directory").mkdir()
    place = tmp_path / name
    with pytest.raises(OSError, match=r"regular file|directory"):
        Manifest(place)
    assert main(["verify", "--manifest", str(place)]) == 1
    assert str(place) in capsys.readouterr().err


def test_a_manifest_that_names_a_device_is_not_read_without_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    os.mkfifo(tmp_path / "fifo")
    lines = [{**entry(name), "signer": None} for name in ("/dev/zero", str(tmp_path / "fifo"))]
    (tmp_path / "manifest").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    assert main(["verify", "--manifest", str(tmp_path / "manifest")]) == 1
    said = capsys.readouterr().err
    assert "/dev/zero: not a regular file" in said
    assert "fifo: not a regular file" in said


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(OSError, match="not a regular file"):
        read_regular(tmp_path / "fifo")


def test_what_a_kill_left_is_taken_over(tmp_path: Path) -> None:
    (tmp_path / ".a.new~").write_bytes(b"half of it")
    with replacing(tmp_path / "a") as slot:
        slot.write(b"whole")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a": b"whole"}


def planted(directory: Path, kind: str) -> None:
    beside = directory / ".a.new~"
    (directory / "theirs").write_bytes(b"precious")
    if kind == "link":
        beside.symlink_to("theirs")
    elif kind == "hard link":
        os.link(directory / "theirs", beside)
    elif kind == "fifo":
        os.mkfifo(beside)
    elif kind == "somebody else's":
        if os.geteuid() != 0:
            pytest.skip("only root can give a file away")
        beside.write_bytes(b"")
        os.chown(beside, 1000, 1000)


@pytest.mark.parametrize("kind", ["link", "hard link", "fifo", "somebody else's"])
def test_a_file_that_was_laid_in_the_way_is_not_written(kind: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"before")
    planted(tmp_path, kind)
    with pytest.raises(OSError, match=r"in the way|symbolic links"), replacing(tmp_path / "a") as slot:
        slot.write(b"after")
    assert (tmp_path / "a").read_bytes() == b"before"
    assert (tmp_path / "theirs").read_bytes() == b"precious"


def test_the_replacement_of_somebodys_file_can_be_taken_over(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    (tmp_path / "a").write_bytes(b"before")
    (tmp_path / ".a.new~").write_bytes(b"killed after it got its owner")
    for name in ("a", ".a.new~"):
        os.chown(tmp_path / name, 1000, 1000)
    with replacing(tmp_path / "a") as slot:
        slot.write(b"after")
    assert (tmp_path / "a").read_bytes() == b"after"
    assert (tmp_path / "a").stat().st_uid == 1000
    assert stat.S_ISREG((tmp_path / "a").lstat().st_mode)


def test_a_target_that_is_text_stays_as_it_was_when_it_cannot_be_written(tmp_path: Path) -> None:
    path = tmp_path / "folder/a.mod.c"
    node = SimpleNamespace(get_abspath=lambda: str(path))
    write_text(node, "caf\udcff\n")
    assert path.read_bytes() == b"caf\xff\n"
    with pytest.raises(UnicodeEncodeError):
        write_text(node, "new \ud800\n")
    assert path.read_bytes() == b"caf\xff\n"
    assert [item.name for item in path.parent.iterdir()] == ["a.mod.c"]
