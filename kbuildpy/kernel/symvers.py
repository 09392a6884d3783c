# SPDX-License-Identifier: GPL-2.0-only
"""Module.symvers: reading and writing (scripts/mod/modpost.c: read_dump, write_dump).

A line is `0xCRC<tab>symbol<tab>owner<tab>EXPORT_SYMBOL[_GPL]<tab>namespace`. The kernel's own has 25,000 lines of
which a module needs a few dozens, so that a sound file stays five columns of strings, cut out with one
`split`, and a long one is looked up in an index from the second time on; only a file that is not what modpost writes
is read line by line, to say where it is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path

from kbuildpy.errors import KbuildError
from kbuildpy.files import read_regular
from kbuildpy.kernel.symvers_index import MIN_LINES, SymversIndex, keep_index, load_index

LICENSES = {"EXPORT_SYMBOL": False, "EXPORT_SYMBOL_GPL": True}


SymversLine = tuple[str, str, str, str]
"""CRC, owner, license and namespace of a symbol, as the file spells them."""


@dataclass(frozen=True)
class SymversColumns:
    """One symvers file as columns; `rows` finds a symbol's last line. `skipped` are (symbol, unknown license)."""

    crcs: list[str]
    symbols: list[str]
    owners: list[str]
    licenses: list[str]
    namespaces: list[str]
    rows: dict[str, int]
    skipped: list[tuple[str, str]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.symbols)

    @property
    def unique(self) -> bool:
        """Whether no symbol is there twice."""
        return len(self.rows) == len(self.symbols)

    @property
    def columns(self) -> SymversColumns:
        """The file as columns."""
        return self

    def line(self, row: int) -> SymversLine:
        """What the file says in a row of the symbol there."""
        return self.crcs[row], self.owners[row], self.licenses[row], self.namespaces[row]

    def find(self, symbol: str) -> SymversLine | None:
        """What the file says of `symbol`, None if it is not there."""
        row = self.rows.get(symbol)
        return None if row is None else self.line(row)


@dataclass(frozen=True)
class IndexedSymvers:
    """A sound symvers file of different symbols that is looked up in its index; its text becomes columns when they
    are asked for."""

    text: bytes
    index: SymversIndex
    unique: bool = True
    skipped: tuple[tuple[str, str], ...] = ()

    def __len__(self) -> int:
        return len(self.index)

    @cached_property
    def columns(self) -> SymversColumns:
        """The file as columns."""
        found = _cut(self.text.decode("utf-8", "surrogateescape"))
        assert found is not None, "only a sound file has an index"
        return found

    def find(self, symbol: str) -> SymversLine | None:
        """What the file says of `symbol`, None if it is not there."""
        return self.index.find(symbol)


Symvers = SymversColumns | IndexedSymvers


def read_symvers(path: Path, *, any_license: bool = False) -> Symvers:
    """Read the symvers file at `path`; one that did not change is read once in a process.

    `any_license` keeps the lines whose license is unknown (up to 5.18). Raises `KbuildError` for a file that cannot be
    read, is larger than any is, or has a line that is none of a symvers file.
    """
    try:
        status = path.stat()
        if status.st_size > LARGEST:
            raise KbuildError(
                f"{path}: {status.st_size >> 20} MiB are too large for a symvers file",
                hint=f"a kernel's have 2 or 3; {SYMVERS_HINT}",
            )
        return _read(path, any_license, status.st_mtime_ns, status.st_size, status.st_ino)
    except OSError as error:
        raise KbuildError(
            f"{path}: {error.strerror}",
            hint="symbol versions come from this file: build the modules or the kernel that write it",
        ) from error


def forget_symvers() -> None:
    """Read files again that were read in this process; for measuring."""
    _read.cache_clear()


@lru_cache(maxsize=8)
def _read(path: Path, any_license: bool, _mtime: int, _size: int, _inode: int) -> Symvers:
    return parse_symvers(read_regular(path), path, any_license=any_license)


def parse_symvers(contents: bytes, path: Path, *, any_license: bool = False) -> Symvers:
    """Read what a symvers file says; errors name it `path`.

    A NUL byte is the end of the text (modpost.c: read_text_file, get_line).
    """
    contents = contents.partition(b"\0")[0]
    index = load_index(contents)
    if index is not None:
        return IndexedSymvers(contents, index)
    text = contents.decode("utf-8", "surrogateescape")
    found = _cut(text)
    if found is None:
        return _read_slowly(text, path, any_license=any_license)
    if len(found) >= MIN_LINES and found.unique:
        keep_index(contents)
    return found


def _cut(text: str) -> SymversColumns | None:
    """The columns of a sound file, None for any other."""
    cells = text.replace("\n", "\t").split("\t")
    if cells[-1] != "" or len(cells) % 5 != 1:
        return None
    cells.pop()
    crcs, symbols, owners, licenses = cells[0::5], cells[1::5], cells[2::5], cells[3::5]
    sound = (
        len(cells) == 5 * text.count("\n")
        and set(licenses) <= LICENSES.keys()
        and CRC_COLUMN.fullmatch("".join(crcs)) is not None
        and "" not in symbols
        and "" not in owners
    )
    if not sound:
        return None
    rows = dict(zip(symbols, range(len(symbols)), strict=True))
    return SymversColumns(crcs, symbols, owners, licenses, cells[4::5], rows)


def _read_slowly(text: str, path: Path, *, any_license: bool) -> SymversColumns:
    columns: list[list[str]] = [[], [], [], [], []]
    skipped = []
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    for number, line in enumerate(lines, 1):
        if line == "":
            raise KbuildError(f"{path}:{number}: empty line in a symvers file", hint=SYMVERS_HINT)
        cells = line.split("\t", 4)
        if len(cells) != 5:
            raise KbuildError(f"{path}:{number}: {len(cells)} fields, 5 expected", hint=SYMVERS_HINT)
        if STRTOUL_16.fullmatch(cells[0]) is None:
            raise KbuildError(f"{path}:{number}: {cells[0]!r} is no CRC", hint=SYMVERS_HINT)
        if cells[1] == "" or cells[2] == "":
            raise KbuildError(f"{path}:{number}: the symbol or the owner is missing", hint=SYMVERS_HINT)
        if cells[3] not in LICENSES and not any_license:
            skipped.append((cells[1], cells[3]))
            continue
        for column, cell in zip(columns, cells, strict=True):
            column.append(cell)
    rows = {symbol: row for row, symbol in enumerate(columns[1])}
    crcs, symbols, owners, licenses, namespaces = columns
    return SymversColumns(crcs, symbols, owners, licenses, namespaces, rows, skipped)


def format_symvers(lines: Iterable[tuple[int, str, str, str, str]]) -> list[str]:
    """Lines of a symvers file from (CRC, symbol, owner, macro, namespace)."""
    return [f"0x{crc:08x}\t{symbol}\t{owner}\t{macro}\t{namespace}\n" for crc, symbol, owner, macro, namespace in lines]


def crc_number(text: str) -> int:
    """The CRC that a symvers file has as `text` (`STRTOUL_16`): strtoul(3), cut to 32 bits."""
    number = int(text or "0", 16)
    return number & 0xFFFFFFFF if abs(number) < 1 << 64 else 0xFFFFFFFF


LARGEST = 8 << 20
"""Bytes of a symvers file: three times what the kernels of distributions have."""
CRC_COLUMN = re.compile(r"(?:0x[0-9a-f]{8})*")
STRTOUL_16 = re.compile(r"(?:[ \v\f\r]*[-+]?(?:0[xX])?[0-9a-fA-F]+)?")
"""What strtoul(3) reads to its end, which is what modpost asks of a CRC (modpost.c: read_dump)."""
SYMVERS_HINT = "CRC, symbol, owner, EXPORT_SYMBOL or EXPORT_SYMBOL_GPL, and namespace, separated by tabs"
