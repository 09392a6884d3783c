# SPDX-License-Identifier: GPL-2.0-only
"""The code of a module before it runs: bytes at a pointer, and calls to the kernel's functions."""

from __future__ import annotations

from collections.abc import Callable, Collection

from kbuildpy.elf.constants import SHF_ALLOC, SHF_EXECINSTR, SHT_NOBITS
from kbuildpy.loader.hints import AS_BUILT
from kbuildpy.loader.load_info import LoadInfo
from kbuildpy.loader.memory.pointers import Pointer, pointers
from kbuildpy.loader.verdict import Undefined


class Code:
    """The bytes of a module's executable sections; each section is decoded once, for all entries of a table."""

    def __init__(self, info: LoadInfo) -> None:
        self._info = info
        self._contents: dict[int, bytes] = {}
        self._relocated: dict[int, bytearray] = {}
        self._pointers: dict[int, dict[int, Pointer]] = {}

    def at(self, table: int, pointer: Pointer, length: int) -> bytes:
        """Return the `length` bytes of code that `pointer`, an entry of section `table`, points to. Raises `Undefined`
        if they are not in one executable section."""
        contents = self._contents.get(pointer.section)
        if contents is None:
            contents = self._contents[pointer.section] = self._executable(table, pointer)
        if not 0 <= pointer.offset <= len(contents) - length:
            info = self._info
            raise Undefined(
                info.stage,
                f"an entry of {info.section_name(table)} points to {pointer.offset:#x} of "
                f"{info.section_name(pointer.section)}, which has {len(contents):#x} bytes",
                AS_BUILT,
            )
        return contents[pointer.offset : pointer.offset + length]

    def up_to(self, table: int, pointer: Pointer, length: int) -> bytes:
        """Return the bytes of `at()`, fewer if the section ends before. Raises `Undefined` for a pointer that is not to
        code."""
        self.at(table, pointer, 0)
        return self._contents[pointer.section][pointer.offset : pointer.offset + length]

    def is_relocated(self, pointer: Pointer) -> bool:
        """Return whether a relocation writes to the byte at `pointer`. Call `at()` or `up_to()` first."""
        relocated = self._relocated.get(pointer.section)
        if relocated is None:
            relocated = self._relocated[pointer.section] = self._mark(pointer.section)
        return bool(relocated[pointer.offset])

    def _mark(self, section: int) -> bytearray:
        """For each byte of a section 1 if a relocation writes to it, else 0. All are marked in one pass, because a
        section may have as many pointers to it as relocations."""
        size = len(self._contents[section])
        marks = bytearray(size)
        wide = self._info.machine.relocations.of_8_bytes
        for relsec in self._info.relocated.get(section, ()):
            for start, kind, *_ in zip(*self._info.relocations(relsec), strict=True):
                for offset in range(start, min(start + (8 if kind in wide else 4), size)):
                    marks[offset] = 1
        return marks

    def pointers(self, section: int) -> dict[int, Pointer]:
        """Return the targets of the distances that relocations write into `section`, by offset
        (`pointers.pointers`)."""
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
            AS_BUILT,
        )


class Calls:
    """The calls in a module's code to particular functions of the kernel, such as `__fentry__`.

    The functions are those in `names`, and those whose name begins with `prefix`.
    """

    def __init__(self, info: LoadInfo, names: Collection[str], prefix: str | None = None) -> None:
        self._info = info
        self._symbols = {
            number: name
            for number, (st_name, _, _, st_shndx, _, _) in enumerate(info.symbols)
            if not st_shndx and st_name and _is_one((name := info.symbol_name(number)), names, prefix)
        }
        self._places: dict[int, dict[int, str]] = {}

    def target(self, section: int, offset: int) -> str | None:
        """Return the name of the function that the distance of 32 bits at `offset` of `section` leads to; None for all
        other targets. The distance counts from the end of its field."""
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
                    # The kernel truncates the distance to 32 bits.
                    if symbol in names and (addend + 4) & 0xFFFFFFFF == 0 and kind in relative:
                        places[offset] = names[symbol]
        return places


def _is_one(name: str, names: Collection[str], prefix: str | None) -> bool:
    return name in names or (prefix is not None and name.startswith(prefix))


class SectionBytes:
    """The bytes of all sections of the module, executable or not."""

    def __init__(self, info: LoadInfo) -> None:
        self._info = info
        self._contents: dict[int, bytes] = {}

    def at(self, pointer: Pointer, length: int) -> bytes:
        """Return the `length` bytes at `pointer`, fewer at the end of the section, b"" where the file has no
        contents."""
        contents = self._contents.get(pointer.section)
        if contents is None:
            contents = b""
            if 0 < pointer.section < len(self._info.sechdrs):
                section = self._info.sechdrs[pointer.section]
                contents = b"" if section.sh_type == SHT_NOBITS else self._info.data(pointer.section)
            self._contents[pointer.section] = contents
        return contents[pointer.offset : pointer.offset + length] if pointer.offset >= 0 else b""


def first_time() -> Callable[[Pointer], bool]:
    """Return a function that returns True if it is called with a section and an offset for the first time."""
    seen: set[tuple[int, int]] = set()

    def is_first(pointer: Pointer) -> bool:
        known = len(seen)
        seen.add((pointer.section, pointer.offset))
        return len(seen) > known

    return is_first
