# SPDX-License-Identifier: GPL-2.0-only
"""The ELF header and the section headers, checked against the file's size before anything else is read."""

from __future__ import annotations

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
from kbuildpy.elf.headers import EHDR_SIZE, SHDR_SIZE, Ehdr, read_ehdr, read_shdrs
from kbuildpy.errors import KbuildError


@dataclass(frozen=True)
class Section:
    """One section header with its name looked up; `index` is its place in the table."""

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


def read_sound_ehdr(image: bytes, filename: str) -> Ehdr:
    """The ELF header of `image`, read in the class and byte order that it names. Raises `KbuildError`, which names
    `filename`, for a file that is not ELF or ends within the header."""
    if image[:4] != ELFMAG:
        raise KbuildError(
            f"{filename}: not an ELF file" if image else f"{filename}: empty file",
            hint="expected a module or an object file; was its compilation interrupted?",
        )
    ident = image[:16]
    if len(ident) < 16 or ident[4] not in (ELFCLASS32, ELFCLASS64) or ident[5] not in (ELFDATA2LSB, ELFDATA2MSB):
        raise KbuildError(f"{filename}: ELF header: unknown class or byte order")
    is_64bit = ident[4] == ELFCLASS64
    if len(image) < EHDR_SIZE[is_64bit]:
        raise KbuildError(f"{filename}: ELF header: truncated, the file has {len(image)} bytes")
    return read_ehdr(image, order="<" if ident[5] == ELFDATA2LSB else ">", is_64bit=is_64bit)


def read_sections(image: bytes, ehdr: Ehdr, filename: str) -> tuple[Section, ...]:
    """Every section; raises `KbuildError`, which names the section, for one that reaches outside the file.

    More than 65,279 sections keep their number, and the index of the name table, in the first header.
    """
    if ehdr.e_shoff == 0:
        return ()
    size = SHDR_SIZE[ehdr.is_64bit]
    if ehdr.e_shentsize != size:
        raise KbuildError(f"{filename}: section headers: {ehdr.e_shentsize} bytes each, {size} expected")
    if ehdr.e_shoff + size > len(image):
        raise KbuildError(f"{filename}: section headers: at {ehdr.e_shoff:#x}, beyond the end of the file")
    [first] = read_shdrs(image, ehdr._replace(e_shnum=1))
    count = ehdr.e_shnum if ehdr.e_shnum != SHN_UNDEF else first.sh_size
    names_index = ehdr.e_shstrndx if ehdr.e_shstrndx != SHN_XINDEX else first.sh_link
    if ehdr.e_shoff + count * size > len(image):
        raise KbuildError(f"{filename}: section headers: {count} of them reach beyond the end of the file")
    shdrs = read_shdrs(image, ehdr._replace(e_shnum=count))
    if names_index >= count:
        raise KbuildError(f"{filename}: section headers: name table {names_index} does not exist")
    table = shdrs[names_index]
    if table.sh_type == SHT_NOBITS or table.sh_offset + table.sh_size > len(image):
        raise KbuildError(f"{filename}: section names: outside the file")
    names = image[table.sh_offset : table.sh_offset + table.sh_size]
    # (many sections may share a long name)
    texts: dict[int, str] = {}
    sections = []
    for index, shdr in enumerate(shdrs):
        name = shdr.sh_name
        text = texts.get(name)
        if text is None:
            stop = names.find(b"\0", name, name + MAX_NAME)
            if name >= len(names) > 0 or (stop < 0 and shdr.sh_type != SHT_NULL):
                raise KbuildError(f"{filename}: section {index}: its name lies outside the name table")
            text = names[name:stop].decode("utf-8", "surrogateescape") if stop >= 0 else ""
            if stop >= 0:
                texts[name] = text
        if shdr.sh_type not in (SHT_NOBITS, SHT_NULL) and shdr.sh_offset + shdr.sh_size > len(image):
            raise KbuildError(
                f"{filename}: section {text or index}: {shdr.sh_size} bytes at {shdr.sh_offset:#x} reach beyond the "
                f"end of the file ({len(image)} bytes)",
                hint="the file is truncated; remove it and build it again",
            )
        sections.append(
            Section(
                index=index,
                name=text,
                type=shdr.sh_type,
                flags=shdr.sh_flags,
                address=shdr.sh_addr,
                offset=shdr.sh_offset,
                size=shdr.sh_size,
                link=shdr.sh_link,
                info=shdr.sh_info,
                addralign=shdr.sh_addralign,
                entsize=shdr.sh_entsize,
            )
        )
    return tuple(sections)
