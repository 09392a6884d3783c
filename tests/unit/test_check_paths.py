# SPDX-License-Identifier: GPL-2.0-only
"""Directories and names that Kbuild, make or SCons cannot work with are refused, and no others."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kbuildpy.errors import UsageError
from kbuildpy.kbuild.check_paths import (
    check_directory_name,
    check_encoding,
    check_kbuild_file,
    check_output_name,
    check_pattern,
)

NOT_UTF_8 = os.fsdecode(b"b\xff")
SYNTAX = [(" ", "a space"), ("\t", "a tab"), ("\n", "a newline"), *((char, f"'{char}'") for char in ",$#()<>;&|`'\"\\")]


def made(path: Path) -> Path:
    path.mkdir()
    return path


def test_a_directory_and_an_output_of_a_plain_name_are_taken(tmp_path: Path) -> None:
    plain = made(tmp_path / "drv-1.2_x+y=z@~é")
    for check in (check_directory_name, check_pattern, check_output_name):
        check(plain)


@pytest.mark.parametrize(("character", "word"), [*SYNTAX, (":", "':'"), ("%", "'%'")])
def test_a_directory_whose_name_make_or_the_shell_takes_for_syntax_is_refused(
    character: str, word: str, tmp_path: Path
) -> None:
    """Of `:` and `%` the kernel's own top Makefile says so (its checks of KBUILD_EXTMOD)."""
    place = made(made(tmp_path / f"a{character}b") / "drv")
    with pytest.raises(UsageError) as refused:
        check_directory_name(place)
    assert refused.value.message == f"{place}: the path contains {word}: Kbuild cannot build there"
    assert refused.value.hint


@pytest.mark.parametrize(("character", "word"), SYNTAX)
def test_an_output_that_the_shell_takes_for_syntax_is_refused(character: str, word: str, tmp_path: Path) -> None:
    out = tmp_path / f"a{character}b" / "out"
    with pytest.raises(UsageError) as refused:
        check_output_name(out)
    assert refused.value.message == f"{out}: the path contains {word}: Kbuild's commands cannot write there"


@pytest.mark.parametrize("character", [":", "%"])
def test_an_output_may_have_what_only_makes_syntax_has(character: str, tmp_path: Path) -> None:
    """Make is told nothing of it: names in commands are replaced before they run."""
    check_output_name(tmp_path / f"a{character}b" / "out")


def test_a_directory_that_is_none_is_refused_and_a_similar_one_is_offered(tmp_path: Path) -> None:
    made(tmp_path / "driver")
    (tmp_path / "file").touch()
    with pytest.raises(UsageError) as refused:
        check_directory_name(tmp_path / "drivr")
    assert refused.value.message == f"{tmp_path}/drivr: no such directory"
    assert refused.value.hint == "did you mean driver?"
    with pytest.raises(UsageError) as refused:
        check_directory_name(tmp_path / "file")
    assert refused.value.message == f"{tmp_path}/file: not a directory"
    assert refused.value.hint == "name the directory that holds the module's Kbuild file or Makefile"


def test_an_output_that_is_a_file_or_below_one_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    for out in (file, file / "below" / "out"):
        with pytest.raises(UsageError) as refused:
            check_output_name(out)
        assert refused.value.message == f"{file}: not a directory, so nothing can be built in {out}"


@pytest.mark.parametrize(
    ("name", "others", "matches"),
    [
        ("a[bc]", ["ab", "ac"], "PLACE/ab, PLACE/ac"),
        ("a?", ["ab"], "PLACE/ab"),
        ("a*", ["ab"], "PLACE/ab"),
        ("a[bc]", [], "nothing"),
    ],
)
def test_a_directory_that_make_would_take_for_others_is_refused(
    name: str, others: list[str], matches: str, tmp_path: Path
) -> None:
    place = made(tmp_path / name)
    for other in others:
        made(tmp_path / other)
    with pytest.raises(UsageError) as refused:
        check_pattern(place)
    matches = matches.replace("PLACE", str(tmp_path))
    assert refused.value.message == f"{place}: make takes the path for a pattern, which matches {matches}"


def test_a_directory_whose_pattern_matches_itself_alone_is_taken(tmp_path: Path) -> None:
    for name in ("a*", "b?"):
        check_pattern(made(tmp_path / name))


def test_a_name_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    check_encoding("größe")
    for check in (check_directory_name, check_output_name, lambda path: check_encoding(str(path))):
        place = tmp_path / NOT_UTF_8
        place.mkdir(exist_ok=True)
        with pytest.raises(UsageError) as refused:
            check(place)
        assert refused.value.message == f"{tmp_path}/b\N{REPLACEMENT CHARACTER}: the name is not UTF-8"


def test_a_kbuild_file_is_one_of_two_names(tmp_path: Path) -> None:
    made(tmp_path / "Kbuild")
    with pytest.raises(UsageError, match="no Kbuild file here"):
        check_kbuild_file(tmp_path)
    (tmp_path / "Makefile").touch()
    check_kbuild_file(tmp_path)
    (tmp_path / "Kbuild").rmdir()
    (tmp_path / "Makefile").rename(tmp_path / "Kbuild")
    check_kbuild_file(tmp_path)
