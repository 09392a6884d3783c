# SPDX-License-Identifier: GPL-2.0-only
"""Constructors that a kernel with CONFIG_CONSTRUCTORS would call, and crash."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from kbuildpy.elf.constants import STT_FUNC
from kbuildpy.loader.load_info import LoadInfo
from kbuildpy.loader.stages.constructors import do_mod_ctors
from kbuildpy.loader.stages.relocate import apply_relocations
from kbuildpy.loader.verdict import Undefined
from tests.support.elf_objects import DATA, TEXT, Rel, Sec, Sym
from tests.support.loader_info import info_of

R_64 = 1
STARTUP, FUNCTION, IN_DATA, KERNEL = range(1, 5)


def constructed(
    relocations: Sequence[Rel], *, size: int = 8, name: str = ".init_array", config: str = "y", function: int = STT_FUNC
) -> LoadInfo:
    """A module with a table of constructors, for a kernel with or without CONFIG_CONSTRUCTORS."""
    sections = [
        Sec(".text.startup", TEXT, bytes(32)),
        Sec(".data", DATA, bytes(32)),
        Sec(name, DATA, bytes(size), relocations),
    ]
    symbols = [
        Sym("startup", 1),
        Sym("constructor", 1, 16, type=function),
        Sym("variable", 2),
        Sym("kernel_function", 0),
    ]
    info = info_of(sections, symbols, config={"CONFIG_CONSTRUCTORS": config})
    apply_relocations(info)
    return info


@pytest.mark.parametrize("name", [".init_array", ".ctors"])
@pytest.mark.parametrize(
    ("relocations", "size"),
    [
        ([], 0),
        ([], 7),
        ([Rel(0, R_64, FUNCTION)], 8),
        ([Rel(0, R_64, STARTUP, 16)], 8),
        ([Rel(0, R_64, STARTUP, 16), Rel(8, R_64, FUNCTION)], 16),
        ([Rel(0, R_64, KERNEL)], 8),
    ],
)
def test_functions_are_called(name: str, relocations: Sequence[Rel], size: int) -> None:
    do_mod_ctors(constructed(relocations, size=size, name=name))


@pytest.mark.parametrize(
    ("relocations", "size", "words"),
    [
        ([], 8, "the pointer at 0x0 of .init_array is not relocated"),
        ([Rel(0, R_64, FUNCTION)], 16, "the pointer at 0x8 of .init_array is not relocated"),
        ([Rel(0, R_64, STARTUP, 15)], 8, "the constructor at 0x0 of .init_array is 0xf of .text.startup"),
        ([Rel(0, R_64, FUNCTION, 16)], 8, "points to 0x20 of .text.startup, which has 0x20"),
        ([Rel(0, R_64, IN_DATA)], 8, "'variable', which is not in code of the module"),
        ([Rel(0, R_64, KERNEL, 8)], 8, "'kernel_function', which is not in code of the module"),
    ],
)
def test_a_constructor_that_is_no_function_crashes_the_kernel(
    relocations: Sequence[Rel], size: int, words: str
) -> None:
    with pytest.raises(Undefined, match=words):
        do_mod_ctors(constructed(relocations, size=size))
    do_mod_ctors(constructed(relocations, size=size, config="n"))


def test_where_symbols_were_stripped_any_place_in_code_counts_as_a_function() -> None:
    do_mod_ctors(constructed([Rel(0, R_64, STARTUP, 15)], function=0))
