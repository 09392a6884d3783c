# SPDX-License-Identifier: GPL-2.0-only
"""The ELF header and section headers as the file has them, decoded with the field names of the ELF specification.

Nothing is checked and no number is resolved here: `sh_name` is an offset into a table that may not exist. The kernel's
loader judges such headers itself (`kbuildpy.loader.stages.elf_validity`); `kbuildpy.elf.sections` refuses unsound ones.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

EHDR = {False: "HHIIIIIHHHHHH", True: "HHIQQQIHHHHHH"}
"""`struct` layout of the ELF header behind e_ident, by whether the class is ELFCLASS64."""
SHDR = {False: "IIIIIIIIII", True: "IIQQQQIIQQ"}
"""`struct` layout of a section header, by whether the class is ELFCLASS64."""
CHDR = {False: "III", True: "IIQQ"}
"""`struct` layout of a compression header, by whether the class is ELFCLASS64."""
EHDR_SIZE = {False: 52, True: 64}
SHDR_SIZE = {False: 40, True: 64}


class Ehdr(NamedTuple):
    """Elf64_Ehdr or Elf32_Ehdr, without e_version, e_entry, e_phoff and the program headers' numbers."""

    e_ident: bytes = b""
    e_type: int = 0
    e_machine: int = 0
    e_flags: int = 0
    e_shoff: int = 0
    e_shentsize: int = 0
    e_shnum: int = 0
    e_shstrndx: int = 0
    order: str = "<"
    """The byte order that the header was read in, as `struct` spells it."""
    is_64bit: bool = True
    """Whether the header was read as ELFCLASS64."""
    e_entry: int = 0


@dataclass(slots=True)
class Shdr:
    """Elf64_Shdr or Elf32_Shdr; may be written to, as the kernel's loader does in its copy."""

    sh_name: int
    sh_type: int
    sh_flags: int
    sh_addr: int
    sh_offset: int
    sh_size: int
    sh_link: int
    sh_info: int
    sh_addralign: int
    sh_entsize: int


class Chdr(NamedTuple):
    """The beginning of a section with SHF_COMPRESSED: Elf64_Chdr or Elf32_Chdr, without the alignment."""

    ch_type: int
    ch_size: int
    """Bytes of the section's contents, unpacked."""
    packed_at: int
    """Where behind this header they begin."""


def read_chdr(contents: bytes, ehdr: Ehdr) -> Chdr:
    """The header of a compressed section's `contents`. Raises `struct.error` for contents that are shorter."""
    layout = struct.Struct(ehdr.order + CHDR[ehdr.is_64bit])
    kind, *_, size, _align = layout.unpack_from(contents)
    return Chdr(kind, size, layout.size)


def read_ehdr(contents: bytes, *, order: str = "<", is_64bit: bool = True) -> Ehdr:
    """The ELF header of `contents`, which must have `EHDR_SIZE` bytes at least. Class and byte order are the reader's,
    whatever e_ident says."""
    fields = struct.unpack_from(order + EHDR[is_64bit], contents, 16)
    e_type, e_machine, _version, e_entry, _phoff, e_shoff, e_flags, _ehsize, _phentsize, _phnum, *rest = fields
    e_shentsize, e_shnum, e_shstrndx = rest
    return Ehdr(
        contents[:16],
        e_type,
        e_machine,
        e_flags,
        e_shoff,
        e_shentsize,
        e_shnum,
        e_shstrndx,
        order=order,
        is_64bit=is_64bit,
        e_entry=e_entry,
    )


def read_shdrs(contents: bytes, ehdr: Ehdr) -> list[Shdr]:
    """The section headers, which must lie within `contents`."""
    return list(iter_shdrs(contents, ehdr))


def iter_shdrs(contents: bytes, ehdr: Ehdr) -> Iterator[Shdr]:
    """The section headers one by one: a list of all of them takes five times their size in the file."""
    layout = struct.Struct(ehdr.order + SHDR[ehdr.is_64bit])
    table = memoryview(contents)[ehdr.e_shoff : ehdr.e_shoff + ehdr.e_shnum * layout.size]
    return (Shdr(*fields) for fields in layout.iter_unpack(table))


def c_string(contents: bytes, offset: int) -> str | None:
    """The NUL-terminated string at `offset`; None if it does not end within `contents`."""
    stop = contents.find(b"\0", offset) if 0 <= offset < len(contents) else -1
    return None if stop < 0 else contents[offset:stop].decode("utf-8", "surrogateescape")
