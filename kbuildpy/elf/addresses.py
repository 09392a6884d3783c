# SPDX-License-Identifier: GPL-2.0-only
"""Addresses in section headers, where a relocatable file should have none.

From 6.12 on, linking a module (scripts/module.lds) leaves some sections with a small one. Linkers and kernels do not
care; gdb takes such a file for one that has its place already, and puts all its code where .text is
(gdb/symfile.c: default_symfile_offsets).
"""

from __future__ import annotations

import struct

from kbuildpy.elf.image import ModuleImage


def without_addresses(image: ModuleImage) -> bytes:
    """The contents of `image`, the address of every section 0."""
    contents = bytearray(image.contents)
    header = image.header
    field, offset = (
        (struct.Struct(f"{header.order}Q"), 16) if header.is_64bit else (struct.Struct(f"{header.order}I"), 12)
    )
    for section in image.sections:
        field.pack_into(contents, header.e_shoff + section.index * header.e_shentsize + offset, 0)
    return bytes(contents)
