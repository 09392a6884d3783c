# SPDX-License-Identifier: GPL-2.0-only
"""The data of a relocated module: numbers, strings, and pointers.

The addresses of the running kernel are not known. A pointer is represented by the target of its relocation: a section
and an offset in the module, or a symbol that the kernel or another module exports. A pointer without a relocation is
the number in the file (0: NULL).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from kbuildpy.elf.constants import (
    SHF_EXECINSTR,
    SHN_ABS,
    SHN_UNDEF,
    SHT_NOBITS,
    STT_FUNC,
)
from kbuildpy.loader.hints import AS_BUILT, PARAMETER_TYPE, WRITABLE
from kbuildpy.loader.load_info import LoadInfo
from kbuildpy.loader.memory.protection import no_memory, not_writable
from kbuildpy.loader.verdict import Undefined


class SectionOffset(NamedTuple):
    """A place in the module."""

    section: int
    """The number of the section."""
    offset: int
    """Bytes from the beginning of the section."""


class ImportedAddress(NamedTuple):
    """An address relative to a symbol that the kernel or another module exports."""

    symbol: str
    """The name of the symbol."""
    addend: int = 0
    """Bytes from the symbol to the address."""

    @property
    def is_far(self) -> bool:
        """Whether the address is outside of the 2 GiB of addresses for the kernel and its modules."""
        return not -(1 << 31) < self.addend < 1 << 31

    def __str__(self) -> str:
        return f"{self.symbol}{self.addend:+#x}" if self.addend else self.symbol


Pointer = SectionOffset | ImportedAddress | int


@dataclass
class Memory:
    """The memory of the module in `info`: the contents of the file, and the values that `store()` has written.

    The methods that read or write raise `Undefined` outside of a section, where the kernel would use unrelated memory.
    """

    info: LoadInfo
    _stored: dict[tuple[SectionOffset, int], int] = field(default_factory=dict)
    _pointers: dict[int, dict[int, Pointer]] = field(default_factory=dict)
    _odd: dict[int, set[int]] = field(default_factory=dict)

    def integer(self, place: SectionOffset, size: int) -> int:
        """Return the unsigned number of `size` bytes at `place`."""
        stored = self._stored.get((place, size))
        if stored is not None:
            return stored
        self._inside(place, size, "read")
        if self.info.sechdrs[place.section].sh_type == SHT_NOBITS:
            return 0
        start = self.info.sechdrs[place.section].sh_offset + place.offset
        order = "little" if self.info.hdr.order == "<" else "big"
        return int.from_bytes(self.info.contents[start : start + size], order)  # type: ignore[arg-type]

    def string(self, place: SectionOffset) -> bytes:
        """Return the string at `place`, without its NUL. Raises `Undefined` for a string without NUL."""
        self._inside(place, 0, "read")
        section = self.info.sechdrs[place.section]
        if section.sh_type == SHT_NOBITS:
            return b""
        start, end = section.sh_offset + place.offset, section.sh_offset + section.sh_size
        stop = self.info.contents.find(b"\0", start, end)
        if stop < 0:
            raise Undefined(self.info.stage, f"a string in {self.shown(place)} has no end", AS_BUILT)
        return self.info.contents[start:stop]

    def pointer(self, place: SectionOffset) -> Pointer:
        """Return the pointer at `place`. Raises `Undefined` if a relocation writes only a part of it, or no address."""
        word = self.info.machine.word
        found = self._pointers_of(place.section).get(place.offset)
        if found is not None:
            near = range(place.offset - word + 1, place.offset + word)
            wide = self._pointers[place.section]
            odd = self._odd[place.section]
            if any(at != place.offset and at in (odd if at > place.offset else wide) for at in near):
                raise Undefined(
                    self.info.stage, f"a relocation writes over a part of the pointer at {self.shown(place)}", AS_BUILT
                )
            return found
        if any(at in self._odd[place.section] for at in range(place.offset - 3, place.offset + word)):
            raise Undefined(
                self.info.stage,
                f"a relocation makes the pointer at {self.shown(place)} a number that is not an address",
                AS_BUILT,
            )
        return self.integer(place, word)

    def store(self, pointer: Pointer, size: int, value: int = 0, *, shift: int = 0) -> None:
        """Write `value` in `size` bytes, `shift` bytes after `pointer`. Raises `Undefined` if the memory cannot be
        written.

        Callers leave out a `value` that no stage reads again.
        """
        if isinstance(pointer, ImportedAddress):
            if pointer.is_far:
                raise Undefined(
                    self.info.stage, f"{size} bytes are written to {pointer}, where nothing is", PARAMETER_TYPE
                )
            self.info.not_checked(
                f"whether {pointer.symbol} may be written to", reason="it does not belong to the module"
            )
            return
        if isinstance(pointer, int):
            raise Undefined(
                self.info.stage, f"{size} bytes are written to the address {pointer + shift:#x}", PARAMETER_TYPE
            )
        place = SectionOffset(pointer.section, pointer.offset + shift)
        self._inside(place, size, "written")
        obstacle = not_writable(self.info, place.section)
        if obstacle:
            raise Undefined(self.info.stage, f"{self.shown(place)} is written to, and is {obstacle}", WRITABLE)
        self._stored[place, size] = value

    def is_code(self, place: SectionOffset) -> bool:
        """Return whether `place` is in an executable section of the module."""
        section = self.info.sechdrs[place.section] if place.section < len(self.info.sechdrs) else None
        return bool(section and section.sh_flags & SHF_EXECINSTR and 0 <= place.offset < section.sh_size)

    def function_name(self, place: SectionOffset) -> str:
        """Return the name of the function that begins at `place`; if there is none, the place as `shown()` formats
        it."""
        for number, (_, st_info, _, st_shndx, st_value, _) in enumerate(self.info.symbols):
            if (st_shndx, st_value) == place and st_info & 15 == STT_FUNC:
                return self.info.symbol_name(number)
        return self.shown(place)

    def shown(self, place: SectionOffset) -> str:
        """Return a place as messages show it: SECTION+OFFSET."""
        known = place.section < len(self.info.sechdrs)
        name = self.info.section_name(place.section) if known else f"section {place.section}"
        return f"{name}+{place.offset:#x}"

    def _pointers_of(self, section: int) -> dict[int, Pointer]:
        """The pointers that relocations write into a section, by offset; of two at the same offset the later one
        counts. `_odd` gets the offsets of all relocations, also of those that do not write an address."""
        if section not in self._pointers:
            absolute = self.info.machine.relocations.absolute
            made = self._pointers[section] = {}
            odd = self._odd[section] = set()
            for number, shdr in enumerate(self.info.sechdrs):
                if shdr.sh_type == self.info.machine.relocation_section and shdr.sh_info == section:
                    for entry in self.info.relocation_entries(number):
                        if entry.type:
                            odd.add(entry.offset)
                        if entry.type in absolute:
                            made[entry.offset] = self._target(entry.symbol, entry.addend)
        return self._pointers[section]

    def _target(self, symbol: int, addend: int) -> Pointer:
        if symbol >= len(self.info.symbols):
            raise Undefined(
                self.info.stage, f"a pointer is relocated by symbol {symbol}, which does not exist", AS_BUILT
            )
        _name, _info, _other, shndx, value, _size = self.info.symbols[symbol]
        if shndx == SHN_UNDEF:
            resolved = self.info.values[symbol]
            # A weak symbol that nothing exports has a known value.
            return ImportedAddress(self.info.symbol_name(symbol), addend) if resolved is None else resolved + addend
        if shndx == SHN_ABS:
            return value + addend
        return SectionOffset(shndx, value + addend)

    def _inside(self, place: SectionOffset, size: int, verb: str) -> None:
        sections = self.info.sechdrs
        if not (place.section < len(sections) and 0 <= place.offset <= sections[place.section].sh_size - size):
            raise Undefined(
                self.info.stage, f"{size} bytes are {verb} at {self.shown(place)}, which is outside of it", AS_BUILT
            )
        obstacle = no_memory(self.info, place.section)
        if obstacle:
            raise Undefined(
                self.info.stage, f"{size} bytes are {verb} at {self.shown(place)}, which is {obstacle}", WRITABLE
            )
