# SPDX-License-Identifier: GPL-2.0-only
"""Maps of names in debug information: a file in another place looks as it would where a map of ours has it.

GCC is asked itself: the same source is compiled in its place, and in another one with our map.
"""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from kbuildpy.kbuild.prefix_maps import carried_over, records_macros
from kbuildpy.run import run

SOURCE = "const char *file = __FILE__;\nint f(int a);\nint f(int a) { return a + 1; }\n"
GIVEN = [
    "",
    "-ffile-prefix-map=@/drv=.",
    "-ffile-prefix-map=@/drv/=",
    "-ffile-prefix-map=@=/usr/src",
    "-ffile-prefix-map=@/d=X",
    "-ffile-prefix-map=@/drv/sub=below -ffile-prefix-map=@/other=no",
    "-ffile-prefix-map=@/drv/sub=below -ffile-prefix-map=@/drv=above",
    "-ffile-prefix-map=@/drv=above -ffile-prefix-map=@/drv/sub=below",
    "-fdebug-prefix-map=@/drv=debugged",
    "-fmacro-prefix-map=@/drv=expanded",
    "-fdebug-prefix-map=@/drv=debugged -fmacro-prefix-map=@/drv/sub=expanded",
    "-ffile-prefix-map=@/drv=first -ffile-prefix-map=@/drv=second",
    "-ffile-prefix-map=@/out=not-where-it-is",
    "-ffile-prefix-map=@/other=no -ffile-prefix-map=@/drv=above",
    "-ffile-prefix-map=@/drv=all -fmacro-prefix-map=@/drv=expanded",
    "-fmacro-prefix-map=@/drv/sub=expanded -ffile-prefix-map=@/other=no",
    "-ffile-prefix-map=@/drv=all -fdebug-prefix-map=@/drv=debugged -fmacro-prefix-map=@/drv/sub=expanded",
]


def compiled(folder: Path, options: list[str], cwd: Path) -> bytes:
    source = folder / "sub/x.c"
    source.parent.mkdir(parents=True, exist_ok=True)
    source.write_text(SOURCE)
    run(["gcc", "-g", "-gdwarf-5", "-c", "-o", "x.o", *options, source], cwd=cwd)
    return (cwd / "x.o").read_bytes()


@pytest.mark.parametrize("given", GIVEN)
def test_a_map_of_ours_keeps_those_of_the_command(given: str, tmp_path: Path) -> None:
    command = given.replace("@", str(tmp_path))
    options, ours = shlex.split(command), f"-ffile-prefix-map={tmp_path}/out={tmp_path}/drv"
    there = compiled(tmp_path / "out", [*options, *carried_over([ours], command)], tmp_path)
    assert there == compiled(tmp_path / "drv", options, tmp_path)


@pytest.mark.parametrize(
    ("compiler", "name"),
    [
        ("gcc-12", "all"),
        ("x86_64-linux-gnu-gcc", "all"),
        ("clang", "expanded"),
        ("ccache /usr/lib/clang-19", "expanded"),
    ],
)
def test_clang_takes_maps_of_macros_in_the_order_of_the_command(compiler: str, name: str) -> None:
    """GCC takes every map of files for a later one (as the test above shows); Clang.cpp: addMacroPrefixMapArg."""
    command = f"{compiler} -ffile-prefix-map=/drv=all -fmacro-prefix-map=/drv=expanded -Iclang.d"
    assert carried_over(["-ffile-prefix-map=/out=/drv"], command)[0] == f"-ffile-prefix-map=/out={name}"


def test_options_that_are_no_maps_are_left_out_of_what_is_carried_over() -> None:
    assert carried_over([], "gcc -fdebug-prefix-map=/a=/b") == ()
    assert carried_over(["-fdebug-prefix-map=/o=/d"], "gcc -g -fmacro-prefix-map=/d=x '-DA=\"b\"'") == (
        "-fdebug-prefix-map=/o=/d",
    )


@pytest.mark.parametrize(
    ("option", "macros"), [("-g", False), ("-g3", True), ("-ggdb3", True), ("-gdwarf-3", False), ("-DA=-g3", False)]
)
def test_macros_are_recorded_from_level_3_on(option: str, macros: bool) -> None:
    assert records_macros(f"gcc -O2 {option} -c x.c") == macros
