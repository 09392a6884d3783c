# SPDX-License-Identifier: GPL-2.0-only
"""What is kept of precompiled headers is used while it is what was made, and not otherwise."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

from kbuildpy.kbuild.precompiled import MOD_C, _forget_old, _make, _valid, find_or_make, source_prefix

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")


def test_a_text_that_was_changed_is_not_read_in_place_of_the_headers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # (what was written just before could have been read before that)
    monkeypatch.setattr(time, "time_ns", lambda: time.clock_gettime_ns(time.CLOCK_REALTIME) + 10**9)
    (tmp_path / "own.h").write_text("struct a { int b; };\n")
    (tmp_path / "autoconf.h").touch()
    text = f'#include "{tmp_path}/own.h"\n'
    place = tmp_path / "kept"
    made = _make(
        place, ["gcc"], text, cwd=str(tmp_path), env={"PATH": "/usr/bin:/bin"}, autoconf=f"{tmp_path}/autoconf.h"
    )
    assert made is not None
    header, names = made
    assert str(tmp_path / "own.h") in names
    assert _valid(place, text) is not None
    for changed in ("", text[:-5], text + "int planted;\n"):
        header.write_text(changed)
        assert _valid(place, text) is None
    header.unlink()
    assert _valid(place, text) is None
    header.write_text(text)
    assert _valid(place, text) is not None


def test_headers_that_cannot_be_kept_are_done_without(tmp_path: Path) -> None:
    (tmp_path / "autoconf.h").touch()
    (tmp_path / "own.h").touch()
    place = tmp_path / "kept"
    in_the_way = place / "module.h.gch"
    in_the_way.mkdir(parents=True)
    text = f'#include "{tmp_path}/own.h"\n'

    def found() -> object:
        return find_or_make(
            place, ["gcc"], text, cwd=str(tmp_path), env={"PATH": "/usr/bin:/bin"}, autoconf=f"{tmp_path}/autoconf.h"
        )

    assert [found() for _ in range(4)] == [None] * 4
    assert {path.name for path in place.iterdir()} == {"asked.json", "module.h", "module.h.gch"}
    in_the_way.rmdir()
    assert found() is not None


def test_headers_that_another_build_removes_at_the_same_time_are_not_missed(tmp_path: Path) -> None:
    for number in range(MOD_C.kept + 2):
        (tmp_path / str(number)).mkdir()
    # (gone when it is looked at, as a folder is that was listed before)
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    _forget_old(tmp_path, MOD_C.kept)
    assert len([path for path in tmp_path.iterdir() if path.is_dir()]) == MOD_C.kept


@pytest.mark.parametrize(
    ("source", "prefix"),
    [
        ("#include <a.h>\nint x;\n", "#include <a.h>\n"),
        ("// a word\n/* more\n * of them */\n\n#include <a.h> // why\n", "#include <a.h>\n"),
        ('#define pr_fmt(fmt) "x: " fmt\n#include <a.h>\n', '#define pr_fmt(fmt) "x: " fmt\n#include <a.h>\n'),
        ('#define URL "http://x/*y"\n#include <a.h>\n', '#define URL "http://x/*y"\n#include <a.h>\n'),
        ("#include <a.h>\n# include  <b/c.h>\n", "#include <a.h>\n# include  <b/c.h>\n"),
        # What follows the last header is the source's own.
        ("#include <a.h>\n#define X 1\nint x;\n", "#include <a.h>\n"),
        ('#include <a.h>\n#include "own.h"\n#include <b.h>\n', "#include <a.h>\n"),
        ("#include <a.h>\n#ifdef X\n#include <b.h>\n#endif\n", "#include <a.h>\n"),
        ("#define LONG \\\n 1\n#include <a.h>\n", ""),
        ("#define X 1\nint x;\n", ""),
        ('#include "own.h"\n#include <a.h>\n', ""),
        ("", ""),
        ("/* never ends\n#include <a.h>\n", ""),
    ],
)
def test_a_source_begins_with_its_includes_and_defines(source: str, prefix: str) -> None:
    assert source_prefix(source.encode()) == prefix
