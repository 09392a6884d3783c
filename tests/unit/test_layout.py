# SPDX-License-Identifier: GPL-2.0-only
"""Where the files of a plan are: outputs of Kbuild's commands move to the output directory, inputs stay.

The commands are of the shape that scripts/Makefile.build gives them (cmd_cc_o_c, cmd_gen_symversions_c,
cmd_ld_multi_m).
"""

from __future__ import annotations

from pathlib import Path

import pytest

from kbuildpy.kbuild.layout import Layout
from kbuildpy.kbuild.overlay import Overlay


def in_tree(*, evaluated: str = "/m") -> Layout:
    """Kbuild runs in the kernel tree, and names are absolute (up to 6.12)."""
    return Layout("/m", evaluated, "/o", "/tree")


IN_DIRECTORY = Layout("/m", "/m", "/o", "/m")
"""Kbuild runs in the module directory (since 6.13)."""


@pytest.mark.parametrize(
    ("name", "actual"),
    [
        ("/m/a.o", "/o/a.o"),
        ("/m/sub/a.o", "/o/sub/a.o"),
        ("/m/sub/../a.o", "/o/a.o"),
        ("/x/a.o", "/o/_up/x/a.o"),
        ("/m/../../x/a.o", "/o/_up/x/a.o"),
        ("/m/..sub/a.o", "/o/..sub/a.o"),
        ("/m/sub../a.o", "/o/sub../a.o"),
    ],
)
def test_outputs_go_below_the_output_directory(name: str, actual: str) -> None:
    assert in_tree().actual(name) == actual


def test_a_relative_name_is_one_where_kbuild_runs() -> None:
    assert IN_DIRECTORY.actual("sub/a.o") == IN_DIRECTORY.actual("./sub/a.o") == "/o/sub/a.o"
    assert IN_DIRECTORY.actual("../../x/a.o") == "/o/_up/x/a.o"
    assert Layout("/n/m", "/n/m", "/o", "/n/m").actual("../../x/a.o") == "/o/_up/_up/x/a.o"
    assert IN_DIRECTORY.absolute("./sub/../a.c") == "/m/a.c"


@pytest.mark.parametrize(
    ("command", "moved"),
    [
        (
            "gcc -Wp,-MMD,/m/sub/.a.o.d -I/m/sub -DA='\"/m/a\"' -c -o /m/sub/a.o /m/sub/a.c",
            "gcc -Wp,-MMD,/o/sub/.a.o.d -I/m/sub -DA='\"/m/a\"' -c -o /o/sub/a.o /m/sub/a.c",
        ),
        (
            "if nm /m/sub/a.o | grep -q __ksymtab; then gcc /m/sub/a.c >> /m/sub/.a.o.cmd; fi",
            "if nm /o/sub/a.o | grep -q __ksymtab; then gcc /m/sub/a.c >> /o/sub/.a.o.cmd; fi",
        ),
        (
            "genksyms -r /dev/null > /m/sub/.tmp_a.ver; ld -o /m/sub/.tmp_a.o /m/sub/a.o -T /m/sub/.tmp_a.ver",
            "genksyms -r /dev/null > /o/sub/.tmp_a.ver; ld -o /o/sub/.tmp_a.o /o/sub/a.o -T /o/sub/.tmp_a.ver",
        ),
        ("ld -r -o /m/sub/a.o @/m/sub/a.mod", "ld -r -o /o/sub/a.o @/o/sub/a.mod"),
        ("objtool --o=/m/sub/a.o >/m/sub/a.symtypes", "objtool --o=/o/sub/a.o >/o/sub/a.symtypes"),
        (
            "cc /m/sub/a.out /m/sub/a.o.old /m/sub/ba.o /n/m/sub/a.o",
            "cc /m/sub/a.out /m/sub/a.o.old /m/sub/ba.o /n/m/sub/a.o",
        ),
    ],
)
def test_what_kbuild_writes_beside_an_object_moves_with_it(command: str, moved: str) -> None:
    assert in_tree().relocate(command, ["/m/sub/a.o"]) == moved


def test_every_output_of_a_command_moves() -> None:
    assert in_tree().relocate("ld -o /m/c.o /m/a.o /m/b.o", ["/m/a.o", "/m/c.o"]) == "ld -o /o/c.o /o/a.o /m/b.o"


def test_names_below_the_directory_that_kbuild_runs_in_move_with_or_without_a_dot() -> None:
    """The depfile is `./.hello.o.d` and the object `hello.o`, for make drops the `./` of a target."""
    command = "gcc -Wp,-MMD,./.hello.o.d -c -o hello.o hello.c; nm ./hello.o; cat x/hello.o"
    moved = "gcc -Wp,-MMD,/o/.hello.o.d -c -o /o/hello.o hello.c; nm /o/hello.o; cat x/hello.o"
    assert IN_DIRECTORY.relocate(command, ["hello.o"]) == moved
    nested = "gcc -Wp,-MMD,sub/.a.o.d -c -o sub/a.o sub/a.c; nm a.o"
    assert IN_DIRECTORY.relocate(nested, ["sub/a.o"]) == "gcc -Wp,-MMD,/o/sub/.a.o.d -c -o /o/sub/a.o sub/a.c; nm a.o"


def test_a_depfile_has_an_underscore_for_each_comma_of_its_object() -> None:
    """scripts/Kbuild.include: depfile, for `-Wp,` ends at a comma."""
    command = "gcc -Wp,-MMD,/m/.a_b_c.o.d -c -o /m/a,b,c.o /m/a,b,c.c; nm /m/.a_b_c.o"
    moved = "gcc -Wp,-MMD,/o/.a_b_c.o.d -c -o /o/a,b,c.o /m/a,b,c.c; nm /m/.a_b_c.o"
    assert in_tree().relocate(command, ["/m/a,b,c.o"]) == moved


def test_a_copy_looks_like_the_directory_that_it_was_made_of() -> None:
    layout = in_tree(evaluated="/o/.copy")
    assert layout.nominal("/o/.copy/a.ko\n/o/.copy/b.ko\n") == "/m/a.ko\n/m/b.ko\n"
    assert layout.renames == ("/o/.copy", "/m")
    assert layout.prefix_map() == ("-ffile-prefix-map=/o/.copy=/m",)
    assert layout.out_prefix_map() == ("-fdebug-prefix-map=/o=/m",)
    assert layout.actual("/o/.copy/sub/a.o") == "/o/sub/a.o"


def test_the_directory_itself_needs_no_map() -> None:
    layout = in_tree()
    assert (layout.renames, layout.prefix_map(), layout.nominal("/m/a.ko\n")) == (None, (), "/m/a.ko\n")
    assert in_tree(evaluated="/o").renames is None, "messages name the output as it is"


def test_commands_find_in_an_overlay_what_was_written_there(tmp_path: Path) -> None:
    (tmp_path / "upper").mkdir()
    (tmp_path / "upper/made.h").touch()
    layout = Layout("/m", "/m", "/o", "/m", Overlay("/m", str(tmp_path), "/o"))
    assert layout.find("/m/made.h") == f"{tmp_path}/upper/made.h"
    assert layout.find("/m/own.h") == in_tree().find("/m/own.h") == "/m/own.h"
