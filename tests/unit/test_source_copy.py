# SPDX-License-Identifier: GPL-2.0-only
"""Changes of a module directory, for a run that must not carry out the Kbuild file's own rules."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kbuildpy.kbuild.source_copy import changed_sources, copy_sources, is_written, note_sources
from kbuildpy.kbuild.unread import unread_variables


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    place = tmp_path / "module"
    (place / "sub/empty").mkdir(parents=True)
    (place / "Kbuild").write_text("obj-m := a.o\n")
    (place / "sub/a.h").write_text("int a;\n")
    (place / "to_folder").symlink_to("sub")
    (place / "to_nothing").symlink_to("gone")
    os.mkfifo(place / "pipe")
    (place / ".git").mkdir()
    (place / ".git/index").touch()
    return place


def test_knows_what_changed_since_it_was_noted(directory: Path) -> None:
    out = directory / "build"
    note_sources(directory, out)
    assert changed_sources(directory, out) == set()
    (directory / "sub/a.h").write_text("long a;\n")
    (directory / "sub/new.c").touch()
    (directory / "to_nothing").unlink()
    (directory / ".git/index").write_text("other")
    os.mkfifo(directory / "sub/pipe")
    assert changed_sources(directory, out) == {"sub/a.h", "sub/new.c", "to_nothing"}


def test_output_is_no_source_whichever_build_made_it(directory: Path) -> None:
    note_sources(directory, directory / "build")
    for name in ("build", "other"):
        (directory / name / ".kbuildpy").mkdir(parents=True, exist_ok=True)
        (directory / name / ".kbuildpy/notes").touch()
        (directory / name / "a.o").touch()
    (directory / "sub/build").mkdir()
    assert changed_sources(directory, directory / "build") == {"sub/build/"}


def test_a_copy_has_all_sources_and_tells_what_was_written(directory: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    copy = copy_sources(directory, out)
    found = {str(path.relative_to(copy)) for path in copy.rglob("*")}
    assert found == {"Kbuild", "sub", "sub/a.h", "sub/empty", "to_folder", "to_nothing"}
    assert not is_written(directory, out)
    (copy / "sub/made.c").touch()
    assert is_written(directory, out)
    (directory / "sub/a.h").unlink()
    assert not (copy_sources(directory, out) / "sub/a.h").exists()
    assert (copy / "sub/made.c").exists()


def test_a_folder_that_output_lies_in_may_hold_scripts_and_output_does_not(directory: Path) -> None:
    (directory / "tools/.kbuildpy").mkdir(parents=True)
    (directory / "tools/6.1/.kbuildpy").mkdir(parents=True)
    (directory / "tools/6.1/.kbuildpy/notes").touch()
    (directory / "tools/configure").write_text("echo $READ\n")
    (directory / "tools/6.1/configure").write_text("echo $COPIED\n")
    assert unread_variables(["READ", "COPIED"], [], str(directory)) == ["COPIED"]
