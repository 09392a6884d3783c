# SPDX-License-Identifier: GPL-2.0-only
"""The numbers of a machine that stages need: a value without code."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple


class RelocationKinds(NamedTuple):
    """The machine's relocation types, by what they write (`kbuildpy.elf.relocation_types`)."""

    absolute: frozenset[int]
    """A pointer of 64 bits."""
    relative: frozenset[int]
    """A distance of 32 bits; calls, too, where they are written so."""
    relative64: frozenset[int]
    """A distance of 64 bits."""
    applied: frozenset[int]
    """All types that the kernel applies."""

    @property
    def of_8_bytes(self) -> frozenset[int]:
        """The types that write eight bytes."""
        return self.absolute | self.relative64


@dataclass(frozen=True)
class MachineFacts:
    """What a kernel of one machine has in common with all others of it."""

    name: str
    """As `str(kernel.architecture.Architecture)` shows it, and `LoaderKernel.machine`."""
    e_machine: int
    """e_machine of its ELF files."""
    relocations: RelocationKinds
    """Its relocation types."""
    modules_start: int
    """An address where the kernel puts modules."""
    modules_size: int
    """MODULES_LEN: the bytes of that region; no module can be larger."""
    copy_address: int
    """An address where the kernel may have its copy of the file."""
    large_page: int
    """PMD_SIZE, to which code in large pages is aligned (CONFIG_ARCH_HAS_EXECMEM_ROX)."""
    undefined_ok: frozenset[str] = field(default=frozenset())
    """Undefined symbols that need no owner (kernel/module/main.c: ignore_undef_symbol)."""
