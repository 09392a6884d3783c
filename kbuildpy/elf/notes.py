# SPDX-License-Identifier: GPL-2.0-only
"""Notes of an ELF file (elf(5), "Notes (Nhdr)")."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from kbuildpy.elf.constants import NT_GNU_BUILD_ID, SHT_NOTE
from kbuildpy.elf.headers import Ehdr
from kbuildpy.elf.sections import Section


class Note(NamedTuple):
    """One note: its owner (`GNU`, `Linux`, `Xen`), the type, whose numbers are the owner's, and the description."""

    name: bytes
    type: int
    description: bytes


def read_notes(image: bytes, header: Ehdr, sections: Sequence[Section]) -> Iterator[Note]:
    """The notes in all sections of type SHT_NOTE, in order; a note that the section's end cuts off is left out."""
    for section in sections:
        if section.type == SHT_NOTE:
            yield from notes_in(image[section.offset : section.offset + section.size], header.order)


def notes_in(contents: bytes, order: str) -> Iterator[Note]:
    """The notes of one section, or of a file of sysfs that has one's contents. `order` is
    that of the bytes, as `struct` names it; `=` is this machine's."""
    layout = struct.Struct(order + "III")
    at = 0
    while at + layout.size <= len(contents):
        name_size, size, kind = layout.unpack_from(contents, at)
        name = at + layout.size
        description = name + _aligned(name_size)
        at = description + _aligned(size)
        if at <= len(contents):
            yield Note(
                contents[name : name + name_size].rstrip(b"\0"), kind, contents[description : description + size]
            )


def build_id_in(notes: Iterable[Note]) -> str:
    """The build id among `notes` in hexadecimal, "" for none."""
    found = (note for note in notes if note.name == b"GNU" and note.type == NT_GNU_BUILD_ID)
    return next((note.description.hex() for note in found), "")


def _aligned(size: int) -> int:
    return -(-size // 4) * 4
