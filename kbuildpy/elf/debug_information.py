# SPDX-License-Identifier: GPL-2.0-only
"""Whether a file has debug information (DWARF) in it."""

from __future__ import annotations

from kbuildpy.elf.image import ModuleImage


def has_debug_information(contents: bytes, name: str = "") -> bool:
    """Whether the ELF file `contents`, called `name` in errors, has debug sections. Raises `KbuildError` for no ELF
    file."""
    return any(section.name.startswith((".debug_", ".zdebug_")) for section in ModuleImage(contents, name).sections)
