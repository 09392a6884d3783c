# SPDX-License-Identifier: GPL-2.0-only
"""Commands for gdb, as lines of a script or at its prompt. gdb splits and unquotes arguments as a shell does."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import Path

from kbuildpy.elf import ModuleImage
from kbuildpy.elf.constants import SHF_ALLOC

# Sections that are freed when a module is loaded: other code may be at their addresses.
_FREED = (".init",)
_ADDRESS = re.compile(r"0x[0-9a-f]{1,16}")


def add_symbol_file(file: Path, image: ModuleImage, sections: Mapping[str, str], *, is_live: bool = True) -> str:
    """gdb's command for `image` in `file`, whose sections are at these addresses (/sys/module/NAME/sections); only
    `known_sections` are named."""
    words = ["add-symbol-file", str(file)]
    known = known_sections(image, sections, is_live=is_live)
    if ".text" in known:
        words.append(f"{known['.text']:#x}")
    for name, address in sorted(known.items(), key=lambda item: item[1]):
        if name != ".text":
            words += ["-s", name, f"{address:#x}"]
    return " ".join(shlex.quote(word) for word in words)


def known_sections(image: ModuleImage, sections: Mapping[str, str], *, is_live: bool = True) -> dict[str, int]:
    """The addresses among `sections` that a debugger can use, by name. What is no address, or is that of a section
    which `image` does not have, is left out: a guest may report anything. So are the init sections of a module that
    `is_live`: they are freed."""
    in_memory = {section.name for section in image.sections if section.flags & SHF_ALLOC}
    return {
        name: int(value, 16)
        for name, value in sections.items()
        if name in in_memory and _ADDRESS.fullmatch(value) and not (is_live and name.startswith(_FREED))
    }


def read_memory(vmlinux: Path | None, shift: int) -> list[str]:
    """The commands that open the memory of the running kernel, whose code is `shift` bytes from where `vmlinux` has it
    (KASLR). Without `vmlinux` there are the symbols of modules only.

    `core-file` once more reads the memory anew.
    """
    symbols = []
    if vmlinux is not None:
        moved = ["-o", hex(shift)] if shift else []
        symbols.append(shlex.join(["symbol-file", *moved, str(vmlinux)]))
    return [*symbols, "core-file /proc/kcore"]
