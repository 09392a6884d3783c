"""Tables of pointers in a module: `.return_sites`, `__mcount_loc`, `__jump_table` and their like.

Their entries hold an address or the distance to one, and are zeros until they are relocated. So what an entry points to
is said by its relocation; the kernel follows it without a look at where it leads.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from operator import sub
from typing import NamedTuple

from kbuildpy.elf.constants import SHF_ALLOC, SHF_EXECINSTR
from kbuildpy.loader import since
from kbuildpy.loader.load_info import LoadInfo
from kbuildpy.loader.verdict import Undefined

ABSOLUTE = frozenset({1, 257})
"""Relocation types of a pointer: R_X86_64_64, R_AARCH64_ABS64."""
RELATIVE = frozenset({2, 4, 261})
"""Those of a distance in 32 bits: R_X86_64_PC32 and PLT32 (calls, too), R_AARCH64_PREL32."""
RELATIVE64 = frozenset({24, 260})
"""Those of a distance in 64 bits: R_X86_64_PC64, R_AARCH64_PREL64."""
LONG = ABSOLUTE | RELATIVE64
"""Those of fields of eight bytes."""


class Pointer(NamedTuple):
    """What a relocated field points to: `offset` within section `section`, or where `section` is 0 (SHN_UNDEF) from
    the address of `symbol`, which is the kernel's or another module's."""

    section: int
    offset: int
    symbol: int


def pointers(info: LoadInfo, number: int, kinds: frozenset[int] = RELATIVE) -> dict[int, Pointer]:
    """The pointers that relocations of types `kinds` make in section `number`, by their offset there. Raises
    `Undefined` where relocations overlap: they make something else of it."""
    found: dict[int, Pointer] = {}
    rows = info.symbols
    fields: set[int] = set()
    for relsec in info.relocated.get(number, ()):
        columns = info.relocations(relsec)
        fields.update(columns.offsets)
        for offset, kind, symbol, addend in zip(*columns, strict=True):
            if kind in kinds:
                row = rows[symbol]
                found[offset] = Pointer(row[3], row[4] + addend, symbol)
    # (every field has four bytes at least)
    if _overlap(fields, 4) or (kinds & LONG and _overlap(found, 8)):
        raise Undefined(
            info.stage, f"relocations of {info.section_name(number)} overlap, and what they make is followed"
        )
    return found


def _overlap(fields: Collection[int], size: int) -> bool:
    offsets = sorted(fields)
    return len(offsets) > 1 and min(map(sub, offsets[1:], offsets)) < size


def sites(info: LoadInfo, number: int, size: int, kinds: frozenset[int] = RELATIVE) -> Iterator[tuple[int, Pointer]]:
    """Where each entry starts and what the pointer that it starts with points to; entries are `size` bytes, and a last
    one that is not whole is left out. Raises `Undefined` for an entry without a relocation."""
    found = pointers(info, number, kinds)
    for offset in range(0, info.sechdrs[number].sh_size // size * size, size):
        pointer = found.get(offset)
        if pointer is None:
            raise Undefined(
                info.stage,
                f"the pointer at {offset:#x} of {info.section_name(number)} is not relocated, and is followed",
                hint="build the module again: a tool has dropped relocations",
            )
        yield offset, pointer


def entry(contents: bytes, offset: int, size: int) -> bytes:
    """The `size` bytes of an entry in a section's `contents`: zeros where the file has none (SHT_NOBITS)."""
    return contents[offset : offset + size].ljust(size, b"\0")


def whole_entries(info: LoadInfo, number: int, size: int) -> None:
    """For tables that the kernel walks to the end whatever their size is."""
    if info.sechdrs[number].sh_size % size:
        raise Undefined(
            info.stage,
            f"{info.section_name(number)} has {info.sechdrs[number].sh_size} bytes, and entries have {size}: "
            "the last one is read from beyond the end",
        )


def has_address(info: LoadInfo, number: int) -> bool:
    """Whether section `number` is somewhere in memory. Number 0, which stands for what is not found, is nowhere unless
    it claims to be kept."""
    return number != 0 or bool(info.sechdrs[0].sh_flags & SHF_ALLOC)


class Code:
    """The instructions of a module's sections, for who asks byte by byte."""

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
        """The same, or fewer bytes where the section ends before."""
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
        for relsec in self._info.relocated.get(section, ()):
            for start, kind, *_ in zip(*self._info.relocations(relsec), strict=True):
                for offset in range(start, min(start + (8 if kind in LONG else 4), size)):
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
    """The places where a section's code names one of the kernel's symbols, as the compiler has it call `__fentry__`."""

    def __init__(self, info: LoadInfo, names: Collection[str], prefix: str | None = None) -> None:
        self._info = info
        self._symbols = {
            number: name
            for number, row in enumerate(info.symbols)
            if not row[3] and row[0] and _is_one((name := info.symbol_name(number)), names, prefix)
        }
        self._places: dict[int, dict[int, str]] = {}

    def target(self, section: int, offset: int) -> str | None:
        """The name whose distance is at `offset` of `section`, measured from the end of these four bytes."""
        places = self._places.get(section)
        if places is None:
            places = self._places[section] = self._find(section)
        return places.get(offset)

    def _find(self, section: int) -> dict[int, str]:
        names = self._symbols
        places = {}
        if names:
            for relsec in self._info.relocated.get(section, ()):
                columns = self._info.relocations(relsec)
                for offset, kind, symbol, addend in zip(*columns, strict=True):
                    # (of the distance, 32 bits are kept)
                    if symbol in names and (addend + 4) & 0xFFFFFFFF == 0 and kind in RELATIVE:
                        places[offset] = names[symbol]
        return places


def _is_one(name: str, names: Collection[str], prefix: str | None) -> bool:
    return name in names or (prefix is not None and name.startswith(prefix))


def warn(info: LoadInfo, file: str, function: str, message: str | None = None) -> None:
    """WARN(): a line that says what, one that says where, and a trace, which is left out here; the kernel goes on, with
    taint W."""
    if message is not None:
        info.log(message)
    if info.kernel.version >= since.WARNING_WITH_COMMAND:
        info.log(f"WARNING: {file}:<line> at {function}+<offset>, CPU#<cpu>: <command>/<pid>")
    else:
        info.log(f"WARNING: CPU: <cpu> PID: <pid> at {file}:<line> {function}+<offset>")
    info.kernel_taints.add("W")


def is_set(info: LoadInfo, *symbols: str) -> bool:
    """Whether the kernel has one of these (an option and what it was called later); taken for set where its
    configuration is not known, for then the tables in the module show that its tree had it."""
    return info.kernel.config is None or any(info.kernel.has(symbol) for symbol in symbols)
