"""The ELF header and the section headers, checked against the file's size before anything else is read."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from kbuildpy.elf.constants import (
    ELFCLASS32,
    ELFCLASS64,
    ELFDATA2LSB,
    ELFDATA2MSB,
    ELFMAG,
    MAX_NAME,
    SHN_UNDEF,
    SHN_XINDEX,
    SHT_NOBITS,
    SHT_NULL,
)
from kbuildpy.elf.raw import EHDR, SHDR
from kbuildpy.errors import KbuildError


@dataclass(frozen=True)
class Header:
    """The ELF header: class, byte order (as `struct` spells it) and what the rest of the file hangs on."""

    elfclass: int
    order: str
    type: int
    machine: int
    flags: int
    shoff: int
    shentsize: int
    shnum: int
    shstrndx: int

    @property
    def is_64bit(self) -> bool:
        """Whether the file is ELFCLASS64."""
        return self.elfclass == ELFCLASS64


@dataclass(frozen=True)
class Section:
    """One section header, its name looked up; `index` is its place in the table."""

    index: int
    name: str
    type: int
    flags: int
    address: int
    offset: int
    size: int
    link: int
    info: int
    addralign: int
    entsize: int


def read_header(image: bytes, filename: str) -> Header:
    """Read and check the ELF header of `image`; `KbuildError` names `filename` when it is no sound ELF file."""
    if image[:4] != ELFMAG:
        raise KbuildError(
            f"{filename}: not an ELF file" if image else f"{filename}: empty file",
            hint="a module or object file is expected; was its compilation interrupted?",
        )
    ident = image[:16]
    if len(ident) < 16 or ident[4] not in (ELFCLASS32, ELFCLASS64) or ident[5] not in (ELFDATA2LSB, ELFDATA2MSB):
        raise KbuildError(f"{filename}: ELF header: unknown class or byte order")
    order = "<" if ident[5] == ELFDATA2LSB else ">"
    layout = struct.Struct(order + EHDR[ident[4] == ELFCLASS64])
    if len(image) < 16 + layout.size:
        raise KbuildError(f"{filename}: ELF header: truncated, the file has {len(image)} bytes")
    fields = layout.unpack_from(image, 16)
    return Header(
        elfclass=ident[4],
        order=order,
        type=fields[0],
        machine=fields[1],
        flags=fields[6],
        shoff=fields[5],
        shentsize=fields[10],
        shnum=fields[11],
        shstrndx=fields[12],
    )


def read_sections(image: bytes, header: Header, filename: str) -> tuple[Section, ...]:
    """Read every section header; a section that reaches outside the file is a `KbuildError` that names it.

    More than 65,279 sections keep their number, and the index of the name table, in the first header.
    """
    if header.shoff == 0:
        return ()
    layout = struct.Struct(header.order + SHDR[header.is_64bit])
    if header.shentsize != layout.size:
        raise KbuildError(f"{filename}: section headers: {header.shentsize} bytes each, {layout.size} expected")
    if header.shoff + layout.size > len(image):
        raise KbuildError(f"{filename}: section headers: at {header.shoff:#x}, beyond the end of the file")
    first = layout.unpack_from(image, header.shoff)
    count = header.shnum if header.shnum != SHN_UNDEF else first[5]
    names_index = header.shstrndx if header.shstrndx != SHN_XINDEX else first[6]
    end = header.shoff + count * layout.size
    if end > len(image):
        raise KbuildError(f"{filename}: section headers: {count} of them reach beyond the end of the file")
    rows = list(layout.iter_unpack(memoryview(image)[header.shoff : end]))
    if names_index >= count:
        raise KbuildError(f"{filename}: section headers: name table {names_index} does not exist")
    names_offset, names_size = rows[names_index][4], rows[names_index][5]
    if rows[names_index][1] == SHT_NOBITS or names_offset + names_size > len(image):
        raise KbuildError(f"{filename}: section names: outside the file")
    names = image[names_offset : names_offset + names_size]
    sections = []
    for index, (name, type_, flags, address, offset, size, link, info, addralign, entsize) in enumerate(rows):
        stop = names.find(b"\0", name, name + MAX_NAME)
        if name >= len(names) > 0 or (stop < 0 and type_ != SHT_NULL):
            raise KbuildError(f"{filename}: section {index}: its name lies outside the name table")
        text = names[name:stop].decode("utf-8", "surrogateescape") if stop >= 0 else ""
        if type_ not in (SHT_NOBITS, SHT_NULL) and offset + size > len(image):
            raise KbuildError(
                f"{filename}: section {text or index}: {size} bytes at {offset:#x} reach beyond the end of the file "
                f"({len(image)} bytes)",
                hint="the file is truncated; remove it and build it again",
            )
        sections.append(Section(index, text, type_, flags, address, offset, size, link, info, addralign, entsize))
    return tuple(sections)
