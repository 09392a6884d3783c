# SPDX-License-Identifier: GPL-2.0-only
"""The note of a build with nothing to do: which states of files it accepts."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from kbuildpy.kbuild.finished_build import (
    AskedAgain,
    FinishedBuild,
    find_finished,
    note_finished,
    noted_files,
    states_before,
)
from kbuildpy.kernel.cache import read_json, write_json

NEVER = 1 << 62


def noted(folder: Path, *files: Path, folders: tuple[Path, ...] = ()) -> Path:
    states = states_before(NEVER, map(str, files), map(str, folders))
    assert states is not None
    again = [AskedAgain("/tree", (("W", "1"),), "/directory", "/out", "digest")]
    note = folder / "finished-note"
    note_finished(note, "key", FinishedBuild([("stdout", "said\n")], states, sorted(map(str, folders)), again))
    return note


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    found = [tmp_path / "a", tmp_path / "folder/b"]
    for path in found:
        path.parent.mkdir(exist_ok=True)
        path.write_text("text")
    return found


def test_what_was_noted_is_found_by_its_key_alone(tmp_path: Path, files: list[Path]) -> None:
    note = noted(tmp_path, *files, tmp_path / "absent")
    found = find_finished(note, "key")
    assert found is not None
    assert [tuple(item) for item in found.printed] == [("stdout", "said\n")]
    assert found.asked_again[0].plan == "digest"
    assert find_finished(note, "another") is None
    assert find_finished(tmp_path / "no_note", "key") is None


@pytest.mark.parametrize(
    "damage",
    [
        [],
        {},
        {"files": None},
        {"files": ["a"]},
        {"folders": 5},
        {"folders": [[]]},
        {"printed": 1, "files": {"a\0": []}},
    ],
)
def test_a_note_of_another_form_is_none(damage: Any, tmp_path: Path, files: list[Path]) -> None:
    note = noted(tmp_path, *files)
    value = read_json(note)
    write_json(note, {**value, **damage} if damage else damage)
    assert find_finished(note, "key") is None
    assert noted_files(tmp_path) <= {*value["files"], "a\0"}


def test_every_difference_counts(tmp_path: Path, files: list[Path]) -> None:
    first, second = files
    absent = tmp_path / "absent"

    def replace_it() -> None:
        status = first.stat()
        (tmp_path / "new").write_text("TEXT")
        os.utime(tmp_path / "new", ns=(status.st_atime_ns, status.st_mtime_ns))
        (tmp_path / "new").replace(first)

    def link_it() -> None:
        first.rename(tmp_path / "kept")
        first.symlink_to(second)

    for change in (
        replace_it,
        lambda: os.utime(first, (1, 1)),
        lambda: first.write_text("longer text"),
        lambda: first.chmod(0o600),
        second.unlink,
        absent.touch,
        link_it,
    ):
        note = noted(tmp_path, first, second, absent)
        assert find_finished(note, "key") is not None
        time.sleep(0.02)
        change()
        assert find_finished(note, "key") is None


def test_of_a_directory_the_names_count_only_where_they_decide(tmp_path: Path, files: list[Path]) -> None:
    folder = tmp_path / "folder"
    listed = noted(tmp_path, folders=(folder,)).rename(tmp_path / "listed")
    there = noted(tmp_path, folder)
    time.sleep(0.02)
    (folder / "new").touch()
    assert find_finished(there, "key") is not None
    assert find_finished(listed, "key") is None


def test_a_file_that_changed_while_the_build_ran_is_not_noted(tmp_path: Path, files: list[Path]) -> None:
    time.sleep(0.03)
    began = time.time_ns()
    assert states_before(began, map(str, files), []) is not None
    files[0].write_text("text")
    assert states_before(began, map(str, files), []) is None
    # A file from elsewhere keeps its old time of modification.
    os.utime(files[0], (1, 1))
    assert states_before(began, map(str, files), []) is None
    (tmp_path / "new").touch()
    assert states_before(began, [], [str(tmp_path)]) is None
    assert states_before(began, [str(tmp_path)], []) is not None


@pytest.mark.parametrize("state", [[], ["a"], [1, 2, 3, 4, 5], None])
def test_states_of_another_form_never_fit(tmp_path: Path, files: list[Path], state: object) -> None:
    note = tmp_path / "note"
    note_finished(note, "key", FinishedBuild([], {str(files[0]): state}, [], []))  # type: ignore[dict-item]
    assert find_finished(note, "key") is None
