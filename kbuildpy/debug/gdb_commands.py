# SPDX-License-Identifier: GPL-2.0-only
"""Commands for gdb, as lines of a script or at its prompt. gdb splits and unquotes arguments as a shell does."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from kbuildpy.elf import ModuleImage
from kbuildpy.elf.constants import SHF_ALLOC
from kbuildpy.errors import KbuildError
from kbuildpy.files import replacing

# Sections that are freed when a module is loaded: other code may be at their addresses.
_FREED = (".init",)
_ADDRESS = re.compile(r"0x[0-9a-f]{1,16}")


def add_symbol_file(file: Path, image: ModuleImage, sections: Mapping[str, str]) -> str:
    """gdb's command for `image` in `file`, whose sections are at these addresses (/sys/module/NAME/sections); what is
    no address, or is that of a section which the file does not have, is left out: a guest may report anything."""
    words = ["add-symbol-file", str(file)]
    in_memory = {section.name for section in image.sections if section.flags & SHF_ALLOC}
    known = {name: value for name, value in sections.items() if name in in_memory and _ADDRESS.fullmatch(value)}
    if ".text" in known:
        words.append(known[".text"])
    for name, address in sorted(known.items(), key=lambda item: int(item[1], 16)):
        if name != ".text" and not name.startswith(_FREED):
            words += ["-s", name, address]
    return " ".join(shlex.quote(word) for word in words)


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


def write_commands(script: Path, commands: Sequence[str], *, option: str) -> None:
    """Write gdb's `commands` into the file `script`, which `option` named: whole or not at all. Raises
    `KbuildError`."""
    try:
        with replacing(script) as replacement:
            replacement.write("".join(f"{line}\n" for line in commands).encode())
    except OSError as error:
        raise KbuildError(f"{option} {script}: {error.strerror}", hint="name a file that you can write") from error
