# SPDX-License-Identifier: GPL-2.0-only
"""The constants of a machine that the stages need: addresses, sizes and relocation types, without functions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple


class RelocationKinds(NamedTuple):
    """The machine's relocation types (`kbuildpy.elf.relocation_types`), by the value that they write."""

    absolute: frozenset[int]
    """Types that write an address of 64 bits."""
    relative: frozenset[int]
    """Types that write a distance of 32 bits, including the types of calls where the machine encodes these so."""
    relative64: frozenset[int]
    """Types that write a distance of 64 bits."""
    applied: frozenset[int]
    """All types that the kernel applies."""
    differences: Mapping[int, int] = MappingProxyType({})
    """For the types of `relative` and `relative64` that write an address: the type that subtracts another one from it,
    by a second relocation of the same place."""

    @property
    def of_8_bytes(self) -> frozenset[int]:
        """The types that write eight bytes."""
        return self.absolute | self.relative64


@dataclass(frozen=True)
class MachineFacts:
    """The constants that all kernels of one machine share."""

    name: str
    """The name, as in `LoaderKernel.machine` and `str(kernel.architecture.Architecture)`."""
    e_machine: int
    """The machine number in the ELF header."""
    relocations: RelocationKinds
    """The relocation types, by the value that they write."""
    modules_start: int
    """An address where the kernel puts modules."""
    modules_size: int
    """MODULES_LEN: bytes of the address range for modules; no module can be larger."""
    copy_address: int
    """An address where the kernel may put its copy of the module file."""
    large_page: int
    """PMD_SIZE, to which code in large pages is aligned (CONFIG_ARCH_HAS_EXECMEM_ROX)."""
    checks_class: bool = False
    """Whether a file whose class (EI_CLASS) is another one counts as one for another machine (elf_check_arch)."""
    undefined_ok: frozenset[str] = field(default=frozenset())
    """Undefined symbols that nothing needs to export (kernel/module/main.c: ignore_undef_symbol)."""
