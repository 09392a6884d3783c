# SPDX-License-Identifier: GPL-2.0-only
"""Addresses in the code of modules that are gone, as the kernel would have named them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from kbuildpy.debug.code_symbols import CodeSymbol, CodeSymbols
from kbuildpy.elf.constants import SHF_ALLOC, SHF_EXECINSTR
from kbuildpy.elf.image import ModuleImage
from kbuildpy.vm import named_addresses

TEXT = cast(Any, SimpleNamespace(name=".text", flags=SHF_ALLOC | SHF_EXECINSTR))
DATA = cast(Any, SimpleNamespace(name=".data", flags=SHF_ALLOC))
IMAGE = cast(ModuleImage, None)


@pytest.fixture(autouse=True)
def _symbols(monkeypatch: pytest.MonkeyPatch) -> None:
    symbols = {
        "first": [CodeSymbol(TEXT, 0, (0x20, 0x20))],
        "second": [CodeSymbol(TEXT, 0x20, (0x10, 0x1000))],
        "table": [CodeSymbol(DATA, 0, (0x100, 0x100))],
    }
    monkeypatch.setattr(named_addresses, "read_symbols", lambda image: CodeSymbols(symbols))


def named(line: str, **addresses: str) -> str:
    places = {f".{name}": value for name, value in addresses.items()}
    return named_addresses.with_names([line], IMAGE, places, "drv")[0]


@pytest.mark.parametrize(
    ("line", "written"),
    [
        ("[<(____ptrval____)>] 0xffffffffc0001005", "[<(____ptrval____)>] first+0x5/0x20 [drv]"),
        (" 0xffffffffc0001020", " second+0x0/0x10 [drv]"),
        (" 0xffffffffc0001030", " 0xffffffffc0001030"),
        (" 0xffffffffc0000fff", " 0xffffffffc0000fff"),
        (" 0xffffffffc0002005", " 0xffffffffc0002005"),
        ("hex dump 0xffffffffc0001005 more", "hex dump 0xffffffffc0001005 more"),
        ("do_one_initcall+0xe1/0x3c0", "do_one_initcall+0xe1/0x3c0"),
    ],
)
def test_an_address_in_the_code_has_the_name_of_its_function(line: str, written: str) -> None:
    assert named(line, text="0xffffffffc0001000", data="0xffffffffc0002000") == written


@pytest.mark.parametrize("address", ["", "nonsense", "0x", "-0x10"])
def test_what_a_guest_reports_for_an_address_may_be_anything(address: str) -> None:
    assert named(" 0xffffffffc0001005", text=address) == " 0xffffffffc0001005"
