# SPDX-License-Identifier: GPL-2.0-only
"""Notes of an ELF file (elf(5), "Notes (Nhdr)")."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from kbuildpy.elf.constants import SHT_NOTE
from kbuildpy.elf.headers import Ehdr
from kbuildpy.elf.sections import Section


class Note(NamedTuple):
    """One note: its owner (`GNU`, `Linux`, `Xen`), the type, whose numbers are the owner's, and the description."""

    name: bytes
    type: int
    description: bytes


def read_notes(image: bytes, header: Ehdr, sections: Sequence[Section]) -> Iterator[Note]:
    """The notes in all sections of type SHT_NOTE, in order; a note that the section's end cuts off is left out."""
    layout = struct.Struct(header.order + "III")
    for section in sections:
        if section.type != SHT_NOTE:
            continue
        at, stop = section.offset, section.offset + section.size
        while at + layout.size <= stop:
            name_size, size, kind = layout.unpack_from(image, at)
            name = at + layout.size
            description = name + _aligned(name_size)
            at = description + _aligned(size)
            if at <= stop:
                yield Note(image[name : name + name_size].rstrip(b"\0"), kind, image[description : description + size])


def _aligned(size: int) -> int:
    return -(-size // 4) * 4
