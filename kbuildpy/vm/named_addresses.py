# SPDX-License-Identifier: GPL-2.0-only
"""Names addresses in a trace that the kernel could not name any more, because the module was gone (kmemleak's list)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from kbuildpy.debug.code_symbols import CodeSymbol, read_symbols
from kbuildpy.elf.constants import SHF_EXECINSTR
from kbuildpy.elf.image import ModuleImage

_NAMELESS = re.compile(r"(?<=\s)0x([0-9a-f]{8,16})$")
_ADDRESS = re.compile(r"0x[0-9a-f]{1,16}")


def with_names(lines: Sequence[str], image: ModuleImage, addresses: Mapping[str, str], module: str) -> tuple[str, ...]:
    """`lines`, where an address in the code of `module` is written as the kernel writes it, `function+0x15/0x4c
    [module]`. Its sections were at `addresses` (/sys/module/NAME/sections, which a guest reports: maybe nonsense)."""
    places = list(_functions(image, addresses))

    def named(found: re.Match[str]) -> str:
        address = int(found[1], 16)
        within = [(start, name, symbol) for start, name, symbol in places if start <= address < start + symbol.sizes[0]]
        if not within:
            return found[0]
        # (of several names for one place, the last one that begins before it)
        start, name, symbol = max(within, key=lambda place: place[0])
        return f"{name}+{address - start:#x}/{symbol.sizes[0]:#x} [{module}]"

    return tuple(_NAMELESS.sub(named, line) for line in lines)


def _functions(image: ModuleImage, addresses: Mapping[str, str]) -> Iterator[tuple[int, str, CodeSymbol]]:
    """Where each function of `image` was, its name, and the symbol."""
    for name, symbols in read_symbols(image).by_name.items():
        for symbol in symbols:
            where = addresses.get(symbol.section.name, "")
            if symbol.section.flags & SHF_EXECINSTR and _ADDRESS.fullmatch(where) and symbol.sizes[0]:
                yield int(where, 16) + symbol.offset, name, symbol
