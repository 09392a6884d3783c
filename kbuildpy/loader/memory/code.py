# SPDX-License-Identifier: GPL-2.0-only
"""The code of a module before it runs: bytes at a pointer, and calls to the kernel's functions."""

from __future__ import annotations

from collections.abc import Callable, Collection

from kbuildpy.elf.constants import SHF_ALLOC, SHF_EXECINSTR, SHT_NOBITS
from kbuildpy.loader.load_info import LoadInfo
from kbuildpy.loader.memory.pointers import Pointer, pointers
from kbuildpy.loader.verdict import Undefined


class Code:
    """The bytes of a module's executable sections, decoded once for a table of many entries."""

    def __init__(self, info: LoadInfo) -> None:
        self._info = info
        self._contents: dict[int, bytes] = {}
        self._relocated: dict[int, bytearray] = {}
        self._pointers: dict[int, dict[int, Pointer]] = {}

    def at(self, table: int, pointer: Pointer, length: int) -> bytes:
        """`length` bytes of code that `pointer`, from section `table`, points to. Raises `Undefined` where there are
        none."""
        contents = self._contents.get(pointer.section)
        if contents is None:
            contents = self._contents[pointer.section] = self._executable(table, pointer)
        if not 0 <= pointer.offset <= len(contents) - length:
            info = self._info
            raise Undefined(
                info.stage,
                f"an entry of {info.section_name(table)} points to {pointer.offset:#x} of "
                f"{info.section_name(pointer.section)}, which has {len(contents):#x}",
            )
        return contents[pointer.offset : pointer.offset + length]

    def up_to(self, table: int, pointer: Pointer, length: int) -> bytes:
        """The same bytes, or fewer where the section ends before."""
        self.at(table, pointer, 0)
        return self._contents[pointer.section][pointer.offset : pointer.offset + length]

    def is_relocated(self, pointer: Pointer) -> bool:
        """Whether a relocation writes to the byte that `pointer` points to, which `at()` has found to be there."""
        relocated = self._relocated.get(pointer.section)
        if relocated is None:
            relocated = self._relocated[pointer.section] = self._mark(pointer.section)
        return bool(relocated[pointer.offset])

    def _mark(self, section: int) -> bytearray:
        """Of each byte of a section whether it is relocated. In one pass: there may be as many sites as relocations."""
        size = len(self._contents[section])
        marks = bytearray(size)
        wide = self._info.machine.relocations.of_8_bytes
        for relsec in self._info.relocated.get(section, ()):
            for start, kind, *_ in zip(*self._info.relocations(relsec), strict=True):
                for offset in range(start, min(start + (8 if kind in wide else 4), size)):
                    marks[offset] = 1
        return marks

    def pointers(self, section: int) -> dict[int, Pointer]:
        """The distances that relocations write into `section`, by their offset there (see `pointers`)."""
        found = self._pointers.get(section)
        if found is None:
            found = self._pointers[section] = pointers(self._info, section)
        return found

    def _executable(self, table: int, pointer: Pointer) -> bytes:
        info = self._info
        if 0 < pointer.section < len(info.sechdrs):
            flags = info.sechdrs[pointer.section].sh_flags
            if flags & SHF_EXECINSTR and flags & SHF_ALLOC:
                return info.data(pointer.section)
        raise Undefined(
            info.stage,
            f"an entry of {info.section_name(table)} points to {info.symbol_name(pointer.symbol)!r}, "
            "which is not in code of the module",
        )


class Calls:
    """The calls in a section's code to some of the kernel's functions, as the compiler emits them to `__fentry__`."""

    def __init__(self, info: LoadInfo, names: Collection[str], prefix: str | None = None) -> None:
        self._info = info
        self._symbols = {
            number: name
            for number, (st_name, _, _, st_shndx, _, _) in enumerate(info.symbols)
            if not st_shndx and st_name and _is_one((name := info.symbol_name(number)), names, prefix)
        }
        self._places: dict[int, dict[int, str]] = {}

    def target(self, section: int, offset: int) -> str | None:
        """The function whose distance is at `offset` of `section`, measured from the end of these four bytes; None if
        it is another function."""
        places = self._places.get(section)
        if places is None:
            places = self._places[section] = self._find(section)
        return places.get(offset)

    def _find(self, section: int) -> dict[int, str]:
        names = self._symbols
        places = {}
        relative = self._info.machine.relocations.relative
        if names:
            for relsec in self._info.relocated.get(section, ()):
                columns = self._info.relocations(relsec)
                for offset, kind, symbol, addend in zip(*columns, strict=True):
                    # (of the distance, 32 bits are kept)
                    if symbol in names and (addend + 4) & 0xFFFFFFFF == 0 and kind in relative:
                        places[offset] = names[symbol]
        return places


def _is_one(name: str, names: Collection[str], prefix: str | None) -> bool:
    return name in names or (prefix is not None and name.startswith(prefix))


class SectionBytes:
    """Bytes in any section of the module, executable or not; none elsewhere."""

    def __init__(self, info: LoadInfo) -> None:
        self._info = info
        self._contents: dict[int, bytes] = {}

    def at(self, pointer: Pointer, length: int) -> bytes:
        """`length` bytes there, fewer at the end of the section."""
        contents = self._contents.get(pointer.section)
        if contents is None:
            contents = b""
            if 0 < pointer.section < len(self._info.sechdrs):
                section = self._info.sechdrs[pointer.section]
                contents = b"" if section.sh_type == SHT_NOBITS else self._info.data(pointer.section)
            self._contents[pointer.section] = contents
        return contents[pointer.offset : pointer.offset + length] if pointer.offset >= 0 else b""


def first_time() -> Callable[[Pointer], bool]:
    """A function that tells whether it is called with a place for the first time."""
    seen: set[tuple[int, int]] = set()

    def is_first(pointer: Pointer) -> bool:
        known = len(seen)
        seen.add((pointer.section, pointer.offset))
        return len(seen) > known

    return is_first
