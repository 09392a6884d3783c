# SPDX-License-Identifier: GPL-2.0-only
"""The line program of a unit: which line of which file each address belongs to (DWARF 5, section 6.2).

Of several rows for one address the last counts, as in binutils (bfd/dwarf2.c: add_line_info).
"""

from __future__ import annotations

import posixpath
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from kbuildpy.debug import forms
from kbuildpy.debug.damage import DamagedDebugInfo
from kbuildpy.debug.debug_sections import DebugSection, DebugSections
from kbuildpy.debug.forms import end_of_form, fixed_size
from kbuildpy.debug.leb128 import read_sleb, read_uleb

_CONTENT_PATH, _CONTENT_DIRECTORY = 1, 2
_MOST_FILES = 1 << 20


class _Sequence(NamedTuple):
    """Rows in the order of their addresses, and where the last one's code ends."""

    addresses: list[int]
    rows: list[tuple[int, int]]
    """The number of the file, and the line."""
    stop: int


@dataclass(frozen=True)
class LineTable:
    """The lines of one unit."""

    version: int
    directories: Sequence[str]
    files: Sequence[tuple[str, int]]
    """Each file's name and the number of its directory. Number 0 is the first from DWARF 5 on, before it number 1."""
    sequences: Sequence[_Sequence] = ()

    def row(self, address: int) -> tuple[int, int] | None:
        """The number of the file and the line of the code at `address`; None if the table does not have it."""
        for sequence in self.sequences:
            if sequence.addresses[0] <= address < sequence.stop:
                return sequence.rows[bisect_right(sequence.addresses, address) - 1]
        return None

    def path(self, number: int, directory: str) -> str:
        """The path of file `number`; `directory` is where the unit was compiled. "" for a number without a file."""
        index = number if self.version >= 5 else number - 1
        if not 0 <= index < len(self.files):
            return ""
        name, folder = self.files[index]
        return posixpath.normpath(posixpath.join(directory, self._directory(folder), name))

    def _directory(self, number: int) -> str:
        index = number if self.version >= 5 else number - 1
        return self.directories[index] if 0 <= index < len(self.directories) else ""


@dataclass
class _Machine:
    """The registers of the line program, and the rows so far."""

    address: int = 0
    file: int = 1
    line: int = 1
    addresses: list[int] = field(default_factory=list)
    rows: list[tuple[int, int]] = field(default_factory=list)


class _Header(NamedTuple):
    """What a line program begins with."""

    program: int
    stop: int
    address_size: int
    minimum: int
    line_base: int
    line_range: int
    opcode_base: int
    lengths: bytes
    """How many arguments the standard opcodes have, from opcode 1 on."""


def read_lines(sections: DebugSections, at: int, address_size: int) -> LineTable:
    """The table of the line program at `at` in `.debug_line`, for a unit with addresses of `address_size` bytes."""
    section = sections["line"]
    header, table = _read_header(sections, section, at, address_size)
    return LineTable(table.version, table.directories, table.files, tuple(_run(section, header)))


def _read_header(
    sections: DebugSections, section: DebugSection, at: int, address_size: int
) -> tuple[_Header, LineTable]:
    contents = section.contents
    at, stop, offset_size = section.initial_length(at)
    version = section.plain(at, 2)
    at += 2
    if not 2 <= version <= 5:
        raise DamagedDebugInfo(f"a line program is of DWARF version {version}")
    if version >= 5:
        address_size = section.plain(at, 1)
        if address_size not in (4, 8):
            raise DamagedDebugInfo(f"a line program has addresses of {address_size} bytes")
        at += 2
    program = at + offset_size + section.plain(at, offset_size)
    at += offset_size
    minimum = contents[at]
    # (maximum_operations_per_instruction is for VLIW machines, default_is_stmt for debuggers)
    at += 3 if version >= 4 else 2
    line_base, line_range, opcode_base = contents[at], contents[at + 1], contents[at + 2]
    line_base -= (line_base & 0x80) << 1
    at += 3
    lengths = contents[at : at + opcode_base - 1]
    at += len(lengths)
    header = _Header(program, stop, address_size, minimum, line_base, line_range, opcode_base, lengths)
    if version >= 5:
        directories, at = _entries(sections, section, at, offset_size)
        files, at = _entries(sections, section, at, offset_size)
        return header, LineTable(version, [name for name, _ in directories], files)
    names = []
    while contents[at]:
        names.append(section.text(at))
        at = contents.index(b"\0", at) + 1
    at += 1
    files = []
    while contents[at]:
        name = section.text(at)
        number, at = read_uleb(contents, contents.index(b"\0", at) + 1)
        _, at = read_uleb(contents, at)
        _, at = read_uleb(contents, at)
        files.append((name, number))
    return header, LineTable(version, names, files)


def _entries(
    sections: DebugSections, section: DebugSection, at: int, offset_size: int
) -> tuple[list[tuple[str, int]], int]:
    """The directories or the files of a header of version 5, and where they end."""
    contents, order = section.contents, sections.image.header.order
    columns = []
    count, at = contents[at], at + 1
    for _ in range(count):
        content, at = read_uleb(contents, at)
        form, at = read_uleb(contents, at)
        columns.append((content, form))
    count, at = read_uleb(contents, at)
    if count > min(_MOST_FILES, len(contents)):
        raise DamagedDebugInfo(f"a line program names {count} files")
    found = []
    for _ in range(count):
        name, folder = "", 0
        for content, form in columns:
            size = fixed_size(form, version=5, address_size=8, offset_size=offset_size)
            stop = end_of_form(form, contents, at, order) if size is None else at + size
            if content == _CONTENT_PATH:
                name = _text(sections, section, at, form, offset_size)
            elif content == _CONTENT_DIRECTORY:
                folder = section.plain(at, size) if size in (1, 2, 4, 8) else read_uleb(contents, at)[0]
            at = stop
        found.append((name, folder))
    return found, at


def _text(sections: DebugSections, section: DebugSection, at: int, form: int, offset_size: int) -> str:
    if form == forms.FORM_STRING:
        return section.text(at)
    if form in (forms.FORM_LINE_STRP, forms.FORM_STRP):
        name = "line_str" if form == forms.FORM_LINE_STRP else "str"
        return sections[name].text(section.number(at, offset_size))
    return ""


def _run(section: DebugSection, header: _Header) -> list[_Sequence]:
    """Run the program; its sequences, each with an address at least."""
    contents, at, stop = section.contents, header.program, header.stop
    minimum, line_base, line_range, opcode_base = header[3:7]
    sequences: list[_Sequence] = []
    machine = _Machine()
    while at < stop:
        opcode = contents[at]
        at += 1
        if opcode >= opcode_base:
            if not line_range:
                raise DamagedDebugInfo("a line program has a line range of 0")
            advance, line = divmod(opcode - opcode_base, line_range)
            machine.address += advance * minimum
            machine.line += line_base + line
            machine.addresses.append(machine.address)
            machine.rows.append((machine.file, machine.line))
        elif opcode == 0:
            length, at = read_uleb(contents, at)
            following = at + length
            if length and contents[at] == 1:
                if machine.addresses:
                    sequences.append(_sequence(machine))
                machine = _Machine()
            elif length and contents[at] == 2:
                machine.address = section.number(at + 1, header.address_size)
            at = following
        else:
            at = _standard(machine, section, header, opcode, at)
    return sequences


def _standard(machine: _Machine, section: DebugSection, header: _Header, opcode: int, at: int) -> int:
    """Run one of the standard opcodes, whose arguments begin at `at`; where they end."""
    contents = section.contents
    if opcode == 1:  # DW_LNS_copy
        machine.addresses.append(machine.address)
        machine.rows.append((machine.file, machine.line))
    elif opcode == 2:  # DW_LNS_advance_pc
        advance, at = read_uleb(contents, at)
        machine.address += advance * header.minimum
    elif opcode == 3:  # DW_LNS_advance_line
        advance, at = read_sleb(contents, at)
        machine.line += advance
    elif opcode == 4:  # DW_LNS_set_file
        machine.file, at = read_uleb(contents, at)
    elif opcode == 8:  # DW_LNS_const_add_pc
        if header.line_range:
            machine.address += (255 - header.opcode_base) // header.line_range * header.minimum
    elif opcode == 9:  # DW_LNS_fixed_advance_pc
        machine.address += section.number(at, 2)
        at += 2
    else:
        for _ in range(header.lengths[opcode - 1] if opcode <= len(header.lengths) else 0):
            _, at = read_uleb(contents, at)
    return at


def _sequence(machine: _Machine) -> _Sequence:
    """The rows of `machine`, whose last address is the end of the code."""
    rows = list(zip(machine.addresses, machine.rows, strict=True))
    rows.sort(key=lambda row: row[0])
    return _Sequence([address for address, _ in rows], [row for _, row in rows], machine.address)
