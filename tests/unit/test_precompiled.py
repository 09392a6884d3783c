# SPDX-License-Identifier: GPL-2.0-only
"""What is kept of precompiled headers is used while it is what was made, and not otherwise."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from kbuildpy.kbuild.precompiled import _make, _valid

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")


def test_a_text_that_was_changed_is_not_read_in_place_of_the_headers(tmp_path: Path) -> None:
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
