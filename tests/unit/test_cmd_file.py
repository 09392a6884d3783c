# SPDX-License-Identifier: GPL-2.0-only
"""The `.cmd` file of an object; the counterpart is fixdep, whose rules (scripts/basic/fixdep.c) the values follow."""

from __future__ import annotations

from pathlib import Path

import pytest

from kbuildpy.kbuild.cmd_file import (
    CmdFile,
    cmd_file_of,
    format_cmd_file,
    mentioned_symbols,
    own_contents,
    parse_cmd_file,
    read_depfile,
)

FORMATTED = r"""savedcmd_m/a.o := gcc -DA="$$x" $(pound) -c

source_m/a.o := m/a.c

deps_m/a.o := \
    $(wildcard include/config/A) \
    $(wildcard include/config/B) \
  m/own.h \
  include/net.h \

m/a.o: $(deps_m/a.o)

$(deps_m/a.o):

#CONTENTS 0123
"""


def test_a_cmd_file_has_fixdeps_format_and_reads_back_as_it_was() -> None:
    made_from = CmdFile("m/a.c", ("m/own.h", "include/net.h"), frozenset({"B", "A"}), "0123")
    assert format_cmd_file(made_from, target="m/a.o", command=' gcc -DA="$x" # -c\n') == FORMATTED
    assert parse_cmd_file(FORMATTED) == made_from


def test_a_cmd_file_without_dependencies_reads_back_as_it_was() -> None:
    made_from = CmdFile("a.c", (), frozenset(), "4567")
    assert parse_cmd_file(format_cmd_file(made_from, target="a.o", command="gcc")) == made_from


def test_a_symbol_is_a_whole_word_and_a_module_is_no_symbol_of_its_own() -> None:
    """fixdep.c: parse_config_file, and use_config for a name of which `_MODULE` leaves nothing."""
    text = b"CONFIG_B_MODULE XCONFIG_NO _CONFIG_NO CONFIG_ CONFIG__MODULE\nCONFIG_A-1 $CONFIG_D CONFIG_E_MODULES"
    assert mentioned_symbols(text) == {"A", "B", "D", "E_MODULES"}


# A depfile that GCC writes for a header that it found in two ways, and once more.
DEPFILE = "a.o: a.c \\\n h.h ./h.h include/generated/autoconf.h h.h x\\#y.h a\\ b.h c$$d.h\n\nh.h:\n\nx\\#y.h:\n"


@pytest.mark.parametrize(
    ("repeats", "headers"),
    [
        (True, ["h.h", "./h.h", "h.h", "x#y.h", "a b.h", "c$d.h"]),
        (False, ["h.h", "./h.h", "x#y.h", "a b.h", "c$d.h"]),
    ],
    ids=["fixdep of 6.1", "fixdep since 6.3"],
)
def test_a_header_that_the_compiler_names_again_is_one_since_6_3(repeats: bool, headers: list[str]) -> None:
    assert read_depfile(DEPFILE, repeats=repeats) == ("a.c", headers)


def test_an_empty_depfile_names_nothing() -> None:
    assert read_depfile("a.o:\n") == ("", [])


def made_from(
    place: Path, depfile: str, *, own: str = "none", besides: tuple[str, ...] = (), without: str = "", source: str = ""
) -> CmdFile:
    (place / "a.d").write_text(depfile)
    return cmd_file_of(
        place / "a.d",
        cwd=str(place),
        symbols_of=lambda path: [Path(path).name.upper()],
        is_own=lambda path: path == str(place / own),
        besides=besides,
        without=without,
        source=source,
    )


def test_headers_that_were_precompiled_stand_for_the_file_that_was_read_in_their_place(tmp_path: Path) -> None:
    depfile = "a.o: /kept/x/text.c /kept/x/text.h own.h net.h\n"
    found = made_from(tmp_path, depfile, besides=("net.h", "usb.h"), without="/kept/x/", source="a.c")
    assert (found.source, found.headers) == ("a.c", ("own.h", "net.h", "usb.h"))
    assert found.symbols == {"A.C", "OWN.H", "NET.H", "USB.H"}
    assert made_from(tmp_path, "a.o: a.c own.h\n", besides=("own.h", "usb.h")).headers == ("own.h", "usb.h")


def test_contents_are_those_of_the_modules_own_files(tmp_path: Path) -> None:
    """What srcversion counts: a comment changes neither the object nor what it was made from, but these."""
    (tmp_path / "net").mkdir()
    for name in ("a.c", "own.h", "net/net.h", "beside.h"):
        (tmp_path / name).write_text(name)
    headers = ["own.h", "net/net.h", "beside.h"]

    def contents(source: str = "a.c", *, own: str = "own.h") -> str:
        return own_contents(source, headers, cwd=str(tmp_path), is_own=lambda path: path == str(tmp_path / own))

    first = contents()
    assert first == made_from(tmp_path, "a.o: a.c own.h net/net.h beside.h\n", own="own.h").contents
    (tmp_path / "net/net.h").write_text("another kernel's")
    assert contents() == first
    (tmp_path / "beside.h").write_text("srcversion counts what lies beside the source, whoever's it is")
    assert contents() != first
    first = contents()
    (tmp_path / "own.h").write_text("OWN.H")
    second = contents()
    (tmp_path / "a.c").write_text("A.C")
    third = contents()
    (tmp_path / "own.h").unlink()
    fourth = contents()
    assert len({first, second, third, fourth}) == 4
    (tmp_path / "own.h").mkdir()
    assert contents() == fourth, "a name that cannot be read stands for no text"


def test_text_that_moves_from_one_file_to_the_next_changes_the_contents(tmp_path: Path) -> None:
    found = set()
    for source, header in (("ab", "c"), ("a", "bc")):
        (tmp_path / "a.c").write_text(source)
        (tmp_path / "own.h").write_text(header)
        found.add(own_contents("a.c", ["own.h"], cwd=str(tmp_path), is_own=lambda _: True))
    (tmp_path / "renamed.h").write_text("bc")
    found.add(own_contents("a.c", ["renamed.h"], cwd=str(tmp_path), is_own=lambda _: True))
    assert len(found) == 3


def test_contents_are_read_where_the_compiler_found_the_file(tmp_path: Path) -> None:
    (tmp_path / "a.c").write_text("nominal")
    (tmp_path / "over.c").write_text("written")
    over = {str(tmp_path / "a.c"): str(tmp_path / "over.c")}
    found = own_contents("a.c", [], cwd=str(tmp_path), is_own=lambda _: False, find=lambda path: over.get(path, path))
    (tmp_path / "a.c").write_text("written")
    assert found == own_contents("a.c", [], cwd=str(tmp_path), is_own=lambda _: False)
