# SPDX-License-Identifier: GPL-2.0-only
"""Damage to module files: what bad media, broken tools and hostile hands do to them, drawn at random.

Each kind of damage is a function of a module's bytes that draws from `chance`. It changes one place and leaves the rest
as it is, for what is refused at its first byte never gets far into the loader.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from random import Random
from typing import NamedTuple

from kbuildpy.elf.headers import SHDR_SIZE, Shdr, read_ehdr, read_shdrs

Damage = Callable[[bytearray, Random], None]


class Field(NamedTuple):
    """A field of a table's entry: where it begins, and its size, in bytes."""

    at: int
    size: int


# Elf64_Ehdr, Elf64_Shdr, Elf64_Sym, Elf64_Rela, struct module_signature.
EHDR = (*(Field(at, 1) for at in range(16)), *(Field(at, 2) for at in (16, 18, 52, 54, 56, 58, 60, 62)), Field(40, 8))
SHDR = (*(Field(at, 4) for at in (0, 4, 40, 44)), *(Field(at, 8) for at in (8, 16, 24, 32, 48, 56)))
SYM = (Field(0, 4), Field(4, 1), Field(5, 1), Field(6, 2), Field(8, 8), Field(16, 8))
RELA = (Field(0, 8), Field(8, 4), Field(12, 4), Field(16, 8))
TRAILER = (*(Field(at, 1) for at in range(8)), Field(8, 4))
MARKER = b"~Module signature appended~\n"
SHT_SYMTAB, SHT_RELA, SHT_NOBITS = 2, 4, 8


def damaged(module: bytes, chance: Random) -> tuple[bytes, list[str]]:
    """`module` with one to four damages, and what they are called."""
    contents = bytearray(module)
    names = []
    for _ in range(chance.choice((1, 1, 1, 2, 2, 3, 4))):
        kind = chance.choice(KINDS)
        try:
            kind(contents, chance)
        except (struct.error, IndexError, ValueError):
            continue  # (damaged before in such a way that there is no such table any more)
        names.append(kind.__name__)
    return bytes(contents), names


def interesting(contents: bytearray, size: int, chance: Random, now: int) -> int:
    """A number that is apt to be a mistake in a field of `size` bytes which holds `now`."""
    length, bits = len(contents), 8 * size
    edges = (0, 1, 2, 7, 8, 0x7F, 0xFF, 0xFF00, 0xFFF1, 0xFFFF, 1 << 31, (1 << 32) - 1, 1 << 63, (1 << 64) - 1)
    number = chance.choice(
        (
            chance.choice(edges),
            chance.choice(edges),
            now + chance.choice((-64, -24, -8, -4, -1, 1, 4, 8, 24, 64)),
            length + chance.choice((-64, -1, 0, 1)),
            length - now,
            now ^ 1 << chance.randrange(bits),
            chance.randrange(length + 1),
            chance.getrandbits(bits),
            1 << chance.randrange(bits),
        )
    )
    return number & ((1 << bits) - 1)


def write_field(contents: bytearray, start: int, field: Field, chance: Random) -> None:
    """Put something else into a field of the entry at `start`."""
    at = start + field.at
    now = int.from_bytes(contents[at : at + field.size], "little")
    if at + field.size <= len(contents):
        value = interesting(contents, field.size, chance, now)
        contents[at : at + field.size] = value.to_bytes(field.size, "little")


def sections(contents: bytearray) -> list[Shdr]:
    """The section headers, as far as there are any."""
    header = read_ehdr(bytes(contents[:64]))
    return read_shdrs(bytes(contents), header)


def header_place(contents: bytearray, number: int) -> int:
    """Where section header `number` is."""
    return read_ehdr(bytes(contents[:64])).e_shoff + number * SHDR_SIZE[True]


def elf_header(contents: bytearray, chance: Random) -> None:
    """A field of the ELF header."""
    write_field(contents, 0, chance.choice(EHDR), chance)


def section_header(contents: bytearray, chance: Random) -> None:
    """A field of a section header."""
    number = chance.randrange(len(sections(contents)))
    write_field(contents, header_place(contents, number), chance.choice(SHDR), chance)


def exchanged_headers(contents: bytearray, chance: Random) -> None:
    """A section header becomes another one's copy."""
    count = len(sections(contents))
    source, target = (header_place(contents, chance.randrange(count)) for _ in range(2))
    contents[target : target + 64] = contents[source : source + 64].ljust(64, b"\0")


def whole_file(contents: bytearray, chance: Random) -> None:
    """Some sections are all of the file, and of a type that is looked at."""
    count = len(sections(contents))
    kind, info = chance.choice((0, SHT_SYMTAB, SHT_RELA, 1, 3)), chance.randrange(count)
    for _ in range(chance.choice((1, 1, 2, 5, count))):
        at = header_place(contents, chance.randrange(1, count))
        struct.pack_into("<QQ", contents, at + 24, 0, len(contents))
        if kind:
            struct.pack_into("<I", contents, at + 4, kind)
            struct.pack_into("<I", contents, at + 44, info)


def many_headers(contents: bytearray, chance: Random) -> None:
    """The section headers are the whole file."""
    struct.pack_into("<Q", contents, 40, chance.choice((0, 64, 1)))
    struct.pack_into("<H", contents, 60, min(len(contents) // 64 - 1, 0xFFFF))


def table_entry(kind: int, size: int, fields: tuple[Field, ...]) -> Damage:
    """A field of an entry in a table of that section type."""

    def damage(contents: bytearray, chance: Random) -> None:
        tables = [section for section in sections(contents) if section.sh_type == kind and section.sh_size >= size]
        table = chance.choice(tables)
        for _ in range(chance.choice((1, 1, 10))):
            entry = chance.randrange(table.sh_size // size)
            write_field(contents, table.sh_offset + entry * size, chance.choice(fields), chance)

    damage.__name__ = {SHT_SYMTAB: "symbol", SHT_RELA: "relocation"}[kind]
    return damage


def named_section(contents: bytearray, chance: Random) -> None:
    """Bytes of a section whose contents are looked at."""
    headers = sections(contents)
    names = headers[read_ehdr(bytes(contents[:64])).e_shstrndx]
    table = bytes(contents[names.sh_offset : names.sh_offset + names.sh_size])
    found = [
        section
        for section in headers
        if section.sh_size
        and section.sh_type != SHT_NOBITS
        and table[section.sh_name : table.find(b"\0", section.sh_name)] in LOOKED_AT
    ]
    section = chance.choice(found)
    for _ in range(chance.choice((1, 1, 3, 100))):
        at = section.sh_offset + chance.randrange(section.sh_size)
        contents[at] = chance.choice((0, 0xFF, chance.randrange(256), contents[at] ^ 1 << chance.randrange(8)))


LOOKED_AT = {
    *(b".modinfo", b"__versions", b".gnu.linkonce.this_module", b"__param", b".strtab", b".shstrtab", b"__ksymtab"),
    *(b"__ksymtab_gpl", b"__ksymtab_strings", b"__kcrctab", b".altinstructions", b".BTF", b"__mcount_loc"),
    *(b".orc_unwind", b".orc_unwind_ip", b"__kflagstab", b".return_sites", b".retpoline_sites", b".parainstructions"),
    *(b"__jump_table", b".static_call_sites", b".init.text", b".text", b"__patchable_function_entries"),
}


def modinfo(contents: bytearray, chance: Random) -> None:
    """A tag is another one, or its value is long, empty, or without an end."""
    tags = (
        b"name",
        b"license",
        b"vermagic",
        b"depends",
        b"retpoline",
        b"intree",
        b"livepatch",
        b"staging",
        b"import_ns",
    )
    tag, other = (chance.choice(tags) + b"=" for _ in range(2))
    at = contents.find(b"\0" + tag) + 1
    stop = contents.index(b"\0", at)
    text = chance.choice(
        (other, tag, bytes(contents[at:stop]).replace(b"=", b"\0"), b"\xff" * (stop - at), b"import_ns=module:")
    )
    contents[at : at + len(text)] = text


def signature(contents: bytearray, chance: Random) -> None:
    """A field of the trailer, or a byte of the signature; a trailer where there was none."""
    if not contents.endswith(MARKER):
        contents += chance.randbytes(12) + MARKER
    if chance.random() < 0.5:
        write_field(contents, len(contents) - len(MARKER) - 12, chance.choice(TRAILER), chance)
    else:
        contents[len(contents) - len(MARKER) - 12 - chance.randrange(1, 600)] ^= 1 << chance.randrange(8)


def truncation(contents: bytearray, chance: Random) -> None:
    """The end is missing."""
    stop = chance.choice(
        (chance.randrange(len(contents)), chance.randrange(200), len(contents) - chance.randrange(100))
    )
    del contents[stop:]


def extension(contents: bytearray, chance: Random) -> None:
    """There is more behind the end."""
    contents += chance.choice((bytes, chance.randbytes))(chance.choice((1, 8, 64, 4096)))


def zeros(contents: bytearray, chance: Random) -> None:
    """A block was never written."""
    at, size = chance.randrange(len(contents)), chance.choice((8, 64, 512, 4096))
    contents[at : at + size] = bytes(len(contents[at : at + size]))


def noise(contents: bytearray, chance: Random) -> None:
    """A block was overwritten, or single bytes."""
    at, size = chance.randrange(len(contents)), chance.choice((1, 1, 2, 8, 64, 4096))
    contents[at : at + size] = chance.randbytes(len(contents[at : at + size]))


def missing_bytes(contents: bytearray, chance: Random) -> None:
    """Bytes in the middle are lost, and what follows comes too early."""
    at = chance.randrange(len(contents))
    del contents[at : at + chance.choice((1, 4, 64))]


KINDS: tuple[Damage, ...] = (
    *(elf_header, section_header, section_header, section_header, exchanged_headers, whole_file, many_headers),
    *(table_entry(SHT_SYMTAB, 24, SYM), table_entry(SHT_RELA, 24, RELA), table_entry(SHT_RELA, 24, RELA)),
    *(named_section, named_section, modinfo, signature, truncation, extension, zeros, noise, missing_bytes),
)
