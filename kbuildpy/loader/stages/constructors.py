# SPDX-License-Identifier: GPL-2.0-only
"""Calls the constructors of the module before its init function: kernel/module/main.c: do_mod_ctors.

Compilers write constructors for sanitizers and coverage. Only kernels with CONFIG_CONSTRUCTORS call them, and they call
what the table holds without checking it.
"""

from __future__ import annotations

from kbuildpy.elf.constants import STT_FUNC
from kbuildpy.loader.hints import AS_BUILT
from kbuildpy.loader.load_info import LoadInfo
from kbuildpy.loader.memory.code import Code
from kbuildpy.loader.memory.pointers import sites
from kbuildpy.loader.verdict import Undefined


def do_mod_ctors(info: LoadInfo) -> None:
    """Check each entry of the table of constructors. Raises `Undefined` for one that is not a function's address."""
    number = info.find_sec(".ctors") or info.find_sec(".init_array")
    if not number or not info.machine.is_whole or not info.kernel.has("CONSTRUCTORS"):
        return
    beginnings = _beginnings(info)
    code = Code(info)
    absolute = info.machine.relocations.absolute
    for offset, pointer in sites(info, number, info.machine.word, absolute):
        if not pointer.section and info.values[pointer.symbol] is None and not pointer.offset:
            continue  # another module's function, or the kernel's: the entry was relocated to its beginning
        code.at(number, pointer, 1)
        known = beginnings.get(pointer.section)
        if known is not None and pointer.offset not in known:
            raise Undefined(
                info.stage,
                f"the constructor at {offset:#x} of {info.section_name(number)} is {pointer.offset:#x} of "
                f"{info.section_name(pointer.section)}, where no function begins",
                AS_BUILT,
            )


def _beginnings(info: LoadInfo) -> dict[int, set[int]]:
    """Return the offsets at which functions begin, by section. A section whose symbols were stripped is missing."""
    found: dict[int, set[int]] = {}
    for _, st_info, _, st_shndx, st_value, _ in info.symbols:
        if st_info & 0xF == STT_FUNC:
            found.setdefault(st_shndx, set()).add(st_value)
    return found
