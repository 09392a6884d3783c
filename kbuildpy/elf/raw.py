"""ELF headers as they are, unchecked: for who wants to judge them himself, as the kernel's loader does.

`kbuildpy.elf.image` refuses a file whose headers are not sound; here they are just decoded, with the names of the
ELF specification. Numbers are not resolved: a name is an offset into a table that may not be there.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

EHDR = {False: "HHIIIIIHHHHHH", True: "HHIQQQIHHHHHH"}
"""The ELF header behind e_ident, and a section header, for `struct`; by whether the class is ELFCLASS64."""
SHDR = {False: "IIIIIIIIII", True: "IIQQQQIIQQ"}
EHDR_SIZE = {False: 52, True: 64}
SHDR_SIZE = {False: 40, True: 64}


class Ehdr(NamedTuple):
    """Elf64_Ehdr or Elf32_Ehdr, without what nobody reads; `order` and `is_64bit` say how it was read."""

    e_ident: bytes = b""
    e_type: int = 0
    e_machine: int = 0
    e_flags: int = 0
    e_shoff: int = 0
    e_shentsize: int = 0
    e_shnum: int = 0
    e_shstrndx: int = 0
    order: str = "<"
    is_64bit: bool = True


@dataclass(slots=True)
class Shdr:
    """Elf64_Shdr or Elf32_Shdr; may be written to."""

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


def read_ehdr(contents: bytes, *, order: str = "<", is_64bit: bool = True) -> Ehdr:
    """The ELF header of `contents`, which must be long enough (`EHDR_SIZE`); read as the reader's class and byte
    order have it, whatever the file says about itself."""
    fields = struct.unpack_from(order + EHDR[is_64bit], contents, 16)
    return Ehdr(
        e_ident=contents[:16],
        e_type=fields[0],
        e_machine=fields[1],
        e_shoff=fields[5],
        e_flags=fields[6],
        e_shentsize=fields[10],
        e_shnum=fields[11],
        e_shstrndx=fields[12],
        order=order,
        is_64bit=is_64bit,
    )


def read_shdrs(contents: bytes, ehdr: Ehdr) -> list[Shdr]:
    """The section headers, which must lie within `contents`."""
    return list(iter_shdrs(contents, ehdr))


def iter_shdrs(contents: bytes, ehdr: Ehdr) -> Iterator[Shdr]:
    """The same one after the other: all of them take five times the room that they have in the file."""
    layout = struct.Struct(ehdr.order + SHDR[ehdr.is_64bit])
    table = memoryview(contents)[ehdr.e_shoff : ehdr.e_shoff + ehdr.e_shnum * layout.size]
    return (Shdr(*fields) for fields in layout.iter_unpack(table))


def c_string(contents: bytes, offset: int) -> str | None:
    """The NUL-terminated string at `offset`; None if it does not end within `contents`."""
    stop = contents.find(b"\0", offset) if 0 <= offset < len(contents) else -1
    return None if stop < 0 else contents[offset:stop].decode("utf-8", "surrogateescape")
