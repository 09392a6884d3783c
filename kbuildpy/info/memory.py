# SPDX-License-Identifier: GPL-2.0-only
"""The memory of a module over its life: what is freed when init is over and what stays, section by section.

The layout is the loader's (`kbuildpy.loader.stages.layout`), which running kernels were compared with.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from kbuildpy.elf.constants import SHF_ALLOC, SHF_EXECINSTR, SHF_RO_AFTER_INIT, SHF_WRITE, SHT_NOBITS
from kbuildpy.elf.headers import Shdr
from kbuildpy.loader.lay_out import lay_out
from kbuildpy.loader.load_info import LoadInfo
from kbuildpy.loader.stages.layout import total_size

ACCESS = ("code", "read-only", "read-only after init", "writable")
"""What a module may do with a section, in the order in which the kernel lays them out."""
_PER_CPU = "percpu"


class SectionInMemory(NamedTuple):
    """A section that is loaded."""

    name: str
    offset: int
    """Bytes from the beginning of its block."""
    size: int
    """In bytes."""
    access: str
    """One of `ACCESS`."""
    is_in_file: bool
    """False for zeros (SHT_NOBITS), which the file does not hold."""


@dataclass(frozen=True)
class Block:
    """A block of memory that is allocated, and freed, as a whole."""

    kind: str
    """As the kernel calls it: "core" and "init" up to 6.3, then a type of memory each."""
    size: int
    """Bytes, with what pages and alignment add."""
    sections: tuple[SectionInMemory, ...]
    """In the order of their places."""

    @property
    def is_freed(self) -> bool:
        """Whether it is freed when init is over."""
        return self.kind.startswith("init")

    @property
    def has_symbols(self) -> bool:
        """Whether the kernel puts the symbols that it keeps for kallsyms behind the sections."""
        return self.kind in ("core", "init", "data", "init_data")

    @property
    def filled(self) -> int:
        """Bytes of all its sections."""
        return sum(section.size for section in self.sections)


@dataclass(frozen=True)
class ModuleMemory:
    """A module in the memory of one kernel."""

    kernel: str
    """The kernel's release."""
    blocks: tuple[Block, ...]
    """Those that are not empty."""
    size: int | None
    """Bytes as /proc/modules shows them when init is over; None where the kernel's configuration is not known."""
    per_cpu: int
    """Bytes for each processor."""
    not_loaded: int
    """Bytes of sections that stay in the file, such as debug information."""

    @property
    def kept(self) -> int:
        """Bytes that stay when init is over."""
        return sum(block.size for block in self.blocks if not block.is_freed)

    @property
    def freed(self) -> int:
        """Bytes that are freed when init is over."""
        return sum(block.size for block in self.blocks if block.is_freed)


def memory_of(info: LoadInfo) -> ModuleMemory:
    """The memory of a module that was taken apart. Raises `Refusal` and `Undefined` where the kernel would not lay it
    out."""
    lay_out(info)
    placed: dict[str, list[SectionInMemory]] = {}
    per_cpu = 0
    for item, number in zip(info.layout.placed, info.layout.numbers, strict=True):
        if item.memory == _PER_CPU:
            per_cpu = item.size
            continue
        header = info.sechdrs[number]
        found = SectionInMemory(item.section, item.offset, item.size, _access(header), header.sh_type != SHT_NOBITS)
        placed.setdefault(item.memory, []).append(found)
    blocks = (
        Block(kind, size, tuple(sorted(placed.get(kind, ()), key=lambda section: section.offset)))
        for kind, size in info.layout.sizes.items()
    )
    return ModuleMemory(
        info.kernel.release,
        tuple(block for block in blocks if block.size),
        total_size(info),
        per_cpu,
        sum(header.sh_size for number, header in enumerate(info.sechdrs) if _stays_in_file(info, number, header)),
    )


def _access(section: Shdr) -> str:
    if section.sh_flags & SHF_EXECINSTR:
        return "code"
    if section.sh_flags & SHF_RO_AFTER_INIT:
        return "read-only after init"
    return "writable" if section.sh_flags & SHF_WRITE else "read-only"


def _stays_in_file(info: LoadInfo, number: int, section: Shdr) -> bool:
    # (the loader has taken SHF_ALLOC from the per-CPU section, whose memory is not the module's)
    return not section.sh_flags & SHF_ALLOC and section.sh_type != SHT_NOBITS and number != info.index.pcpu
