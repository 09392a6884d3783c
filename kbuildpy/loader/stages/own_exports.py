# SPDX-License-Identifier: GPL-2.0-only
"""Reads the module's own exports from `__ksymtab`, whose entries are filled in by relocations
(include/linux/export-internal.h; kernel/module/main.c: find_exported_symbol_in_section).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from kbuildpy.elf.constants import SHF_ALLOC, SHT_NOBITS
from kbuildpy.elf.headers import c_string
from kbuildpy.elf.kernel_symbol import ADDRESSES, KSYM_FLAG_GPL_ONLY, field_size
from kbuildpy.elf.relocations import Relocation
from kbuildpy.loader import since
from kbuildpy.loader.hints import AS_BUILT
from kbuildpy.loader.load_info import LoadInfo
from kbuildpy.loader.loaded import ModuleExport
from kbuildpy.loader.verdict import Undefined


def own_exports(info: LoadInfo) -> dict[str, ModuleExport]:
    """Return the module's exports by symbol, in the order in which the kernel checks them. Raises `Undefined` for an
    entry that leads out of the module."""
    exports: dict[str, ModuleExport] = {}
    if info.kernel.version >= since.FLAGSTAB:
        flags, crcs = info.data(info.find_sec("__kflagstab")), _crcs(info, "__kcrctab")
        for number, name, namespace in _table(info, "__ksymtab"):
            gpl_only = number < len(flags) and bool(flags[number] & KSYM_FLAG_GPL_ONLY)
            exports.setdefault(name, ModuleExport(_crc(info, crcs, number), gpl_only, namespace))
        return exports
    for suffix in ("", "_gpl"):
        crcs = _crcs(info, "__kcrctab" + suffix)
        for number, name, namespace in _table(info, "__ksymtab" + suffix):
            exports.setdefault(name, ModuleExport(_crc(info, crcs, number), suffix == "_gpl", namespace))
    return exports


def _crcs(info: LoadInfo, section: str) -> bytes:
    index = info.find_sec(section)
    return info.data(index) if index else b""


def _crc(info: LoadInfo, crcs: bytes, number: int) -> int | None:
    entry = crcs[4 * number : 4 * number + 4]
    return int.from_bytes(entry, info.machine.byteorder) if len(entry) == 4 else None


def _table(info: LoadInfo, section: str) -> Iterator[tuple[int, str, str]]:
    """Number, name and namespace of each entry; name and namespace are "" if no relocation fills them in.

    In a table without contents in the file (SHT_NOBITS), only the first entry without relocation is yielded: its size
    may be arbitrarily large.
    """
    index = info.find_sec(section)
    if not index:
        return
    places: dict[int, Relocation] = {}
    for number, header in enumerate(info.sechdrs):
        if header.sh_type == info.machine.relocation_section and header.sh_info == index:
            places.update((entry.offset, entry) for entry in info.relocation_entries(number) if entry.type)
    field, kinds = field_size(info.machine.e_machine), info.machine.relocations
    form = "address" if info.machine.e_machine in ADDRESSES else "offset"
    expected = kinds.absolute if form == "address" else kinds.relative
    if any(offset % field or entry.type not in expected for offset, entry in places.items()):
        raise Undefined(
            info.stage,
            f"an entry of {section} is relocated otherwise than by an {form}, and the kernel follows it",
            AS_BUILT,
        )
    size = 3 * field
    numbers: Sequence[int] = range(info.sechdrs[index].sh_size // size)
    contents = info.data(index)
    if not contents:
        relocated = {offset // size for offset in places}
        others = (number for number in numbers if number not in relocated)
        numbers = sorted({*(number for number in relocated if number in numbers), *islice(others, 1)})
    for at in range(0, len(contents) // size * size, field):
        if at % size and at not in places and any(contents[at : at + field]):
            raise Undefined(
                info.stage, f"an entry of {section} holds an {form} to nowhere, and the kernel follows it", AS_BUILT
            )
    for number in numbers:
        place = number * size
        yield number, _string(info, places.get(place + field)), _string(info, places.get(place + 2 * field))


def _string(info: LoadInfo, entry: Relocation | None) -> str:
    """The string at the target of a relocation; "" without a relocation."""
    if entry is None:
        return ""
    symbol = info.symbol(entry.symbol) if entry.symbol < len(info.symbols) else None
    if symbol is not None and 0 < symbol.st_shndx < len(info.sechdrs):
        section, at = info.sechdrs[symbol.st_shndx], symbol.st_value + entry.addend
        text = c_string(info.contents, section.sh_offset + at)
        kept = section.sh_flags & SHF_ALLOC and section.sh_type != SHT_NOBITS
        if text is not None and kept and 0 <= at < section.sh_size:
            return text
    raise Undefined(info.stage, "the name or namespace of an exported symbol is no string of the module", AS_BUILT)
