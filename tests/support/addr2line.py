# SPDX-License-Identifier: GPL-2.0-only
"""What binutils say of the code in a module: the oracle of `kbuildpy.debug`."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from kbuildpy.elf import ModuleImage
from kbuildpy.elf.addresses import without_addresses
from kbuildpy.run import run

Chain = tuple[tuple[str, str, int | None], ...]
"""Function, file and line, from the innermost inlined function on."""


class Addr2line(NamedTuple):
    """addr2line over one file."""

    file: Path
    prefix: str = ""
    """Of the machine's binutils."""

    def chains(self, section: str, offsets: Sequence[int]) -> list[Chain]:
        """What `addr2line -i -f` says of each of `offsets` in a section; an empty chain where it knows no file."""
        done = run(
            [f"{self.prefix}addr2line", "-j", section, "-i", "-f", "-a", "-e", self.file],
            input="".join(f"{offset:#x}\n" for offset in offsets).encode(),
        )
        found: list[list[str]] = []
        for line in done.text.splitlines():
            if line.startswith("0x"):
                found.append([])
            else:
                found[-1].append(line)
        assert len(found) == len(offsets)
        return [_chain(lines) for lines in found]


def addr2line(module: Path, scratch: Path, *, prefix: str = "") -> Addr2line:
    """addr2line over `module`: a copy in `scratch` without the addresses that linking leaves in section headers."""
    copy = scratch / f"{module.name}.addr2line"
    copy.write_bytes(without_addresses(ModuleImage.from_path(module)))
    return Addr2line(copy, prefix)


def _chain(lines: Sequence[str]) -> Chain:
    chain = []
    for function, place in zip(lines[::2], lines[1::2], strict=True):
        path, _, line = re.sub(r" \(discriminator \d+\)$", "", place).rpartition(":")
        if "/" not in path:
            # (of padding between functions it names a symbol, and what the symbol table has for a file)
            return ()
        chain.append((function, posixpath.normpath(path), int(line) if line.isdigit() and line != "0" else None))
    return tuple(chain)
