# SPDX-License-Identifier: GPL-2.0-only
"""A directory takes the place of another one, also where the file system exchanges none."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from kbuildpy.exchange import put_in_place


@pytest.fixture(params=[True, False], ids=["exchanges", "exchanges nothing"])
def new(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with a file `new`."""

    def refuse(one: Path, other: Path) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link", str(one))

    if not request.param:
        monkeypatch.setattr("kbuildpy.exchange.exchange", refuse)
    made = tmp_path / "beside"
    made.mkdir()
    (made / "new").touch()
    return made


@pytest.mark.parametrize("there", ["nothing", "directory", "link"])
def test_it_takes_the_place_of_what_is_there(there: str, new: Path, tmp_path: Path) -> None:
    place, elsewhere = tmp_path / "place", tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "kept").touch()
    if there == "directory":
        place.mkdir()
        (place / "old").touch()
    elif there == "link":
        place.symlink_to(elsewhere)
    put_in_place(new, place)
    assert not place.is_symlink()
    assert [path.name for path in place.iterdir()] == ["new"]
    assert (elsewhere / "kept").exists()


def test_another_error_leaves_both(new: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(one: Path, other: Path) -> None:
        raise OSError(errno.EIO, "Input/output error", str(one))

    monkeypatch.setattr("kbuildpy.exchange.exchange", fail)
    (tmp_path / "place").mkdir()
    with pytest.raises(OSError, match="Input/output"):
        put_in_place(new, tmp_path / "place")
    assert (new / "new").exists() and (tmp_path / "place").is_dir()
